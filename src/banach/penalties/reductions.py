"""Reductions of the slopes of a batch to one number, the same for one process as for several."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from banach import distributed
from banach.penalties.shapes import Shape
from banach.specs import Registry, spelled

REDUCTIONS = Registry("reduction", bare="build")


class Reduction(ABC):
    """A reduction of slopes to one number, over the samples of all ranks.

    Losses and gradients are averaged over the ranks afterwards: what each rank returns has the joined batch's value as
    its mean over the ranks. `counts` is 1 for each slope that counts and 0 for the rest; None where all count.
    """

    @abstractmethod
    def __call__(
        self, shape: Shape, slopes: Float[Tensor, " n"], counts: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]: ...


@REDUCTIONS.register(examples=["Mean()"])
@dataclass(frozen=True, repr=False)
class Mean(Reduction):
    """The mean of shape(slopes); 0 where no slope counts."""

    __repr__ = spelled

    def __call__(
        self, shape: Shape, slopes: Float[Tensor, " n"], counts: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        costs = shape(slopes)
        if counts is None:
            return costs.mean()
        return (costs * counts).sum() / distributed.mean(counts.sum()).clamp_min(1 / distributed.world())


@REDUCTIONS.register(examples=["Max()"])
@dataclass(frozen=True, repr=False)
class Max(Reduction):
    """The shape of the largest slope over all ranks: (max s - 1)^2, not max (s - 1)^2 (MaxGP).

    Gradients are averaged over the ranks afterwards, so the rank that owns the maximum counts as often as there are
    ranks, and the others count nothing: on the average the value and the gradient are those of one process.
    """

    __repr__ = spelled

    def __call__(
        self, shape: Shape, slopes: Float[Tensor, " n"], counts: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        # Slopes are not negative, and those that do not count are 0; so the largest is that of those which do.
        largest = (slopes if counts is None else slopes * counts).amax()
        if distributed.world() == 1:
            return shape(largest)
        owns = (largest.detach() >= distributed.maximum(largest)).to(slopes.dtype)
        return shape(largest) * owns * distributed.world() / distributed.total(owns)


@REDUCTIONS.register(examples=["SquaredMean()"])
@dataclass(frozen=True, repr=False)
class SquaredMean(Reduction):
    """The square of the mean of shape(slopes) over the samples of all ranks (SWGAN); 0 where no slope counts.

    Each rank returns 2 m m_r - m^2, where m_r is its own mean and m that of all: on the average m^2 with its gradient.
    """

    __repr__ = spelled

    def __call__(
        self, shape: Shape, slopes: Float[Tensor, " n"], counts: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        own = Mean()(shape, slopes, counts)
        whole = distributed.mean(own.detach())
        return 2 * whole * own - whole.square()
