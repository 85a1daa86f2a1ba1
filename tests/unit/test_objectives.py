import dataclasses
import math
import re

import numpy as np
import pytest
import torch

from banach import Objective, conditions, objective
from banach.objectives import EQUATION_11, OBJECTIVES, WASSERSTEIN
from banach.penalties import PENALTIES, penalty
from banach.specs import SpecError

F = np.linspace(-6, 6, 101)


def derivative(function, at):
    f = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(function(f).sum(), f, allow_unused=True)
    return slope


PAIRED = Objective(torch.exp, lambda f: torch.exp(-f), lambda f: torch.exp(-f), "pairs", paired=True)
REALS, FAKES = [0.3, -1.2, 2.0], [-0.5, 0.1, 1.0]


def log_sigmoid(f):
    return -np.logaddexp(0, -f)


def negative(f):
    return -f


EXP = (np.exp, lambda f: np.exp(-f))
LOGISTIC = (lambda f: -log_sigmoid(-f), lambda f: -log_sigmoid(f))
SQRT = (lambda f: np.sqrt(f**2 + 1) + f, lambda f: np.sqrt(f**2 + 1) - f)
HINGE = (lambda f: np.maximum(0, f + 1), lambda f: np.maximum(0, 1 - f))
SQUARES = (lambda f: (f + 1) ** 2, lambda f: (f - 1) ** 2)
LINEAR = (lambda f: f, negative)
SHIFTED = (lambda f: (f + 0.5) ** 2, lambda f: (f - 0.5) ** 2)

# phi on fakes, varphi on reals, psi for the generator, written out again (Lipschitz GANs, the released code's table).
TABLE = {
    "wasserstein": (*LINEAR, negative),
    "exp": (*EXP, negative),
    "exp(psi='varphi')": (*EXP, EXP[1]),
    "logistic": (*LOGISTIC, negative),
    "logistic(psi='varphi')": (*LOGISTIC, LOGISTIC[1]),
    "vanilla": (*LOGISTIC, LOGISTIC[1]),
    "vanilla(psi='neg')": (*LOGISTIC, negative),
    "vanilla_saturating": (*LOGISTIC, lambda f: log_sigmoid(-f)),
    "sqrt": (*SQRT, negative),
    "sqrt(psi='varphi')": (*SQRT, SQRT[1]),
    "hinge": (*HINGE, negative),
    "hinge(alpha=0.5)": (lambda f: np.maximum(0, f + 0.5), lambda f: np.maximum(0, 0.5 - f), negative),
    "hinge(alpha=1, psi='varphi')": (*HINGE, HINGE[1]),
    "least_squares": (*SQUARES, negative),
    "least_squares(a=0, b=1)": (lambda f: f**2, lambda f: (f - 1) ** 2, negative),
    "least_squares(a=0, b=1, psi='varphi')": (lambda f: f**2, lambda f: (f - 1) ** 2, lambda f: (f - 1) ** 2),
    "fisher": (*LINEAR, negative),
    "sobolev": (*LINEAR, negative),
    "relativistic": (*LOGISTIC, LOGISTIC[1]),
    "relativistic(hinge(alpha=1))": (*HINGE, HINGE[1]),
    "relativistic(exp, psi='neg')": (*EXP, negative),
    "Sum((exp, hinge), (1, 0.5))": (
        lambda f: np.exp(f) + np.maximum(0, f + 1) / 2,
        lambda f: np.exp(-f) + np.maximum(0, 1 - f) / 2,
        lambda f: -1.5 * f,
    ),
    "Sum((vanilla, least_squares), (1, 0.1), psi='neg')": (
        lambda f: np.logaddexp(0, f) + (f + 1) ** 2 / 10,
        lambda f: np.logaddexp(0, -f) + (f - 1) ** 2 / 10,
        negative,
    ),
    "Rescaled(logistic, inner=2, outer=0.5)": (
        lambda f: np.logaddexp(0, 2 * f) / 2,
        lambda f: np.logaddexp(0, -2 * f) / 2,
        negative,
    ),
    "Rescaled(least_squares(a=0, b=1), offset=0.5, psi='neg')": (*SHIFTED, negative),
}


