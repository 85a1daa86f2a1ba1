"""The network simplex of POT, on dense tables and on sparse lists of pairs; the only place where POT is called."""

import warnings
from types import ModuleType
from typing import Any

import numpy as np

from banach.transport.couplings import Plan
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


def sparse_simplex(
    a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray, cost: np.ndarray, f: np.ndarray, g: np.ndarray
) -> tuple[Plan, np.ndarray, np.ndarray, np.ndarray]:
    """The best plan that uses only the pairs (i, j), its potentials, and what each pair's cost exceeds them by.

    The simplex is given what the costs exceed f_i + g_j by: that changes neither the best plan nor, but for f and g,
    the potentials, and from potentials near the best ones it ends several times sooner.
    """
    reduced = cost - f[i] - g[j]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the result is checked by whoever uses it, whatever the solver says of it
        found, log = optimal_transport().emd(
            a, b, _sparse(reduced, (i, j), (len(a), len(b))), numItermax=_PIVOTS, log=True, center_dual=False
        )
    u, v = np.asarray(log["u"]), np.asarray(log["v"])
    spare = reduced - u[i] - v[j]
    used = found.data > 0
    plan = Plan(found.row[used].astype(np.int64), found.col[used].astype(np.int64), found.data[used])
    return plan, f + u, g + v, spare


def simplex(problem: Problem) -> Solution:
    """The exact optimum by the network simplex on the whole table of distances, (n, m) in float64."""
    table = problem.ground.table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, log = optimal_transport().emd(problem.a, problem.b, table, numItermax=_PIVOTS, log=True)
    # Whatever the solver's duals are, two half steps of the c-transform make them feasible, and lose nothing.
    g = (table - np.asarray(log["u"])[:, None]).min(0)
    f = (table - g).min(1)
    i, j = np.nonzero(plan)
    return solution(problem, f, g, Plan(i, j, plan[i, j]), 1)
