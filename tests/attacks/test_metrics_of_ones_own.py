"""Metrics and spaces of somebody's own: derived ones are what they measure, and what is none is refused in a line."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from banach import Discrete, Lp, Product, Scale, Weighted, distance
from banach.models import build_critic, lipschitz_bound
from banach.spaces import Metric, NormOnly
from banach.specs import SpecError
from banach.transport import Budget, TransportError, population_distance


@dataclass(frozen=True, repr=False)
class Half(Lp):
    """Half of the L^p norm, the dual forgotten."""

    def norm(self, x):
        return super().norm(x) / 2


@dataclass(frozen=True, repr=False)
class TwiceApart(Lp):
    """Only the distance is another one."""

    def distance(self, x, y):
        return 2 * super().distance(x, y)


@dataclass(frozen=True)
class Thirds(Discrete):
    """Different points are as far apart as their first entries say."""

    def distance(self, x, y):
        return (x - y).abs().flatten(1).sum(1)


@dataclass(frozen=True, repr=False)
class Lying(Lp):
    """Its dual is that of another norm."""

    @property
    def dual(self):
        return Lp(float("inf"))


def samples(n=40):
    rng = torch.Generator().manual_seed(0)
    return (torch.randn(n, 3, generator=rng, dtype=torch.float64) + shift for shift in (0, 0.5))


@pytest.mark.parametrize("metric", [
    Half(2.0), Half(1.0), Weighted(Scale((1.0, 1.0, 1.0)), Half(2.0)), Weighted(Scale(1), Half(3.0)),
    Product(1, (Half(1.0), Half(1.0)), (1, 2)),
], ids=repr)  # fmt: skip
def test_a_derived_norm_is_measured_as_it_is(metric):
    x, y = samples()
    p = 1.0 if isinstance(metric, Product) else (metric if isinstance(metric, Lp) else metric.B).p
    plain, found = distance(x, y, Lp(p), rel_gap=1e-9), distance(x, y, metric, rel_gap=1e-9, method="columns")
    assert found.value == pytest.approx(plain.value / 2, rel=1e-8)
    table = metric.pairwise(x, y)
    assert torch.allclose(table, Lp(p).pairwise(x, y) / 2, rtol=1e-12)


def test_a_derived_metric_is_measured_as_it_is():
    x, y = samples(30)
    assert distance(x, y, Thirds(), rel_gap=1e-9).value == pytest.approx(distance(x, y, "Lp(1)").value, rel=1e-2)
    with pytest.raises(TransportError, match=r"is no norm: \|x - y\| and d\(x, y\)"):
        distance(x, y, TwiceApart(2.0))


def test_a_norm_does_not_inherit_the_dual_of_another():
    with pytest.raises(SpecError, match=r"Half overrides norm.*define its dual"):
        _ = Half(2.0).dual
    critic = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    assert lipschitz_bound(critic, Half(2.0), (3,)) is None
    cones = build_critic("lipschitz-cones", (3,), width=4, rng=torch.Generator().manual_seed(0), space=Half(2.0))
    assert lipschitz_bound(cones, Half(2.0)) == pytest.approx(1.0)
    x, y = torch.randn(2, 20, 3)
    with torch.no_grad():
        steepest = ((cones(x) - cones(y)).abs() / Half(2.0).distance(x, y)).max()
    assert float(steepest) <= 1.0001

    @dataclass(frozen=True)
    class Computed(NormOnly):
        def norm(self, x):
            return Lp(2).norm(x)

    assert Computed().dual is not None
    assert not Computed.remeasured


def test_a_dual_that_is_too_small_bounds_nothing():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(200, 30, generator=rng)
    y = torch.randn(200, 30, generator=rng) + 0.3
    with pytest.raises(TransportError, match=r"dual norm is too small.*fix its dual"):
        population_distance(x, y, Lying(2.0), model="lipschitz-sort", width=8, budget=Budget(steps=2))


@dataclass(frozen=True)
class Writing(Metric):
    """Writes into what it is given."""

    def distance(self, x, y):
        return x.sub_(y).abs().flatten(1).sum(1)


@dataclass(frozen=True)
class OfTheBatch(Metric):
    """Depends on what else is measured."""

    def distance(self, x, y):
        return (x - y).abs().flatten(1).sum(1) / (1 + x.abs().max())


@dataclass(frozen=True)
class OtherTable(Metric):
    """Its table is not its distance."""

    def distance(self, x, y):
        return (x - y).abs().flatten(1).sum(1)

    def pairwise(self, x, y):
        return 2 * torch.cdist(x.flatten(1), y.flatten(1), p=1)


def giving(result, name):
    """A metric whose distance does what `result` does."""
    return dataclass(frozen=True)(type(name, (Metric,), {"distance": lambda self, x, y: result(x, y)}))()


def size(x, y):
    return (x - y).abs().flatten(1).sum(1)


WRONG = {
    "writes": (Writing(), "changes the samples"),
    "of the batch": (OfTheBatch(), "no metric: two samples are"),
    "other table": (OtherTable(), "by pairwise"),
    "column": (giving(lambda x, y: size(x, y)[:, None], "Column"), r"gives \(\d+, 1\) for"),
    "row": (giving(lambda x, y: size(x, y)[None], "Row"), r"gives \(1, \d+\) for"),
    "number": (giving(lambda x, y: size(x, y).sum(), "Number"), r"gives \(\) for"),
    "numpy": (giving(lambda x, y: size(x, y).numpy(), "Numpy"), "gives a ndarray"),
    "list": (giving(lambda x, y: size(x, y).tolist(), "Listed"), "gives a list"),
    "none": (giving(lambda x, y: None, "Nothing"), "gives a NoneType"),
    "zero division": (giving(lambda x, y: 1 / 0, "Division"), "cannot measure these samples .division by zero"),
    "key": (giving(lambda x, y: {}["a"], "Key"), "cannot measure these samples"),
    "gradients": (giving(lambda x, y: size(x, y) * torch.ones(1, requires_grad=True), "Trained"), "require gradients"),
    "shape": (giving(lambda x, y: x @ torch.ones(7, 1), "Shape"), "cannot measure these samples"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_metric_is_refused_in_a_line_and_changes_nothing(name):
    metric, said = WRONG[name]
    x, y = (one.numpy().copy() for one in samples(700))
    before = x.copy()
    with pytest.raises(TransportError, match=said) as refused:
        distance(x, y, metric)
    assert len(str(refused.value).splitlines()) == 1
    assert not re.search("Traceback", str(refused.value))
    assert np.array_equal(x, before)
