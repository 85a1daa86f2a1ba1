"""Results of solvers: feasible potentials and a plan, and the interval between their values."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from banach.norms.embedding import Coordinates
from banach.transport.couplings import Plan, north_west, repaired
from banach.transport.estimate import rel_gap
from banach.transport.ground import Ground


@dataclass(frozen=True)
class Progress:
    """The progress of a solver: the interval in the data's units, rounds done, active pairs, seconds since it began.

    `wanted` is the relative gap at which it stops.
    """

    lower: float
    upper: float
    rounds: int
    pairs: int
    seconds: float
    wanted: float


@dataclass(frozen=True, eq=False)
class Problem:
    """A ground with masses of equal sum, and when to stop: at the relative gap `wanted`, or at the `deadline`.

    `scale` is the mean pooled distance, in the ground's units; `report` is told of every round.
    """

    ground: Ground
    a: np.ndarray
    b: np.ndarray
    wanted: float = 0.01
    scale: float = math.nan
    deadline: float = math.inf
    report: Callable[[Progress], None] | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def total(self) -> float:
        """The mass that is moved."""
        return math.fsum(self.a)

    def gap(self, lower: float, upper: float) -> float:
        """The relative gap."""
        return rel_gap(lower, upper, self.scale)

    def tell(self, lower: float, upper: float, rounds: int, pairs: int) -> None:
        """Report progress, in the data's units per unit of mass."""
        if self.report is not None:
            unit = self.ground.unit**self.ground.power
            seconds = time.monotonic() - self.began
            self.report(Progress(lower * unit, upper * unit, rounds, pairs, seconds, self.wanted))


@dataclass(frozen=True, eq=False)
class Solution:
    """Potentials f_i + g_j <= d_ij and a plan with the problem's marginals; values per unit of mass, ground's units."""

    f: np.ndarray
    g: np.ndarray
    plan: Plan
    lower: float
    upper: float
    rounds: int = 0


def solution(problem: Problem, f: np.ndarray, g: np.ndarray, plan: Plan, rounds: int = 0) -> Solution:
    """A solution of feasible potentials and any plan, whose marginals are repaired."""
    nothing = Solution(f, g, plan, -math.inf, math.inf)
    return raised(problem, lowered(problem, nothing, plan, rounds), f, g, rounds)


def lowered(problem: Problem, best: Solution, plan: Plan, rounds: int) -> Solution:
    """The solution with another plan if that costs less."""
    plan = repaired(plan, problem.a, problem.b)
    cost = math.fsum(plan.mass * problem.ground.pairs(plan.i, plan.j)) / problem.total
    better = cost < best.upper
    return replace(best, plan=plan if better else best.plan, upper=min(cost, best.upper), rounds=rounds)


def raised(problem: Problem, best: Solution, f: np.ndarray, g: np.ndarray, rounds: int) -> Solution:
    """The solution with other feasible potentials if their value is larger."""
    lower = (math.fsum(problem.a * f) + math.fsum(problem.b * g)) / problem.total
    if lower <= best.lower:
        return replace(best, rounds=rounds)
    return replace(best, f=f, g=g, lower=lower, rounds=rounds)


def first_solution(problem: Problem) -> Solution:
    """A first solution from O(n + m) distances: |E x - E y| <= W1 in a normed space, and a coupling along a line.

    The potential is linear, of dual norm 1, and largest on the difference of the means; the coupling is the
    north-west corner in its order.
    """
    ground = problem.ground
    along = _linear(ground, problem.a / problem.total, problem.b / problem.total)
    if along is None:
        along = ground.from_first()
        f, g = np.zeros(ground.n), np.zeros(ground.m)
    else:
        f, g = along[: ground.n], -along[ground.n :]
    plan = in_order(problem, along)
    if ground.power != 1:
        f, g = np.zeros(ground.n), np.zeros(ground.m)
    return solution(problem, f, g, plan)


def in_order(problem: Problem, along: np.ndarray) -> Plan:
    """The north-west corner, rows and columns in the order of `along`, their positions on a line."""
    n = problem.ground.n
    rows, columns = np.argsort(along[:n], kind="stable"), np.argsort(along[n:], kind="stable")
    corner = north_west(problem.a[rows], problem.b[columns])
    return Plan(rows[corner.i], columns[corner.j], corner.mass)


def _linear(ground: Ground, a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """<w, x_i - y_0> for all i, then <w, y_j - y_0>, w of dual norm at most 1; None where there are no coordinates."""
    if ground.places is None:
        return None
    x, y = ground.places
    means = [_mean(left, a) - _mean(right, b) for left, right in zip(x.leaves(), y.leaves(), strict=True)]
    slopes = _gradient(x, means)
    if slopes is None:
        return np.zeros(ground.n + ground.m)
    shrunk = 1 - (ground.entries + 64) * 2.0**-50  # the gradient's dual norm is 1 only to rounding
    origins = [
        leaf[:1].double() for leaf in y.leaves()
    ]  # what all points have in common is not to be rounded with them
    values = [
        sum(_products(leaf, origin, w) for leaf, origin, w in zip(side.leaves(), origins, slopes, strict=True))
        for side in (x, y)
    ]
    return shrunk * np.concatenate([np.asarray(one) for one in values])


def _mean(x: torch.Tensor, a: np.ndarray) -> torch.Tensor:
    w, size = torch.from_numpy(a), max(1, 2**22 // max(1, x.shape[1]))
    return sum((p @ block.double() for p, block in zip(w.split(size), x.split(size), strict=True)),
               torch.zeros(x.shape[1], dtype=torch.float64))  # fmt: skip


def _gradient(like: Coordinates, at: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """The gradient of the norm, None at 0."""
    with torch.enable_grad():
        leaves = [one[None].clone().requires_grad_(True) for one in at]
        length = like.mapped(list(leaves)).norm().sum()
        if not float(length.detach()) > 0:
            return None
        return [one[0] for one in torch.autograd.grad(length, leaves)]


def _products(x: torch.Tensor, origin: torch.Tensor, w: torch.Tensor) -> np.ndarray:
    size = max(1, 2**22 // max(1, x.shape[1]))
    return torch.cat([(block.double() - origin) @ w for block in x.split(size)]).numpy()
