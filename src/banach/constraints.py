"""Hard Lipschitz constraints: what is done to a critic's weights, and the Lipschitz bound that it proves in a space."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from banach.spaces import Metric
from banach.specs import Registry, Source, SpecError, ours, spelled

CONSTRAINTS = Registry("constraint", bare="build")


class Constraint(ABC):
    """Something that is done to the critic: once before training, and after each of its steps."""

    def prepare(self, critic: nn.Module) -> None:
        """Change the critic once, before its optimizer is made; nothing by default."""
        del critic

    @abstractmethod
    def project_(self, critic: nn.Module) -> None:
        """Bring the weights back into the constraint set, after each critic step."""

    def bound(self, critic: nn.Module, space: Metric) -> float | None:
        """The Lipschitz constant this proves for the critic in `space`, or None where it proves none."""
        del critic, space
        return None


@CONSTRAINTS.register(name="none", examples=["none"], source=ours("nothing is done to the weights"))
@dataclass(frozen=True, repr=False)
class Free(Constraint):
    """No hard constraint."""

    def __repr__(self) -> str:
        return "none"

    def project_(self, critic: nn.Module) -> None:
        del critic


@CONSTRAINTS.register(
    name="clip",
    examples=["clip", "clip(c=0.1)"],
    source=Source(
        "Arjovsky et al. 2017 (WGAN)",
        "algorithm 1",
        "c = 0.01, RMSProp 5e-5, 5 critic steps (100 in the first 25 and every 500th)",
        "martinarjovsky/WassersteinGAN 2cf43ba main.py (clips before each critic step)",
        "the algorithm's number",
    ),
)
@dataclass(frozen=True, repr=False)
class Clip(Constraint):
    """Every weight clipped to [-c, c] (WGAN; the paper's c is 0.01): Lipschitz, but with an unknown constant."""

    c: float = 0.01

    def __post_init__(self):
        if not 0 < self.c < float("inf"):
            raise SpecError(f"clip: c = {self.c!r}; choose a positive number")

    def __repr__(self) -> str:
        return spelled(self).replace("Clip", "clip", 1)

    @torch.no_grad()
    def project_(self, critic: nn.Module) -> None:
        for weight in critic.parameters():
            weight.clamp_(-self.c, self.c)


def constraint(spec: "str | Constraint") -> Constraint:
    """The constraint that a spec, or a constraint itself, stands for."""
    found = CONSTRAINTS.parse(spec) if isinstance(spec, str) else spec
    if not isinstance(found, Constraint):
        raise SpecError(f"{spec!r} is no constraint; for example clip(c=0.01)")
    return found
