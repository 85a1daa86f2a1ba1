"""Rank correlations of scores with what was varied, and intervals over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A number with its 95% interval; the ends are NaN where a single seed gives none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, ties sharing theirs; NaN where x or y is constant.

    >>> round(spearman([1, 2, 3, 4], [10, 20, 40, 30]), 3), spearman([1, 2, 3], [5, 4, float("-inf")])
    (0.8, -1.0)
    """
    return float(_correlations(x, np.asarray([y], dtype=float))[0])


def _correlations(x: Sequence[float], rows: np.ndarray) -> np.ndarray:
    """That of x with each of the rows (m, len(x))."""
    a, b = (one - one.mean(axis=-1, keepdims=True) for one in (stats.rankdata(x), stats.rankdata(rows, axis=1)))
    sizes = np.sqrt((a**2).sum() * (b**2).sum(axis=1))
    return np.divide(b @ a, sizes, out=np.full(len(rows), np.nan), where=sizes > 0).round(12)


def correlated(
    x: Sequence[float], scores: Sequence[Sequence[float]] | np.ndarray, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Spearman's correlation of x with the mean score over seeds, and its bootstrap interval.

    `scores[i]` are the scores at x[i], one a seed. Each resample draws anew, with replacement, among the seeds of each
    point by itself; the interval is that of the percentiles. Correlations that do not exist count as 0.
    """
    table = np.asarray(scores, dtype=float)
    value = float(_correlations(x, means(table)[None])[0])
    if table.shape[1] < 2:
        return Interval(value, math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(table.shape[1], size=(resamples, *table.shape))
    found = _correlations(x, means(np.take_along_axis(table[None], drawn, axis=2)))
    low, high = np.quantile(np.nan_to_num(found), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high))


def means(table: np.ndarray) -> np.ndarray:
    """Means of the rows, over the last axis; infinite where an entry is."""
    return table.sum(axis=-1) / table.shape[-1]


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean over seeds with Student's 95% interval.

    >>> str(mean_interval([1.0, 2.0, 3.0]))
    '2 (-0.484 to 4.48)'
    """
    n = len(values)
    mean = math.fsum(values) / n if all(map(math.isfinite, values)) else float(sum(values))
    if n < 2 or not math.isfinite(mean):
        return Interval(mean, math.nan, math.nan)
    error = float(np.std(values, ddof=1)) / math.sqrt(n)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    return Interval(mean, mean - reach, mean + reach)
