"""The L^p spaces."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import Leaf
from banach.numerics import Exponent, at_least_float32, p_norm
from banach.spaces.all_pairs import Powers, table
from banach.spaces.metric import SPACES, Space
from banach.specs import Source, spell_call


@SPACES.register(
    examples=["Lp(1)", "Lp(1.5)", "Lp(2)", "Lp(4)", "Lp(10)", "Lp(inf)"],
    source=Source(
        "Adler and Lunz 2018 (Banach WGAN)",
        "eq. 6",
        "p = 2 as released; inception score 8.31 at p = 10",
        "adler-j/bwgan f75e987 sobolev_utils.py (stable_norm)",
    ),
)
@dataclass(frozen=True, repr=False)
class Lp(Space):
    """(sum |x_i|^p)^(1/p) over all entries, 1 <= p <= inf; dual L^q with 1/p + 1/q = 1 (Banach WGAN, eq. 6).

    >>> Lp(2).norm(torch.tensor([[3.0, 4.0]])), Lp(4).dual
    (tensor([5.]), Lp(p=1.3333333333333333))
    """

    p: float = 2.0

    def __post_init__(self):
        object.__setattr__(self, "p", Exponent(self.p, f"Lp({self.p})"))

    def __repr__(self) -> str:
        return spell_call(type(self).__name__, (), {"p": self.p})  # a class of its own is not this norm

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        return p_norm(x, self.p)

    @property
    def dual(self) -> "Lp":
        return Lp(Exponent(self.p).dual)

    @property
    def emphasis(self) -> str:
        if self.p == 2:
            return "every entry of the data alike"
        return "the largest differences most" if self.p > 2 else "many small differences as much as few large ones"

    def form(self) -> Leaf:
        return Leaf(self.p)

    def pairwise(self, x: Float[Tensor, "n *event"], y: Float[Tensor, "m *event"]) -> Float[Tensor, "n m"]:
        x, y = at_least_float32(x).flatten(1), at_least_float32(y).flatten(1)
        if self.p in (1, math.inf):
            return torch.cdist(x, y, p=self.p)
        if self.p != 2:
            return table(Powers(self.p), x, y)
        largest = torch.maximum(x.detach().abs().max(), y.detach().abs().max()).clamp_min(torch.finfo(x.dtype).tiny)
        # A power of two, so that dividing by it rounds nothing before the difference of close points is taken.
        scale = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent - 1)
        # Differences, not matrix products: |x|^2 + |y|^2 - 2 x.y loses all digits where x is close to y.
        found = torch.cdist(x / scale, y / scale, p=2, compute_mode="donot_use_mm_for_euclid_dist")
        # The squares of differences this small leave the range of the type: those pairs are measured one by one.
        limits = torch.finfo(x.dtype)
        i, j = torch.nonzero(found < (limits.tiny / limits.eps**2) ** 0.5, as_tuple=True)
        if len(i):
            blocks = (one.split(max(1, 2**24 // max(1, x.shape[1]))) for one in (i, j))
            small = torch.cat([self.norm(x[a] - y[b]) for a, b in zip(*blocks, strict=True)])
            found = found.index_put((i, j), small / scale)
        return scale * found
