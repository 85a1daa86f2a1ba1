"""Confidence bounds from held-out samples: means of bounded numbers, and the diameter of a support in a norm.

What is a bound is moved outwards by a part in 10^9, far more than float64 rounds in it.
"""

import math
from dataclasses import dataclass
from decimal import Decimal

import torch
from torch import Tensor

from banach.spaces import Metric, Space
from banach.spaces.properties import box_radius
from banach.transport.estimate import TransportError

OUTWARDS = 1e-9


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which rows of a sample belong to one group, groups being independent draws; each row by itself without `of`.

    `of` (n,): the number of each row's group, from 0. `doubtful` (groups,): which groups hold a row that equals one of
    another group, so that they are independent draws or copies; a bound then has to hold either way.
    """

    of: Tensor | None = None
    doubtful: Tensor | None = None

    def means(self, values: Tensor) -> Tensor:
        """The mean of each group: of independent groups, these are independent numbers in the same interval.

        >>> Grouping(torch.tensor([0, 1, 0])).means(torch.tensor([1.0, 5.0, 3.0], dtype=torch.float64))
        tensor([2., 5.], dtype=torch.float64)
        """
        if self.of is None:
            return values.double()
        count = torch.bincount(self.of)
        return torch.zeros(len(count), dtype=torch.float64).index_add_(0, self.of, values.double()) / count

    def count(self, rows: Tensor) -> int:
        """The number of groups of these rows."""
        return len(rows) if self.of is None else int(self.of.max()) + 1

    def drawn(self, n: int, most: int, rng: torch.Generator) -> Tensor:
        """Rows, at most so many (n are there): each of a group drawn at random."""
        if self.of is None:
            return torch.randint(n, (min(most, n),), generator=rng)
        count = torch.bincount(self.of)
        group = torch.randint(len(count), (min(most, n),), generator=rng)
        place = (torch.rand(len(group), generator=rng, dtype=torch.float64) * count[group]).long()
        return self.of.argsort()[(count.cumsum(0) - count)[group] + place]

    def mean(self, values: Tensor, extent: float, delta: float, worst: float) -> tuple[float, float]:
        """The mean over groups, and how far it may lie off its expectation, see `margin`.

        Doubtful groups count as `worst` in the mean. If they are draws, that is on the safe side of the mean of all
        groups; if they are copies, of the mean of the others, which then are what was drawn. So is the larger margin.
        """
        found = self.means(values)
        slack = margin(found, extent, delta)
        if self.doubtful is not None:
            slack = max(slack, margin(found[~self.doubtful], extent, delta))
            found = torch.where(self.doubtful, worst, found)
        return math.fsum(found.tolist()) / len(found), slack


EACH = Grouping()
"""Each row is independent of the others."""


def check_confidence(confidence: float) -> float:
    """`confidence` as a float; TransportError unless it lies between 0 and 1."""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence < 1:
        raise TransportError(f"confidence = {confidence!r}; choose a number between 0 and 1, such as 0.95")
    return float(confidence)


def percent(share: float) -> str:
    """A share in per cent with all of its digits: 99.9% is not 100%.

    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{(Decimal(repr(share)) * 100).normalize():f}%"


def margin(values: Tensor, extent: float, delta: float) -> float:
    """How far the mean of independent numbers in an interval of length `extent` may lie off their expectation.

    sqrt(2 V ln(2/delta)/n) + 7 R ln(2/delta)/(3 (n - 1)) with the sample variance V and R = `extent`: on one side, with
    probability at least 1 - delta (Maurer and Pontil 2009, theorem 4). R must be known beforehand: the range of the
    sample itself in its place fails where rare values are large.

    >>> margin(torch.zeros(101, dtype=torch.float64), 1.0, 2 / math.e)  # no variance is left: 7/300
    0.0233...
    """
    n = len(values)
    if n < 2:
        raise TransportError(f"a confidence bound from {n} held-out samples; give at least 2 of each")
    log = math.log(2 / delta)
    variance = float(values.double().var())
    return math.sqrt(2 * variance * log / n) + 7 * extent * log / (3 * (n - 1))


@dataclass(frozen=True)
class Clamp:
    """The interval that a critic's values are clamped to, fixed before the held-out samples are seen."""

    low: float
    high: float

    @property
    def extent(self) -> float:
        return self.high - self.low

    def __call__(self, f: Tensor) -> Tensor:
        return f.clamp(self.low, self.high)


def lower_bound(
    f_x: Tensor,
    f_y: Tensor,
    clamp: Clamp,
    lipschitz: float,
    delta: float,
    groups: tuple[Grouping, Grouping] = (EACH, EACH),
) -> float:
    """(E_P f - E_Q f)/L with the clamped f, less both margins; at most W1(P, Q) with probability at least 1 - delta.

    `f_x`, `f_y`: the values at samples of P and Q which neither f nor the clamp depends on, in independent groups. Each
    sample has delta/2, and the two may depend on each other. Never below 0, which always holds.
    """
    above, slack = groups[0].mean(clamp(f_x), clamp.extent, delta / 2, clamp.low)
    below, other = groups[1].mean(clamp(f_y), clamp.extent, delta / 2, clamp.high)
    return max(0.0, (above - below - (slack + other)) / lipschitz)


