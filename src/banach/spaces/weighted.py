"""Norms composed with an invertible linear map, among them Sobolev norms."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import Form, behind
from banach.numerics import Exponent
from banach.operators import Bessel, Matrix, Operator
from banach.operators.operator import Event
from banach.spaces.lp import Lp
from banach.spaces.mean_free import MeanFree, ModConstants
from banach.spaces.metric import SPACES, Space
from banach.specs import Source, SpecError, spell_call


@SPACES.register(
    examples=[
        "Weighted(Scale((1, 2, 0.5)), Lp(3))",
        "Weighted(Matrix(((2, 1, 0), (0, 1, 0), (0.5, 0, 1))), Lp(3))",
        "Weighted(Matrix(((2, 1, 0), (1, 3, 0), (0, 0, 1)), power=-0.5), Lp(2))",
        "Weighted(Compose(Scale((1, 2, 0.5)), Bessel(s=-1)), Lp(1.5))",
        # A mask, unlike weights of channels, does not commute with a filter: only here a forgotten adjoint shows.
        "Weighted(Compose(Scale(((1, 2), (4, 0.5))), Bessel(s=-1)), Lp(1.5))",
    ],
    source=Source("Adler and Lunz 2018 (Banach WGAN)", "appendix A"),
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
        if isinstance(self.A, Bessel) and self.A.homogeneous and not isinstance(self.B, MeanFree | ModConstants):
            # The map yields mean-free data only, on which the dual of L^p is not L^q but L^q modulo constants.
            raise SpecError(
                f"Weighted({self.A!r}, {self.B!r}): write Sobolev(…, homogeneous=True), or give MeanFree(p)"
            )

    def __repr__(self) -> str:
        return _sobolev_spelling(self) or spell_call("Weighted", (self.A, self.B))

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        homogeneous = isinstance(self.A, Bessel) and self.A.homogeneous
        known = isinstance(self.B, (MeanFree, ModConstants) if homogeneous else Lp) and self.B.p == 2
        if known and not self.B.remeasured:
            return self.A.l2_norm(x)  # Parseval spares the inverse transform when the outer norm is Euclidean
        return self.B.norm(self.A(x))

    @property
    def dual(self) -> "Weighted":
        return Weighted(self.A.inverse.adjoint, self.B.dual)

    @property
    def emphasis(self) -> str:
        if isinstance(self.A, Bessel):
            return self.B.emphasis if self.A.s == 0 else self._emphasis_of_frequencies(self.A.s)
        if isinstance(self.A, Matrix) and self.A.power == -0.5 and isinstance(self.B, Lp) and self.B.p == 2:
            return "directions in which the data vary little (Mahalanobis)"
        return f"directions as {self.A!r} weighs them; of these, {self.B.emphasis}"

    def _emphasis_of_frequencies(self, s: float) -> str:
        p = self.B.p if isinstance(self.B, Lp | MeanFree | ModConstants) else 2.0
        rest = "" if p == 2 else f"; of these, {Lp(p).emphasis}"
        return ("low frequencies: global shape" if s < 0 else "high frequencies: edges and texture") + rest

    def tolerance(self, dtype: torch.dtype) -> float:
        return self.B.tolerance(dtype)

    def form(self) -> Form | None:
        outer = self.B.form()
        return None if outer is None else behind(outer, self.A)

    def rounding(self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
        off = torch.zeros(len(x), dtype=torch.float64) if off is None else off
        return self.B.rounding(*self.A.with_error(x, off))

    @property
    def mapped(self) -> bool:
        return True

    def roundoff(self, event: Event) -> float:
        return self.B.roundoff(event)

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        x = self.A.domain(x)
        if type(self.B).domain is Space.domain:
            return x
        return self.A.inverse(self.B.domain(self.A(x)))

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
        "Sobolev(s=1, p=2, symbol='differences')",
    ],
    summary="|(1 + c |xi|^2)^(s/2) x|_p: negative s weighs global shape, positive s weighs edges",
    source=Source(
        "Adler and Lunz 2018 (Banach WGAN)",
        "eq. 7",
        "c = 5 on frequencies in [0, 1] (code), |xi| up to 5 (paper, scale='paper'); s = 0, p = 2 as released; "
        "the paper's best FID at s = -1.5, p = 2",
        "adler-j/bwgan f75e987 sobolev_utils.py",
        "the s and p of the best FID",
    ),
)
def Sobolev(
    s: float,
    p: float = 2.0,
    scale: float | Literal["code", "paper"] | None = None,
    length: float | tuple[float, ...] | None = None,
    boundary: Literal["periodic", "even"] = "periodic",
    homogeneous: bool = False,
    symbol: Literal["spectral", "differences"] = "spectral",
) -> Weighted:
    """The Sobolev space W^{s,p}: the L^p norm of F^-1[(1 + c |xi|^2)^(s/2) F x], any real s, on 1 to 3 spatial axes.

    Negative s weighs low frequencies (global shape), positive s high ones (edges); the dual is W^{-s,q}. Data are
    (b, channels, *spatial); each channel is filtered apart, then one p-norm is taken over all entries. See `Bessel` for
    the frequencies, `scale`, `boundary`, `homogeneous`, `symbol`. With `length`, the physical extent, the norm is
    that of functions: it carries the cell volume and converges under refinement. (Banach WGAN, eq. 7; published code.)

    >>> Sobolev(s=-1).dual
    Sobolev(s=1)
    """
    p = Exponent(p, f"Sobolev(s={s}, p={p})")
    cell = 1 / p if length is not None else 0.0
    bessel = Bessel(s, scale, length, boundary, homogeneous, cell, symbol)
    return Weighted(bessel, MeanFree(p) if homogeneous else Lp(p))


def _sobolev_spelling(space: Weighted) -> str:
    """`Sobolev(…)` when that is what the space is, else ''. A dual with `length` has another cell power: it is not."""
    A, B = space.A, space.B
    if not isinstance(A, Bessel) or type(B) is not (MeanFree if A.homogeneous else Lp):
        return ""
    if A.cell != (1 / B.p if A.length is not None else 0.0):
        return ""
    fields = {"s": A.s, "p": B.p, "scale": A.scale, "length": A.length, "boundary": A.boundary}
    fields |= {"symbol": A.symbol}
    defaults = {"p": 2.0, "scale": None, "length": None, "boundary": "periodic", "symbol": "spectral"}
    shown = {key: value for key, value in fields.items() if key not in defaults or value != defaults[key]}
    return spell_call("Sobolev", (), shown | ({"homogeneous": True} if A.homogeneous else {}))
