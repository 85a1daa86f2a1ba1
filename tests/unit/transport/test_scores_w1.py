"""The excess as a score: all four pairs of halves, intervals that cover, and what an energy distance cannot see."""

import itertools

import numpy as np
import pytest
import torch

from banach import Lp, Product, Sobolev
from banach.spaces.properties import blind_spot, negative_type
from banach.transport import distance, energy_distance, excess
from banach.transport.permutations import drawn


def normal(n, d, seed, shift=0.0, scale=1.0):
    rng = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(n, d, generator=rng, dtype=torch.float64)


def test_the_excess_is_that_of_all_pairs_of_halves():
    x, y = normal(40, 3, 0), normal(40, 3, 1, shift=0.3)
    found = excess(x, y, rel_gap=1e-9)
    a, b = (one.chunk(2) for one in drawn(x, y, torch.Generator().manual_seed(0)))
    across = np.mean([distance(one, two, rel_gap=1e-9).value for one, two in itertools.product(a, b)])
    floors = [distance(*one, rel_gap=1e-9).value for one in (a, b)]
    assert found.across == pytest.approx(across, rel=1e-8)
    assert [found.floor_a, found.floor_b] == pytest.approx(floors, rel=1e-8)
    assert found.value == pytest.approx(across - np.mean(floors), rel=1e-7)


@pytest.mark.parametrize("scale", [0.0, 1.0], ids=["a point", "the same distribution"])
def test_intervals_hold_the_expected_excess(scale):
    """Also where one distribution is a point, and where solving again for resampled points misses it nearly always."""
    found = [excess(normal(60, 3, 2 * k, scale=scale), normal(60, 3, 2 * k + 1), resamples=400) for k in range(50)]
    expected = np.mean([one.value for one in found])
    assert np.mean([one.low <= expected <= one.high for one in found]) >= 0.9
    assert np.mean([one.high - one.low for one in found]) < 8 * np.std([one.value for one in found])


def test_a_memorised_sample_has_an_excess():
    """Fifteen points of the distribution, over and over, are near to it by W1 and far from it by the excess."""
    distribution, real = normal(300, 3, 0), normal(300, 3, 1)
    memorised = normal(15, 3, 2)[torch.randint(15, (300,), generator=torch.Generator().manual_seed(0))]
    assert excess(memorised, distribution).low > excess(real, distribution).high


def test_the_energy_distance_of_l1_sees_the_marginals_only():
    """Two distributions on the corners of a square, with equal marginals: 0 in L^1, and more in every other L^p."""
    x, y = torch.tensor([[1.0, 1.0], [-1.0, -1.0]] * 50), torch.tensor([[1.0, -1.0], [-1.0, 1.0]] * 50)
    # As distributions, not as samples: with the pairs of equal places, and so biased.
    plain = {p: 2 * mean(x, y, p) - mean(x, x, p) - mean(y, y, p) for p in (1, 1.5, 2)}
    assert plain[1] == pytest.approx(0, abs=1e-12)
    assert plain[2] > plain[1.5] > 0.1
    assert energy_distance(x, y, "Lp(2)") > 0.3


def mean(x, y, p):
    return float(Lp(p).pairwise(x.double(), y.double()).mean())


def test_beyond_p_2_there_are_distributions_with_a_negative_energy():
    """Why p stops at 2: the complete bipartite graph of 2 and 3 points, whose distances embed in L^inf as rows."""
    graph = torch.full((5, 5), 1.0)
    graph[:2, :2] = graph[2:, 2:] = 2.0
    graph.fill_diagonal_(0)
    x, y = graph[:2], graph[2:]
    plain = 2 * mean(x, y, float("inf")) - mean(x, x, float("inf")) - mean(y, y, float("inf"))
    assert plain == pytest.approx(2 - 1 - 4 / 3)


def test_blind_spots():
    assert "by itself" in blind_spot(Lp(1))
    assert "by itself" in blind_spot(Sobolev(s=-1, p=1))
    assert "by itself" in blind_spot(Product(1, (Lp(2), Lp(2)), (1, 1)))
    assert all(blind_spot(one) == "" for one in (Lp(2), Lp(1.01), Sobolev(s=1), Product(1.5, (Lp(2), Lp(2)), (1, 1))))
    assert not negative_type(Lp(3))
    assert blind_spot(Lp(3)) == ""
