"""How often networks double and halve a picture of some size."""

import math

from banach.sizes import LARGEST, SMALLEST, Sizes, even_halvings, halvings

__all__ = ["LARGEST", "PLAIN", "SMALLEST", "Sizes", "critic_halvings", "even_halvings", "halvings"]

PLAIN = 8  # a critic halves the picture until no axis is longer than this: 8x8 for 32x32, as published


def critic_halvings(spatial: Sizes, most: int | None = None) -> int:
    """How often a residual critic halves the picture: until no axis is longer than 8 (2 for 32, 3 for 64, 2 for 28).

    `most` is how often every axis can be halved, where a long one would be halved more often.
    """
    wanted = max(0, *(math.ceil(math.log2(n / PLAIN)) for n in spatial))
    return wanted if most is None else min(wanted, most)
