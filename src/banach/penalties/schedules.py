"""The weight of a penalty over the critic's steps: constant, every few steps, or growing as the critic converges."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach import distributed
from banach.slopes.slopes import Memory
from banach.specs import Registry, Source, SpecError, ours, spelled

SCHEDULES = Registry("schedule", bare="build")

_UNTIL_KNOWN = 100
"""Number of steps before the slow average of the gap is used."""


class Schedule(ABC):
    """A factor on the penalty's weight, a function of the critic's step and of what it remembers."""

    def skips(self, step: int) -> bool:
        """Whether the penalty is left out, and not even computed, at the critic's step number `step`."""
        del step
        return False

    @abstractmethod
    def factor(self, gap: Float[Tensor, ""], memory: Memory) -> tuple[float | Float[Tensor, ""], Memory]:
        """The factor where the penalty is computed, given the gap E f(real) - E f(fake) of this rank's batch."""


@SCHEDULES.register(name="constant", examples=["constant"], source=ours("the default of papers that name no schedule"))
@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """Always the same weight."""

    def __repr__(self) -> str:
        return "constant"

    def factor(self, gap: Float[Tensor, ""], memory: Memory) -> tuple[float | Float[Tensor, ""], Memory]:
        del gap, memory
        return 1.0, {}


@SCHEDULES.register(
    name="lazy",
    examples=["lazy(every=4)"],
    source=Source(
        "Karras et al. 2020 (StyleGAN 2)",
        "lazy regularisation",
        "every 16 steps (R1); Adam's constants rescaled",
        "NVlabs/stylegan3 c233a91 training/loss.py",
        "the section of the paper",
    ),
)
@dataclass(frozen=True, repr=False)
class Lazy(Schedule):
    """The penalty in every k-th step of the critic only, k times as heavy (lazy regularisation, Karras et al. 2020).

    The gradient is the same on the average, and the critic's steps between cost a third. It changes the method: Adam
    sees larger gradients, less often. (StyleGAN 2 also rescales Adam's constants; nothing is rescaled here.)
    """

    every: int = 4

    def __post_init__(self):
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise SpecError(f"lazy: every = {self.every!r}; choose a whole number of at least 1, such as 4")

    def __repr__(self) -> str:
        return spelled(self).replace("Lazy", "lazy", 1)

    def skips(self, step: int) -> bool:
        return step % self.every != 0

    def factor(self, gap: Float[Tensor, ""], memory: Memory) -> tuple[float | Float[Tensor, ""], Memory]:
        del gap, memory
        return float(self.every), {}


@SCHEDULES.register(
    name="growing",
    examples=["growing", "growing(most=100, rate=0.01)"],
    source=Source(
        "Viehmann 2017, Geometric Intuition on Improved Wasserstein GANs", "Things to try", "no rule is given: ours"
    ),
)
@dataclass(frozen=True, repr=False)
class Growing(Schedule):
    """A weight that grows by `rate` a step, up to `most` times, while the critic is converged (improved-WGAN text).

    Converged: a fast average of the gap (over about 10 steps) is within `within` of a slow one (about 100 steps); the
    first 100 steps do not count. The text proposes to raise the weight as the critic converges, and gives no rule; this
    one is ours.
    """

    most: float = 10.0
    rate: float = 0.01
    within: float = 0.1

    def __post_init__(self):
        if not (1 <= self.most < float("inf") and 0 < self.rate < float("inf") and 0 < self.within < 1):
            raise SpecError(f"{self!r}: choose most >= 1, rate > 0 and 0 < within < 1")

    def __repr__(self) -> str:
        return spelled(self).replace("Growing", "growing", 1)

    def factor(self, gap: Float[Tensor, ""], memory: Memory) -> tuple[float | Float[Tensor, ""], Memory]:
        gap = distributed.mean(gap)
        fast = torch.lerp(memory.get("fast", gap), gap, 0.1)
        slow = torch.lerp(memory.get("slow", gap), gap, 0.01)
        seen = memory.get("seen", torch.zeros_like(gap)) + 1
        settled = ((fast - slow).abs() <= self.within * slow.abs()) & (seen > _UNTIL_KNOWN)
        growth = memory.get("growth", torch.ones_like(gap))
        growth = torch.where(settled, growth * (1 + self.rate), growth).clamp_max(self.most)
        return growth, {"fast": fast, "slow": slow, "seen": seen, "growth": growth}


def schedule(spec: str | Schedule) -> Schedule:
    """The schedule that a spec, or a schedule itself, stands for.

    >>> schedule("lazy:every=8")
    lazy(every=8)
    """
    found = SCHEDULES.parse(spec) if isinstance(spec, str) else spec
    if not isinstance(found, Schedule):
        raise SpecError(f"{spec!r} is no schedule; for example lazy(every=4)")
    return found
