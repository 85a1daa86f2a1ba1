"""Norms that ignore the mean: L^p on mean-free data, and its dual, L^q modulo constants."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import Leaf, MeanRemoval
from banach.numerics import Exponent, at_least_float32, p_norm
from banach.operators.operator import UNIT
from banach.spaces.metric import SPACES, Space
from banach.specs import ours, spell_call


@SPACES.register(examples=["MeanFree(2)", "MeanFree(3)"], source=ours("for homogeneous Sobolev norms"))
@dataclass(frozen=True, repr=False)
class MeanFree(Space):
    """The L^p norm of each channel less its mean, a norm on mean-free data; the dual is L^q modulo constants."""

    p: float = 2.0

    def __post_init__(self):
        object.__setattr__(self, "p", Exponent(self.p, f"MeanFree({self.p})"))

    def __repr__(self) -> str:
        return spell_call("MeanFree", (), {"p": self.p})

    def norm(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, " b"]:
        return p_norm(_mean_free(at_least_float32(x)), self.p)

    @property
    def dual(self) -> Space:
        return self if self.p == 2 else ModConstants(Exponent(self.p).dual)

    def form(self) -> Leaf:
        return Leaf(self.p, (MeanRemoval(),))

    def domain(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        return _mean_free(x)


@SPACES.register(
    examples=["ModConstants(1.5)", "ModConstants(3)", "ModConstants(inf)", "ModConstants(1)"],
    source=ours("the dual of MeanFree"),
)
@dataclass(frozen=True, repr=False)
class ModConstants(Space):
    """min over constants k, one per channel, of |x - k|_p: the length of x when its mean does not matter.

    It is the dual of L^q on mean-free data: pair(u, x) then does not see the mean of u. The minimum is found by
    bisection on its increasing derivative, to rounding; its gradient is that of |x - k|_p at the best k (Danskin).
    """

    p: float = 2.0

    def __post_init__(self):
        object.__setattr__(self, "p", Exponent(self.p, f"ModConstants({self.p})"))

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
        length = p_norm(flat - centre, self.p)
        return length if self.p >= 2 else length + _levelling(flat, centre, length, self.p)

    @property
    def dual(self) -> Space:
        return self if self.p == 2 else MeanFree(Exponent(self.p).dual)

    def form(self) -> Leaf | None:
        return Leaf(self.p, (MeanRemoval(),)) if self.p == 2 else None  # the best constant is then the mean

    @property
    def mapped(self) -> bool:
        return True  # what is not seen is taken off, and may be larger than what is

    def rounding(self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
        off = torch.zeros(len(x), dtype=torch.float64) if off is None else off
        return (off + 4 * UNIT * p_norm(x.double(), 2)) * x[0].numel() ** max(0.0, 1 / self.p - 0.5)

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
    for _ in range(60 if x.dtype == torch.float64 else 30):
        middle = low + (high - low) / 2
        y = x - middle
        y = y / y.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)  # so that powers do not vanish
        rising = (y.sign() * y.abs().pow(p - 1)).sum(-1, keepdim=True) > 0
        low, high = torch.where(rising, middle, low), torch.where(rising, high, middle)
    return low + (high - low) / 2


def _levelling(x: Tensor, centre: Tensor, length: Tensor, p: float) -> Tensor:
    """Zeros, whose gradient completes that of |x - centre|_p for 1 <= p < 2.

    The gradient has sum 0 in each channel, for the norm does not see constants. What rounding of the centre left of a
    sum goes to the entries as a small shift of the centre would change them: in proportion to |x - centre|^(p-2), and
    so to those that lie on the centre, where |.|^p has no second derivative, if there are any.
    """
    with torch.no_grad():
        y = x - centre
        size = y.abs()
        whole = torch.where(length > 0, length, torch.ones_like(length)).view(-1, *[1] * (x.ndim - 1))
        left = (y.sign() * (size / whole).pow(p - 1)).sum(-1, keepdim=True)
        reach = size.amax(-1, keepdim=True)
        reach = torch.where(reach > 0, reach, torch.ones_like(reach))
        give = (size / reach + torch.finfo(x.dtype).eps).pow(p - 2)
        share = left * give / give.sum(-1, keepdim=True)
    return (share * (x.detach() - x)).flatten(1).sum(1)
