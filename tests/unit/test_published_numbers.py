"""The numbers of the source documents: filter weights, scales, the heuristic for lambda, the two forms of the loss.

Banach WGAN (arXiv 1806.06621), its released code cifar10_sobolev.py and sobolev_utils.py.
"""

import math

import numpy as np
import pytest
import torch

from banach import Bessel, Lp, Sobolev, scales
from banach.game import Game, critic_terms
from banach.objectives import WASSERSTEIN
from banach.penalties import penalty

CHECKERBOARD = ((-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))).double().view(1, 1, 32, 32)
STRIPES = ((-1.0) ** torch.arange(32)).double().expand(32, 32).reshape(1, 1, 32, 32)


def weight(wave, **how):
    """What the filter multiplies a wave by."""
    image = Bessel(**how)(wave)
    factor = float(image[0, 0, 0, 0] / wave[0, 0, 0, 0])
    torch.testing.assert_close(image, factor * wave)
    return factor


@pytest.mark.parametrize(
    ("s", "published"),
    [(-2, 0.091), (-1.5, 0.166), (-1, 0.302), (-0.5, 0.549), (0.5, 1.82), (1, 3.32), (2, 11.0)],
)
def test_weights_at_the_corner(s, published):
    assert weight(CHECKERBOARD, s=s) == pytest.approx(11 ** (s / 2))
    assert weight(CHECKERBOARD, s=s) == pytest.approx(published, rel=5e-3)


def test_the_largest_frequencies():
    """weight = (1 + |xi|^2)^(s/2): sqrt(5) on an axis and sqrt(10) at the corner, where the paper says 5."""
    assert math.sqrt(weight(STRIPES, s=2) - 1) == pytest.approx(math.sqrt(5))
    assert math.sqrt(weight(CHECKERBOARD, s=2) - 1) == pytest.approx(math.sqrt(10))
    assert math.sqrt(weight(STRIPES, s=2, scale="paper") - 1) == pytest.approx(5)
    assert math.sqrt(weight(CHECKERBOARD, s=2, scale=12.5) - 1) == pytest.approx(5)
    assert weight(torch.ones_like(STRIPES), s=2) == pytest.approx(1)


def by_the_published_code(x, s, p):
    """(lambda, gamma) as the released script takes them: both from the filter of order +s."""
    k = np.minimum(np.arange(32), 32 - np.arange(32)) / 16
    filtered = np.fft.ifft2((1 + 5 * (k[:, None] ** 2 + k**2)) ** (s / 2) * np.fft.fft2(x.numpy())).real
    q = math.inf if p == 1 else 1 / (1 - 1 / p)
    flat = filtered.reshape(len(x), -1)
    return np.linalg.norm(flat, p, axis=1).mean(), np.linalg.norm(flat, q, axis=1).mean()


@pytest.fixture(scope="module")
def pixels():
    """Independent uniform pixels on [-1, 1], as many as CIFAR-10's."""
    rng = torch.Generator().manual_seed(0)
    return 2 * torch.rand(64, 3, 32, 32, generator=rng, dtype=torch.float64) - 1


@pytest.mark.parametrize("s", [-1.5, -1, 0, 0.5, 1])
@pytest.mark.parametrize("p", [1.5, 2, 4])
def test_the_slip_of_the_published_gamma(pixels, s, p):
    """The code's gamma is E |Lambda^+s X|_q where the paper's is E |Lambda^-s X|_q. Alike at s = 0 only; at p = 2 the
    code's gamma is its lambda."""
    lam, gamma = by_the_published_code(pixels, s, p)
    ours = scales(Sobolev(s, p), pixels)
    assert ours.lam == pytest.approx(lam, rel=1e-12)
    if s == 0:
        assert ours.gamma == pytest.approx(gamma, rel=1e-12)
    else:
        assert abs(ours.gamma / gamma - 1) > 0.2
        assert ours.gamma == pytest.approx(by_the_published_code(pixels, -s, p)[1], rel=1e-12)
    if p == 2:
        assert gamma == pytest.approx(lam, rel=1e-12)


@pytest.mark.parametrize(("p", "lam", "gamma"), [(2, 32, 32), (4, 5.0, 219), (10, 1.76, 702)])
def test_scales_of_uniform_pixels(pixels, p, lam, gamma):
    found = scales(Lp(p), pixels)
    assert found.lam == pytest.approx(lam, rel=0.01)
    assert found.gamma == pytest.approx(gamma, rel=0.01)


