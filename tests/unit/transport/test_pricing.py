"""Pricing finds every violated pair, and what it says of potentials holds for all pairs."""

import math

import numpy as np
import pytest
import torch

from banach import Lp
from banach.transport.ground import Ground
from banach.transport.pricing import OutOfTime, chosen, price, transform


def problem(seed, n=80, m=70, d=30):
    rng = np.random.default_rng(seed)
    ground = Ground(Lp(2), *(torch.from_numpy(rng.normal(size=(k, d))).float() for k in (n, m)))
    mean = ground.table().mean()
    return ground, 0.05 * mean * rng.normal(size=n), mean * (0.05 * rng.normal(size=m) + 0.55)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(5))
def test_all_violated_pairs_are_found_where_they_are_few(seed, dtype):
    ground, f, g = problem(seed)
    spare = ground.table() - f[:, None] - g
    found = price(ground, f, g, 1000, dtype)
    violated = set(zip(*np.nonzero(spare < 0), strict=True))
    assert violated
    assert violated <= set(zip(found.i.tolist(), found.j.tolist(), strict=True))
    assert found.sharp
    assert np.allclose(found.row_fall, np.minimum(spare, 0).min(1), atol=1e-14)
    assert np.allclose(found.column_fall, np.minimum(spare, 0).min(0), atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("each", [1, 2, 5])
def test_falls_make_potentials_feasible_though_pairs_are_left_out(each, dtype):
    ground, f, g = problem(0)
    g = g + 2
    found = price(ground, f, g, each, dtype)
    table = ground.table()
    assert not found.sharp
    assert len(found.i) < (table < f[:, None] + g).sum()
    assert (table - (f + found.row_fall)[:, None] - g >= -1e-13).all()
    assert (table - f[:, None] - (g + found.column_fall) >= -1e-13).all()
    assert (found.cost <= table[found.i, found.j] + 1e-13).all()


def test_a_margin_finds_pairs_that_are_nearly_violated():
    ground, f, g = problem(0)
    spare = ground.table() - f[:, None] - g
    found = price(ground, f, g, 1000, margin=0.05)
    near = set(zip(*np.nonzero(spare < 0.049), strict=True))
    assert near <= set(zip(found.i.tolist(), found.j.tolist(), strict=True))


@pytest.mark.parametrize("m", [5, 40, 500])
def test_the_smallest_of_each_row_and_column_are_chosen(m):
    rng = torch.Generator().manual_seed(0)
    reduced = torch.rand(30, m, generator=rng)
    at = set(chosen(reduced, reduced.amin(0), 4, math.inf).tolist())
    for row in range(30):
        smallest = reduced[row].argsort()[:4]
        assert {row * m + int(j) for j in smallest} <= at
    assert {int(reduced[:, j].argmin()) * m + j for j in range(m)} <= at
    assert len(at) < 30 * 4 * 4 + m or m < 8


def test_transforms_are_exact():
    ground, _, g = problem(1)
    expected = (ground.table() - g).min(1)
    assert np.allclose(transform(ground, g), expected, rtol=0, atol=1e-14)
    assert np.allclose(transform(ground, g, torch.float32), expected, rtol=0, atol=1e-14)


def test_the_deadline_is_kept():
    ground, f, g = problem(0)
    with pytest.raises(OutOfTime):
        price(ground, f, g, 1, deadline=0.0)
