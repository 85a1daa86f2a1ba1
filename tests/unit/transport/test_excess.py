"""Floors, excess, p-values, energy distance: right on average, and right about blur."""

import numpy as np
import pytest
import torch

from banach import Lp, Sobolev, space
from banach.spaces.properties import negative_type
from banach.transport import TransportError, energy_distance, excess, permutation_p, scores


def normal(n, d, seed, shift=0.0, scale=1.0):
    rng = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(n, d, generator=rng, dtype=torch.float64)


def test_one_distribution_has_no_excess_and_the_interval_covers():
    found = [excess(normal(60, 4, 2 * k), normal(60, 4, 2 * k + 1), resamples=400) for k in range(40)]
    values = np.array([one.value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert covered >= 0.85  # 95% are asked for, of 40 draws
    assert all("no evidence" in one.sentence for one in found if one.low <= 0 <= one.high)
    assert np.mean([one.high - one.low for one in found]) < 6 * values.std()  # and it is not merely wide


def test_other_distributions_have_an_excess():
    found = excess(normal(200, 4, 0), normal(200, 4, 1, shift=0.5))
    assert found.low > 0
    assert "differ" in found.sentence
    assert found.n == 100
    assert found.floor_a > 0
    assert excess(normal(200, 4, 0), normal(200, 4, 1, shift=0.5)) == found  # by seed


def test_raw_distance_prefers_what_varies_less_and_the_excess_does_not():
    """The reason for floors: samples drawn towards their mean are nearer to real samples than other real ones are."""
    real, fresh, shrunk = normal(300, 30, 0), normal(300, 30, 1), normal(300, 30, 2, scale=0.7)
    good, bad = excess(fresh, real), excess(shrunk, real)
    assert bad.across < good.across
    assert good.value < bad.value


@pytest.mark.parametrize("confidence", [0.0, 1.0, 2.0])
def test_confidence_is_a_share(confidence):
    with pytest.raises(TransportError, match="confidence"):
        excess(normal(10, 2, 0), normal(10, 2, 1), confidence=confidence)


def test_too_few_samples_have_no_score():
    with pytest.raises(TransportError, match="too few"):
        excess(normal(7, 2, 0), normal(70, 2, 1))
    with pytest.raises(TransportError, match="too few"):
        permutation_p(normal(7, 2, 0), normal(70, 2, 1))


def test_p_values_are_uniform_for_one_distribution():
    found = np.array([permutation_p(normal(20, 3, 2 * k), normal(20, 3, 2 * k + 1), permutations=19, seed=k)
                      for k in range(200)])  # fmt: skip
    for share in (0.05, 0.25, 0.5, 0.75):
        assert abs((found <= share + 1e-9).mean() - share) < 4 * np.sqrt(share * (1 - share) / 200)


def test_p_values_are_small_for_other_distributions():
    assert permutation_p(normal(60, 3, 0), normal(60, 3, 1, shift=1), permutations=99) == 0.01


def test_equal_splits_count_as_equal():
    """Of samples that are all one point every split is as far apart: p = 1."""
    assert permutation_p(np.ones((10, 2)), np.ones((10, 2)), permutations=9) == 1.0


@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(1.5)", "Lp(2)"])
def test_energy_distance_is_unbiased(spec):
    x, y = normal(40, 3, 0), normal(30, 3, 1, shift=0.2)
    metric = space(spec)
    table, own, other = (metric.pairwise(*pair).numpy() for pair in ((x, y), (x, x), (y, y)))
    plain = 2 * table.mean() - own.sum() / (40 * 39) - other.sum() / (30 * 29)
    assert energy_distance(x, y, spec) == pytest.approx(plain, abs=1e-12)
    same = [energy_distance(normal(15, 3, 2 * k), normal(12, 3, 2 * k + 1), spec) for k in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(200)
    assert min(same) < 0


@pytest.mark.parametrize(
    "spec", ["Lp(3)", "Lp(inf)", "Discrete()", "Sobolev(s=1, p=4)", "Product(2, (Lp(1), Lp(2)), (1, 2))"]
)
def test_energy_distance_is_refused_where_it_may_be_no_distance(spec):
    with pytest.raises(TransportError, match="negative type"):
        energy_distance(normal(5, 3, 0), normal(5, 3, 1), spec)


def test_norms_of_negative_type():
    assert all(map(negative_type, (Lp(1), Lp(1.7), Sobolev(s=-1), Sobolev(s=1, p=1.5))))
    assert negative_type(space("Product(1, (Lp(2), Sobolev(s=-1, p=1.5)), (1, 2))"))
    assert not negative_type(space("Product(2, (Lp(1), Lp(2)), (1, 2))"))


def test_the_interval_of_many_samples_is_that_of_resampling(monkeypatch):
    """Above some thousand samples the mean of a resample is drawn from its limit."""
    x, y = normal(3000, 1, 0), normal(3000, 1, 1, shift=0.1)
    resampled = excess(x, y)
    monkeypatch.setattr(scores, "_NORMAL", 1000)
    limit = excess(x, y)
    assert limit.value == resampled.value
    width = resampled.high - resampled.low
    assert (limit.low, limit.high) == pytest.approx((resampled.low, resampled.high), abs=0.1 * width)
