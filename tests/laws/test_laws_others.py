"""The laws of operators, objectives, penalties and networks, over every registered example; and what they reject."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from banach import Bessel, Lp, Objective, Operator, Penalty, Scale, objective
from banach.constraints import CONSTRAINTS
from banach.models import MODELS, Family
from banach.numerics import p_norm
from banach.objectives import OBJECTIVES
from banach.operators import OPERATORS
from banach.penalties import (
    PENALTIES,
    AugmentedLagrangian,
    Max,
    Mean,
    Reduction,
    Shape,
    Sum,
    TwoSided,
    penalty,
)
from banach.slopes import Gradients, Quotients, between, gradient
from banach.specs import SpecError
from banach.testing import (
    KINDS,
    LawError,
    LawResult,
    assert_laws,
    check,
    check_critic_network,
    check_model,
    check_objective,
    check_operator,
    check_penalty,
)


def broken(results):
    return {one.name for one in results if not one.ok}


def examples():
    """Kind and spec of all but the spaces; constraints take ten seconds each, and all but one are slow."""
    for kind, (registry, *_) in KINDS.items():
        for spec in registry.examples() if kind != "space" else ():
            slow = kind == "constraint" and spec != "clip"
            yield pytest.param(kind, spec, marks=[pytest.mark.slow] * slow)


@pytest.mark.parametrize(("kind", "spec"), examples())
def test_every_registered_example(kind, spec):
    assert_laws(check(spec, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_registered_name_has_an_example(kind):
    registry, wanted, _ = KINDS[kind]
    for entry in registry.entries():
        assert any(entry.name in example for example in entry.examples), f"{entry.name} needs an example"
        assert all(isinstance(registry.parse(example), wanted) for example in entry.examples)


@pytest.mark.parametrize(
    "spec",
    [
        "Bessel(s=-1, homogeneous=True)",
        "Bessel(s=1, length=(2, 3), boundary='even')",
        "Compose(Matrix(((1, 2), (0, 1))), Bessel(s=-2), Scale((1, -3)))",
        "Scale(((1, 2), (3, 4)))",
        "Matrix(((0, 1), (-1, 0.5)))",
    ],
)
def test_operators_of_other_kinds(spec):
    assert_laws(check_operator(spec))


@dataclasses.dataclass(frozen=True)
class Claimed(Operator):
    """A map that claims another's inverse and adjoint."""

    of: Operator
    claimed_inverse: Operator
    claimed_adjoint: Operator

    def __call__(self, x):
        return self.of(x)

    @property
    def inverse(self):
        return Claimed(self.claimed_inverse, self.of, self.of)

    @property
    def adjoint(self):
        return self.claimed_adjoint


class WrongParseval(Bessel):
    def l2_norm(self, x):
        return p_norm(self(x), 2) * x.shape[-1] ** -0.5


class Crooked(Scale):
    def __call__(self, x):
        return x.abs()


SKEW = OPERATORS.parse("Matrix(((1, 2), (0, 1)))")


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (Claimed(SKEW, SKEW.inverse, SKEW), "adjoint"),
        (Claimed(SKEW, SKEW, SKEW.adjoint), "inverse of the map"),
        (WrongParseval(s=1), "l2_norm is |A x|_2"),
        (Crooked(2), "linear"),
    ],
    ids=["adjoint forgotten", "inverse forgotten", "Parseval without 1/N", "not linear"],
)
def test_wrong_operators_are_rejected(wrong, law):
    results = check_operator(wrong, [(2, 5)])
    assert law in broken(results)
    with pytest.raises(LawError):
        assert_laws(results)


class AverageReal(Objective):
    """Each fake against the mean of the reals: relativistic average, no pairs by index."""

    def critic_loss(self, f_real, f_fake):
        return (f_real.mean() - f_fake).neg().exp().mean()


class Neighbour(Objective):
    """Each fake against the next sample's real."""

    def critic_loss(self, f_real, f_fake):
        return self.varphi(f_real.roll(1) - f_fake).mean()


class FirstReal(Objective):
    """The first real counts for all."""

    def critic_loss(self, f_real, f_fake):
        return self.phi(f_fake).mean() + self.varphi(f_real[0])


