"""Normed spaces and their duals: what the whole package is about.

A `Space` says how long a vector is, `norm(x)`, and knows its dual. There is one pairing, `pair(u, x) = sum(u * x)`, so
the gradient that autograd returns *is* a covector, and its length is `space.dual.norm(gradient)`. A function f is
L-Lipschitz in the space if and only if `dual.norm(grad f) <= L` everywhere (Banach WGAN, Lemma 1).

| you care about            | space                  | so the norm weighs                                  |
|---------------------------|------------------------|-----------------------------------------------------|
| nothing in particular     | `Lp(2)`                | every pixel alike                                   |
| outliers                  | `Lp(4)`, …, `Lp(inf)`  | the largest differences most                        |
| sparse differences        | `Lp(1)`                | all differences alike, however small                |
| global shape              | `Sobolev(s=-1)`        | low frequencies                                     |
| edges                     | `Sobolev(s=1)`         | high frequencies                                    |
| a channel, a region       | `Weighted(Scale(…), …)`| entries by a weight or a mask                       |
| correlated coordinates    | `Weighted(Matrix(…), …)`| directions by a matrix (Mahalanobis)               |
| several parts             | `Product(p, (…), (…))` | each part in its own norm                           |

A space of your own is a frozen dataclass with `norm` and `dual`; registered with an example, the laws test it.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from banach.numerics import at_least_float32, check_exponent, conjugate, p_norm
from banach.operators import Bessel, Operator
from banach.specs import Registry, SpecError, spell_call, spelled

SPACES = Registry("space", bare="build")

INTENTS = {
    "l2": "Lp(2)",
    "shape": "Sobolev(s=-1, p=2)",
    "edges": "Sobolev(s=1, p=2)",
    "outliers": "Lp(4)",
}


def pair(u: Float[Tensor, "b *event"], x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
    """The pairing <u, x> = sum of u * x over all axes but the first."""
    return (u * x).flatten(1).sum(1)


class Metric(ABC):
    """A distance between data points, and nothing more: enough for pair penalties and for exact transport."""

    @abstractmethod
    def distance(self, x: Float[Tensor, "b *event"], y: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        """d(x_i, y_i) for each i; shape (b,), in the data's units."""

    def pairwise(self, x: Float[Tensor, "n *event"], y: Float[Tensor, "m *event"]) -> Float[Tensor, "n m"]:
        """d(x_i, y_j) for all i and j, in blocks of at most about 16 million numbers."""
        rows = max(1, 2**24 // max(1, y.numel()))
        blocks = []
        for block in x.split(rows):
            left = block.repeat_interleave(len(y), 0)
            blocks.append(self.distance(left, y.repeat(len(block), *[1] * (y.ndim - 1))).view(len(block), len(y)))
        return torch.cat(blocks)


class Space(Metric):
    """A normed space of data, together with its dual."""

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

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        """The part of x that the norm measures: all of it, but for spaces of mean-free data."""
        return x


def _conjugate_pair(p: float, q: float | None, where: str) -> tuple[float, float]:
    p = check_exponent(p, where)
    return p, conjugate(p) if q is None else q


@SPACES.register(examples=["Lp(1)", "Lp(1.5)", "Lp(2)", "Lp(4)", "Lp(10)", "Lp(inf)"])
@dataclass(frozen=True, repr=False)
class Lp(Space):
    """(sum |x_i|^p)^(1/p) over all entries, 1 <= p <= inf; dual L^q with 1/p + 1/q = 1 (Banach WGAN, eq. 6).

    >>> Lp(2).norm(torch.tensor([[3.0, 4.0]])), Lp(4).dual
    (tensor([5.]), Lp(p=1.3333333333333333))
    """

    p: float = 2.0
    # The exponent p came from, when this is a dual: taking the conjugate twice in floating point does not give it back.
    q: float | None = dataclasses.field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self):
        p, q = _conjugate_pair(self.p, self.q, f"Lp({self.p})")
        object.__setattr__(self, "p", p)
        object.__setattr__(self, "q", q)

    def __repr__(self) -> str:
        return spell_call("Lp", (), {"p": self.p})

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        return p_norm(x, self.p)

    @property
    def dual(self) -> "Lp":
        return Lp(self.q, q=self.p)

    def pairwise(self, x: Float[Tensor, "n *event"], y: Float[Tensor, "m *event"]) -> Float[Tensor, "n m"]:
        x, y = at_least_float32(x).flatten(1), at_least_float32(y).flatten(1)
        scale = torch.maximum(x.detach().abs().max(), y.detach().abs().max()).clamp_min(torch.finfo(x.dtype).tiny)
        # Differences, not matrix products: |x|^2 + |y|^2 - 2 x.y loses all digits where x is close to y.
        mode = "donot_use_mm_for_euclid_dist"
        return scale * torch.cdist(x / scale, y / scale, p=self.p, compute_mode=mode)


