import math

import pytest
import torch

from banach import Discrete, Lp, Penalty, Sobolev, gradient_penalty, pair, penalty
from banach.penalties import (
    PENALTIES,
    Asymmetric,
    AugmentedLagrangian,
    Consistency,
    Deviation,
    Excess,
    Max,
    Mean,
    OneSided,
    Power,
    SquaredExcess,
    SquaredMean,
    SquareGap,
    Sum,
    TwoSided,
)
from banach.slopes import (
    Adversarial,
    Along,
    Buffered,
    Gradients,
    Midway,
    Quotients,
    Rises,
    Values,
    gradient,
    interpolate,
)
from banach.specs import SpecError
from banach.testing import assert_laws, check_penalty

SLOPES = torch.tensor([0.0, 0.9, 1.2], dtype=torch.float64)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (TwoSided(), [1, 0.01, 0.04]),
        (TwoSided(target=0.5), [0.25, 0.16, 0.49]),
        (OneSided(), [0, 0, 0.04]),
        (OneSided(target=0), [0, 0.81, 1.44]),
        (Power(), [0, 0.81, 1.44]),
        (Power(6), [0, 0.9**6, 1.2**6]),
        (Excess(), [0, 0, 0.2]),
        (Asymmetric(), [1, 0.01, 0.4]),
        (Asymmetric(lower=0, upper=3), [0, 0, 0.12]),
        (SquaredExcess(), [0, 0, 0.44**2]),
        (Deviation(), [-1, -0.1, 0.2]),
        (SquareGap(), [-1, -0.19, 0.44]),
    ],
    ids=repr,
)
def test_shapes(shape, expected):
    assert shape(SLOPES).tolist() == pytest.approx(expected)


def test_reductions():
    """Max is the shape of the largest slope, (max s - 1)^2 = .04, and not the largest shape, (0 - 1)^2 = 1."""
    assert float(Max()(TwoSided(), SLOPES)) == pytest.approx(0.04)
    assert float(Mean()(TwoSided(), SLOPES)) == pytest.approx(1.05 / 3)
    assert float(Max()(OneSided(), SLOPES)) == pytest.approx(0.04)
    assert float(SquaredMean()(TwoSided(), SLOPES)) == pytest.approx((1.05 / 3) ** 2)
    assert float(Penalty(Gradients(), TwoSided(), Max()).value(SLOPES)) == pytest.approx(0.04)


def test_the_square_of_a_mean_has_its_gradient():
    slopes = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    value = penalty("swgan").value(slopes)  # h = (9 + 64) / 2
    (slope,) = torch.autograd.grad(value, slopes)
    assert float(value.detach()) == 36.5**2
    assert slope.tolist() == [2 * 36.5 * 2 * 3 * 4 / 2, 2 * 36.5 * 2 * 8 * 6 / 2]


PUBLISHED = {
    "wgan-gp": (Gradients("interpolates"), TwoSided(1), Mean(), 10),
    "wgan-lp": (Gradients("interpolates"), OneSided(1), Mean(), 10),
    "0-gp": (Gradients("interpolates"), Power(2), Mean(), 10),
    "r1": (Gradients("reals"), Power(2), Mean(), 5),  # gamma / 2 with gamma = 10
    "r2": (Gradients("fakes"), Power(2), Mean(), 5),
    "maxgp": (Gradients("interpolates"), Power(2), Max(), 1),
    "dragan": (Gradients("near"), TwoSided(1), Mean(), 10),
    "pagan": (Quotients(), OneSided(1), Mean(), 10),
    "metric": (Quotients(), TwoSided(1), Mean(), 10),
    "one-sided-linear": (Gradients(), Excess(1), Mean(), 10),
    "asymmetric": (Gradients(), Asymmetric(1, 10), Mean(), 1),
    "r1-r2": (Gradients("both"), Power(2), Mean(), 0.05),  # gamma / 2 (R1 + R2) is gamma times the mean over both
    "maxgp-buffer": (Buffered(1 / 8), Power(2), Max(), 1),
    "wgan-div": (Gradients("both"), Power(6), Mean(), 2),  # k / 2 (real^6 + fake^6) is k times the mean over both
    "wgan-div-code": (Gradients(), Power(6), Mean(), 10),
    "alp": (Adversarial(0.1, 10, 10), OneSided(1), Mean(), 10),
    "swgan": (Along(8), SquaredExcess(), SquaredMean(), 10),
    "semi-improved-1": (Quotients(), TwoSided(1), Mean(), 0.1),
    "semi-improved-2": (Midway(), TwoSided(1), Mean(), 0.1),
    "compact-dual": (Rises(), OneSided(1), Mean(), 10),
}
MULTIPLIERS = {
    "maxal": (Gradients(), Deviation(1), Max(), 1, 1e-3),
    "maxal-inequality": (Gradients(), Deviation(1), Max(), 1, 1e-3, 0),
    "swgan-al": (Along(8), SquaredExcess(), Mean(), 5e-6, 1e-5, 0),  # rho / 2 and rho, with rho = 1e-5
    "fisher-moment": (Values(), SquareGap(), Mean(), 5e-7, 1e-6),  # rho = 1e-6
    "sobolev-moment": (Gradients("both"), SquareGap(), Mean(), 1e-8, 2e-8),  # rho = 2e-8
}
CT_GAN = Sum((Penalty(Gradients(), TwoSided(), Mean(), 10), Consistency(0.1, 0, (0.8, 0.5, 0.5), 2)))
NAMED = [name for name in PENALTIES if not isinstance(PENALTIES[name], type)]


