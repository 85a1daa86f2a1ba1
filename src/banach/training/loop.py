"""The training loop: one function, read from top to bottom."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.data.dataset import Data
from banach.game import Game
from banach.training.state import State
from banach.training.steps import EAGER, Steps, critic_step, generator_step, local, next_latents, set_rates


@dataclass(frozen=True)
class Batch:
    """What a hook may look at besides the state: the last reals and fakes the critic saw."""

    real: Tensor
    fake: Tensor


Hook = tuple[int, Callable[[State, Batch], None]]
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
    `steps` are the parts of a step, which may be computed or timed in other ways. Raises `NotFinite` before a loss or
    gradient that is not finite can reach the weights.
    """
    recipe, streams = state.recipe, state.streams
    while state.step < until and not stop():
        began = time.perf_counter()
        with streams.borrowed(state.step):
            set_rates(state)
            for _ in range(recipe.critic_steps(state.step)):
                real = steps.reals(state, data)
                fake = steps.fakes(state, next_latents(state, local(recipe.batch)))
                critic_step(state, game, real, fake, steps)
            fake = generator_step(state, game, real, steps)

        state.step += 1
        due = [(every, hook) for every, hook in hooks if state.step == until or (every and state.step % every == 0)]
        if state.device.type == "cuda" and any(every != 1 for every, _ in due):
            torch.cuda.synchronize()  # so that the clock below counts the work, not its being queued
        state.seconds += time.perf_counter() - began
        for _, hook in due:
            hook(state, Batch(real, fake))
