import dataclasses
import math

import numpy as np
import pytest
import torch

from banach import Objective, conditions, objective
from banach.objectives import OBJECTIVES, WASSERSTEIN
from banach.specs import SpecError

F = np.linspace(-6, 6, 101)


def derivative(function, at):
    f = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(function(f).sum(), f, allow_unused=True)
    return slope


# phi on fakes, varphi on reals (Lipschitz GANs, the released code's table); psi is -f for all.
TABLE = {
    "wasserstein": (lambda f: f, lambda f: -f),
    "exp": (np.exp, lambda f: np.exp(-f)),
    "logistic": (lambda f: -np.log(1 / (1 + np.exp(f))), lambda f: -np.log(1 / (1 + np.exp(-f)))),
    "sqrt": (lambda f: np.sqrt(f**2 + 1) + f, lambda f: np.sqrt(f**2 + 1) - f),
    "hinge": (lambda f: np.maximum(0, f + 1), lambda f: np.maximum(0, 1 - f)),
    "hinge(alpha=0.5)": (lambda f: np.maximum(0, f + 0.5), lambda f: np.maximum(0, 0.5 - f)),
    "least_squares": (lambda f: (f + 1) ** 2, lambda f: (f - 1) ** 2),
    "least_squares(a=0, b=1)": (lambda f: f**2, lambda f: (f - 1) ** 2),
}


@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_the_published_table(spec):
    phi, varphi = TABLE[spec]
    of = objective(spec)
    f = torch.from_numpy(F)
    np.testing.assert_allclose(of.phi(f), phi(F), rtol=1e-12)
    np.testing.assert_allclose(of.varphi(f), varphi(F), rtol=1e-12)
    np.testing.assert_allclose(of.psi(f), -F)


@pytest.mark.parametrize(
    ("spec", "missed", "strict"),
    [
        ("wasserstein", set(), False),
        ("exp", set(), True),
        ("logistic", set(), True),
        ("sqrt", set(), True),
        ("hinge", {"phi_increasing", "varphi_decreasing", "all"}, False),
        ("hinge(alpha=0.5)", {"phi_increasing", "varphi_decreasing", "all"}, False),
        ("least_squares", {"phi_increasing", "varphi_decreasing", "all"}, True),
        ("least_squares(a=0, b=1)", {"phi_increasing", "varphi_decreasing", "all"}, True),
    ],
)
def test_which_conditions_hold(spec, missed, strict):
    """Lipschitz GANs, eq. 11: hinge and least squares are not monotone; Wasserstein's optimum is not unique."""
    found = conditions(objective(spec))
    assert {name for name, met in found.items() if not met} - {"strict"} == missed
    assert found["strict"] == strict


def test_conditions_see_what_is_wrong():
    def concave(f):
        return -torch.exp(-f)

    upside_down = Objective(torch.neg, torch.positive)
    assert not conditions(upside_down)["phi_increasing"]
    assert not conditions(upside_down)["varphi_decreasing"]
    assert not conditions(Objective(concave, torch.neg))["phi_convex"]
    assert not conditions(Objective(torch.positive, lambda f: concave(-f)))["varphi_convex"]
    assert not conditions(Objective(torch.positive, lambda f: -2 * f))["balance"]
    assert not conditions(Objective(lambda f: torch.zeros_like(f), torch.neg))["phi_increasing"]
    assert all(conditions(Objective(torch.exp, lambda f: torch.exp(-f))).values())


@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_slopes_at_zero(spec):
    """Where an untrained critic starts: reals are pushed up and fakes down."""
    of = objective(spec)
    expected = {"logistic": (0.5, -0.5), "least_squares": (2, -2), "least_squares(a=0, b=1)": (0, -2)}
    up, down = expected.get(spec, (1, -1))
    assert float(derivative(of.phi, [0.0])) == pytest.approx(up)
    assert float(derivative(of.varphi, [0.0])) == pytest.approx(down)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sqrt_without_cancellation(dtype):
    """sqrt(f^2 + 1) + f for large negative f is 1 / (2 |f|), not 0."""
    f = torch.tensor([-1e4, -1e6, -3.0, 0.0, 3.0, 1e6], dtype=dtype)
    expected = [5e-5, 5e-7, 1 / (math.sqrt(10) + 3), 1.0, math.sqrt(10) + 3, 2e6]
    for found in (objective("sqrt").phi(f), objective("sqrt").varphi(-f)):
        np.testing.assert_allclose(found.double(), expected, rtol=1e-6)
    plain = torch.sqrt(f**2 + 1) + f
    assert dtype == torch.float64 or plain[0] == 0
    slopes = derivative(objective("sqrt").phi, f.tolist())
    np.testing.assert_allclose(slopes, 1 + f.double() / np.sqrt(f.double() ** 2 + 1), atol=1e-9)
    assert bool((derivative(objective("sqrt").phi, [-1e4, -1e6]) > 0).all())


