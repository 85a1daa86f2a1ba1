"""Exact transport by column generation: a sparse linear programme that grows by the pairs that its prices violate.

Only some pairs may carry mass; the network simplex solves that problem, one pass over all distances finds the pairs
that its potentials violate, and these are added. When none is violated the sparse optimum is the optimum. Memory is
O(n + m) and the pairs'; the pass is `price`, whose potentials are rigorous in every round.
"""

import math

import numpy as np
import torch

from banach.transport.couplings import Plan
from banach.transport.ground import Ground
from banach.transport.kernels import FEW
from banach.transport.pricing import OutOfTime, Priced, chosen, in_time, joined, price
from banach.transport.simplex import sparse_simplex
from banach.transport.solution import Problem, Solution, first_solution, lowered, raised

EACH = 16
"""Number of pairs of each row in the first round, about."""
SLOW = 0.7
"""A round that closes a smaller share of the gap doubles the number of pairs that the next one takes."""
FINE = 1e-3
"""Relative gaps below this are beyond the bounds of distances in single precision, if there are many near ties."""
ROUNDS = 100
FEWER = 4
"""Where each pass measures all distances anew, large problems begin with the prices of one with so many times fewer
points."""
_MANY = 8000
_SMALL = 2**31
"""Up to this many products of coordinates double precision is nearly free."""


