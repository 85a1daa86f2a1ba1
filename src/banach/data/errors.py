"""The one error of this package: what a user can do wrong with data, said in a sentence or two."""


class DataError(ValueError):
    """Data that cannot be read or used as asked; the message names the value and the remedy."""


def count(n: int, one: str, many: str = "") -> str:
    """`n` things, in words.

    >>> count(1, "image"), count(12000, "image"), count(2, "entry", "entries")
    ('1 image', '12,000 images', '2 entries')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
