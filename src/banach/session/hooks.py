"""What a run writes while it trains. Each hook observes the state; none may change what training depends on."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from banach.config.parts import OutputKeys
from banach.data.dataset import Data
from banach.game import Game
from banach.runs import checkpoint
from banach.session.console import Progress, duration
from banach.session.pictures import draw_fakes
from banach.session.scoring import scoring
from banach.session.session import Session
from banach.streams import seed_of, stream
from banach.training.build import period
from banach.training.loop import Batch, Hook
from banach.training.state import State

HELD_OUT = 256
"""Held-out reals, and fresh fakes, in the held-out gap."""

TOLD_AFTER = 3.0
"""Seconds of training after which a run says once how long it will take."""


def hooks_for(session: Session) -> tuple[Hook, ...]:
    """The hooks of a run in their order: the lines and pictures of a step are there before its checkpoint is."""
    config = session.config
    return (
        (1, ticking(session)),
        (config.log_every, logging(session)),
        (config.sample_every, picturing(session)),
        (config.score_every, scoring(session)),
        *(((period(config), keeping(session)),) if config.decay == "restarts" else ()),
        (config.save_every, saving(session)),
    )


def followers_hooks(config: OutputKeys) -> tuple[Hook, ...]:
    """The hooks of a process that writes nothing: it ends where the first one finds what is not finite."""

    def check(state: State, batch: Batch) -> None:
        state.watch.check()

    return tuple((every, check) for every in (config.log_every, config.score_every, config.save_every))


def ticking(session: Session) -> Callable[[State, Batch], None]:
    """Moves the progress bar, and says once how long it will take."""
    began: list[tuple[float, int]] = []
    told = False

    def hook(state: State, batch: Batch) -> None:
        nonlocal told
        now = time.monotonic()
        if not began:
            began.append((now, state.step))
        spent, done = now - began[0][0], state.step - began[0][1]
        session.eta_seconds = (session.config.steps - state.step) * spent / done if done else math.nan
        session.console.tick(state.step, session.eta_seconds)
        if not told and spent > TOLD_AFTER:
            told = True
            session.say(f"ETA       {duration(session.eta_seconds)}")

    return hook


def logging(session: Session) -> Callable[[State, Batch], None]:
    """Writes a line of metrics.jsonl, TensorBoard's scalars, and the progress line."""

    def hook(state: State, batch: Batch) -> None:
        state.watch.check()
        means = state.critic.averages.means(), state.generator.averages.means()
        state.critic.averages.clear()
        state.generator.averages.clear()
        line = metrics_line(state, session, *means)
        session.lock.check()
        session.metrics.append(line)
        session.board.metrics(line)
        session.console.event("metrics", line)
        session.console.progress(progress_of(state, session, line))
        session.note_lost_console()

    return hook


def picturing(session: Session) -> Callable[[State, Batch], None]:
    """Draws fakes from the fixed latents, and the critic's derivative."""

    def hook(state: State, batch: Batch) -> None:
        session.lock.check()
        draw_fakes(session, state)

    return hook


def keeping(session: Session) -> Callable[[State, Batch], None]:
    """Keeps the averaged generator at the end of each period of the learning rate, before it restarts."""

    def hook(state: State, batch: Batch) -> None:
        if state.step % state.recipe.restart_every:
            return  # the run ends within a period
        state.watch.check()
        session.lock.check()
        session.folder.snapshots.mkdir(exist_ok=True)
        session.generator(state).save(session.folder.snapshot(state.step))

    return hook


def saving(session: Session) -> Callable[[State, Batch], None]:
    """Saves the checkpoint and the generator."""

    def hook(state: State, batch: Batch) -> None:
        save(session, state)

    return hook


def save(session: Session, state: State) -> None:
    """Save everything; the records are on the disk before the checkpoint that stands on them."""
    state.watch.check()
    session.lock.check()
    session.metrics.sync()
    session.scores.sync()
    session.board.flush()
    session.generator(state).save(session.folder.generator)
    checkpoint.save(session.folder.checkpoints, state.state_dict(), session.config.keep)


def metrics_line(
    state: State, session: Session, critic: dict[str, float], generator: dict[str, float]
) -> dict[str, float | None]:
    """One line of metrics.jsonl, with the keys of `records.KEYS` in their order."""
    factor = state.recipe.rate(state.step - 1)
    seconds = state.seconds - session.last_seconds
    values: dict[str, Any] = {
        "step": state.step,
        "images": state.images,
        "minutes": state.seconds / 60,
        "images_per_second": (state.images - session.last_images) / seconds if seconds > 0 else None,
        "lr": state.recipe.lr * factor,
        "g_lr": state.recipe.g_lr * factor,
        "loss_critic": critic["loss"],
        "loss_generator": generator["loss"],
        "play": critic["play"],
        "penalty": critic["penalty"],
        "drift": critic["drift"],
        "gap": critic["gap"],
        "gap_per_slope": critic["gap"] / critic["slope_max"] if critic["slope_max"] > 0 else None,
        "gap_held_out": held_out_gap(state, session.game, session.data),
        "slope_mean": critic["slope_mean"],
        "slope_max": critic["slope_max"],
        "dropped": critic["dropped"],
        "bound": proved_bound(state, session.game),
    }
    session.last_images, session.last_seconds = state.images, state.seconds
    return values


def proved_bound(state: State, game: Game) -> float | None:
    """The Lipschitz constant of f that the constraint proves in the game's space; None where it proves none."""
    if not isinstance(game.gamma, int | float):
        return None
    bound = state.recipe.constraint.bound(state.critic.network, game.space)
    return None if bound is None else bound / game.gamma


@torch.no_grad()
def held_out_gap(state: State, game: Game, data: Data) -> float | None:
    """E f(held-out reals) - E f(fresh fakes); None where nothing is held out."""
    n = min(HELD_OUT, len(data.held_out))
    if n == 0:
        return None
    real = data.model_units(data.held_out[:n]).to(state.device)
    seed = state.streams.seed, "held out", state.step
    z = torch.randn(n, state.latents.shape[1], generator=stream("cpu", *seed)).to(state.latents)
    with untouched(state.generator.network), untouched(state.critic.network), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(*seed))
        f_real, f_fake = state.critic.forward(real), state.critic.forward(state.generator.forward(z))
    return float((f_real.double().mean() - f_fake.double().mean()) / game.scales_for(real)[1])


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Whatever a forward pass does to the network's buffers (running statistics) is undone on leaving."""
    before: list[tuple[Tensor, Tensor]] = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)


def progress_of(state: State, session: Session, line: dict[str, float | None]) -> Progress:
    """The progress line's figures."""

    def figure(key: str) -> float:
        value = line[key]
        return math.nan if value is None else value

    measured = line["slope_max"] != 0  # a hard constraint, and some penalties, measure none
    return Progress(
        step=state.step,
        steps=session.config.steps,
        gap=figure("gap"),
        gap_held_out=figure("gap_held_out"),
        slope_mean=figure("slope_mean") if measured else math.nan,
        slope_max=figure("slope_max") if measured else math.nan,
        bound=figure("bound"),
        score=session.score,
        images_per_second=figure("images_per_second"),
        eta_seconds=session.eta_seconds,
    )