@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_the_published_table(spec):
    phi, varphi, psi = TABLE[spec]
    of = objective(spec)
    f = torch.from_numpy(F)
    np.testing.assert_allclose(of.phi(f), phi(F), rtol=1e-12)
    np.testing.assert_allclose(of.varphi(f), varphi(F), rtol=1e-12)
    np.testing.assert_allclose(of.psi(f), psi(F), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_far_from_zero(spec, dtype):
    """At +-80, where a sigmoid and its logarithm have long rounded to 1 and -inf, value and slope are finite."""
    of = objective(spec)
    for function in (of.phi, of.varphi, of.psi):
        f = torch.tensor([-80.0, 80.0], dtype=dtype, requires_grad=True)
        value = function(f)
        (slope,) = torch.autograd.grad(value.sum(), f)
        assert bool(value.isfinite().all())
        assert bool(slope.isfinite().all())


def test_vanilla_is_binary_cross_entropy():
    """torch's own, labels 1 for reals and 0 for fakes: its sum for the critic, labels 1 for the generator's fakes."""
    rng = torch.Generator().manual_seed(3)
    f_real, f_fake = (5 * torch.randn(2, 40, dtype=torch.float64, generator=rng)).unbind()
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    of = objective("vanilla")
    critic = bce(f_real, torch.ones_like(f_real)) + bce(f_fake, torch.zeros_like(f_fake))
    torch.testing.assert_close(of.critic_loss(f_real, f_fake), critic, rtol=1e-13, atol=0)
    torch.testing.assert_close(of.generator_loss(f_fake), bce(f_fake, torch.ones_like(f_fake)), rtol=1e-13, atol=0)
    saturating = objective("vanilla_saturating")
    assert saturating.critic_loss(f_real, f_fake) == of.critic_loss(f_real, f_fake)
    against = -bce(f_fake, torch.zeros_like(f_fake))
    torch.testing.assert_close(saturating.generator_loss(f_fake), against, rtol=1e-13, atol=0)


def test_relativistic_by_index():
    """R3GAN: log(1 + exp(-(D(x_i) - D(G(z_i))))) for the critic, with the difference turned round for the generator."""
    of = objective("relativistic")
    f_real, f_fake = torch.tensor(REALS, dtype=torch.float64), torch.tensor(FAKES, dtype=torch.float64)
    critic = [math.log1p(math.exp(-(REALS[i] - FAKES[i]))) for i in range(3)]
    generator = [math.log1p(math.exp(-(FAKES[i] - REALS[i]))) for i in range(3)]
    assert float(of.critic_loss(f_real, f_fake)) == pytest.approx(sum(critic) / 3, rel=1e-14)
    assert float(of.generator_loss(f_fake, f_real)) == pytest.approx(sum(generator) / 3, rel=1e-14)
    softplus = torch.nn.functional.softplus
    torch.testing.assert_close(of.critic_loss(f_real, f_fake), softplus(-(f_real - f_fake)).mean())


def test_pairs_of_linear_losses_are_no_pairs():
    f_real, f_fake = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    paired, plain = objective("relativistic(wasserstein)"), WASSERSTEIN
    torch.testing.assert_close(paired.critic_loss(f_real, f_fake), plain.critic_loss(f_real, f_fake))
    difference = plain.generator_loss(f_fake) + f_real.mean()
    torch.testing.assert_close(paired.generator_loss(f_fake, f_real), difference)


def test_rescaled_pairs_see_rescaled_differences():
    of = objective("Rescaled(relativistic(exp), inner=2, outer=3, offset=0.25)")
    f_real, f_fake = torch.tensor(REALS, dtype=torch.float64), torch.tensor(FAKES, dtype=torch.float64)
    critic = sum(3 * math.exp(-(2 * (r - f) + 0.25)) for r, f in zip(REALS, FAKES, strict=True)) / 3
    assert float(of.critic_loss(f_real, f_fake)) == pytest.approx(critic, rel=1e-14)
    torch.testing.assert_close(of.phi(f_real), of.varphi(-f_real))
    both = objective("Sum((relativistic, relativistic(exp)), (2, 1))")
    parts = 2 * objective("relativistic").critic_loss(f_real, f_fake)
    parts = parts + objective("relativistic(exp)").critic_loss(f_real, f_fake)
    torch.testing.assert_close(both.critic_loss(f_real, f_fake), parts)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in ("Sum", "Rescaled", "vanilla_saturating")])
def test_psi_is_chosen_apart(name):
    """By hand, in Python's spelling, and in one piece for a shell; the critic's losses stay."""
    neg, varphi = objective(f"{name}:psi=neg"), objective(f"{name}:psi=varphi")
    assert neg.psi is torch.neg
    assert varphi.psi == varphi.varphi
    assert (neg.phi, neg.varphi, neg.paired, neg.own) == (varphi.phi, varphi.varphi, varphi.paired, varphi.own)
    assert objective(f"{name}(psi='varphi')") == objective(f"{name}(psi=varphi)") == varphi
    assert objective(name) in (neg, varphi)
    for of in (neg, varphi):
        assert objective(repr(of)) == of


def test_psi_of_sums_and_rescalings():
    parts = "(vanilla, exp), (1, 2)"
    f = torch.tensor([-1.0, 0.5], dtype=torch.float64)
    summed = objective(f"Sum({parts})")
    torch.testing.assert_close(summed.psi(f), torch.nn.functional.softplus(-f) - 2 * f)
    assert objective(f"Sum({parts}, psi=neg)").psi is torch.neg
    torch.testing.assert_close(objective(f"Sum({parts}, psi=varphi)").psi(f), summed.varphi(f))
    rescaled = objective("Rescaled(vanilla, 2, 3, 1)")
    torch.testing.assert_close(rescaled.psi(f), 3 * torch.nn.functional.softplus(-(2 * f + 1)))
    assert objective("Rescaled(exp, psi=neg)").psi is torch.neg


