"""One-dimensional samples in closed form: exact, whatever numbers, weights, norms of one number and powers."""

import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from banach import distance, space
from banach.transport import certificate, verify
from banach.transport.ground import Ground
from banach.transport.line import Line, on_a_line, summed, transform
from banach.transport.line_check import line_violation

NORMS = ("Lp(1)", "Lp(3)", "Lp(200)", "Lp(inf)", "Weighted(Scale(0.25), Lp(1.5))", "Weighted(Matrix(((4,),)), Lp(2))")
ON_A_GRID = ("Sobolev(s=-1)", "Sobolev(s=2, p=inf)", "Weighted(Scale(1e200), Sobolev(s=1, p=1.5))")
EXPONENTS = (1.0, 1.3, 2.0, 3.0)


def by_sorting(x, y, a, b, power):
    """min E |x - y|^power over couplings in rational numbers (for whole powers), by the coupling in order."""
    left, right = (sorted(zip(map(Fraction, one.tolist()), mass, strict=True)) for one, mass in ((x, a), (y, b)))
    total, i, j = Fraction(0), 0, 0
    left, right = ([[p, m] for p, m in one if m] for one in (left, right))
    while i < len(left) and j < len(right):
        mass = min(left[i][1], right[j][1])
        total += mass * abs(left[i][0] - right[j][0]) ** power
        left[i][1] -= mass
        right[j][1] -= mass
        i, j = i + (left[i][1] == 0), j + (right[j][1] == 0)
    return total


