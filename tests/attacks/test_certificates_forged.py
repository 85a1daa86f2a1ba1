"""Forged certificates: every inequality of the checker carries the rounding of its own evaluation.

Each attack makes a claim that is false, by arrays that float64 without care would believe. Mutants of the checker,
which leave one of its terms out, believe at least one of them: so each term is needed.
"""

import contextlib
import itertools
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from forging import forge

from banach import distance, space
from banach.transport import CertificateError, TransportError, verify

CHECKER = Path(sys.modules[verify.__module__].__file__)
points = np.arange(7.0)[:, None]


def samples(x, wide):
    """The points as they are, or with a second number, 0: one number a sample is checked in its own way."""
    return np.concatenate([x, np.zeros_like(x)], 1) if wide else x


def potentials_that_swallow_distances(path, wide=False, size=1e20):
    """f = C and g = -C, so large that d is lost beside them, and sums of masses are off by more than the distance."""
    x, y, a, b = points[:3], points, np.full(3, 1 / 3), np.full(7, 1 / 7)
    gain, c = max((math.fsum(a * c) - math.fsum(b * c), c) for c in size * (1 + np.arange(200) * 1e-3))
    plan = [(i, j, 1 / 21) for i, j in itertools.product(range(3), range(7))]
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, np.full(3, c), np.full(7, -c), plan, 0.98 * gain, 1.1 * gain)
    return x, y, None, None


def potentials_rounded_upwards(path, wide=False):
    """f + g is above d by half of the last bit of f, in every pair, which the subtractions round away."""
    n = 64
    x, y = np.zeros((n, 1)), np.ones((n, 1))
    f = np.full(n, 2.0**52 + 1)
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, f, -np.full(n, 2.0**52 - 0.5), [(k, k, 1 / n) for k in range(n)], 1.49, 2.0)
    return x, y, None, None


def infinite_distances(path, wide=False):
    """Finite samples at an infinite distance: no potential violates it."""
    x, y = np.array([[1e308], [0.0]]), np.array([[-1e308], [0.0]])
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, [1e305, 0], [1e305, 0], [(0, 1, 0.5), (1, 0, 0.5)], 1e305, 1.7e308)
    return x, y, None, None


def powers_that_overflow(path, wide=False):
    x, y = np.array([[0.0], [1.0]]), np.array([[1e200], [1.0]])
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, [1e300, 0.0], [1e300, 0.0], [(1, 1, 0.5)], 1e299, 1e300, power=2.0)
    return x, y, None, None


def mass_that_is_not_moved(path, wide=False):
    """A plan of cost 0 that forgets a mass of 1e-14, which is 1e12 away."""
    x, y, w = np.array([[0.0], [1e12]]), np.array([[0.0], [0.0]]), np.array([1.0, 1e-14])
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, [0, 0], [0, 0], [(0, 0, 0.5), (0, 1, 0.5)], 0.0, 0.0, weights=(w, None))
    return x, y, w, None


def mass_in_crumbs(path, wide=False):
    """A near row sends hundreds of crumbs more than it has, each lost in the sum of its masses."""
    k, crumb = 600, 2.0**-55
    gone = k * crumb
    x, y = np.array([[0.0], [1e9]]), np.array([[0.0], [1.0], [1e9]])
    w, v = np.array([0.5, 0.5]), np.array([0.5, gone, 0.5 - gone])
    plan = [(0, 0, 0.5), *[(0, 1, crumb)] * k, (1, 2, 0.5 - gone)]
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, [0, 0], [0, 0, 0], plan, 0.0, 0.6 * gone * 1e9, weights=(w, v))
    return x, y, w, v


def nearly_equal_weights(path, wide=False):
    """Samples at distance 0 but for the last bit of a weight."""
    x, y, w = np.array([[0.0], [1e15]]), np.array([[0.0], [1e15]]), np.array([1.0, 1.0])
    v = np.array([1.0, 1.0 + 2.0**-52])
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, [0, 0], [0, 0], [(0, 0, 0.5), (1, 1, 0.5)], 0.0, 0.0, weights=(w, v))
    return x, y, w, v


def the_measured_distance(path, wide=False):
    """In a norm of condition 1e10 (of three numbers) a measured distance is off by 1e-7: no claim can be that sharp."""
    r = np.random.default_rng(0)
    turn = np.linalg.qr(r.normal(size=(3, 3)))[0]
    cov = (turn * np.array([1.0, 1e-5, 1e-10])) @ turn.T
    cov = (cov + cov.T) / 2
    x, y = r.multivariate_normal(np.zeros(3), cov, 1), r.multivariate_normal(np.zeros(3), cov, 1)
    spec = f"Weighted(Matrix({tuple(map(tuple, cov.tolist()))}, power=-0.5), Lp(p=2.0))"
    value = float(space(spec).distance(torch.from_numpy(x), torch.from_numpy(y)))
    forge(path, x, y, [value], [0.0], [(0, 0, 1.0)], value * (1 - 1e-12), value * (1 + 1e-12), space=spec)
    return x, y, None, None


