"""The Wasserstein distance of two sample sets in any metric, with an interval that encloses it."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from banach.memory import shortage
from banach.spaces import Metric, Space, space
from banach.transport.axioms import check_metric
from banach.transport.certify import bounds
from banach.transport.columns import columns
from banach.transport.couplings import north_west
from banach.transport.estimate import Estimate, TransportError
from banach.transport.ground import Ground
from banach.transport.line import on_a_line, sorted_line
from banach.transport.samples import Reduced, Samples, equal_distributions, read, reduced
from banach.transport.simplex import simplex
from banach.transport.sinkhorn import sinkhorn
from banach.transport.solution import Problem, Progress, Solution, solution

Method = Literal["auto", "simplex", "columns", "sinkhorn"]
Array = Tensor | np.ndarray

METHODS = {
    "simplex": "the network simplex on the whole table of distances",
    "columns": "column generation: the network simplex on pairs that are added where its prices are violated",
    "sinkhorn": "entropic transport in the log domain: quick and rough",
}
_TABLE = 2**16
"""Up to this many distances the whole table is solved."""
_PLAN_REASON = "the cost of a coupling whose marginals were repaired and checked, in float64"
_SAMPLED = 4096
_ILL = 1e-9
"""If the maps of a norm lose more than this share of a distance, the reasons say so."""


def distance(
    x: Array,
    y: Array,
    metric: str | Metric = "Lp(2)",
    *,
    weights_a: Array | None = None,
    weights_b: Array | None = None,
    rel_gap: float = 0.01,
    method: Method = "auto",
    power: float = 1.0,
    max_minutes: float | None = None,
    critic: Callable[[Tensor], Tensor] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Estimate:
    """W1 of two (weighted) samples (n, *event) and (m, *event), min over couplings of E d(x, y), in an interval.

    The lower end is the value of potentials f_i + g_j <= d(x_i, y_j), the upper one the cost of a coupling, both
    recomputed from what the solver gave (`estimate.certificate`). A solver stops once (upper - lower)/upper is at most
    `rel_gap`, or after `max_minutes` with what it has. `critic`, a function of samples with values (n,), large on `x`,
    gives potentials to begin with. With `power` r the cost is d^r, and the result E d^r, not its root.

    Raises `TransportError` for samples that are empty, not finite or of different shapes, and for weights that are
    negative, sum to zero, or have unequal sums (see POT's unbalanced solvers for these); and for norms that are
    themselves computed (`InfConvolution`, `Dual`).

    >>> import torch
    >>> from banach import distance
    >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> distance(x, x + torch.tensor([3.0, 4.0, 0.0]), "Lp(2)", rel_gap=1e-9)
    Estimate(5 in [5, 5], empirical, simplex)
    """
    began = time.monotonic()
    metric = space(metric)
    _check(rel_gap, power, max_minutes, method)
    _check_exact(metric)
    given = read(x, y, weights_a, weights_b)
    check_metric(metric, given.x, given.y)
    _require(6 * (given.x.nbytes + given.y.nbytes), "transport between these samples", "take fewer of them")
    rest = reduced(given, cancel=power <= 1 or metric.trivial)  # of which every power is itself
    whole = Ground(metric, given.x, given.y, power)
    _check_range(whole)
    scale = _pooled(metric, given, power)
    deadline = math.inf if max_minutes is None else began + 60 * max_minutes
    small, found, name = None, None, "equal samples"
    if len(rest.a) and len(rest.b):  # of weights, rounding may leave some on one side
        x, y = rest.points(rest.rows), rest.points(rest.columns)
        small = whole if x is given.x and y is given.y else Ground(metric, x, y, power)
        problem = Problem(small, rest.a, rest.b, rel_gap, scale / small.unit**power, deadline, report, began)
        name, found = _solved(problem, rest, method, critic)
    # What closed in time is put back without haste; what did not gets as long again.
    equal = equal_distributions(rest, weights_a, weights_b)
    ends = bounds(whole, small, rest, found, equal, deadline + (deadline - began))
    facts = {"rounds": found.rounds if found else 0, "seconds": time.monotonic() - began}
    lost = _lost_in_maps(whole, given, ends.upper)
    reasons = _lower_reason(found) + lost, _PLAN_REASON + lost
    told = Estimate(ends.upper, ends.lower, ends.upper, "empirical", name, reasons)
    asked = {"space": repr(metric), "power": power, "scale": scale, "wanted": rel_gap}
    return dataclasses.replace(told, certificate=ends.certificate, **asked, **facts)


def _check(rel_gap: float, power: float, max_minutes: float | None, method: str) -> None:
    if not 0 <= rel_gap < math.inf:
        raise TransportError(f"rel_gap = {rel_gap!r}; give a share from 0 up, such as 0.01")
    if not 0 < power < math.inf:
        raise TransportError(f"power = {power!r}; the cost is distance^power, give a positive number")
    if max_minutes is not None and not max_minutes > 0:
        raise TransportError(f"max_minutes = {max_minutes!r}; give a positive number of minutes, or leave it out")
    if method not in (*METHODS, "auto"):
        raise TransportError(f"method {method!r} is none of auto, {', '.join(METHODS)}")


def _check_range(whole: Ground) -> None:
    """Raise TransportError if distances, or their power, come near the ends of float64's range."""
    far, power = whole.farthest, whole.power
    if far < math.inf and not all(np.isfinite(one).all() for one in whole.off):
        raise TransportError(
            f"{whole.metric!r} is too ill-conditioned: the rounding error of its map has no bound; regularise it"
        )
    if far == 0:
        return
    if not 2.0**-900 < far < 2.0**1000:
        said = "too large" if not far < 1 else "too small"
        raise TransportError(
            f"distances of up to {far:.3g} are {said} for float64 to bound them; divide all samples by their scale"
        )
    if not -900 < power * math.log2(far) < 1000 or not -900 < power * math.log2(whole.unit) < 1000:
        raise TransportError(
            f"power = {power:g}: distances of up to {far:.3g} to that power leave the range of float64; divide all "
            f"samples by {far:.1g}, or take a power nearer to 1"
        )


def _check_exact(metric: Metric) -> None:
    if metric.computed:
        raise TransportError(
            f"{metric!r}: this norm is itself computed, and a certificate needs exact distances; use one with a formula"
        )


def _solved(
    problem: Problem, rest: Reduced, method: Method, critic: Callable[[Tensor], Tensor] | None
) -> tuple[str, Solution]:
    if problem.ground.metric.trivial:
        return "closed form", _total_variation(problem)
    if method == "auto" and (line := on_a_line(problem.ground)) is not None:
        return "closed form", sorted_line(problem, line)
    if method == "sinkhorn":
        return "sinkhorn", sinkhorn(problem)
    tiny = problem.ground.n * problem.ground.m <= _TABLE and critic is None
    if method == "simplex" or (method == "auto" and tiny):
        _require(32 * problem.ground.n * problem.ground.m, "the table of distances", "choose method columns")
        return "simplex", simplex(problem)
    return "columns", columns(problem, None if critic is None else _values(problem, rest, critic))


def _require(needed: int, what: str, remedy: str) -> None:
    if lacking := shortage(needed, what, remedy):
        raise TransportError(lacking)


def _total_variation(problem: Problem) -> Solution:
    """All remaining points differ, so every move costs 1: any coupling is optimal."""
    ones, zeros = np.ones(problem.ground.n), np.zeros(problem.ground.m)
    return solution(problem, ones / problem.ground.unit**problem.ground.power, zeros, north_west(problem.a, problem.b))


def _values(problem: Problem, rest: Reduced, critic: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """A critic's values as potentials: f on x, and -f on y."""
    unit = problem.ground.unit**problem.ground.power
    values: list[np.ndarray] = []
    for points in (problem.ground.x, problem.ground.y):
        with torch.no_grad():
            found = torch.cat([critic(block).reshape(-1).double() for block in points.split(256)]).numpy() / unit
        if len(found) != len(points) or not np.isfinite(found).all():
            raise TransportError("the critic must give one finite number for each sample")
        values.append(found)
    f, g = values[0], -values[1]
    # Potentials of a distance need not vary by more than the largest one, 1 in these units. Of larger numbers the
    # difference to a distance would be rounded, and prices that begin with them lose their last digits.
    middle, extent = float(g.max()) / 2 + float(g.min()) / 2, float(g.max()) - float(g.min())
    return (f + middle) / max(1.0, extent), (g - middle) / max(1.0, extent)


def _lower_reason(found: Solution | None) -> str:
    if found is None:
        return "no distance is below 0"
    return "the value of potentials f_i + g_j <= d(x_i, y_j), checked for all pairs in float64"


def _lost_in_maps(whole: Ground, given: Samples, value: float) -> str:
    """Words for what an ill-conditioned norm loses of the interval, '' where that is nothing to speak of."""
    lost = float(given.a @ whole.off[0] + given.b @ whole.off[1]) / given.total * whole.unit
    if whole.power != 1 or not lost > _ILL * value:
        return ""
    return (
        f"; the norm's map is ill-conditioned, and float64 may lose {lost:.2g} in it, for which the interval is wider"
    )


def _pooled(metric: Metric, given: Samples, power: float) -> float:
    """The mean distance between two points of the pooled samples, each drawn by its mass, from some thousand pairs."""
    rng = torch.Generator().manual_seed(0)
    up_to = torch.from_numpy(np.concatenate([given.a, given.b])).cumsum(0)
    places = torch.rand(2, _SAMPLED, generator=rng, dtype=torch.float64) * up_to[-1]
    at = torch.searchsorted(up_to, places, right=True).clamp(max=len(up_to) - 1)
    left, right = (_taken(given, one) for one in at)
    rows = max(1, 2**22 // max(1, left[0].numel()))
    blocks = zip(left.split(rows), right.split(rows), strict=True)
    return float(torch.cat([metric.distance(a.double(), b.double()) for a, b in blocks]).pow(power).mean())


def _taken(given: Samples, at: Tensor) -> Tensor:
    n = len(given.x)
    return torch.where(
        (at < n).view(-1, *[1] * (given.x.ndim - 1)),
        given.x[at.clamp(max=n - 1)],
        given.y[(at - n).clamp(min=0)],
    )


def mean_length(x: Array, metric: str | Metric, weights: Array | None = None) -> float:
    """E|X| of a (weighted) sample in a normed space, for scale; NaN in a metric that is no norm."""
    metric = space(metric)
    if not isinstance(metric, Space):
        return math.nan
    given = read(x, x, weights, weights)
    lengths = torch.cat([metric.norm(block.double()) for block in given.x.split(1024)]).numpy()
    return float(given.a @ lengths) / given.total
