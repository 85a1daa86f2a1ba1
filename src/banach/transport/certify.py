"""From a solver's result to an interval that holds whatever the solver did, and the certificate that proves it.

Potentials and plan are put back on the samples as they were given and valued anew, with sums by `math.fsum`. What
float64 may lose in measuring distances and in weighing is taken off the lower end and added to the upper one.
"""

import math
from dataclasses import dataclass

import numpy as np

from banach.transport.couplings import NO_MOVES, misplaced, repaired
from banach.transport.estimate import Certificate
from banach.transport.ground import Ground
from banach.transport.price import OutOfTime, transform
from banach.transport.samples import Reduced, Samples
from banach.transport.solution import Solution


def slack(entries: int, reach: float) -> float:
    """What rounding may change a bound by: (entries + 64) 2^-52 of a number that no distance is above.

    A sum of `entries` products in float64, in any order, is off by less than entries 2^-53 of the sum of their sizes
    (Higham 2002, section 3.1); the rest is for the norm's other operations, the weights and the potentials.
    """
    return (entries + 64) * 2.0**-52 * reach


@dataclass(frozen=True, eq=False)
class Bounds:
    """An interval in the data's units with the certificate that proves it."""

    lower: float
    upper: float
    certificate: Certificate


def bounds(
    whole: Ground, small: Ground | None, rest: Reduced, found: Solution | None, deadline: float = math.inf
) -> Bounds:
    """The interval of the given samples (`whole`) from a solution of what remained of them (`small`)."""
    given, unit = rest.given, whole.unit**whole.power
    reach = whole.reach()
    if found is None or small is None:  # nothing had to be moved
        f, g, plan = np.zeros(whole.n), np.zeros(whole.m), rest.spread(NO_MOVES)
    else:
        ratio = (small.unit / whole.unit) ** whole.power
        try:
            f, g = _everywhere(small, rest, found, deadline)
        except OutOfTime:  # where mass stays, potentials take as long as a pass: without them 0 is the lower end
            f, g = np.zeros(whole.n), np.zeros(whole.m)
        f, g = _centred(f * ratio, g * ratio, given)
        if not (np.isfinite(f).all() and np.isfinite(g).all()):  # a solver that rounding has overcome proves nothing
            f, g = np.zeros(whole.n), np.zeros(whole.m)
        plan = repaired(rest.spread(found.plan), given.a, given.b)
    distances = whole.pairs(plan.i, plan.j)
    lost = misplaced(plan, given.a, given.b) / given.total
    cost = math.fsum(plan.mass * distances) / given.total
    worth = (math.fsum(given.a * f) + math.fsum(given.b * g)) / given.total
    room = slack(whole.entries, reach)
    equal = not len(rest.a) and not len(rest.b)
    upper = 0.0 if equal else cost + lost * reach + room
    lower = max(0.0, worth - room)
    if lower > upper + 2 * room:
        raise ArithmeticError(f"a lower bound of {lower * unit} above an upper bound of {upper * unit}")
    mass = plan.mass / given.total
    return Bounds(min(lower, upper) * unit, upper * unit, Certificate(f * unit, g * unit, plan.i, plan.j, mass))


def _centred(f: np.ndarray, g: np.ndarray, given: Samples) -> tuple[np.ndarray, np.ndarray]:
    """f + c and g - c with equal means: then they are as small as they get, and so is their rounding."""
    c = float(given.b @ g - given.a @ f) / given.total / 2
    return f + c, g - c


def _everywhere(small: Ground, rest: Reduced, found: Solution, deadline: float) -> tuple[np.ndarray, np.ndarray]:
    """Potentials on all given samples from those on what remained.

    Where mass stays, at z, f(z) = phi(z) and g(z) = -phi(z) with phi(z) = min_j d(z, y_j) - g_j over the remaining y:
    phi is 1-Lipschitz and at least f, so all pairs stay feasible, and what stays adds nothing to E f + E g.
    """
    count = len(rest.members)
    f, g = np.full(count, -np.inf), np.full(count, -np.inf)
    f[rest.rows], g[rest.columns] = found.f, found.g
    both = np.flatnonzero(rest.stays)
    if len(both):
        between = Ground(small.metric, rest.points(both), small.y, small.power)
        ratio = (small.unit / between.unit) ** small.power
        phi = transform(between, found.g * ratio, deadline=deadline) / ratio
        f[both], g[both] = phi, -phi
    f, g = f[rest.groups_x], g[rest.groups_y]
    # Samples without mass have no say: their potentials are low enough for every pair.
    f[f == -np.inf], g[g == -np.inf] = -max(0.0, g.max()), -max(0.0, f.max())
    return f, g
