"""p-norms that are safe at zero and at any scale, and the conjugate exponent."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError

LIKE_INF = 1e18
"""From this exponent on the p-norm is the largest entry to rounding; p^2 soon leaves single precision."""


def conjugate(p: float) -> float:
    """The exponent q with 1/p + 1/q = 1, for 1 <= p <= inf.

    >>> conjugate(1), conjugate(2), conjugate(4)
    (inf, 2.0, 1.3333333333333333)
    """
    if p == 1:
        return math.inf
    return 1.0 if p == math.inf else p / (p - 1)


class Exponent(float):
    """The exponent of a norm, 1 <= p <= inf, which knows its conjugate exactly.

    p/(p-1) taken twice does not give p back in floating point, for 4 of 10 numbers; the dual of a dual is the number
    that it came from. BanachError, which names `where`, for what is no exponent.

    >>> Exponent(10).dual, Exponent(10).dual.dual
    (1.1111111111111112, 10.0)
    """

    _other: "Exponent | None" = None

    def __new__(cls, p: float, where: str = "p-norm") -> "Exponent":
        if isinstance(p, Exponent):
            return p
        if isinstance(p, bool) or not isinstance(p, int | float) or not p >= 1:
            raise BanachError(f"{where}: p = {p!r} is no norm's exponent; choose a number from 1 to inf")
        return super().__new__(cls, p)

    @property
    def dual(self) -> "Exponent":
        """The exponent q with 1/p + 1/q = 1."""
        if self._other is not None:
            return self._other
        other = Exponent(conjugate(self))
        other._other = self
        return other


def at_least_float32(x: Tensor) -> Tensor:
    """`x` itself, or in float32 where its type is narrower: norms are never taken in half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def magnitude(x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *ones"]:
    """The largest |entry| of each sample, 1 where that is 0 or not finite, a constant for autograd; (b, 1, …, 1).

    A norm is homogeneous, so dividing by this constant and multiplying it back changes neither value nor gradient,
    and keeps every power within range.
    """
    largest = x.detach().abs().flatten(1).amax(1)
    largest = torch.where((largest > 0) & largest.isfinite(), largest, torch.ones_like(largest))
    return largest.view(-1, *[1] * (x.ndim - 1))


def root(total: Float[Tensor, " b"], p: float) -> Float[Tensor, " b"]:
    """total^(1/p), with value and gradient 0 where total = 0 (the plain root's derivative is infinite there)."""
    nothing = total == 0  # not `~(total > 0)`: what is not a number must stay so
    safe = torch.where(nothing, torch.ones_like(total), total)
    powered = safe.sqrt() if p == 2 else safe.pow(1 / p)
    return torch.where(nothing, torch.zeros_like(total), powered)


def p_norm(x: Float[Tensor, "b *event"], p: float) -> Float[Tensor, " b"]:
    """(sum_i |x_i|^p)^(1/p) over all axes but the first; the largest |x_i| for p = inf.

    Exact to rounding from the smallest to the largest normal numbers; entries that are not finite give a norm that is
    not. At x = 0 value and gradient are 0. The gradient is finite everywhere; a second derivative *through the norm* is
    infinite at zero entries for 1 < p < 2 (a gradient penalty needs the first only).

    >>> p_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), 2)
    tensor([5., 0.])
    """
    x = at_least_float32(x)
    if x.numel() == 0:
        raise BanachError(f"a norm of data of shape {tuple(x.shape)}: there are no entries")
    if p >= LIKE_INF:
        return x.abs().flatten(1).amax(1)
    if p == 1:
        return x.abs().flatten(1).sum(1)
    scale = magnitude(x)
    y = (x / scale).flatten(1)
    powers = y.square() if p == 2 else y.abs().pow(p)
    return scale.flatten() * root(powers.sum(1), p)


def unit_vectors(event: tuple[int, ...]) -> Iterator[Float[Tensor, "b *event"]]:
    """The unit vectors of this shape in float64, in order, in blocks of at most about 4 million numbers."""
    n = math.prod(event)
    for rows in torch.arange(n).split(max(1, 2**22 // n)):
        units = torch.zeros(len(rows), n, dtype=torch.float64)
        units[torch.arange(len(rows)), rows] = 1.0
        yield units.view(-1, *event)
