"""Tables of L^p distances: what `distance` says of each pair, for every exponent, scale and type."""

import math

import pytest
import torch

from banach import Lp
from banach.numerics import p_norm

EXPONENTS = (1, 1 + 1e-9, 1.001, 1.5, 2, 3, 10, 50, 200, 600, 1000, 1e4, 1e6, 1e38, 1e300, math.inf)
MIXED = 10.0 ** torch.linspace(-6, 6, 5, dtype=torch.float64)[:, None, None]
"""Samples of one size each."""


def both(dtype, scale=1.0, seed=0):
    """Samples (5, 3, 4) and (6, 3, 4), of which some are equal and some nearly so."""
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = torch.cat([x[:1], x[1:2] * (1 + 1e-5), -x[2:3], 1e-7 * x[3:4], torch.zeros_like(x[:1]), 3 * x[4:5]])
    return (scale * x).to(dtype), (scale * y).to(dtype)


def one_by_one(space, x, y):
    return torch.stack([space.distance(x, one.expand_as(x)) for one in y], 1)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize(
    ("dtype", "scales"),
    [(torch.float64, (1e-300, 1e-160, 1e-30, 1.0, 1e150, 1e300, MIXED)), (torch.float32, (1e-30, 1.0, 1e30, MIXED))],
)
def test_every_pair_is_what_its_distance_is(p, dtype, scales):
    space, close = Lp(p), 1e-12 if dtype == torch.float64 else 2e-6
    for scale in scales:
        x, y = both(dtype)
        x, y = (x * scale, y * scale) if isinstance(scale, float) else ((x * scale).to(dtype), y)
        torch.testing.assert_close(space.pairwise(x, y), one_by_one(space, x, y), rtol=close, atol=0)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_of_every_pair_are_those_of_its_distance(p, dtype):
    """On one side; where two points are one, the gradient is 0."""
    space, (x, y) = Lp(p), both(dtype)
    x.requires_grad_()
    (g,), (h,) = (torch.autograd.grad(table(x, y).sum(), x)
                  for table in (space.pairwise, lambda x, y: one_by_one(space, x, y)))  # fmt: skip
    assert g.isfinite().all()
    torch.testing.assert_close(g, h, rtol=1e-9 if dtype == torch.float64 else 1e-4, atol=1e-6 if p > 1e4 else 1e-7)


def test_differences_of_four_times_the_scale_have_a_power_of_600():
    """4^600 is no number of the type; the distance is."""
    x, y = torch.tensor([[1.9, 0.0]], dtype=torch.float64), torch.tensor([[-1.9, 0.0]], dtype=torch.float64)
    assert float(Lp(600).pairwise(x, y)) == pytest.approx(3.8)


@pytest.mark.parametrize("p", [1e18, 1e38, 1e300])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_exponents_beyond_the_type_are_the_largest_entry(p, dtype):
    x = torch.tensor([[3.0, -4.0, 1.0], [0.0, 0.0, 0.0]], dtype=dtype, requires_grad=True)
    (g,) = torch.autograd.grad(found := p_norm(x, p).sum(), x)
    assert found == 4
    assert g.tolist() == [[0, -1, 0], [0, 0, 0]]