def whole_numbers_beyond_float64(path, wide=False):
    x, y = np.array([[2**53 + 1]]), np.array([[2**53]])
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, [0.0], [0.0], [(0, 0, 1.0)], 0.0, 0.0)
    return x, y, None, None


def distances_below_the_normal_numbers(path, wide=False):
    """Where products lose their digits nothing is proved."""
    x, y = np.array([[0.0, 0.0]]), np.array([[3e-323, 3e-323]])
    value = float(space("Lp(p=1.5)").distance(torch.from_numpy(x), torch.from_numpy(y)))  # 6 2^(2/3) units of 5e-324
    x, y = samples(x, wide), samples(y, wide)
    forge(path, x, y, [value], [0.0], [(0, 0, 1.0)], value, value, space="Lp(p=1.5)")
    return x, y, None, None


ATTACKS = [
    potentials_that_swallow_distances, potentials_rounded_upwards, infinite_distances, powers_that_overflow,
    mass_that_is_not_moved, mass_in_crumbs, nearly_equal_weights, the_measured_distance, whole_numbers_beyond_float64,
    distances_below_the_normal_numbers,
]  # fmt: skip


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_no_false_claim_is_believed(attack, wide, tmp_path):
    given = attack(tmp_path / "forged.npz", wide)
    with pytest.raises(CertificateError):
        verify(tmp_path / "forged.npz", *given)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("size", [1e8, 1e12, 1e16, 1e25, 1e100, 1e300])
def test_no_size_of_potentials_helps(size, wide, tmp_path):
    given = potentials_that_swallow_distances(tmp_path / "forged.npz", wide, size)
    with pytest.raises(CertificateError):
        verify(tmp_path / "forged.npz", *given)


MUTANTS = {
    "rounding of potentials and their sums": (
        ("16 * U * float(np.abs(f)", "0 * float(np.abs(f)"),
        ("8 * U * sizes", "0.0"),
    ),
    "small distances": (("(most > 0 and far < 2.0**-960)", "False"), ("2.0**-53, 2.0**-1074", "2.0**-53, 0.0")),
    "sums of masses": (("U * math.fsum(rounded)", "0 * U * math.fsum(rounded)"),),
    "rational weights": (("_one_distribution(left, right, w, v)", "True"),),
    "maps": (("metric.rounding(one, None", "0 * metric.rounding(one, None"),),
    "whole numbers": (("> 2**53", "> 2**70"),),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_checker_that_leaves_a_term_out_is_taken_in(name, tmp_path):
    source = CHECKER.read_text(encoding="utf-8")
    for old, new in MUTANTS[name]:
        assert source.count(old) == 1
        source = source.replace(old, new)
    mutant = types.ModuleType("mutant")
    sys.modules["mutant"] = mutant
    exec(compile(source, "mutant", "exec"), mutant.__dict__)
    believed = []
    for attack in ATTACKS:
        given = attack(tmp_path / "forged.npz")
        with contextlib.suppress(mutant.CertificateError, CertificateError):
            mutant.verify(tmp_path / "forged.npz", *given)
            believed.append(attack.__name__)
    assert believed, f"without {name} nothing more is believed: the term is not needed, or no attack shows it"


def exact_one_dimensional(x, y):
    """W1 on a line of equally many points of whole numbers."""
    return float(np.abs(np.sort(x, 0) - np.sort(y, 0)).mean())


@pytest.mark.parametrize("seed", range(40))
def test_random_forgeries_prove_no_more_than_the_truth(seed, tmp_path):
    """Potentials of any size and shape on whole numbers: the largest lower end that is accepted is not above W1."""
    r = np.random.default_rng(seed)
    n = int(r.integers(2, 30))
    x, y = r.integers(-9, 10, (2, n, 1)).astype(float)
    truth = exact_one_dimensional(x, y)
    slope = np.sign(r.normal()) * r.choice([1.0, 1 + 1e-15, 1 + 1e-12])
    offset = 10.0 ** r.uniform(0, 300) * r.choice([-1, 0, 1])
    f, g = slope * x[:, 0] + offset, -slope * y[:, 0] - offset * r.choice([1.0, 1 - 2.0**-53])
    path, plan = tmp_path / "forged.npz", [(k, k, 1 / n) for k in range(n)]
    upper = float(np.abs(x - y).mean()) * (1 + 1e-9) + 1e-9
    for lower in (truth + 1e-13, truth * (1 + 1e-12) + 1e-12, truth + 1.0, abs(offset)):
        if lower > truth:
            forge(path, x, y, f, g, plan, lower, max(upper, lower))
            with pytest.raises(CertificateError):
                verify(path, x, y)


def test_distance_itself_refuses_what_it_cannot_bound():
    for far in (1e308, 1e-320):
        with pytest.raises(TransportError, match=r"too (large|small) for float64"):
            distance(np.array([[far], [0.0]]), np.array([[-far], [far]]))
    x, y = np.array([[0.0], [3e3]]), np.array([[1e3], [4e4]])
    with pytest.raises(TransportError, match="power = 200: distances of up to"):
        distance(x, y, power=200.0)
    assert math.isfinite(distance(x / 1e4, y / 1e4, power=200.0).upper)
