"""Games in memory: looks at their steps, the same samples for the same seed, and a loss that is not finite."""

import dataclasses

import torch
from small_run import DATA, GAME, SMALL, new

from banach.experiments.trained import samples, trained
from banach.training.state import Recipe


def test_looks_are_taken_before_on_the_way_and_after():
    found = trained(new(Recipe(n_critic=1, batch=8, g_batch=8)), GAME, DATA, 5, 2, lambda state: state.step)
    assert found.seen == ((0, 0), (2, 2), (4, 4), (5, 5))
    assert (found.ended, found.seconds > 0) == (None, True)
    last = trained(new(Recipe(n_critic=1, batch=8, g_batch=8)), GAME, DATA, 3, 0, lambda state: state.step)
    assert last.seen == ((0, 0), (3, 3))


def test_what_is_not_finite_ends_the_run_with_a_last_look():
    recipe = dataclasses.replace(SMALL, n_critic=1, lr=1e30, g_lr=1e30)
    found = trained(new(recipe), GAME, DATA, 50, 0, lambda state: state.step)
    assert found.ended is not None
    assert found.ended < 50
    assert found.seen == ((0, 0), (found.ended, found.ended))


def test_samples_depend_on_the_seed_alone():
    state = new()
    torch.manual_seed(3)
    first = samples(state, 300, seed=1)
    assert first.shape == (300, 1, 6, 6)
    assert torch.equal(first, samples(state, 300, seed=1))
    assert not torch.equal(first, samples(state, 300, seed=2))