def test_logistic_far_from_zero():
    """Linear beyond what floating point can tell, never infinite, and strictly convex up to there."""
    f = torch.tensor([-1e4, -30.0, 30.0, 1e4])
    assert objective("logistic").phi(f).tolist() == [0, pytest.approx(math.exp(-30)), 30, 1e4]
    assert conditions(objective("logistic"), reach=35)["strict"]


@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_twice_differentiable_nearly_everywhere(spec):
    of = objective(spec)
    f = torch.tensor([-2.3, -0.1, 0.4, 1.7], dtype=torch.float64, requires_grad=True)
    for function in (of.phi, of.varphi):
        assert torch.autograd.gradcheck(function, f)


def test_objectives_are_values():
    assert objective("hinge") == objective("hinge(alpha=1)") == objective("Hinge:1")
    assert objective("hinge") != objective("hinge(alpha=2)")
    assert objective("least_squares") != objective("least_squares(a=0)")
    assert len({objective("hinge"), objective("hinge(alpha=1)"), WASSERSTEIN}) == 2
    assert objective(WASSERSTEIN) is WASSERSTEIN
    assert repr(objective("least_squares(b=2)")) == "least_squares(a=-1, b=2)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        WASSERSTEIN.psi = torch.positive


def test_an_objective_of_ones_own():
    mine = Objective(torch.exp, torch.neg)
    assert mine.psi is torch.neg
    assert repr(mine).startswith("Objective(<built-in method exp")


def test_refusals():
    for wrong in ("wgan-gp", "Lp(2)", 3):
        with pytest.raises(SpecError, match=r"unknown objective|is no objective; for example wasserstein"):
            objective(wrong)
    for a, b in ((1, 1), (1, -1), (0, math.inf), (math.nan, 1)):
        with pytest.raises(SpecError, match="choose a < b"):
            OBJECTIVES["least_squares"](a, b)
    for alpha in (0, -1, math.inf, math.nan):
        with pytest.raises(SpecError, match="choose a positive number"):
            OBJECTIVES["hinge"](alpha)


PAIRED = Objective(torch.exp, lambda f: torch.exp(-f), lambda f: torch.exp(-f), "pairs", paired=True)
REALS, FAKES = [0.3, -1.2, 2.0], [-0.5, 0.1, 1.0]


@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_losses_of_a_batch(spec):
    of = objective(spec)
    f_real, f_fake = torch.tensor(REALS, dtype=torch.float64), torch.tensor(FAKES[:2], dtype=torch.float64)
    assert not of.paired
    assert of.own == ""
    expected = sum(float(of.phi(f)) for f in f_fake) / 2 + sum(float(of.varphi(f)) for f in f_real) / 3
    assert float(of.critic_loss(f_real, f_fake)) == pytest.approx(expected, rel=1e-14)
    assert float(of.generator_loss(f_fake)) == pytest.approx(sum(float(of.psi(f)) for f in f_fake) / 2, rel=1e-14)
    assert of.generator_loss(f_fake, f_real) == of.generator_loss(f_fake)


def test_losses_of_pairs():
    """Each fake is compared with the real of its index, and with no other."""
    f_real, f_fake = torch.tensor(REALS, dtype=torch.float64), torch.tensor(FAKES, dtype=torch.float64)
    up = sum(math.exp(-(r - f)) for r, f in zip(REALS, FAKES, strict=True)) / 3
    down = sum(math.exp(-(f - r)) for r, f in zip(REALS, FAKES, strict=True)) / 3
    assert float(PAIRED.critic_loss(f_real, f_fake)) == pytest.approx(up, rel=1e-14)
    assert float(PAIRED.generator_loss(f_fake, f_real)) == pytest.approx(down, rel=1e-14)
    assert float(PAIRED.critic_loss(f_real, f_fake.flip(0))) != pytest.approx(up)


def test_pairs_need_as_many_of_each():
    with pytest.raises(ValueError, match=r"pairs compares each fake .* of its index: got 3 reals and 2 fakes"):
        PAIRED.critic_loss(torch.tensor(REALS), torch.tensor(FAKES[:2]))
    with pytest.raises(ValueError, match="got 1 reals and 3 fakes; take as many of each"):
        PAIRED.generator_loss(torch.tensor(FAKES), torch.tensor(REALS[:1]))
    with pytest.raises(ValueError, match="give the critic's values on reals too"):
        PAIRED.generator_loss(torch.tensor(FAKES))
