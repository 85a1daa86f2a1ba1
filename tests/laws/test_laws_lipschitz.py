"""No claimed Lipschitz bound is broken by the refuter, in any registered space; and wrong claims are."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from banach import Lp, Space, space
from banach.constraints import Clip, Constraint, Orthogonal, SpectralNorm, constraint
from banach.models import MODELS, Family, build_critic, lipschitz_bound
from banach.models.bounds import certified
from banach.models.lipschitz import ConeCritic, LipschitzCritic, OrthogonalCritic, SortCritic
from banach.models.lipschitz.distance_critics import Extremum
from banach.models.lipschitz.sorting import unit_rows
from banach.spaces import SPACES
from banach.testing import check_constraint, check_model, refute, shapes_of
from banach.testing.constraints import train_critic

SPECS = [spec for spec in SPACES.examples() if isinstance(SPACES.parse(spec), Space)]
FAMILIES = [name for name in MODELS if MODELS[name].critic_in is not None]
CONSTRAINTS = ["none", "clip(c=0.2)", "spectral-norm", "orthogonal", "orthogonal(map='householder', group=0)"]
WANTED = ((3, 4), (1, 2, 5), (26,), (5,), (2, 2), (1, 4))


def small_shape(metric):
    accepted = shapes_of(metric)
    fitting = [shape for shape in WANTED if shape in accepted]
    return fitting[0] if fitting else next(shape for shape in accepted if 2 <= math.prod(shape) <= 60)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def steepest(critic, metric, shape, pairs=8, steps=6, around=None):
    return refute(critic, metric, shape, rng(), around, pairs, steps).slope


def test_there_are_twenty_spaces():
    assert len({type(SPACES.parse(spec)) for spec in SPECS}) >= 5
    assert len(SPECS) >= 20


# At points whose entries lie many decades apart a computed norm may be known to 5e-7 alone, and says so: less than the
# room that is left below.
@pytest.mark.filterwarnings("ignore:the dual norm of:banach.spaces.computed.AccuracyWarning")
@pytest.mark.parametrize("spec", SPECS)
def test_no_critic_that_is_lipschitz_by_construction_is_steeper_than_it_says(spec):
    metric = SPACES.parse(spec)
    shape = small_shape(metric)
    real, fake = torch.randn(2, 24, *shape, generator=rng())
    made = 0
    for family in FAMILIES:
        try:
            critic = build_critic(family, shape, 8, rng=rng(), space=metric)
        except ValueError:
            continue
        made += 1
        critic.start_at_(real + 1, fake, rng())
        train_critic(critic, real + 1, fake, steps=20)
        claimed = lipschitz_bound(critic, metric)
        if claimed is None:  # cones of distances that are themselves computed
            assert metric.computed
            continue
        room = metric.dual.tolerance(torch.float32)  # a proved bound takes the upper end of a computed dual norm
        assert 1 - 1e-5 <= claimed <= 1 + 1e-5 + room
        for around in (None, torch.cat([real + 1, fake])):
            assert steepest(critic, metric, shape, around=around) <= claimed * (1 + 1e-6)
        assert steepest(certified(critic, metric), metric, shape) <= 1 + 1e-9
    assert made >= 3


@pytest.mark.parametrize("spec", ["TotalVariation(weight=0.5)", "Intersection(2, Lp(1), Lp(2))"])
def test_the_bound_of_a_linear_critic_is_not_below_its_dual_norm(spec):
    """Where the dual norm is computed, its upper end counts: no vector of a finer solve is steeper than the claim."""
    metric, fine = SPACES.parse(spec), SPACES.parse(spec[:-1] + ", tol=1e-11)")
    for seed in range(5):
        last = nn.Linear(9, 1).double()
        nn.init.normal_(last.weight, generator=rng(seed))
        claimed = lipschitz_bound(nn.Sequential(nn.Flatten(), last, nn.Flatten(0)), metric, (1, 3, 3))
        assert claimed is not None
        upper = float(fine.dual.enclosure(last.weight.detach().view(1, 1, 3, 3)).lower)
        assert upper <= claimed <= upper * (1 + 3e-7)


@pytest.mark.parametrize("spec", SPECS)
def test_no_constrained_critic_is_steeper_than_its_bound(spec):
    metric = SPACES.parse(spec)
    shape = small_shape(metric)
    real, fake = torch.randn(2, 24, *shape, generator=rng())
    claims = 0
    for name in CONSTRAINTS:
        of = constraint(name)
        critic = build_critic("mlp", shape, 8, rng=rng())
        of.prepare(critic)
        train_critic(critic, real + 1, fake, of, steps=20)
        claimed = of.bound(critic, metric)
        if claimed is None:  # the norm does not see means, and the critic does
            assert not torch.equal(metric.domain(real), real)
            continue
        claims += 1
        found = steepest(critic, metric, shape)
        assert 0 < found <= claimed * (1 + 1e-6)
    assert claims in (0, len(CONSTRAINTS))


def broken(results):
    return {one.name for one in results if not one.ok}


STEEP = "no pair is steeper than the bound"


@dataclass(frozen=True, repr=False)
class AnyNorm(Orthogonal):
    """Claims for every space what is true of L^2."""

    def bound(self, critic, space):
        return super().bound(critic, Lp(2))


@dataclass(frozen=True, repr=False)
class PrimalRows(Clip):
    """Measures the first layer's rows in the norm of the data, not in its dual."""

    def bound(self, critic, space):
        return super().bound(critic, space.dual)