@SPACES.register(
    examples=[
        "Weighted(Scale((1, 2, 0.5)), Lp(3))",
        "Weighted(Matrix(((2, 1, 0), (0, 1, 0), (0.5, 0, 1))), Lp(3))",
        "Weighted(Compose(Scale((1, 2, 0.5)), Bessel(s=-1)), Lp(1.5))",
    ]
)
@dataclass(frozen=True, repr=False)
class Weighted(Space):
    """B.norm(A x) for an invertible linear map A; dual norm B.dual.norm((A^-1)* u) (Banach WGAN, appendix A)."""

    A: Operator
    B: Space

    def __post_init__(self):
        if not isinstance(self.A, Operator) or not isinstance(self.B, Space):
            raise SpecError(
                f"Weighted({self.A!r}, {self.B!r}): give an operator and a space, as in Weighted(Scale((1, 2)), Lp(2))"
            )

    def __repr__(self) -> str:
        return _sobolev_spelling(self) or spell_call("Weighted", (self.A, self.B))

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        # Parseval spares the inverse transform when the outer norm is Euclidean.
        return self.A.l2_norm(x) if isinstance(self.B, Lp | MeanFree) and self.B.p == 2 else self.B.norm(self.A(x))

    @property
    def dual(self) -> "Weighted":
        return Weighted(self.A.inverse.adjoint, self.B.dual)

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        return self.A.domain(x)

    def pairwise(self, x: Float[Tensor, "n *event"], y: Float[Tensor, "m *event"]) -> Float[Tensor, "n m"]:
        return self.B.pairwise(self.A(x), self.A(y))


@SPACES.register(
    examples=[
        "Sobolev(s=-1, p=2)",
        "Sobolev(s=-1.5, p=2)",
        "Sobolev(s=1, p=2)",
        "Sobolev(s=0.5, p=1.5)",
        "Sobolev(s=-1, p=1)",
        "Sobolev(s=-1, p=inf)",
        "Sobolev(s=1, p=4, scale='paper')",
        "Sobolev(s=1, p=3, length=2)",
        "Sobolev(s=1, p=2, length=1, boundary='even')",
        "Sobolev(s=-1, p=1.5, boundary='even')",
        "Sobolev(s=-1, p=2, homogeneous=True)",
        "Sobolev(s=1, p=3, homogeneous=True)",
    ],
    summary="|(1 + c |xi|^2)^(s/2) x|_p: negative s weighs global shape, positive s weighs edges",
)
def Sobolev(
    s: float,
    p: float = 2.0,
    scale: float | str | None = None,
    length: float | tuple[float, ...] | None = None,
    boundary: str = "periodic",
    homogeneous: bool = False,
) -> Weighted:
    """The Sobolev space W^{s,p}: the L^p norm of F^-1[(1 + c |xi|^2)^(s/2) F x], any real s, on 1 to 3 spatial axes.

    Negative s weighs low frequencies (global shape), positive s high ones (edges); the dual is W^{-s,q}. Data are
    (b, channels, *spatial); each channel is filtered apart, then one p-norm is taken over all entries. See `Bessel` for
    the frequencies, `scale`, `boundary` and `homogeneous`. With `length`, the physical extent, the norm is that of
    functions: it carries the cell volume and converges under refinement. (Banach WGAN, eq. 7; the published code.)

    >>> Sobolev(s=-1).dual
    Sobolev(s=1)
    """
    p = check_exponent(p, f"Sobolev(s={s}, p={p})")
    cell = 1 / p if length is not None else 0.0
    bessel = Bessel(s, scale, length, boundary, homogeneous, cell)
    return Weighted(bessel, MeanFree(p) if homogeneous else Lp(p))


def _sobolev_spelling(space: Weighted) -> str:
    """`Sobolev(…)` when that is what the space is, else ''. A dual with `length` has another cell power: it is not."""
    A, B = space.A, space.B
    if not isinstance(A, Bessel) or type(B) is not (MeanFree if A.homogeneous else Lp):
        return ""
    if A.cell != (1 / B.p if A.length is not None else 0.0):
        return ""
    fields = {"s": A.s, "p": B.p, "scale": A.scale, "length": A.length, "boundary": A.boundary}
    defaults = {"p": 2.0, "scale": None, "length": None, "boundary": "periodic"}
    shown = {key: value for key, value in fields.items() if key not in defaults or value != defaults[key]}
    return spell_call("Sobolev", (), shown | ({"homogeneous": True} if A.homogeneous else {}))


