"""The Sobolev norm W^{1,p} in its gradient form, by differences of neighbours."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import ForwardDifferences, Leaf, Node
from banach.numerics import Exponent, p_norm
from banach.operators.operator import is_number
from banach.spaces.computed import NormOnly, check_tolerance
from banach.spaces.lp import Lp
from banach.spaces.metric import SPACES, Space
from banach.spaces.weighted import Sobolev
from banach.specs import Source, SpecError, spell_call


@dataclass(frozen=True, repr=False)
class GradientNorm(NormOnly):
    """What `GradientForm` makes where p is not 2: see there."""

    p: float
    weight: float = 1.0
    boundary: Literal["periodic", "even"] = "periodic"
    tol: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "p", Exponent(self.p, f"GradientForm(p={self.p})"))
        check_tolerance(self.tol, "GradientForm")
        if not is_number(self.weight) or not 1e-100 < self.weight < 1e100:
            raise SpecError(f"GradientForm: weight = {self.weight!r}; choose a positive number, a length in pixels")
        if self.boundary not in ("periodic", "even"):
            raise SpecError(f"GradientForm: boundary = {self.boundary!r}; choose 'periodic' or 'even'")

    def __repr__(self) -> str:
        named = {"weight": self.weight, "boundary": self.boundary, "tol": self.tol}
        defaults = {"weight": 1.0, "boundary": "periodic", "tol": None}
        shown = {name: value for name, value in named.items() if value != defaults[name]}
        return spell_call("GradientForm", (), {"p": self.p} | shown)

    def norm(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, " b"]:
        steps = self._gradient(x)
        slopes = p_norm(steps.reshape(-1, steps.shape[-1]), 2).view(len(x), -1)
        return p_norm(torch.stack([p_norm(x, self.p), p_norm(slopes, self.p)], 1), self.p)

    @property
    def _gradient(self) -> ForwardDifferences:
        return ForwardDifferences(self.weight, self.boundary)

    @property
    def emphasis(self) -> str:
        return "edges, by the slope from neighbour to neighbour, beside the entries themselves" + (
            "" if self.p == 2 else f"; of both, {Lp(self.p).emphasis}"
        )

    def composition(self) -> Node:
        return Node(self.p, (Lp(self.p), Leaf(self.p, (self._gradient,), grouped=True)))


@SPACES.register(
    examples=["GradientForm(p=1)", "GradientForm(p=1.5, weight=0.5, boundary='even')", "GradientForm(p=2, weight=2)"],
    source=Source(
        "Adler and Lunz 2018 (Banach WGAN)", "section 2.4", "p = 2 there, in the continuum; here by differences"
    ),
)
def GradientForm(
    p: float = 2.0,
    weight: float = 1.0,
    boundary: Literal["periodic", "even"] = "periodic",
    tol: float | None = None,
) -> Space:
    """The Sobolev norm W^{1,p} in its gradient form, by differences: (|x|_p^p + |weight |grad x||_p^p)^(1/p).

    For (b, channels, *spatial), 1 to 3 spatial axes. grad x has in each entry the forward differences x[i + 1] - x[i]
    along all axes, and |grad x| is their Euclidean length, in each channel apart; so edges count alike in all
    directions (but for the grid). `boundary`: behind the last entry comes the first ("periodic"), or the last again
    ("even": the difference there is 0). `weight` is a length in pixels: what varies faster than that counts more by its
    slope, the rest more by its value. For p = inf the larger of the two is taken. (Banach WGAN, section 2.4.)

    For p other than 2 this is not `Sobolev(s=1, p)`, which filters by (1 + c |xi|^2)^(1/2): the two are equivalent for
    1 < p < inf, not equal. The dual norm at u is then the least |(v, z)|_q over all u = v + weight * grad* z; it is
    computed, to the relative accuracy `tol`, between two proved bounds. For p = 2 it has a formula, and the space *is*
    `Sobolev(s=1, scale=weight^2, boundary=boundary, symbol='differences')`.

    >>> GradientForm(p=1, boundary="even").norm(torch.tensor([[[3.0, 4.0]]])), GradientForm(p=2)
    (tensor([8.]), Sobolev(s=1, symbol='differences'))
    """
    space = GradientNorm(p, weight, boundary, tol)
    if space.p != 2:
        return space
    return Sobolev(1, 2, scale=None if weight == 1 else weight**2, boundary=boundary, symbol="differences")