@dataclass(frozen=True, repr=False)
class Remembered(Clip):
    """Claims the bound of the clipped weights, and forgets to clip."""

    c: float = 0.05

    def project_(self, critic):
        del critic

    def bound(self, critic, space):
        saved = [one.detach().clone() for one in critic.parameters()]
        Clip(self.c).project_(critic)
        claimed = super().bound(critic, space)
        for one, value in zip(critic.parameters(), saved, strict=True):
            one.data.copy_(value)
        return claimed


@pytest.mark.parametrize(
    ("wrong", "spaces"),
    [
        (AnyNorm(), ["Lp(inf)"]),
        (AnyNorm(), ["Sobolev(s=-1, p=2)"]),
        (PrimalRows(c=1.0), ["Lp(1)", "Lp(inf)"]),
        (Remembered(), ["Lp(2)"]),
    ],
    ids=["L2 for all norms", "L2 for Sobolev", "primal rows", "not clipped"],
)
def test_wrong_constraints_are_found_out(wrong, spaces):
    assert STEEP in broken(check_constraint(wrong, spaces, [("mlp", (3, 4, 5))]))


def test_a_power_iteration_that_saw_the_wrong_direction_is_found_out():
    """It approaches the largest singular value from below, and from a singular vector of another it never leaves."""
    first, last = parametrizations.spectral_norm(nn.Linear(2, 2, bias=False)), nn.Linear(2, 1, bias=False)
    critic = nn.Sequential(first, last, nn.Flatten(0))
    with torch.no_grad():
        first.parametrizations.weight.original.copy_(torch.diag(torch.tensor([1.0, 3.0])))
        last.weight.copy_(torch.tensor([[0.0, 1.0]]))
        for vector in (first.parametrizations.weight[0]._u, first.parametrizations.weight[0]._v):
            vector.copy_(torch.tensor([1.0, 0.0]))
    for _ in range(10):
        critic(torch.zeros(1, 2))
    assert SpectralNorm().bound(critic, Lp(2)) == pytest.approx(3)
    assert steepest(critic, Lp(2), (2,)) == pytest.approx(3)  # where each layer is said to have norm 1


class Tilted(Constraint):
    """Changes more at every projection, and cannot take over a state."""

    def prepare(self, critic):
        critic.register_buffer("made", torch.rand(1), persistent=False)

    def project_(self, critic):
        with torch.no_grad():
            for one in critic.parameters():
                one.mul_(0.9)

    def bound(self, critic, space):
        critic.made.add_(1)
        critic.score.layer.bias.data.add_(1)
        return None


def test_what_a_constraint_must_not_do_is_found_out():
    found = broken(check_constraint(Tilted(), ["Lp(2)"], [("mlp", (3,))]))
    assert {"prepare draws nothing", "project_ twice is once", "asking for a bound changes nothing"} <= found
    assert STEEP not in found  # nothing was claimed


class PrimalSort(SortCritic):
    """Rows divided by their norm in the space, not in its dual."""

    def functionals(self):
        rows = self.rows
        return rows / self.space.norm(rows).view(-1, *[1] * (rows.ndim - 1))

    def bound(self, space):
        return 1.0


class LooseSort(SortCritic):
    """Hidden rows of Euclidean length 1, which is no bound in L-inf."""

    def score(self, x):
        h = torch.addmm(self.row_biases, x.flatten(1), self.functionals().flatten(1).T)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = torch.addmm(bias, self.sort(h), torch.nn.functional.normalize(weight, dim=1).T)
        return torch.addmm(self.level, self.sort(h), torch.nn.functional.normalize(self.last, dim=1).T).squeeze(1)

    def bound(self, space):
        return 1.0


