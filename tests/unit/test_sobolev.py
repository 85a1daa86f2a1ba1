"""Sobolev norms against formulas: |x|^2 + c |grad x|^2, closed forms of functions, convergence under refinement."""

import math

import numpy as np
import pytest
import torch

from banach import Lp, Sobolev


def grid(n, length=1.0):
    """Midpoints of n cells of [0, length]."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) * length / n


def spectral_gradient_squared(x, lengths=None):
    """|grad x|_2^2 by complex transforms and signed frequencies; pixels' own units without lengths."""
    x = np.asarray(x)
    axes = tuple(range(2, x.ndim))
    total = 0.0
    for axis, n in zip(axes, x.shape[2:], strict=True):
        k = np.fft.fftfreq(n, 1 / n)
        xi = k / max(n // 2, 1) if lengths is None else 2 * np.pi * k / lengths[axis - 2]
        shape = [-1 if a == axis else 1 for a in range(x.ndim)]
        derivative = np.fft.ifftn(1j * xi.reshape(shape) * np.fft.fftn(x, axes=axes), axes=axes)
        total = total + (np.abs(derivative) ** 2).reshape(len(x), -1).sum(1)
    return total


@pytest.mark.parametrize("size", [(5,), (8,), (9, 7), (6, 8), (4, 6, 5)])
@pytest.mark.parametrize(("scale", "c"), [("code", 5.0), ("paper", 25.0), (0.3, 0.3)])
def test_order_one_is_value_and_gradient(size, scale, c):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = x.square().flatten(1).sum(1).numpy() + c * spectral_gradient_squared(x)
    np.testing.assert_allclose(Sobolev(1, 2, scale=scale).norm(x).square(), expected, rtol=1e-12)


def test_order_one_with_lengths():
    x = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lengths = (2.0, 0.5)
    cell = 2.0 / 6 * 0.5 / 8
    expected = cell * (x.square().flatten(1).sum(1).numpy() + spectral_gradient_squared(x, lengths))
    np.testing.assert_allclose(Sobolev(1, 2, length=lengths).norm(x).square(), expected, rtol=1e-12)
    homogeneous = Sobolev(1, 2, length=lengths, homogeneous=True).norm(x).square()
    np.testing.assert_allclose(homogeneous, cell * spectral_gradient_squared(x, lengths), rtol=1e-12)


def mean_power_of_sine(p):
    """(1/2pi) of the integral of |sin|^p over a period."""
    return math.gamma((p + 1) / 2) / (math.sqrt(math.pi) * math.gamma(p / 2 + 1))


@pytest.mark.parametrize("n", [32, 64, 128])
@pytest.mark.parametrize("p", [1.5, 2, 4, 10])
@pytest.mark.parametrize("s", [-1, 0.5, 1])
@pytest.mark.parametrize(("length", "waves"), [(1.0, 1), (2.5, 3)])
def test_sine(n, p, s, length, waves):
    """(1 + xi^2)^(s/2) |sin|_p, whatever the number of points."""
    xi = 2 * math.pi * waves / length
    x = torch.sin(xi * grid(n, length)).view(1, 1, n)
    expected = (1 + xi**2) ** (s / 2) * (length * mean_power_of_sine(p)) ** (1 / p)
    tolerance = 1e-3 if n / waves > 20 else 0.03  # |sin| has kinks: ten points a wave are few
    assert float(Sobolev(s, p, length=length).norm(x)) == pytest.approx(expected, rel=tolerance)
    mirrored = torch.cos(xi * grid(n, length)).view(1, 1, n)
    found = Sobolev(s, p, length=length, boundary="even").norm(mirrored)
    assert float(found) == pytest.approx(expected, rel=tolerance)


def test_a_sine_in_the_largest_entry():
    for n in (32, 64, 128):  # the largest of the samples, which lie half a cell from the crest
        x = torch.sin(2 * math.pi * grid(n)).view(1, 1, n)
        expected = (1 + 4 * math.pi**2) ** 0.5 * math.cos(math.pi / n)
        assert float(Sobolev(1, math.inf, length=1).norm(x)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [32, 64, 128])
def test_a_smooth_even_function(n):
    """cos(pi t) on [0, 1], half a wave: not periodic, but smooth when mirrored; |x|^2 = 1/2, |x'|^2 = pi^2 / 2."""
    x = torch.cos(math.pi * grid(n)).view(1, 1, n)
    found = float(Sobolev(1, 2, length=1, boundary="even").norm(x))
    assert found == pytest.approx(math.sqrt((1 + math.pi**2) / 2), rel=1e-10)


def test_a_sine_in_two_dimensions():
    for n in (32, 64):
        t, r = grid(n, 2.0)[:, None], grid(n, 3.0)[None, :]
        x = (torch.sin(2 * math.pi * t / 2) * torch.sin(2 * math.pi * r / 3)).view(1, 1, n, n)
        xi2 = (2 * math.pi / 2) ** 2 + (2 * math.pi / 3) ** 2
        found = float(Sobolev(-1, 2, length=(2, 3)).norm(x))
        assert found == pytest.approx((1 + xi2) ** -0.5 * math.sqrt(2 / 2 * 3 / 2), rel=1e-12)


RAMP = 2 / math.sqrt(3)  # |t|^2 = 1/3 and |1|^2 = 1 on [0, 1]


def ramp_norm(n, boundary):
    return float(Sobolev(1, 2, length=1, boundary=boundary).norm(grid(n).view(1, 1, n)))


def test_a_ramp_with_even_boundary_converges():
    """To 1.1547, at first order: the mirrored ramp has kinks, so its coefficients fall like 1/k^2, and those beyond the
    grid carry 0.3 / n of the norm. Extrapolation takes that away."""
    found = {n: ramp_norm(n, "even") for n in (32, 64, 128, 256, 512, 1024)}
    errors = {n: RAMP - value for n, value in found.items()}
    for n in (32, 64, 128, 256, 512):
        assert errors[n] / errors[2 * n] == pytest.approx(2, rel=0.02)
        assert errors[n] == pytest.approx(0.35 / n, rel=0.02)
    assert errors[512] < 1e-3
    assert 2 * found[64] - found[32] == pytest.approx(RAMP, abs=1e-3)
    assert 2 * found[128] - found[64] == pytest.approx(RAMP, abs=1e-3)
    assert (found[32], found[64], found[128]) == pytest.approx((1.14385, 1.14930, 1.15200), abs=1e-5)


def test_a_ramp_with_periodic_boundary_does_not():
    """Seen as periodic it jumps from 1 to 0: its H^1 norm is infinite, and grows with the number of points."""
    assert ramp_norm(512, "periodic") > 20
    assert ramp_norm(1024, "periodic") / ramp_norm(256, "periodic") == pytest.approx(2, rel=0.05)
    assert ramp_norm(512, "even") < 1.16


@pytest.mark.parametrize("p", [1, 2, 4, math.inf])
def test_length_alone_is_the_norm_of_functions(p):
    """At s = 0 the norm is the L^p norm of the step function: the constant 3 on a box of volume 6 has 3 * 6^(1/p)."""
    for n in (4, 8):
        x = torch.full((1, 1, n, n), 3.0, dtype=torch.float64)
        expected = 3.0 if p == math.inf else 3 * 6 ** (1 / p)
        assert float(Sobolev(0, p, length=(2, 3)).norm(x)) == pytest.approx(expected)


def test_order_zero_is_lp():
    x = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for p in (1, 1.5, 2, 4, math.inf):
        torch.testing.assert_close(Sobolev(0, p).norm(x), Lp(p).norm(x))


def test_negative_orders_weigh_shape_and_positive_ones_edges():
    smooth = torch.ones(1, 1, 8, 8)
    rough = smooth * (-1.0) ** torch.arange(8)
    assert Sobolev(-1).norm(smooth) > 2 * Sobolev(-1).norm(rough)
    assert Sobolev(1).norm(rough) > 2 * Sobolev(1).norm(smooth)
