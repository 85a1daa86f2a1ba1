"""What a distance says about a sample: floors, the excess over them, a permutation test, the energy distance.

W1 of two samples alone ranks blurred images above real ones: its size is mostly that of two samples of *one* law, and
samples that vary less lie closer to all others. The excess takes that off. It is half the energy distance of samples
taken as points of a space whose metric is W1: 0 on average where both laws are one, at any number of samples. That
space is not of negative type, so for odd pairs of laws an excess below 0 is possible; the permutation test is exact for
all laws.

The energy distance of the laws themselves, 2 E|X - Y| - E|X - X'| - E|Y - Y'|, needs no solver, and a norm of negative
type to be a distance. The norms that embed isometrically in L^1 are these (Bretagnolle, Dacunha-Castelle and Krivine
1966): L^p with 1 <= p <= 2, since E|<x, S>|^r = c |x|_p^r for 1 <= r < p and a p-stable vector S (for p = 2 a normal
one), which also embeds L^p in L^r; what embeds, behind any linear map; and the L^r sum of norms that embed in L^r. For
p > 2 and three entries or more L^p does not (Dor 1976). With an embedding in L^r, r > 1, energy 0 means one law: all
projections on S then have one, and S comes near every direction. In L^1 energy 0 means only that the marginals agree,
for there it is the sum of the entries' own energy distances.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from banach.spaces import Lp, MeanFree, Metric, Product, Weighted, space
from banach.transport.distance import distance
from banach.transport.estimate import Certificate, Estimate, TransportError
from banach.transport.ground import Ground
from banach.transport.network import optimal_transport
from banach.transport.samples import read

LEAST = 8
"""Samples that each side must have at least."""

_CONTRAST = ((0, 2, 0.25), (0, 3, 0.25), (1, 2, 0.25), (1, 3, 0.25), (0, 1, -0.5), (2, 3, -0.5))
"""The excess as a sum over pairs of the halves A_1, A_2, B_1, B_2: the places of both, and their weight."""


@dataclass(frozen=True)
class Excess:
    """How much farther two samples are from each other than halves of each are from one another, in the data's units.

    `value` = `across` - (`floor_a` + `floor_b`)/2 on halves of `n` samples, 0 on average where A and B have one law;
    [low, high] is its bootstrap interval at `confidence`. `across` is the mean of W1(A_i, B_k) over the four pairs of
    halves, `floor_a` and `floor_b` are W1(A_1, A_2) and W1(B_1, B_2).
    """

    value: float
    low: float
    high: float
    across: float
    floor_a: float
    floor_b: float
    n: int
    confidence: float

    @property
    def sentence(self) -> str:
        """What that means, in plain words."""
        share = f"at {self.confidence:.0%} confidence"
        if self.low > 0:
            return f"the two differ by more than samples of one law do ({share})"
        if self.high < 0:
            return f"closer than halves of one law are ({share}): one of the two varies less than the other"
        return f"no evidence that the laws differ ({share}, {self.n:,} samples a half)"


def excess(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    metric: str | Metric = "Lp(2)",
    *,
    rel_gap: float = 1e-4,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Excess:
    """The excess of W1 between two unweighted samples over their own floors, at equal counts, with its interval.

    All four pairs of halves count (two of them would do, with a fifth more noise). Every sample enters by its
    potential: to first order W1 moves with its samples as the means of the potentials do (del Barrio, González-Sanz,
    Loubes, Central limit theorems for general transportation costs, 2024), and so the bootstrap resamples these, half
    by half, and solves nothing anew. To solve again for resampled points, many of which coincide, is another problem:
    such intervals miss the expected excess where one of the laws is narrow (docs/scores.md).
    """
    if not 0 < confidence < 1:
        raise TransportError(f"confidence = {confidence!r}; give a share between 0 and 1, such as 0.95")
    given = read(x, y)
    rng = torch.Generator().manual_seed(seed)
    halves = [half for one in _drawn(given.x, given.y, rng) for half in one.chunk(2)]
    n = len(halves[0])
    costs, influences = [], np.zeros((len(halves), n))
    for i, k, weight in _CONTRAST:
        found = distance(halves[i], halves[k], metric, rel_gap=rel_gap)
        proof = _certificate(found)
        costs.append(_middle(found))
        influences[i] += weight * proof.f
        influences[k] += weight * proof.g
    value = sum(weight * cost for (_, _, weight), cost in zip(_CONTRAST, costs, strict=True))
    draws = np.random.default_rng(seed)
    moved = np.zeros(resamples)
    for influence in influences:
        counts = draws.multinomial(n, np.full(n, 1 / n), resamples)
        moved += counts @ (influence - influence.mean()) / n
    low, high = np.quantile(value + moved, [(1 - confidence) / 2, (1 + confidence) / 2])
    across, floor_a, floor_b = sum(costs[:4]) / 4, costs[4], costs[5]
    return Excess(value, float(low), float(high), across, floor_a, floor_b, n, confidence)


def _drawn(x: Tensor, y: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Equally many of both, an even number, in random order."""
    n = min(len(x), len(y)) // 2 * 2
    if n < LEAST:
        raise TransportError(f"{min(len(x), len(y))} samples are too few to halve; give at least {LEAST} on each side")
    x, y = (one[torch.randperm(len(one), generator=rng)[:n]] for one in (x, y))
    return x, y


