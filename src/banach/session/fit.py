"""Training in one call: from a tensor or array to a generator."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from banach.config.config import FIELDS, Config, ConfigError
from banach.config.keys import hyphened
from banach.config.reading import build as build_config
from banach.config.reading import checked
from banach.data.dataset import Data
from banach.data.load import load
from banach.generator import Generator
from banach.session.console import Console, Quiet, console_for
from banach.session.determinism import deterministic
from banach.session.place import folder_of
from banach.session.planning import planned
from banach.session.run import RESUMABLE, run_in
from banach.spaces import Metric
from banach.training.build import about, build, device_of
from banach.training.loop import train
from banach.training.timing import threads as using_threads

_MINUTES = 5.0
"""The time that training is planned for, where the caller names none."""

_OF_FILES = frozenset(("data", "size", "fit", "classes", "cache"))
"""Keys that say which data are read from files, and how."""

_OF_RUNS = frozenset(
    ("init", "compile", "keep_memory", *(name for name, key in FIELDS.items() if key.group == "output"))
)
"""Keys that mean something for a run in a folder only."""


def fit(
    x: Tensor | np.ndarray,
    space: str | Metric = "l2",
    *,
    steps: int | None = None,
    minutes: float | None = None,
    model: str | None = None,
    out: str | Path | None = None,
    console: Console | None = None,
    **keys: Any,
) -> Generator:
    """Train a Banach Wasserstein GAN on `x`, and return its averaged generator, which samples in the units of `x`.

    `x`: uint8 images (b, c, h, w), or numbers (b, d), (b, c, n), (b, c, h, w), (b, c, d, h, w), of which a share
    `holdout` is not trained on. `space` is the norm on the data. Without `steps` the training is planned for so many
    `minutes` (default 5): a few steps are timed, then model, widths, batch, steps and rates are chosen that fit, as far
    as they are not given. With `steps` nothing is planned, and `model` None is `mlp` for vectors and `resnet` for the
    rest. `keys` are the other keys of `banach train`: `seed`, `objective`, `penalty`, `lr`, `width`, `axes`, … (see
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
    chosen = {name: given.get(name, FIELDS[name].default) for name in ("axes", "holdout", "seed", "normalise")}
    data = load(x, **chosen)
    given |= {
        "data": f"array:{data.fingerprint[:12]}",
        "space": space if isinstance(space, str) else repr(space),
        "out": "" if out is None else str(out),
        **_length(steps, minutes, model, data),
    }
    config, stated = build_config(given), None if steps is not None else frozenset(given)
    console = console or (console_for() if sys.stdout.isatty() else Quiet())
    try:
        if out is None:
            return _without_folder(config, stated, data, console)
        return _in_folder(config, stated, data, console)
    finally:
        console.close()


def _read(keys: dict[str, Any], in_folder: bool) -> dict[str, Any]:
    """The keys read as those of a config; `ConfigError` for one that is unknown or means nothing here."""
    given = checked(keys, "")
    if of_files := sorted(_OF_FILES & given.keys()):
        raise ConfigError(f"{of_files[0]}: the data are x; leave it out")
    if not in_folder and (of_runs := sorted(_OF_RUNS & given.keys())):
        raise ConfigError(f"{hyphened(of_runs[0])}: is of runs in a folder; give out='runs/mine', or leave it out")
    return given


def _length(steps: int | None, minutes: float | None, model: str | None, data: Data) -> dict[str, Any]:
    """The keys of how long is trained, and the model where it is not left to a plan."""
    if steps is not None and minutes is not None:
        raise ConfigError(f"minutes: steps={steps} fixes the length already; leave out steps, or minutes={minutes:g}")
    if steps is not None:
        return {"steps": steps, "model": model or ("mlp" if len(data.shape) == 1 else "resnet")}
    return {"minutes": _MINUTES if minutes is None else minutes, **({"model": model} if model else {})}


def _in_folder(config: Config, stated: frozenset[str] | None, data: Data, console: Console) -> Generator:
    folder = folder_of(config)
    outcome = run_in(config, folder, data=data, console=console, argv=["banach.fit"], stated=stated)
    if outcome.code == RESUMABLE:
        raise KeyboardInterrupt(outcome.message)
    return Generator.load(folder.generator)


def _without_folder(config: Config, stated: frozenset[str] | None, data: Data, console: Console) -> Generator:
    if stated is not None:
        config, _, lines = planned(config, stated, data, device_of(config), console)
        for line in lines:
            console.say(line)
    with using_threads(config.threads), deterministic(config.deterministic):
        built = build(config, data, device_of(config))
        train(built.state, built.game, built.data, config.steps)
    built.state.watch.check()
    return Generator(built.state.average.cpu(), data.units, about(config, data, built.game, config.steps))
