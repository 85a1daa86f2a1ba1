"""Readers of single config values: each takes what a flag, a YAML file or Python gave, and returns the value.

A reader raises `BanachError` with "what is wrong; the remedy"; the caller puts the key's name in front.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from banach.errors import BanachError
from banach.models.padding import PADDINGS

Reader = Callable[[Any], Any]

_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}


def count(least: int = 0) -> Reader:
    """A whole number of at least `least`; 100k, 1.5M and 100_000 are read too.

    >>> count()("100k"), count()("1.5M")
    (100000, 1500000)
    """

    def read(value: Any) -> int:
        found = value
        if isinstance(value, str):
            match = re.fullmatch(r"([+-]?[\d_]+(?:\.\d+)?(?:e\d+)?)([kKmM]?)", value.strip())
            found = float(match[1].replace("_", "")) * _FACTORS[match[2].lower()] if match else None
        if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 2**53:
            raise BanachError(f"{spelled(value)} is not a whole number; write for example 2000 or 100k")
        if found != int(found):
            raise BanachError(f"{value!r} is not a whole number; write for example {max(int(found), least)}")
        if found < least:
            raise BanachError(f"{spelled(value)} is too small; the least is {least}")
        return int(found)

    return read


def number(least: float = -math.inf, below: float = math.inf, *, above: float = -math.inf) -> Reader:
    """A finite number x with least <= x < below and x > above.

    >>> number(0, 1)("1e-1")
    0.1
    """

    def read(value: Any) -> float:
        found = _finite(value)
        if found is None:
            raise BanachError(f"{spelled(value)} is not a finite number; write for example 0.1 or 2e-4")
        if found < least or found >= below or found <= above:
            low = f"more than {above:g}" if above > -math.inf else f"at least {least:g}" if least > -math.inf else ""
            bounds = " and ".join(filter(None, (low, f"below {below:g}" if below < math.inf else "")))
            raise BanachError(f"{spelled(value)} is out of range; it must be {bounds}")
        return found

    return read


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def number_or(*words: str, least: float = 0.0) -> Reader:
    """One of `words`, or a number of at least `least`."""
    read_number = number(least)

    def read(value: Any) -> float | str:
        if value in words:
            return value
        if _finite(value) is None:
            raise BanachError(f"{spelled(value)} is neither a number nor {' nor '.join(words)}")
        return read_number(value)

    return read


def one_of(*words: str) -> Reader:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            raise BanachError(f"{spelled(value)} is none of {', '.join(words)}")
        return value

    return read


def yes_no(value: Any) -> bool:
    """true or false (yes, no, on, off, 1 and 0 are read too)."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise BanachError(f"{spelled(value)} is neither true nor false; write the flag alone, or true or false after it")


def text(value: Any) -> str:
    """Any text; an empty one stands for 'not given'."""
    if value is None:
        return ""
    if isinstance(value, bool | dict | list | tuple):
        raise BanachError(f"{spelled(value)} is not a text; put quotes around it if it is one")
    return str(value)


def name(example: str) -> Reader:
    """A text that may not be empty."""

    def read(value: Any) -> str:
        if not text(value).strip():
            raise BanachError(f"nothing is given; write for example {example}")
        return text(value).strip()

    return read


def optional(read: Reader, *nothing: Any) -> Reader:
    """None for `nothing` (if that is not given: None, '', none, null); otherwise what `read` takes."""
    absent = nothing or (None, "", "none", "null", "None")

    def read_optional(value: Any) -> Any:
        return None if value in absent else read(value)

    return read_optional


def listed(read_item: Reader) -> Reader:
    """A list, or a text with commas: '1,7', '[1, 7]'; nothing gives the empty one."""

    def read(value: Any) -> tuple[Any, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            inside = value.strip().removeprefix("[").removesuffix("]").removeprefix("(").removesuffix(")")
            value = [one.strip().strip("'\"") for one in inside.split(",") if one.strip()]
        if isinstance(value, bool | float | dict) or not isinstance(value, Iterable | int):
            raise BanachError(f"{spelled(value)} is not a list; write for example 1,7")
        return tuple(read_item(one) for one in ([value] if isinstance(value, int) else value))

    return read


def label(value: Any) -> int | str:
    """A class of a data set: its number, or its name (a folder's)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = text(value)
    return int(found) if re.fullmatch(r"\d+", found) else found


def paddings(value: Any) -> tuple[str, ...]:
    """What lies beyond the border of a field: one word, or one for each axis; all zero is zero.

    >>> paddings("periodic,reflect"), paddings("zero,zero")
    (('periodic', 'reflect'), ('zero',))
    """
    found = listed(one_of(*PADDINGS))(value)
    return found if {*found} - {"zero"} else ("zero",)


def extents(value: Any) -> tuple[int, ...]:
    """The number of places on every axis, or on each: 64, 48x64, 32,32,24.

    >>> extents("64"), extents("48x64"), extents([32, 32, 24])
    ((64,), (48, 64), (32, 32, 24))
    """
    try:
        found = listed(count(1))(value.lower().replace("x", ",") if isinstance(value, str) else value)
    except BanachError:
        found = ()
    if not 1 <= len(found) <= 3:
        raise BanachError(f"{spelled(value)} is no size; write for example 64, 48x64 or 32,32,24")
    return found


def sides(value: Any) -> int | tuple[int, int]:
    """The size of images in pixels: 32, or height and width as 48x64."""
    parts = [value] if isinstance(value, int) else list(value) if isinstance(value, tuple | list) else None
    if parts is None:
        parts = str(value).lower().replace("x", ",").split(",")
    try:
        height, width = (count(1)(one) for one in (parts if len(parts) == 2 else parts * 2))
    except ValueError:
        raise BanachError(f"{spelled(value)} is not a size in pixels; write for example 32 or 48x64") from None
    return height if height == width else (height, width)


def spelled(value: Any) -> str:
    """A value as a user would write it: numbers and words bare of Python's types, texts in quotes."""
    text = f"{value!r}" if isinstance(value, str) else str(value)
    return text if len(text) < 200 else f"{text[:150]} … {text[-20:]}"