def _middle(found: Estimate) -> float:
    return (found.lower + found.upper) / 2


def _certificate(found: Estimate) -> Certificate:
    assert found.certificate is not None
    return found.certificate


def permutation_p(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    metric: str | Metric = "Lp(2)",
    *,
    permutations: int = 199,
    most: int = 300,
    seed: int = 0,
) -> float:
    """The p-value of "A and B have one law": how often W1 of a random split of both together is at least theirs.

    Equal counts, at most `most` of each; exact whatever the law, as all splits are then equally likely: P(p <= t) <= t.
    """
    given = read(x, y)
    rng = torch.Generator().manual_seed(seed)
    a, b = (one[:most] for one in _drawn(given.x, given.y, rng))
    both, n = torch.cat([a, b]), len(a)
    table = Ground(space(metric), both, both).table()
    uniform = np.ones(n)
    splits = [np.arange(2 * n)] + [torch.randperm(2 * n, generator=rng).numpy() for _ in range(permutations)]
    emd2 = optimal_transport().emd2
    costs = [emd2(uniform, uniform, table[np.ix_(s[:n], s[n:])], numItermax=2**40) for s in splits]
    # Rounding must not decide between equal splits.
    atleast = sum(float(cost) >= float(costs[0]) * (1 - 1e-12) for cost in costs)
    return atleast / len(costs)


def energy_distance(x: Tensor | np.ndarray, y: Tensor | np.ndarray, metric: str | Metric = "Lp(2)") -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| without bias, from all pairs (Székely and Rizzo 2013); in the data's units.

    At least 0 for laws, and 0 only where these are one, in norms of (strictly) negative type: Hilbert norms and L^p,
    1 < p <= 2; for p = 1 also, but not strictly. `TransportError` in other norms. An estimate may come out below 0.

    >>> round(energy_distance(torch.zeros(3, 2), torch.ones(4, 2), "Lp(2)"), 6)
    2.828427
    """
    metric = space(metric)
    if not negative_type(metric):
        raise TransportError(
            f"the energy distance needs a norm of negative type, and {metric!r} is none that is known to be; "
            "take a Hilbert norm, Lp(p) with 1 <= p <= 2, or Sobolev(s, p) with such p"
        )
    given = read(x, y)
    n, m = len(given.x), len(given.y)
    if min(n, m) < 2:
        raise TransportError("the energy distance needs two samples at least on each side")
    across, inside, other = (
        _summed(metric, one, two) for one, two in ((given.x, given.y), (given.x, given.x), (given.y, given.y))
    )
    return 2 * across / (n * m) - inside / (n * (n - 1)) - other / (m * (m - 1))


def _summed(metric: Metric, x: Tensor, y: Tensor) -> float:
    ground = Ground(metric, x, y, kept=0)
    return math.fsum(float(low.sum()) for _, low in ground.blocks(torch.float64)) * ground.unit


def negative_type(metric: Metric, largest: float = 2.0, least: float = 1.0) -> bool:
    """Whether the norm is known to be of negative type: it embeds into L^1.

    L^q embeds into L^p for 1 <= p <= q <= 2, so p-norms with p up to 2 of such parts with exponents from p to 2 do.
    """
    if isinstance(metric, Weighted):
        return negative_type(metric.B, largest, least)
    if isinstance(metric, Lp | MeanFree):
        return least <= metric.p <= largest
    if isinstance(metric, Product):
        return least <= metric.p <= largest and all(negative_type(part, largest, metric.p) for part in metric.parts)
    return False


def blind_spot(metric: Metric) -> str:
    """What an energy distance of 0 leaves open in a norm of negative type, in words; '' where it means equal laws.

    >>> blind_spot(Lp(1.5)), blind_spot(Lp(1))
    ('', 'sees each part of a sample by itself, not how the parts go together')
    """
    if negative_type(metric) and not negative_type(metric, least=math.nextafter(1, 2)):
        return "sees each part of a sample by itself, not how the parts go together"
    return ""
