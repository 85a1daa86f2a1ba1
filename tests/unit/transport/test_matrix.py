"""Several data sets against each other: each pair is what `distance` and `excess` say of it."""

import time

import numpy as np
import pytest
import torch

from banach.transport import TransportError, distance, distance_matrix, excess_matrix
from banach.transport.pricing import OutOfTime


def sets(d, counts=(40, 50, 44)):
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(n, d, generator=rng, dtype=torch.float64) + (k == 2) for k, n in enumerate(counts)]


@pytest.mark.parametrize("d", [1, 3])
def test_every_pair_is_its_distance(d):
    given, told = sets(d), []
    found = distance_matrix(given, "Lp(1)", rel_gap=1e-9, report=lambda *now: told.append(now))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert found.closed
    for (i, k), one in found.pairs.items():
        alone = distance(given[i], given[k], "Lp(1)", rel_gap=1e-9)
        assert (one.lower, one.upper) == (alone.lower, alone.upper)
        assert found.lower[i, k] == found.lower[k, i] == one.lower
    assert (np.diag(found.upper) == 0).all()


def test_the_time_is_that_of_all_pairs():
    given = [torch.randn(2000, 30, generator=torch.Generator().manual_seed(k)) for k in range(4)]
    began = time.monotonic()
    found = distance_matrix(given, rel_gap=1e-9, max_minutes=0.01)
    assert time.monotonic() - began < 10  # each pair may take as long again to put its potentials back
    assert len(found.pairs) == 6
    assert not found.closed
    assert all(0 <= one.lower <= one.upper < 100 for one in found.pairs.values())


def test_excesses_see_which_set_is_another():
    found = excess_matrix(sets(3, (200, 240, 220)), "Lp(2)")
    assert found.n == 100
    assert found.excesses[0, 1].low <= 0 <= found.excesses[0, 1].high
    assert found.excesses[0, 2].low > 0
    assert found.excesses[1, 2].floor_b == found.floors[2]
    assert all(0 < one < 1.5 for one in found.floors)


def test_bad_sets_are_refused_in_a_sentence():
    with pytest.raises(TransportError, match="has no pairs"):
        distance_matrix(sets(2)[:1])
    with pytest.raises(TransportError, match="too few to halve"):
        excess_matrix(sets(2, (40, 7, 40)))
    with pytest.raises(TransportError, match="different shapes"):
        distance_matrix([*sets(2), torch.zeros(4, 3)])
    with pytest.raises(OutOfTime):
        excess_matrix(sets(2), deadline=time.monotonic() - 1)
