"""Intervals that were false, or whose own certificates were refused: each kind with its truth in many digits."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import torch
from forging import forge

from banach import Bessel, Compose, Lp, Matrix, Product, Scale, Weighted, distance, space
from banach.spaces import Intersection
from banach.transport import CertificateError, TransportError, save, verify

mp.mp.dps = 60


def proved(x, y, metric, tmp_path, **options):
    """The interval, whose certificate the checker believes."""
    found = distance(x, y, metric, **{"rel_gap": 1e-12} | options)
    save(tmp_path / "c.npz", found, x, y)
    verdict = verify(tmp_path / "c.npz", x, y)
    assert (verdict.lower, verdict.upper) == (found.lower, found.upper)
    return found


def exact(values):
    return [mp.mpf(float(one)) for one in np.ravel(values)]


def encloses(found, truth):
    assert mp.mpf(found.lower) <= truth <= mp.mpf(found.upper), (found.lower, found.upper, mp.nstr(truth, 20))


@pytest.mark.parametrize("offset", [5.0, 1e6])
def test_norms_that_take_a_constant_off(offset, tmp_path):
    """What they do not see may be large beside what they do: it is not to round it."""
    for seed in range(20):
        r = np.random.default_rng(seed)
        x, y = offset + 1e-6 * r.normal(size=(1, 8)), 1e-6 * r.normal(size=(1, 8))
        z = [a - b for a, b in zip(exact(x), exact(y), strict=True)]
        half = (max(z) - min(z)) / 2
        encloses(proved(x, y, "ModConstants(inf)", tmp_path), half)
        middle = sorted(z)[4]
        encloses(proved(x, y, "ModConstants(1)", tmp_path), sum(abs(one - middle) for one in z))
        mean = sum(z) / 8
        encloses(proved(x[:, None], y[:, None], "MeanFree(2)", tmp_path), mp.sqrt(sum((one - mean) ** 2 for one in z)))


@pytest.mark.parametrize("p", [600.0, 1200.0, 3000.0, 1e5])
def test_the_best_constant_in_norms_with_large_exponents(p):
    found = float(space(f"ModConstants({p})").norm(torch.tensor([[0.0, 1.0, 0.3]], dtype=torch.float64)))
    assert found == pytest.approx(0.5 * 2 ** (1 / p), rel=1e-3)  # between the ends alone, the middle weighs nothing


def test_total_variation_of_samples_that_hardly_differ(tmp_path):
    for seed in range(30):
        r = np.random.default_rng(seed)
        x = r.normal(size=(1, 1, 8))
        y = x + 1e-9 * r.normal(size=x.shape)
        z = [a - b for a, b in zip(exact(x), exact(y), strict=True)]
        jumps = sum(abs(a - b) for a, b in zip(z[1:], z[:-1], strict=True))
        form = space("TotalVariation(weight=1, p=1)")
        encloses(proved(x, y, form, tmp_path), sum(map(abs, z)) + jumps)
        found = distance(x, y, "TotalVariation(weight=1, p=2)", rel_gap=1e-12)
        save(tmp_path / "c.npz", found, x, y)
        assert verify(tmp_path / "c.npz", x, y).lower == found.lower


def test_maps_within_parts_whose_duals_are_computed(tmp_path):
    """Whether a dual is known does not matter to what a map rounds."""
    r = np.random.default_rng(0)
    turn = np.linalg.qr(r.normal(size=(2, 2)))[0]
    cov = (turn * np.array([1.0, 1e-10])) @ turn.T
    cov = (cov + cov.T) / 2
    matrix = Matrix(tuple(map(tuple, cov.tolist())), power=-0.5)
    odd = Product(1, (Weighted(matrix, Lp(2)), Intersection(1, Lp(1), Lp(2))), ((2,), (1,)))
    for seed in range(10):
        r = np.random.default_rng(seed)
        x, y = (np.concatenate([r.multivariate_normal([0, 0], cov, 1), r.normal(size=(1, 1))], 1) for _ in range(2))
        z = [a - b for a, b in zip(exact(x), exact(y), strict=True)]
        v, c = mp.matrix(z[:2]), mp.matrix([[mp.mpf(one) for one in row] for row in cov.tolist()])
        part = mp.sqrt((v.T * c**-1 * v)[0]) + 2 * abs(z[2])
        encloses(proved(x, y, Intersection(math.inf, Lp(2), odd), tmp_path), max(mp.norm(z, 2), part))
        assert Intersection(math.inf, Lp(2), odd).rounding(torch.from_numpy(x)).any()


def refused_or_encloses(x, y, metric, truth, tmp_path):
    try:
        found = proved(x, y, metric, tmp_path)
    except TransportError:
        return
    encloses(found, truth)


def test_numbers_that_vanish_between_maps(tmp_path):
    x, y = np.array([[1e-130, 2e-130]]), np.zeros((1, 2))
    there_and_back = Weighted(Compose(Scale(1e200), Scale(1e-200)), Lp(1))
    refused_or_encloses(x, y, there_and_back, sum(exact(x)) * exact(1e200)[0] * exact(1e-200)[0], tmp_path)
    x = np.array([[1.0, 1.1]])
    small = Weighted(Compose(Scale(1e300), Scale(1e-320)), Lp(1))
    refused_or_encloses(x, y, small, sum(exact(x)) * exact(1e300)[0] * exact(1e-320)[0], tmp_path)


def test_matrices_with_small_entries(tmp_path):
    entries = np.array([[1.0, 1 - 1e-9], [1.0, 1 + 1e-9]]) * 1e-200
    metric = Weighted(Matrix(tuple(map(tuple, entries.tolist()))), Lp(2))
    x, y = np.array([[1e9, -1e9 + 0.1]]), np.array([[0.0, 0.0]])
    m = mp.matrix([[mp.mpf(one) for one in row] for row in entries.tolist()])
    refused_or_encloses(x, y, metric, mp.norm(m * (mp.matrix(exact(x)) - mp.matrix(exact(y))), 2), tmp_path)


@pytest.mark.parametrize("scale", [2.0**-565, 1e160, 1.0])
def test_mapped_samples_of_any_size(scale, tmp_path):
    x, y = np.array([[1.0, 0.0], [0.0, 1.0]]) * scale, np.array([[0.0, 0.5], [0.5, 0.0]]) * scale
    found = proved(x, y, "Weighted(Scale(2), Lp(2))", tmp_path)
    assert found.value == pytest.approx(scale, rel=1e-12)


def test_filters_with_small_values_or_a_power_of_the_cell(tmp_path):
    assert float(Weighted(Bessel(s=0, length=1e-200, cell=1), Lp(2)).norm(torch.ones(1, 1, 4).double())) > 0
    x, y = np.ones((1, 1, 3)), np.zeros((1, 1, 3))
    for c in (1e3, 1e6):
        length = 3 * (1 + 0.3 / c)
        metric = Weighted(Bessel(s=0, length=length, cell=c), Lp(1))
        refused_or_encloses(x, y, metric, 3 * (mp.mpf(length) / 3) ** mp.mpf(c), tmp_path)
    for bad in (math.inf, math.nan):
        with pytest.raises(ValueError, match="cell"):
            Bessel(s=0, length=1.0, cell=bad)


@pytest.mark.parametrize("power", [1e-3, 0.5])
def test_powers_below_one_of_distances_below_the_normal_numbers(power):
    found = distance(np.array([0.0, 1.0]), np.array([5e-324, 1.0]), power=power, rel_gap=1e-12)
    encloses(found, mp.mpf(5e-324) ** mp.mpf(power) / 2)


def near_duplicates(seed):
    r = np.random.default_rng(seed)
    n = int(r.integers(2, 9))
    x = r.normal(size=n) * 10.0 ** r.integers(-3, 3)
    y = np.nextafter(r.permutation(x), r.choice([-np.inf, np.inf], n))
    if seed % 2:
        at = int(r.integers(n))
        x[at] = y[at] = 10.0 ** r.uniform(3, 12)
    return x, y


@pytest.mark.parametrize("method", ["auto", "columns", "simplex"])
def test_near_duplicates_on_a_line_beside_something_far(method, tmp_path):
    for seed in range(60):
        x, y = near_duplicates(seed)
        truth = sum(abs(Fraction(a) - Fraction(b)) for a, b in zip(np.sort(x), np.sort(y), strict=True)) / len(x)
        found = proved(x, y, "Lp(2)", tmp_path, method=method)
        assert Fraction(found.lower) <= truth <= Fraction(found.upper)


@pytest.mark.parametrize("power", [1.0, 3.0, 7.3])
def test_critics_whose_potentials_are_large_for_the_power(power, tmp_path):
    for seed in range(8):
        r = np.random.default_rng(seed)
        x, y = r.normal(size=(2, 40, 2))
        plain = proved(x, y, "Lp(2)", tmp_path, power=power)
        for scale, offset in ((1e3, 0.0), (1.0, 1e12)):

            def critic(z, scale=scale, offset=offset):
                return scale * torch.sin(9 * z[:, 0]) + offset

            found = proved(x, y, "Lp(2)", tmp_path, power=power, method="columns", critic=critic)
            assert found.lower <= plain.upper
            assert plain.lower <= found.upper


@pytest.mark.parametrize("mass", [1.7e308, 1e300, 3.0])
def test_masses_and_potentials_of_no_size_end_in_a_line(mass, tmp_path):
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    forge(tmp_path / "f.npz", x, y, [0, 0], [0, 0], [(0, 0, mass), (1, 1, mass)], 0.0, 3.0)
    with pytest.raises(CertificateError):
        verify(tmp_path / "f.npz", x, y)
    forge(tmp_path / "f.npz", x, y, [mass, 0], [-mass, 0], [(0, 0, 0.5), (1, 1, 0.5)], 2.5, 3.0)
    with pytest.raises(CertificateError):
        verify(tmp_path / "f.npz", x, y)
    with pytest.raises(TransportError, match="too large to be summed"):
        distance(x, y, weights_a=np.array([1e308, 1e308]))


def test_subnormal_potentials_prove_nothing(tmp_path):
    x, y = np.array([[0.0], [0.0], [0.0], [1.0]]), np.array([[1e-323], [1e-323], [1e-323], [1.0]])
    w = np.array([1.0, 1.0, 1.0, 0.0])
    at = [(k, k, 1 / 3) for k in range(3)]
    forge(tmp_path / "f.npz", x, y, [1.5e-323] * 3 + [-1.0], [0.0] * 3 + [-1.0], at, 1.5e-323, 1.0, weights=(w, w))
    with pytest.raises(CertificateError):
        verify(tmp_path / "f.npz", x, y, w, w)


@pytest.mark.parametrize("largest", [1.79e308, -1.79e308])
def test_the_largest_numbers_are_refused_in_a_line(largest):
    with pytest.raises(TransportError, match="too large for float64"):
        distance(np.array([[largest], [0.0]]), np.array([[-largest], [1.0]]))


def test_a_matrix_whose_power_overflows_is_refused_in_a_line():
    spec = "Weighted(Matrix(((1e100,0),(0,1e100)), power=4), Lp(2))"
    x = np.array([[0.0, 1.0]])
    with pytest.raises(TransportError, match=r"too (ill-conditioned|small|large)"):
        distance(x, x + 1, spec)


def test_one_point_is_at_distance_zero_from_itself(tmp_path):
    for spec in ("Lp(2)", "Weighted(Scale(3), Lp(1))", "Sobolev(s=-1)", "TotalVariation(0.1)", "ModConstants(2)"):
        x = np.full((3, 1, 4), 7.25)
        assert proved(x, x[:2], spec, tmp_path).upper == 0
