"""Statistics over seeds: against scipy, against values worked out by hand, and at their edges."""

import numpy as np
import pytest
from scipy import stats

from banach.report.comparison.statistics import leader, paired, summary


@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_the_interval_of_a_mean_is_scipys(n):
    values = np.random.default_rng(n).normal(5, 2, n)
    found = summary(list(values))
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.n, found.mean, found.deviation) == pytest.approx((n, values.mean(), values.std(ddof=1)), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def test_by_hand():
    """1, 2, 3: deviation 1, t(2) at 97.5% is 4.302653, over sqrt(3) 2.484138."""
    found = summary([1.0, 2.0, 3.0])
    assert (found.low, found.high) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-5)
    assert not found.apart
    assert summary([9.0, 10.0, 11.0]).apart


def test_the_interval_of_a_paired_difference_is_that_of_a_paired_test():
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, 8), rng.normal(2, 1, 8)
    found = paired(dict(enumerate(x)), dict(enumerate(y)))
    expected = stats.ttest_rel(x, y).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_only_seeds_of_both_are_paired():
    found = paired({0: 3.0, 1: 5.0, 7: 100.0}, {1: 4.0, 0: 1.0, 9: -50.0})
    assert (found.n, found.mean) == (2, 1.5)
    assert paired({0: 1.0}, {1: 1.0}) is None
    alone = paired({0: 3.0}, {0: 1.0})
    assert (alone.n, alone.mean, alone.deviation, alone.low, alone.apart) == (1, 2.0, None, None, False)


def test_a_pairing_sees_what_the_means_do_not():
    """Seeds far apart, methods a constant apart: unpaired intervals overlap widely, the paired one excludes 0."""
    seeds = [1.0, 50.0, 100.0, 150.0]
    ours = {at: one + 1 + 0.01 * at for at, one in enumerate(seeds)}
    theirs = dict(enumerate(seeds))
    assert paired(ours, theirs).apart
    assert stats.ttest_ind(list(ours.values()), seeds).pvalue > 0.9


def test_equal_numbers_have_an_interval_of_no_width():
    found = summary([2.5, 2.5, 2.5])
    assert (found.deviation, found.low, found.high) == (0, 2.5, 2.5)
    assert not paired({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}).apart


def test_of_nothing_there_is_nothing():
    assert summary([]) is None
    assert paired({}, {}) is None


def test_who_leads():
    low, high = {0: 1.0, 1: 1.1, 2: 0.9}, {0: 5.0, 1: 5.2, 2: 4.9}
    assert leader([high, low], higher=False) == 1
    assert leader([high, low], higher=True) == 0
    assert leader([low, {0: 1.2, 1: 0.8, 2: 1.1}], higher=False) is None  # the interval of the difference holds 0
    assert leader([high, low, {0: 0.9, 1: 1.2, 2: 0.9}], higher=False) is None  # one of two is level with it
    assert leader([low, {3: 5.0, 4: 5.0}], higher=False) is None  # no seed in common
    assert leader([{0: 1.0}, {0: 5.0}], higher=False) is None  # one seed says nothing
    assert leader([low], higher=False) is None
    assert leader([low, {}], higher=False) is None
