"""Permutation tests: the costs of splits, numbers of permutations, time, several tests at once."""

import time

import numpy as np
import ot
import pytest
import torch

from banach.spaces import space
from banach.transport import TransportError, permutation_p, permutation_test
from banach.transport.ground import Ground
from banach.transport.permutations import _cost, holm
from banach.transport.pricing import OutOfTime


def normal(n, d, seed, shift=0.0):
    return shift + torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(4)", "Discrete()", "Weighted(Scale(3), Lp(2))"])
def test_the_cost_of_a_split_is_its_distance(d, spec):
    both, rng = torch.round(normal(40, d, 0), decimals=1), np.random.default_rng(0)
    ground = Ground(space(spec), both, both)
    cost, table, unit = _cost(ground, 20), ground.table(), ot.unif(20)
    found = [(cost(s), 20 * ot.emd2(unit, unit, table[np.ix_(s[:20], s[20:])])) for s in map(rng.permutation, [40] * 5)]
    ratios = [a / b for a, b in found]  # of splits, which alone are compared with each other
    assert ratios == pytest.approx([ratios[0]] * 5, rel=1e-12)


def test_more_permutations_give_smaller_p_values():
    x, y = normal(40, 2, 0), normal(40, 2, 1, shift=2)
    assert permutation_p(x, y, permutations=19) == 1 / 20
    assert permutation_p(x, y, permutations=1999) == 1 / 2000
    assert permutation_test(x, y).permutations == 199
    with pytest.raises(TransportError, match="permutations = 0"):
        permutation_test(x, y, permutations=0)


def test_one_dimension_is_quick():
    x, y = normal(500, 1, 0), normal(500, 1, 1, shift=0.5)
    began = time.monotonic()
    assert permutation_p(x, y, permutations=1999) == 1 / 2000
    assert time.monotonic() - began < 10  # a tenth of a second, on a machine with nothing else to do


def test_as_many_as_the_time_allows_count():
    """P(p <= t) <= t for any number of permutations that does not depend on what they gave."""
    x, y, told = normal(300, 2, 0), normal(300, 2, 1), []
    found = permutation_test(x, y, permutations=10**6, deadline=time.monotonic() + 0.7, report=told.append)
    assert 0 < found.permutations < found.wanted == 10**6
    assert told[-1] == found.permutations
    assert found.p_value >= 1 / (1 + found.permutations)
    assert permutation_p(x, y, permutations=found.permutations) == found.p_value  # by the same seed, the same splits
    with pytest.raises(OutOfTime):
        permutation_test(x, y, deadline=time.monotonic() - 1)


def test_holm():
    assert holm([0.01, 0.02, 0.2]) == pytest.approx([0.03, 0.04, 0.2])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([0.04]) == [0.04]


def test_holm_keeps_the_error_of_the_family():
    """Of three true hypotheses one is rejected at 10% in at most 10% of cases."""
    rng = np.random.default_rng(0)
    rejected = np.mean([min(holm(rng.random(3).tolist())) <= 0.1 for _ in range(2000)])
    assert rejected < 0.1 + 3 * np.sqrt(0.09 / 2000)
