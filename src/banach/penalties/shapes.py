"""Shapes of penalties: the cost of a slope."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from banach.specs import Registry, SpecError, spelled

SHAPES = Registry("shape", bare="build")


class Shape(ABC):
    """The cost of a slope, elementwise."""

    @abstractmethod
    def __call__(self, slope: Tensor) -> Tensor: ...

    @property
    def growth(self) -> float:
        """A power of the slope that the cost does not outgrow, for large slopes."""
        return 2.0


@SHAPES.register(examples=["TwoSided()", "TwoSided(target=0.5)"])
@dataclass(frozen=True, repr=False)
class TwoSided(Shape):
    """(slope - target)^2 (WGAN-GP)."""

    target: float = 1.0
    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return (slope - self.target).square()


@SHAPES.register(examples=["OneSided()"])
@dataclass(frozen=True, repr=False)
class OneSided(Shape):
    """max(0, slope - target)^2: only slopes above the target cost (WGAN-LP)."""

    target: float = 1.0
    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return F.relu(slope - self.target).square()


@SHAPES.register(examples=["Excess()"])
@dataclass(frozen=True, repr=False)
class Excess(Shape):
    """max(0, slope - target), not squared: its pull is as strong just above the target (improved-WGAN text)."""

    target: float = 1.0
    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return F.relu(slope - self.target)


@SHAPES.register(examples=["Asymmetric()", "Asymmetric(lower=0.5, upper=2)"])
@dataclass(frozen=True, repr=False)
class Asymmetric(Shape):
    """lower max(0, target - slope)^2 + upper max(0, slope - target)^2, the upper side the heavier (improved-WGAN text).

    A good critic is then approached from within the Lipschitz ball.
    """

    lower: float = 1.0
    upper: float = 10.0
    target: float = 1.0
    __repr__ = spelled

    def __post_init__(self):
        if not 0 <= self.lower <= self.upper or not self.upper < float("inf"):
            raise SpecError(f"{spelled(self)}: choose 0 <= lower <= upper, the upper side being the heavier")

    def __call__(self, slope: Tensor) -> Tensor:
        above = slope - self.target
        return self.lower * F.relu(-above).square() + self.upper * F.relu(above).square()


@SHAPES.register(examples=["Power(2)", "Power(6)"])
@dataclass(frozen=True, repr=False)
class Power(Shape):
    """slope^exponent: centred at zero; exponent 2 is the zero-centred penalty (R1, R2, 0-GP, Lipschitz GANs)."""

    exponent: float = 2.0
    __repr__ = spelled

    def __post_init__(self):
        if not self.exponent >= 1:
            raise SpecError(f"Power: exponent = {self.exponent!r}; choose at least 1")

    def __call__(self, slope: Tensor) -> Tensor:
        return slope.pow(self.exponent)

    @property
    def growth(self) -> float:
        return self.exponent


@SHAPES.register(examples=["SquaredExcess()"])
@dataclass(frozen=True, repr=False)
class SquaredExcess(Shape):
    """max(0, slope^2 - 1)^2: one-sided in the squared slope (SWGAN)."""

    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return F.relu(slope.square() - 1).square()

    @property
    def growth(self) -> float:
        return 4.0


@SHAPES.register(examples=["Deviation()", "Deviation(target=2)"])
@dataclass(frozen=True, repr=False)
class Deviation(Shape):
    """slope - target: the signed deviation, for a multiplier (MaxAL)."""

    target: float = 1.0
    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return slope - self.target


@SHAPES.register(examples=["SquareGap()"])
@dataclass(frozen=True, repr=False)
class SquareGap(Shape):
    """value^2 - 1: how far a second moment is from 1, for a multiplier (Fisher GAN, Sobolev GAN)."""

    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return slope.square() - 1
