"""Arrays brought to sides that convolutional networks make: by copies of their rim (pad), or by their middle (crop)."""

from collections.abc import Sequence

import numpy as np

from banach.data.how import How
from banach.errors import DataError, ModelError
from banach.sizes import at_least, at_most

_Sides = tuple[int, ...]


def asked_sides(space: Sequence[int], name: str, how: How) -> tuple[_Sides, tuple[str, ...]]:
    """The sides that an array's samples get, and a line on what is done; the same sides where nothing is.

    Raises `DataError` for sides that cannot be had so.
    """
    have = tuple(space)
    if how.pad is None and how.crop is None:
        return have, ()
    if how.size is not None:
        raise DataError("--size is for pictures, and --pad and --crop are for arrays; keep one")
    if how.pad is not None and how.crop is not None:
        raise DataError("--pad and --crop exclude each other; keep one")
    flag = "--pad" if how.crop is None else "--crop"
    asked = (how.pad if how.crop is None else how.crop) or "auto"
    if not have:
        raise DataError(f"{name} holds vectors, and {flag} is for axes in time and space; leave it out")
    wanted = _found(have, asked, flag) if isinstance(asked, str) else asked
    _check(have, wanted, flag, name)
    if wanted == have:
        return have, (f"{_spelled(have)} needs no {flag}",)
    if flag == "--pad":
        done = f"{_spelled(have)} becomes {_spelled(wanted)} by copies of the rim (--pad), which the norm weighs too"
        return wanted, (f"{done}; samples are cut back to {_spelled(have)}",)
    return wanted, (f"{_spelled(have)} becomes its middle {_spelled(wanted)} (--crop), and so are samples",)


def _check(have: _Sides, wanted: _Sides, flag: str, name: str) -> None:
    """`DataError` for sides that are too few, or that the flag does not lead to."""
    if len(wanted) != len(have):
        raise DataError(f"{flag} {_spelled(wanted)}: the samples of {name} are {_spelled(have)}; give a side for each")
    wrong, other = ("smaller", "--crop") if flag == "--pad" else ("larger", "--pad")
    if any(a < b if flag == "--pad" else a > b for a, b in zip(wanted, have, strict=True)):
        raise DataError(
            f"{flag} {_spelled(wanted)} is {wrong} than the samples of {name}, {_spelled(have)}; take {other}"
        )


def _found(have: _Sides, asked: str, flag: str) -> _Sides:
    try:
        return at_least(have) if flag == "--pad" else at_most(have)
    except ModelError as error:
        raise DataError(f"{flag} {asked}: {error}") from None


def _spelled(sides: _Sides) -> str:
    return "x".join(map(str, sides))


def brought(block: np.ndarray, to: _Sides) -> np.ndarray:
    """Samples (n, c, *space) with these sides: a larger one by copies of the rim, a smaller one by the middle."""
    have = block.shape[2:]
    if have == to:
        return block
    kept = tuple(slice((a - b) // 2, (a - b) // 2 + b) if a > b else slice(None) for a, b in zip(have, to, strict=True))
    more = [((b - a) // 2, b - a - (b - a) // 2) if b > a else (0, 0) for a, b in zip(have, to, strict=True)]
    return np.pad(block[(slice(None), slice(None), *kept)], [(0, 0), (0, 0), *more], mode="edge")
