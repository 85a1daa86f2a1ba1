"""`banach list [KIND]`: everything that a config can name, with examples."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from banach.cli import output
from banach.constraints import CONSTRAINTS
from banach.data import DATASETS
from banach.engine import flags, plugins, reader, values
from banach.engine.config import ConfigError
from banach.engine.flags import Command, Flag
from banach.metrics import EXTRACTORS
from banach.models import MODELS
from banach.objectives import OBJECTIVES, Objective, conditions
from banach.penalties import PENALTIES, SCHEDULES, SoftConstraint
from banach.spaces import INTENTS, SPACES, emphasises, space
from banach.specs import Registry, nearest
from banach.transport import PAIRS

Row = dict[str, str]


def _entries(registry: Registry) -> list[Row]:
    return [
        {"name": one.name, "example": one.examples[-1] if one.examples else "", "what it is": one.summary}
        for one in registry.entries()
    ]


def _spaces() -> list[Row]:
    intents = [{"name": name, "example": spec, "what it is": emphasises(space(spec))} for name, spec in INTENTS.items()]
    return intents + _entries(SPACES)


def _objectives() -> list[Row]:
    return [{**row, "Lipschitz GANs' conditions": _met(row["name"])} for row in _entries(OBJECTIVES)]


def _met(name: str) -> str:
    found = OBJECTIVES.parse(name)
    if not isinstance(found, Objective):
        return ""
    met = conditions(found)
    failing = [key.replace("_", " ") for key, holds in met.items() if not holds and key not in ("all", "strict")]
    if failing:
        return f"not: {', '.join(failing)}"
    return "all, strictly convex" if met["strict"] else "all, not strictly convex"


def _penalties() -> list[Row]:
    rows = []
    for row, entry in zip(_entries(PENALTIES), PENALTIES.entries(), strict=True):
        weight = f"{entry.value.weight:g}" if isinstance(entry.value, SoftConstraint) else ""
        rows.append({"name": row["name"], "weight": weight, "what it is": row["what it is"]})
    return rows


def _data() -> list[Row]:
    files = [
        {"name": "a folder", "example": "photos/", "what it is": "pictures, nested or flat, no class folders needed"},
        {"name": "a file", "example": "fields.npy", "what it is": "an array (n, d), (n, c, h, w), …; of several in an"
         " .npz one by file.npz:key"},
    ]  # fmt: skip
    return _entries(DATASETS) + files


def _presets() -> list[Row]:
    return [{"name": name, "what it is": summary} for name, summary in reader.presets().items()]


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

COMMAND = Command(
    "list",
    f"List what a config can name: {', '.join(_KINDS)}; without a kind, all of them.",
    (
        Flag("kind", values.name("spaces"), f"one of {', '.join(_KINDS)}", positional=True),
        Flag("plugin", values.listed(values.name("mine.py")), "Python files whose names are listed too", (), many=True),
        Flag("json", values.yes_no, "machine-readable output", False),
    ),
    ("banach list", "banach list spaces", "banach list objectives --json", "banach list spaces --plugin mine.py"),
)


def main(argv: Sequence[str]) -> int:
    options = flags.with_defaults(COMMAND, flags.parse(COMMAND, argv))
    for plugin in options["plugin"]:
        plugins.load(plugin)
    found = {kind: _KINDS[kind]() for kind in _asked(options["kind"])}
    if options["json"]:
        output.say_json(found)
        return 0
    for kind, rows in found.items():
        output.say_table(kind, *_table(rows))
    return 0


def _asked(kind: str | None) -> Iterable[str]:
    if kind is None:
        return _KINDS
    named = {one.lower(): one for one in _KINDS} | {one.rstrip("s"): one for one in _KINDS} | {"penalty": "penalties"}
    if kind.lower() not in named:
        raise ConfigError(f"unknown kind {kind!r}; {nearest(kind, _KINDS)}")
    return [named[kind.lower()]]


def _table(rows: list[Row]) -> tuple[list[str], list[list[Any]]]:
    columns = list(rows[0]) if rows else ["name"]
    return columns, [[row[column] for column in columns] for row in rows]
