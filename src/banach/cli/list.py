"""`banach list [KIND]`: everything that a config can name, with examples."""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from banach.cli import output
from banach.config import flags, plugins, readers, reading
from banach.config.config import ConfigError
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.constraints import CONSTRAINTS
from banach.data import DATASETS
from banach.metrics import EXTRACTORS
from banach.models import MODELS
from banach.objectives import EQUATION_11, OBJECTIVES, TableRow, conditions, table_row
from banach.penalties import PENALTIES, SCHEDULES, SoftConstraint
from banach.spaces import INTENTS, SPACES, emphasises, space
from banach.specs import Registry, nearest
from banach.transport import PAIRS

Row = dict[str, Any]
"""Texts are shown in the table and in JSON; other values (numbers, a whole source) in JSON only."""


def _entries(registry: Registry) -> list[Row]:
    rows = [
        {"name": one.name, "example": one.examples[-1] if one.examples else "", "what it is": one.summary}
        for one in registry.entries()
    ]
    return [{**row, **source} for row, source in zip(rows, _sources(registry), strict=True)]


def _sources(registry: Registry) -> list[Row]:
    """Paper and equation of each entry, in short; in JSON also defaults, the code checked against, what is unverified.

    Nothing where no entry of the registry names its source.
    """
    found = [one.source for one in registry.entries()]
    if not any(found):
        return [{} for _ in found]
    return [{"source": str(one or ""), "source in full": asdict(one) if one else None} for one in found]


def _spaces() -> list[Row]:
    intents = [
        {"name": name, "example": spec, "what it is": emphasises(space(spec)), "source": "", "source in full": None}
        for name, spec in INTENTS.items()
    ]
    return intents + _entries(SPACES)


EQ_11 = "eq. 11 of Lipschitz GANs" + (" (unverified)" if EQUATION_11.unverified else "")
FREE = "Table 1, f free: vanishing, uninformative, unique"
RESTRAINED = "Table 1, f Lipschitz: vanishing, uninformative, unique"


def _objectives() -> list[Row]:
    rows = zip(_entries(OBJECTIVES), OBJECTIVES.entries(), strict=True)
    return [{**row, **_theory(entry.examples[0])} for row, entry in rows]


@functools.cache
def _theory(spec: str) -> Row:
    """The conditions, and the row of Table 1 without and with a Lipschitz penalty; in JSON their numbers too."""
    found = OBJECTIVES.parse(spec)
    met = conditions(found)
    failing = [key.replace("_", " ") for key, holds in met.items() if not holds and key not in ("all", "strict")]
    said = f"not: {', '.join(failing)}" if failing else "all"
    table = {case: table_row(found, case) for case in ("none", "penalty", "bound")}
    return {
        "computed for": spec,
        EQ_11: f"{said}, {'strictly convex' if met['strict'] else 'not strictly convex'}",
        FREE: _row(table["none"]),
        RESTRAINED: _row(table["penalty"]),
        "conditions": met,
        "table 1": {case: {key: _jsonable(value) for key, value in asdict(one).items()} for case, one in table.items()},
    }


def _row(of: TableRow) -> str:
    answers = (of.vanishing, of.uninformative, of.unique)
    return ", ".join("?" if one is None else "yes" if one else "no" for one in answers)


def _jsonable(value: bool | float | None) -> bool | float | str | None:
    """JSON knows finite numbers only."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _penalties() -> list[Row]:
    rows = []
    for row, entry in zip(_entries(PENALTIES), PENALTIES.entries(), strict=True):
        weight = f"{entry.value.weight:g}" if isinstance(entry.value, SoftConstraint) else ""
        shown = {key: value for key, value in row.items() if key not in ("name", "example")}
        rows.append({"name": row["name"], "weight": weight, **shown})
    return rows


def _data() -> list[Row]:
    files = [
        {"name": "a folder", "example": "photos/", "what it is": "pictures, nested or flat, no class folders needed"},
        {"name": "a file", "example": "fields.npy", "what it is": "an array (n, d), (n, c, h, w), …; one of several in"
         " an .npz by file.npz:key"},
    ]  # fmt: skip
    return _entries(DATASETS) + files


def _presets() -> list[Row]:
    return [{"name": name, "what it is": summary} for name, summary in reading.presets().items()]


_KINDS: dict[str, Callable[[], list[Row]]] = {
    "spaces": _spaces,
    "objectives": _objectives,
    "penalties": _penalties,
    "schedules": lambda: _entries(SCHEDULES),
    "constraints": lambda: _entries(CONSTRAINTS),
    "models": lambda: _entries(MODELS),
    "data": _data,
    "pairs": lambda: _entries(PAIRS),
    "presets": _presets,
    "extractors": lambda: _entries(EXTRACTORS),
}


@dataclass(frozen=True)
class Options:
    """The options of `banach list`."""

    kind: str | None = word(readers.name("spaces"), f"one of {', '.join(_KINDS)}", default=None)
    plugin: tuple[str, ...] = flag(
        (), readers.listed(readers.name("mine.py")), "Python files whose names are listed too", many=True
    )
    json: bool = flag(False, readers.yes_no, "machine-readable output")


COMMAND = Command(
    "list",
    f"List what a config can name: {', '.join(_KINDS)}; without a kind, all of them.",
    Options,
    ("banach list", "banach list spaces", "banach list objectives --json", "banach list spaces --plugin mine.py"),
)


def main(argv: Sequence[str]) -> int:
    options, _ = flags.read(COMMAND, argv)
    for plugin in options.plugin:
        plugins.load(plugin)
    found = {kind: _KINDS[kind]() for kind in _asked(options.kind)}
    if options.json:
        output.say_json(found)
        return 0
    for kind, rows in found.items():
        theory = ("computed for", EQ_11, FREE, RESTRAINED)
        output.say_table(kind, *_table(rows, without=theory))
        if kind == "objectives":
            output.say_table("objectives: what Lipschitz GANs say of them", theory, _columns(rows, theory))
    return 0


def _asked(kind: str | None) -> Iterable[str]:
    if kind is None:
        return _KINDS
    named = {one.lower(): one for one in _KINDS} | {one.rstrip("s"): one for one in _KINDS} | {"penalty": "penalties"}
    if kind.lower() not in named:
        raise ConfigError(f"unknown kind {kind!r}; {nearest(kind, _KINDS)}")
    return [named[kind.lower()]]


def _table(rows: list[Row], without: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
    texts = [name for name, value in rows[0].items() if isinstance(value, str)] if rows else ["name"]
    columns = [name for name in texts if name not in without]
    return columns, _columns(rows, columns)


def _columns(rows: list[Row], columns: Sequence[str]) -> list[list[str]]:
    return [[row[column] for column in columns] for row in rows]
