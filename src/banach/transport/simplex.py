"""The network simplex of POT, on dense tables and on sparse lists of pairs; the only place where POT is called."""

import math
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from banach.transport.couplings import Plan
from banach.transport.estimate import TransportError
from banach.transport.solution import Problem, Solution, solution

_PIVOTS = 2**40


def optimal_transport() -> ModuleType:
    """The package POT, imported at its first use."""
    import ot

    return ot


def _sparse(values: np.ndarray, places: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]) -> Any:
    """A sparse table; scipy is imported at its first use."""
    from scipy.sparse import coo_array

    return coo_array((values, places), shape=shape)


def _emd(
    a: np.ndarray, b: np.ndarray, costs: np.ndarray, table: Any, **options: Any
) -> tuple[Any, np.ndarray, np.ndarray]:
    """POT's plan and potentials, of masses that are brought to a mean of about 1 for it.

    It takes flows below 1e-15 or so for none, and ends the process where products of masses leave the range of float64,
    as those of two histograms may do that agree but for their tails. Costs that are not finite would not end at all.
    """
    if not np.isfinite(costs).all():
        raise TransportError("a distance is not finite; divide all samples by their scale")
    shift = -math.frexp(math.fsum(a) / len(a))[1]
    a, b = np.ldexp(a, shift), np.ldexp(b, -math.frexp(math.fsum(b) / len(b))[1])
    b *= math.fsum(a) / math.fsum(b)  # where all but rounding was cancelled, little is left of equal masses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the result is checked by whoever uses it, whatever the solver says of it
        plan, log = optimal_transport().emd(a, b, table, numItermax=_PIVOTS, log=True, **options)
    if isinstance(plan, np.ndarray):
        plan = np.ldexp(plan, -shift)
    else:
        plan.data = np.ldexp(plan.data, -shift)
    return plan, np.asarray(log["u"]), np.asarray(log["v"])


def sparse_simplex(
    a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray, cost: np.ndarray, f: np.ndarray, g: np.ndarray
) -> tuple[Plan, np.ndarray, np.ndarray, np.ndarray]:
    """The best plan that uses only the pairs (i, j), its potentials, and what each pair's cost exceeds them by.

    The simplex is given what the costs exceed f_i + g_j by: that changes neither the best plan nor, but for f and g,
    the potentials, and from potentials near the best ones it ends several times sooner.
    """
    reduced = cost - f[i] - g[j]
    found, u, v = _emd(a, b, reduced, _sparse(reduced, (i, j), (len(a), len(b))), center_dual=False)
    spare = reduced - u[i] - v[j]
    used = found.data > 0
    plan = Plan(found.row[used].astype(np.int64), found.col[used].astype(np.int64), found.data[used])
    return plan, f + u, g + v, spare


def simplex(problem: Problem) -> Solution:
    """The exact optimum by the network simplex on the whole table of distances, (n, m) in float64."""
    table = problem.ground.table()
    plan, u, _ = _emd(problem.a, problem.b, table, table)
    # Whatever the solver's duals are, two half steps of the c-transform make them feasible, and lose nothing.
    g = (table - u[:, None]).min(0)
    f = (table - g).min(1)
    i, j = np.nonzero(plan)
    return solution(problem, f, g, Plan(i, j, plan[i, j]), 1)
