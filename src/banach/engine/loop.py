"""The training loop: one function, read from top to bottom."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from banach import dist
from banach.data.sampler import augment
from banach.data.sets import Data
from banach.engine.averages import MAXIMA
from banach.engine.player import Player
from banach.engine.state import State
from banach.engine.steps import EAGER, Steps
from banach.engine.streams import AUGMENT, LATENT
from banach.game import Game


@dataclass(frozen=True)
class Moment:
    """What a hook may look at besides the state: the last reals and fakes the critic saw."""

    real: Tensor
    fake: Tensor


Hook = tuple[int, Callable[[State, Moment], None]]
"""(every, function): called after every so many generator steps, and after the last one. It observes, and may change
nothing that training depends on; 0 calls it after the last step only."""


def train(
    state: State,
    game: Game,
    data: Data,
    until: int,
    hooks: Sequence[Hook] = (),
    stop: Callable[[], bool] = lambda: False,
    steps: Steps = EAGER,
) -> None:
    """Train to generator step `until`, or until `stop()` after a whole step.

    Each step is `n_critic` critic steps on fresh reals and fakes, one generator step, one step of the moving average.
    Raises `NotFinite` before a loss or gradient that is not finite can reach the weights; in several processes the next
    batch has been drawn then.
    """
    recipe, streams = state.recipe, state.streams
    while state.step < until and not stop():
        began = time.perf_counter()
        with streams.borrowed(state.step):
            set_rates(state)
            for _ in range(recipe.critic_steps(state.step)):
                real, fake = next_reals(state, data), steps.fakes(state, next_latents(state, local(recipe.batch)))
                terms = steps.critic(state, game, real, fake)
                update(state, state.critic, terms.numbers())
                state.memory, state.critic_steps = terms.memory, state.critic_steps + 1
                recipe.constraint.project_(state.critic.network)

            loss, fake = steps.generator(state, game, next_latents(state, local(recipe.g_batch)), real)
            update(state, state.generator, {"loss": loss})
            move_average_(state)

        state.step += 1
        due = [(every, hook) for every, hook in hooks if state.step == until or (every and state.step % every == 0)]
        if state.device.type == "cuda" and any(every != 1 for every, _ in due):
            torch.cuda.synchronize()  # so that the clock below counts the work, not its being queued
        state.seconds += time.perf_counter() - began
        for _, hook in due:
            hook(state, Moment(real, fake))


def next_reals(state: State, data: Data) -> Tensor:
    """This process's share of the next batch of training data, in model units."""
    rows = state.sampler.next()
    state.images += len(rows)
    real = data.batch(rows[dist.rank() :: dist.world()]).to(state.device)
    return augment(real, state.streams[AUGMENT], flip=state.recipe.flip, dequantise=state.recipe.dequantise)


def next_latents(state: State, n: int) -> Tensor:
    """This process's share of the next latents: every process draws them all and keeps its own."""
    shape = n * dist.world(), state.latents.shape[1]
    z = torch.randn(shape, generator=state.streams[LATENT], device=state.device, dtype=state.latents.dtype)
    return z[dist.rank() :: dist.world()]


def local(batch: int) -> int:
    """This process's share of a batch."""
    return -(-batch // dist.world())


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
    if dist.world() == 1:
        return terms
    terms = {name: one.detach().clone() for name, one in terms.items()}
    gradients = [one.grad for one in network.parameters() if one.grad is not None]
    running = [one for name, one in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    means = [one for name, one in terms.items() if name not in MAXIMA]
    maxima = [one for name, one in terms.items() if name in MAXIMA]
    dist.reduce_([*means, *gradients, *running], maxima)
    return terms


def set_rates(state: State) -> None:
    """Put the step's learning rates into the optimizers."""
    factor = state.recipe.rate(state.step)
    for player, lr in ((state.generator, state.recipe.g_lr), (state.critic, state.recipe.lr)):
        for group in player.optimizer.param_groups:
            group["lr"] = lr * factor


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
