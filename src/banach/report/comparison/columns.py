"""Scores as columns of a table: one column holds scores of one protocol on one data set, and nothing else."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from banach.metrics import titles
from banach.report.comparison.members import Member, Scoring
from banach.report.comparison.methods import data_groups

By = Literal["steps", "time"]

_UNSAID = "its protocol is not known"


@dataclass(frozen=True)
class Value:
    """The score of one run at a common budget: `value` is None where there is none, and `why` says so."""

    value: float | None
    step: int | None = None
    minutes: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Column:
    """The scores of one name, protocol and data set, by run (its place among the members)."""

    name: str
    title: str
    protocol: Mapping[str, Any]
    points: Mapping[int, tuple[Scoring, ...]]
    notes: tuple[str, ...]
    """What a reader must know before comparing within it, or with a column of the same name."""

    @property
    def sense(self) -> str:
        """When it is good."""
        return titles.sense(self.name, self.protocol)

    @property
    def higher(self) -> bool | None:
        """Whether more is better; None where neither more nor less is."""
        if self.name.lower() in titles.AT_FLOOR or titles.says_nothing(self.name, self.protocol):
            return None
        return self.name.lower() in titles.HIGHER

    @property
    def at_end(self) -> bool:
        """Whether it was taken of finished generators, and is of no common budget."""
        return all(one.at_end for points in self.points.values() for one in points)

    @property
    def floor(self) -> float | None:
        """The mean of the floors that the runs had."""
        found = [points[-1].floor for points in self.points.values() if points and points[-1].floor is not None]
        return sum(found) / len(found) if found else None

    def budget(self, counted: Sequence[int], by: By) -> float | None:
        """The largest step, or time in minutes, that all runs which have this score reach with a scoring."""
        ends = [max(at) for one in counted if (at := [_at(point, by) for point in self.points.get(one, ())]) and at]
        known = [one for one in ends if math.isfinite(one)]
        return min(known) if known and not self.at_end else None

    def value(self, member: int, budget: float | None, by: By) -> Value:
        """The score of a run at a budget: its newest one that is not beyond it."""
        points = self.points.get(member, ())
        within = [one for one in points if budget is None or _at(one, by) <= budget * (1 + 1e-9)]
        if not points:
            return Value(None, why="not scored so")
        if not within:
            return Value(None, why="first scored later")
        last = within[-1]
        if not math.isfinite(last.value):
            return Value(None, last.step, last.minutes, "not finite")
        return Value(last.value, last.step, last.minutes)


def _at(point: Scoring, by: By) -> float:
    """Where a score lies: its step, or its minutes, at the end of all times where those are not known."""
    if by == "steps":
        return float(point.step)
    return math.inf if point.minutes is None else point.minutes


def columns_of(members: Sequence[Member]) -> tuple[Column, ...]:
    """All columns, in the order in which the runs wrote their scores.

    Scores of one name with different protocols, or on different data, stand in columns of their own, whose titles tell
    them apart by a letter, and whose notes say what differs.
    """
    groups = data_groups(members)
    points: dict[tuple[str, str, int], dict[int, list[Scoring]]] = {}
    for at, one in enumerate(members):
        for scoring in one.scorings:
            key = (scoring.name, canonical(scoring.protocol), groups[at])
            points.setdefault(key, {}).setdefault(at, []).append(scoring)
    alike: dict[str, list[tuple[str, str, int]]] = {}
    for key, of in points.items():
        alike.setdefault(_title(next(iter(of.values()))[0]), []).append(key)
    found = {}
    for title, keys in alike.items():
        for place, key in enumerate(keys):
            of = {at: tuple(one) for at, one in points[key].items()}
            protocol = next(iter(of.values()))[0].protocol
            letter = f" ({letters(place)})" if len(keys) > 1 else ""
            notes = (*_told_apart(keys, place, points, members), *_splits(of, members))
            notes += () if protocol else (f"{_UNSAID}: whether its scores compare is not known either",)
            found[key] = Column(key[0], f"{title}{letter}", protocol, of, notes)
    return tuple(found[key] for key in points)


def canonical(protocol: Mapping[str, Any]) -> str:
    """A protocol as a text that is the same for two orders of its keys."""
    return json.dumps(protocol, sort_keys=True, default=str)


def letters(place: int) -> str:
    """a, b, …, z, aa, ab, …

    >>> letters(0), letters(25), letters(26)
    ('a', 'z', 'aa')
    """
    text = ""
    while place >= 0:
        text = chr(97 + place % 26) + text
        place = place // 26 - 1
    return text


def _title(one: Scoring) -> str:
    """The score with its extractor or norm; of W1 over held-out data, that too."""
    text = titles.title(one.name, one.protocol).replace("W1", "W₁")
    reference = one.protocol.get("reference")
    text = f"{text}, {reference}" if isinstance(reference, str) and reference else text
    return text[:1].upper() + text[1:]


def _told_apart(
    keys: Sequence[tuple[str, str, int]],
    place: int,
    points: Mapping[tuple[str, str, int], Mapping[int, Sequence[Scoring]]],
    members: Sequence[Member],
) -> tuple[str, ...]:
    """In what a column differs from others of its title."""
    if len(keys) == 1:
        return ()
    protocols = [next(iter(points[key].values()))[0].protocol for key in keys]
    differing = [key for key in dict.fromkeys(key for one in protocols for key in one)
                 if len({canonical({"": one.get(key)}) for one in protocols}) > 1]  # fmt: skip
    said = [f"{key.replace('_', ' ')} {protocols[place].get(key, 'not said')}" for key in differing]
    if len({key[2] for key in keys}) > 1:
        told = [_data_told([members[at] for at in points[key]]) for key in keys]
        alike = sum(one[0] == told[place][0] for one in told) > 1
        said.append(" ".join(told[place] if alike else told[place][:1]))
    what = "another protocol" if differing else "other data"
    return (f"{what} than the others of its name: {', '.join(map(str, said))}",)


def _data_told(members: Sequence[Member]) -> tuple[str, str]:
    """What the data of a column are called, and what tells them from others that are called the same."""
    name = next((one.shown("data") for one in members if one.config), "–")
    facts = [one.facts for one in members if one.facts is not None]
    prints = sorted({one.fingerprint[:8] for one in facts})
    known = f"(fingerprint {', '.join(prints)})" if facts else "(no facts.json says whether they are the same)"
    return f"data {name}", known


def _splits(of: Mapping[int, object], members: Sequence[Member]) -> tuple[str, ...]:
    """Whether the runs of a column have one held-out set."""
    facts = [members[at].facts for at in of]
    prints = {one.fingerprint for one in facts if one is not None}
    if len(of) < 2 or (len(prints) == 1 and None not in facts):
        return ()
    if None in facts:
        return ("of some runs it is not known whether they were split, and scored, as the others were",)
    return (
        (
            "its runs were split by different seeds, so trained on and scored against different samples: train with "
            "one --split-seed for all"
        ),
    )
