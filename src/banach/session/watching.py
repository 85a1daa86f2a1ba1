"""How a training without a folder is told of: nothing if it is short, then what it is and how far it is."""

import math
import sys
import time
from collections.abc import Callable, Sequence

from banach.session.console import Console, Plain, Progress, Quiet, Terminal
from banach.session.notebook import Notebook, in_notebook
from banach.training.loop import Batch
from banach.training.state import State

AFTER = 2.0
"""Seconds of training before the first word."""

PACE = 1.0
"""The least seconds between two sets of new figures."""

PLAIN_PACE = 10.0
"""The least seconds between two lines where there is no terminal."""


def console_of_caller(progress: bool = True) -> Console:
    """The console of a function that a program calls: standard output is the program's own.

    A live line on a terminal (standard error) or in a notebook, plain lines from time to time otherwise, or nothing.
    """
    if not progress:
        return Quiet()
    if in_notebook():
        return Notebook()
    if sys.stderr is None:  # a program without a console (pythonw)
        return Quiet()
    return Terminal(sys.stderr) if sys.stderr.isatty() else Plain(sys.stderr, PLAIN_PACE)


def watching(console: Console, about: Sequence[str], steps: int) -> Callable[[State, Batch], None]:
    """A hook for every step of a training from step 0: `about` in lines once it turns out to take a while, and then
    how far it is, again and again."""
    began = told = time.monotonic()
    images = 0

    def hook(state: State, batch: Batch) -> None:
        nonlocal told, images
        now = time.monotonic()
        if now - began < AFTER:
            return
        eta = (steps - state.step) * (now - began) / state.step
        if told == began:
            for line in about:
                console.say(line)
        elif now - told < PACE and state.step < steps:
            console.tick(state.step, eta)
            return
        state.watch.check()
        speed = (state.images - images) / (now - told)
        told, images = now, state.images
        console.progress(_progress(state, steps, speed, eta))

    return hook


def _progress(state: State, steps: int, speed: float, eta: float) -> Progress:
    """The figures since the last time."""
    means = state.critic.averages.means()
    state.critic.averages.clear()
    state.generator.averages.clear()
    measured = means.get("slope_max", 0) != 0
    return Progress(
        step=state.step,
        steps=steps,
        gap=means.get("gap", math.nan),
        slope_mean=means.get("slope_mean", math.nan) if measured else math.nan,
        slope_max=means.get("slope_max", math.nan) if measured else math.nan,
        images_per_second=speed,
        eta_seconds=eta,
    )
