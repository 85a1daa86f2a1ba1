"""The trivial (discrete) metric."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from banach.numerics import at_least_float32
from banach.operators.operator import Event
from banach.spaces.metric import SPACES, Metric
from banach.specs import Source, spelled


@SPACES.register(
    examples=["Discrete()"], source=Source("Adler and Lunz 2018 (Banach WGAN)", "section 5, the trivial metric")
)
@dataclass(frozen=True)
class Discrete(Metric):
    """The trivial metric: 1 if any entry differs, else 0; its W1 is total variation (Banach WGAN, section 5)."""

    __repr__ = spelled

    def distance(self, x: Shaped[Tensor, "b *event"], y: Shaped[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        return at_least_float32((x != y).flatten(1).any(1).to(x.dtype if x.is_floating_point() else torch.float32))

    @property
    def emphasis(self) -> str:
        return "only whether two samples are equal"

    @property
    def trivial(self) -> bool:
        return not self.remeasured

    def roundoff(self, event: Event) -> float:
        return 0.0
