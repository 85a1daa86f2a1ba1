"""Norms made of two norms, and their duals: intersections, infimal convolutions, total variation."""

import dataclasses
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import Differences, Leaf, Node
from banach.numerics import Exponent, at_least_float32, p_norm
from banach.operators.operator import Event
from banach.spaces.computed import ComputedNorm, NormOnly, check_tolerance
from banach.spaces.lp import Lp
from banach.spaces.mean_free import MeanFree, ModConstants
from banach.spaces.metric import SPACES, Space
from banach.specs import Source, SpecError, spell_call


@SPACES.register(
    examples=[
        "Intersection(1, Lp(1), Sobolev(s=-1))",
        "Intersection(inf, Lp(2), Weighted(Scale(2), Lp(inf)))",
        "Intersection(1.5, Lp(4), Sobolev(s=-1, p=1.5))",
        "Intersection(1, Lp(2), Intersection(4, Lp(1), Weighted(Matrix(((2, 1), (0, 1))), Lp(3))))",
        "Intersection(2, Lp(2), Sobolev(s=1))",
    ],
    source=Source("Bergh and Loefstroem 1976 (Interpolation Spaces)", "theorem 2.7.1", unverified="from memory"),
)
@dataclass(frozen=True, repr=False)
class Intersection(NormOnly):
    """The p-norm of two norms of the same data: |(A.norm(x), B.norm(x))|_p, 1 <= p <= inf.

    Its dual is `InfConvolution` with q: the cheapest way to split u into v + w, |(A.dual.norm(v), B.dual.norm(w))|_q.
    That norm is computed, to the relative accuracy `tol` (1e-3 in float32, 1e-7 in float64 where it is None).

    >>> Intersection(1, Lp(2), Lp(1)).norm(torch.tensor([[3.0, 4.0]]))
    tensor([12.])
    """

    p: float
    A: Space
    B: Space
    tol: float | None = None

    def __post_init__(self):
        _check(self, "Intersection")
        for one in (self.A, self.B):
            if one.computed:
                raise SpecError(
                    f"Intersection: the norm of {one!r} is itself computed, and two cannot be nested; "
                    "intersect spaces whose norms are formulas"
                )

    def __repr__(self) -> str:
        return spell_call("Intersection", (self.p, self.A, self.B), _given(self.tol))

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        return p_norm(torch.stack([self.A.norm(x), self.B.norm(x)], 1), self.p)

    @property
    def dual(self) -> Space:
        if isinstance(self.A, NormOnly) or isinstance(self.B, NormOnly):
            return super().dual
        return InfConvolution(Exponent(self.p).dual, self.A.dual, self.B.dual, self.tol)

    @property
    def emphasis(self) -> str:
        return f"two things at once: {self.A.emphasis}; and {self.B.emphasis}"

    def composition(self) -> Node | None:
        parts = [one.composition() if isinstance(one, NormOnly) else one for one in (self.A, self.B)]
        known = all(one is not None and (isinstance(one, Node) or one.form() is not None) for one in parts)
        return Node(self.p, tuple(parts)) if known and _duals_known(*parts) else None

    def at_least(self) -> tuple[Space, ...]:
        return tuple(one for one in (self.A, self.B) if _duals_known(one))

    @property
    def mapped(self) -> bool:
        return self.A.mapped or self.B.mapped

    def rounding(self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
        return p_norm(torch.stack([self.A.rounding(x, off), self.B.rounding(x, off)], 1), self.p)

    def roundoff(self, event: Event) -> float:
        if self.form() is not None:
            return super().roundoff(event)
        return self.A.roundoff(event) + self.B.roundoff(event)

    def pairwise(self, x: Float[Tensor, "n *event"], y: Float[Tensor, "m *event"]) -> Float[Tensor, "n m"]:
        tables = torch.stack([self.A.pairwise(x, y), self.B.pairwise(x, y)], -1)
        return p_norm(tables.view(-1, 2), self.p).view(len(x), len(y))


@SPACES.register(
    examples=["InfConvolution(2, Lp(2), Sobolev(s=-1))", "InfConvolution(1, Lp(1), Weighted(Scale(0.3), Lp(inf)))"],
    source=Source("Bergh and Loefstroem 1976 (Interpolation Spaces)", "theorem 2.7.1", unverified="from memory"),
)
@dataclass(frozen=True, repr=False)
class InfConvolution(ComputedNorm):
    """The cheapest split of x into v + w: the least |(A.norm(v), B.norm(w))|_p, 1 <= p <= inf.

    The p-infimal convolution of two norms, with p = 1 the norm of the sum space A + B (the K-functional). Its dual is
    `Intersection(q, A.dual, B.dual)`, a formula; its own norm is computed, to the relative accuracy `tol`.

    >>> Lipschitz = InfConvolution(1, Lp(1), Lp(float("inf")))
    >>> Lipschitz.norm(torch.tensor([[3.0, 1.0]])), Lipschitz.dual
    (tensor([3.]), Intersection(inf, Lp(p=inf), Lp(p=1)))
    """

    p: float
    A: Space
    B: Space
    tol: float | None = None

    def __post_init__(self):
        _check(self, "InfConvolution")
        for one in (self.A, self.B):
            if one.dual.computed:
                raise SpecError(
                    f"InfConvolution: the dual norm of {one!r} is itself computed; give a space with a formula"
                )
            if one.computed:
                raise SpecError(f"InfConvolution: the norm of {one!r} is itself computed; give a space with a formula")

    def __repr__(self) -> str:
        return spell_call("InfConvolution", (self.p, self.A, self.B), _given(self.tol))

    @property
    def dual(self) -> Intersection:
        return Intersection(Exponent(self.p).dual, self.A.dual, self.B.dual, self.tol)

    @property
    def emphasis(self) -> str:
        return f"what is large in both norms: {self.A.emphasis}; and {self.B.emphasis}"


@SPACES.register(
    examples=["TotalVariation(weight=1, p=1)", "TotalVariation(weight=0.5, p=3)", "TotalVariation(weight=0.1)"],
    source=Source(
        "Rudin, Osher and Fatemi 1992", "eq. 2.2", unverified="from memory; the anisotropic form as commonly written"
    ),
)
@dataclass(frozen=True, repr=False)
class TotalVariation(NormOnly):
    """|x|_p + weight * sum of |neighbour - neighbour| along every spatial axis (anisotropic total variation).

    For (b, channels, *spatial), 1 to 3 spatial axes, no wrapping round. Total variation alone is no norm, for it does
    not see constants; hence the first term. The dual norm at u is the least max(|u - D* z|_q, |z|_inf / weight) over
    all flows z between neighbours; it is computed, to the relative accuracy `tol`.

    >>> TotalVariation(weight=2).norm(torch.tensor([[[3.0, 4.0]]]))
    tensor([7.])
    """

    weight: float = 1.0
    p: float = 2.0
    tol: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "p", Exponent(self.p, f"TotalVariation(p={self.p})"))
        check_tolerance(self.tol, "TotalVariation")
        number = isinstance(self.weight, int | float) and not isinstance(self.weight, bool)
        if not number or not 0 < self.weight < math.inf:
            raise SpecError(f"TotalVariation: weight = {self.weight!r}; choose a positive number, such as 0.1")

    def __repr__(self) -> str:
        named = {"weight": self.weight} | ({} if self.p == 2 else {"p": self.p}) | _given(self.tol)
        return spell_call("TotalVariation", (), named)

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        return p_norm(x, self.p) + Differences(self.weight)(at_least_float32(x)).abs().sum(1)

    @property
    def emphasis(self) -> str:
        return "jumps between neighbours by their height and length, sharp or not, beside the entries themselves"

    def composition(self) -> Node:
        return Node(1.0, (Lp(self.p), Leaf(1.0, (Differences(self.weight),))))


def _given(tol: float | None) -> dict[str, float]:
    return {} if tol is None else {"tol": tol}


def _check(space: Intersection | InfConvolution, name: str) -> None:
    object.__setattr__(space, "p", Exponent(space.p, f"{name}({space.p}, …)"))
    check_tolerance(space.tol, name)
    for one in (space.A, space.B):
        if not isinstance(one, Space):
            raise SpecError(f"{name}: {one!r} is no space; give two, as in {name}(1, Lp(2), Sobolev(s=1))")
        if not _sees_all(one):
            raise SpecError(
                f"{name}: {one!r} ignores a part of the data (constants); give norms that measure all of it"
            )


def _sees_all(space: Space) -> bool:
    """Whether the norm is one of all data, and not of those in its `domain` only."""
    if isinstance(space, MeanFree | ModConstants):
        return False
    inner = (
        [getattr(space, field.name) for field in dataclasses.fields(space)] if dataclasses.is_dataclass(space) else []
    )
    flat = [one for field in inner for one in (field if isinstance(field, tuple) else (field,))]
    return all(_sees_all(one) for one in flat if isinstance(one, Space))


def _duals_known(*parts: object) -> bool:
    return all(not isinstance(one, Space) or not one.dual.computed for one in parts)