@pytest.mark.parametrize("name", NAMED)
def test_papers_names(name):
    products = {key: Penalty(*parts) for key, parts in PUBLISHED.items()}
    multipliers = {key: AugmentedLagrangian(*parts) for key, parts in MULTIPLIERS.items()}
    assert penalty(name) == (products | multipliers | {"ct-gan": CT_GAN})[name]
    without = {"pagan", "metric", "semi-improved-1", "semi-improved-2", "compact-dual", "fisher-moment"}
    assert penalty(name).needs_dual == (name not in without)
    assert penalty(name).bounds_slopes == (name != "fisher-moment")


@pytest.mark.parametrize("name", NAMED)
def test_every_name_says_where_it_comes_from(name):
    source = PENALTIES.entry(name).source
    assert source.paper
    assert source.defaults
    assert source.equation or source.unverified


def test_penalty():
    assert penalty("wgan-gp") is penalty(penalty("WGAN_GP"))
    mine = penalty("Penalty(Gradients(at='fakes'), Power(3), Max(), weight=2)")
    assert mine == Penalty(Gradients("fakes"), Power(3), Max(), 2)
    for wrong in ("hinge", "Lp(2)", 7):
        with pytest.raises(SpecError, match=r"unknown penalty|is no penalty; for example wgan-gp"):
            penalty(wrong)
    with pytest.raises(SpecError, match=r"3 is no Shape; as in Penalty\("):
        Penalty(Gradients(), 3, Mean())


class Net(torch.nn.Module):
    def __init__(self, n, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n, 16), torch.nn.ReLU())
        self.last = torch.nn.Linear(16, 1)

    def forward(self, x):
        return self.last(self.body(x)).squeeze(1)


@pytest.mark.parametrize("space", [Lp(2), Lp(4), Sobolev(-1)], ids=repr)
def test_gradient_penalty_of_a_foreign_loop(space):
    net = Net(3 * 16).double()
    real, fake = torch.randn(2, 6, 3, 4, 4, generator=rng(), dtype=torch.float64)
    u = gradient(net, interpolate(real, fake, rng(4)))
    expected = (space.dual.norm(u) - 1).square().mean()
    assert gradient_penalty(net, real, fake, space, rng(4)).item() == pytest.approx(expected.item())
    lp = gradient_penalty(net, real, fake, space, rng(4), kind="wgan-lp")
    assert lp.item() == pytest.approx((space.dual.norm(u) - 1).clamp_min(0).square().mean().item())
    assert (
        gradient_penalty(net, real, fake, rng=rng(4)).item() == gradient_penalty(net, real, fake, Lp(2), rng(4)).item()
    )


def test_it_trains_to_slope_one():
    net = Net(4)
    real, fake = torch.randn(2, 32, 4, generator=rng())
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    draws = rng(1)
    for _ in range(150):
        optimizer.zero_grad()
        gradient_penalty(net, real, fake, Lp(3), draws).backward()
        optimizer.step()
    assert gradient_penalty(net, real, fake, Lp(3), draws).item() < 0.05


def test_without_a_generator_it_draws_from_the_global_one():
    net = Net(4)
    real, fake = torch.randn(2, 8, 4, generator=rng())
    torch.manual_seed(0)
    first, second = (gradient_penalty(net, real, fake).item() for _ in range(2))
    assert first != second
    torch.manual_seed(0)
    assert gradient_penalty(net, real, fake).item() == first


def test_each_sample_is_measured_by_itself():
    """Not one norm over the whole batch (torchgan), nor over the wrong axis (wgan-gp issue 27)."""
    u = torch.randn(5, 3, 4, generator=rng(), dtype=torch.float64)
    scale = torch.tensor([0.5, 1, 2, 3, 4], dtype=torch.float64)
    real = torch.randn(5, 3, 4, generator=rng(1), dtype=torch.float64)
    slopes = penalty("r1").slopes_of(lambda x: pair(u * scale.view(-1, 1, 1), x), real, real, Lp(2))
    torch.testing.assert_close(slopes, scale * u.flatten(1).norm(dim=1))