class Summed(Objective):
    def critic_loss(self, f_real, f_fake):
        return self.phi(f_fake).sum() + self.varphi(f_real).sum()

    def generator_loss(self, f_fake, f_real=None):
        return self.psi(f_fake).sum()


class Unpaired(Objective):
    """Says that it compares pairs, and does not."""

    def critic_loss(self, f_real, f_fake):
        return self.phi(f_fake).mean() + self.varphi(f_real).mean()


class PerSample(Objective):
    def critic_loss(self, f_real, f_fake):
        return self.phi(f_fake) + self.varphi(f_real)


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (Objective(torch.neg, torch.positive), "the critic scores reals higher"),
        (Objective(torch.positive, torch.neg, torch.positive), "the generator raises f"),
        (Objective(lambda f: torch.exp(f.exp()), torch.neg), "phi is finite"),
        (Objective(torch.positive, lambda f: torch.log(-f)), "varphi is finite"),
        (Objective(lambda f: (1e5 * f).floor() / 1e5, torch.neg), "phi is differentiable"),
        (Objective(lambda f: f.detach(), torch.neg), "phi is a function"),
        (Objective(lambda f: f.mean(), torch.neg), "phi is a function"),
        (Objective(lambda f: f - f.mean(), torch.neg), "phi acts on each entry alone"),
        (Objective(lambda f: torch.sqrt(f**2 + 1) + f - 1e6 + 1e6, torch.neg), "phi in float32"),
        (Objective(lambda f: torch.exp(f) - 100 + 100, torch.neg), "phi in bfloat16"),
        (Objective(torch.positive, torch.neg, lambda f: torch.relu(-1 - f)), "the generator raises f"),
        (Objective(torch.positive, torch.neg, lambda f: (f - 1).square()), "the generator raises f"),
        (Objective(torch.positive, lambda f: (f - 1) ** 2, lambda f: (f + 1) ** 2), "the generator raises f"),
        (Objective(torch.positive, torch.positive, torch.neg, paired=True), "the critic scores reals higher"),
        (Objective(torch.positive, torch.neg, torch.positive, paired=True), "the generator raises f"),
        (AverageReal(torch.exp, torch.neg, paired=True), "critic's loss is a mean"),
        (Neighbour(torch.exp, lambda f: torch.exp(-f), paired=True), "critic's loss of permuted samples"),
        (FirstReal(torch.exp, torch.neg), "critic's loss of permuted samples"),
        (Summed(torch.exp, torch.neg), "critic's loss is a mean"),
        (Summed(torch.exp, torch.neg), "generator's loss is a mean"),
        (Unpaired(torch.exp, lambda f: torch.exp(-f), paired=True), "pairs: a constant added to f changes nothing"),
        (PerSample(torch.exp, torch.neg), "losses are means"),
    ],
)
def test_wrong_objectives_are_rejected(wrong, law):
    assert law in broken(check_objective(wrong))


def test_the_report_of_conditions_breaks_nothing():
    report = check_objective("least_squares")[-1]
    assert report.ok
    assert report.detail == "not met: phi_increasing, varphi_decreasing"
    assert check_objective("sqrt")[-1].detail == "all met"
    assert broken(check_objective(Objective(torch.exp, lambda f: torch.exp(-f)))) == set()


class EpsUnderTheRoot(Gradients):
    """The slope of peers, biased at every gradient and 1e-2 at none."""

    def measure(self, f, real, fake, space, noise):
        return (super().measure(f, real, fake, space, noise).square() + 1e-4).sqrt()


class BareRoot(Gradients):
    def measure(self, f, real, fake, space, noise):
        u = gradient(f, self.points(real, fake, noise), create_graph=True)
        return u.flatten(1).square().sum(1).sqrt()


class WholeBatch(Gradients):
    """One norm over the whole batch."""

    def measure(self, f, real, fake, space, noise):
        u = gradient(f, self.points(real, fake, noise), create_graph=True)
        return space.dual.norm(u.reshape(1, -1)).expand(len(real))


class PrimalNorm(Gradients):
    def measure(self, f, real, fake, space, noise):
        return space.norm(gradient(f, self.points(real, fake, noise), create_graph=True))


