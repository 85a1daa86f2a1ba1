"""Proven bounds against dense matrices, singular values by numpy, and Jacobians."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from banach import Discrete, Lp, Space, space
from banach.constraints import Clip
from banach.models import ModelError, build_critic, lipschitz_bound
from banach.models.bounds import Reach, UnprovenError, certified, through
from banach.models.bounds.convolutions import convolution_l2_norm, overlap
from banach.models.bounds.reach import reach_of_samples
from banach.spaces import SPACES
from banach.spaces.properties import coordinates, dual_coordinates, euclidean_length, is_euclidean, stretch
from banach.testing import shapes_of

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def dense(kernel, stride, sizes, padding):
    """The matrix of a convolution, and the sizes of its outputs."""
    n = kernel.shape[1] * math.prod(sizes)
    unit = torch.eye(n, dtype=torch.float64).view(n, kernel.shape[1], *sizes)
    y = CONV[len(sizes)](unit, kernel, stride=stride, padding=padding)
    return y.flatten(1).T.numpy(), tuple(y.shape[2:])


@pytest.mark.parametrize(
    ("channels", "k", "stride", "sizes", "padding"),
    [
        ((2, 3), (3,), 1, (9,), 1),
        ((3, 2), (4,), 2, (10,), 1),
        ((2, 3), (3, 3), 1, (6, 5), 1),
        ((4, 2), (5, 5), 2, (7, 8), 2),
        ((2, 2), (4, 4), 2, (8, 6), 1),
        ((1, 4), (2, 3), 3, (7, 8), 0),
        ((2, 2), (3, 3, 3), 1, (4, 4, 3), 1),
        ((2, 1), (4, 4, 4), 2, (4, 4, 4), 1),
    ],
)
def test_convolution_norms_are_upper_bounds_and_near(channels, k, stride, sizes, padding):
    for seed in range(3):
        kernel = normal(*channels, *k, seed=seed)
        matrix, outputs = dense(kernel, stride, sizes, padding)
        true = np.linalg.norm(matrix, 2)
        bound = convolution_l2_norm(kernel, stride, outputs)
        assert true <= bound * (1 + 1e-12)
        assert bound <= 2 * true
    ones = torch.ones(*channels, *k, dtype=torch.float64)
    matrix, outputs = dense(ones, stride, sizes, padding)
    assert np.linalg.norm(matrix, 2) <= convolution_l2_norm(ones, stride, outputs) * (1 + 1e-12)


def test_each_of_the_convolution_bounds_is_one(monkeypatch):
    kernel = normal(3, 2, 3, 3)
    matrix, outputs = dense(kernel, 2, (8, 8), 1)
    monkeypatch.setattr("banach.models.bounds.convolutions._WORK", 0)
    without_frequencies = convolution_l2_norm(kernel, 2, outputs)
    assert np.linalg.norm(matrix, 2) <= without_frequencies
    sums = (kernel.abs().flatten(1).sum(1).max() * np.abs(matrix).sum(0).max()).sqrt()
    assert without_frequencies <= float(sums) * (1 + 1e-12)
    assert np.abs(matrix).sum(1).max() <= float(kernel.abs().flatten(1).sum(1).max()) * (1 + 1e-12)
    assert overlap((3, 3), 2) == 4


SPECS = [spec for spec in SPACES.examples() if isinstance(SPACES.parse(spec), Space)]


def small_shape(metric):
    accepted = shapes_of(metric)
    wanted = [shape for shape in ((3, 4), (1, 2, 5), (26,), (5,), (2, 2), (1, 4)) if shape in accepted]
    return wanted[0] if wanted else next(shape for shape in accepted if 2 <= math.prod(shape) <= 60)


@pytest.mark.parametrize("spec", SPECS)
def test_a_linear_critic_has_exactly_its_dual_norm(spec):
    metric = SPACES.parse(spec)
    shape = small_shape(metric)
    rows = metric.dual.domain(normal(1, *shape))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(rows.numel(), 1)).double()
    critic.shape = shape
    with torch.no_grad():
        critic[1].weight.copy_(rows.flatten(1))
    assert lipschitz_bound(critic, metric) == pytest.approx(
        float(metric.dual.norm(rows)), rel=1e-8 + 2 * metric.dual.tolerance(torch.float64)
    )


@pytest.mark.parametrize("spec", SPECS)
def test_coordinates_pair_as_the_spaces_do_and_bound_the_norm(spec):
    metric = SPACES.parse(spec)
    shape = small_shape(metric)
    x, u = metric.domain(normal(50, *shape)), metric.dual.domain(normal(50, *shape, seed=1))
    E, E_dual, C = coordinates(metric), dual_coordinates(metric, shape), stretch(metric, shape)
    assert (E is None) == (C is None) == (metric.form() is None)
    if E is None or C is None:
        return
    if E_dual is not None:
        paired, plain = (E(x) * E_dual(u)).sum(1), (x * u).flatten(1).sum(1)
        torch.testing.assert_close(paired, plain, rtol=1e-9, atol=1e-9)
    lengths, norms = E(x).norm(dim=1), metric.norm(x)
    assert (lengths <= C * norms * (1 + 1e-12)).all()
    if is_euclidean(metric):
        torch.testing.assert_close(lengths, norms, rtol=1e-12, atol=0)


@pytest.mark.parametrize("spec", SPECS)
def test_the_reach_of_samples_bounds_entries_and_length(spec):
    metric = SPACES.parse(spec)
    shape = small_shape(metric)
    reach = reach_of_samples(metric, shape)
    x = torch.cat([normal(300, *shape), torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)])
    norms = metric.norm(x)
    assert (x.flatten(1).abs().amax(1) <= reach.sup * norms * (1 + 1e-12)).all()
    assert (x.flatten(1).norm(dim=1) <= reach.l2 * norms * (1 + 1e-12)).all()
    length = euclidean_length(metric, shape)
    assert length is None or length >= reach.l2


@pytest.mark.parametrize(
    ("spec", "shape", "length"),
    [
        ("Lp(4)", (16,), 2.0),
        ("Lp(1)", (16,), 1.0),
        ("Lp(inf)", (3, 3), 3.0),
        ("Weighted(Scale((1, 2, 0.5)), Lp(2))", (3, 4), 2.0),
        ("Sobolev(s=-1)", (1, 8, 8), 11**0.5),
        ("Sobolev(s=1)", (1, 8, 8), 1.0),
        ("Sobolev(s=-2, boundary='even')", (1, 4), 6.0),
    ],
)
def test_lengths_of_samples_by_hand(spec, shape, length):
    """The highest frequency has the symbol (1 + 5 + 5)^(s/2) in two dimensions, (1 + 5)^(s/2) in one."""
    found = euclidean_length(space(spec), shape)
    assert found == pytest.approx(length, rel=1e-12)


def test_products_by_singular_values_and_by_row_sums():
    critic = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(0))
    critic = critic.double()
    with torch.no_grad():
        for one, seed in zip(critic.parameters(), range(6), strict=True):
            one.copy_(normal(*one.shape, seed=seed))
    A, B, C = (critic[i].weight.detach().numpy() for i in (0, 2, 4))
    by_l2 = math.prod(np.linalg.norm(one, 2) for one in (A, B, C))
    by_sup = np.linalg.norm(A, axis=1).max() * np.abs(B).sum(1).max() * np.abs(C).sum(1).max()
    assert lipschitz_bound(critic, Lp(2)) <= min(by_l2, by_sup) * (1 + 1e-8)
    from_sup = np.abs(A).sum(1).max() * np.abs(B).sum(1).max() * np.abs(C).sum(1).max()
    assert lipschitz_bound(critic, Lp(math.inf)) <= from_sup * (1 + 1e-8)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mlp", (5,)), ("mlp", (2, 4, 4)), ("dcgan", (2, 8, 8)), ("dcgan4", (1, 12, 8)), ("resnet", (2, 8, 8)),
     ("resnet", (1, 20, 20)), ("resnet", (2, 24)), ("resnet", (1, 6, 6, 6))],
)  # fmt: skip
@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(2)", "Lp(inf)", "Sobolev(s=-1)", "Sobolev(s=1, p=4)"])
def test_no_gradient_is_longer_than_the_bound(name, shape, spec):
    if len(shape) == 1 and "Sobolev" in spec:
        return
    metric = space(spec)
    critic = build_critic(name, shape, width=4, rng=rng()).double()
    x = (3 * normal(64, *shape)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    bound = lipschitz_bound(critic, metric)
    steepest = float(metric.dual.norm(slope).max())
    assert 0 < steepest <= bound
    assert bound < 1e4 * steepest


@pytest.mark.parametrize("name", ["dcgan", "dcgan4", "resnet"])
def test_without_nonlinearities_the_bound_of_a_convolutional_critic_is_near(name):
    """Positive weights and data pass every ReLU: the critic is linear there, and its slope is known."""
    critic = build_critic(name, (2, 12, 12), width=3, rng=rng()).double()
    with torch.no_grad():
        for one in critic.parameters():
            one.abs_()
    x = normal(1, 2, 12, 12).abs().requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    bound = lipschitz_bound(critic, Lp(2))
    assert float(slope.norm()) <= bound <= 4 * float(slope.norm())


def test_convolutions_of_torch():
    critic = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(3, 2, (2, 3)), nn.ELU(), nn.Flatten(),
        nn.Linear(2 * 3 * 2, 1), nn.Flatten(0),
    ).double()  # fmt: skip
    critic.shape = (2, 8, 8)
    x = normal(50, 2, 8, 8).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    for metric in (Lp(1), Lp(2), Lp(math.inf)):
        assert float(metric.dual.norm(slope).max()) <= lipschitz_bound(critic, metric)
    for wrong in (nn.Conv2d(2, 2, 3, groups=2), nn.Conv2d(2, 2, 3, padding_mode="circular", padding=1),
                  nn.Conv2d(2, 2, 3, dilation=2), nn.Conv2d(2, 2, 3, stride=(1, 2)), nn.Conv2d(3, 2, 3)):  # fmt: skip
        critic[0] = wrong
        assert lipschitz_bound(critic, Lp(2)) is None


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(4), nn.LayerNorm(4), nn.GELU(), nn.Bilinear(4, 4, 4), nn.Flatten(2)], ids=str
)
def test_nothing_is_proven_of_unknown_layers(layer):
    assert lipschitz_bound(nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 1)), Lp(2)) is None


def test_nothing_is_proven_where_it_is_not_true_or_not_known():
    critic = nn.Linear(4, 1)
    assert lipschitz_bound(critic, Discrete()) is None
    assert lipschitz_bound(nn.Linear(4, 2), Lp(2)) is None  # no number for each sample
    assert lipschitz_bound(nn.Tanh(), Lp(2)) is None  # of what shape?
    assert lipschitz_bound(nn.Sequential(nn.Linear(4, 4), nn.Linear(3, 1)), Lp(2)) is None
    critic.shape = (1, 4)
    with torch.no_grad():
        critic.weight.fill_(1.0)
    blind = space("Sobolev(s=-1, homogeneous=True)")
    flat = nn.Sequential(nn.Flatten(), critic)
    flat.shape = (1, 4)
    assert lipschitz_bound(flat, blind) is None  # it sees the mean, which the norm does not
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[1.0, -1.0, 1.0, -1.0]]))
    assert lipschitz_bound(flat, blind) is not None
    infinite = nn.Linear(2, 1)
    with torch.no_grad():
        infinite.weight.fill_(math.inf)
    assert lipschitz_bound(infinite, Lp(2)) is None


def test_a_layer_of_ones_own():
    class Doubled(nn.Module):
        def forward(self, h):
            return 2 * h

    critic = nn.Sequential(nn.Linear(4, 1), Doubled())
    assert lipschitz_bound(critic, Lp(2)) is None
    with pytest.raises(UnprovenError, match="no bound is known for Doubled"):
        through(critic[1], reach_of_samples(Lp(2), (4,)))

    @through.register
    def _(layer: Doubled, reach: Reach) -> Reach:
        return reach.then(reach.shape, 2 * reach.sup, 2 * reach.l2)

    alone = lipschitz_bound(critic[0], Lp(2))
    assert lipschitz_bound(critic, Lp(2)) == pytest.approx(2 * alone)


def test_a_metric_that_cannot_be_hashed_is_asked_each_time():
    class Mutable(Lp):
        __hash__ = None

    critic = nn.Linear(4, 1)
    assert lipschitz_bound(critic, Mutable(2)) == pytest.approx(lipschitz_bound(critic, Lp(2)))


def test_a_certified_copy_is_the_critic_over_its_bound():
    critic = build_critic("mlp", (3,), width=8, rng=rng())
    Clip(0.3).prepare(critic)
    found = certified(critic, Lp(1))
    x = torch.randn(6, 3, generator=rng())
    torch.testing.assert_close(found(x).float() * found.bound, critic(x), rtol=1e-5, atol=1e-6)
    assert found(x).dtype == torch.float64
    assert found.bound == lipschitz_bound(critic.double(), Lp(1))
    assert lipschitz_bound(nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 1)), Lp(2)) is None
    with pytest.raises(ModelError, match="no Lipschitz bound is proven"):
        certified(nn.GELU(), Lp(1))


@pytest.mark.parametrize("kind", [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Flatten, nn.Identity])
def test_a_layer_made_of_another_has_no_proven_bound(kind):
    class Steeper(kind):
        def forward(self, x):
            return 2 * super().forward(x)

    class Same(kind):
        pass

    for layer, proven in ((kind(), True), (Same(), True), (Steeper(), False)):
        critic = nn.Sequential(nn.Linear(3, 1), layer, nn.Flatten(0))
        assert (lipschitz_bound(critic, Lp(2), (3,)) is not None) == proven


@pytest.mark.parametrize("exponent", [*range(-320, -100, 20), *range(-90, 100, 30), *range(110, 309, 20)])
def test_a_bound_is_no_underflow(exponent):
    """What float64 rounds to 0, or holds with few digits, is not proven; a bound that is given is right."""
    critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    plain = lipschitz_bound(critic, Lp(2))
    bound = lipschitz_bound(critic, space(f"Weighted(Scale(1e{exponent}), Lp(2))"))
    assert bound is None or bound * 10.0**exponent == pytest.approx(plain, rel=1e-12)
    assert (bound is not None) or abs(exponent) > 99


def test_a_constant_has_the_bound_0():
    critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    for layer in (critic[0], critic[2]):
        kept = layer.weight.data.clone()
        layer.weight.data.zero_()
        assert lipschitz_bound(critic, Lp(2)) == 0
        layer.weight.data.copy_(kept)
    critic[0].weight.data.fill_(1e-90)
    critic[2].weight.data.fill_(1e-90)
    assert lipschitz_bound(critic, Lp(2)) is None