def test_least_squares_as_the_released_code_has_it():
    """Lipschitz GANs print psi = -f; their code squares f - alpha for the generator whatever its flag says."""
    f = torch.tensor([-0.5, 2.0])
    assert objective("least_squares").generator_loss(f) == -0.75
    assert objective("least_squares:psi=varphi").generator_loss(f) == (1.5**2 + 1.0**2) / 2


SPECS_IN_ONE_PIECE = {
    "hinge:alpha=0.5,psi=varphi": "hinge(alpha=0.5, psi='varphi')",
    "least-squares:0,1": "least_squares(a=0, b=1)",
    "relativistic:exp": "relativistic(exp)",
    "relativistic:logistic": "relativistic",
    "Rescaled:exp,2": "Rescaled(exp, inner=2)",
    "sum:(exp,sqrt)": "Sum((exp, sqrt), (1, 1))",
    "Sum([exp, Rescaled(sqrt, 2)], [1, 3])": "Sum((exp, Rescaled(sqrt, inner=2)), (1, 3))",
    "sobolev": "sobolev",
    "Rescaled(Sum((relativistic, relativistic(exp)), (1, 2)), 2)": (
        "Rescaled(Sum((relativistic, relativistic(exp)), (1, 2)), inner=2)"
    ),
}


@pytest.mark.parametrize(("spec", "spelled"), SPECS_IN_ONE_PIECE.items())
def test_spellings(spec, spelled):
    assert repr(objective(spec)) == spelled
    assert objective(spelled) == objective(spec)


def test_every_objective_names_its_source():
    for entry in OBJECTIVES.entries():
        source = entry.source
        assert source, f"{entry.name} has no source"
        assert source.paper, entry.name
        assert source.equation, entry.name
        if entry.name not in ("Sum", "Rescaled"):  # of the paper's text alone
            assert source.defaults, entry.name
            assert re.search(r"\S+/\S+ [0-9a-f]{7} \S+\.(py|md)", source.checked), entry.name
    assert OBJECTIVES.entry("fisher").source.equation == "eq. 9"
    assert "unverified" in str(OBJECTIVES.entry("hinge").source)
    assert EQUATION_11.unverified


@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_slopes_at_zero(spec):
    """Where an untrained critic starts: reals are pushed up and fakes down."""
    of = objective(spec)
    phi, varphi, _ = TABLE[spec]
    h = 1e-6
    up, down = ((function(h) - function(-h)) / (2 * h) for function in (phi, varphi))
    assert float(derivative(of.phi, [0.0])) == pytest.approx(up, abs=1e-9)
    assert float(derivative(of.varphi, [0.0])) == pytest.approx(down, abs=1e-9)


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
    assert conditions(objective("logistic"), reach=300)["strict"]


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


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("exp(psi='minus')", "psi = 'minus'; choose neg"),
        ("wasserstein(psi=1)", "psi = 1; choose neg"),
        ("exp(psi=minus)", "unknown name 'minus'"),
        ("Sum((exp, hinge), (1,))", "give 2 positive numbers"),
        ("Sum((exp, hinge), (1, 0))", "give 2 positive numbers"),
        ("Sum((exp, hinge), (1, -1))", "give 2 positive numbers"),
        ("Sum((exp, hinge), (1, inf))", "give 2 positive numbers"),
        ("Sum((exp, hinge), (1, True))", "give 2 positive numbers"),
        ("Sum(())", "give objectives and as many weights"),
        ("Sum(exp, (1,))", "give objectives and as many weights"),
        ("Sum((exp, relativistic))", "wrap all in relativistic"),
        ("Sum((exp, fisher))", "Sum: fisher includes its own penalty"),
        ("Sum((exp, Lp(2)))", "no objective"),
        ("Rescaled(exp, inner=0)", "inner = 0; choose a positive number"),
        ("Rescaled(exp, outer=-1)", "outer = -1; choose a positive number"),
        ("Rescaled(exp, offset=inf)", "offset = inf; choose a number"),
        ("Rescaled(exp, offset='a')", "offset = 'a'; choose a number"),
        ("Rescaled(sobolev, 2)", "Rescaled: sobolev includes its own penalty"),
        ("relativistic(fisher)", "includes its own penalty"),
        ("relativistic(relativistic)", "compares each fake with a real already"),
        ("relativistic(psi='other')", "psi = 'other'"),
        ("Rescaled", "for example Rescaled"),
    ],
)
def test_refusals_of_combinations(wrong, said):
    with pytest.raises(SpecError, match=re.escape(said)) as caught:
        objective(wrong)
    assert len(str(caught.value).splitlines()) == 1


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


@pytest.mark.parametrize("spec", [spec for spec in OBJECTIVES.examples() if not objective(spec).paired])
def test_losses_of_a_batch(spec):
    of = objective(spec)
    f_real, f_fake = torch.tensor(REALS, dtype=torch.float64), torch.tensor(FAKES[:2], dtype=torch.float64)
    assert of.own == (f"{spec}-moment" if spec in ("fisher", "sobolev") else "")
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


@pytest.mark.parametrize("spec", ["fisher", "sobolev"])
def test_own_penalties_are_registered(spec):
    """The penalty's text stands a layer below the penalties: here they meet."""
    assert penalty(objective(spec).own) == PENALTIES[f"{spec}-moment"]
