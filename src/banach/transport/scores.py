"""Scores made of distances: floors, the excess over them, a permutation test, the energy distance.

W1 of two samples alone ranks blurred images above real ones: its size is mostly that of two samples of *one*
distribution, and samples that vary less lie closer to all others. The excess takes that off. It is half the energy
distance of samples taken as points of a space whose metric is W1: 0 on average where both distributions are the same,
at any number of samples. That space is not of negative type, so for odd pairs of distributions an excess below 0 is
possible; the permutation test is exact for all distributions.

The energy distance of the distributions themselves, 2 E|X - Y| - E|X - X'| - E|Y - Y'|, needs no solver, and a norm of
negative type to be a distance. The norms that embed isometrically in L^1 are these (Bretagnolle, Dacunha-Castelle and
Krivine 1966): L^p with 1 <= p <= 2, since E|<x, S>|^r = c |x|_p^r for 1 <= r < p and a p-stable vector S (for p = 2 a
normal one), which also embeds L^p in L^r; what embeds, behind any linear map; and the L^r sum of norms that embed in
L^r. For p > 2 and three entries or more L^p does not (Dor 1976). With an embedding in L^r, r > 1, energy 0 means the
same distribution: all projections on S then have one, and S comes near every direction. In L^1 energy 0 means only that
the marginals agree, for there it is the sum of the entries' own energy distances.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from banach.spaces import Metric, space
from banach.spaces.properties import negative_type, untold
from banach.transport.confidence import percent
from banach.transport.distance import distance
from banach.transport.estimate import TransportError
from banach.transport.ground import Ground
from banach.transport.line import on_a_line, summed
from banach.transport.permutations import drawn
from banach.transport.pricing import in_time
from banach.transport.samples import Samples, read, reduced

_CONTRAST = ((0, 2, 0.25), (0, 3, 0.25), (1, 2, 0.25), (1, 3, 0.25), (0, 1, -0.5), (2, 3, -0.5))
"""The excess as a sum over pairs of the halves A_1, A_2, B_1, B_2: the places of both, and their weight."""

_NORMAL = 4096
"""Above this size of a half a resampled mean is drawn from its normal limit; below, it takes n draws for each."""


@dataclass(frozen=True)
class Excess:
    """How much farther two samples are from each other than halves of each are from one another, in the data's units.

    `value` = `across` - (`floor_a` + `floor_b`)/2 on halves of `n` samples, 0 on average where A and B have the same
    distribution; [low, high] is its bootstrap interval at `confidence`. `across` is the mean of W1(A_i, B_k) over the
    four pairs of halves, `floor_a` and `floor_b` are W1(A_1, A_2) and W1(B_1, B_2). `shared` of the samples of A are
    in B also, by value; `equal` where both samples are the same, each value as often in both.
    """

    value: float
    low: float
    high: float
    across: float
    floor_a: float
    floor_b: float
    n: int
    confidence: float
    shared: int = 0
    equal: bool = False

    @property
    def apart(self) -> bool:
        """Whether 0 lies outside of the interval, and the two samples are not the same."""
        return not self.equal and (self.low > 0 or self.high < 0)

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        share = f"at {percent(self.confidence)} confidence"
        if self.equal:
            return "identical: A and B hold the same samples, so that nothing distinguishes their distributions"
        if self.low > 0:
            return f"the two differ by more than samples of one distribution do ({share})"
        if self.high < 0:
            why = f", or they share samples ({self.shared:,} of A are in B)" if self.shared else ""
            return f"closer than halves of one distribution ({share}): one of the two varies less than the other{why}"
        return f"no evidence that the distributions differ ({share}, {self.n:,} samples a half)"


def verdict(found: Excess, p_value: float | None, tested: int) -> str:
    """One sentence for an excess and the p-value of a permutation test of `tested` samples of each (None: no test).

    Each may see what the other misses. A p-value of at most 1 - confidence says that the distributions differ.

    >>> verdict(Excess(0.1, -0.1, 0.3, 1.1, 1.0, 1.0, 20, 0.95), 0.025, 40)
    'the distributions differ by a permutation test (p = 0.025), though the excess is not beyond its noise'
    """
    if p_value is None:
        return found.sentence
    p = f"p = {p_value:.3g}"
    if p_value <= 1 - found.confidence and not found.apart:
        return f"the distributions differ by a permutation test ({p}), though the excess is not beyond its noise"
    if p_value > 1 - found.confidence and found.apart:
        return f"{found.sentence}; a permutation test of {tested:,} samples does not see it ({p})"
    return f"{found.sentence}; permutation test: {p}"


def excess(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    metric: str | Metric = "Lp(2)",
    *,
    rel_gap: float = 1e-4,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    deadline: float = math.inf,
) -> Excess:
    """The excess of W1 between two unweighted samples over their own floors, at equal counts, with its interval.

    All four pairs of halves count (two of them would do, with a fifth more noise). Every sample enters by its
    potential: to first order W1 moves with its samples as the means of the potentials do (del Barrio, González-Sanz,
    Loubes, Central limit theorems for general transportation costs, 2024), and so the bootstrap resamples these, half
    by half, and solves nothing anew. To solve again for resampled points, many of which coincide, is another problem:
    such intervals miss the expected excess where one of the distributions is narrow (docs/scores.md).

    Raises `OutOfTime` at the `deadline`, a time of time.monotonic(): six distances make an excess, and none fewer.
    """
    if not 0 < confidence < 1:
        raise TransportError(f"confidence = {confidence!r}; give a share between 0 and 1, such as 0.95")
    given = read(x, y)
    halves = [half for one in drawn(given.x, given.y, torch.Generator().manual_seed(seed)) for half in one.chunk(2)]
    found = [between(halves[i], halves[k], metric, rel_gap, deadline) for i, k, _ in _CONTRAST]
    return contrast(found[:4], found[4], found[5], given, confidence=confidence, resamples=resamples, seed=seed)


@dataclass(frozen=True, eq=False)
class Between:
    """W1 of two halves, and how much each sample of both adds to it: their potentials."""

    cost: float
    f: np.ndarray
    g: np.ndarray


def between(x: Tensor, y: Tensor, metric: str | Metric, rel_gap: float, deadline: float) -> Between:
    """W1 of two halves; `OutOfTime` if the deadline passes."""
    in_time(deadline)
    found = distance(x, y, metric, rel_gap=rel_gap, max_minutes=_minutes_to(deadline))
    if not found.closed:
        in_time(deadline)
    assert found.certificate is not None
    return Between((found.lower + found.upper) / 2, found.certificate.f, found.certificate.g)


def contrast(
    across: list[Between], floor_a: Between, floor_b: Between, given: Samples, *, confidence: float, resamples: int,
    seed: int,
) -> Excess:  # fmt: skip
    """The excess from W1 between the halves of A and those of B (in the order of `_CONTRAST`), and within each."""
    found, n = [*across, floor_a, floor_b], len(floor_a.f)
    influences = np.zeros((4, n))
    for (i, k, weight), one in zip(_CONTRAST, found, strict=True):
        influences[i] += weight * one.f
        influences[k] += weight * one.g
    value = sum(weight * one.cost for (_, _, weight), one in zip(_CONTRAST, found, strict=True))
    draws = np.random.default_rng(seed)
    moved = np.zeros(resamples)
    for influence in influences:
        if n > _NORMAL:
            moved += draws.normal(0, influence.std() / math.sqrt(n), resamples)
        else:
            counts = draws.multinomial(n, np.full(n, 1 / n), resamples)
            moved += counts @ (influence - influence.mean()) / n
    low, high = np.quantile(value + moved, [(1 - confidence) / 2, (1 + confidence) / 2])
    points = reduced(given, cancel=True)
    shared, equal = int(np.isin(points.groups_x, points.groups_y).sum()), not len(points.a) and not len(points.b)
    apart = sum(one.cost for one in across) / 4
    return Excess(value, float(low), float(high), apart, floor_a.cost, floor_b.cost, n, confidence, shared, equal)


def _minutes_to(deadline: float) -> float | None:
    return None if deadline == math.inf else max(1e-9, (deadline - time.monotonic()) / 60)


def energy_distance(
    x: Tensor | np.ndarray, y: Tensor | np.ndarray, metric: str | Metric = "Lp(2)", *, deadline: float = math.inf
) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| without bias, from all pairs (Székely and Rizzo 2013); in the data's units.

    At least 0 for distributions, and 0 only where they are equal, in norms of (strictly) negative type: Hilbert norms
    and L^p, 1 < p <= 2; for p = 1 also, but not strictly. `TransportError` in other norms. An estimate may come out
    below 0. Raises `OutOfTime` at the `deadline`, a time of time.monotonic().

    >>> round(energy_distance(torch.zeros(3, 2), torch.ones(4, 2), "Lp(2)"), 6)
    2.828427
    """
    metric = space(metric)
    if not negative_type(metric):
        raise TransportError(
            f"the energy distance needs a norm of negative type, and {metric!r} is none{untold(metric)}; "
            "take a Hilbert norm, Lp(p) with 1 <= p <= 2, or Sobolev(s, p) with such p"
        )
    given = read(x, y)
    n, m = len(given.x), len(given.y)
    if min(n, m) < 2:
        raise TransportError("the energy distance needs two samples at least on each side")
    across, inside, other = (
        _summed(metric, one, two, deadline) for one, two in ((given.x, given.y), (given.x, given.x), (given.y, given.y))
    )
    return 2 * across / (n * m) - inside / (n * (n - 1)) - other / (m * (m - 1))


def _summed(metric: Metric, x: Tensor, y: Tensor, deadline: float) -> float:
    ground, sums = Ground(metric, x, y, kept=0), []
    if (line := on_a_line(ground)) is not None:
        return summed(line.x, line.y) * line.scale * ground.unit
    for _, low in ground.blocks(torch.float64):
        in_time(deadline)
        sums.append(float(low.sum()))
    return math.fsum(sums) * ground.unit
