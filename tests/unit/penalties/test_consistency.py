"""CT-GAN's second term: passes with dropped units, by sample, against the formula."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from banach import Discrete, Lp, Sobolev, penalty
from banach.game import Game, critic_terms
from banach.models import build_critic
from banach.penalties import Consistency
from banach.penalties.consistency import _masks, blocks_of
from banach.specs import SpecError


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def mlp(d=5):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(d, 64), nn.Softplus(), nn.Linear(64, 1), nn.Flatten(0)).double()


REAL = torch.randn(6, 5, generator=rng(), dtype=torch.float64)


def test_the_formula_with_masks_by_hand():
    """E max(0, (D(x') - D(x''))^2 + 0.1 mean (h(x') - h(x''))^2 - M), kept with probability 1/2 after the one block."""
    critic, kind = mlp(), Consistency(keep=(0.8, 0.5), margin=0.3)
    noise = kind.draw(REAL, rng(1))
    found = kind.cost(critic, REAL, REAL, Lp(2), noise, {}).value
    hidden = F.softplus(critic[0](REAL))
    h1, h2 = (hidden * _masks(hidden, seeds, 0, 0.5) for seeds in noise[0].unbind(1))
    apart = (critic[2](h1) - critic[2](h2)).square().squeeze(1) + 0.1 * (h1 - h2).square().mean(1)
    assert found.item() == pytest.approx((apart - 0.3).clamp_min(0).mean().item(), rel=1e-12)
    assert found > 0


def test_masks_keep_as_many_as_they_say_and_belong_to_the_sample():
    h = torch.ones(8, 4000)
    seeds = torch.rand(8, generator=rng())
    masks = _masks(h, seeds, 0, 0.8)
    assert set(masks.unique().tolist()) == {0.0, 1.25}
    assert masks.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(_masks(h, seeds.flip(0), 0, 0.8), masks.flip(0))
    assert not torch.equal(masks, _masks(h, seeds, 1, 0.8)), "each site has its own"
    assert not torch.equal(masks[0], masks[1])


def test_nothing_is_dropped_where_all_is_kept_and_hooks_are_gone():
    critic, kind = mlp(), Consistency(keep=(1.0,))
    assert kind(critic, REAL, REAL, Lp(2), rng()) == 0
    before = critic(REAL)
    assert Consistency()(critic, REAL, REAL, Lp(2), rng()) > 0
    assert torch.equal(critic(REAL), before)
    with pytest.raises(RuntimeError):
        Consistency()(critic, REAL[:, :3], REAL[:, :3], Lp(2), rng())
    assert torch.equal(critic(REAL), before), "also after an error"


@pytest.mark.parametrize(("model", "shape"), [("resnet", (3, 8, 8)), ("dcgan", (1, 32, 32)), ("mlp", (5,))])
def test_the_package_s_own_critics(model, shape):
    critic = build_critic(model, shape, width=8, rng=rng())
    real, fake = torch.randn(2, 4, *shape, generator=rng())
    assert len(blocks_of(critic)) >= 3
    terms = critic_terms(Game(Lp(2), penalty=penalty("ct-gan"), weight=1.0), critic, real, fake, rng())
    plain = critic_terms(Game(Lp(2), penalty=penalty("wgan-gp"), weight=10.0), critic, real, fake, rng())
    assert terms.penalty > plain.penalty
    terms.loss.backward()
    assert all(one.grad is None or one.grad.isfinite().all() for one in critic.parameters())


def test_one_activation_that_serves_every_layer_does_not_stand_for_all_of_them():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(5, 5) for _ in range(4))
            self.activation = nn.ReLU()

    chain = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    shared = Shared()
    assert blocks_of(shared) == list(shared.layers)
    assert blocks_of(chain) == [chain[2], chain[4]]


def test_it_needs_no_norm_but_a_network():
    assert Consistency()(mlp(), REAL, REAL, Discrete(), rng()) > 0
    with pytest.raises(SpecError, match=r"the critic must be an nn\.Module"):
        Consistency()(lambda x: x.sum(1), REAL, REAL, Lp(2), rng())
    with pytest.raises(SpecError, match="finds no blocks in Linear"):
        blocks_of(nn.Linear(5, 1))


def test_the_game_gives_the_network_through_gamma():
    critic = build_critic("mlp", (5,), width=8, rng=rng()).double()
    game = Game(Sobolev(s=-1), penalty=Consistency(), gamma=2.0)
    found = critic_terms(game, critic, REAL, REAL, rng(3))
    assert found.slope_max == 0, "it measures no slopes"
    assert found.penalty > 0
