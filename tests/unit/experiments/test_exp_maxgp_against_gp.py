"""MaxGP against GP: the share of the optimum on problems with a known one, slopes, and what counts as divergence."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize_scalar
from torch import nn

from banach.config.config import Config
from banach.data import load
from banach.experiments import maxgp_against_gp as one
from banach.experiments.dense_critic import DenselyConnected
from banach.experiments.exact_critic import exact_critic
from banach.experiments.experiment import FAILS, HOLDS, Outcome
from banach.experiments.reproduce import Wanted, reproduce
from banach.objectives import objective

APART = 3.0


def best_of_two() -> float:
    """The least of phi(-a) + varphi(a) + (2 a / d)^2, of one real and one fake at distance d; sqrt is symmetric."""

    def cost(a: float) -> float:
        return 2 * (math.sqrt(a * a + 1) - a) + (2 * a / APART) ** 2

    return float(minimize_scalar(cost, bounds=(0, 20), method="bounded", options={"xatol": 1e-9}).fun)


@pytest.mark.parametrize("scale", [1.0, 5.0, 0.01])
def test_a_straight_critic_of_two_points_is_optimal_at_any_scale(scale):
    of, f = objective("sqrt"), scale * torch.tensor([[0.0], [APART]], dtype=torch.float64)
    best = exact_critic(of, np.array([[APART]]), one.WEIGHT).value
    assert best == pytest.approx(best_of_two(), abs=1e-4)
    assert one.share_of_optimum(of, f[1], f[0], scale, best) == pytest.approx(1, abs=1e-3)


def test_what_is_not_optimal_reaches_less():
    of, best = objective("sqrt"), best_of_two()
    low, high = torch.zeros(1, dtype=torch.float64), torch.full((1,), APART, dtype=torch.float64)
    assert one.share_of_optimum(of, low, high, 1.0, best) == 0  # the wrong sign
    steep = one.share_of_optimum(of, high, low, 2.0, best)  # twice as steep somewhere as it need be
    assert 0 < steep < 0.8
    assert one.share_of_optimum(of, high * math.nan, low, 1.0, best) == 0
    assert one.share_of_optimum(of, low, low, 0.0, best) == 0


def test_the_steepest_slope_of_a_plane_is_its_norm():
    plane = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(4, 3, generator=rng), torch.randn(5, 3, generator=rng)
    assert one.steepest(plane, real, fake) == pytest.approx(float(plane[0].weight.detach().norm()), rel=1e-5)


def test_each_layer_is_joined_to_all_before():
    critic = DenselyConnected(6, 5, 3, torch.Generator().manual_seed(0))
    x = torch.randn(4, 1, 2, 3, generator=torch.Generator().manual_seed(1))
    h = x.flatten(1)
    for layer in critic.layers:
        h = torch.cat([h, torch.relu(h @ layer.weight.T + layer.bias)], 1)
    assert h.shape == (4, 6 + 3 * 5)
    last = critic.score.layer
    assert torch.allclose(critic(x), (h @ last.weight.T + last.bias).squeeze(1))


def test_a_rate_that_is_too_large_diverges_and_a_small_one_does_not():
    data = load("8gaussians:n=2000")
    keys = {"model": "mlp", "z": 2, "objective": "exp", "penalty": "maxgp", "penalty_weight": 1.0, "drift": 0.0,
            "critic_scale": 1.0, "g_width": 4, "d_width": 8, "batch": 16, "steps": 4}  # fmt: skip
    assert one.diverging(Config(**keys, lr=30.0), data)["diverged"]
    calm = one.diverging(Config(**keys, lr=1e-4), data)
    assert not calm["diverged"]
    assert calm["steps"] == 4
    assert calm["largest"] < one.DIVERGED


def rows(share: float, cosine: float = 0.99):
    return [{"share": share, "cosine": cosine}]


def ended(diverged: bool):
    return [{"diverged": diverged}]


@pytest.mark.parametrize(
    ("maxgp", "cosine", "other", "diverged", "verdict"),
    [
        (0.95, 0.95, 0.7, True, HOLDS),
        (0.85, 0.95, 0.7, True, FAILS),
        (0.95, 0.8, 0.7, True, FAILS),
        (0.95, 0.95, 0.92, True, FAILS),
        (0.95, 0.95, 0.7, False, FAILS),
    ],
)
def test_the_rule(maxgp, cosine, other, diverged, verdict):
    fitted = {way: rows(other) for way in one.OTHERS} | {one.MAXGP: rows(maxgp, cosine)}
    exp = {"GP": ended(diverged), "LP": ended(True), one.MAXGP: ended(False)}
    assert Outcome({}, {}, one.checks(fitted, exp)).verdict == verdict


def test_own_images(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for at in range(30):
        Image.fromarray(rng.integers(256, size=(12, 12, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{at}.png")
    wanted = Wanted(("maxgp-against-gp",), "tiny", tmp_path / "out", str(tmp_path / "photos"))
    (ended_with,) = reproduce(wanted, {"maxgp-against-gp": one.EXPERIMENT}, lambda line: None)
    assert ended_with.result is not None
    assert ended_with.result.asked["data"] == str(tmp_path / "photos")
    assert "photos" in ended_with.result.found["settings"]["images"]
