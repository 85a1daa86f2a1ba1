"""Constraints kept by a multiplier: augmented Lagrangians, whose multiplier is part of the run's state."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach import distributed
from banach.penalties.penalty import PENALTIES, Cost, SoftConstraint, check_parts, cost_of, counted
from banach.penalties.reductions import Reduction
from banach.penalties.shapes import Shape
from banach.slopes import Critic, Slopes
from banach.slopes.slopes import Memory, Noise
from banach.spaces import Metric
from banach.specs import SpecError, ours, spelled


@PENALTIES.register(
    examples=["AugmentedLagrangian(Gradients(), Deviation(), Max(), quadratic=10, rate=0.001)"],
    summary="any constraint of your own choice, kept by a multiplier",
    source=ours("what MaxAL, Fisher GAN, Sobolev GAN and SWGAN have in common"),
)
@dataclass(frozen=True, repr=False)
class AugmentedLagrangian(SoftConstraint):
    """multiplier c + quadratic c^2 with c = reduction(shape(slopes)), to be 0; then multiplier += rate c.

    The multiplier starts at 0 and belongs to the state of a run; `least` is the smallest value it may take: 0 where the
    constraint is c <= 0, -inf where it is c = 0. Over several ranks c is that of the joined batch. (MaxAL of Zhou et
    al.; Fisher GAN and Sobolev GAN of Mroueh et al.; SWGAN of Xu et al.)
    """

    slopes: Slopes
    shape: Shape
    reduction: Reduction
    quadratic: float = 10.0
    rate: float = 1e-3
    least: float = float("-inf")
    weight: float = 1.0
    __repr__ = spelled

    def __post_init__(self):
        check_parts("AugmentedLagrangian", self.slopes, self.shape, self.reduction)
        if not (0 <= self.quadratic < float("inf") and 0 < self.rate < float("inf") and self.least <= 0):
            raise SpecError(
                f"AugmentedLagrangian: quadratic = {self.quadratic!r}, rate = {self.rate!r}, least = {self.least!r}; "
                "choose quadratic >= 0, rate > 0, and least = 0 or -inf"
            )

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
        return 2 * self.shape.growth

    def draw(self, real: Float[Tensor, "b *event"], rng: torch.Generator | None) -> Noise:
        return self.slopes.draw(real, rng)

    def cost(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory) -> Cost:
        measured, kept = self.slopes.remember(f, real, fake, space, noise, memory)
        slopes, counts = counted(measured)
        c = self.reduction(self.shape, slopes, counts)
        whole = distributed.mean(c)
        multiplier = memory.get("multiplier", torch.zeros_like(whole)).to(whole)
        # Of value and derivative multiplier c + quadratic c^2 at the joined batch's c, once averaged over the ranks.
        square = whole.square() + 2 * whole * (c - whole)
        after = (multiplier + self.rate * whole).clamp_min(self.least)
        return cost_of(
            multiplier * c + self.quadratic * square, self.slopes, slopes, counts, {**kept, "multiplier": after}
        )
