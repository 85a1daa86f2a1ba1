"""grid.yaml: what the runs of a sweep share, what is varied, and the config of each run."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from banach.config import plugins
from banach.config.config import FIELDS, Config
from banach.config.flags import suggestion
from banach.config.keys import hyphened
from banach.config.reading import build, checked, file_values, preset_values, raw_values, require_plugins
from banach.errors import BanachError
from banach.specs import slug

MOST = 10_000
"""The largest number of runs in a sweep."""

_PARTS = {
    "preset": "a preset that the runs start from",
    "config": "a YAML file of keys that the runs start from",
    "base": "keys that all runs share",
    "cases": "a list of sets of keys that go together",
    "grid": "keys with a list of values each; every combination is a run",
    "seeds": "a list of seeds; every combination is run with each",
}
_LONGEST_NAME = 100
_NOT_HERE = {
    "out": "the sweep gives each run its folder; leave it out",
    "minutes": "the runs of a sweep are not planned; give steps (max-minutes stops a run, resumable)",
}


class SweepError(BanachError):
    """A sweep that cannot be made, read or run as asked; the message names the place, the value and the remedy."""


@dataclass(frozen=True)
class Planned:
    """One run: its name, the varied keys with their values as the user wrote them, its config (without a folder)."""

    name: str
    values: dict[str, Any]
    config: Config


@dataclass(frozen=True)
class Grid:
    """The runs of a sweep, in order, and the keys that they share, as JSON values."""

    source: str
    base: dict[str, Any]
    runs: tuple[Planned, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """The varied keys, with the number of values of each."""
        found: dict[str, set[str]] = {}
        for one in self.runs:
            for key, value in one.values.items():
                found.setdefault(key, set()).add(json.dumps(value))
        return {key: len(values) for key, values in found.items()}


@dataclass(frozen=True)
class _Choice:
    """One entry of an axis: as the user wrote it, and as it was read."""

    given: dict[str, Any]
    read: dict[str, Any]


def read_grid(path: str | Path, plugin: Sequence[str] = ()) -> Grid:
    """The grid in a YAML file, with the config of every run built, so that no bad value is left for later.

    Its parts: `preset` and `config` (what the runs start from), `base` (keys that all share), `cases` (a list of sets
    of keys that go together), `grid` (keys with a list of values each) and `seeds`. Every case is combined with every
    combination of the grid and every seed, the last part varying fastest. `plugin` are the files of code that the user
    allows. Raises `SweepError`, `ConfigError` or `PluginError`.
    """
    for one in plugin:
        plugins.load(one)
    source, found = str(path), dict(raw_values(path))
    for part in found:
        if part not in _PARTS:
            raise SweepError(f"{source}: {_unknown_part(str(part))}")
    base = _base(found, source)
    require_plugins(base, source)
    axes = _axes(found, base, source)
    if (n := math.prod(map(len, axes))) > MOST:
        raise SweepError(f"{source}: the grid has {n:,} runs; the most are {MOST:,}: make several sweeps of it")
    chosen = [_joined(one) for one in itertools.product(*axes)]
    names = _names([one.given for one in chosen])
    runs = []
    for index, (name, one) in enumerate(zip(names, chosen, strict=True)):
        values = {**base, **one.read}
        if "steps" not in values:
            raise SweepError(f"{source}: steps are missing (a sweep plans nothing); for example base: {{steps: 20k}}")
        try:
            runs.append(Planned(name, one.given, build(values)))
        except BanachError as error:
            raise SweepError(f"{source}: run {index} ({name}): {error}") from None
    _refuse_same(runs, source)
    return Grid(source, _plain(base), tuple(runs))


def _unknown_part(part: str) -> str:
    if part.replace("_", "-").lower() in map(hyphened, FIELDS):
        return f"{part} stands alone; put it under base (one value for all runs) or under grid (a list of values)"
    return f"unknown part {part!r}; " + suggestion(part, _PARTS, f"the parts are {', '.join(_PARTS)}")


def _base(found: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The keys that all runs share: preset < config < base."""
    values = preset_values(_text(found["preset"], source, "preset")) if found.get("preset") is not None else {}
    if found.get("config") is not None:
        values |= file_values(_text(found["config"], source, "config"))
    values.pop("out", None)
    return {**values, **_keys(found.get("base") or {}, f"{source}: base")}


def _text(value: Any, source: str, part: str) -> str:
    if not isinstance(value, str):
        raise SweepError(f"{source}: {part}: {value!r} is no name; give {_PARTS[part]}")
    return value


def _keys(value: Any, where: str) -> dict[str, Any]:
    """A mapping of keys to one value each, read."""
    if not isinstance(value, dict):
        raise SweepError(f"{where}: {value!r} is no set of keys; write 'key: value' on a line each")
    read = checked(value, where)
    for key, remedy in _NOT_HERE.items():
        if key in read:
            raise SweepError(f"{where}: {key}: {remedy}")
    return read


