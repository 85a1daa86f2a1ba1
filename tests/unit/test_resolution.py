"""With `length` a norm is one of functions: lambda, gamma and gaps are the same at every resolution."""

import math

import pytest
import torch

from banach import Lp, Product, Sobolev, scales, space
from banach.game import Game
from banach.spaces.properties import cell_volume

SPACES = [Sobolev(-1, length=1), Sobolev(0.5, length=1), Sobolev(1, length=(2, 3)), Sobolev(-1, 1.5, length=1),
          Sobolev(-0.5, 4, length=1), Sobolev(-1, length=1, homogeneous=True)]  # fmt: skip


def fields(size, n=40, seed=0, high=5, shift=0.0):
    """Smooth periodic fields: the same n functions at every size."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.arange(size, dtype=torch.float64) / size
    found = torch.full((n, 1, size, size), shift, dtype=torch.float64)
    for k in range(-high, high + 1):
        for j in range(high + 1):
            a, b = torch.randn(2, n, 1, 1, 1, generator=rng, dtype=torch.float64) / (1 + k * k + j * j)
            phase = 2 * math.pi * (k * x[:, None] + j * x[None])
            found = found + a * phase.cos() + b * phase.sin()
    return found


@pytest.mark.parametrize("of", SPACES, ids=repr)
def test_lambda_and_gamma_are_the_same_at_every_resolution(of):
    at = {size: scales(of, fields(size)) for size in (32, 64, 128)}
    for size in (64, 128):
        assert at[size].lam == pytest.approx(at[32].lam, rel=0.02)
        assert at[size].gamma == pytest.approx(at[32].gamma, rel=0.02)
    lam, gamma = Game(of, weight="batch", gamma="batch").scales_for(fields(64))
    assert float(lam) == pytest.approx(at[64].lam)
    assert float(gamma) == pytest.approx(at[64].gamma)


def test_so_they_are_where_an_axis_ends():
    of = Sobolev(-1, length=1, boundary="even")
    found = [scales(of, fields(size)) for size in (32, 64, 128)]
    for one in found[1:]:
        assert one.lam == pytest.approx(found[0].lam, rel=0.02)
        assert one.gamma == pytest.approx(found[0].gamma, rel=0.02)


@pytest.mark.parametrize("of", SPACES[:4], ids=repr)
def test_the_gap_of_one_function_and_its_slope_are_too(of):
    """f(x) = tanh of the integral of g x: a critic that is defined on functions."""
    gaps, slopes = [], []
    for size in (32, 64, 128):
        g, real, fake = fields(size, 1, seed=5), fields(size), fields(size, seed=1, shift=0.5)

        def f(x, g=g, cell=1 / size**2):
            return (cell * (g * x).flatten(1).sum(1)).tanh()

        x = real.clone().requires_grad_()
        (slope,) = torch.autograd.grad(f(x).sum(), x)
        gaps.append(float(f(real).mean() - f(fake).mean()))
        slopes.append(float(of.dual.norm(slope).max()))
    assert abs(gaps[0]) > 1e-3
    assert gaps == pytest.approx([gaps[0]] * 3, rel=0.02)
    assert slopes == pytest.approx([slopes[0]] * 3, rel=0.02)


def test_in_pixels_they_are_not():
    """Norms without a length count entries: gamma and lambda are E |X|_2 of the array."""
    one, two = (scales(Lp(2), fields(size)) for size in (32, 64))
    assert two.gamma == pytest.approx(2 * one.gamma, rel=0.02)


@pytest.mark.parametrize(("of", "volume"), [
    (Sobolev(-1, length=2), 4 / 32),
    (Sobolev(-1, float("inf"), length=(2, 3)), 6 / 32),
    (Sobolev(-1), 1.0),
    (Lp(3), 1.0),
    (space("Weighted(Bessel(s=1, length=2), Lp(2))"), 1.0),  # which carries no cell: it counts entries
    (Product(2, (Sobolev(s=-1, length=2), Lp(1)), (1, 1)), 1.0),  # of which one part is no norm of functions
    (space("Intersection(2, Sobolev(s=1, length=2), Sobolev(s=-1, length=2))"), 4 / 32),
], ids=str)  # fmt: skip
def test_cells(of, volume):
    assert cell_volume(of, (1, 4, 8)) == pytest.approx(volume)