def choose_clamp(
    f_x: Tensor,
    f_y: Tensor,
    lipschitz: float,
    delta: float,
    held_out: tuple[int, int],
    groups: tuple[Grouping, Grouping] = (EACH, EACH),
) -> tuple[Clamp, float]:
    """The clamp that promises the largest lower bound, by the samples that select, for so many held-out groups of each.

    Among the intervals between quantiles of the values, from all of them to the middle 80%: to cut rare values costs
    some of the gap and saves range.
    """
    pooled = torch.cat([f_x, f_y])
    best, chosen = -math.inf, Clamp(float(pooled.min()), float(pooled.max()) + 1e-12)
    for cut in (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1):
        low, high = (float(one) for one in torch.quantile(pooled, torch.tensor([cut, 1 - cut], dtype=pooled.dtype)))
        clamp = Clamp(low, max(high, low + 1e-12))
        a, b = (one.means(clamp(f)) for one, f in zip(groups, (f_x, f_y), strict=True))
        slack = sum(
            math.sqrt(2 * float(one.var()) * math.log(4 / delta) / n) + 7 * clamp.extent * math.log(4 / delta) / (3 * n)
            for one, n in zip((a, b), held_out, strict=True)
        )
        promise = (float(a.mean() - b.mean()) - slack) / lipschitz
        if promise > best:
            best, chosen = promise, clamp
    return chosen, best


def upper_from_diameter(empirical: float, n: int, m: int, diameter: float, delta: float, shared: int = 0) -> float:
    """W1(P_n, Q_m) + D sqrt(ln(1/delta)/2 (1/n + 1/m + 2 k/(n m))): at least W1(P, Q) with probability 1 - delta.

    E W1(P_n, Q_m) >= W1(P, Q) by convexity. One draw moves it by at most D/n or D/m; one of the k = `shared` draws that
    have a part in both samples (a pair: k = n = m) by D/n + D/m (McDiarmid).
    """
    squares = 1 / n + 1 / m + 2 * shared / (n * m)
    return (empirical + diameter * math.sqrt(math.log(1 / delta) / 2 * squares)) * (1 + OUTWARDS)


def upper_from_pairs(distances: Tensor, diameter: float, delta: float, groups: Grouping = EACH) -> float:
    """The mean distance of coupled samples plus its margin: at least W1(P, Q) with probability at least 1 - delta."""
    return sum(groups.mean(distances, diameter, delta, diameter)) * (1 + OUTWARDS)


def box_diameter(space: Metric, shape: tuple[int, ...], low: float, high: float) -> float:
    """An upper bound of the distance of two points whose entries all lie in [low, high], in the norm.

    (high - low) times `box_radius`, which is attained for L^p, masks and their products. The trivial metric: 1.

    >>> from banach import Lp
    >>> box_diameter(Lp(2), (1, 28, 28), 0, 1)
    28.0
    """
    if not -math.inf < low < high < math.inf:
        raise TransportError(f"support box:{low:g},{high:g}; give finite entries, the least first, as in box:0,1")
    if not high - low < math.inf:
        raise TransportError(f"support box:{low:g},{high:g} is wider than float64 holds; state a smaller one")
    if space.trivial:
        return 1.0
    if not isinstance(space, Space):
        raise TransportError(f"{space!r} is a metric, not a norm: give its diameter as a number (--diameter)")
    return (high - low) * box_radius(space, shape)


@dataclass(frozen=True)
class Support:
    """The stated support of both distributions: its diameter in the norm, and the box if it is one."""

    diameter: float
    said: str
    box: tuple[float, float] | None = None

    def check(self, space: Metric, x: Tensor, y: Tensor) -> None:
        """Raise TransportError if the samples contradict what was stated."""
        if self.box is not None:
            low, high = self.box
            least, most = (float(torch.stack([f(x), f(y)]).max()) for f in (lambda z: -z.amin(), torch.amax))
            if -least < low or most > high:
                raise TransportError(
                    f"support box:{low:g},{high:g}, but the samples have entries from {-least:.9g} to {most:.9g}; "
                    "state a support that holds both distributions, not only what was drawn"
                )
        n = min(len(x), len(y))
        farthest = float(space.distance(x[:n].double(), y[:n].double()).max())
        if farthest > self.diameter * (1 + 1e-9):
            raise TransportError(
                f"{self.said} is {self.diameter:g}, but two samples are {farthest:g} apart; state a larger one"
            )


def support(
    said: str | None,
    diameter: float | None,
    space: Metric,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
) -> Support | None:
    """The support that `box:0,1` or a number states, None for None; TransportError if it cannot be read.

    The ends of a box are as samples of this type have them: 0.1 in float32 is a little more than 0.1.
    """
    if diameter is not None:
        if not 0 < diameter < math.inf:
            raise TransportError(f"diameter = {diameter!r}; give a positive number, in the units of the norm")
        return Support(float(diameter), "the stated diameter")
    if said is None:
        return None
    kind, _, numbers = said.partition(":")
    try:
        low, high = (float(one) for one in numbers.split(","))
    except ValueError:
        low = high = math.nan
    if kind != "box" or not low < high:
        raise TransportError(f"support {said!r} cannot be read; write for example box:0,1")
    ends = torch.tensor([low, high], dtype=torch.float64).to(dtype).tolist()
    low, high = min(low, ends[0]), max(high, ends[1])
    return Support(box_diameter(space, shape, low, high), f"the diameter of the box [{low:g}, {high:g}]", (low, high))
