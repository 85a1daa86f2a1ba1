"""Samples of one number each: transport, c-transforms and sums of distances in closed form, by sorting.

Every norm of one number is a multiple of |x|. For costs |x - y|^r with r >= 1, which are convex, the coupling that
keeps the order is optimal (Santambrogio 2015, Optimal Transport for Applied Mathematicians, section 2.2). Its dual
potential has for r = 1 slope sign(G - F), with F and G the distribution functions, and for r > 1 it is found by walking
along the coupling, on which f_i + g_j = c_ij.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from banach.spaces import Metric, Space
from banach.transport.couplings import Plan
from banach.transport.ground import Ground
from banach.transport.solution import Problem, Solution, solution

_LONG = np.longdouble
"""For sums of many terms: 64 digits where the machine has them, else 53 (then potentials prove a little less)."""


@dataclass(frozen=True, eq=False)
class Line:
    """Positions x (n,) and y (m,) with d(x_i, y_j)^power = (scale |x_i - y_j|)^power, in the ground's units."""

    x: np.ndarray
    y: np.ndarray
    scale: float
    power: float

    def cost(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """d^power between positions, pair by pair."""
        length = np.abs(x - y) * self.scale
        return length if self.power == 1 else length**self.power


def on_a_line(ground: Ground) -> Line | None:
    """The positions of the samples; None where they are more than one number, in a metric with no form, below power 1.

    >>> from banach import Lp
    >>> ground = Ground(Lp(3), torch.tensor([[1.0], [3.0]]), torch.tensor([[4.0]]))
    >>> found = on_a_line(ground)
    >>> (found.cost(found.x, found.y) * ground.unit).tolist()
    [3.0, 1.0]
    """
    if ground.places is None or ground.power < 1 or math.prod(ground.x.shape[1:]) != 1:
        return None
    x, y = (one.reshape(-1).double().numpy() for one in (ground.x, ground.y))
    largest = max(np.abs(x).max(), np.abs(y).max())
    size = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest > 0 else 1.0  # dividing by it rounds nothing
    return Line(x / size, y / size, _length(ground.metric, ground.x[:1], size) / ground.unit, ground.power)


def _length(metric: Metric, like: torch.Tensor, size: float) -> float:
    assert isinstance(metric, Space)
    return float(metric.norm(torch.full_like(like, size, dtype=torch.float64)))


def sorted_line(problem: Problem, line: Line) -> Solution:
    """The optimum: the coupling in order, and its potentials, made feasible by a c-transform."""
    rows, columns = np.argsort(line.x, kind="stable"), np.argsort(line.y, kind="stable")
    i, j, mass, along_rows = _staircase(problem.a[rows], problem.b[columns])
    g = np.empty(len(columns))
    if line.power == 1:
        g = -_potential(line, problem.a, problem.b)
    else:
        cost = line.cost(line.x[rows[i]], line.y[columns[j]])
        steps = np.where(along_rows, 0.0, np.diff(cost)).astype(_LONG)
        g[columns[j]] = np.concatenate([cost[:1], cost[0] + np.cumsum(steps)])
    f = transform(line, g)
    best = solution(problem, f, g, Plan(rows[i], columns[j], mass))
    problem.tell(best.lower, best.upper, 0, len(i))
    return best


def _staircase(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cells (i, j) from the first to the last of both, one step down or right at a time, with what is moved in each.

    The last array says which of the steps are to the next row. Every row and every column is passed.
    """
    ends = np.concatenate([np.cumsum(a)[:-1], np.cumsum(b)[:-1]])
    order = np.argsort(ends, kind="stable")
    down = order < len(a) - 1
    i, j = (np.concatenate([[0], np.cumsum(one)]) for one in (down, ~down))
    return i, j, np.diff(ends[order], prepend=0.0, append=max(math.fsum(a), ends.max(initial=0.0))), down


def _potential(line: Line, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """phi(y_j), where phi falls with slope 1 where F > G, rises where F < G, and is level where they are equal."""
    places = np.concatenate([line.x, line.y])
    order = np.argsort(places, kind="stable")
    excess = np.cumsum(np.concatenate([a, -b])[order])[:-1]
    excess[np.abs(excess) <= 2.0**-52 * math.fsum(a)] = 0.0  # of weights: what rounding leaves
    steps = -np.sign(excess) * np.diff(places[order].astype(_LONG))
    phi = np.empty(len(places), _LONG)
    phi[order] = np.concatenate([[0.0], np.cumsum(steps)])
    return (phi[len(a) :] * line.scale).astype(np.float64)


def transform(line: Line, g: np.ndarray) -> np.ndarray:
    """The c-transform f_i = min_j d(x_i, y_j)^power - g_j, in O((n + m) log(n + m))."""
    rows, columns = np.argsort(line.x, kind="stable"), np.argsort(line.y, kind="stable")
    f = np.empty(len(rows))
    x, y, g = line.x[rows], line.y[columns], g[columns]
    f[rows] = _lipschitz(x, y, g, line.scale) if line.power == 1 else _monotone(line, x, y, g)
    return f


def _lipschitz(x: np.ndarray, y: np.ndarray, g: np.ndarray, scale: float) -> np.ndarray:
    """Power 1: the least of scale (x - y_j) - g_j over y_j to the left, and of scale (y_j - x) - g_j to the right."""
    origin = y[0].astype(_LONG)  # what all positions have in common is not to round their differences
    x, y, g = (x.astype(_LONG) - origin) * scale, (y.astype(_LONG) - origin) * scale, g.astype(_LONG)
    left = np.concatenate([[np.inf], np.minimum.accumulate(-y - g)])
    right = np.concatenate([np.minimum.accumulate((y - g)[::-1])[::-1], [np.inf]])
    at = np.searchsorted(y, x)
    return np.minimum(left[at] + x, right[at] - x).astype(np.float64)


def _monotone(line: Line, x: np.ndarray, y: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Powers above 1: the best j does not fall as x grows, so that of a row lies between those of its neighbours.

    Rows are done at every 2^k-th place, then those half-way between: each time about m + n costs in all.
    """
    n, m = len(x), len(y)
    f, best = np.empty(n), np.zeros(n + 1, np.int64)  # best[0] is that of a row before the first
    step = 1 << n.bit_length() - 1
    while step:
        rows = np.arange(step, n + 1, 2 * step)
        after = rows + step
        low, high = best[rows - step], np.where(after <= n, best[np.minimum(after, n)], m - 1)
        counts = high - low + 1
        starts = np.cumsum(counts) - counts
        which = np.repeat(np.arange(len(rows)), counts)
        j = np.arange(len(which)) - (starts - low)[which]
        values = line.cost(x[rows - 1][which], y[j]) - g[j]
        least = np.minimum.reduceat(values, starts)
        hits = np.flatnonzero(values == least[which])
        best[rows], f[rows - 1] = j[hits[np.searchsorted(hits, starts)]], least
        step //= 2
    return f


def summed(x: np.ndarray, y: np.ndarray) -> float:
    """sum over i and j of |x_i - y_j|.

    >>> summed(np.array([0.0, 1.0]), np.array([3.0, 1.0]))
    6.0
    """
    y = np.sort(y)
    x, y = x.astype(_LONG) - y[0], y.astype(_LONG) - y[0]
    below, at = np.concatenate([[0.0], np.cumsum(y)]), np.searchsorted(y, x)
    return float((x * (2 * at - len(y)) - 2 * below[at] + below[-1]).sum())
