"""One step of the critic and one of the generator, and the parts they consist of.

Nothing is computed to be thrown away: the critic's fakes carry no graph of the generator, the generator's step makes no
gradients of the critic's weights, and the double backward runs over the points of the penalty only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from banach import distributed
from banach.data.dataset import Data
from banach.data.sampler import augment
from banach.game import Game, critic_terms, generator_loss
from banach.slopes.slopes import Memory
from banach.streams import AUGMENT, LATENT, PENALTY
from banach.training.averages import MAXIMA
from banach.training.player import Player
from banach.training.state import State


@dataclass(frozen=True)
class Steps:
    """The parts of a step; `dataclasses.replace` puts others in their place, which compile or time them.

    `reals(state, data)` is a batch of the data, `fakes(state, z)` are samples without a graph. `critic(state, game,
    real, fake)` leaves the gradients of the critic's loss in its weights and returns the terms by name and the memory;
    `generator(state, game, z, real)` does so for the generator and returns its loss and its samples. Nothing returned
    has a graph. With a scaler (fp16) the gradients are multiplied by its scale. `update(state, player, terms)` lets a
    player take the step along its gradients; `average(state)` moves the generator's average.
    """

    reals: Callable[[State, Data], Tensor]
    fakes: Callable[[State, Tensor], Tensor]
    critic: Callable[[State, Game, Tensor, Tensor], tuple[dict[str, Tensor], Memory]]
    generator: Callable[[State, Game, Tensor, Tensor], tuple[Tensor, Tensor]]
    update: Callable[[State, Player, dict[str, Tensor]], None]
    average: Callable[[State], None]


def next_reals(state: State, data: Data) -> Tensor:
    """This process's share of the next batch of training data, in model units."""
    rows = state.sampler.next()
    state.images += len(rows)
    real = data.batch(rows[distributed.rank() :: distributed.world()]).to(state.device)
    return augment(real, state.streams[AUGMENT], flip=state.recipe.flip, dequantise=state.recipe.dequantise)


def next_latents(state: State, n: int) -> Tensor:
    """This process's share of the next latents: every process draws them all and keeps its own."""
    shape = n * distributed.world(), state.latents.shape[1]
    z = torch.randn(shape, generator=state.streams[LATENT], device=state.device, dtype=state.latents.dtype)
    return z[distributed.rank() :: distributed.world()]


def local(batch: int) -> int:
    """This process's share of a batch."""
    return -(-batch // distributed.world())


@torch.no_grad()
def next_fakes(state: State, z: Tensor) -> Tensor:
    """Samples of the generator as it trains."""
    return state.generator.forward(z)


def critic_gradients(state: State, game: Game, real: Tensor, fake: Tensor) -> tuple[dict[str, Tensor], Memory]:
    """The critic's terms by name and the game's memory, and the gradients of the loss in the critic's weights.

    The scores' graph has gone before the penalty's is made: they are the two largest things in a step's memory.
    """
    state.critic.optimizer.zero_grad()
    rng, memory = state.streams[PENALTY], state.memory
    terms = critic_terms(game, state.critic.forward, real, fake, rng, memory, state.critic_steps)
    for summand in terms.summands():
        if summand.requires_grad:  # a penalty that rests does not
            state.scaler.scale(summand).backward()
    return terms.numbers(), terms.memory


def generator_gradients(state: State, game: Game, z: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's loss and its samples, and the gradients of the loss in its weights."""
    state.generator.optimizer.zero_grad()
    with frozen(state.critic.network):
        fake = state.generator.forward(z)
        loss = generator_loss(game, state.critic.forward, fake, real)
        state.scaler.scale(loss).backward()
    return loss.detach(), fake.detach()


def update(state: State, player: Player, terms: dict[str, Tensor]) -> None:
    """One step of one player whose gradients are there: their mean over all processes, the checks, the optimizer."""
    shared = over_all_ranks(player.network, {**terms, "loss": terms["loss"].detach()})
    state.watch.before_update(player, shared, state.step)
    state.scaler.step(player.optimizer)
    state.scaler.update()
    player.averages.add(shared)


def over_all_ranks(network: nn.Module, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """The joined batch's terms; gradients and running statistics become their means over all processes.

    All of it in one all-reduce, so that whatever follows, also a stop for what is not finite, is the same everywhere.
    """
    if distributed.world() == 1:
        return terms
    terms = {name: one.detach().clone() for name, one in terms.items()}
    gradients = [one.grad for one in network.parameters() if one.grad is not None]
    running = [one for name, one in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    means = [one for name, one in terms.items() if name not in MAXIMA]
    maxima = [one for name, one in terms.items() if name in MAXIMA]
    distributed.reduce_([*means, *gradients, *running], maxima)
    return terms


@torch.no_grad()
def move_average_(state: State) -> None:
    """average <- decay average + (1 - decay) generator: weights and running statistics alike; counters are copied."""
    decay = state.recipe.ema_decay(state.step)
    pairs = zip(state.average.state_dict().values(), state.generator.network.state_dict().values(), strict=True)
    moving = [(old, new) for old, new in pairs if old.is_floating_point()]
    torch._foreach_lerp_([old for old, _ in moving], [new for _, new in moving], 1 - decay)
    for old, new in zip(state.average.buffers(), state.generator.network.buffers(), strict=True):
        if not old.is_floating_point():
            old.copy_(new)


EAGER = Steps(next_reals, next_fakes, critic_gradients, generator_gradients, update, move_average_)
"""The parts in the form that runs anywhere."""


def critic_step(state: State, game: Game, real: Tensor, fake: Tensor, steps: Steps = EAGER) -> None:
    """One step of the critic on a batch: gradients, update, constraint."""
    numbers, memory = steps.critic(state, game, real, fake)
    steps.update(state, state.critic, numbers)
    state.memory, state.critic_steps = memory, state.critic_steps + 1
    state.recipe.constraint.project_(state.critic.network)


def generator_step(state: State, game: Game, real: Tensor, steps: Steps = EAGER) -> Tensor:
    """One step of the generator and of its average; returns the samples it was made on. `real` is the last batch."""
    loss, fake = steps.generator(state, game, next_latents(state, local(state.recipe.g_batch)), real)
    steps.update(state, state.generator, {"loss": loss})
    steps.average(state)
    return fake


def set_rates(state: State) -> None:
    """Put the step's learning rates into the optimizers."""
    factor = state.recipe.rate(state.step)
    for player, lr in ((state.generator, state.recipe.g_lr), (state.critic, state.recipe.lr)):
        for group in player.optimizer.param_groups:
            group["lr"] = lr * factor


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
