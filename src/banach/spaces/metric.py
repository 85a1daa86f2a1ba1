"""The base classes of metrics and normed spaces, and the pairing of vectors with covectors."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from banach.norms.embedding import Coordinates, coordinates
from banach.norms.structure import Block, Form, bind, leaves, off_by
from banach.numerics import at_least_float32, p_norm, unit_vectors
from banach.operators.operator import UNIT, Event
from banach.specs import Registry, SpecError

SPACES = Registry("space", bare="build", parts=("space", "operator"))


def pair(u: Float[Tensor, "b *event"], x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
    """The pairing <u, x> = sum of u * x over all axes but the first."""
    return (u * x).flatten(1).sum(1)


class Metric(ABC):
    """A distance between data points: enough for penalties on pairs and for exact transport."""

    remeasured: ClassVar[bool] = False
    """Whether the class overrides the norm or distance of its base class, whose other properties then do not hold."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own, measures = vars(cls), ("norm", "distance")
        if not any(name in own for name in measures):
            return
        others = (vars(one) for one in cls.__mro__[1:] if one.__module__ != __name__)  # neither Metric nor Space
        cls.remeasured = any(name in one for one in others for name in measures)
        if "pairwise" not in own:
            cls.pairwise = Metric.pairwise  # an inherited table would be that of another distance
        if "form" not in own and "composition" not in own:
            cls.form = Metric.form  # and an inherited form that of another norm
        if cls.remeasured and "emphasis" not in own:
            cls.emphasis = property(_unknown_emphasis)  # pyright: ignore[reportAttributeAccessIssue]

    @abstractmethod
    def distance(self, x: Shaped[Tensor, "b *event"], y: Shaped[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        """d(x_i, y_i) for each i; shape (b,), in the data's units."""

    def pairwise(self, x: Shaped[Tensor, "n *event"], y: Shaped[Tensor, "m *event"]) -> Float[Tensor, "n m"]:
        """d(x_i, y_j) for all i and j, in blocks of at most about 16 million numbers."""
        rows = max(1, 2**24 // max(1, y.numel()))
        blocks = []
        for block in x.split(rows):
            left = block.repeat_interleave(len(y), 0)
            blocks.append(self.distance(left, y.repeat(len(block), *[1] * (y.ndim - 1))).view(len(block), len(y)))
        return torch.cat(blocks)

    def form(self) -> Form | None:
        """The norm as nested p-norms of linear images of x - y (`banach.norms`); None where it is not given.

        All that the package knows about a norm follows from it (`banach.spaces.properties`): bounds, kernels, critics.
        """
        return None

    @property
    def emphasis(self) -> str:
        """What it weighs, in one plain sentence; a class that does not say has the first line of its docstring."""
        return (type(self).__doc__ or "its own notion of size").strip().split("\n")[0]

    @property
    def trivial(self) -> bool:
        """Whether all points that differ have distance 1: the metric then has no slope anywhere."""
        return False

    @property
    def computed(self) -> bool:
        """Whether distances are computed by iteration, and so are approximate; see `Space.tolerance`."""
        return False

    @property
    def mapped(self) -> bool:
        """Whether samples are mapped before they are measured; then one of them is subtracted first."""
        return False

    def roundoff(self, event: Event) -> float:
        """The relative rounding error of a distance in float64, given its coordinates.

        (k + 64) 2^-53 where the norm sums k numbers, in any order (Higham 2002, section 3.1). Of a metric of your own
        this is what is taken as given; override it where distances are rougher.
        """
        return (math.prod(event) + 64) * UNIT

    def rounding(self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
        """The rounding error of each sample as the metric sees it in float64: a distance in the metric.

        So |computed - d(x, y)| <= rounding(x) + rounding(y) + roundoff d(x, y). A metric of your own is taken to see
        samples as they are: 0. `off` is how far x itself may lie from the sample, in l^2.
        """
        del off
        return torch.zeros(len(x), dtype=torch.float64)


def _unknown_emphasis(of: Metric) -> str:
    return f"what {of!r} weighs"


class Space(Metric):
    """A normed space of data, together with its dual."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = vars(cls)
        if cls.remeasured and "norm" in own and "dual" not in own:
            cls.dual = property(_unsaid)  # pyright: ignore[reportAttributeAccessIssue]

    @abstractmethod
    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        """The length of each x_i; shape (b,)."""

    @property
    @abstractmethod
    def dual(self) -> "Space":
        """The space of covectors: dual.norm(u) = max of pair(u, x) over norm(x) <= 1."""

    def distance(self, x: Float[Tensor, "b *event"], y: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        """norm(x_i - y_i)."""
        return self.norm(x - y)

    def align(self, u: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        """The direction of steepest ascent of each covector: x with norm(x) = 1 and pair(u, x) = dual.norm(u).

        It is 0 where u is 0, and one of several maximisers where there are several. A constant for autograd. It is the
        gradient of the dual norm at u (Danskin's theorem), in other words the duality map from the dual into the space.

        >>> from banach import Lp
        >>> Lp(2).align(torch.tensor([[3.0, 4.0]])), Lp(float("inf")).align(torch.tensor([[3.0, -4.0]]))
        (tensor([[0.6000, 0.8000]]), tensor([[ 1., -1.]]))
        """
        with torch.inference_mode(False), torch.enable_grad():
            u = at_least_float32(u.detach()).clone().requires_grad_()
            (x,) = torch.autograd.grad(self.dual.norm(u).sum(), u)
        return x

    def tolerance(self, dtype: torch.dtype) -> float:
        """The largest relative error of `norm`, which is never too large, in this data type; 0 for a closed form."""
        return 0.0

    @property
    def computed(self) -> bool:
        return self.tolerance(torch.float64) > 0

    def embed(
        self, x: Float[Tensor, "n *event"], origin: Float[Tensor, "1 *event"] | None = None
    ) -> Coordinates | None:
        """Coordinates in which distances are L^p distances, or L^p norms of such: transform once, compare often.

        Float64, but for `Lp` itself, whose coordinates are the samples as they are; None where the norm has no `form`.
        `origin`, a point among the samples, is taken off first: what all have in common is then not rounded.

        >>> from banach import Sobolev
        >>> space, x, y = Sobolev(s=1), torch.rand(4, 1, 8, 8), torch.rand(5, 1, 8, 8)
        >>> table = torch.cdist(space.embed(x).values, space.embed(y).values)
        >>> torch.allclose(table, space.pairwise(x.double(), y.double()))
        True
        """
        form = self.form()
        return None if form is None else coordinates(form, x, origin)

    @property
    def mapped(self) -> bool:
        form = self.form()
        return form is not None and any(not isinstance(one, Block) for leaf in leaves(form) for one in leaf.maps)

    def roundoff(self, event: Event) -> float:
        form = self.form()
        terms = math.prod(event) if form is None else sum(one.size for one in bind(form, event))
        return (terms + 64) * UNIT

    def rounding(self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
        """The rounding error of the norm's linear maps at x, in the norm.

        Derived for every map from its condition and the size of the data (`Operator.rounding`). Data with a centre
        taken off are smaller; `off` is what that rounded.

        >>> from banach import Lp, Sobolev
        >>> x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
        >>> float(Lp(2).rounding(x)), bool(0 < Sobolev(s=1).rounding(x) < 1e-12)
        (0.0, True)
        """
        off = torch.zeros(len(x), dtype=torch.float64) if off is None else off
        form = self.form()
        if form is not None:
            return off_by(form, x, off)
        return off if not off.any() else off * _unit_length(self, tuple(x.shape[1:]))

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        """The part of x that the norm measures: all of it, except in spaces of mean-free data."""
        return x


def _unsaid(space: Space) -> Space:
    raise SpecError(
        f"{type(space).__name__} overrides norm, but inherits the dual of another norm; define its dual, or derive it "
        "from NormOnly, which computes it"
    )


def _unit_length(space: Space, event: Event) -> float:
    """A number C with norm(x) <= C |x|_2, by the triangle inequality: the l^2 norm of the unit vectors' lengths."""
    return 1.01 * float(p_norm(torch.cat([space.norm(units) for units in unit_vectors(event)])[None], 2))
