"""Value surfaces: the exact critic, what a critic explains of it, and the rule."""

import pytest
import torch

from banach.data import load
from banach.experiments import value_surfaces
from banach.experiments.experiment import FAILS, HOLDS, Outcome, Setting
from banach.experiments.fixed_generator import SETS, explained, kantorovich_critic, optimal_critic, transported
from banach.experiments.surfaces import surface


@pytest.fixture(scope="module")
def fresh():
    rng = torch.Generator().manual_seed(0)
    return transported(torch.randn(60, 2, generator=rng), 0.5 + 1.5 * torch.randn(60, 2, generator=rng))


def test_the_exact_critic_is_lipschitz_and_reaches_w1(fresh):
    f = kantorovich_critic(fresh)
    assert float(f(fresh.real).mean() - f(fresh.fake).mean()) == pytest.approx(fresh.w1, rel=1e-6)
    x, y = 3 * torch.randn(2, 400, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert ((f(x) - f(y)).abs() <= (x - y).norm(dim=1) + 1e-9).all()


def test_the_exact_critic_explains_itself_at_any_scale_and_level(fresh):
    f, at, best = kantorovich_critic(fresh), torch.cat([fresh.real, fresh.fake]), torch.cat(fresh.potentials)
    assert explained(f, at, best) == pytest.approx(1, abs=1e-6)
    assert explained(lambda x: 7 * f(x) - 3, at, best) == pytest.approx(1, abs=1e-6)
    assert explained(lambda x: -f(x), at, best) == 0
    assert explained(lambda x: torch.zeros(len(x)), at, best) == 0
    assert explained(lambda x: torch.full((len(x),), torch.nan), at, best) == 0
    assert 0 < explained(lambda x: -x[:, 0], at, best) < 0.9


def test_the_optimal_critic_is_the_same_each_time_and_lipschitz():
    data = load("8gaussians:n=4000")
    f, again = optimal_critic(data, 50, 3), optimal_critic(data, 50, 3)
    x, y = 3 * torch.randn(2, 200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(f(x), again(x))
    assert ((f(x) - f(y)).abs() <= (x - y).norm(dim=1) + 1e-9).all()
    assert len(f.critics) == 3


def found(clipping: float, worst: float, slope: float = 1.2):
    ways = dict.fromkeys(value_surfaces.WAYS, 0.95) | {"clipping": clipping, "semi-improved 2": worst}
    return {
        name: {way: [{"explained": share, "slope": slope}] for way, share in ways.items()} for name in SETS
    }  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        (found(0.5, 0.9), HOLDS),
        (found(0.85, 0.9), FAILS),
        (found(0.2, 0.79), FAILS),
        (found(0.5, 0.9, slope=0.9), FAILS),
    ],
)
def test_the_rule(numbers, verdict):
    assert Outcome({}, {}, value_surfaces.checks(numbers)).verdict == verdict


def test_the_published_constants_are_those_of_the_toy_code(tmp_path):
    of = value_surfaces.constants(Setting("small", tmp_path, published=True))
    assert (of.width, of.lr, of.clip_lr, of.batch, of.decay) == (512, 1e-4, 5e-5, 256, "none")
    config = value_surfaces.config("clipping", of, 3)
    assert (config.optimizer, config.lr, config.constraint, config.seed) == ("rmsprop", 5e-5, "clip", 3)
    assert value_surfaces.config("MaxGP", of, 3).penalty_weight == 0.1


def test_a_surface_of_another_grid():
    heights = surface(lambda x: x[:, 0] + 10 * x[:, 1], 5)
    assert heights.shape == (5, 5)
    assert heights[0, -1] == pytest.approx(3 - 30)
