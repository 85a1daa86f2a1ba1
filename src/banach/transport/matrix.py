"""Several data sets against each other: a certified distance for each pair, floors, excesses and tests."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from banach.spaces import Metric, space
from banach.transport.distance import Method, distance
from banach.transport.estimate import Estimate, TransportError
from banach.transport.permutations import LEAST
from banach.transport.samples import read
from banach.transport.scores import Excess, between, contrast

Array = Tensor | np.ndarray
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class DistanceMatrix:
    """A Wasserstein distance with its interval for each pair i < k of `count` data sets."""

    count: int
    pairs: dict[Pair, Estimate]

    @property
    def lower(self) -> np.ndarray:
        """The lower ends, (k, k), symmetric, 0 on the diagonal."""
        return self._symmetric({pair: one.lower for pair, one in self.pairs.items()})

    @property
    def upper(self) -> np.ndarray:
        """The upper ends, likewise."""
        return self._symmetric({pair: one.upper for pair, one in self.pairs.items()})

    @property
    def closed(self) -> bool:
        """Whether all pairs reached the requested relative gap."""
        return all(one.closed for one in self.pairs.values())

    def _symmetric(self, values: dict[Pair, float]) -> np.ndarray:
        found = np.zeros((self.count, self.count))
        for (i, k), one in values.items():
            found[i, k] = found[k, i] = one
        return found


def distance_matrix(
    sets: Sequence[Array],
    metric: str | Metric = "Lp(2)",
    *,
    rel_gap: float = 0.01,
    method: Method = "auto",
    power: float = 1.0,
    max_minutes: float | None = None,
    report: Callable[[int, int], None] | None = None,
) -> DistanceMatrix:
    """`distance` of every pair of two or more unweighted data sets (n_i, *event).

    `max_minutes` are for all pairs together: each may take an equal share of what is left, and what is not closed then
    is an interval all the same. `report` is told how many pairs of how many are done. Raises `TransportError` as
    `distance` does, and for fewer than two sets.

    >>> found = distance_matrix([torch.zeros(3, 1), torch.ones(2, 1), torch.full((4, 1), 3.0)], rel_gap=1e-9)
    >>> found.upper.round(9).tolist()
    [[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]
    """
    if len(sets) < 2:
        raise TransportError(f"{len(sets)} data set has no pairs; give two or more")
    deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
    metric, pairs = space(metric), list(combinations(range(len(sets)), 2))
    found = {}
    for done, (i, k) in enumerate(pairs):
        share = None if max_minutes is None else _minutes(deadline) / (len(pairs) - done)
        found[i, k] = distance(
            sets[i], sets[k], metric, rel_gap=rel_gap, method=method, power=power, max_minutes=share
        )  # fmt: skip
        if report is not None:
            report(done + 1, len(pairs))
    return DistanceMatrix(len(sets), found)


def _minutes(deadline: float) -> float:
    return max(1e-9, (deadline - time.monotonic()) / 60)


@dataclass(frozen=True, eq=False)
class ExcessMatrix:
    """The floor of each data set, W1 between two halves of `n` samples each, and the excess of each pair i < k."""

    floors: list[float]
    excesses: dict[Pair, Excess]
    n: int


def excess_matrix(
    sets: Sequence[Array],
    metric: str | Metric = "Lp(2)",
    *,
    rel_gap: float = 1e-4,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    deadline: float = math.inf,
    report: Callable[[int, int], None] | None = None,
) -> ExcessMatrix:
    """`excess` of every pair, all from halves of one size, that of the smallest set: each floor is measured once.

    Raises `OutOfTime` at the deadline, a time of time.monotonic(), and `TransportError` for fewer than 8 samples.
    """
    pairs, n = list(combinations(range(len(sets)), 2)), min(map(len, sets)) // 2
    if 2 * n < LEAST:
        raise TransportError(f"{min(map(len, sets))} samples are too few to halve; give at least {LEAST} in each set")
    halves = [_halves(read(one, one).x, n, seed + i) for i, one in enumerate(sets)]
    steps = _counted(report, len(sets) + 4 * len(pairs))
    floors = []
    for one, two in halves:
        floors.append(between(one, two, metric, rel_gap, deadline))
        next(steps)
    found = {}
    for i, k in pairs:
        across = []
        for one in halves[i]:
            for two in halves[k]:
                across.append(between(one, two, metric, rel_gap, deadline))
                next(steps)
        found[i, k] = contrast(
            across, floors[i], floors[k], read(sets[i], sets[k]), confidence=confidence, resamples=resamples, seed=seed
        )  # fmt: skip
    return ExcessMatrix([one.cost for one in floors], found, n)


def _halves(x: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return x[rows[:n]], x[rows[n : 2 * n]]


def _counted(report: Callable[[int, int], None] | None, total: int) -> Iterator[None]:
    for done in range(1, total + 1):
        if report is not None:
            report(done, total)
        yield
