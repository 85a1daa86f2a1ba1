"""Which axis of an array is what: letters given by the user, or a guess where only one reading makes sense."""

import numpy as np

from banach.errors import DataError

_LAYOUTS = ("b", "bd", "bcn", "bn", "bchw", "bhw", "bcdhw", "bdhw")  # in the order the package keeps them
_FEW = 4  # an axis of at most so many entries beside longer ones is taken for the channels
_HELP = "b samples, c channels, d features (bd) or depth (bcdhw), h height, w width, n time or length"


def arrange(array: np.ndarray, axes: str, name: str) -> tuple[np.ndarray, bool]:
    """A view of `array` as (b, d) or (b, c, *spatial), and whether a channel axis of length 1 was put in.

    `axes` has one letter for each axis, in the array's order: "bhwc" puts the channels last, "bnc" is a time series
    ("t" and "l" are read as "n").
    """
    letters = axes.lower().replace("t", "n").replace("l", "n")
    if len(letters) != array.ndim:
        raise DataError(f"{name}: axes {axes!r} name {len(letters)} axes and the array has {array.ndim} {array.shape}")
    layout = next((one for one in _LAYOUTS if sorted(one) == sorted(letters)), None)
    if layout is None:
        raise DataError(f"{name}: axes {axes!r} are not known; letters are {_HELP}, for example bchw, bhwc, bhw, bcn")
    array = array.transpose([letters.index(letter) for letter in layout])
    alone = layout in ("b", "bn", "bhw", "bdhw")
    return (array[:, None] if alone else array), alone


def guess(array: np.ndarray, name: str) -> str:
    """The axes of an array that says nothing about them; `DataError` where more than one reading makes sense."""
    shape = array.shape
    match shape[1:]:
        case ():
            return "b"
        case (_,):
            return "bd"
        case (first, last):
            found = _by_channels(first, last, "bcn", "bnc") or ("bhw" if first == last > _FEW else None)
            options = "bcn, bnc or bhw"
        case (first, middle, last):
            found = _by_channels(first, last, "bchw", "bhwc")
            if found is None and (first == middle) != (middle == last):  # the two equal ones are height and width
                found = "bchw" if middle == last else "bhwc"
            options = "bchw, bhwc or bdhw"
        case (first, _, _, last):
            found, options = _by_channels(first, last, "bcdhw", "bdhwc"), "bcdhw or bdhwc"
        case _:
            raise DataError(f"{name}: {array.ndim} axes {shape} are too many or too few; at most five are read (bcdhw)")
    if found is None:
        raise DataError(f"{name}: the axes of {shape} can be read in several ways; say which, --axes {options}")
    return found


def _by_channels(first: int, last: int, channels_first: str, channels_last: str) -> str | None:
    if (first <= _FEW) == (last <= _FEW):
        return None
    return channels_first if first <= _FEW else channels_last