class ActivePairs:
    """The active pairs, each once, with their distances, which are exact or lower bounds."""

    def __init__(self, m: int):
        self._m = m
        self.keys, self.cost, self.exact = np.empty(0, np.int64), np.empty(0), np.empty(0, bool)

    def add(self, i: np.ndarray, j: np.ndarray, cost: np.ndarray, exact: np.ndarray) -> int:
        """Add pairs; returns how many are new. An exact distance replaces a bound."""
        keys = np.concatenate([self.keys, i * self._m + j])
        costs, exacts = np.concatenate([self.cost, cost]), np.concatenate([self.exact, exact])
        order = np.lexsort((~exacts, keys))
        keys = keys[order]
        first = np.diff(keys, prepend=-1) != 0
        before = len(self.keys)
        self.keys, self.cost, self.exact = keys[first], costs[order][first], exacts[order][first]
        return len(self.keys) - before

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Their rows and columns."""
        return np.divmod(self.keys, self._m)

    def sharpen(self, ground: Ground, spare: np.ndarray) -> None:
        """Measure exactly the pairs that carry mass or soon may, having no more to spare than a bound may be off."""
        tight = np.flatnonzero((spare <= 1e-9) & ~self.exact)
        off = self._measure(ground, tight)
        self._measure(ground, np.flatnonzero((spare <= 2 * off) & ~self.exact))

    def _measure(self, ground: Ground, where: np.ndarray) -> float:
        i, j = np.divmod(self.keys[where], self._m)
        cost = ground.pairs(i, j)
        off = float((cost - self.cost[where]).max(initial=0.0))
        self.cost[where], self.exact[where] = cost, True
        return off


def columns(problem: Problem, potentials: tuple[np.ndarray, np.ndarray] | None = None) -> Solution:
    """The optimum to the relative gap wanted, or the best that was found before the deadline.

    `potentials`, of a critic, a smaller problem or an entropic solver, are where the prices begin; they need not be
    feasible. Without them prices begin at the c-transform of zero.
    """
    best = first_solution(problem)
    problem.tell(best.lower, best.upper, 0, 0)
    if problem.gap(best.lower, best.upper) <= problem.wanted:
        return best
    return _generate(problem, best, potentials)


def _from_fewer(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Potentials from those of a quarter of the points on each side, by a c-transform over these.

    Together that takes a third of a pass, and they are far nearer to the best ones than the c-transform of zero.
    """
    ground, draws = problem.ground, np.random.default_rng(0)
    rows, columns_ = (np.sort(draws.choice(k, k // FEWER, replace=False)) for k in (ground.n, ground.m))
    x, y = ground.x[torch.from_numpy(rows)], ground.y[torch.from_numpy(columns_)]
    few = Ground(ground.metric, x, y, ground.power)
    a, b = problem.a[rows], problem.b[columns_]
    scale = problem.scale * (ground.unit / few.unit) ** ground.power
    small = Problem(few, a, b * (math.fsum(a) / math.fsum(b)), 1e-3, scale, problem.deadline)
    found = _generate(small, first_solution(small), None)
    across = Ground(ground.metric, x, ground.y, ground.power)
    f = torch.from_numpy(found.f * (few.unit / across.unit) ** ground.power).float()
    g = torch.full((ground.m,), math.inf)
    for part, low in across.blocks():
        in_time(problem.deadline)
        g = torch.minimum(g, low.sub_(f[part, None]).amin(0))
    return np.zeros(ground.n), g.double().numpy() * (across.unit / ground.unit) ** ground.power


def _generate(problem: Problem, best: Solution, potentials: tuple[np.ndarray, np.ndarray] | None) -> Solution:
    ground = problem.ground
    small = ground.entries <= FEW or ground.n * ground.m * ground.entries <= _SMALL
    dtype = torch.float64 if small else torch.float32
    each, gap = EACH, math.inf
    try:
        pairs, f, g = _begin(problem, best.plan, potentials, each, dtype)
        for rounds in range(1, ROUNDS + 1):
            plan, f, g, spare = sparse_simplex(problem.a, problem.b, *pairs.places, pairs.cost, f, g)
            if not (np.isfinite(f).all() and np.isfinite(g).all()):
                return best  # the solver failed; what it said before had been checked
            pairs.sharpen(ground, spare)
            best = lowered(problem, best, plan, rounds)
            margin = 0.0 if rounds == 1 else min(4 * gap, 0.03) * best.upper
            priced = price(ground, f, g, each, dtype, margin, problem.deadline)
            best = raised(problem, best, *_feasible(problem, f, g, priced), rounds)
            problem.tell(best.lower, best.upper, rounds, len(pairs.keys))
            now = problem.gap(best.lower, best.upper)
            new = pairs.add(priced.i, priced.j, priced.cost, priced.exact)
            if now <= problem.wanted or (new == 0 and priced.sharp and dtype == torch.float64):
                return best
            slow = now > (1 - SLOW) * gap
            if dtype == torch.float32 and _needs_double(priced, new, slow, now):
                dtype = torch.float64
            elif slow:
                each *= 2
            gap = now
    except OutOfTime:
        pass
    return best


def _needs_double(priced: Priced, new: int, slow: bool, gap: float) -> bool:
    """Whether single precision has nothing more to say: no new pairs, or prices that it cannot tell apart."""
    return new == 0 or (not priced.sharp and (slow or gap < FINE))


def _feasible(problem: Problem, f: np.ndarray, g: np.ndarray, priced: Priced) -> tuple[np.ndarray, np.ndarray]:
    """The potentials less the falls of rows or of columns, whichever costs less."""
    if problem.a @ priced.row_fall > problem.b @ priced.column_fall:
        return f + priced.row_fall, g
    return f, g + priced.column_fall


def _begin(
    problem: Problem, plan: Plan, potentials: tuple[np.ndarray, np.ndarray] | None, each: int, dtype: torch.dtype
) -> tuple[ActivePairs, np.ndarray, np.ndarray]:
    """The first pairs, those of a plan among them, and potentials that none of them violates by much."""
    ground, pairs = problem.ground, ActivePairs(problem.ground.m)
    pairs.add(plan.i, plan.j, ground.pairs(plan.i, plan.j), np.ones(len(plan.i), bool))
    if potentials is None and min(ground.n, ground.m) >= _MANY and not ground.keeps(dtype):
        potentials = _from_fewer(problem)
    g = _least(problem, dtype) if potentials is None else np.asarray(potentials[1], dtype=np.float64)
    f, i, j, cost = _nearest(problem, g, each, dtype)
    pairs.add(i, j, cost, np.zeros(len(i), bool))
    return pairs, f, g


def _least(problem: Problem, dtype: torch.dtype) -> np.ndarray:
    """g_j = min_i d_ij, from below: the c-transform of zero."""
    least = torch.full((problem.ground.m,), math.inf, dtype=dtype)
    for _, low in problem.ground.blocks(dtype):
        in_time(problem.deadline)
        least = torch.minimum(least, low.amin(0))
    return least.double().numpy()


def _nearest(
    problem: Problem, g: np.ndarray, each: int, dtype: torch.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """f_i = min_j d_ij - g_j, from below, and the pairs (i, j, distance) least above f + g, for each row and column."""
    f, found, m = np.empty(problem.ground.n), [], problem.ground.m
    side = torch.from_numpy(g).to(dtype)
    for rows, low in problem.ground.blocks(dtype):
        in_time(problem.deadline)
        reduced = low.sub_(side)
        in_row = reduced.amin(1)
        f[rows] = in_row.double().numpy()
        reduced.sub_(in_row[:, None])
        at = chosen(reduced, reduced.amin(0), each, math.inf)
        r, j = np.divmod(at, m)
        found.append((r + rows.start, j, reduced.view(-1)[torch.from_numpy(at)].double().numpy()))
    i, j, spare = joined(found)
    kept = thinned(i, j, spare, each)
    i, j = i[kept], j[kept]
    return f, i, j, spare[kept] + f[i] + side.double().numpy()[j]


def thinned(i: np.ndarray, j: np.ndarray, spare: np.ndarray, each: int) -> np.ndarray:
    """Places of the pairs that are among the `each` with the least to spare of their row or of their column.

    >>> thinned(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 2]), np.array([3.0, 1.0, 2.0, 1.0]), 1).tolist()
    [0, 1, 3]
    """
    kept = np.zeros(len(i), bool)
    for side in (i, j):
        order = np.lexsort((spare, side))
        first = np.flatnonzero(np.diff(side[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        kept[order[rank < each]] = True
    return np.flatnonzero(kept)
