"""A norm is what its form says: by a class of the package, by a class of one's own, the same answers everywhere."""

import dataclasses
import math
from dataclasses import dataclass

import pytest
import torch

from banach import Lp, Scale, Space, Weighted, distance
from banach.models import ModelError, build_critic, lipschitz_bound
from banach.models.lipschitz import distances
from banach.norms import Leaf
from banach.numerics import Exponent
from banach.spaces import SPACES, properties
from banach.testing import shapes_of
from banach.transport import TransportError
from banach.transport.confidence import box_diameter
from banach.transport.scores import energy_distance

SHAPE = (3, 4)
W = (1.0, 2.0, 0.5)


@dataclass(frozen=True)
class Twin(Space):
    """L^p with one positive weight for each channel, as docs/extend.md has it, without its form."""

    w: tuple[float, ...]
    p: float = 2.0

    def norm(self, x):
        weights = torch.tensor(self.w, dtype=torch.float64).to(x).view(1, -1, *[1] * (x.ndim - 2))
        return Lp(self.p).norm(x * weights)

    @property
    def dual(self) -> Space:
        return dataclasses.replace(self, w=tuple(1 / one for one in self.w), p=Exponent(self.p).dual)


@dataclass(frozen=True)
class Told(Twin):
    """The same with its form."""

    def form(self):
        return Leaf(self.p, (Scale(self.w),))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def samples(count=24, seed=0, shape=SHAPE):
    return torch.randn(2, count, *shape, generator=rng(seed), dtype=torch.float64)


def energy(x, y, metric):
    try:
        return energy_distance(x, y, metric)
    except TransportError:
        return "refused"


def orthogonal(metric):
    try:
        critic = build_critic("lipschitz-orthogonal", SHAPE, width=8, rng=rng(), space=metric)
    except ModelError:
        return "refused"
    return critic(samples()[0].float()).detach()


def table_of(metric, shape=SHAPE):
    """What is known of a norm, by name."""
    x, y = samples(shape=shape)
    mlp = build_critic("mlp", shape, width=8, rng=rng(), space=metric)
    sort = build_critic("lipschitz-sort", shape, width=8, rng=rng(), space=metric)
    E, E_dual = properties.coordinates(metric), properties.dual_coordinates(metric, shape)
    interval = distance(x, 1.5 * y, metric, rel_gap=1e-9)
    return {
        "norm": metric.norm(x),
        "dual norm": metric.dual.norm(x),
        "Euclidean": properties.is_euclidean(metric),
        "coordinates": None if E is None else E(x),
        "dual coordinates": None if E_dual is None else E_dual(x),
        "stretch": properties.stretch(metric, shape),
        "length": properties.euclidean_length(metric, shape),
        "box": box_diameter(metric, shape, 0, 1),
        "negative type": properties.negative_type(metric),
        "blind spot": properties.blind_spot(metric),
        "rounding": metric.rounding(x),
        "roundoff": metric.roundoff(shape),
        "mapped": metric.mapped,
        "bound of an MLP": lipschitz_bound(mlp, metric),
        "bound of a sorting critic": lipschitz_bound(sort, metric),
        "distances": distances(metric, x, y).detach(),
        "W1": (interval.lower, interval.upper),
        "energy": energy(x, y, metric),
    }


def same(a, b):
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.shape == b.shape and torch.allclose(a, b, rtol=1e-12, atol=1e-15)
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return all(same(*both) for both in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0, math.inf])
def test_a_class_of_ones_own_that_tells_its_form_has_equal_entries_in_every_row(p):
    by_class, told = table_of(Weighted(Scale(W), Lp(p))), table_of(Told(W, p))
    assert not {name: (one, told[name]) for name, one in by_class.items() if not same(one, told[name])}
    assert same(orthogonal(Weighted(Scale(W), Lp(p))), orthogonal(Told(W, p)))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0, math.inf])
def test_without_a_form_the_answers_hold_for_every_norm(p):
    """They are looser, never sharper, and a refusal says what would help."""
    told, untold = table_of(Told(W, p)), table_of(Twin(W, p))
    for name in ("norm", "dual norm", "W1"):
        a, b = told[name], untold[name]
        assert same(a, b) or (name == "W1" and a[0] <= b[1] * (1 + 1e-9) and b[0] <= a[1] * (1 + 1e-9))
    for name in ("box", "bound of an MLP", "bound of a sorting critic"):
        assert untold[name] >= told[name] * (1 - 1e-9), name
    assert untold["energy"] == "refused"
    assert not untold["Euclidean"]
    x, y = samples()
    with pytest.raises(TransportError, match=r"it defines no form\(\)"):
        energy_distance(x, y, Twin(W, p))
    with pytest.raises(ModelError, match=r"it defines no form\(\)"):
        build_critic("lipschitz-orthogonal", SHAPE, width=8, rng=rng(), space=Twin(W, p))


@dataclass(frozen=True)
class Copy(Space):
    """Another space's norm, dual and form, as a class of one's own would tell them."""

    of: Space

    def norm(self, x):
        return self.of.norm(x)

    @property
    def dual(self) -> Space:
        return Copy(self.of.dual)

    def form(self):
        return self.of.form()

    def domain(self, x):
        return self.of.domain(x)

    def tolerance(self, dtype):
        return self.of.tolerance(dtype)


FORMED = [spec for spec in SPACES.examples() if SPACES.parse(spec).form() is not None]


@pytest.mark.parametrize("spec", FORMED)
def test_nothing_is_known_of_a_class_that_its_form_does_not_say(spec):
    metric = SPACES.parse(spec)
    shape = min((one for one in shapes_of(metric) if math.prod(one) > 3), key=math.prod)
    a, b = table_of(metric, shape), table_of(Copy(metric), shape)
    loose = {"bound of an MLP", "bound of a sorting critic"} if metric.dual.tolerance(torch.float64) else set()
    differing = {name: (one, b[name]) for name, one in a.items() if name not in loose and not same(one, b[name])}
    assert not differing


def test_forms_that_say_something_else_are_seen():
    """The comparison above can fail."""

    class Wrong(Told):
        def form(self):
            return Leaf(self.p, (Scale((1.0, 2.0, 0.6)),))

    a, b = table_of(Told(W, 2.0)), table_of(Wrong(W, 2.0))
    assert {"coordinates", "box", "bound of an MLP", "distances"} <= {name for name in a if not same(a[name], b[name])}