@pytest.mark.parametrize("p", [1, 1.1, 2, 4, 10, math.inf])
@pytest.mark.parametrize("name", ["wgan-gp", "wgan-lp", "0-gp", "maxgp", "r1", "dragan", "pagan"])
@pytest.mark.parametrize("size", ["zero", "one-hot", "1e-8", "1e8"])
@pytest.mark.parametrize("order", [0, -1])
def test_finite_at_any_gradient_in_float32(p, name, size, order):
    """No peer's root is safe at zero in every exponent; no power of a small or a large gradient may leave float32."""
    n = 3 * 25
    w = torch.randn(n, generator=rng())
    w = {"zero": 0 * w, "one-hot": torch.eye(n)[7], "1e-8": 1e-8 * w, "1e8": 1e8 * w}[size].requires_grad_()
    real, fake = torch.randn(2, 4, 3, 5, 5, generator=rng(1))
    value = penalty(name)(lambda x: x.flatten(1) @ w, real, fake, Sobolev(order, p), rng(2))
    (slope,) = torch.autograd.grad(value, w)
    assert value.isfinite()
    assert slope.isfinite().all()


@pytest.mark.parametrize("p", [1, 1.1, 2, 4, 10, math.inf])
def test_finite_with_dead_networks(p):
    """All weights zero, dead units, and pixels the critic does not see."""
    real, fake = torch.randn(2, 4, 6, generator=rng(1))
    for prepare in (torch.nn.init.zeros_, lambda w: w.data[:, :3].zero_(), lambda w: w.data[:5].zero_()):
        net = Net(6)
        prepare(net.body[1].weight)
        cost = gradient_penalty(net, real, fake, Lp(p), rng())
        slopes = torch.autograd.grad(cost, list(net.parameters()), allow_unused=True)
        assert cost.isfinite()
        assert all(one.isfinite().all() for one in slopes if one is not None)


def test_a_gradient_that_is_not_a_number_is_not_hidden():
    """Of a penalty (0 - 1)^2 = 1 for a broken critic nothing could be seen."""
    real = torch.randn(4, 6, generator=rng())
    for name in ("wgan-gp", "wgan-lp", "maxgp", "0-gp"):
        value = penalty(name)(lambda x: (x * math.nan).sum(1), real, real, Lp(3), rng())
        assert value.isnan()


def test_half_precision_critics_are_measured_in_float32():
    real, fake = torch.randn(2, 4, 6, generator=rng()).to(torch.bfloat16)
    w = (1e-3 * torch.ones(6)).to(torch.bfloat16).requires_grad_()
    slopes = penalty("wgan-gp").slopes_of(lambda x: x @ w, real, fake, Lp(2), rng())
    assert slopes.dtype == torch.float32
    assert slopes.tolist() == pytest.approx([w[0].item() * 6**0.5] * 4)


def test_pair_penalties_need_no_dual():
    real, fake = torch.randn(2, 4, 6, generator=rng())
    value = penalty("pagan")(lambda x: 3 * x.sum(1), real, fake, Discrete(), rng())
    assert value.item() == pytest.approx(((3 * (real - fake).sum(1)).abs() - 1).clamp_min(0).square().mean().item())
    with pytest.raises(SpecError, match="without a dual norm"):
        penalty("wgan-gp")(lambda x: x.sum(1), real, fake, Discrete(), rng())


def test_quotients_of_a_column_are_those_of_a_row():
    """(b, 1) over (b,) would be all pairs: the port hazard of semi-improved training."""
    real, fake = torch.randn(2, 4, 6, generator=rng())
    row = penalty("metric")(lambda x: x.square().sum(1), real, fake, Lp(2), rng())
    column = penalty("metric")(lambda x: x.square().sum(1, keepdim=True), real, fake, Lp(2), rng())
    assert row.item() == pytest.approx(column.item())


def test_a_penalty_of_ones_own():
    """A new shape is a few lines, and takes part by name."""
    import dataclasses

    from banach.penalties import SHAPES, Shape
    from banach.specs import spelled

    try:

        @SHAPES.register(examples=["Absolute()"], summary="|slope - 1|")
        @dataclasses.dataclass(frozen=True, repr=False)
        class Absolute(Shape):
            __repr__ = spelled

            def __call__(self, slope):
                return (slope - 1).abs()

        mine = penalty("Penalty(Gradients(), Absolute(), Mean(), weight=2)")
        assert mine.value(SLOPES).item() == pytest.approx(1.3 / 3)
        assert_laws(check_penalty(mine, ["Lp(3)"]))
    finally:
        SHAPES._entries.pop("Absolute")
