"""Hölder's inequality, pair(u, x) <= norm(x) dual.norm(u), for all spaces and arbitrary floating point numbers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from banach import Space, pair
from banach.spaces import SPACES
from banach.testing import shapes_of

SPECS = [spec for spec in SPACES.examples() if isinstance(SPACES.parse(spec), Space)]
WANTED = ((3, 4), (1, 2, 5), (26,), (2, 5))
NUMBERS = st.floats(-1e100, 1e100)


def small_shape(metric):
    accepted = shapes_of(metric)
    fitting = [shape for shape in WANTED if shape in accepted]
    return fitting[0] if fitting else next(shape for shape in accepted if 4 <= math.prod(shape) <= 40)


def holds(metric, u, x):
    """Up to rounding: of the sum itself, and of the projections of spaces of mean-free data."""
    size = float((u * x).abs().sum())
    largest = float(u.abs().max() * x.abs().max())
    u, x = metric.dual.domain(u), metric.domain(x)
    bound = float(metric.norm(x) * metric.dual.norm(u))
    return abs(float(pair(u, x))) <= bound * (1 + 1e-9) + 1e-12 * size + 1e-13 * largest


@pytest.mark.parametrize("spec", SPECS)
def test_hoelder(spec):
    metric = SPACES.parse(spec)
    shape = small_shape(metric)
    n = math.prod(shape)

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(st.lists(NUMBERS, min_size=2 * n, max_size=2 * n), st.sampled_from([1.0, 1e-150, 1e-30, 1e30]))
    def check(numbers, scale):
        u, x = torch.tensor(numbers, dtype=torch.float64).view(2, 1, *shape)
        assert holds(metric, u, scale * x)
        assert holds(metric.dual, u, scale * x)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_hoelder_at_length(spec):
    metric = SPACES.parse(spec)
    shape = small_shape(metric)
    n = math.prod(shape)

    computed = metric.computed or metric.dual.computed

    @settings(max_examples=30 if computed else 1000, deadline=None, derandomize=True, database=None)
    @given(st.lists(NUMBERS, min_size=2 * n, max_size=2 * n))
    def check(numbers):
        u, x = torch.tensor(numbers, dtype=torch.float64).view(2, 1, *shape)
        assert holds(metric, u, x)
        assert holds(metric.dual, u, x)

    check()


def test_a_wrong_dual_is_found():
    class Wrong(type(SPACES.parse("Lp(3)"))):
        @property
        def dual(self):
            return SPACES.parse("Lp(3)")

    ones = torch.ones(1, 5, dtype=torch.float64)
    assert not holds(Wrong(3), ones, ones)
    assert holds(SPACES.parse("Lp(3)"), ones, ones)
