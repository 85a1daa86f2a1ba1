"""Numbers over seeds: mean, deviation, paired differences, Student's t intervals. Pure functions of plain numbers."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Seed = TypeVar("Seed", bound=Hashable)

CONFIDENCE = 0.95
"""Of every interval of a comparison, each by itself: nothing is adjusted for their number."""


@dataclass(frozen=True)
class Summary:
    """`n` numbers: their mean, their standard deviation (n - 1 in the denominator), and an interval of the mean.

    [low, high] = mean ± t(n - 1) deviation / sqrt(n) at `CONFIDENCE`. Of one number alone there are neither deviation
    nor interval: they are None.
    """

    n: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def apart(self) -> bool:
        """Whether there is an interval, and 0 lies outside of it."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def summary(values: Sequence[float]) -> Summary | None:
    """The `Summary` of some numbers; None of no number.

    >>> summary([1.0, 2.0, 3.0]).deviation, summary([5.0]), summary([])
    (1.0, Summary(n=1, mean=5.0, deviation=None, low=None, high=None), None)
    """
    n = len(values)
    if n == 0:
        return None
    mean = float(np.mean(values))
    if n == 1:
        return Summary(1, mean)
    deviation = float(np.std(values, ddof=1))
    half = _student(n - 1) * deviation / n**0.5
    return Summary(n, mean, deviation, mean - half, mean + half)


def paired(ours: Mapping[Seed, float], theirs: Mapping[Seed, float]) -> Summary | None:
    """The `Summary` of ours - theirs over the seeds that both have; None where they share none.

    What a seed has in common in both (the first weights, the order of the batches) falls out of the difference.

    >>> paired({0: 3.0, 1: 5.0, 2: 9.0}, {0: 1.0, 1: 2.0}).mean
    2.5
    """
    return summary([ours[seed] - theirs[seed] for seed in ours if seed in theirs])


def leader(methods: Sequence[Mapping[Seed, float]], higher: bool) -> int | None:
    """Which of several methods, each with its numbers by seed, has the best mean, and none other is level with it.

    That is: against every other method the interval of the paired difference excludes 0. None where no method is so.

    >>> leader([{0: 1.0, 1: 1.1, 2: 0.9}, {0: 5.0, 1: 5.2, 2: 4.9}], higher=False)
    0
    """
    means = [float(np.mean(list(one.values()))) if one else None for one in methods]
    known = [at for at, mean in enumerate(means) if mean is not None]
    if len(known) < 2 or len(known) < len(methods):
        return None
    sign = 1 if higher else -1
    best = max(known, key=lambda at: sign * (means[at] or 0.0))
    for at in known:
        found = None if at == best else paired(methods[best], methods[at])
        if at != best and (found is None or not found.apart or sign * found.mean <= 0):
            return None
    return best


def _student(freedom: int) -> float:
    """The quantile of Student's t by which a two-sided interval is made."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
