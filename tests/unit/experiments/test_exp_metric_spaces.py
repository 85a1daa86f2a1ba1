"""Quotients against gradients: closed forms against quadrature, and the trivial metric against its two comparisons."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import torch

from banach.experiments import metric_spaces as metric


@pytest.mark.parametrize("eps", [1.0, 0.25, 0.03125])
def test_moments_of_the_quotients(eps):
    for power, found in zip((1, 2), metric.quotient_moments(eps), strict=True):
        exact, _ = scipy.integrate.quad(lambda d, p=power: 2 * (1 - d) * (eps / math.hypot(eps, d)) ** p, 0, 1)
        assert found == pytest.approx(exact, rel=1e-9)
    x, y = metric.segments(-eps)(200_000, torch.Generator().manual_seed(0))
    quotients = (x[:, 0] - y[:, 0]) / (x - y).norm(dim=1)
    assert float(quotients.mean()) == pytest.approx(metric.quotient_moments(eps)[0], rel=0.01)


def test_the_best_linear_critic_opens_the_constraint_as_the_distributions_come_closer():
    def loss(k: float, eps: float) -> float:
        cost, _ = scipy.integrate.quad(lambda d: 2 * (1 - d) * (k * eps / math.hypot(eps, d) - 1) ** 2, 0, 1)
        return -k * eps + metric.WEIGHT * cost

    for eps in (0.5, 0.0625):
        best = scipy.optimize.minimize_scalar(lambda k, eps=eps: loss(k, eps), bounds=(0, 5), method="bounded")
        assert metric.linear_slope(eps) == pytest.approx(best.x, rel=1e-3)
    slopes = [metric.linear_slope(eps) for eps in metric.CLOSE]
    assert slopes == sorted(slopes)
    assert slopes[-1] > 1.5


@pytest.mark.parametrize("eps", [1.0, 0.03125])
def test_the_quotients_prefer_a_critic_along_close_segments(eps):
    def cost(k: float, along: float) -> float:
        def pair(d: float) -> float:
            return 2 * (1 - d) * (abs(k * eps + along * d) / math.hypot(eps, d) - 1) ** 2

        return scipy.integrate.quad(pair, 0, 1)[0]

    best = metric.linear_slope(eps)
    across, along = metric.losses_of(eps)
    assert across == pytest.approx(metric.WEIGHT * cost(best, 0.0) - best * eps, rel=1e-6)
    assert along == pytest.approx(metric.WEIGHT * cost(0.0, 1.0), rel=1e-6)
    assert (along < across) == (eps < 0.5)


@pytest.mark.parametrize("case", metric.MIXED)
def test_masses_are_distributions(case):
    p, q = metric.masses(case, 3)
    assert float(p.sum()) == pytest.approx(1)
    assert float(q.sum()) == pytest.approx(1)
    assert (float(p @ q) == 0) == (case == "disjoint")


def test_least_squares_has_no_slope_at_its_optimum():
    p, q = metric.masses("another", 0)
    f = metric.least_squares(p, q).requires_grad_()
    loss = (q * (f + 1) ** 2).sum() + (p * (f - 1) ** 2).sum()
    (slope,) = torch.autograd.grad(loss, f)
    assert float(slope.abs().max()) < 1e-12


def test_likeness_is_a_correlation():
    f, g = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 8)))
    assert metric.alike(f, g, torch.ones(8)) == pytest.approx(np.corrcoef(f, g)[0, 1])
    assert metric.alike(f, 3 * f - 2, torch.rand(8)) == pytest.approx(1)


def test_the_loss_of_a_table_is_that_of_the_game():
    """In the mean over many pairs, and lowest where scipy finds it."""
    p, q = metric.masses("another", 1)
    f = torch.randn(8, generator=torch.Generator().manual_seed(0)).double()
    x, y = (one.double() for one in metric.on_points(p, q)(100_000, torch.Generator().manual_seed(1)))
    rise = (x @ f - y @ f)[(x != y).any(1)]
    drawn = float((y @ f).mean() - (x @ f).mean() + metric.WEIGHT * (rise.abs() - 1).square().mean())
    assert metric.expected_loss(f, p, q) == pytest.approx(drawn, rel=0.02)


def test_a_trained_table_is_about_the_best_that_many_starts_find():
    p, q = metric.masses("another", 0)
    rng = np.random.default_rng(0)
    best = min(
        scipy.optimize.minimize(lambda f: metric.expected_loss(torch.from_numpy(f), p, q), start).fun
        for start in rng.normal(size=(3, 8))
    )
    assert metric.trivial("another", 100, 0)["loss"] <= best + 0.5


def test_disjoint_distributions_have_two_values_as_in_least_squares():
    """-k + weight (k - 1)^2 is least at 1 + 1/(2 weight), and any spread within one of the two costs."""
    found = metric.trivial("disjoint", 150, 0)
    assert found["TV"] == pytest.approx(1)
    assert (found["lower"], found["upper"]) == (pytest.approx(1), pytest.approx(1))
    assert found["largest quotient"] == pytest.approx(1 + 1 / (2 * metric.WEIGHT), abs=0.1)
    assert found["alike"] > 0.98


def test_the_rule_fails_where_both_penalties_do_the_same():
    one = {"variance": 0.1, "gap / W1": 1.0}
    near = [{"distance": eps, "quotient": [one], "gradient": [one]} for eps in (1.0, 0.03125)]
    table = {"TV": 0.5, "lower": 0.5, "upper": 0.5, "estimate": 0.8, "alike": 0.2}
    held = [check.holds for check in metric._checks({"closer": near, "trivial metric": {"a": [table]}})]
    assert held == [False, True, True, False, True, True, False, False]