class Neighbours(Quotients):
    """Differences over pairs that do not belong together."""

    def measure(self, f, real, fake, space, noise):
        return (f(real) - f(fake)).abs() / space.distance(real, fake).roll(1)


class FirstAlpha(Gradients):
    """All samples are interpolated by the first one's draw."""

    def points(self, real, fake, noise):
        return between(real, fake, noise[0][:1].expand(len(real)))


class AllPairs(Quotients):
    """(b, 1) over (b,): the broadcast to all pairs of a batch."""

    def measure(self, f, real, fake, space, noise):
        rise = (f(real) - f(fake)).view(-1, 1)
        return (rise / space.distance(real, fake)).abs().flatten()


class InHalf(Gradients):
    """The norm is taken in the critic's own precision."""

    def measure(self, f, real, fake, space, noise):
        return super().measure(f, real, fake, space, noise).bfloat16()


class FirstTwice(Reduction):
    """A mean that counts the first sample twice."""

    def __call__(self, shape, slopes, counts=None):
        return (shape(slopes).sum() + shape(slopes[0])) / (len(slopes) + 1)


class Forgetful(AugmentedLagrangian):
    """Its multiplier stays where it is."""

    def cost(self, f, real, fake, space, noise, memory):
        found = super().cost(f, real, fake, space, noise, memory)
        return found._replace(memory={"multiplier": torch.zeros_like(found.value)})


class Doubled(Sum):
    """It draws anew in every call, so that what was drawn for a sample does not matter."""

    def cost(self, f, real, fake, space, noise, memory):
        return super().cost(f, real, fake, space, self.draw(real, torch.default_generator), memory)


class Signed(Shape):
    def __call__(self, slope):
        return (slope - 1) / slope


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (Penalty(EpsUnderTheRoot(), TwoSided(), Mean()), "linear critic: slopes are L"),
        (Penalty(BareRoot(), TwoSided(), Mean()), "finite at zero gradient"),
        (Penalty(BareRoot(), TwoSided(), Mean()), "linear critic: shape(L)"),
        (Penalty(WholeBatch(), TwoSided(), Mean()), "linear critic: slopes are L"),
        (Penalty(PrimalNorm(), TwoSided(), Mean()), "linear critic: slopes are L"),
        (Penalty(Neighbours(), TwoSided(), Mean()), "linear critic: L along the steepest"),
        (Penalty(FirstAlpha(), TwoSided(), Mean()), "slopes belong to samples"),
        (Penalty(AllPairs(), TwoSided(), Mean()), "linear critic: L along the steepest"),
        (Penalty(InHalf(), TwoSided(), Mean()), "samples"),
        (Penalty(Gradients(), TwoSided(), FirstTwice()), "value of permuted samples"),
        (Forgetful(Gradients(), TwoSided(), Mean()), "linear critic: the multiplier moves by rate c"),
        (Doubled((penalty("wgan-gp"),)), "value of permuted samples"),
        (Penalty(Gradients(), Signed(), Max()), "finite at zero gradient"),
    ],
    ids=lambda one: (
        one if isinstance(one, str) else f"{type(one).__name__}-{type(getattr(one, 'slopes', None)).__name__}"
    ),
)
def test_wrong_penalties_are_rejected(wrong, law):
    assert law in broken(check_penalty(wrong, ["Lp(2)", "Lp(4)"]))


def test_penalties_in_a_metric_without_dual():
    assert broken(check_penalty("pagan", ["Discrete()"])) == set()
    with pytest.raises(LawError, match="no law was checked"):
        assert_laws(one for one in check_penalty("wgan-gp", ["Discrete()"]) if one.name != "spelling")


def flat(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), *layers, nn.Linear(8, 1), nn.Flatten(0))


class Silent(nn.Module):
    """Its input gradient is zero: it sees the spread only, after taking the spread away."""

    def forward(self, x):
        return F.layer_norm(x.flatten(1), (12,)).square().sum(1).round()


