"""How an array is read that says nothing about its axes: the one reading that makes sense, or a question.

Every command and `fit` ask here. The order is: what the user says, what the file says (samples of a run do), what is
known of data that this array belongs to, and what its shape says, if that is one thing alone.
"""

from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from banach.data.how import Ambiguous, How
from banach.data.letters import Axes, arrange, axes_of, described, read_letters, spelled
from banach.data.readings import readings
from banach.errors import DataError

__all__ = ["arrange", "guess", "resolve"]

_FEW = 4  # an axis of at most so many entries beside longer ones is taken for the channels
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def resolve(array: np.ndarray, name: str, how: How, own: str = "", options: Iterable[str] = ()) -> tuple[Axes, str]:
    """What each axis of the array is, and who said so. `own` are letters that came with the array, `options` those that
    its file leaves to choose from.

    Raises `DataError` for letters that do not fit, and where several readings make sense and nobody said which.
    """
    if how.axes is not None:
        return axes_of(array, how.axes, name), "--axes"
    if own:
        with suppress(DataError):  # a file's word is a stranger's
            return axes_of(array, own, name), "as the file says; --axes says otherwise"
    for letters, event in how.known:
        found = read_letters(letters, name)
        if len(found.letters) == array.ndim and found.arranged(array).shape[1:] == event:
            return found, "as the samples it goes with; --axes says otherwise"
    if options := tuple(one.replace(",", "") for one in options):
        raise Ambiguous(_asked(array, options, name))
    return read_letters(guess(array, name, how.ask), name), "guessed; --axes says otherwise"


def guess(array: np.ndarray, name: str, ask: bool = True) -> str:
    """The axes of an array that says nothing about them; `DataError` where more than one reading makes sense.

    Without `ask` a shape that is likely to be read wrongly, such as that of one picture, is guessed as versions did
    before they asked.
    """
    found, options = _by_shape(array, name)
    if found is None:
        raise DataError(_asked(array, options, name))
    if ask and (options := readings(array, found)):
        raise Ambiguous(_asked(array, options, name))
    return found


def _by_shape(array: np.ndarray, name: str) -> tuple[str | None, Iterable[str]]:
    """The likeliest axes of an array of this shape, or None and the axes that it may have."""
    shape = array.shape
    match shape[1:]:
        case ():
            return "n", ()
        case (_,):
            return "nc", ()
        case (first, last):
            found = _by_channels(first, last, "nct", "ntc") or ("nxy" if first == last > _FEW else None)
            more = ("cxy",) * (shape[0] <= _FEW) + ("xyn",) * (shape[0] == first)
            return found, ("nxy", "nct", "ntc", *more)
        case (first, middle, last):
            found = _by_channels(first, last, "ncxy", "nxyc")
            if found is None and (first == middle) != (middle == last):  # the two equal ones are height and width
                found = "ncxy" if middle == last else "nxyc"
            return found, ("nxyz", "ncxy", "nxyc", "nnxy", *("xycn",) * (middle <= _FEW))
        case (first, second, _, last):
            more = ("nncxy",) * (second <= _FEW)
            return _by_channels(first, last, "ncxyz", "nxyzc"), ("ncxyz", "nxyzc", *more)
        case _:
            raise DataError(
                f"{name}: {array.ndim} axes {shape} are too many or too few; at most five are read (n,c,x,y,z), or "
                "several that count samples: --axes n,n,n,x,y,c"
            )


def _by_channels(first: int, last: int, channels_first: str, channels_last: str) -> str | None:
    if (first <= _FEW) == (last <= _FEW):
        return None
    return channels_first if first <= _FEW else channels_last


def _asked(array: np.ndarray, options: Iterable[str], name: str) -> str:
    """The question which of the axes an array has, each spelled out."""
    told = [f"{_meaning(array, one)}: --axes {spelled(one)}" for one in options]
    said = f"{name}: {array.dtype} {array.shape} can be read in {_NUMBERS[len(told)]} ways; say which: "
    between = "; " if len(told) > 2 else ", "
    return f"{said}{between.join((*told[:-1], f'or {told[-1]}'))}"


def _meaning(array: np.ndarray, letters: str) -> str:
    shape = read_letters(letters).arranged(array).shape
    if letters == "nnxy":
        return f"{shape[0]:,} grey pictures {shape[2]}x{shape[3]}, {array.shape[1]} in each of {array.shape[0]} classes"
    if letters.startswith("nn"):
        size = "x".join(map(str, shape[2:]))
        return f"{shape[0]:,} pictures {size}, {array.shape[1]} in each of {array.shape[0]} classes or films"
    if letters in ("xy", "xyc", "cxy"):
        return f"one picture {'x'.join(map(str, shape[2:]))}" + f" of {shape[1]} channels" * (letters != "xy")
    return described(shape[0], shape[1:])
