"""Which forms of the convolutions to compute in: fixed by measurement on CPUs, measured at a run's start on GPUs.

The choice is one of a run's facts, so that a run goes on in the forms it began with, bit for bit.
"""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from banach import dist
from banach.engine.state import State
from banach.engine.steps import critic_gradients, generator_gradients
from banach.game import Game
from banach.models.blocks import ConvThenPool, Forms, InLayout, UpsampleThenConv, set_forms_

MARGIN = 0.05
"""A form must be this much faster than the plain one to be taken: noise alone is to change nothing."""

PLAIN = Forms(fused=False, channels_last=False)


def quickest(
    candidates: Mapping[str, Callable[[], object]],
    default: str,
    margin: float = MARGIN,
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """The name of the quickest candidate by its median time, or `default` unless that is slower by more than `margin`.

    Candidates take turns, after one call each that is not timed, so that what slows the machine down slows all.

    >>> quickest({"plain": lambda: None, "slow": lambda: time.sleep(1e-3)}, default="plain", rounds=3)
    'plain'
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, candidate in candidates.items():
            began = clock()
            candidate()
            if turn:
                times[name].append(clock() - began)
    medians = {name: statistics.median(found) for name, found in times.items()}
    best = min(medians, key=lambda name: medians[name])
    return best if medians[best] <= (1 - margin) * medians[default] else default


def forms_for(state: State, game: Game, shape: tuple[int, ...], before: str, measure: bool) -> dict[str, str]:
    """Put networks into the forms in which they are to compute; returns these in words, as the fact "forms".

    {} where there is no choice. `before` are those of the run's beginning, which are taken again. Without `measure`
    they are the defaults; with it, each form's critic and generator step is timed on the device. The state stays as it
    is.
    """
    networks = state.generator, state.critic, state.average
    chosen = (InLayout, ConvThenPool, UpsampleThenConv)
    if not any(isinstance(one, chosen) for network in networks for one in network.modules()):
        return {}
    known = {str(one): one for one in (Forms(fused, last) for fused in (False, True) for last in (False, True))}
    name = before if before in known else str(Forms())
    if measure and before not in known:
        trials = {one: _trial(state, game, shape, forms) for one, forms in known.items()}
        kept = [(one, one.clone()) for network in networks for one in network.buffers()]
        positions = state.streams.state_dict()
        quick = quickest(trials, default=str(PLAIN))
        name = dist.from_first(lambda: quick)
        state.streams.load_state_dict(positions, state.step)
        for buffer, value in kept:
            buffer.copy_(value)
        for network in networks:
            network.zero_grad()
    for network in networks:
        set_forms_(network, known[name])
    return {"forms": name}


def _trial(state: State, game: Game, shape: tuple[int, ...], forms: Forms) -> Callable[[], None]:
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(state.recipe.batch, *shape, generator=rng).to(state.latents)
    z = torch.randn(state.recipe.g_batch, state.latents.shape[1], generator=rng).to(state.latents)

    def trial() -> None:
        for network in (state.generator, state.critic):
            set_forms_(network, forms)
        critic_gradients(state, game, real, real.flip(0))
        generator_gradients(state, game, z, real)
        if state.device.type == "cuda":
            torch.cuda.synchronize()

    return trial