def _axes(found: Mapping[str, Any], base: Mapping[str, Any], source: str) -> list[list[_Choice]]:
    """What is combined: the cases, the values of each key of the grid, the seeds."""
    axes = [_cases(found["cases"], f"{source}: cases")] if found.get("cases") is not None else []
    grid = found.get("grid") or {}
    if not isinstance(grid, dict):
        raise SweepError(f"{source}: grid: {grid!r} is no set of keys; write 'key: [value, value]' on a line each")
    axes += [_values(str(key), values, f"{source}: grid") for key, values in grid.items()]
    if found.get("seeds") is not None:
        axes.append(_values("seed", found["seeds"], f"{source}: seeds"))
    own = _keys(found.get("base") or {}, f"{source}: base")
    taken: dict[str, str] = {}
    for at, axis in enumerate(axes):
        cases = at == 0 and found.get("cases") is not None
        for key in {key for one in axis for key in one.read}:
            if key in taken or (key in own and not cases):
                raise SweepError(f"{source}: {hyphened(key)} is given in two places; keep one of them")
            taken[key] = key
    return axes


def _cases(cases: Any, where: str) -> list[_Choice]:
    if not isinstance(cases, list) or not cases:
        raise SweepError(f"{where}: a list of sets of keys is needed, for example [{{penalty: maxgp, lr: 1e-4}}]")
    read = [_keys(one, f"{where}, number {at}") for at, one in enumerate(cases)]
    for one in read:
        _no_plugin(one, where)
    return [_Choice(_spelled(one), values) for one, values in zip(cases, read, strict=True)]


def _values(key: str, values: Any, where: str) -> list[_Choice]:
    """The values of one key; each entry of the list is one value, also of a key that is a list itself."""
    shown = hyphened(key).lower()
    if not isinstance(values, list) or not values:
        remedy = "write seeds: [0, 1, 2]" if where.endswith("seeds") else f"write {shown}: [value, value]"
        raise SweepError(f"{where}: {shown}: {values!r} is no list of values; {remedy} (one for all stands under base)")
    found = []
    for value in values:
        read = _keys({key: value}, where)
        _no_plugin(read, where)
        name = shown.replace("-", "_")
        if name in FIELDS and isinstance(FIELDS[name].default, tuple) and not isinstance(value, list):
            raise SweepError(
                f"{where}: {shown}: each value is a list itself, and {value!r} is none; write {shown}: [[0], [1, 7]]"
            )
        found.append(_Choice(_spelled({key: value}), read))
    return found


def _no_plugin(values: Mapping[str, Any], where: str) -> None:
    if "plugin" in values:
        raise SweepError(f"{where}: plugin: code is not varied; name all files under base, and choose by key")


def _spelled(given: Mapping[Any, Any]) -> dict[str, Any]:
    """As it is shown and kept: JSON values (a date of YAML becomes a text)."""
    return json.loads(json.dumps({hyphened(str(key)).lower(): value for key, value in given.items()}, default=str))


def _joined(choices: Sequence[_Choice]) -> _Choice:
    given: dict[str, Any] = {}
    read: dict[str, Any] = {}
    for one in choices:
        given |= one.given
        read |= one.read
    return _Choice(given, read)


def _names(varied: Sequence[Mapping[str, Any]]) -> list[str]:
    """A folder name for each run, made of what is varied: 'space-sobolev-s-1_seed-0'; all differ."""
    names = ["_".join(slug(f"{key}-{_word(value)}").strip(".-") for key, value in one.items()) for one in varied]
    short = [(one or "run")[:_LONGEST_NAME].strip(".-_") for one in names]
    found = []
    for index, (name, cut) in enumerate(zip(names, short, strict=True)):
        unlike = short.count(cut) == 1 and len(name) <= _LONGEST_NAME
        found.append(cut if unlike else f"{cut}_{index}")
    return found


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_word, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_same(runs: Sequence[Planned], source: str) -> None:
    """SweepError where two runs differ in nothing; two spellings of one spec are one value."""
    seen: dict[tuple[Any, ...], int] = {}
    for index, one in enumerate(runs):
        meaning = tuple(
            repr(vars(one.config.named)[name]) if key.names else repr(getattr(one.config, name))
            for name, key in FIELDS.items()
        )
        if meaning in seen:
            first = runs[seen[meaning]].name
            raise SweepError(
                f"{source}: runs {seen[meaning]} ({first}) and {index} ({one.name}) are the same; leave one out"
            )
        seen[meaning] = index


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back."""
    return json.loads(json.dumps(dict(values)))
