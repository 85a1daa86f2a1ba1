"""The Lipschitz constant that a penalty leaves: the closed form, and a linear critic that reaches it."""

import pytest
import scipy.optimize
import torch
from torch import nn

from banach.experiments import dynamic_lipschitz as dynamic
from banach.experiments.critic_fit import Fit, fit_, gap, slopes_between
from banach.experiments.parallel_lines import _dense
from banach.game import Game
from banach.penalties import Max, Penalty, TwoSided
from banach.slopes import Gradients
from banach.spaces import Lp


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("k0", "lam", "w1"), [(0.0, 0.1, 1.0), (1.0, 3.0, 0.5)])
def test_the_prediction_minimises_the_loss(k0, lam, w1):
    found = scipy.optimize.minimize_scalar(lambda k: -k * w1 + lam * (k - k0) ** 2, tol=1e-12)
    assert dynamic.predicted(k0, lam, w1) == pytest.approx(found.x, rel=1e-6)


def test_each_batch_is_as_far_as_the_distributions():
    shift = torch.tensor([0.3, 0.4])
    real, fake = dynamic.moved(shift)(50, rng())
    cost = torch.cdist(real, fake).numpy()
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    assert cost[rows, columns].mean() == pytest.approx(0.5, abs=1e-6)
    assert not torch.allclose(real, fake + shift)  # in another order
    real, fake = dynamic.around(50, rng())
    assert torch.allclose(real.norm(dim=1), torch.ones(50))
    assert not fake.any()


@pytest.mark.parametrize("lam", [0.5, 2.0])
def test_a_linear_critic_reaches_the_prediction_and_no_other(lam):
    """The largest slope is then the only one."""
    critic = nn.Sequential(_dense(2, 1, rng()), nn.Flatten(0))
    penalty = Penalty(Gradients(), TwoSided(0.5), Max(), lam)
    draw = dynamic.moved(torch.tensor([0.6, 0.8]))
    fit_(critic, Game(Lp(2), penalty=penalty, weight=lam, drift=0.0), draw, Fit(150, rate=0.05), rng())
    real, fake = draw(100, rng(1))
    slopes = slopes_between(critic, real, fake, Lp(2), rng())
    assert float(slopes.max()) == pytest.approx(dynamic.predicted(0.5, lam, 1.0), rel=0.02)
    assert float(slopes.max()) != pytest.approx(dynamic.predicted(0.5, 2 * lam, 1.0), rel=0.1)
    assert gap(critic, real, fake) == pytest.approx(float(slopes.max()), rel=0.02)


def test_the_rule_fails_where_a_slope_does_not_move():
    kept = {"predicted": 0.5, "k": [1.0, 1.0]}
    right = {"predicted": 0.5, "k": [0.52, 0.5]}
    circle = {"predicted": 1.5, "c": [1.45]}
    games = {"centred MaxGP, x": [{"slope": [0.5, 0.01]}], "gradient penalty, x": [{"slope": [1.0, 0.9]}]}
    held = [one.holds for one in dynamic._checks({"translations": [right], "circles": [circle], "games": games})]
    assert held == [True] * 4
    games = {name: [{"slope": [0.5, 0.3]}] for name in games}
    held = [one.holds for one in dynamic._checks({"translations": [right, kept], "circles": [circle], "games": games})]
    assert held == [False, True, False, False]
