"""How long a step takes: whole steps where they are short, a part of their rows where they are long."""

import itertools

import pytest
import torch
from small_run import DATA, GAME, new

from banach.training import timing
from banach.training.build import Built
from banach.training.state import Recipe
from banach.training.timing import look_at, step_seconds

RECIPE = Recipe(n_critic=3, batch=32, g_batch=64)


@pytest.fixture
def ticks(monkeypatch):
    """A clock that goes on by a second each time it is read, so that all that is timed takes one second."""
    clock = itertools.count()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))


def test_short_steps_are_timed_as_a_whole(ticks):
    built = Built(DATA, GAME, new(RECIPE))
    assert step_seconds(built, limit=5) == pytest.approx(3, abs=2.1)  # the loop reads the clock too
    assert built.state.step >= 2


def test_long_steps_are_estimated_from_some_of_their_rows(ticks):
    built = Built(DATA, GAME, new(RECIPE))
    assert step_seconds(built, limit=1) == 3 * 1 * 32 / 16 + 1 * 64 / 16
    assert (built.state.step, built.state.recipe) == (0, RECIPE)


def test_what_the_plan_sees_of_the_machine():
    found = look_at(DATA, torch.device("cpu"))
    assert (found.kind, found.shape, found.train, found.cpu) == ("image", (1, 6, 6), 32, True)
    assert found.threads == torch.get_num_threads()
    assert found.cores >= 1
