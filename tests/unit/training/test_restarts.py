"""Warm restarts: the rate against torch's own schedule, the period of a config, and what is refused."""

import pytest
import torch
from small_run import DATA

from banach.config.config import Config
from banach.config.keys import ConfigError
from banach.training.build import build, period, recipe_of
from banach.training.state import Recipe

SMALL = {"data": "small", "model": "mlp", "z": 3, "g_width": 4, "d_width": 4, "batch": 8}


def test_the_rate_is_that_of_sgdr():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=7)
    recipe, found, expected = Recipe(restart_every=7), [], []
    for step in range(30):
        found.append(recipe.rate(step))
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert found == pytest.approx(expected, abs=1e-12)
    assert found[7] == found[14] == 1.0 > found[6]


@pytest.mark.parametrize(("keys", "expected"), [({"steps": 100}, 20), ({"steps": 11}, 3), ({"restart_every": 30}, 30)])
def test_the_period_is_given_or_a_fifth_of_the_run(keys, expected):
    config = Config(**{**SMALL, "steps": 100, "decay": "restarts", **keys})
    assert period(config) == expected
    assert recipe_of(config).restart_every == expected
    assert recipe_of(config).decay_over == 0
    assert build(config, DATA, torch.device("cpu")).state.recipe.restart_every == expected


def test_other_schedules_have_no_restarts():
    assert recipe_of(Config(**SMALL)).restart_every == 0


@pytest.mark.parametrize(
    ("keys", "told"),
    [({"restart_every": 5}, "add that, or leave it out"),
     ({"decay": "restarts", "restart_every": 50, "steps": 40}, "more than the run's 40 steps")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(keys, told):
    with pytest.raises(ConfigError, match=f"restart-every: .*{told}"):
        Config(**{**SMALL, **keys})