@SPACES.register(examples=["MeanFree(2)", "MeanFree(3)"])
@dataclass(frozen=True, repr=False)
class MeanFree(Space):
    """The L^p norm on data whose every channel has mean 0; the dual is L^q modulo constants."""

    p: float = 2.0
    q: float | None = dataclasses.field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self):
        p, q = _conjugate_pair(self.p, self.q, f"MeanFree({self.p})")
        object.__setattr__(self, "p", p)
        object.__setattr__(self, "q", q)

    def __repr__(self) -> str:
        return spell_call("MeanFree", (), {"p": self.p})

    def norm(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, " b"]:
        return p_norm(x, self.p)

    @property
    def dual(self) -> "Space":
        return self if self.p == 2 else ModConstants(self.q, q=self.p)

    def domain(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        return _mean_free(x)


@SPACES.register(examples=["ModConstants(1.5)", "ModConstants(3)", "ModConstants(inf)", "ModConstants(1)"])
@dataclass(frozen=True, repr=False)
class ModConstants(Space):
    """min over constants k, one per channel, of |x - k|_p: the length of x when its mean does not matter.

    It is the dual of L^q on mean-free data: pair(u, x) then does not see the mean of u. The minimum is found by
    bisection on its increasing derivative, to rounding; its gradient is that of |x - k|_p at the best k (Danskin).
    """

    p: float = 2.0
    q: float | None = dataclasses.field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self):
        p, q = _conjugate_pair(self.p, self.q, f"ModConstants({self.p})")
        object.__setattr__(self, "p", p)
        object.__setattr__(self, "q", q)

    def __repr__(self) -> str:
        return spell_call("ModConstants", (), {"p": self.p})

    def norm(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, " b"]:
        x = at_least_float32(x)
        flat = x.reshape(*x.shape[: min(2, x.ndim - 1)], -1)
        if self.p == math.inf:  # half the range; the gradient then sees the largest and the smallest entry alike
            half = (flat.amax(-1) - flat.amin(-1)) / 2
            return half if half.ndim == 1 else half.amax(1)
        with torch.no_grad():
            centre = _best_constant(flat, self.p)
        return p_norm(flat - centre, self.p)

    @property
    def dual(self) -> "MeanFree":
        return MeanFree(self.q, q=self.p)

    def domain(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        return _mean_free(x)


def _mean_free(x: Tensor) -> Tensor:
    axes = tuple(range(2, x.ndim)) or (1,)
    return x - x.mean(dim=axes, keepdim=True)


def _best_constant(x: Tensor, p: float) -> Tensor:
    """argmin_k |x - k|_p along the last axis, kept as an axis."""
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    if p == 1:  # between the two middle entries, so that as many lie above as below
        ordered, n = x.sort(-1).values, x.shape[-1]
        return (ordered[..., (n - 1) // 2, None] + ordered[..., n // 2, None]) / 2
    if p == 2:
        return x.mean(-1, keepdim=True)
    scale = (high - low).clamp_min(torch.finfo(x.dtype).tiny)
    for _ in range(60 if x.dtype == torch.float64 else 30):
        middle = low + (high - low) / 2
        y = (x - middle) / scale
        rising = (y.sign() * y.abs().pow(p - 1)).sum(-1, keepdim=True) > 0
        low, high = torch.where(rising, middle, low), torch.where(rising, high, middle)
    return low + (high - low) / 2


@SPACES.register(
    examples=[
        "Product(2, (Lp(1), Sobolev(s=-1, p=inf)), (1, 2))",
        "Product(1, (Lp(2), Lp(4)), (2, 1))",
        "Product(inf, (Sobolev(s=1), Lp(1)), (1, 2))",
        "Product(1.5, (Sobolev(s=-1), Lp(1)), ((1, 4, 4), (10,)))",
    ]
)
@dataclass(frozen=True, repr=False)
class Product(Space):
    """The p-norm of the parts' norms (Banach WGAN, appendix A); the dual has q and the parts' duals.

    `sizes` says where the parts are. Channel counts, such as (1, 2): the parts are groups of channels on a common grid,
    data (b, 3, *spatial). Event shapes, such as ((1, 28, 28), (10,)): data are flat, (b, 794), and each block is
    reshaped for its own norm, so that an image and a vector can be one sample.
    """

    p: float
    parts: tuple[Space, ...]
    sizes: tuple[int, ...] | tuple[tuple[int, ...], ...]
    q: float | None = dataclasses.field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self):
        p, q = _conjugate_pair(self.p, self.q, f"Product({self.p}, …)")
        object.__setattr__(self, "p", p)
        object.__setattr__(self, "q", q)
        good = isinstance(self.parts, tuple) and isinstance(self.sizes, tuple) and self.parts
        if not good or len(self.parts) != len(self.sizes) or not all(isinstance(one, Space) for one in self.parts):
            raise SpecError(
                f"Product: parts {self.parts!r} and sizes {self.sizes!r} do not match; "
                "give as many of each, as in Product(2, (Lp(1), Lp(2)), (1, 2))"
            )
        kinds = {type(one) for one in self.sizes}
        counts = [one if isinstance(one, int) else math.prod(one) for one in self.sizes]
        if kinds not in ({int}, {tuple}) or min(counts) < 1:
            raise SpecError(
                f"Product: sizes {self.sizes!r}; give channel counts (1, 2), or shapes ((1, 28, 28), (10,))"
            )

    def __repr__(self) -> str:
        return spell_call("Product", (self.p, self.parts, self.sizes))

    def _split(self, x: Tensor) -> list[Tensor]:
        counts = [one if isinstance(one, int) else math.prod(one) for one in self.sizes]
        if sum(counts) != x.shape[1] or (isinstance(self.sizes[0], tuple) and x.ndim != 2):
            what = "channels" if isinstance(self.sizes[0], int) else "entries, flat as (b, n)"
            raise ValueError(f"{self!r} needs {sum(counts)} {what}; the data are {tuple(x.shape)}")
        blocks = x.split(counts, 1)
        if isinstance(self.sizes[0], int):
            return list(blocks)
        return [block.reshape(-1, *shape) for block, shape in zip(blocks, self.sizes, strict=True)]

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        norms = [part.norm(block) for part, block in zip(self.parts, self._split(x), strict=True)]
        return p_norm(torch.stack(norms, 1), self.p)

    @property
    def dual(self) -> "Product":
        return Product(self.q, tuple(part.dual for part in self.parts), self.sizes, q=self.p)

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        blocks = [part.domain(block) for part, block in zip(self.parts, self._split(x), strict=True)]
        return torch.cat([block.reshape(len(x), -1) for block in blocks], 1).view_as(x)


@SPACES.register(examples=["Discrete()"])
@dataclass(frozen=True)
class Discrete(Metric):
    """The trivial metric: 1 if any entry differs, else 0; its W1 is total variation (Banach WGAN, section 5)."""

    __repr__ = spelled

    def distance(self, x: Bool[Tensor, "b *event"] | Tensor, y: Tensor) -> Float[Tensor, " b"]:
        return at_least_float32((x != y).flatten(1).any(1).to(x.dtype if x.is_floating_point() else torch.float32))


def space(spec: "str | Metric") -> Metric:
    """The space that a spec, an intent name (l2, shape, edges, outliers) or a space itself stands for.

    >>> space("shape")
    Sobolev(s=-1)
    """
    if isinstance(spec, Metric):
        return spec
    try:
        found = SPACES.parse(INTENTS.get(spec.strip().lower(), spec))
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(str(error)) from None
    if not isinstance(found, Metric):
        raise SpecError(f"{spec!r} is no space; for example Sobolev(s=-1)")
    return found


def emphasises(metric: Metric) -> str:
    """What a space weighs, in one plain sentence."""
    match metric:
        case Lp(p=2):
            return "every entry of the data alike"
        case Lp(p=p):
            return "the largest differences most" if p > 2 else "many small differences as much as few large ones"
        case Weighted(A=Bessel(s=s), B=B):
            if s == 0:
                return emphasises(B)
            rest = "" if getattr(B, "p", 2) == 2 else f"; of these, {emphasises(Lp(B.p))}"
            return ("low frequencies: global shape" if s < 0 else "high frequencies: edges and texture") + rest
        case Product(parts=parts):
            return "each part in its own norm: " + "; ".join(emphasises(part) for part in parts)
        case Weighted(A=A, B=B):
            return f"directions as {A!r} weighs them; of these, {emphasises(B)}"
        case Discrete():
            return "only whether two samples are equal"
    return (type(metric).__doc__ or "its own notion of size").strip().split("\n")[0]