def drawn(seed):
    """Numbers with ties and common points, of all sizes or far from 0, in single precision or double."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    pool = (rng.normal(size=9), rng.integers(-3, 4, 9).astype(float), rng.normal(size=9) * 10 ** rng.uniform(-9, 9, 9),
            1e8 + rng.normal(size=9))[rng.integers(4)]  # fmt: skip
    x, y = pool[rng.integers(9, size=n)], pool[rng.integers(9, size=m)]
    if rng.random() < 0.3:
        x, y = x.astype(np.float32), y.astype(np.float32)
    weights = [None if rng.random() < 0.5 else 10 ** rng.uniform(-6, 0, k) for k in (n, m)]
    for w in weights:
        if w is not None and len(w) > 1 and rng.random() < 0.3:
            w[0] = 0.0
    if None not in (one if one is None else 0 for one in weights):
        weights[1] *= weights[0].sum() / weights[1].sum()
    return x, y, weights


def masses(weights, n):
    given = [Fraction(1)] * n if weights is None else [Fraction(float(w)) for w in weights]
    return [one / sum(given) for one in given]


def check(seed):
    x, y, weights = drawn(seed)
    power = (1, 2, 3)[seed % 3]
    truth = by_sorting(x, y, masses(weights[0], len(x)), masses(weights[1], len(y)), power)
    found = distance(x, y, "Lp(3)", weights_a=weights[0], weights_b=weights[1], rel_gap=1e-9, power=float(power))
    assert found.method in ("closed form", "equal samples")
    assert Fraction(found.lower) <= truth <= Fraction(found.upper), (seed, float(truth), found)
    reach = max(np.abs(one[0] - one[1]).max() for one in [np.meshgrid(x.astype(float), y.astype(float))])
    assert found.closed or found.upper - found.lower < 1e-12 * reach**power, (seed, found.rel_gap)


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_intervals_contain_the_exact_value(start):
    for seed in range(start, start + 100):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 11_000, 1000))
def test_intervals_contain_the_exact_value_in_ten_thousand_problems(start):
    for seed in range(start, start + 1000):
        check(seed)


@pytest.mark.parametrize("spec", NORMS + ON_A_GRID)
@pytest.mark.parametrize("power", EXPONENTS)
def test_every_norm_of_one_number_is_a_multiple_of_its_size(spec, power):
    rng, metric = np.random.default_rng(0), space(spec)
    x, y = rng.normal(size=400), rng.gamma(2, size=400)
    if "1e200" in spec:
        x, y = x * 1e-200, y * 1e-200
    shape = (1, 1) if spec in ON_A_GRID else (1,)
    length = float(metric.norm(torch.full((1, *shape), 1e-200 if "1e200" in spec else 1.0, dtype=torch.float64)))
    truth = np.mean((np.abs(np.sort(x) - np.sort(y)) * (length / (1e-200 if "1e200" in spec else 1.0))) ** power)
    found = distance(x.reshape(-1, *shape), y.reshape(-1, *shape), metric, rel_gap=1e-9, power=power)
    assert found.method == "closed form"
    assert found.closed
    assert found.lower <= truth * (1 + 1e-12)
    assert truth <= found.upper * (1 + 1e-12)


@pytest.mark.parametrize("spec", ["Lp(2)", "ModConstants(2)", "Discrete()"])
def test_more_numbers_or_metrics_without_a_form_are_for_the_other_solvers(spec):
    x = torch.rand(4, 1 if spec == "Discrete()" else 2)
    assert on_a_line(Ground(space(spec), x, x)) is None
    assert on_a_line(Ground(space("Lp(2)"), x[:, :1], x[:, :1], 0.5)) is None
    below = distance(x[:, 0], 1 + x[:, 0], power=0.5, rel_gap=1e-9)
    assert below.method == "simplex"


@pytest.mark.parametrize("power", EXPONENTS)
@pytest.mark.parametrize("kind", ["normal", "ties", "far", "sizes", "one"])
def test_transforms_are_the_least_of_all_pairs(power, kind):
    """Also where potentials are wild: whatever is given, f_i + g_j <= d_ij for all pairs, and f_i is attained."""
    rng = np.random.default_rng(1)
    for n, m in ((1, 1), (1, 7), (9, 1), (64, 33), (100, 257)):
        x, y, g = rng.normal(size=n), rng.normal(size=m), rng.normal(size=m) * rng.choice([0.01, 1, 100])
        if kind == "ties":
            x, y = np.round(x), np.round(y)
        elif kind == "far":
            x, y = x + 1e6, y + 1e6
        elif kind == "sizes":
            x, y = (one * 10 ** rng.uniform(-8, 8, len(one)) for one in (x, y))
        elif kind == "one":
            y[:] = y[0]
        line = Line(x, y, 1.0, power)
        table = np.abs(x[:, None] - y) ** power - g
        size = max(1.0, np.abs(table).max())
        np.testing.assert_allclose(transform(line, g), table.min(1), atol=1e-14 * size, rtol=1e-14)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_certificates_of_3000_numbers_are_verified(power, weighted, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=3000), np.concatenate([rng.gamma(2, size=1000), rng.normal(size=1800)])
    y[:500] = x[:500]  # their mass stays
    w = rng.random(3000) if weighted else None
    found = distance(x, y, weights_a=w, rel_gap=1e-9, power=power)
    assert found.closed
    assert found.method == "closed form"
    certificate.save(tmp_path / "cert.npz", found, x, y, w)
    proved = verify(tmp_path / "cert.npz", x, y, w)
    if power == 1:
        truth = wasserstein_distance(x, y, w)
        assert proved.lower <= truth * (1 + 1e-12)
        assert truth <= proved.upper * (1 + 1e-12)
        proof = found.certificate
        assert line_violation(x, y, proof.f, proof.g) < 1e-13


def test_sixty_thousand_weighted_numbers_take_no_minute():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=60_000), rng.gamma(2, size=60_000) - 2, rng.random(60_000)
    began = time.monotonic()
    for weights in (None, w):
        found = distance(x, y, weights_a=weights, rel_gap=1e-9)
        truth = wasserstein_distance(x, y, weights)
        assert found.closed
        assert found.lower <= truth * (1 + 1e-12)
        assert truth <= found.upper * (1 + 1e-12)
    assert time.monotonic() - began < 20  # one second, on a machine with nothing else to do


def test_numbers_at_the_ends_of_the_type():
    """Differences that overflow in double precision are no differences; all others are measured."""
    for scale in (1e-260, 1e-160, 1e150, 1e300):
        x, y = scale * np.array([1.0, 2.0, 4.0]), scale * np.array([3.0, 3.5, 5.0])
        found = distance(x, y, rel_gap=1e-9)
        assert found.closed
        assert found.value / scale == pytest.approx(4.5 / 3)


def test_sums_of_distances():
    rng = np.random.default_rng(0)
    for n, m in ((1, 1), (5, 3), (100, 70)):
        x, y = np.round(rng.normal(size=n), 1), np.round(rng.normal(size=m), 1)
        assert summed(x, y) == pytest.approx(np.abs(x[:, None] - y).sum(), rel=1e-14)
        assert summed(x + 1e9, y + 1e9) == pytest.approx(np.abs((x + 1e9)[:, None] - (y + 1e9)).sum(), rel=1e-14)


def test_the_largest_violation_is_found_from_above():
    """In rational numbers: never below the truth, and above it by rounding of the potentials' size only."""
    rng = np.random.default_rng(0)
    for k in range(60):
        n, m = rng.integers(1, 9, 2)
        x, y = (rng.normal(size=one) * 10 ** rng.uniform(-3, 3, one) + rng.choice([0, 1e6]) for one in (n, m))
        f, g = rng.normal(size=n) * rng.choice([1, 1e12]), rng.normal(size=m)
        if k % 3 == 0:
            y[0], f[0], g[0] = x[0], 1e20, -1e20  # what a forger writes
        length = float(rng.choice([1.0, 0.3]))
        pairs = [(i, j) for i in range(n) for j in range(m)]
        F = Fraction
        truth = max(F(f[i]) + F(g[j]) - F(length) * abs(F(x[i]) - F(y[j])) for i, j in pairs)
        found = line_violation(x, y, f, g, length)
        size = sum(np.abs(one).max() for one in (x, y, f, g))
        assert F(found) >= truth
        assert float(F(found) - truth) <= 2e-15 * size
