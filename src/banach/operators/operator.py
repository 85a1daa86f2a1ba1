"""The base class of invertible linear maps of batches: the map, its inverse, its adjoint, its rounding error."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor

from banach.numerics import p_norm, unit_vectors
from banach.specs import Registry

OPERATORS = Registry("operator", bare="build")

UNIT = 2.0**-53
"""The unit roundoff of float64: half the distance from 1 to the next number."""

SMALLEST = 2.0**-1074
"""The smallest positive float64 number, and the error of a subnormal one."""

Event = tuple[int, ...]


@dataclass(frozen=True)
class Rounding:
    """The rounding of a map A: |fl(A x) - A x|_2 <= absolute |x|_2 + relative |fl(A x)|_2, and |A|_2 <= gain.

    All three are bounds for samples of one shape, whatever their entries are. Where the map is steep in directions in
    which the data do not differ, `absolute` |x|_2 is large beside |A x|_2: that is its condition.
    """

    gain: float
    absolute: float = 0.0
    relative: float = 0.0

    def carried(self, x: Tensor, y: Tensor, off: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """How far y = fl(A x) may lie from A of the true x, in l^2, where x may lie `off` from it."""
        least = SMALLEST * (x[0].numel() + 8) * y[0].numel() ** 0.5  # where products vanish, they lose no share
        return self.gain * off + self.absolute * p_norm(x, 2) + self.relative * p_norm(y, 2) + least

    def after(self, first: "Rounding") -> "Rounding":
        """The rounding of this map applied after another, whose error it carries on."""
        # |fl(B x)|_2 <= (gain + absolute) |x|_2, up to what is of second order.
        absolute = self.gain * (first.absolute + 1.01 * first.relative * first.gain) + self.absolute * first.gain
        return Rounding(self.gain * first.gain, absolute, self.relative)


def measured_rounding(of: Callable[[Tensor], Tensor], event: Event) -> Rounding:
    """The rounding of a map that states none: taken to be no worse than that of the product with its matrix.

    The matrix is read off the unit vectors; (n + 64) 2^-52 of its Frobenius norm is more than a product of n terms in
    any order loses (Higham 2002, section 3.5).
    """
    return (_remembered if isinstance(of, Hashable) else _measured)(of, event)


def _measured(of: Callable[[Tensor], Tensor], event: Event) -> Rounding:
    lengths = torch.cat([p_norm(of(units).flatten(1), 2) for units in unit_vectors(event)])
    gain = 1.01 * float(p_norm(lengths[None], 2))
    return Rounding(gain, (math.prod(event) + 64) * 2 * UNIT * gain)


_remembered = functools.lru_cache(maxsize=64)(_measured)


def constant(build: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`build`, computed once for its arguments: on the CPU, and outside inference mode, whose tensors cannot train."""

    @functools.lru_cache(maxsize=256)
    def built(*key: Any) -> Tensor:
        with torch.inference_mode(False), torch.device("cpu"):
            return build(*key)

    return built


class Operator(ABC):
    """An invertible linear map of the event space, applied to a batch."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]: ...

    @property
    @abstractmethod
    def inverse(self) -> "Operator":
        """The map B with B(A(x)) = x."""

    @property
    @abstractmethod
    def adjoint(self) -> "Operator":
        """The map A* with sum(u * A(x)) = sum(A*(u) * x)."""

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        """The part of x on which the map is invertible: all of it, unless a subclass overrides this."""
        return x

    def rounding(self, event: Event) -> Rounding:
        """The rounding of this map in float64, for samples of this shape (Higham 2002, chapters 3 and 24).

        A map of your own need not say it: it is then taken to be as exact as a product with its matrix.

        >>> from banach import Scale
        >>> Scale((1, 100)).rounding((2,)).gain
        100.0
        """
        return measured_rounding(self, event)

    def with_error(
        self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b *event"], Float[Tensor, " b"]]:
        """A x as computed, and how far it may lie from A of the true x, of which x may lie `off` in l^2."""
        y = self(x)
        return y, self.rounding(tuple(x.shape[1:])).carried(x, y, off)

    def l2_norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        """|A x|_2."""
        return p_norm(self(x), 2)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether the value is a real number, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)
