"""Blocks of distances are bounds from below, in both precisions, and good ones."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from banach import Lp, distance, space
from banach.spaces import SPACES
from banach.testing import shapes_of
from banach.transport.ground import Ground
from banach.transport.kernels import Euclidean, roundoff

EXACT = [spec for spec in SPACES.examples() if not space(spec).computed]  # others are refused: they prove nothing
CASES = [*EXACT, "Product(inf, (Sobolev(s=1, p=2), Lp(2)), (1, 2))"]


def samples(metric, offset, seed=0):
    """Points of which some are equal, and some differ in the last digits only."""
    shape = next(one for one in [(3, 4), (26,), (2, 5), (20,), (1, 8), *shapes_of(metric)] if one in shapes_of(metric)
                 or _fits(metric, one))  # fmt: skip
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(40, *shape, generator=rng, dtype=torch.float64)
    y = torch.randn(30, *shape, generator=rng, dtype=torch.float64)
    y[:10] = x[:10]
    y[10:20] = x[10:20] * (1 + 1e-9)
    return x + offset, y + offset


def _fits(metric, shape):
    try:
        return len(metric.distance(*torch.zeros(2, 1, *shape, dtype=torch.float64))) == 1
    except ValueError:
        return False


def exact(metric, x, y):
    i, j = np.divmod(np.arange(len(x) * len(y)), len(y))
    return metric.distance(x[i], y[j]).view(len(x), len(y))


@pytest.mark.parametrize("spec", CASES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounds_lie_below_and_close(spec, offset, dtype):
    metric = space(spec)
    x, y = samples(metric, offset)
    ground = Ground(metric, x, y)
    low = torch.cat([block for _, block in ground.blocks(dtype, rows=7)]).double() * ground.unit
    truth = exact(metric, x, y)
    slack = 1e-12 * truth.max() * (1 + offset)
    assert (low <= truth + (slack if dtype == torch.float64 else 0)).all()
    assert (low >= 0).all()
    far = truth > 0.1 * truth.max()
    assert (low >= truth * (1 - (1e-3 if dtype == torch.float32 else 1e-9)))[far].all()


def test_unmoved_single_precision_would_not_be_a_bound():
    """What the margins are for: without them, products in single precision exceed some of the distances."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(200, 300, generator=rng), torch.randn(200, 300, generator=rng)
    truth = torch.cdist(x.double(), y.double())
    kernel = Euclidean(x, y, torch.float32)
    assert (kernel.block(slice(0, 200)) <= truth).all()
    kept = 1 - 1.02 * 320 * roundoff(torch.float32)
    kernel._xx, kernel._yy = kernel._xx / kept, kernel._yy / kept
    assert (kernel.block(slice(0, 200)) > truth).any()


@pytest.mark.parametrize("scale", [1e-250, 1e-30, 1.0, 1e30, 1e250])
@pytest.mark.parametrize("p", [1, 1.001, 1.5, 2, 10, 50, 200, 1000, 1e4, 1e300, float("inf")])
def test_any_scale(p, scale):
    rng = torch.Generator().manual_seed(0)
    x = scale * torch.randn(20, 12, generator=rng, dtype=torch.float64)
    y = scale * torch.randn(20, 12, generator=rng, dtype=torch.float64)
    ground, truth = Ground(Lp(p), x, y), exact(Lp(p), x, y)
    low = torch.cat([block for _, block in ground.blocks()]).double() * ground.unit
    assert (low <= truth).all()
    assert (low > 0.99 * truth).all()
    assert torch.allclose(torch.from_numpy(ground.table()) * ground.unit, truth, rtol=1e-13)
    assert ground.reach() * ground.unit >= float(truth.max())


LARGE = ("Lp(200)", "Lp(1e4)", "Product(200, (Lp(1), Sobolev(s=1)), (1, 2))", "Product(600, (Lp(1), Lp(200)), (1, 2))",
         "Sobolev(s=1, p=200)")  # fmt: skip


@pytest.mark.parametrize("spec", LARGE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_exponents_have_sharp_bounds_near_and_far(spec, dtype):
    """Points of all sizes: powers of most of their differences leave the range of the type."""
    metric, rng = space(spec), torch.Generator().manual_seed(0)
    size = 10.0 ** torch.linspace(-3, 0, 30, dtype=torch.float64)[:, None, None]
    x, y = size * torch.randn(2, 30, 3, 5, generator=rng, dtype=torch.float64)
    ground, truth = Ground(metric, x, y), exact(metric, x, y)
    low = torch.cat([block for _, block in ground.blocks(dtype)]).double() * ground.unit
    assert (low <= truth * (1 + 1e-13)).all()
    assert (low >= truth * (1 - 1e-9 if dtype == torch.float64 else 1 - 3e-3)).all()


@pytest.mark.parametrize("power", [60.0, 400.0])
def test_powers_that_overflow_stay_below(power):
    x, y = torch.zeros(1, 30), torch.full((1, 30), 3.0)
    for dtype in (torch.float32, torch.float64):
        _, low = next(Ground(Lp(1), x, y, power).blocks(dtype))
        assert low.isfinite().all()


@pytest.mark.parametrize("spec", ["Lp(50)", "Lp(200)", "Lp(1000)", "Lp(1e4)", "Product(200, (Lp(200), Lp(1)), (1, 2))"])
@pytest.mark.parametrize("mixed", [False, True])
def test_large_exponents_close(spec, mixed):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 150, 3, 4)) * (10 ** rng.uniform(-6, 6, (2, 150, 1, 1)) if mixed else 1)
    found = distance(x, y, spec, rel_gap=1e-6, method="columns")
    table = exact(space(spec), torch.from_numpy(x), torch.from_numpy(y)).numpy()
    truth = table[linear_sum_assignment(table)].mean()
    assert found.closed
    assert found.lower <= truth * (1 + 1e-12)
    assert truth <= found.upper * (1 + 1e-12)


def test_slow_distances_are_computed_once():
    class Counted(type(space("ModConstants(3)"))):
        calls = 0

        def norm(self, x):
            type(self).calls += 1
            return super().norm(x)

    rng = torch.Generator().manual_seed(0)
    ground = Ground(Counted(3.0), *torch.randn(2, 50, 2, 4, generator=rng, dtype=torch.float64))
    first = torch.cat([block for _, block in ground.blocks()])
    before = Counted.calls
    again = torch.cat([block for _, block in ground.blocks()])
    assert Counted.calls == before
    assert (first == again).all()
