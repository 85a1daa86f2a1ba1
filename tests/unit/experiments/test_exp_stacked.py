"""Stacked networks: each is what it would be alone, and has its own largest slope."""

import pytest
import torch

from banach.experiments.critic_field import field_of
from banach.experiments.plane_pairs import gaussians
from banach.experiments.stacked import EachMax, StackedMLP, drawn_for_each, stacked_maxgp
from banach.game import Game, critic_terms
from banach.penalties import Max, Penalty, Power
from banach.slopes import Gradients


def rngs(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def stack(*seeds: int) -> StackedMLP:
    return StackedMLP((2, 8, 8, 1), torch.relu, rngs(*seeds)).double()


def test_a_stack_is_its_networks_one_after_the_other():
    x = torch.randn(10, 2, dtype=torch.float64)
    both = stack(3, 4)(x)
    assert torch.allclose(both, torch.cat([stack(3)(x[:5]), stack(4)(x[5:])]))
    h = x[:5]
    for at, w in enumerate(stack(3).weights):
        h = h @ w[0] / len(w[0]) ** 0.5
        h = h.relu() if at < 2 else h
    assert torch.allclose(both[:5], h.squeeze(1))


def test_outputs_of_several_numbers_keep_their_axis():
    assert StackedMLP((2, 4, 3), torch.relu, rngs(0, 1))(torch.randn(6, 2)).shape == (6, 3)


def test_weights_scaled_at_the_start_are_used_as_they_are():
    plain = StackedMLP((2, 512, 1), torch.relu, rngs(0), "start")
    assert float(plain.weights[1].detach().std()) == pytest.approx((2 / 512) ** 0.5, rel=0.1)
    x = torch.randn(4, 2)
    h = (x @ plain.weights[0][0]).relu() @ plain.weights[1][0]
    assert torch.allclose(plain(x), h.squeeze(1), atol=1e-5)


def test_maxgp_of_a_stack_is_the_mean_of_each():
    real, fake = torch.randn(12, 2, dtype=torch.float64), torch.randn(12, 2, dtype=torch.float64) + 1
    penalty, weight = stacked_maxgp(2), 0.5
    rows = torch.Generator().manual_seed(7)
    game = Game(penalty=penalty, weight=weight, drift=0.0)
    whole = critic_terms(game, stack(3, 4), real, fake, rows)
    a = torch.rand(12, generator=torch.Generator().manual_seed(7), dtype=torch.float64)[:, None]
    x = (a * real + (1 - a) * fake).requires_grad_()
    (u,) = torch.autograd.grad(stack(3, 4)(x).sum(), x)
    each = u.norm(dim=1).view(2, -1).amax(1)
    assert torch.allclose(whole.penalised.value, weight * each.square().mean())
    # The largest of all networks together would punish the steepest one alone.
    joint = Penalty(Gradients(), Power(2), Max(), 1.0)
    other = critic_terms(Game(penalty=joint, weight=weight, drift=0.0), stack(3, 4), real, fake, rngs(7)[0])
    assert not torch.allclose(other.penalised.value, whole.penalised.value)


def test_each_max():
    assert EachMax(2)(Power(2), torch.tensor([1.0, 2.0, 3.0, 0.0])) == (4 + 9) / 2


def test_each_network_draws_from_its_own_generator():
    def draw(n, rng):
        return torch.rand(n, 2, generator=rng), torch.rand(n, 2, generator=rng)

    real, fake = drawn_for_each(draw, 3, rngs(1, 2))
    alone = drawn_for_each(draw, 3, rngs(2))
    assert torch.equal(real[3:], alone[0])
    assert torch.equal(fake[3:], alone[1])


def test_a_field_shows_all_parts_of_the_laws():
    real, fake = gaussians(400, torch.Generator().manual_seed(0))
    field = field_of(lambda x: x[:, 0] * 2.0, real, fake)
    assert {x > 0 for x, _ in field["real"]} == {True, False}
    assert {*map(tuple, field["arrows"])} == {(1.0, 0.0)}
    assert (len(field["surface"]), len(field["surface"][0])) == (45, 60)
    assert field["surface"][0][0] == -4.0
    assert field["surface"][0][-1] == 4.0
