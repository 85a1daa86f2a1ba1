"""The base class of soft constraints, and the product form of most of them: slopes x shape x reduction."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from banach.penalties.reductions import Reduction
from banach.penalties.shapes import Shape
from banach.slopes import Critic, Measured, Slopes
from banach.slopes.slopes import Memory, Noise
from banach.spaces import Metric
from banach.specs import Registry, SpecError, ours, spelled

PENALTIES = Registry("penalty", bare="build", parts=("slopes", "shape", "reduction", "penalty"))


class Cost(NamedTuple):
    """The value of a soft constraint on a batch, and the slopes it measured.

    `value` is unweighted and carries gradients; `slopes` are those it measured, without gradients (none where it
    measures something else); `dropped` counts the pairs that were too close; `memory` is what it keeps for the next
    step.
    """

    value: Float[Tensor, ""]
    slopes: Float[Tensor, " n"]
    dropped: Float[Tensor, ""]
    memory: Memory


class SoftConstraint(ABC):
    """A cost of steep critics. `weight` is the lambda that its paper gives."""

    weight: float

    @property
    @abstractmethod
    def needs_dual(self) -> bool:
        """Whether the space must have a dual norm: gradients need one, quotients over pairs do not."""

    @property
    @abstractmethod
    def bounds_slopes(self) -> bool:
        """Whether it bounds or penalises the Lipschitz constant of the critic."""

    @property
    def bounds_critic(self) -> bool:
        """Whether the cost grows without limit with the critic's slopes or values."""
        return self.bounds_slopes

    @property
    def growth(self) -> float:
        """A power of the slopes that the cost does not outgrow, for large ones."""
        return 2.0

    @abstractmethod
    def draw(self, real: Float[Tensor, "b *event"], rng: torch.Generator | None) -> Noise:
        """The random draws, one row a sample."""

    @abstractmethod
    def cost(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory) -> Cost:
        """Value and slopes on a batch with given draws, and the memory for the next step; a pure function."""

    def __call__(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None = None
    ) -> Float[Tensor, ""]:
        """The unweighted cost of f on a batch of reals and fakes, as in a first step."""
        return self.cost(f, real.detach(), fake.detach(), space, self.draw(real, rng), {}).value


@dataclass(frozen=True, repr=False)
class Penalty(SoftConstraint):
    """A soft Lipschitz constraint: reduction(shape(slopes)), and the weight its paper gives it.

    >>> from banach.penalties import Mean, OneSided
    >>> from banach.slopes import Gradients
    >>> Penalty(Gradients(), OneSided(), Mean(), weight=10)
    Penalty(slopes=Gradients(), shape=OneSided(), reduction=Mean())
    """

    slopes: Slopes
    shape: Shape
    reduction: Reduction
    weight: float = 10.0
    __repr__ = spelled

    def __post_init__(self):
        check_parts("Penalty", self.slopes, self.shape, self.reduction)

    @property
    def needs_dual(self) -> bool:
        return self.slopes.needs_dual

    @property
    def bounds_slopes(self) -> bool:
        return self.slopes.steep

    @property
    def bounds_critic(self) -> bool:
        return True

    @property
    def growth(self) -> float:
        return self.shape.growth

    def draw(self, real: Float[Tensor, "b *event"], rng: torch.Generator | None) -> Noise:
        return self.slopes.draw(real, rng)

    def cost(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory) -> Cost:
        measured, memory = self.slopes.remember(f, real, fake, space, noise, memory)
        slopes, counts = counted(measured)
        return cost_of(self.reduction(self.shape, slopes, counts), self.slopes, slopes, counts, memory)

    def slopes_of(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None = None
    ) -> Float[Tensor, " n"]:
        """How steep f is at the points (or over the pairs) that this penalty looks at."""
        return self.slopes(f, real, fake, space, rng)

    def value(self, slopes: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """reduction(shape(slopes)), unweighted."""
        return self.reduction(self.shape, slopes)


def check_parts(name: str, slopes: object, shape: object, reduction: object) -> None:
    """SpecError where a part of a penalty is of another kind."""
    for part, kind in ((slopes, Slopes), (shape, Shape), (reduction, Reduction)):
        if not isinstance(part, kind):
            raise SpecError(f"{name}: {part!r} is no {kind.__name__}; as in {name}(Gradients(), OneSided(), Mean())")


def counted(measured: Tensor | Measured) -> tuple[Tensor, Tensor | None]:
    """The slopes, and which count (None: all)."""
    return (measured, None) if isinstance(measured, Tensor) else (measured.slopes, measured.counts)


def cost_of(value: Tensor, of: Slopes, slopes: Tensor, counts: Tensor | None, memory: Memory) -> Cost:
    """A `Cost` of the slopes that count, where they are slopes."""
    seen = slopes.detach() if counts is None else slopes.detach() * counts
    dropped = torch.zeros_like(value) if counts is None else (1 - counts).sum()
    return Cost(value, seen if of.steep else seen[:0], dropped.detach(), memory)


PENALTIES.add(
    "Penalty",
    Penalty,
    ["Penalty(Gradients(), OneSided(), Mean(), weight=10)"],
    "any product of your own choice",
    ours("slopes x shape x reduction"),
)
