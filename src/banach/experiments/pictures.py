"""Pictures for experiments: the user's, or those that are there."""

import torch
from torch import Tensor

from banach.data.dataset import Data, Raw
from banach.data.load import read
from banach.data.units import Units
from banach.errors import BanachError, DataError


def pictures_of(source: str | None, side: int) -> tuple[Tensor, str]:
    """All pictures (n, c, h, w) of a data set as uint8, and its name.

    `source` is whatever `--data` takes; its pictures are brought to `side` x `side`. Without it they are the bundled
    ones as they are. BanachError where the data are no pictures.
    """
    name = source or "fashion"
    raw = read(name) if source is None else _read(name, side)
    if raw.kind != "image":
        raise BanachError(f"{name} holds no pictures; take a folder of pictures, or leave out --data")
    values = raw.train if isinstance(raw, Data) else raw.values
    return values[:], name


def _read(name: str, side: int) -> Raw | Data:
    try:
        return read(name, size=side)
    except DataError:  # numbers have no size, and what cannot be read is refused again
        return read(name)


def some_of(pictures: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """Up to n of them, drawn without replacement, in [-1, 1]."""
    return Units("pixels").to_model(pictures[torch.randperm(len(pictures), generator=rng)[:n]])
