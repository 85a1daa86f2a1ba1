"""One run as a comparison needs it: its config as values that compare, how it ended, and every score with its protocol.

Nothing is dropped here: a run that failed or is not finished is a member with its reason.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from banach.config.config import GONE
from banach.config.parts import FIELDS
from banach.errors import BanachError
from banach.foreign import read_bytes, read_json, visible
from banach.report.facts import plain
from banach.report.run import Run, read_run
from banach.runs import facts
from banach.runs.facts import Facts
from banach.runs.folder import RunFolder
from banach.runs.lock import held
from banach.runs.records import read_scores

State = Literal["finished", "unfinished", "failed"]

SEEDS = ("seed", "split_seed")
"""Keys in which the runs of one method may differ, beside those that say how a run is computed."""

_OF_DATA = (
    "data", "size", "axes", "fit", "pad", "crop", "classes", "holdout", "normalise", "pages", "range", "background",
)  # fmt: skip
_LARGEST = 1e100
_LONGEST = 300


@dataclass(frozen=True)
class Scoring:
    """One score of one run at one step; `value` is NaN where it was not finite, `minutes` None where unknown."""

    name: str
    step: int
    minutes: float | None
    value: float
    floor: float | None
    protocol: Mapping[str, Any]
    at_end: bool = False
    """It was taken of the finished generator by the comparison itself, and belongs to no step of a common budget."""


@dataclass(frozen=True)
class Member:
    """One run of a comparison."""

    run: Run
    facts: Facts | None
    scorings: tuple[Scoring, ...]
    error: str = ""
    """What it ended with, as the worker of a sweep noted; '' where it did not, or none noted it."""

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.run.folder

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every key of today with the run's value or the default, and keys that this version does not know.

        Empty where config.yaml could not be read: nothing is taken for a default that may have been another value.
        """
        if not self.run.config:
            return {}
        given = {str(key).replace("-", "_"): value for key, value in self.run.config.items()}
        known = {key: given.get(key, one.default) for key, one in FIELDS.items()}
        return known | {key: value for key, value in given.items() if key not in known and key not in GONE}

    @cached_property
    def meanings(self) -> dict[str, str]:
        """Each key's value as a text that is the same for two spellings of one value."""
        return {key: self._meaning(key) for key in self.config}

    def _meaning(self, key: str) -> str:
        value = self.config[key]
        about = FIELDS.get(key)
        if about is None:
            return repr(value)
        try:
            read = about.read(value)
            return repr(about.names(read)) if about.names is not None else repr(read)
        except (BanachError, ValueError, TypeError, OverflowError, RecursionError):  # a plugin's, or a stranger's
            return repr(value)

    def shown(self, key: str) -> str:
        """The value of a key for people."""
        return visible(plain(self.config.get(key)))[:_LONGEST]

    @cached_property
    def seed(self) -> tuple[str, str]:
        """What pairs runs of two methods: the seed, and that of the split, which is the same where there is none."""
        seed, split = self.shown("seed"), self.config.get("split_seed")
        return seed, seed if split is None else plain(split)

    @property
    def seed_said(self) -> str:
        """The seed, for people."""
        return self.seed[0]

    @property
    def data_said(self) -> tuple[str, ...]:
        """What the data are by name, reading and counts: runs with the same may still be split by other seeds."""
        counts = () if self.facts is None else (self.facts.train, self.facts.held_out, self.facts.shape)
        return (*self.reading, repr(counts))

    @property
    def reading(self) -> tuple[str, ...]:
        """What its config says of the data and of how they are read."""
        return tuple(self.meanings.get(key, "") for key in _OF_DATA)

    @cached_property
    def state(self) -> State:
        """How it ended; a run that finished without one score that is a number has failed too."""
        if not self.run.config or self.run.status == "not finite" or (self.error and self.run.status != "finished"):
            return "failed"
        if self.run.status != "finished":
            return "unfinished"
        if any(math.isfinite(one.value) for one in self.scorings):
            return "finished"
        return "unfinished" if held(RunFolder(self.folder).lock) else "failed"  # it is being scored

    @cached_property
    def reason(self) -> str:
        """Why it is not among those that finished; '' where it is."""
        if self.state == "finished":
            return ""
        if not self.run.config:
            return "its config.yaml cannot be read"
        return self._without_scores if self.run.status == "finished" else self._cut_short

    @property
    def _cut_short(self) -> str:
        """Why it did not reach its last step, as far as that is known."""
        last = _said(self.run.log_tail[-1]) if self.run.log_tail else ""
        if self.run.status == "not finite":
            noted = self.facts.not_finite if self.facts is not None else ""
            return noted or last or "not finite"
        if self.error:
            return self.error
        of = f" of {self.run.steps:,}" if self.run.steps else ""
        after = f": {last}" if last and self.run.status == "stopped" else ""
        return f"{self.run.status} at step {self.run.step:,}{of}{after}"

    @property
    def _without_scores(self) -> str:
        """Why a run that finished has no score."""
        if self.scorings:
            return "finished, and no score of it is finite"
        if self.state == "unfinished":
            return "at its last step, and not scored yet"
        missed = next((one for one in map(_said, reversed(self.run.log_tail)) if one.startswith("no scores")), "")
        return f"finished without a score{f': {missed}' if missed else ''}"

    def with_scoring(self, one: Scoring) -> "Member":
        """The same with one more score."""
        return replace(self, scorings=(*self.scorings, one))


