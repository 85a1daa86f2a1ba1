"""How files and arrays are read: what the user has said, and whether to ask where two readings are plausible."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from banach.errors import DataError

Size = int | str | Sequence[int]
Limits = tuple[float, float]
"""The stored values that become black and white."""

Sides = tuple[int, ...] | str | None
"""The length of each axis in time and space, or "auto"."""


class Ambiguous(DataError):
    """What a new run is asked about: data that can be read in two ways, or an option of reading without a meaning.

    The message spells out what to say.
    """


@dataclass(frozen=True, kw_only=True)
class How:
    """What a user can say about reading: size and fit of pictures, the axes of arrays, pages, range, background.

    `pages` of files that hold several: "first", "all", a number from 1, or None, which refuses them. `range` are the
    stored values that become black and white, "auto" for the lowest and highest of the data, None for the whole range
    of the type. `background` is what transparency is laid on. `merge_folders` takes sub-folders such as train/ and
    test/ together. `pad` and `crop` bring arrays to sides that networks make. `known` are axis letters and shapes of
    samples (c, *space) that an array may have which does not say its own, `categories` those that columns of a table
    may hold, by name. With `ask` data that can be read in two ways are refused; without it they are read as versions
    before that question read them, which is for runs that began so.
    """

    size: Size | None = None
    axes: str | None = None
    fit: str = "crop"
    cache: str = "auto"
    pages: str | int | None = None
    range: Limits | str | None = None
    background: str = "white"
    merge_folders: bool = False
    pad: Sides = None
    crop: Sides = None
    known: tuple[tuple[str, tuple[int, ...]], ...] = ()
    categories: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    ask: bool = True

    def __post_init__(self):
        object.__setattr__(self, "pages", None if self.pages is None else page(self.pages))
        object.__setattr__(self, "range", None if self.range is None else limits(self.range))
        object.__setattr__(self, "background", colour(self.background))
        object.__setattr__(self, "pad", None if self.pad is None else sides(self.pad))
        object.__setattr__(self, "crop", None if self.crop is None else sides(self.crop))

    def of_arrays(self) -> dict[str, Any]:
        """What an array that is kept decoded depends on, as JSON values."""
        return {**self.of_files(), "axes": self.axes, "pad": self.pad, "crop": self.crop, "known": self.known}

    def refuse_sides(self, what: str) -> None:
        """`DataError` where sides of arrays are asked for, and `what` is none."""
        for flag, given in (("--pad", self.pad), ("--crop", self.crop)):
            if given is not None:
                raise DataError(f"{flag} is for arrays, and {what}; pictures take --size, with --fit crop or pad")

    def of_files(self) -> dict[str, Any]:
        """What decoded pictures depend on, beside size and axes, as JSON values."""
        return {"pages": self.pages, "range": self.range, "background": self.background, "ask": self.ask}

    def check_fit(self) -> None:
        """`Ambiguous` where it is said how pictures get to a size, and not to which."""
        if self.ask and self.size is None and self.fit in ("pad", "stretch"):
            raise Ambiguous(f"--fit {self.fit} says how pictures get to --size; give that too, or leave --fit out")

    def of_folders(self) -> tuple[str, ...]:
        """The flags that were given and are for folders of picture files alone."""
        flags = ("--pages", self.pages is not None), ("--background", self.background != "white")
        return tuple(flag for flag, given in (*flags, ("--merge-folders", self.merge_folders)) if given)


def page(value: Any) -> str | int:
    """Which pages of a file: "first", "all", or a number from 1.

    >>> page("all"), page("2")
    ('all', 2)
    """
    if value in ("first", "all"):
        return value
    if not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", str(value)) and int(value) > 0:
        return int(value)
    raise DataError(f"{value!r} is no choice of pages; write first, all, or a page's number from 1")


def sides(value: Any) -> tuple[int, ...] | str:
    """`auto`, or the length of each axis in time and space.

    >>> sides("48,64"), sides(64), sides("auto")
    ((48, 64), (64,), 'auto')
    """
    if value == "auto":
        return "auto"
    parts = value.replace("x", ",").strip("()[] ").split(",") if isinstance(value, str) else value
    try:
        found = tuple(int(one) for one in ([parts] if isinstance(parts, int) else parts))
    except (TypeError, ValueError):
        found = ()
    if not found or min(found) < 1 or len(found) > 3:
        raise DataError(f"{value!r} are no sides; write auto, or one length for each axis in space, such as 48,64")
    return found


def limits(value: Any) -> Limits | str:
    """The stored values that become black and white, or "auto".

    >>> limits("0,4095"), limits([-1, 1]), limits("auto")
    ((0.0, 4095.0), (-1.0, 1.0), 'auto')
    """
    if value == "auto":
        return "auto"
    parts = value.strip("()[] ").split(",") if isinstance(value, str) else value
    try:
        low, high = (float(one) for one in parts)
    except (TypeError, ValueError):
        raise DataError(f"{value!r} is not a range; write LOW,HIGH, such as 0,4095, or auto") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DataError(f"{low:g},{high:g} is not a range; write the value of black, then a larger one of white")
    return low, high


def colour(value: Any) -> str:
    """A colour: white, black, or #rrggbb.

    >>> colour("Black"), colour("FF8000")
    ('black', '#ff8000')
    """
    found = re.fullmatch(r"(white|black)|#?([0-9a-f]{6})", str(value).strip().lower())
    if found is None:
        raise DataError(f"{value!r} is not a colour; write white, black or '#rrggbb', such as '#808080'")
    return found[1] or f"#{found[2]}"


def spelled(low: float, high: float) -> str:
    """A range as a user writes it: 0,4095.

    >>> spelled(0.0, 4095.0), spelled(-1.25, 1)
    ('0,4095', '-1.25,1')
    """
    return f"{number(low)},{number(high)}"


def number(value: float) -> str:
    """A number in few digits, whole ones in full."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.6g}"


AS_IT_IS = How()
"""Nothing was said."""
