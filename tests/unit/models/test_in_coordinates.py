"""A critic in the coordinates of a norm plays in L^p, whatever the norm."""

import pytest
import torch

from banach import space
from banach.models import InCoordinates, ModelError, build_critic
from banach.numerics import p_norm
from banach.spaces import SPACES
from banach.spaces.properties import map_of_events
from banach.testing import shapes_of

WITH_A_MAP = [spec for spec in SPACES.examples() if map_of_events(SPACES.parse(spec)) is not None]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shape_for(metric) -> tuple[int, ...]:
    accepted = shapes_of(metric)
    return next((shape for shape in ((3, 4, 4), (2, 2), (3,)) if shape in accepted), accepted[0])


def test_norms_with_a_map():
    assert {spec.split("(")[0] for spec in WITH_A_MAP} == {"Sobolev", "Weighted", "Besov", "GradientForm"}
    others = "Lp(4)", "MeanFree(3)", "TotalVariation()", "Discrete()", "Product(2, (Lp(1), Sobolev(s=-1)), (1, 2))"
    others += "Besov(s=1, p=3, q=2)", "GradientForm(p=3)", "Patches(2, Lp(2))", "OverlappingPatches(2, Lp(2))"
    assert all(map_of_events(space(spec)) is None for spec in others)


@pytest.mark.parametrize("spec", WITH_A_MAP)
def test_the_map_keeps_the_shape_and_gives_the_norm(spec):
    metric = SPACES.parse(spec)
    E = map_of_events(metric)
    assert E is not None
    x = torch.randn(5, *shape_for(metric), dtype=torch.float64, generator=rng())
    assert E(x).shape == x.shape
    form = metric.form()
    assert form is not None
    torch.testing.assert_close(p_norm(E(x).flatten(1), form.p), metric.norm(x))


@pytest.mark.parametrize(
    "spec", ["Sobolev(s=-1, length=1)", "Sobolev(s=1, p=4, scale='paper')", "Weighted(Scale(3), Lp(1))"]
)
def test_dual_slopes_are_those_of_the_network_in_lq(spec):
    metric, shape = space(spec), (1, 8, 8)
    E = map_of_events(metric)
    assert E is not None
    network = build_critic("dcgan4", shape, 4, rng=rng()).double()
    critic = InCoordinates(network, E, unit=0.7).double()
    x = torch.randn(6, *shape, dtype=torch.float64, generator=rng(1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    h = (E(x.detach()) / 0.7).requires_grad_()
    (inner,) = torch.autograd.grad(network(h).sum(), h)
    form = metric.dual.form()
    assert form is not None
    torch.testing.assert_close(metric.dual.norm(slope), p_norm(inner.flatten(1), form.p) / 0.7)


def test_the_coordinates_are_exact_in_half_precision():
    E = map_of_events(space("Sobolev(s=-1)"))
    assert E is not None
    seen = []

    class Look(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.flatten(1).sum(1)

    x = torch.randn(3, 1, 8, 8, generator=rng())
    critic = InCoordinates(Look(), E, unit=2.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        critic(x)
    assert torch.equal(seen[0], E(x) / 2)


@pytest.mark.parametrize("unit", [0.0, float("inf"), float("nan")])
def test_data_without_a_size_are_refused(unit):
    with pytest.raises(ModelError, match=r"critic-input: the data have the size .* take --critic-input samples"):
        InCoordinates(torch.nn.Flatten(), lambda x: x, unit)
