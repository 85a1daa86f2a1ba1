"""The permutation test of "A and B have the same distribution": W1 of the samples against W1 of random splits.

It is exact whatever the distribution, since all splits are then equally likely: P(p <= t) <= t. That holds for any
number of permutations that does not depend on what they gave, so also for as many as the time allows.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from banach.spaces import Metric, space
from banach.transport.estimate import TransportError
from banach.transport.ground import Ground
from banach.transport.line import Line, on_a_line
from banach.transport.pricing import OutOfTime
from banach.transport.samples import read

LEAST = 8
"""The least number of samples on each side."""
TESTED = 500
"""The largest number of samples of each in a permutation test, which solves a transport for every permutation."""
PERMUTATIONS = 199
_BATCH = 16


@dataclass(frozen=True)
class PermutationTest:
    """The result of a permutation test: how often W1 of a random split is at least that of the samples.

    `permutations` of the `wanted` ones were made in time, of `samples` of each; `p_value` is at least
    1/(permutations + 1).
    """

    p_value: float
    permutations: int
    wanted: int
    samples: int


def permutation_test(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    metric: str | Metric = "Lp(2)",
    *,
    permutations: int = PERMUTATIONS,
    most: int = TESTED,
    seed: int = 0,
    deadline: float = math.inf,
    report: Callable[[int], None] | None = None,
) -> PermutationTest:
    """The permutation test with W1, of equally many samples of both, at most `most`.

    At the `deadline`, a time of time.monotonic(), it ends with the permutations made so far, and raises `OutOfTime`
    where there are none. `report` is told how many there are. `TransportError` for fewer than 8 samples, or for no
    permutation.

    >>> rng = torch.Generator().manual_seed(0)
    >>> permutation_test(torch.randn(40, 2, generator=rng), torch.randn(40, 2, generator=rng) + 1, permutations=99)
    PermutationTest(p_value=0.01, permutations=99, wanted=99, samples=40)
    """
    if permutations < 1:
        raise TransportError(
            f"permutations = {permutations}; a test needs at least 1, and its p is at least 1/(1 + permutations)"
        )
    given = read(x, y)
    rng = torch.Generator().manual_seed(seed)
    a, b = (one[:most] for one in drawn(given.x, given.y, rng))
    n, both = len(a), torch.cat([a, b])
    cost = _cost(Ground(space(metric), both, both), n)
    first = cost(np.arange(2 * n))
    atleast = done = 0
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        while done < permutations and time.monotonic() < deadline:
            splits = [torch.randperm(2 * n, generator=rng).numpy() for _ in range(min(_BATCH, permutations - done))]
            costs = [one for one in threads.map(_until(deadline, cost), splits) if one is not None]
            # Rounding must not decide between equal splits.
            atleast += sum(one >= first * (1 - 1e-12) for one in costs)
            done += len(costs)
            if report is not None:
                report(done)
    if not done:
        raise OutOfTime
    return PermutationTest((1 + atleast) / (1 + done), done, permutations, n)


def permutation_p(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    metric: str | Metric = "Lp(2)",
    *,
    permutations: int = PERMUTATIONS,
    most: int = TESTED,
    seed: int = 0,
    deadline: float = math.inf,
) -> float:
    """The p-value of `permutation_test`."""
    return permutation_test(
        x, y, metric, permutations=permutations, most=most, seed=seed, deadline=deadline
    ).p_value  # fmt: skip


def _cost(ground: Ground, n: int) -> Callable[[np.ndarray], float]:
    """n W1 between the first n and the last n of all 2 n points in a given order."""
    if (line := on_a_line(ground)) is not None:
        return _along(line, n)
    table = ground.table()
    return lambda split: _assigned(table[np.ix_(split[:n], split[n:])])


def _assigned(table: np.ndarray) -> float:
    """The least cost of a one-to-one assignment of rows to columns; scipy is imported at its first use."""
    from scipy.optimize import linear_sum_assignment

    # What is taken off whole columns and rows changes no assignment, and the solver is done a third sooner.
    reduced = table - table.min(0)
    reduced -= reduced.min(1, keepdims=True)
    return float(table[linear_sum_assignment(reduced)].sum())


def _along(line: Line, n: int) -> Callable[[np.ndarray], float]:
    """The same on a line: the integral of |F - G|."""
    order = np.argsort(line.x)
    gaps = np.diff(line.x[order])

    def cost(split: np.ndarray) -> float:
        side = np.empty(2 * n)
        side[split[:n]], side[split[n:]] = 1, -1
        return float(np.abs(np.cumsum(side[order])[:-1]) @ gaps)

    return cost


def _until(deadline: float, cost: Callable[[np.ndarray], float]) -> Callable[[np.ndarray], float | None]:
    return lambda split: None if time.monotonic() > deadline else cost(split)


def drawn(x: Tensor, y: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Equally many of both, an even number, in random order."""
    n = min(len(x), len(y)) // 2 * 2
    if n < LEAST:
        raise TransportError(f"{min(len(x), len(y))} samples are too few to halve; give at least {LEAST} on each side")
    x, y = (one[torch.randperm(len(one), generator=rng)[:n]] for one in (x, y))
    return x, y


def holm(p_values: list[float]) -> list[float]:
    """Holm's adjusted p-values (1979): each is at most t with probability at most t for the true hypotheses together.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order, k = np.argsort(p_values, kind="stable"), len(p_values)
    adjusted = np.empty(k)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(k, 0, -1)))
    return adjusted.tolist()
