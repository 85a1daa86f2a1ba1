"""compact-dual: both linear programmes against another solver, and what they leave free."""

import math

import numpy as np
import ot
import pytest
import torch

from banach.experiments.compact_dual import Dual, duals, parallel


def pairs(n: int, more: int, every: bool) -> np.ndarray:
    all_of = np.argwhere(~np.eye(2 * n + more, dtype=bool))
    return all_of if every else all_of[(all_of[:, 0] < n) & (all_of[:, 1] >= n) & (all_of[:, 1] < 2 * n)]


@pytest.mark.parametrize("every", [True, False])
def test_both_duals_have_w1(every):
    points = np.random.default_rng(0).normal(size=(20, 2))
    w1 = ot.emd2([], [], np.linalg.norm(points[:10, None] - points[None, 10:], axis=2))
    assert Dual(points, 10, pairs(10, 0, every)).value() == pytest.approx(w1, abs=1e-9)


def test_rises_the_other_way_round_bound_nothing():
    points = np.random.default_rng(0).normal(size=(8, 2))
    with pytest.raises(TypeError):  # no number at all: the programme is unbounded
        Dual(points, 4, pairs(4, 0, False)[:, ::-1]).value()


def test_between_a_fake_and_its_real_the_lipschitz_dual_leaves_nothing_free():
    made, places = duals(6, torch.Generator().manual_seed(0))
    assert made["Lipschitz"].value() == pytest.approx(1, abs=1e-9)
    a, b = map(int, places[0][0])
    assert made["Lipschitz"].slopes(1.0, a, b) == pytest.approx((1, 1), abs=1e-6)
    assert made["eq. 4"].slopes(1.0, a, b) == (-math.inf, math.inf)
    least, greatest = made["Lipschitz"].slopes(1.0, *map(int, places[1][0]))
    assert -1 <= least < greatest <= 1 + 1e-6


def test_the_laws_lie_one_apart():
    real, fake = parallel(50, torch.Generator().manual_seed(0))
    assert (real[:, 0] - fake[:, 0]).tolist() == [1.0] * 50
    assert real[:, 1].min() >= 0
    assert real[:, 1].max() <= 1
