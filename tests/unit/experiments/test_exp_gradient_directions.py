"""gradient-directions: the exact programme against other solvers, and the rule on critics whose answer is known."""

import math

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar

from banach.experiments.exact_critic import exact_critic
from banach.experiments.gradient_directions import judged, towards_plan
from banach.experiments.plane_critics import Effort, directions, largest_slope, planned, scaled_critic
from banach.experiments.plane_pairs import REAL_MEANS, even_gaussians, gaussians
from banach.objectives import objective

WEIGHT = 0.1


def distances(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n, 2))
    return np.linalg.norm(x[:, None] - y[None] - [2, 0], axis=2)


def test_wasserstein_is_w1_over_twice_the_weight():
    d = distances(12)
    w1 = ot.emd2([], [], d)
    found = exact_critic(objective("wasserstein"), d, WEIGHT, 1e-6)
    assert found.k == pytest.approx(w1 / (2 * WEIGHT), rel=1e-3)
    assert found.value == pytest.approx(-(w1**2) / (4 * WEIGHT), rel=3e-6)
    assert found.lower <= found.value


@pytest.mark.parametrize(
    ("spec", "phi"),
    [("logistic", lambda t: np.logaddexp(0, t)), ("sqrt", lambda t: t + np.sqrt(t * t + 1)), ("exp", np.exp)],
)
def test_one_fake_and_one_real_against_a_search_over_k(spec, phi):
    d = 1.7
    best = minimize_scalar(lambda k: 2 * phi(-k * d / 2) + WEIGHT * k * k, bounds=(0, 30), method="bounded")
    found = exact_critic(objective(spec), np.array([[d]]), WEIGHT, 1e-6)
    assert found.value == pytest.approx(best.fun, abs=3e-6)
    assert found.k == pytest.approx(best.x, rel=1e-2)
    assert found.fakes[0] == pytest.approx(-found.k * d / 2, rel=2e-2)


def test_three_by_three_against_a_smooth_solver():
    d = distances(3, 1)

    def value(z):
        return np.exp(z[:3]).mean() + np.exp(-z[3:6]).mean() + WEIGHT * z[6] ** 2

    rises = {"type": "ineq", "fun": lambda z: (z[6] * d - (z[3:6][None] - z[:3][:, None])).ravel()}
    other = minimize(value, np.append(np.zeros(6), 1.0), constraints=rises, method="SLSQP", options={"ftol": 1e-12})
    found = exact_critic(objective("exp"), d, WEIGHT, 1e-6)
    assert found.value == pytest.approx(other.fun, abs=3e-6)
    assert found.lower <= other.fun + 1e-6
    _, rise = found.bounding(d)
    assert rise == pytest.approx(np.ones(3), abs=1e-3)  # each fake is bounded by a real


def cone(x: torch.Tensor) -> torch.Tensor:
    return -(x - torch.tensor([3.0, 0.0])).norm(dim=1)


def test_the_rule_on_a_cone_and_on_what_breaks_it():
    real = torch.tensor([[3.0, 0.0], [3.0, 5.0]])
    fake = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert judged(cone, 1.0, real, fake)["share"] == 1
    steeper = judged(cone, 2.0, real, fake)
    assert (steeper["share"], steeper["bounded"], steeper["pointing"]) == (0, 0, 1)
    # The gradient turned by a right angle: as steep, and it points at no real.
    turned = judged(lambda x: x[:, 1] * 1.0, 1.0, real[:1], fake)
    assert turned["share"] == 0
    # One real bounds the fake, and another is pointed at: it is asked of one real.
    split = judged(
        lambda x: x[:, 0].clamp_max(0.5) + x[:, 1].relu(),
        1.0,
        torch.tensor([[4.0, 0.0], [0.0, 1.0]]),
        torch.zeros(1, 2),
    )
    assert (split["share"], split["bounded"], split["pointing"]) == (0, 1, 1)
    flat = judged(lambda x: 0 * x[:, 0], 1.0, real, fake)
    assert flat["moving"] == 0
    assert math.isnan(flat["share"])


def test_the_plan_of_a_translation_and_the_cosine_to_it():
    fake = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    real = fake + torch.tensor([5.0, 0.0])
    along = planned(real, fake) - fake
    assert along[:, 0].sum() == pytest.approx(200, rel=1e-5)
    right = towards_plan(lambda x: x[:, 0] * 2.0, 2.0, fake, real)
    assert right == {"plan share": 1, "plan cosine": pytest.approx(1)}
    assert towards_plan(lambda x: -x[:, 0], 1.0, fake, real)["plan share"] == 0


def test_directions_are_unit_vectors_and_distances():
    a, b = torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    d, towards = directions(a, b)
    assert d.tolist() == [[5.0, 0.0]]
    assert towards[0].flatten().tolist() == pytest.approx([0.6, 0.8, 0.0, 0.0])


def test_k_is_a_lipschitz_constant_and_training_finds_w1():
    samples = even_gaussians(32, 0)
    critic, k = scaled_critic(objective("wasserstein"), samples, WEIGHT, Effort(100, 32, 8, 3e-2, 0.9, 0.99), 0)
    rng = torch.Generator().manual_seed(0)
    assert largest_slope(critic, *gaussians(200, rng), rng) <= k * (1 + 1e-5)
    w1 = ot.emd2([], [], torch.cdist(*samples).double().numpy())
    assert k == pytest.approx(w1 / (2 * WEIGHT), rel=0.15)


def test_of_several_starts_the_least_minimum_is_taken():
    samples, effort, of = even_gaussians(32, 0), Effort(15, 32, 8, 3e-2, 0.9, 0.99), objective("wasserstein")

    def came_to(seed, starts):
        critic, k = scaled_critic(of, samples, WEIGHT, effort, seed, starts)
        with torch.no_grad():
            assert k == float(critic.k)
            return float(of.critic_loss(critic(samples[0]), critic(samples[1])) + WEIGHT * critic.k.square())

    found = [(came_to(seed, 1), came_to(seed, 3)) for seed in range(4)]
    assert all(best <= one for one, best in found)
    assert any(best < one for one, best in found)
    assert came_to(0, 3) == found[0][1]


def test_both_samplings_have_the_law():
    for real, fake in (gaussians(4096, torch.Generator().manual_seed(0)), even_gaussians(4096, 0)):
        assert fake.mean(0).tolist() == pytest.approx([-0.75, 0], abs=0.01)
        assert fake.std(0).tolist() == pytest.approx([0.15, 0.15], abs=0.01)
        halves = real.view(2, -1, 2)
        assert halves.mean(1) == pytest.approx(torch.tensor(REAL_MEANS), abs=0.02)
        assert halves.std(1).flatten().tolist() == pytest.approx([0.15] * 4, abs=0.01)
