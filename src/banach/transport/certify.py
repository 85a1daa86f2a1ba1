"""From a solver's result to an interval that is valid whatever the solver did, and the certificate that proves it.

Potentials and plan are put back on the samples as they were given and valued anew, with sums by `math.fsum`. What
float64 may lose in measuring distances and in weighing is taken off the lower end and added to the upper one, once for
these distances and once more for those of whoever checks them (`verify`).
"""

import math
from dataclasses import dataclass

import numpy as np

from banach.operators.operator import SMALLEST, UNIT
from banach.transport.couplings import NO_MOVES, Plan, misplaced, repaired
from banach.transport.estimate import Certificate, TransportError
from banach.transport.ground import Ground
from banach.transport.line_check import LINE_UNIT
from banach.transport.pricing import OutOfTime, transform
from banach.transport.samples import Reduced, Samples
from banach.transport.solution import Solution

_THRICE = 3.01
"""The rounding of this measurement, of the checker's, and what the checker leaves room for; with what is of second
order."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """An interval in the data's units with the certificate that proves it."""

    lower: float
    upper: float
    certificate: Certificate


def bounds(
    whole: Ground,
    small: Ground | None,
    rest: Reduced,
    found: Solution | None,
    equal: bool,
    deadline: float = math.inf,
) -> Bounds:
    """The interval of the given samples (`whole`) from a solution of what remained of them (`small`).

    Without a solution next to nothing has to be moved: nothing at all, and the upper end is 0, of `equal` samples.
    """
    given, unit = rest.given, whole.unit**whole.power
    f, g, plan, raw = np.zeros(whole.n), np.zeros(whole.m), rest.spread(NO_MOVES), 0.0
    if found is not None and small is not None:
        ratio = (small.unit / whole.unit) ** whole.power
        try:
            f, g = (one * ratio for one in _everywhere(small, rest, found, deadline))
            raw = float(np.abs(f).max() + np.abs(g).max())  # of this size were the numbers that were rounded
            f, g = _lowered(whole, *_centred(f, g, given))
        except OutOfTime:  # where mass stays, potentials take as long as a pass: without them 0 is the lower end
            pass
        if not (np.isfinite(f).all() and np.isfinite(g).all()):  # a solver that rounding has overcome proves nothing
            f, g = np.zeros(whole.n), np.zeros(whole.m)
        plan = repaired(rest.spread(found.plan), given.a, given.b)
    worth = (math.fsum(given.a * f) + math.fsum(given.b * g)) / given.total
    room = 96 * UNIT * max(raw, float(np.abs(f).max() + np.abs(g).max())) + 96 * SMALLEST
    if whole.power == 1 and math.prod(whole.x.shape[1:]) == 1:  # solved and checked by sums of positions
        room += 64 * LINE_UNIT * whole.farthest / whole.unit
    lower = max(0.0, worth - room)
    upper = 0.0 if equal else _cost(whole, rest, plan)
    if lower > upper:
        raise TransportError(
            f"a lower end of {lower * unit:.17g} lies above an upper end of {upper * unit:.17g}: {whole.metric!r} is "
            f"no metric, or its distances are rougher than {whole.near:.1g} of themselves (Metric.roundoff)"
        )
    return Bounds(lower * unit, upper * unit, Certificate(f * unit, g * unit, plan.i, plan.j, plan.mass / given.total))


def _lowered(whole: Ground, f: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Potentials below the true distances, and below those that anybody measures in float64, less their rounding.

    With a distance c as measured here and e = off_i + off_j, the true one is at least (c - e)/(1 + near), another
    measurement at least that less as much again, and its own lower bound less that once more: (1 - 3 near) c - 3 e. Its
    power r is at least (1 - 3 near)^r c^r - 3 r reach^(r - 1) e for r >= 1, and the same less (3 e)^r for r < 1.
    """
    r, share = whole.power, max(0.0, 1 - _THRICE * whole.near) ** whole.power * (1 - 64 * UNIT)
    steep = (
        _THRICE * r * (1 + _THRICE * sum(float(one.max()) for one in whole.off)) ** (r - 1)
    )  # no distance is above 1 unit
    off_x, off_y = (steep * one if r >= 1 else (_THRICE * one) ** r for one in whole.off)
    return f * share - off_x, g * share - off_y


def _cost(whole: Ground, rest: Reduced, plan: Plan) -> float:
    """What the plan costs at most, whoever measures it in float64, and what its marginals lack at the largest cost."""
    given, (off_x, off_y) = rest.given, whole.off
    high = (
        whole.distances(plan.i, plan.j) * (1 + _THRICE * whole.near) + _THRICE * (off_x[plan.i] + off_y[plan.j])
    ) ** whole.power
    high[rest.groups_x[plan.i] == rest.groups_y[plan.j]] = 0.0  # one point, twice
    cost = math.fsum(plan.mass * high) / given.total * (1 + 32 * UNIT)
    lost = misplaced(plan, given.a, given.b) / given.total
    for at, n in ((plan.i, whole.n), (plan.j, whole.m)):  # a sum of k masses is off by k u of itself
        lost += UNIT * float((np.bincount(at, minlength=n) + 12) @ np.bincount(at, plan.mass, n)) / given.total
    return cost + lost * whole.reach()


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
