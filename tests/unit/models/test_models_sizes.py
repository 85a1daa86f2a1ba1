"""Which sizes the convolutional networks accept, and what they say to the others."""

import itertools
import re

import pytest
import torch

from banach.models import ModelError, build_critic, build_generator
from banach.models.sizes import critic_halvings, even_halvings, halvings
from banach.sizes import at_least, at_most

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
    "spatial", [(30, 28), (28, 66), (218, 178), (33, 31), (1, 28), (2, 2), (1, 1), (3, 500), (9, 9, 40)]
)
@pytest.mark.parametrize("least", [0, 1])
def test_sizes_named_in_a_refusal_are_accepted(spatial, least):
    with pytest.raises(ModelError) as refused:
        halvings(spatial, least)
    named = re.findall(r"\d+(?:x\d+)+", str(refused.value).split("nearest:")[1])
    assert named
    for one in named:
        halvings(tuple(int(n) for n in one.split("x")), least)


@pytest.mark.parametrize(
    ("spatial", "expected"),
    [
        ((28, 64), ((7, 16), 2)), ((16, 128), ((4, 32), 2)), ((128, 16), ((32, 4), 2)), ((48, 160), ((3, 10), 4)),
        ((16, 16, 64), ((4, 4, 16), 2)), ((6, 64), ((3, 32), 1)),
    ],
)  # fmt: skip
def test_long_sides_have_a_longer_base(spatial, expected):
    """Sides that differ by more than 7/3: the shortest has a base of 3 to 7."""
    assert halvings(spatial) == halvings(spatial, least=1) == expected
    assert even_halvings(spatial) is None
    for family in ("resnet", "dcgan", "dcgan4"):
        rng = torch.Generator().manual_seed(0)
        made = build_generator(family, (2, *spatial), z=3, width=8, rng=rng)(torch.randn(2, 3))
        assert made.shape == (2, 2, *spatial)
        x = torch.randn(2, 2, *spatial, requires_grad=True)
        build_critic(family, (2, *spatial), width=8, rng=rng)(x).sum().backward()
        assert x.grad is not None
        assert float(x.grad.abs().sum((0, 1)).amin()) > 0, "every place is seen"


@pytest.mark.parametrize("spatial", [(48, 61), (30, 28), (1, 5), (17, 300), (9, 9, 40), (100,), (218, 178)])
def test_sizes_to_pad_to_and_to_cut_to_fit(spatial):
    wider = at_least(spatial)
    assert all(a >= b for a, b in zip(wider, spatial, strict=True))
    halvings(wider, least=1)
    if min(spatial) < 6:
        with pytest.raises(ModelError, match="no network makes a size like"):
            at_most(spatial)
        return
    smaller = at_most(spatial)
    assert all(a <= b for a, b in zip(smaller, spatial, strict=True))
    halvings(smaller, least=1)


def test_sizes_that_fit_need_no_padding():
    for spatial in [(28, 28), (48, 64), (28, 64), (16, 16, 64), (96,)]:
        assert at_least(spatial) == at_most(spatial) == spatial


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
