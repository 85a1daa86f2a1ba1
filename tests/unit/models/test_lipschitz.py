"""Critics that are 1-Lipschitz by construction: the pieces they are made of, and what they can do."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from banach import Discrete, Lp, Sobolev, space
from banach.models import LipschitzCritic, ModelError, build_critic, lipschitz_bound, start_at_
from banach.models.lipschitz import ConeCritic, GroupSort, HardConeCritic, OrthogonalCritic, SortCritic, distances
from banach.models.lipschitz.distance_critics import Hard, Soft
from banach.models.lipschitz.orthonormal import Cayley, Householder
from banach.models.lipschitz.sorting import unit_rows

FAMILIES = ("lipschitz-sort", "lipschitz-cones", "lipschitz-cones-hard", "lipschitz-orthogonal")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def train(critic, real, fake, steps=200, lr=1e-2):
    optimizer = torch.optim.Adam(critic.parameters(), lr, betas=(0.9, 0.99), fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        optimizer.zero_grad()
        (critic(fake).mean() - critic(real).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        return float(critic(real).mean() - critic(fake).mean()) / lipschitz_bound(critic, critic.space)


NORMS = [
    ("Lp(1)", (5,)),
    ("Lp(1.5)", (5,)),
    ("Lp(2)", (5,)),
    ("Lp(3)", (2, 3)),
    ("Lp(4)", (2, 3)),
    ("Lp(10)", (5,)),
    ("Lp(inf)", (5,)),
    ("Sobolev(s=-1)", (2, 3, 4)),
    ("Sobolev(s=1, p=1)", (2, 3, 4)),
    ("Sobolev(s=1, p=1, homogeneous=True)", (2, 3, 4)),
    ("ModConstants(1.5)", (2, 5)),
    ("Weighted(Matrix(((2, 1, 0), (0, 1, 0), (0.5, 0, 1))), Lp(3))", (3,)),
    ("Product(1.5, (Sobolev(s=-1), Lp(1)), ((1, 4, 4), (10,)))", (26,)),
    ("Product(inf, (Sobolev(s=1), Lp(1)), (1, 2))", (3, 4)),
]


@pytest.mark.parametrize(("spec", "shape"), NORMS)
def test_distances_are_the_spaces_and_differentiate(spec, shape):
    metric = space(spec)
    x, points = normal(3, *shape).requires_grad_(), normal(4, *shape, seed=1).requires_grad_()
    table = distances(metric, x, points)
    alone = torch.stack([metric.distance(x, one.expand_as(x)) for one in points], 1)
    torch.testing.assert_close(table, alone, rtol=1e-12, atol=0)
    assert torch.autograd.gradcheck(lambda x, points: distances(metric, x, points), (x, points))
    if "ModConstants" not in spec:  # its bisection is no smooth function to the second order
        assert torch.autograd.gradgradcheck(lambda x, points: distances(metric, x, points), (x, points))


@pytest.mark.parametrize("p", [1, 1.5, 2, 2.5, 3, 4, 8, 10, math.inf])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_distances_in_float32_are_safe_at_any_scale_and_at_zero(p, scale):
    x = (scale * normal(4, 7)).float().requires_grad_()
    points = torch.cat([x.detach()[:2], (scale * normal(3, 7, seed=1)).float()]).requires_grad_()
    table = distances(Lp(p), x, points)
    exact = distances(Lp(p), x.detach().double(), points.detach().double())
    assert ((table - exact).abs() <= 1e-5 * exact).all()
    (table / scale).sum().backward()
    double = [one.detach().double().requires_grad_() for one in (x, points)]
    (distances(Lp(p), *double) / scale).sum().backward()
    for single, sharp in zip((x, points), double, strict=True):
        torch.testing.assert_close(single.grad.double(), sharp.grad, rtol=1e-4, atol=1e-5 / scale)
    only = distances(Lp(p), x.detach()[:1], x[:1])
    (slope,) = torch.autograd.grad(only.sum(), x)
    assert only.item() == 0
    assert not slope.any()


def test_distances_do_not_hold_all_differences(monkeypatch):
    monkeypatch.setattr("banach.spaces.all_pairs.NUMBERS", 20)  # one row of x at a time
    for metric in (Lp(3), Lp(2), space("ModConstants(3)")):
        x, points = normal(5, 2, 4).requires_grad_(), normal(6, 2, 4, seed=1).requires_grad_()
        alone = torch.stack([metric.distance(x, one.expand_as(x)) for one in points], 1)
        weights = normal(5, 6, seed=2)
        found = torch.autograd.grad((distances(metric, x, points) * weights).sum(), (x, points))
        wanted = torch.autograd.grad((alone * weights).sum(), (x, points))
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_group_sort():
    h = torch.tensor([[3.0, 1.0, 2.0, 5.0, 4.0]])
    assert GroupSort(2)(h).tolist() == [[1, 3, 2, 5, 4]]
    assert GroupSort(3)(h).tolist() == [[1, 2, 3, 5, 4]]
    assert GroupSort(0)(h).tolist() == [[1, 2, 3, 4, 5]]
    assert GroupSort(7)(h).tolist() == h.tolist()
    images = normal(2, 4, 3, 3)
    for group in (2, 4):
        wanted = images.movedim(1, -1).unflatten(-1, (-1, group)).sort(-1).values.flatten(-2).movedim(-1, 1)
        assert torch.equal(GroupSort(group)(images), wanted)
    x, y = normal(50, 6), normal(50, 6, seed=1)
    for p in (1, 2, 3, math.inf):
        assert (Lp(p).distance(GroupSort(0)(x), GroupSort(0)(y)) <= Lp(p).distance(x, y) * (1 + 1e-12)).all()
    with pytest.raises(ModelError, match="choose 2 or more"):
        GroupSort(-1)


@pytest.mark.parametrize("how", [Cayley(), Householder()])
@pytest.mark.parametrize("shape", [(5, 5), (9, 4), (4, 9), (1, 6), (6, 1)])
def test_orthonormal_maps_against_numpy(how, shape):
    X = normal(*shape).requires_grad_()
    values = np.linalg.svd(how(X).detach().numpy(), compute_uv=False)
    assert values == pytest.approx(np.ones(min(shape)), abs=1e-13)
    single = how(X.detach().float()).double()
    assert (single - how(X).detach()).abs().max() < 1e-5
    assert torch.autograd.gradcheck(how, (X,))


def test_cayley_of_a_skew_matrix_is_the_textbook_one():
    X = normal(5, 5)
    A = (X - X.T).numpy()
    wanted = np.linalg.solve(np.eye(5) + A, np.eye(5) - A)
    np.testing.assert_allclose(Cayley()(X).numpy(), wanted, atol=1e-13)


@pytest.mark.parametrize("n", [1, 3, 40])
def test_soft_minimum_lies_below_the_hard_one_and_is_one_lipschitz(n):
    soft, h = Soft().double(), normal(30, n)
    t = 0.03 + 1e-5
    assert (soft(h) <= Hard()(h) + 1e-12).all()
    assert (soft(h) >= Hard()(h) - t * math.log(n) - 1e-12).all()
    h.requires_grad_()
    (weights,) = torch.autograd.grad(soft(h).sum(), h)
    torch.testing.assert_close(weights.sum(1), torch.ones(30, dtype=torch.float64), rtol=1e-12, atol=0)
    for heat in (-200.0, 0.0, 10.0):  # from colder than float32 can tell to hot
        with torch.no_grad():
            soft.heat.fill_(heat)
        value = soft.float()(1e3 * h.detach().float().requires_grad_())
        assert value.isfinite().all()
        (slope,) = torch.autograd.grad(value.sum(), soft.heat)
        assert slope.isfinite()
        soft.double()


def test_unit_rows():
    W = torch.tensor([[1.0, -3.0], [0.0, 0.0]])
    assert unit_rows(W).tolist() == [[0.25, -0.75], [0.0, 0.0]]


def test_cones_follow_their_formula():
    critic = ConeCritic((3,), 2, rng(), Lp(1), Hard).double()
    x = normal(6, 3)
    with torch.no_grad():
        critic.low_offsets.copy_(torch.tensor([0.1, -0.2]))
        critic.high_offsets.copy_(torch.tensor([0.3, 0.4]))
        critic.mixing.fill_(0.07)
    y = (x - critic.centre) / critic.unit
    low = (y[:, None] - critic.spread * critic.low_points).abs().sum(2) + critic.low_offsets
    high = critic.high_offsets - (y[:, None] - critic.spread * critic.high_points).abs().sum(2)
    m = 1 / (1 + math.exp(-0.7))
    wanted = critic.unit * (m * low.amin(1) + (1 - m) * high.amax(1))
    torch.testing.assert_close(critic(x), wanted)


def test_started_from_data_cones_compare_the_nearest_of_each():
    real, fake = normal(7, 4).float(), 3 + normal(5, 4, seed=1).float()
    critic = HardConeCritic((4,), 5, rng(), Lp(2))
    critic.start_at_(real[:5], fake, rng())
    with torch.no_grad():
        found = critic(real)
    wanted = (torch.cdist(real, fake).amin(1) - torch.cdist(real, real[:5]).amin(1)) / 2
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_more_points_than_samples_lie_near_some():
    real, fake = normal(3, 4).float(), 3 + normal(2, 4, seed=1).float()
    critic = ConeCritic((4,), 8, rng(), Lp(2))
    critic.start_at_(real, fake, rng())
    points = critic.centre + critic.unit * critic.spread * critic.low_points.detach()
    nearest = torch.cdist(points, fake).amin(1)
    assert (nearest.sort().values[:2] < 1e-5).all()
    assert nearest.max() < 0.1 * torch.cdist(real, fake).mean()
    assert len({tuple(one) for one in points.tolist()}) == 8  # alike they would stay alike
    same = torch.zeros(4, 4)
    critic.start_at_(same, same, rng())
    assert critic(same).isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_units_and_shifts_of_the_data_change_nothing(family):
    real, fake = normal(40, 6).float(), 0.5 + normal(40, 6, seed=1).float()
    found = []
    for shift, scale in ((0.0, 1.0), (100.0, 1e-3), (-5.0, 1e4)):
        critic = build_critic(family, (6,), width=16, rng=rng(), space=Lp(2))
        start_at_(critic, shift + scale * real, shift + scale * fake, rng())
        found.append(train(critic, shift + scale * real, shift + scale * fake, 60) / scale)
    assert found[1:] == pytest.approx(found[:1] * 2, rel=0.1)  # roundings lead training apart


def test_start_at_leaves_other_critics_alone():
    critic = build_critic("mlp", (2,), width=4, rng=rng())
    before = copy.deepcopy(critic.state_dict())
    start_at_(critic, torch.zeros(3, 2), torch.ones(3, 2), rng())
    assert all(torch.equal(value, before[key]) for key, value in critic.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_copies(family):
    metric, shape = Sobolev(s=-1), (2, 4, 4)
    one, two = (build_critic(family, shape, width=8, rng=rng(seed), space=metric) for seed in (0, 1))
    real, fake = normal(20, *shape).float(), 1 + normal(20, *shape, seed=1).float()
    start_at_(one, real, fake, rng())
    train(one, real, fake, 5)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(real), two(real))
    assert torch.equal(copy.deepcopy(one)(real), one(real))
    assert isinstance(one, LipschitzCritic)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(one(real), two(real))  # in single precision always
        assert one(real.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_a_permutation_of_the_samples_permutes(family):
    critic = build_critic(family, (6,), width=16, rng=rng(), space=Lp(2)).double()
    x = normal(9, 6)
    order = torch.randperm(9, generator=rng())
    torch.testing.assert_close(critic(x[order]), critic(x)[order], rtol=1e-12, atol=1e-12)


def test_bounds_in_other_spaces():
    sort = build_critic("lipschitz-sort", (9,), width=8, rng=rng(), space=Lp(2))
    assert lipschitz_bound(sort, Lp(2)) == pytest.approx(1, abs=1e-6)
    assert 1 < lipschitz_bound(sort, Lp(math.inf)) <= 3.001  # rows of l2 norm 1 have l1 norm up to 3
    for family in FAMILIES[1:]:
        critic = build_critic(family, (9,), width=8, rng=rng(), space=Lp(2))
        assert lipschitz_bound(critic, Lp(2)) == pytest.approx(1, abs=1e-5)
        assert lipschitz_bound(critic, Lp(1)) is None
    assert lipschitz_bound(sort, Discrete()) is None
    inside = nn.Sequential(sort, nn.Tanh())
    assert lipschitz_bound(inside, Lp(2), (9,)) == pytest.approx(1, abs=1e-6)
    after = nn.Sequential(nn.Linear(9, 9), sort)
    assert lipschitz_bound(after, Lp(2), (9,)) is None


def test_spaces_that_a_family_refuses():
    with pytest.raises(ModelError, match="no dual norm"):
        SortCritic((3,), 4, rng(), Discrete())
    with pytest.raises(ModelError, match="its points get no gradient; choose a normed space"):
        ConeCritic((3,), 4, rng(), Discrete())
    assert ConeCritic((3,), 4, rng(), space("InfConvolution(1, Lp(1), Lp(2))")).bound(Lp(2)) is None
    of_computed = space("InfConvolution(1, Lp(1), Lp(2))")
    assert ConeCritic((3,), 4, rng(), of_computed).bound(of_computed) is None, "its distances are only near"
    for spec in ("Lp(3)", "Sobolev(s=-1, p=4)", "Product(1, (Lp(2), Lp(2)), (1, 1))"):
        with pytest.raises(ModelError, match="is no Euclidean norm"):
            OrthogonalCritic((2, 4), 4, rng(), space(spec))
    with pytest.raises(ValueError, match="Sobolev norm needs data"):
        build_critic("lipschitz-cones", (3,), rng=rng(), space=Sobolev(s=-1))
    assert build_critic("lipschitz-sort", (3,), 4, rng=rng()).space == Lp(2)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_absolute_value_is_learnt(family):
    """Two points at distance 1 against their middle: W1 = 1, reached by the distance to the middle alone."""
    critic = build_critic(family, (1,), width=16, rng=rng())
    real, fake = torch.tensor([[1.0], [-1.0]]), torch.zeros(2, 1)
    start_at_(critic, real, fake, rng())
    assert 0.99 < train(critic, real, fake) <= 1 + 1e-5


def test_sorting_is_flat_along_most_of_a_cone_and_distances_are_not():
    """|D(x) - D(0)| <= max_k |w_k x|: on fresh points of the sphere in 128 dimensions about sqrt(2 log 2K / d)."""
    real, fake = (one / one.norm(dim=1, keepdim=True) for one in torch.randn(2, 64, 128, generator=rng()))
    fresh, middle = fake, torch.zeros(64, 128)
    scores = {}
    for family in ("lipschitz-sort", "lipschitz-cones"):
        critic = build_critic(family, (128,), width=64, rng=rng())
        start_at_(critic, real, middle, rng())
        train(critic, real, middle)
        with torch.no_grad():
            scores[family] = float(critic(fresh).mean() - critic(middle).mean())
            if isinstance(critic, SortCritic):
                rows = critic.functionals()
                assert ((critic(fresh) - critic(middle)).abs() <= (fresh @ rows.T).abs().amax(1) + 1e-5).all()
    assert scores["lipschitz-sort"] < 0.35
    assert scores["lipschitz-cones"] > 0.95
