"""One critic fitted to two fixed distributions: the inner loop of experiments that train no generator."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from banach.game import Game, critic_terms
from banach.slopes import interpolate
from banach.slopes.slopes import Memory, steepness
from banach.spaces import Metric

Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
"""(n, rng) to n reals and n fakes."""


@dataclass(frozen=True)
class Fit:
    """Steps of Adam, its rate, which falls linearly to its share `last`, and the batch."""

    steps: int
    rate: float = 3e-3
    batch: int = 64
    betas: tuple[float, float] = (0.5, 0.9)
    last: float = 0.0


def fit_(critic: nn.Module, game: Game, draw: Draw, how: Fit, rng: torch.Generator) -> None:
    """Train a critic in place, to be large on reals."""
    optimizer = torch.optim.Adam(critic.parameters(), how.rate, betas=how.betas)
    memory: Memory = {}
    for step in range(how.steps):
        optimizer.param_groups[0]["lr"] = how.rate * (1 - (1 - how.last) * step / how.steps)
        real, fake = draw(how.batch, rng)
        terms = critic_terms(game, critic, real, fake, rng, memory, step)
        optimizer.zero_grad(set_to_none=True)
        terms.loss.backward()
        optimizer.step()
        memory = terms.memory


def gap(critic: nn.Module, real: Tensor, fake: Tensor) -> float:
    """E f(real) - E f(fake)."""
    with torch.no_grad():
        return float(critic(real).double().mean() - critic(fake).double().mean())


def slopes_between(critic: nn.Module, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator) -> Tensor:
    """The slopes (n,) at one random point between each real and its fake, in the dual norm."""
    return steepness(critic, interpolate(real, fake, rng), space).detach()
