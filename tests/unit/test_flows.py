"""Dual norms of total variation by flows: against the splitting in float64, and what each bound owes to nobody else."""

import math

import pytest
import torch

from banach.norms import flows
from banach.norms.flows import Grid, enclose_by_flows
from banach.norms.structure import Differences
from banach.spaces import TotalVariation, computed

SHAPES = [(1, 8, 8), (3, 5, 7), (2, 9), (1, 4, 3, 5), (2, 1, 6), (1, 2, 2)]


def covectors(*shape, n=6, dtype=torch.float64, seed=0):
    """Rough ones, smooth ones and a spike, over four decades."""
    rng = torch.Generator().manual_seed(seed)
    u = torch.randn(n, *shape, generator=rng, dtype=dtype)
    u[1] = u[1].cumsum(-1)
    u[2] = 0
    u[2].view(-1)[1] = 1
    return u * torch.logspace(-2, 2, n, dtype=dtype).view(-1, *[1] * len(shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_transpose_of_differences_is_theirs(shape):
    u, grid = covectors(*shape), Grid(shape, covectors(*shape))
    packed = torch.randn(6, Differences()(u).shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = u.flatten(1)
    rest = grid.rest(x, grid.unpacked(packed), torch.empty_like(x))
    torch.testing.assert_close(rest.view_as(u), u - Differences().transposed(packed, shape))
    torch.testing.assert_close(grid.variation(x), Differences()(u).abs().sum(1))
    assert torch.equal(grid.packed(grid.unpacked(packed)), packed)


@pytest.mark.parametrize("weight", [0.01, 0.3, 3.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_enclosure_holds_what_the_splitting_finds(shape, weight):
    u, norm = covectors(*shape), TotalVariation(weight=weight)
    found = enclose_by_flows(Differences(weight), u, 1e-3, 2000)
    exact = norm.dual.enclosure(u)  # in float64, to 1e-7
    assert found.gap.amax() <= 1e-3
    assert (found.lower <= exact.upper * (1 + 1e-12)).all()
    assert (found.upper >= exact.lower * (1 - 1e-12)).all()
    torch.testing.assert_close(norm.norm(found.maximiser), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close((u * found.maximiser).flatten(1).sum(1), found.lower)


@pytest.mark.parametrize("steps", [0, 8, 24])
def test_bounds_are_bounds_however_early_it_stops(steps):
    u = covectors(1, 8, 8)
    exact = TotalVariation(weight=0.3).dual.enclosure(u)
    found = enclose_by_flows(Differences(0.3), u, 1e-9, steps)
    assert found.steps == steps
    assert (found.lower <= exact.upper * (1 + 1e-12)).all()
    assert (found.upper >= exact.lower * (1 - 1e-12)).all()
    assert found.gap.amax() > 1e-6  # so that the bounds have had something to be wrong about


def test_a_sample_has_the_bounds_that_it_has_alone():
    u = covectors(1, 8, 8)
    found = enclose_by_flows(Differences(0.1), u, 1e-3, 2000)
    for row in range(len(u)):
        alone = enclose_by_flows(Differences(0.1), u[row : row + 1], 1e-3, 2000)
        torch.testing.assert_close(found.lower[row], alone.lower[0], rtol=1e-12, atol=0)
        torch.testing.assert_close(found.maximiser[row], alone.maximiser[0], rtol=1e-9, atol=1e-12)


def test_what_another_solve_found_is_begun_with():
    u = covectors(1, 8, 8)
    cold = enclose_by_flows(Differences(0.1), u, 1e-3, 2000)
    warm = enclose_by_flows(Differences(0.1), u, 1e-3, 2000, (cold.maximiser, cold.duals))
    assert warm.steps < cold.steps / 2
    strange = enclose_by_flows(Differences(0.1), u, 1e-3, 2000, (cold.maximiser.flip(0), cold.duals.flip(0)))
    torch.testing.assert_close(strange.lower, cold.lower, rtol=1e-3, atol=0)


def test_a_transpose_with_a_wrong_sign_is_found_out(monkeypatch):
    def wrong(self, u, flows, out):
        return rest(self, u, [-z for z in flows], out)

    rest = flows.Grid.rest
    monkeypatch.setattr(flows.Grid, "rest", wrong)
    found = enclose_by_flows(Differences(0.3), covectors(1, 8, 8), 1e-3, 400)
    assert found.gap.amax() > 1e-2


def test_single_precision_takes_flows_and_double_the_splitting(monkeypatch):

    taken = []
    monkeypatch.setattr(computed, "enclose_by_flows", lambda *args: taken.append(args[2]) or enclose_by_flows(*args))
    norm, u = TotalVariation(weight=0.1), covectors(1, 8, 8)
    single, double = norm.dual.norm(u.float()), norm.dual.norm(u)
    assert taken == [1e-3]
    torch.testing.assert_close(single.double(), double, rtol=1.1e-3, atol=0)
    assert math.isnan(float(norm.dual.norm(torch.full((1, 1, 4, 4), math.nan))))