@pytest.mark.parametrize("space", [Lp(2), Lp(4), Sobolev(-1, 3)], ids=repr)
@pytest.mark.parametrize("factor", [1.0, 0.5, 3.0])
def test_the_heuristic_in_closed_form(space, factor):
    """With a generator of zeros and D = c norm(x) the loss -c m/gamma + lambda (c/gamma - 1)^2, m = E norm(X), is least
    at c = gamma (1 + m / (2 lambda)): at slope 1.5 when lambda = m."""
    real = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    m = float(space.norm(real).mean())
    gamma, lam = 7.0, factor * m
    game = Game(space, weight=lam, gamma=gamma, drift=0.0)

    def loss(c):
        return critic_terms(game, lambda x: c * space.norm(x), real, torch.zeros_like(real), torch.Generator()).loss

    c = torch.tensor(gamma * (1 + 1 / (2 * factor)), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(c), c)
    assert float(slope) == pytest.approx(0, abs=1e-10)
    assert loss(c) < min(loss(0.99 * c.detach()), loss(1.01 * c.detach()))
    terms = critic_terms(game, lambda x: c * space.norm(x), real, torch.zeros_like(real), torch.Generator())
    assert float(terms.slope_max) == pytest.approx(1.5 if factor == 1 else 1 + 1 / (2 * factor))
    assert float(terms.slope_mean) == pytest.approx(float(terms.slope_max))
    assert float(terms.gap / terms.slope_max) == pytest.approx(m)  # W1 from the data to zero, exactly


class Net(torch.nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.body = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(3 * 64, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1)
        )
        self.double()

    def forward(self, x):
        return self.body(x).squeeze(1)


@pytest.fixture(scope="module")
def batch():
    rng = torch.Generator().manual_seed(5)
    real, fake = torch.randn(2, 8, 3, 8, 8, generator=rng, dtype=torch.float64)
    return real, fake + 1


@pytest.mark.parametrize("space", [Lp(2), Lp(4), Sobolev(-1, 2), Sobolev(1, 1.5)], ids=repr)
def test_the_loss_is_that_of_wgan_gp_for_the_scaled_critic(space, batch):
    """A fixed gamma only rescales the critic: for D' = D / gamma it is WGAN-GP's, with weight lambda and dual norm."""
    net, gamma, lam = Net(), 30.0, 27.0
    ours = critic_terms(Game(space, weight=lam, gamma=gamma, drift=0.0), net, *batch, torch.Generator())
    plain = critic_terms(
        Game(space, weight=lam, gamma=1.0, drift=0.0), lambda x: net(x) / gamma, *batch, torch.Generator()
    )
    assert ours.loss.item() == pytest.approx(plain.loss.item(), rel=1e-13)
    for a, b in zip(gradients(ours.loss, net), gradients(plain.loss, net), strict=True):
        torch.testing.assert_close(a, b)


def gradients(loss, net):
    return torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, materialize_grads=True)


def test_the_drift_is_of_the_unscaled_critic(batch):
    """1e-5 E D^2; on f = D / gamma it would have to be 1e-5 gamma^2 E f^2."""
    net, gamma = Net(), 700.0
    drift = float(critic_terms(Game(Lp(2), gamma=gamma), net, *batch, torch.Generator()).drift)
    f = net(batch[0]) / gamma
    assert drift == pytest.approx(1e-5 * net(batch[0]).square().mean().item())
    assert drift == pytest.approx(1e-5 * gamma**2 * f.square().mean().item())
    assert Game().drift == 1e-5


def dual_norm_by_numpy(u, s, q):
    """|Lambda^-s u|_q by full complex transforms, differentiable."""
    n = u.shape[-1]
    k = torch.minimum(torch.arange(n), n - torch.arange(n)).double() / (n // 2)
    w = (1 + 5 * (k[:, None] ** 2 + k**2)) ** (-s / 2)
    h = torch.fft.ifft2(w * torch.fft.fft2(u)).real.flatten(1)
    return h.abs().amax(1) if q == math.inf else h.abs().pow(q).sum(1).pow(1 / q)


@pytest.mark.parametrize(("s", "p"), [(0, 2), (-1, 2), (-1.5, 2), (0, 10), (1, 4), (0.5, 1.5), (-1, 1)])
def test_the_published_loss(s, p, batch):
    """d_loss of the released script in float64, term by term; its critic is high on fakes."""
    real, fake = batch
    net, gamma, lam = Net(1), 12.0, 9.0
    q = math.inf if p == 1 else 1 / (1 - 1 / p)
    eps = 1 - torch.rand(len(real), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    eps = eps.view(-1, 1, 1, 1)
    interpolates = (eps * fake + (1 - eps) * real).requires_grad_()

    def high_on_fakes(x):
        return -net(x)

    (u,) = torch.autograd.grad(high_on_fakes(interpolates).sum(), interpolates, create_graph=True)
    expected = (
        -(high_on_fakes(fake).mean() - high_on_fakes(real).mean()) / gamma
        + lam * (dual_norm_by_numpy(u, s, q) / gamma - 1).square().mean()
        + 1e-5 * high_on_fakes(real).square().mean()
    )
    game = Game(Sobolev(s, p), WASSERSTEIN, penalty("wgan-gp"), lam, gamma)
    found = critic_terms(game, net, real, fake, torch.Generator().manual_seed(3)).loss
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    for a, b in zip(gradients(found, net), gradients(expected, net), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
