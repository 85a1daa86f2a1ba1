"""Scores in words: what each is called, in whose features or norm it was taken, and when it is good.

The console, the report, `banach evaluate` and a generator's card all say it in these words.
"""

from collections.abc import Mapping
from typing import Any

HIGHER = ("is", "precision", "recall", "density", "coverage")
"""The scores of which more is better; of `w1` neither is, and of all others less."""

AT_FLOOR = ("w1",)
"""The scores that are best at their floor: samples that vary too little have less."""

_TITLES = {"fid": "FID", "kid": "KID", "is": "IS", "excess": "excess W1", "w1": "W1", "std": "deviation"}
_OF_NORM = ("excess", "w1")
_OF_NOTHING = ("mean", "std")
_LONGEST = 40

NEIGHBOURS = ("precision", "recall")
"""The scores by neighbour balls, which mean nothing in pixels: samples of pure noise have precision 1 there."""


def title(name: str, protocol: Mapping[str, Any] | Any = None) -> str:
    """The score's name with the extractor or the norm that its protocol names.

    >>> title("fid", {"extractor": "fashion"}), title("w1", {"metric": "Lp(p=2)"}), title("fid"), title("sliced_w2")
    ('FID[fashion]', 'W1[Lp(p=2)]', 'FID', 'sliced w2')
    """
    named = _TITLES.get(name.lower(), name.replace("_", " "))
    inside = taken_in(name, protocol)
    return f"{named}[{inside}]" if inside else named


def taken_in(name: str, protocol: Mapping[str, Any] | Any = None) -> str:
    """The extractor or the norm in which a score was taken, as its protocol says; '' where it says none."""
    if not isinstance(protocol, Mapping) or name.lower() in _OF_NOTHING:
        return ""
    found = protocol.get("metric" if name.lower() in _OF_NORM else "extractor")
    text = found if isinstance(found, str) else ""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def sense(name: str, protocol: Mapping[str, Any] | Any = None) -> str:
    """When the score is good, in a few words.

    >>> sense("is"), sense("fid"), sense("excess")
    ('higher is better', 'lower is better', '0 is best')
    """
    if says_nothing(name, protocol):
        return "says nothing in pixels: noise has precision 1"
    if name.lower() in AT_FLOOR:
        return "best at its floor; too little variety lies below"
    if name.lower() == "excess":
        return "0 is best"
    if name.lower() == "precision":
        return "higher is better, if recall is high too"
    return "higher is better" if name.lower() in HIGHER else "lower is better"


def says_nothing(name: str, protocol: Mapping[str, Any] | Any = None) -> bool:
    """Whether the score is one of neighbours in pixels (older versions took it)."""
    return name.lower() in NEIGHBOURS and taken_in(name, protocol) == "pixels"


def below_floor(value: float, floor: float) -> bool:
    """Whether a score that is best at its floor lies clearly below it."""
    return value < floor - 0.01 * abs(floor)
