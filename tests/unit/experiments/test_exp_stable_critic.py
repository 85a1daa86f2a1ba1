"""stable-critic: the measure of drift, what is free under which objective, and the user's own data."""

import numpy as np
import pytest
import torch

from banach.experiments.catalogue import EXPERIMENTS
from banach.experiments.reproduce import Wanted, reproduce
from banach.experiments.stable_critic import STRICT, WAYS, drift
from banach.game import Game, critic_terms
from banach.objectives import objective


def test_drift_is_that_of_the_level_in_the_second_half():
    levels = np.concatenate([np.linspace(5, 9, 50), np.tile([1.0, -1.0], 25)])[:, None] * [1, 3]
    spreads = np.full_like(levels, 2.0) * [1, 3]
    assert drift(levels, spreads) == pytest.approx([0.5, 0.5])  # whatever the scale of f
    assert drift(levels + 100, spreads) == pytest.approx([0.5, 0.5])
    assert drift(np.ones((10, 1)), np.ones((10, 1))) == 0


def loss(name: str, offset: float) -> float:
    way = WAYS[name]
    x = torch.linspace(-1, 1, 8, dtype=torch.float64)[:, None]
    game = Game(objective=objective(way.objective), penalty=None, drift=way.drift)
    return float(critic_terms(game, lambda x: x[:, 0] + offset, x, x - 1).loss)


@pytest.mark.parametrize("name", WAYS)
def test_an_offset_costs_nothing_under_plain_wasserstein_alone(name):
    moved = abs(loss(name, 100.0) - loss(name, 0.5))
    assert (moved < 1e-9) == (name == "wasserstein")
    assert {*STRICT} < {*WAYS}


def test_the_users_own_data(tmp_path):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(size=(64, 12)).astype(np.float32))
    wanted = Wanted(("stable-critic",), "tiny", tmp_path / "out", data=str(tmp_path / "mine.npy"))
    (ended,) = reproduce(wanted, EXPERIMENTS, lambda line: None)
    assert ended.result.found["settings"]["data"].endswith("mine.npy")
    numbers = ended.result.found["numbers"]
    assert all(np.isfinite(one["drift"]).all() for one in numbers.values())
