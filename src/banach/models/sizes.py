"""The sizes that convolutional networks support: base * 2^k on every axis, 3 <= base <= 7, one k for all axes."""

import math

from banach.errors import ModelError

SMALLEST, LARGEST = 3, 7
PLAIN = 8  # a critic halves the picture until no axis is longer than this: 8x8 for 32x32, as published

Sizes = tuple[int, ...]


def halvings(spatial: Sizes, least: int = 0) -> tuple[Sizes, int]:
    """(base, k) with spatial = base * 2^k on every axis, 3 <= base <= 7, and the smallest such k >= least.

    ModelError, with the nearest sizes that fit, if there is none.

    >>> halvings((28, 28)), halvings((32, 32)), halvings((64,)), halvings((24, 32))
    (((7, 7), 2), ((4, 4), 3), ((4,), 4), ((3, 4), 3))
    """
    if not spatial:
        raise ModelError("convolutional networks need spatial axes, and plain vectors have none; use the model mlp")
    for k in range(least, max(spatial).bit_length()):
        if all(n % 2**k == 0 and SMALLEST <= n >> k <= LARGEST for n in spatial):
            return tuple(n >> k for n in spatial), k
    near = " or ".join(_spelled(sizes) for sizes in _nearest(spatial, least))
    rule = f"every axis must be 3, 4, 5, 6 or 7 times one common power of two{' from 2 on' * (least == 1)}"
    raise ModelError(f"size {_spelled(spatial)} does not fit: {rule}; nearest: {near}")


def critic_halvings(spatial: Sizes) -> int:
    """How often a residual critic halves the picture: until no axis is longer than 8 (2 for 32, 3 for 64, 2 for 28)."""
    return max(0, *(math.ceil(math.log2(n / PLAIN)) for n in spatial))


def _spelled(spatial: Sizes) -> str:
    return "x".join(str(n) for n in spatial)


def _nearest(spatial: Sizes, least: int) -> list[Sizes]:
    """The largest allowed sizes not above and the smallest not below on every axis, where they exist."""
    below, above = [], []
    for k in range(least, max(spatial).bit_length() + 1):
        floor = tuple(n >> k for n in spatial)
        ceil = tuple(max(-(-n >> k), SMALLEST) for n in spatial)
        if min(floor) >= SMALLEST:
            below.append(tuple(min(n, LARGEST) << k for n in floor))
        if max(ceil) <= LARGEST:
            above.append(tuple(n << k for n in ceil))
    found = ([max(below, key=math.prod)] if below else []) + ([min(above, key=math.prod)] if above else [])
    return found or [tuple(4 << max(least, round(math.log2(max(max(spatial), 1) / 4))) for _ in spatial)]
