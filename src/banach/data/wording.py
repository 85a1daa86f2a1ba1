"""Numbers of things in messages."""


def count(n: int, one: str, many: str = "") -> str:
    """`n` things, in words.

    >>> count(1, "image"), count(12000, "image"), count(2, "entry", "entries")
    ('1 image', '12,000 images', '2 entries')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
