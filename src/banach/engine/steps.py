"""The derivatives of both players' losses, in the form that runs anywhere: each call fills the gradients of one player.

Nothing is computed to be thrown away: the critic's fakes carry no graph of the generator, the generator's step makes no
gradients of the critic's weights, and the double backward runs over the points of the penalty only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from banach.engine.state import State
from banach.engine.streams import PENALTY
from banach.game import CriticTerms, Game, critic_terms, generator_loss


@dataclass(frozen=True)
class Steps:
    """How the arithmetic of a step is done; `banach.engine.compiled` has another form of the same numbers.

    `fakes(state, z)` are samples without a graph. `critic(state, game, real, fake)` leaves the gradients of the
    critic's loss in its weights and returns the terms; `generator(state, game, z, real)` does so for the generator and
    returns its loss and its samples, both without a graph. With a scaler (fp16) the gradients are multiplied by its
    scale.
    """

    fakes: Callable[[State, Tensor], Tensor]
    critic: Callable[[State, Game, Tensor, Tensor], CriticTerms]
    generator: Callable[[State, Game, Tensor, Tensor], tuple[Tensor, Tensor]]


@torch.no_grad()
def fakes(state: State, z: Tensor) -> Tensor:
    """Samples of the generator as it trains."""
    return state.generator.forward(z)


def critic_gradients(state: State, game: Game, real: Tensor, fake: Tensor) -> CriticTerms:
    """The critic's terms, and the gradients of their loss in its weights.

    The scores' graph has gone before the penalty's is made: they are the two largest things in a step's memory.
    """
    state.critic.optimizer.zero_grad()

    def spend(summand: Tensor) -> Tensor:
        if summand.requires_grad:  # a penalty that rests does not
            state.scaler.scale(summand).backward()
        return summand.detach()

    rng, memory = state.streams[PENALTY], state.memory
    return critic_terms(game, state.critic.forward, real, fake, rng, memory, state.critic_steps, spend)


def generator_gradients(state: State, game: Game, z: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's loss and its samples, and the gradients of the loss in its weights."""
    state.generator.optimizer.zero_grad()
    with frozen(state.critic.network):
        fake = state.generator.forward(z)
        loss = generator_loss(game, state.critic.forward, fake, real)
        state.scaler.scale(loss).backward()
    return loss.detach(), fake.detach()


EAGER = Steps(fakes, critic_gradients, generator_gradients)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network's weights get no gradients: none are computed to be thrown away."""
    trained = [one for one in network.parameters() if one.requires_grad]
    for one in trained:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in trained:
            one.requires_grad_(True)
