"""Coordinates of samples: distances in them are distances in the space, for every registered one that has a form."""

from dataclasses import dataclass

import pytest
import torch

from banach import Lp, space
from banach.spaces import SPACES, Space
from banach.testing import shapes_of

EXAMPLES = [spec for spec in SPACES.examples() if isinstance(space(spec), Space)]
FORMED = [spec for spec in EXAMPLES if space(spec).form() is not None]


def samples(metric, dtype=torch.float64):
    rng = torch.Generator().manual_seed(0)
    shape = shapes_of(metric)[0]
    return [50 + torch.randn(n, *shape, generator=rng, dtype=dtype) for n in (5, 5)]


@pytest.mark.parametrize("spec", FORMED)
def test_distances_of_coordinates_are_those_of_samples(spec):
    metric = space(spec)
    x, y = samples(metric)
    left, right = metric.embed(x, y[:1]), metric.embed(y, y[:1])
    leaves = zip(left.leaves(), right.leaves(), strict=True)
    found = left.mapped([a - b for a, b in leaves]).norm()
    torch.testing.assert_close(found, metric.distance(x, y), rtol=1e-11, atol=1e-11)


def test_the_usual_spaces_have_coordinates_and_computed_norms_have_none():
    for spec in ("Lp(1.5)", "Sobolev(s=-1)", "Product(2, (Lp(1), Lp(2)), (1, 2))", "TotalVariation(weight=2)"):
        assert spec in FORMED or space(spec).form() is not None
    for spec in set(EXAMPLES) - set(FORMED):
        assert space(spec).embed(samples(space(spec))[0]) is None


def test_samples_of_an_lp_space_stay_as_they_are():
    x = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Lp(3).embed(x).values, x.flatten(1))
    assert Lp(3).embed(x).values.dtype == torch.float32


def test_another_norm_does_not_inherit_a_form():
    @dataclass(frozen=True)
    class Twice(Lp):
        def norm(self, x):
            return 2 * super().norm(x)

    assert Lp(2).form() is not None
    assert Twice(2).form() is None
    assert Twice(2).embed(torch.ones(2, 3)) is None
