"""The reach of features: how far they move when a sample moves by 1 in a normed space."""

import functools
import math
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.errors import BanachError
from banach.norms.structure import bind
from banach.spaces import Metric, Space
from banach.spaces.properties import euclidean_length, steepness
from banach.specs import SpecError

_NUMBERS = 2**24

_ARITHMETIC = 1e-12
"""The relative error of a map in l^2: up to this it is arithmetic, beyond it the map's entries are inaccurate.

A seminorm does not bound |x|_2. There what the arithmetic loses is that of any sum, and no matter of the function.
"""


class UnprovenError(BanachError):
    """A layer or a space for which no bound is known; the message names it."""


@dataclass(frozen=True)
class Reach:
    """Lipschitz constants of x -> h(x) from a normed space: into L-inf (`sup`) and into L^2 (`l2`), both proven.

    `shape` is that of one sample's features. `event` is the shape of x while h is x itself, in whatever shape: a linear
    layer's rows then have exact lengths, those in the dual norm. None afterwards.
    """

    space: Metric
    shape: tuple[int, ...]
    sup: float
    l2: float
    event: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """The number of features."""
        return math.prod(self.shape)

    def then(self, shape: tuple[int, ...], sup: float, l2: float) -> "Reach":
        """The reach after another map, each constant improved by the other: |h|_inf <= |h|_2 <= sqrt(n) |h|_inf.

        What is no number, such as 0 times inf, says nothing.
        """
        sup, l2 = (math.inf if math.isnan(one) else one for one in (sup, l2))
        return Reach(self.space, shape, min(sup, l2), min(l2, math.prod(shape) ** 0.5 * sup))

    def __add__(self, other: "Reach") -> "Reach":
        """The reach of the sum of two maps of x into features of one shape."""
        if self.shape != other.shape:
            raise UnprovenError(f"a sum of features of shapes {self.shape} and {other.shape}")
        return self.then(self.shape, self.sup + other.sup, self.l2 + other.l2)


def reach_of_samples(space: Metric, shape: tuple[int, ...]) -> Reach:
    """The reach of x -> x: the largest dual norm of a unit vector, and the least known C with |x|_2 <= C norm(x).

    `UnprovenError` for a metric without a dual norm; BanachError where the space refuses the shape. A seminorm, which
    does not see means, reaches infinitely far: only what leaves the means alone is Lipschitz in it.
    """
    if not isinstance(space, Space):
        raise UnprovenError(f"{space!r} has no dual norm")
    try:
        return _remembered(space, shape) if isinstance(space, Hashable) else _measured(space, shape)
    except SpecError as unsaid:  # its dual
        raise UnprovenError(str(unsaid)) from None


def _measured(space: Space, shape: tuple[int, ...]) -> Reach:
    n = math.prod(shape)
    rows = max(1, _NUMBERS // n)
    sup = max(float(steepness(space, _units(start, rows, n).view(-1, *shape)).max()) for start in range(0, n, rows))
    length = euclidean_length(space, shape)
    l2 = n**0.5 * sup if length is None else min(length, n**0.5 * sup)
    return Reach(space, shape, min(sup, l2), l2, shape)


_remembered = functools.lru_cache(maxsize=64)(_measured)


def _units(start: int, rows: int, n: int) -> Tensor:
    count = min(rows, n - start)
    units = torch.zeros(count, n, dtype=torch.float64)
    units[torch.arange(count), start + torch.arange(count)] = 1.0
    return units


def distortion(space: Metric, shape: tuple[int, ...]) -> float:
    """How much steeper a function that is 1-Lipschitz in a norm as computed in float64 may be in the norm itself.

    For all x, |computed norm(x) - norm(x)| <= distortion * norm(x): of each leaf of the form, what its maps lose of
    |x|_2 and of their own result, over the norm. 0 where nothing is mapped; infinite where no bound is known.
    """
    form = space.form()
    if form is None:
        return _formless(space, shape)
    length = euclidean_length(space, shape)
    off = []
    for leaf in bind(form, shape):
        lost, excess = leaf.rounding, abs((1 / leaf.p if leaf.p < math.inf else 0.0) - 0.5)
        if length is None and lost.absolute > _ARITHMETIC * lost.gain:  # a seminorm, whose |x|_2 is not bounded by it
            return math.inf
        off.append(leaf.size**excess * (lost.absolute * (length or 0.0) + lost.relative))
    return sum(off)


def _formless(space: Metric, shape: tuple[int, ...]) -> float:
    """The distortion where no form is told: of a unit vector, if it is but the arithmetic's own, else unknown."""
    unit = torch.zeros(1, *shape, dtype=torch.float64)
    unit.view(-1)[0] = 1.0
    lost = float(space.rounding(unit))
    if lost == 0:
        return 0.0
    length = float(space.norm(unit)) if isinstance(space, Space) else 0.0
    share = lost / length if length > 0 else math.inf
    return share * unit.numel() ** 0.5 if share <= _ARITHMETIC else math.inf
