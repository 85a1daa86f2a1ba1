"""Quotients to a point between, the compact dual, several points a pair, and steps along the steepest ascent."""

import pytest
import torch

from banach import Discrete, Lp, Sobolev, pair
from banach.slopes import Adversarial, Along, Gradients, Midway, Quotients, Rises, Values, gradient
from banach.slopes.slopes import uniform


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def pairs(*shape):
    real, fake = torch.randn(2, *shape, generator=rng(), dtype=torch.float64)
    return real, fake + 1


def quadratic(x):
    return x.flatten(1).square().sum(1) / 2


SPACES = [Lp(1), Lp(2), Sobolev(-1, 3)]


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_variant_two_of_semi_improved_training(space, column):
    """p(x, z) and p(y, z) with distances a d and (1 - a) d in a normed space; (2b,), never (b, b)."""
    real, fake = pairs(5, 2, 4)
    (a,) = Midway().draw(real, rng(1))
    z = torch.lerp(fake, real, a.view(-1, 1, 1))
    d = space.distance(real, fake)
    found = Midway().measure(lambda x: quadratic(x)[:, None] if column else quadratic(x), real, fake, space, (a,))
    assert found.slopes.shape == (10,)
    first = (quadratic(real) - quadratic(z)).abs() / ((1 - a) * d)
    second = (quadratic(fake) - quadratic(z)).abs() / (a * d)
    torch.testing.assert_close(found.slopes, torch.cat([first, second]))
    assert found.counts.tolist() == [1] * 10


def test_variant_two_leaves_out_and_counts_close_pairs():
    real, fake = pairs(4, 3)
    fake[1] = real[1]
    found = Midway().measure(quadratic, real, fake, Lp(2), Midway().draw(real, rng()))
    assert found.counts.tolist() == [1, 0, 1, 1, 1, 0, 1, 1]
    assert found.slopes[found.counts == 0].tolist() == [0, 0]
    assert len(Midway()(quadratic, real, fake, Lp(2), rng())) == 6


@pytest.mark.parametrize("space", [*SPACES, Discrete()], ids=repr)
def test_the_compact_dual_sees_rises_from_fakes_to_reals_only(space):
    real, fake = pairs(6, 2, 4)
    real[::2] *= 4
    signed = (quadratic(real) - quadratic(fake)) / space.distance(real, fake)
    assert (signed < 0).any()
    assert (signed > 0).any()
    found = Rises()(quadratic, real, fake, space, None)
    torch.testing.assert_close(found, signed.clamp_min(0))
    torch.testing.assert_close(Quotients()(quadratic, real, fake, space, None), signed.abs())


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_several_points_of_a_pair(space):
    """omega of SWGAN is the mean over 8 interpolates of |grad f|^2; the slope is its root."""
    real, fake = pairs(5, 2, 4)
    (a,) = Along(8).draw(real, rng(1))
    assert a.shape == (5, 8)
    omega = torch.stack(
        [space.dual.norm(torch.lerp(fake, real, one.view(-1, 1, 1))).square() for one in a.unbind(1)]
    ).mean(0)
    torch.testing.assert_close(Along(8)(quadratic, real, fake, space, rng(1)).square(), omega)


def test_at_both_places():
    real, fake = pairs(5, 2, 4)
    found = Gradients("both")(quadratic, real, fake, Lp(3), None)
    torch.testing.assert_close(found, torch.cat([Lp(3).dual.norm(real), Lp(3).dual.norm(fake)]))


def test_values_are_no_slopes():
    real, fake = pairs(5, 2, 4)
    found = Values()(lambda x: -quadratic(x)[:, None], real, fake, Discrete(), None)
    torch.testing.assert_close(found, torch.cat([quadratic(real), quadratic(fake)]))
    assert not Values().steep


def test_adversarial_in_l2_is_the_paper_s():
    """|D(x) - D(x + r)| / |r|_2 with r = eps d, d the normalised gradient in d of |D(x) - D(x + xi d)| at a unit d0."""
    real, fake = pairs(5, 4)
    kind = Adversarial()
    noise = kind.draw(real, rng(1))
    found = kind.measure(lambda x: torch.tanh(x).sum(1), real, fake, Lp(2), noise)

    def critic(x):
        return torch.tanh(x).sum(1)

    expected = []
    for x, i in ((real, 0), (fake, 1)):
        d0 = noise[0][:, i] - 0.5
        d0 = (d0 / d0.norm(dim=1, keepdim=True)).requires_grad_()
        (d,) = torch.autograd.grad((critic(x) - critic(x + 10 * d0)).abs().mean(), d0)
        eps = 0.1 + 9.9 * noise[1][:, i, None]
        r = eps * d / d.norm(dim=1, keepdim=True)
        expected.append((critic(x) - critic(x + r)).abs() / r.norm(dim=1))
    torch.testing.assert_close(found.slopes, torch.cat(expected))


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_adversarial_steps_go_along_the_steepest_ascent(space):
    """On a linear critic the quotient is its slope, in every norm, however long the step."""
    real, fake = pairs(5, 2, 4)
    u = torch.randn(1, 2, 4, generator=rng(2), dtype=torch.float64)
    found = Adversarial()(lambda x: pair(u.expand_as(x), x), real, fake, space, rng())
    torch.testing.assert_close(found, space.dual.norm(u).expand(10))


def test_adversarial_on_a_flat_critic():
    real, fake = pairs(5, 4)
    w = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    found = Adversarial().measure(lambda x: x @ w, real, fake, Lp(2), Adversarial().draw(real, rng()))
    assert found.counts.tolist() == [0] * 10
    (slope,) = torch.autograd.grad(found.slopes.sum(), w)
    assert slope.tolist() == [0] * 4


def test_no_gradient_reaches_the_points():
    real, fake = (one.requires_grad_() for one in pairs(3, 4))
    w = torch.ones((), dtype=torch.float64, requires_grad=True)
    for slopes in (Midway(), Rises(), Along(2), Adversarial(), Values(), Gradients("both")):
        slopes(lambda x: w * quadratic(x), real, fake, Lp(2), rng()).sum().backward()
    assert real.grad is None
    assert fake.grad is None
    assert w.grad is not None


def test_draws_are_one_row_a_sample():
    real = torch.zeros(7, 2, 3)
    assert uniform(real, rng()).shape == (7,)
    assert uniform(real, rng(), 4).shape == (7, 4)
    for slopes in (Gradients("near"), Along(3), Midway(), Adversarial()):
        assert all(len(one) == 7 for one in slopes.draw(real, rng()))
    assert gradient(quadratic, real).shape == real.shape
