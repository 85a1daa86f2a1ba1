"""Whether a run is any good, by the Gaussian with its data's mean and covariance, and the likeliest cure if not."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.config.config import Config
from banach.data.dataset import Data
from banach.data.rows import taken
from banach.metrics.gaussian import gaussian_like
from banach.session.console import short
from banach.streams import stream
from banach.training.plan import FEWEST, average, rate

_ENTRIES = 2**24
"""Entries of the Gaussian's samples, at most: large pictures get fewer samples."""

SPREAD = 500
"""Samples between which the spread is measured."""


@dataclass(frozen=True)
class Standing:
    """How a run's newest scores compare: with the Gaussian's and the floor, and how much its samples vary.

    `spread` is the root of the samples' total variance over the data's, in model units; `large` is the score above
    which something is wrong even where the Gaussian is worse, or is what the data are.
    """

    name: str
    value: float
    gaussian: float
    floor: float | None
    large: float
    spread: float
    step: int
    train: int

    @property
    def good(self) -> bool:
        """Whether the samples are better than those of the Gaussian, or nearly as good as the data."""
        return self.value <= max(self.gaussian, self.large)


def due(step: int, steps: int, before: int) -> bool:
    """Whether the scores of `step` are to be judged: the first from a tenth of the run on, and the last."""
    return step >= steps or before * 10 < steps <= step * 10


def count(config: Config, data: Data) -> int:
    """Samples of the Gaussian that are scored."""
    return max(100, min(config.score_samples, _ENTRIES // data.train[:1].numel()))


def spread(fakes: Tensor, data: Data) -> float:
    """The root of the samples' total variance over that of the training data, in model units; NaN for constant data."""
    units = data.units.to("cpu")
    real = units.to_model(taken(data.train, torch.arange(min(SPREAD, len(data.train))))[:].cpu()).flatten(1)
    fake = units.to_model(fakes[:SPREAD].cpu()).flatten(1)
    total = float(real.double().var(0).sum())
    return (float(fake.double().var(0).sum()) / total) ** 0.5 if total > 0 else float("nan")


def lines(standing: Standing, config: Config) -> Iterator[str]:
    """One line on how good the samples are, and where they are not, the likeliest cure."""
    floor = "" if standing.floor is None else f", held-out data {short(standing.floor)}"
    beside = f"a Gaussian with the data's mean and covariance has {short(standing.gaussian)}{floor}"
    if standing.good:
        yield f"quality   {standing.name} {short(standing.value)} at step {standing.step:,}; {beside}"
    else:
        yield f"quality   no good yet: {standing.name} {short(standing.value)} at step {standing.step:,}; {beside}"
        yield f"          likeliest cure: {cure(standing, config)}"


def cure(standing: Standing, config: Config) -> str:
    """The likeliest reason of samples that are no good, and what to do about it."""
    steps, horizon = config.steps, 1 / max(1e-9, 1 - config.ema)
    if standing.spread != standing.spread:
        return "the data are constant: look at the lines on how they were read"
    few = f"{steps:,} steps are few: more --minutes or --steps, or a smaller --size or --width"
    if steps < FEWEST:
        return few
    if horizon > 0.3 * steps and average(steps) < config.ema:
        planned = f"--ema {average(steps):g}"
        return f"the average still holds the first weights: {planned} (ema {config.ema:g} spans {horizon:,.0f} steps)"
    if config.lr < rate(steps) / 4 and config.optimizer == "adam":
        return f"the learning rate {config.lr:g} is for longer runs: --lr {rate(steps):g} for {steps:,} steps"
    if standing.spread < 0.2:
        return (
            f"the samples hardly differ (their spread is {standing.spread:.0%} of the data's), the mode has collapsed: "
            f"--n-critic 5, a smaller --lr, or another --seed"
        )
    if steps < 1000:
        return few
    if standing.spread > 2 or config.lr > 4 * rate(steps):
        return f"the learning rate {config.lr:g} is too large: --lr {config.lr / 4:g}"
    if standing.train < 500:
        return f"{standing.train} samples are few: more data, or --flip for pictures that may be mirrored"
    return "more --minutes or --steps; if the score has stopped falling, a smaller --lr or --n-critic 5"


def noise(data: Data, n: int) -> Tensor:
    """Samples of the Gaussian, the same for every run on the same data."""
    return gaussian_like(data.train, n, stream("cpu", 0, "gaussian"))
