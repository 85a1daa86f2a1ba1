"""Which sizes the convolutional networks accept, and what they say to the others."""

import itertools
import re

import pytest

from banach.models import ModelError
from banach.models.sizes import critic_halvings, halvings

ALLOWED = {base * 2**k for base, k in itertools.product(range(3, 8), range(8))}


def test_allowed_sizes_are_exactly_three_to_seven_times_a_power_of_two():
    for n in range(1, 513):
        if n in ALLOWED:
            (base,), k = halvings((n,))
            assert base * 2**k == n
            assert 3 <= base <= 7
        else:
            with pytest.raises(ModelError):
                halvings((n,))


def test_refusal_names_the_nearest_size_on_either_side():
    for n in set(range(8, 300)) - ALLOWED:
        below, above = max(m for m in ALLOWED if m < n), min(m for m in ALLOWED if m > n)
        with pytest.raises(ModelError, match=rf"size {n} does not fit.*nearest: {below} or {above}$"):
            halvings((n,))


@pytest.mark.parametrize(
    "spatial", [(30, 28), (28, 64), (218, 178), (33, 31), (1, 28), (2, 2), (1, 1), (3, 500), (9, 9, 40)]
)
@pytest.mark.parametrize("least", [0, 1])
def test_sizes_named_in_a_refusal_are_accepted(spatial, least):
    with pytest.raises(ModelError) as refused:
        halvings(spatial, least)
    named = re.findall(r"\d+(?:x\d+)+", str(refused.value).split("nearest:")[1])
    assert named
    for one in named:
        halvings(tuple(int(n) for n in one.split("x")), least)


def test_axes_share_the_power_of_two():
    assert halvings((24, 32)) == ((3, 4), 3)
    assert halvings((40, 48, 56)) == ((5, 6, 7), 3)
    assert halvings((3, 7)) == ((3, 7), 0)
    assert halvings((6,), least=1) == ((3,), 1)


def test_vectors_are_sent_to_the_fully_connected_family():
    with pytest.raises(ModelError, match="model mlp"):
        halvings(())


@pytest.mark.parametrize(
    ("spatial", "expected"),
    [((32, 32), 2), ((64, 64), 3), ((28, 28), 2), ((128, 128), 4), ((24, 32), 2), ((8,), 0), ((5, 5), 0), ((10,), 1)],
)
def test_critics_halve_as_published(spatial, expected):
    assert critic_halvings(spatial) == expected
