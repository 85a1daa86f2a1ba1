"""Which axis of an array is what: letters given by the user, or a guess where only one reading makes sense."""

import numpy as np

from banach.data.readings import check_one_reading
from banach.errors import DataError

_LAYOUTS = ("b", "bd", "bcn", "bn", "bchw", "bhw", "bcdhw", "bdhw")  # in the order the package keeps them
_ALONE = ("hw", "chw")  # one picture or field: a set of one sample
_FEW = 4  # an axis of at most so many entries beside longer ones is taken for the channels
_HELP = (
    "b samples (bb… where several axes count them), c channels, d features (bd) or depth (bcdhw), h height, "
    "w width, n time or length"
)


def arrange(array: np.ndarray, axes: str, name: str) -> tuple[np.ndarray, bool]:
    """A view of `array` as (b, d) or (b, c, *spatial), and whether a channel axis of length 1 was put in.

    `axes` has one letter for each axis, in the array's order: "bhwc" puts the channels last, "bnc" is a time series
    ("t" and "l" are read as "n"), "bbhw" are samples in two axes (classes, and those of each), "hwc" is one picture.
    """
    letters = axes.lower().replace("t", "n").replace("l", "n")
    if len(letters) != array.ndim:
        raise DataError(f"{name}: axes {axes!r} name {len(letters)} axes and the array has {array.ndim} {array.shape}")
    counted = len(letters) - len(letters.lstrip("b"))
    if counted > 1:
        array, letters = array.reshape(-1, *array.shape[counted:]), letters[counted - 1 :]
    elif any(sorted(letters) == sorted(one) for one in _ALONE):
        array, letters = array[None], f"b{letters}"
    layout = next((one for one in _LAYOUTS if sorted(one) == sorted(letters)), None)
    if layout is None:
        raise DataError(f"{name}: axes {axes!r} are not known; letters are {_HELP}, for example bchw, bhwc, bhw, bcn")
    array = array.transpose([letters.index(letter) for letter in layout])
    alone = layout in ("b", "bn", "bhw", "bdhw")
    return (array[:, None] if alone else array), alone


def guess(array: np.ndarray, name: str, ask: bool = True) -> str:
    """The axes of an array that says nothing about them; `DataError` where more than one reading makes sense.

    Without `ask` a shape that is likely to be read wrongly, such as that of one picture, is guessed all the same.
    """
    shape = array.shape
    match shape[1:]:
        case ():
            found, options = "b", ""
        case (_,):
            found, options = "bd", ""
        case (first, last):
            found = _by_channels(first, last, "bcn", "bnc") or ("bhw" if first == last > _FEW else None)
            options = "bcn, bnc, bhw" + ", chw" * (shape[0] <= _FEW) + ", hwb" * (shape[0] == first)
        case (first, middle, last):
            found = _by_channels(first, last, "bchw", "bhwc")
            if found is None and (first == middle) != (middle == last):  # the two equal ones are height and width
                found = "bchw" if middle == last else "bhwc"
            options = "bchw, bhwc, bdhw, bbhw" + ", hwcb" * (middle <= _FEW)
        case (first, second, _, last):
            found, options = _by_channels(first, last, "bcdhw", "bdhwc"), "bcdhw, bdhwc" + ", bbchw" * (second <= _FEW)
        case _:
            raise DataError(
                f"{name}: {array.ndim} axes {shape} are too many or too few; at most five are read (bcdhw), or several "
                "that count samples: --axes bbbhwc"
            )
    if found is None:
        listed = " or ".join(options.rsplit(", ", 1))
        raise DataError(f"{name}: the axes of {shape} can be read in several ways; say which, --axes {listed}")
    if ask:
        check_one_reading(array, found, name)
    return found


def _by_channels(first: int, last: int, channels_first: str, channels_last: str) -> str | None:
    if (first <= _FEW) == (last <= _FEW):
        return None
    return channels_first if first <= _FEW else channels_last
