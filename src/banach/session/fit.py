"""Training in one call: from a tensor or array to a generator."""

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from banach.config.config import FIELDS, Config, ConfigError
from banach.config.keys import FILES, FOLDER, hyphened, keys_of
from banach.config.parts import OutputKeys
from banach.config.reading import TRAIN, checked
from banach.config.reading import build as build_config
from banach.data.dataset import Data
from banach.data.load import load
from banach.generator import Generator
from banach.session.begin import threads as using_threads
from banach.session.console import Console, Quiet, console_for
from banach.session.determinism import deterministic
from banach.session.place import folder_of
from banach.session.run import RESUMABLE, run_in
from banach.spaces import Metric
from banach.training.build import about, build, check_of_pictures, device_of
from banach.training.loop import train

_OF_FILES = frozenset(name for name, key in FIELDS.items() if key.needs == FILES)
_OF_RUNS = frozenset(name for name, key in FIELDS.items() if key.needs == FOLDER) | keys_of(OutputKeys).keys()
_OF_ARRAYS = ("axes", "range", "holdout", "seed", "normalise")
"""Keys that say how `x` is read."""


def fit(
    x: Tensor | np.ndarray,
    space: str | Metric = "l2",
    *,
    steps: int = 2000,
    model: str | None = None,
    out: str | Path | None = None,
    console: Console | None = None,
    **keys: Any,
) -> Generator:
    """Train a Banach Wasserstein GAN on `x`, and return its averaged generator, which samples in the units of `x`.

    `x`: uint8 images (b, c, h, w), or numbers (b, d), (b, c, n), (b, c, h, w), (b, c, d, h, w), of which a share
    `holdout` is not trained on. `space` is the norm on the data; `model` None is `mlp` for vectors and `resnet` for the
    rest; `keys` are the other keys of `banach train`: `seed`, `objective`, `penalty`, `lr`, `width`, `axes`, … (see
    `Config` and `banach train --help`). With `out` all that a run writes goes into that folder, and the same call goes
    on with a run that was stopped; without it nothing is written.

    Raises a `BanachError` (`DataError`, `SpecError`, `ConfigError`, `GameError`, …) naming the value and the remedy,
    and `NotFinite` if a loss is not finite. Banach WGAN (Adler and Lunz 2018).

    >>> import torch, banach
    >>> generator = banach.fit(torch.randn(100, 3), banach.Lp(2), steps=2, width=8, z=4)
    >>> generator.sample(5, seed=1).shape
    torch.Size([5, 3])
    """
    given = _read(keys, out is not None)
    chosen = {name: given.get(name, FIELDS[name].default) for name in _OF_ARRAYS}
    data = load(x, **chosen)
    given |= {
        "data": f"array:{data.fingerprint[:12]}",
        "space": space if isinstance(space, str) else repr(space),
        "steps": steps,
        "model": model or ("mlp" if len(data.shape) == 1 else "resnet"),
        "out": "" if out is None else str(out),
    }
    config = build_config(given)
    console = console or (console_for() if sys.stdout.isatty() else Quiet())
    try:
        return _without_folder(config, data) if out is None else _in_folder(config, data, console)
    finally:
        console.close()


def _signature() -> inspect.Signature:
    """That of `fit` with the keys that it takes by name, for help() and for editors that ask the running Python."""
    own = inspect.signature(fit)
    named = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    kinds = {one.name: one.type for one in dataclasses.fields(Config)} | {"width": int | None}
    keys = [
        inspect.Parameter(key.name, inspect.Parameter.KEYWORD_ONLY, default=key.default, annotation=kinds[key.name])
        for key in TRAIN.more
        if key.name not in own.parameters and key.name not in _OF_FILES
    ]
    return own.replace(parameters=[*named, *keys])


fit.__signature__ = _signature()  # pyright: ignore[reportFunctionMemberAccess] - what `inspect` reads first


def _read(keys: dict[str, Any], in_folder: bool) -> dict[str, Any]:
    """The keys read as those of a config; `ConfigError` for one that is unknown or means nothing here."""
    given = checked(keys, "")
    if of_files := sorted(_OF_FILES & given.keys()):
        raise ConfigError(f"{of_files[0]}: the data are x; leave it out")
    if not in_folder and (of_runs := sorted(_OF_RUNS & given.keys())):
        raise ConfigError(f"{hyphened(of_runs[0])}: is of runs in a folder; give out='runs/mine', or leave it out")
    return given


def _in_folder(config: Config, data: Data, console: Console) -> Generator:
    folder = folder_of(config)
    outcome = run_in(config, folder, data=data, console=console, argv=["banach.fit"])
    if outcome.code == RESUMABLE:
        raise KeyboardInterrupt(outcome.message)
    return Generator.load(folder.generator)


def _without_folder(config: Config, data: Data) -> Generator:
    with using_threads(config.threads), deterministic(config.deterministic):
        check_of_pictures(config, data)
        built = build(config, data, device_of(config))
        train(built.state, built.game, built.data, config.steps)
    built.state.watch.check()
    return Generator(built.state.average.cpu(), data.units, about(config, data, built.game, config.steps))
