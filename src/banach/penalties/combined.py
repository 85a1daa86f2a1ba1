"""Sums of soft constraints."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.penalties.penalty import PENALTIES, Cost, SoftConstraint
from banach.slopes import Critic
from banach.slopes.slopes import Memory, Noise, prefixed, unprefixed
from banach.spaces import Metric
from banach.specs import SpecError, ours, spelled


@PENALTIES.register(
    examples=["Sum((wgan_gp, Consistency()))", "Sum((r1, r2), weights=(1, 0.5))"],
    summary="several penalties at once, each with its own weight",
    source=ours("sums of penalties"),
)
@dataclass(frozen=True, repr=False)
class Sum(SoftConstraint):
    """sum_i weights_i penalty_i; without weights, each has its paper's. `weight` multiplies the sum."""

    parts: tuple[SoftConstraint, ...]
    weights: tuple[float, ...] = ()
    weight: float = 1.0
    __repr__ = spelled

    def __post_init__(self):
        if not isinstance(self.parts, tuple) or not self.parts:
            raise SpecError("Sum: give at least one penalty, as in Sum((wgan_gp, Consistency()))")
        for part in self.parts:
            if not isinstance(part, SoftConstraint):
                raise SpecError(f"Sum: {part!r} is no penalty; as in Sum((wgan_gp, Consistency()))")
        if self.weights and (len(self.weights) != len(self.parts) or not min(self.weights) >= 0):
            raise SpecError(f"Sum: weights {self.weights!r} for {len(self.parts)} penalties; give one each, >= 0")

    @property
    def needs_dual(self) -> bool:
        return any(part.needs_dual for part in self.parts)

    @property
    def bounds_slopes(self) -> bool:
        return any(part.bounds_slopes for part in self.parts)

    @property
    def bounds_critic(self) -> bool:
        return any(part.bounds_critic for part in self.parts)

    @property
    def growth(self) -> float:
        return max(part.growth for part in self.parts)

    def draw(self, real: Float[Tensor, "b *event"], rng: torch.Generator | None) -> Noise:
        return tuple(part.draw(real, rng) for part in self.parts)

    def cost(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory) -> Cost:
        costs = [
            part.cost(f, real, fake, space, own, unprefixed(memory, str(i)))
            for i, (part, own) in enumerate(zip(self.parts, noise, strict=True))
        ]
        weights = self.weights or tuple(part.weight for part in self.parts)
        return Cost(
            torch.stack([weight * one.value for weight, one in zip(weights, costs, strict=True)]).sum(),
            torch.cat([one.slopes for one in costs]),
            torch.stack([one.dropped for one in costs]).sum(),
            {key: value for i, one in enumerate(costs) for key, value in prefixed(one.memory, str(i)).items()},
        )


PENALTIES.rename("Together", "Sum")
