"""Arrays that can be read in two ways: one picture or many rows, classes of pictures or volumes, pictures or fields."""

import math
from collections.abc import Iterator

import numpy as np

from banach.data.how import Limits, spelled

_FEW = 4
_LEAST = 8  # the side of the smallest picture that is thought of
_LONG = 4  # a picture is seldom longer than so many times its width
_LOOKED_AT = 1 << 20  # entries


def readings(array: np.ndarray, axes: str) -> tuple[str, ...]:
    """The plausible readings of an array whose guessed `axes` may well be wrong, that guess first; () for others."""
    others = {2: _of_tables, 3: _of_stacks, 4: _of_channels, 5: _of_volumes}.get(array.ndim)
    found = tuple(others(array, axes)) if others else ()
    return (axes, *found) if found else ()


def _of_tables(array: np.ndarray, axes: str) -> Iterator[str]:
    """One picture, or rows of numbers."""
    n, d = array.shape
    long = 2 if array.dtype == np.uint8 else 1
    if min(n, d) >= _LEAST and max(n, d) <= long * min(n, d):
        yield "xy"


def _of_stacks(array: np.ndarray, axes: str) -> Iterator[str]:
    """One picture in colour, or series, or a few pictures."""
    first, middle, last = array.shape
    if axes == "ntc" and last <= _FEW and _is_frame(first, middle):
        in_colour = last >= 3 and (array.dtype == np.uint8 or pictorial(array) is not None)
        if first == middle or in_colour:
            yield "xyc"
    if axes == "nxy" and first in (2, 3) and min(middle, last) >= _LEAST:
        yield "cxy"


def _of_channels(array: np.ndarray, axes: str) -> Iterator[str]:
    """Volumes of one channel, or classes of grey pictures, or samples of many channels."""
    n, first, second, last = array.shape
    if axes not in ("ncxy", "nxyc") or (first if axes == "ncxy" else last) <= _FEW:
        return
    yield "nxyz"
    few = n <= first or array.dtype == np.uint8 or pictorial(array) is not None
    if axes == "ncxy" and _is_frame(second, last) and few:
        yield "nnxy"


def _of_volumes(array: np.ndarray, axes: str) -> Iterator[str]:
    """Classes of pictures (or films), or volumes, with their channels last."""
    _, depth, height, width, channels = array.shape
    alike = depth == height == width and not (channels >= 3 and array.dtype == np.uint8)
    if axes == "nxyzc" and channels != 2 and not alike:
        yield "nnxyc"


def _is_frame(height: int, width: int) -> bool:
    return min(height, width) >= _LEAST and max(height, width) <= _LONG * min(height, width)


def pictorial(array: np.ndarray) -> Limits | None:
    """The range in which pictures are kept that the values fill, as far as a part of them tells; None for others."""
    low, high, whole = extent(array)
    if not math.isfinite(low) or not math.isfinite(high) or low == high:
        return None
    if low >= 0 and high <= 1:
        return 0, 1
    if -1 <= low < -0.5 and 0.5 < high <= 1:
        return -1, 1
    if low >= 0 and high <= 255 and (whole or high >= 128):
        return 0, 255
    if array.dtype == np.uint16 and whole:
        return 0, 2 ** math.ceil(math.log2(high + 1)) - 1
    return None


def extent(array: np.ndarray) -> tuple[float, float, bool]:
    """The lowest and the highest value, and whether all are whole numbers, of rows spread evenly over the array."""
    rows = max(1, min(len(array), _LOOKED_AT // max(1, array[0].size)))
    some = np.asarray(array[:: -(-len(array) // rows)])
    with np.errstate(invalid="ignore"):
        whole = some.dtype.kind in "biu" or bool((some == np.floor(some)).all())
    return float(some.min()), float(some.max()), whole


def hints(array: np.ndarray, arranged: np.ndarray) -> Iterator[str]:
    """A line where an array that is read as fields may hold pictures, and how it is read as those."""
    if arranged.ndim != 4:
        return
    channels = arranged.shape[1]
    if channels in (1, 3) and (limits := pictorial(array)) is not None:
        low, high, _ = extent(array)
        yield (
            f"read as fields, values {low:.3g} to {high:.3g}; if these are pictures, --range "
            f"{spelled(*limits)} reads them so"
        )
    elif channels in (2, 4) and array.dtype == np.uint8:
        yield f"{channels} channels of uint8 are read as fields; if one is transparency, save the array without it"
