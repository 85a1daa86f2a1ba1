"""The sizes that convolutional networks make: a base times 2^k on every axis, one k for all axes."""

import math

from banach.errors import ModelError

SMALLEST, LARGEST = 3, 7
PLACES = 1024
"""A base has so many places at most: the dense layer before the first convolution has width numbers for each."""

Sizes = tuple[int, ...]


def halvings(spatial: Sizes, least: int = 0) -> tuple[Sizes, int]:
    """(base, k) with spatial = base * 2^k on every axis and k >= least.

    3 <= base <= 7 on every axis, with the smallest such k; where the sides differ too much for that, on the shortest
    axis alone, with the largest such k, and at most 1024 places in the base. ModelError, with the nearest sizes that
    fit, if there is none.

    >>> halvings((28, 28)), halvings((32, 32)), halvings((64,)), halvings((24, 32)), halvings((16, 128))
    (((7, 7), 2), ((4, 4), 3), ((4,), 4), ((3, 4), 3), ((4, 32), 2))
    """
    if not spatial:
        raise ModelError("convolutional networks need spatial axes, and plain vectors have none; use the model mlp")
    found = even_halvings(spatial, least) or _long_halvings(spatial, least)
    if found is not None:
        return found
    near = " or ".join(_spelled(sizes) for sizes in _nearest(spatial, least))
    rule = f"every axis must be 3, 4, 5, 6 or 7 times one common power of two{' from 2 on' * (least == 1)}"
    longer = ", longer ones any multiple of it" if len(spatial) > 1 else ""
    cure = "; --pad auto and --crop auto bring arrays there"
    raise ModelError(f"size {_spelled(spatial)} does not fit: {rule}{longer}{cure}; nearest: {near}")


def even_halvings(spatial: Sizes, least: int = 0) -> tuple[Sizes, int] | None:
    """(base, k) with 3 <= base <= 7 on every axis, the smallest such k; None where the sides differ too much."""
    for k in range(least, max(spatial).bit_length()):
        if all(n % 2**k == 0 and SMALLEST <= n >> k <= LARGEST for n in spatial):
            return tuple(n >> k for n in spatial), k
    return None


def _long_halvings(spatial: Sizes, least: int) -> tuple[Sizes, int] | None:
    """The same with 3 <= base <= 7 on the shortest axis, at least one halving, and the largest such k."""
    for k in range(min(spatial).bit_length(), max(least, 1) - 1, -1):
        base = tuple(n >> k for n in spatial)
        if all(n % 2**k == 0 for n in spatial) and SMALLEST <= min(base) <= LARGEST and math.prod(base) <= PLACES:
            return base, k
    return None


def at_least(spatial: Sizes) -> Sizes:
    """The smallest size on which no axis is shorter and that every convolutional network makes; ModelError if none.

    >>> at_least((48, 61)), at_least((30, 28)), at_least((100,))
    ((48, 64), (32, 28), (112,))
    """
    return min(_some(spatial, _above(spatial)), key=math.prod)


def at_most(spatial: Sizes) -> Sizes:
    """The largest size on which no axis is longer and that every convolutional network makes; ModelError if none.

    >>> at_most((48, 61)), at_most((30, 28)), at_most((100,))
    ((48, 56), (28, 28), (96,))
    """
    return max(_some(spatial, _below(spatial)), key=math.prod)


def _some(spatial: Sizes, by_k: list[tuple[int, Sizes]]) -> list[Sizes]:
    """The sizes with at least one halving, of which there must be one."""
    if not (found := [one for k, one in by_k if k >= 1]):
        raise ModelError(f"no network makes a size like {_spelled(spatial)}; take --model mlp, which makes any")
    return found


def _spelled(spatial: Sizes) -> str:
    return "x".join(str(n) for n in spatial)


def _above(spatial: Sizes) -> list[tuple[int, Sizes]]:
    """Sizes that fit, none shorter on any axis, by k."""
    found = []
    for k in range(max(spatial).bit_length() + 1):
        base = tuple(max(-(-n >> k), SMALLEST) for n in spatial)
        if max(base) <= LARGEST or (k and min(base) <= LARGEST and math.prod(base) <= PLACES):
            found.append((k, tuple(n << k for n in base)))
    return found


def _below(spatial: Sizes) -> list[tuple[int, Sizes]]:
    """Sizes that fit, none longer on any axis, by k; a long axis is cut where its base would have too many places."""
    found = []
    for k in range(max(spatial).bit_length() + 1):
        base = tuple(n >> k for n in spatial)
        if min(base) < SMALLEST:
            continue
        if k == 0 or min(base) > LARGEST or math.prod(base) > PLACES:
            base = tuple(min(n, LARGEST) for n in base)
        found.append((k, tuple(n << k for n in base)))
    return found


def _nearest(spatial: Sizes, least: int) -> list[Sizes]:
    """The largest allowed sizes not above and the smallest not below on every axis, where they exist."""
    below = [found for k, found in _below(spatial) if k >= least]
    above = [found for k, found in _above(spatial) if k >= least]
    found = ([max(below, key=math.prod)] if below else []) + ([min(above, key=math.prod)] if above else [])
    return found or [tuple(4 << max(least, round(math.log2(max(max(spatial), 1) / 4))) for _ in spatial)]
