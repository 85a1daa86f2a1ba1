"""Critics without a proven constant: the gap, the measured kappa, and their quotient; never called a bound."""

from functools import partial

import pytest
import torch

from banach import Lp, gradient_penalty, space
from banach.transport import Budget
from banach.transport.penalised import Penalised, penalised_estimate, steepest


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(2)", "Lp(inf)", "Sobolev(s=-1)", "Discrete()"])
def test_kappa_of_a_linear_function_is_its_dual_norm(spec):
    metric = space(spec)
    w = torch.randn(1, 1, 6, generator=rng(3), dtype=torch.float64)
    x, y = torch.randn(2, 50, 1, 6, generator=rng(), dtype=torch.float64)
    kappa, points = steepest(lambda z: (z * w).flatten(1).sum(1), x, y, metric, rng())
    assert points == (200 if spec == "Discrete()" else 500)
    if spec != "Discrete()":
        assert kappa == pytest.approx(float(metric.dual.norm(w)), rel=1e-9)


def test_the_steepest_place_between_the_samples_is_found():
    """All the rise is in the middle, where no sample is."""
    x, y = torch.randn(300, 1, generator=rng()) * 0.1 - 2, torch.randn(300, 1, generator=rng(1)) * 0.1 + 2
    kappa, _ = steepest(lambda z: 5 * torch.tanh(2 * z[:, 0]), x, y, Lp(2), rng())
    assert 8 < kappa <= 10


@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(2)"])
def test_a_penalised_critic_finds_a_translation(spec):
    """Its gap alone is above W1, by its kappa; over kappa it is below, as far as the steepest place is steeper."""
    x = torch.randn(600, 2, generator=rng())
    y = torch.randn(600, 2, generator=rng(1)) + torch.tensor([3.0, 0.0])
    found = penalised_estimate(x, y, spec, gradient_penalty, width=32, budget=Budget(steps=200, lr=3e-3, batch=128))
    assert found.gap > 3.3
    assert 1.5 < found.value < 3.1
    assert 1.2 < found.kappa < 3
    assert found.value == found.gap / found.kappa


def test_units_do_not_matter():
    x, y = torch.randn(200, 2, generator=rng()), torch.randn(200, 2, generator=rng(1)) + 1
    budget = Budget(steps=20, lr=1e-3, batch=64)
    one = penalised_estimate(x, y, "l2", partial(gradient_penalty, kind="wgan-lp"), width=8, budget=budget)
    large = penalised_estimate(1024 * x, 1024 * y, "l2", partial(gradient_penalty, kind="wgan-lp"), width=8,
                               budget=budget)  # fmt: skip
    assert large.value == pytest.approx(1024 * one.value, rel=1e-4)
    assert large.kappa == pytest.approx(one.kappa, rel=1e-4)


def test_a_flat_critic_says_nothing():
    assert Penalised(0.0, 0.0, 10, 1.0).value == 0.0


def test_samples_of_different_sizes_train_in_equal_batches():
    x, y = torch.randn(40, 2, generator=rng()), torch.randn(60, 2, generator=rng(1)) + 1
    found = penalised_estimate(x, y, "l2", gradient_penalty, width=8, budget=Budget(steps=3))
    assert found.kappa > 0
