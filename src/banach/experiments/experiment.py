"""What an experiment is: a text's claim, a rule that is fixed before the run, and what a run of it found."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from banach.errors import BanachError
from banach.experiments.costs import Clock, note
from banach.files import write_text

SCALES = ("tiny", "small", "paper")
"""tiny: seconds, for tests; small: honest on two cores; paper: the published constants, for a GPU."""

VERDICTS = HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Check:
    """One inequality of an experiment's rule: `value` is to be at least (or at most) `limit`.

    >>> one = Check("share of bounded fakes", 0.98, 0.95)
    >>> one.holds, round(one.margin, 2), str(one)
    (True, 0.03, 'share of bounded fakes: 0.98, at least 0.95 asked')
    """

    what: str
    value: float
    limit: float
    at_least: bool = True

    @property
    def holds(self) -> bool | None:
        """None where nothing was measured."""
        if math.isnan(self.value):
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def margin(self) -> float:
        """By how much it holds; negative where it does not."""
        return self.value - self.limit if self.at_least else self.limit - self.value

    def __str__(self) -> str:
        return f"{self.what}: {self.value:.4g}, at {'least' if self.at_least else 'most'} {self.limit:.4g} asked"


@dataclass(frozen=True)
class Table:
    """A table of texts, for the page and for Markdown."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A picture in the experiment's folder, and what it shows."""

    file: str
    caption: str


@dataclass(frozen=True)
class Outcome:
    """What a run of an experiment found. `settings` and `numbers` are of plain types, as JSON has them."""

    settings: Mapping[str, Any]
    numbers: Mapping[str, Any]
    checks: tuple[Check, ...]
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The claim holds where all checks do; what was not measured leaves it undecided."""
        held = [one.holds for one in self.checks]
        if False in held:
            return FAILS
        return HOLDS if held and None not in held else UNDECIDED


def _silent(line: str) -> None:
    del line


@dataclass(frozen=True)
class Setting:
    """How an experiment is run: its scale, its folder, its seeds, the user's own data (or None), who hears of it.

    `published` asks for the constants of the text where those of the scale differ from them. A share of an experiment,
    one seed of it, draws into a folder of its own, and keeps its parts where the whole has them: in its `home`.
    """

    scale: str
    folder: Path
    seeds: tuple[int, ...] = (0,)
    data: str | None = None
    published: bool = False
    tell: Callable[[str], None] = field(default=_silent, compare=False)
    home: Path | None = None

    @property
    def at_home(self) -> Path:
        """The folder of what lasts: parts, and runs."""
        return self.home or self.folder

    def pick(self, tiny: _Value, small: _Value, paper: _Value) -> _Value:
        """The one of this scale."""
        return {"tiny": tiny, "small": small, "paper": paper}[self.scale]

    def part(self, name: str, make: Callable[[], Any]) -> Any:
        """A part of the run, as JSON has it: made once, and read where the run was stopped after it.

        It is kept in `parts`, under its name; the name says all that the part depends on.
        """
        folder = self.at_home / "parts" / ("published" if self.published else "")
        path = folder / f"{re.sub(r'[^A-Za-z0-9.=+-]+', '_', name)}.json"
        if path.exists():
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise BanachError(f"{path} is damaged ({error}); remove it, and run the same command again") from None
        folder.mkdir(parents=True, exist_ok=True)
        clock = Clock()
        text = json.dumps(plain(make()))
        note(path, clock.since())
        write_text(path, text)
        self.tell(f"{name}: done")
        return json.loads(text)


def plain(value: Any) -> Any:
    """The same as JSON has it: numbers that are not finite become "nan", "inf" and "-inf".

    >>> plain({"a": (1, float("inf"))})
    {'a': [1, 'inf']}
    """
    match value:
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case bool() | int() | str() | None:
            return value
        case float():
            return value if math.isfinite(value) else str(value)
    raise TypeError(f"{value!r} is of no plain type")


Run = Callable[[Setting], Outcome]


@dataclass(frozen=True)
class Experiment:
    """One experiment of the texts.

    `claim` is what the text says, `rule` how `run`'s checks decide it; both stand before any run. `cpu_minutes` are
    those of CPU that all its seeds take, by scale, with the second run where the claim failed when they were measured
    (those at `paper` are an estimate); a scale without them is not for a CPU. `seeds` is how many there are by scale.
    With `own_data` it takes the user's data. With `grid` the paper's scale is a sweep: the YAML of `banach sweep
    create`.
    """

    name: str
    title: str
    source: str
    claim: str
    rule: str
    run: Run
    cpu_minutes: Mapping[str, float]
    seeds: Mapping[str, int] = field(default_factory=lambda: {"tiny": 1, "small": 1, "paper": 1})
    own_data: bool = False
    constants_differ: bool = False
    """The constants at `small` are not the published ones: where the claim fails, it is run with those too."""
    published_seeds: int | None = None
    """So many seeds of that second run, where all would take hours; None for all."""
    grid: Callable[[Setting], Mapping[str, Any]] | None = None
    together: bool = False
    """All seeds are trained at once, in one network: no seed is a share of its own."""
    judges_sweep: bool = False
    """`run` judges the runs of the grid's sweep, once they have ended; else `banach compare` shows them."""

    def __post_init__(self) -> None:
        if not self.claim.strip() or not self.rule.strip():
            raise BanachError(f"{self.name}: an experiment states its claim and its rule before it runs")