class ColdSoft(Extremum):
    """-log sum exp(-h / t), with the factor t forgotten: its slope is 1 / t."""

    def __init__(self):
        super().__init__()
        self.heat = nn.Parameter(torch.zeros(()))

    def forward(self, h):
        return -torch.logsumexp(-h / (0.3 * self.heat.exp()), 1)


class ColdCones(ConeCritic):
    def __init__(self, shape, width, rng, space):
        super().__init__(shape, width, rng, space, ColdSoft)


class SummedCones(ConeCritic):
    """The sum of the two parts in place of their weighted mean."""

    def score(self, x):
        return 2 * super().score(x)


class ForeignCones(ConeCritic):
    """Distances in L^2, whatever the space."""

    def __init__(self, shape, width, rng, space):
        super().__init__(shape, width, rng, Lp(2))
        self.asked = space

    def bound(self, space):
        return 1.0


class UnnormalisedUnit(OrthogonalCritic):
    """The unit multiplied in and not divided out."""

    def forward(self, x):
        return 3 * super().forward(x)


class HalfClaimed(SortCritic):
    """A bound that the critic does not reach, and half of what is proven."""

    def bound(self, space):
        found = super().bound(space)
        return None if found is None else found / 2


@pytest.mark.parametrize(
    "critic", [PrimalSort, LooseSort, ColdCones, SummedCones, ForeignCones, UnnormalisedUnit, HalfClaimed]
)
def test_wrong_families_are_found_out(critic):
    plain = MODELS["mlp"]

    def in_l2(shape, width, rng):
        return critic(shape, width, rng, space=Lp(2))

    family = Family("wrong", plain.generator, in_l2, "", critic_in=lambda *args: critic(*args[:3], space=args[3]))
    assert {STEEP, "bound is 1"} & broken(check_model(family, [(5,)]))


def test_a_family_that_accepts_no_space_or_makes_no_lipschitz_critic_is_found_out():
    plain = MODELS["mlp"]

    def refuses(shape, width, rng, space):
        raise ValueError("no")

    def unproven(shape, width, rng, space):
        return plain.critic(shape, width, rng)

    none = Family("none", plain.generator, plain.critic, "", critic_in=refuses)
    assert "accepts spaces" in broken(check_model(none, [(5,)]))
    with pytest.raises(TypeError, match="which is no LipschitzCritic"):
        check_model(Family("plain", plain.generator, plain.critic, "", critic_in=unproven), [(5,)])


def test_the_refuter_finds_the_slope_of_what_is_known():
    for spec, shape in (("Lp(1.5)", (4,)), ("Lp(inf)", (4,)), ("Sobolev(s=1, p=4)", (1, 6))):
        metric = space(spec)
        u = torch.randn(1, *shape, generator=rng(3), dtype=torch.float64)
        true = float(metric.dual.norm(u))
        assert steepest(lambda x, u=u: (u * x).flatten(1).sum(1), metric, shape) == pytest.approx(true, rel=1e-9)

        def narrow(x):  # as steep as 5, in a slab of width 1 only
            return 5 * x.flatten(1)[:, 0].clamp(2.0, 3.0)

        e = torch.zeros(1, *shape, dtype=torch.float64)
        e.view(-1)[0] = 5.0
        found = refute(narrow, metric, shape, rng())
        assert found.slope == pytest.approx(float(metric.dual.norm(e)), rel=1e-6)
        x, y = found.x[None], found.y[None]
        again = float((narrow(x) - narrow(y)).abs() / metric.distance(x, y))
        assert again == pytest.approx(found.slope, rel=1e-12)  # the witness can be checked


def test_the_refuter_takes_metrics_and_constants():
    flat = refute(lambda x: x.new_zeros(len(x)), Lp(2), (3,), rng(), pairs=4, steps=3)
    assert flat.slope == 0

    class Angle(type(SPACES.parse("Discrete()"))):
        def distance(self, x, y):
            return Lp(2).distance(x, y)

    assert steepest(lambda x: 2 * x[:, 0], Angle(), (3,), pairs=16, steps=40) == pytest.approx(2, rel=0.05)


def test_a_critic_is_refuted_in_evaluation_and_left_as_it_is():
    critic = nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 1)), nn.Dropout(0.5), nn.Flatten(0)).train()
    before = {key: value.clone() for key, value in critic.state_dict().items()}
    steepest(critic, Lp(2), (4,))
    assert critic.training
    assert all(torch.equal(value, before[key]) for key, value in critic.state_dict().items())
    assert unit_rows(torch.ones(1, 4)).sum() == 1
    assert issubclass(SortCritic, LipschitzCritic)
