"""The base class of hard constraints, and the two that change no layers: none, and clipping."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import nn

from banach.models.bounds import lipschitz_bound
from banach.spaces import Metric
from banach.specs import Registry, Source, SpecError, ours, spelled

CONSTRAINTS = Registry("constraint", bare="build")

Recommended = Mapping[str, float | int | str]


class Constraint(ABC):
    """A hard constraint: it changes the critic once before training, and after each of its steps.

    `recommended` holds the training constants of the constraint's paper under the names of the config's keys.
    """

    recommended: ClassVar[Recommended] = MappingProxyType({})

    def prepare(self, critic: nn.Module) -> None:
        """Change the critic once, before its optimizer is made; nothing by default."""
        del critic

    @abstractmethod
    def project_(self, critic: nn.Module) -> None:
        """Bring the weights back into the constraint set, after each critic step."""

    def bound(self, critic: nn.Module, space: Metric) -> float | None:
        """A proven Lipschitz constant of the critic in `space`, from its weights as they are; None if there is none.

        See `banach.models.bounds.lipschitz_bound`: an upper bound for every critic whose layers are known, however it
        was trained. What a constraint adds is that it stays small.
        """
        return lipschitz_bound(critic, space)


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
    """Every weight clipped to [-c, c], before the first critic step and after each (WGAN, algorithm 1; c = 0.01).

    Lipschitz, with a constant that grows with width and depth: what is proven is the product bound, far above the
    slope. WGAN trains it by RMSProp, 5e-5, with 100 critic steps before each of the first 25 generator steps and every
    500th (`first_steps`; in the paper's code, not in its text).
    """

    c: float = 0.01
    recommended: ClassVar[Recommended] = MappingProxyType(
        {"optimizer": "rmsprop", "lr": 5e-5, "n_critic": 5, "first_steps": 100}
    )

    def __post_init__(self):
        if not 0 < self.c < float("inf"):
            raise SpecError(f"clip: c = {self.c!r}; choose a positive number")

    def __repr__(self) -> str:
        return spelled(self).replace("Clip", "clip", 1)

    def prepare(self, critic: nn.Module) -> None:
        self.project_(critic)

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