@pytest.mark.parametrize(
    ("critic", "law"),
    [
        (flat(nn.BatchNorm1d(8)), "critic: each sample by itself"),
        (flat(nn.Dropout()), "critic: forward draws nothing"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), "critic"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 1)), "critic"),
        (Silent(), "critic: input gradient is not zero"),
        (flat(nn.Threshold(1e9, math.inf)), "critic is finite"),
    ],
    ids=["batch norm", "dropout", "two numbers", "a column", "no gradient", "infinite"],
)
def test_wrong_critics_are_rejected(critic, law):
    assert law in broken(check_critic_network(critic, (3, 4)))


def test_a_right_critic():
    assert broken(check_critic_network(flat(nn.Softplus()), (3, 4))) == set()


def test_wrong_families_are_rejected():
    def forgetful(shape, width, rng):
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 1), nn.Flatten(0))

    def refuses(shape, width, rng):
        raise ValueError("nothing fits")

    generator = MODELS["mlp"].generator
    touched = "building leaves torch's global random state untouched"
    found = broken(check_model(Family("mine", generator, forgetful, "")))
    assert {"weights come from the given generator", touched} <= found

    def overwritten(shape, width, rng):
        network = forgetful(shape, width, rng)
        for weights in network.parameters():
            nn.init.uniform_(weights, -0.1, 0.1, generator=rng)
        return network

    results = check_model(Family("mine", generator, overwritten, ""))
    assert [one.name for one in results if not one.ok] == [touched]
    assert "touched; draw from rng alone" in next(one.detail for one in results if one.name == touched)
    assert broken(check_model(Family("mine", generator, refuses, ""))) == {"accepts shapes"}
    squashed = Family(
        "mine", lambda *how: nn.Sequential(generator(*how), nn.Hardtanh(-2, -1.5)), MODELS["mlp"].critic, ""
    )
    assert "generator with tanh stays in [-1, 1]" in broken(check_model(squashed))


def test_check_finds_the_kind():
    names = {one.name for one in check("edges")}
    assert "maximiser attains" in names
    assert "adjoint" in {one.name for one in check(Scale(2))}
    assert "phi is finite" in {one.name for one in check("exp")}
    assert "phi is finite" in {one.name for one in check(objective("hinge"), "objective")}
    assert "linear critic: shape(L)" in {one.name for one in check(PENALTIES["r1"])}
    assert "generator depends on z" in {one.name for one in check("mlp")}
    assert "distance is symmetric" in {one.name for one in check("Discrete()")}


@pytest.mark.parametrize(
    ("of", "kind", "said"),
    [
        ("Sobolov(s=1)", None, "did you mean Sobolev"),
        ("Lp(2)", "operator", "unknown operator 'Lp'"),
        (Lp(2), "operator", "no laws for Lp"),
        ("TwoSided()", None, "no laws for TwoSided"),
        ("Lp(2)", "shape", "there are no laws for 'shape'; choose one of space, operator"),
        (3, None, "no laws for 3"),
    ],
)
def test_check_refuses(of, kind, said):
    with pytest.raises(SpecError, match=said):
        check(of, kind)


@pytest.mark.parametrize(
    ("function", "wrong"), [(check_operator, Lp(2)), (check_objective, 3), (check_penalty, Lp(2)), (check_model, 3)]
)
def test_checks_refuse_other_things(function, wrong):
    with pytest.raises(SpecError):
        function(wrong)


def test_results_in_words():
    good = LawResult("zero", True, 0.0, 1e-9)
    bad = LawResult("triangle", False, 0.25, 1e-9, "one-hot, (5,)")
    assert str(good) == "ok     zero: 0, allowed 1e-09"
    assert str(bad) == "BROKEN triangle: 0.25, allowed 1e-09  (one-hot, (5,))"
    assert assert_laws([good]) == [good]
    with pytest.raises(LawError, match=r"^BROKEN triangle: 0.25, allowed 1e-09  \(one-hot, \(5,\)\)$"):
        assert_laws([good, bad])
    with pytest.raises(LawError, match="no law was checked"):
        assert_laws([])


def test_every_kind_is_run():
    assert [KINDS[kind][0] for kind in KINDS if kind != "space"] == [
        OPERATORS, OBJECTIVES, PENALTIES, CONSTRAINTS, MODELS,
    ]  # fmt: skip
