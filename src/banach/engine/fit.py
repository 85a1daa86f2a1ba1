"""Training in one call: from a tensor or array to a generator."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from banach.data.load import load
from banach.data.sets import Data
from banach.engine.begin import threads as using_threads
from banach.engine.build import about, build, device_of
from banach.engine.config import FIELDS, Config
from banach.engine.console import Console, Quiet, console_for
from banach.engine.generator import Generator
from banach.engine.loop import train
from banach.engine.place import folder_of
from banach.engine.run import RESUMABLE, conduct
from banach.spaces import Metric


def fit(
    x: Tensor | np.ndarray,
    space: str | Metric = "l2",
    *,
    steps: int = 2000,
    seed: int = 0,
    out: str | Path | None = None,
    objective: str = "wasserstein",
    penalty: str = "wgan-gp",
    penalty_weight: float | str = "auto",
    penalty_schedule: str = "constant",
    critic_scale: float | str = "auto",
    critic_start: str = "plain",
    constraint: str = "none",
    model: str | None = None,
    z: int = 128,
    width: int = 64,
    batch: int = 64,
    n_critic: int = 5,
    optimizer: str = "adam",
    lr: float = 2e-4,
    decay: str = "linear",
    ema: float = 0.999,
    holdout: float = 0.1,
    normalise: str | None = None,
    axes: str | None = None,
    flip: bool = False,
    device: str = "auto",
    threads: int = 0,
    precision: str = "fp32",
    console: Console | None = None,
) -> Generator:
    """Train a Banach Wasserstein GAN on `x`, and return its averaged generator, which samples in the units of `x`.

    `x`: uint8 images (b, c, h, w), or numbers (b, d), (b, c, n), (b, c, h, w), (b, c, d, h, w), of which a share
    `holdout` is not trained on. `space` is the norm on the data; `model` None is `mlp` for vectors and `resnet` for the
    rest; the other arguments are the keys of `banach train` (see `Config`). With `out` all that a run writes goes into
    that folder, and the same call goes on with a run that was stopped; without it nothing is written.

    Raises a `BanachError` (`DataError`, `SpecError`, `ConfigError`, `GameError`, …) naming the value and the remedy,
    and `NotFinite` if a loss is not finite. Banach WGAN (Adler and Lunz 2018).

    >>> import torch, banach
    >>> generator = banach.fit(torch.randn(100, 3), banach.Lp(2), steps=2, width=8, z=4)
    >>> generator.sample(5, seed=1).shape
    torch.Size([5, 3])
    """
    keys: dict[str, Any] = {key: value for key, value in locals().items() if key in FIELDS}
    data = load(x, axes=axes, holdout=holdout, seed=seed, normalise=normalise)
    keys |= {"data": f"array:{data.fingerprint[:12]}", "out": "" if out is None else str(out)}
    keys |= {"model": model or ("mlp" if len(data.shape) == 1 else "resnet"), "g_width": width, "d_width": width}
    keys["space"] = space if isinstance(space, str) else repr(space)
    config = Config(**keys)
    console = console or (console_for() if sys.stdout.isatty() else Quiet())
    try:
        return _without_folder(config, data) if out is None else _in_folder(config, data, console)
    finally:
        console.close()


def _in_folder(config: Config, data: Data, console: Console) -> Generator:
    folder = folder_of(config)
    outcome = conduct(config, folder, data=data, console=console, argv=["banach.fit"])
    if outcome.code == RESUMABLE:
        raise KeyboardInterrupt(outcome.message)
    return Generator.load(folder.generator)


def _without_folder(config: Config, data: Data) -> Generator:
    with using_threads(config.threads):
        built = build(config, data, device_of(config))
        train(built.state, built.game, built.data, config.steps)
    built.state.watch.check()
    return Generator(built.state.average.cpu(), data.units, about(config, data, built.game, config.steps))