def read_member(folder: Path) -> Member:
    """The run in a folder; `ReportError` where there is none."""
    run, of = read_run(folder), RunFolder(folder)
    try:
        known = facts.read(of.facts)
    except (OSError, BanachError):  # older runs have none
        known = None
    rows, _ = read_scores(of.scores)  # lines that cannot be read are in the notes of the run
    by_step = {row["step"]: row for row in rows}
    return Member(
        run, known, tuple(one for step in sorted(by_step) for one in _scorings(by_step[step])), _error(folder)
    )


def _error(folder: Path) -> str:
    """The error in the ended.json that a sweep's worker leaves in the folder of a run that failed."""
    try:
        found = read_json(read_bytes(folder / "ended.json"))
        code, message = found["code"], found["message"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return visible(" ".join(str(message).split()))[:_LONGEST] or f"code {code}" if code != 0 else ""


def _scorings(row: Mapping[str, Any]) -> list[Scoring]:
    """All scores of a line of scores.jsonl, W1 in a norm among them."""
    found = _of(row, row.get("value"), row.get("floor"), row.get("protocol"))
    moved = row.get("transport")
    if isinstance(moved, dict) and isinstance(beyond := moved.get("excess"), dict):
        found += _of(row, {"excess": beyond.get("value")}, {}, moved.get("protocol"))
    return found


def _of(row: Mapping[str, Any], values: Any, floors: Any, protocol: Any) -> list[Scoring]:
    if not isinstance(values, dict):
        return []
    floors = floors if isinstance(floors, dict) else {}
    about = protocol if isinstance(protocol, dict) else {"protocol": str(protocol)} if protocol else {}
    minutes = number(row.get("minutes"))
    return [
        Scoring(
            visible(str(name)), row["step"], minutes if math.isfinite(minutes) else None, number(value),
            floor if math.isfinite(floor := number(floors.get(name))) else None, about,
        )
        for name, value in values.items()
    ]  # fmt: skip


def number(value: Any) -> float:
    """A number of sane size, or else NaN: what is stored as null, a text, infinite or beyond 1e100 is no score."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value) if abs(value) < _LARGEST else math.nan
    except OverflowError:
        return math.nan


def _said(line: str) -> str:
    """A line of log.txt without its time."""
    return visible(line[21:] if line[4:5] == "-" and line[19:21] == "  " else line)[:_LONGEST]
