"""Pictures for experiments: the user's own, or the bundled clothes."""

import functools
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from banach.data.dataset import Data, Raw
from banach.data.load import is_named, load, read
from banach.data.units import Units
from banach.errors import BanachError, DataError, ModelError
from banach.experiments.experiment import Setting
from banach.foreign import typed
from banach.models.sizes import halvings

BUNDLED = "fashion"

SIDE = 32
"""The side to which pictures are brought that have none that small networks can make."""

_Read = TypeVar("_Read", Raw, Data, Raw | Data)


def all_of(source: str | None, side: int) -> tuple[Tensor, str]:
    """All pictures (n, c, h, w) of a data set as uint8, none held out, and its name.

    `source` is whatever `--data` takes; its pictures are brought to `side` x `side`. Without it they are the bundled
    ones as they are. BanachError where the data are no pictures.
    """
    name = source or BUNDLED
    raw = read(name) if source is None else _read_at(name, side)
    _check(raw, name)
    values = raw.train if isinstance(raw, Data) else raw.values
    return values[:], name


def some_of(pictures: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Up to n of them, drawn without replacement, in [-1, 1]."""
    return Units("pixels").to_model(pictures[torch.randperm(len(pictures), generator=rng)[:n]])


@functools.cache
def split(source: str | None, side: int | None, holdout: float = 0.2) -> Data:
    """A set at side x side, a fifth of it held out, read once for all runs of an experiment; BanachError as above."""
    name = source or BUNDLED
    try:
        return _check(load(name, size=side, holdout=holdout, seed=0), name)
    except DataError:
        _check(read(name), name)  # numbers have no size: then say so
        raise


def small(source: str | None) -> Data:
    """A set as it is where small networks can make its pictures, else at 32x32; BanachError as above."""
    if source is None:
        return load(BUNDLED)
    data = _check(load(source, size=SIDE) if _is_folder(source) else load(source), source)
    return data if _can_be_made(data) else load(source, size=SIDE)


def keys_of(setting: Setting) -> dict[str, Any]:
    """The config's keys of the data of `small`, for a sweep; {} for those that a preset has.

    At the paper's scale the user's arrays keep their size, as its networks make larger ones.
    """
    if setting.data is None:
        return {"data": BUNDLED} if setting.scale != "paper" else {}
    if setting.scale == "paper":
        sized = _is_folder(setting.data)
    else:
        sized = _is_folder(setting.data) or small(setting.data).shape[1:] != load(setting.data).shape[1:]
    return {"data": setting.data, **({"size": SIDE} if sized else {})}


def _is_folder(source: str) -> bool:
    return not is_named(source) and Path(source).expanduser().is_dir()


def _can_be_made(data: Data) -> bool:
    try:
        halvings(data.shape[1:], least=1)
    except ModelError:
        return False
    return max(data.shape[1:]) <= SIDE


def _read_at(name: str, side: int) -> Raw | Data:
    try:
        return read(name, size=side)
    except DataError:
        _check(read(name), name)  # numbers have no size: then say so
        raise


def _check(found: _Read, name: str) -> _Read:
    if found.kind != "image":
        raise BanachError(f"{typed(name)} holds no pictures; give a folder of pictures, or leave out --data")
    return found
