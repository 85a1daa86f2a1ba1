"""Rank correlations and intervals over seeds, against SciPy and by cases whose answer is known."""

import math

import numpy as np
import pytest
from scipy import stats

from banach.experiments.correlation import correlated, mean_interval, spearman


def test_spearman_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y = rng.integers(0, 5, 8), rng.integers(0, 5, 8)
        if np.ptp(x) and np.ptp(y):
            assert spearman(x.tolist(), y.tolist()) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_spearman_is_of_ranks():
    """Pearson's correlation of the values themselves is another number."""
    x = [0.0, 1.0, 2.0, 3.0]
    y = [math.exp(5 * one) for one in x]
    assert spearman(x, y) == 1
    assert np.corrcoef(x, y)[0, 1] < 0.9


def test_a_run_that_failed_is_the_worst_and_a_constant_has_no_correlation():
    assert spearman([1, 2, 3], [1.0, 2.0, math.inf]) == 1
    assert math.isnan(spearman([1, 2, 3], [4.0, 4.0, 4.0]))
    assert math.isnan(spearman([1, 2, 3], [math.inf] * 3))


def test_the_interval_of_points_that_never_overlap_is_a_point():
    found = correlated([1, 2, 3, 4], [[1, 1.1, 1.2], [2, 2.1, 2.2], [3, 3.1, 3.2], [4, math.inf, 4.1]])
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_the_interval_of_noise_holds_0_and_a_single_seed_has_none():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(20):
        found = correlated([1, 2, 3, 4, 5], rng.normal(size=(5, 3)), resamples=200)
        held += found.low <= 0 <= found.high
    assert held >= 15
    one = correlated([1, 2, 3], [[1.0], [2.0], [3.0]])
    assert (one.value, math.isnan(one.low), math.isnan(one.high)) == (1, True, True)


def test_seeds_are_drawn_anew_at_each_point():
    """Drawn for all points at once, these three seeds would give correlations of 1, 1 and 1 only."""
    found = correlated([1, 2, 3], [[0.0, 10.0, 20.0], [1.0, 11.0, 21.0], [2.0, 12.0, 22.0]])
    assert found.value == 1
    assert found.low < 0


def test_students_interval_is_scipys():
    values = np.random.default_rng(2).normal(size=5)
    found = mean_interval(values.tolist())
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert mean_interval([1.0, math.inf]).value == math.inf
    assert math.isnan(mean_interval([1.0]).low)
