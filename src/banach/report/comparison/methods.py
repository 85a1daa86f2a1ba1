"""Runs as methods: what differs in its seed alone is one method, and is named by what it differs in from the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from banach.config.keys import hyphened
from banach.config.parts import FIELDS
from banach.report.comparison.members import SEEDS, Member
from banach.report.run import ReportError
from banach.specs import nearest

_SPEAK_FOR_THEMSELVES = ("space", "objective", "penalty", "constraint", "model")
"""Keys whose values name themselves."""


@dataclass(frozen=True)
class LeftOut:
    """A run that does not count, and why; it is shown all the same."""

    member: Member
    why: str
    kind: str  # "failed" | "unfinished" | "repeated"


@dataclass(frozen=True)
class Method:
    """Runs over seeds of one setting."""

    name: str
    members: tuple[Member, ...]
    counted: tuple[Member, ...]
    left_out: tuple[LeftOut, ...]

    def number(self, kind: str) -> int:
        """How many of its runs failed, are unfinished, or repeat a seed."""
        return sum(one.kind == kind for one in self.left_out)


def data_groups(members: Sequence[Member]) -> list[int]:
    """A number for each run: runs of the same data have the same one.

    The same are those with one fingerprint, and those of one name, reading and count, which are then split by different
    seeds. A run that has not read its data yet goes with the first that reads them alike.
    """
    group = list(range(len(members)))
    seen: dict[object, int] = {}
    for at, one in enumerate(members):
        prints = [one.facts.fingerprint] if one.facts is not None else []
        for mark in (*prints, one.data_said):
            first = seen.setdefault(mark, at)
            if group[first] != group[at]:
                old, new = sorted((group[first], group[at]), reverse=True)
                group = [new if number == old else number for number in group]
    read = {one.reading: number for one, number in reversed(list(zip(members, group, strict=True))) if one.facts}
    return [
        read.get(one.reading, number) if one.facts is None and not one.scorings else number
        for one, number in zip(members, group, strict=True)
    ]


def methods_of(members: Sequence[Member], unfinished: bool = False, names: Mapping[str, str] | None = None) -> tuple[
    Method, ...
]:  # fmt: skip
    """The methods among runs, in the order of their first runs.

    With `unfinished`, runs that have not finished count as far as they got. `names` are names for methods, by the name
    that they would have or by the folder of one of their runs; `ReportError` for one that is neither, or given twice.
    """
    groups = data_groups(members)
    settings: dict[tuple[tuple[str, str], ...], list[Member]] = {}
    for one, group in zip(members, groups, strict=True):
        settings.setdefault(_identity(one, group), []).append(one)
    found = list(settings.values())
    titles = _names([(runs[0], dict(key)) for key, runs in settings.items()])
    made = [_method(name, runs, unfinished) for name, runs in zip(titles, found, strict=True)]
    return _renamed(made, names or {})


def _identity(one: Member, group: int) -> tuple[tuple[str, str], ...]:
    """What runs of one method have in common: all keys but the seeds and those of the machine, and the data."""
    if not one.run.config:
        return (("config", str(one.folder)),)
    planned = one.config.get("minutes") is not None  # its steps are what the machine had time for
    told = {
        key: text
        for key, text in one.meanings.items()
        if key not in SEEDS and not (key in FIELDS and FIELDS[key].may_change) and not (planned and key == "steps")
    }
    return (*told.items(), ("data", f"{group}"))


def _names(settings: Sequence[tuple[Member, Mapping[str, str]]]) -> list[str]:
    """A name for each setting, from as few keys as tell all of them apart."""
    if len(settings) == 1:
        only = settings[0][0]
        return [only.shown("space") if only.run.config else only.folder.name]
    keys = telling([one for _, one in settings])
    names = [_spelled(member, keys) for member, _ in settings]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: at + 1].count(name)})" for at, name in enumerate(names)
    ]


def telling(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """As few of the keys that differ as tell all settings apart, found one by one, those of the game first.

    >>> telling([{"lr": "1", "z": "2"}, {"lr": "2", "z": "3"}, {"lr": "2", "z": "4"}])
    ['z']
    """
    order = {key: at for at, key in enumerate((*_SPEAK_FOR_THEMSELVES, "data", *FIELDS))}
    keys = sorted({key for one in settings for key in one}, key=lambda key: (order.get(key, len(order)), key))
    chosen: list[str] = []

    def apart(by: Sequence[str]) -> int:
        return len({tuple(one.get(key, "") for key in by) for one in settings})

    while apart(chosen) < apart(keys):
        chosen.append(max(keys, key=lambda key: apart([*chosen, key])))
    return sorted(chosen, key=lambda key: (order.get(key, len(order)), key))


def _spelled(member: Member, keys: Sequence[str]) -> str:
    """The values of the keys in which methods differ: Sobolev(s=-1), lr=0.001."""
    if not member.run.config:
        return member.folder.name
    parts = []
    for key in keys:
        value = member.shown(key)
        alone = key in _SPEAK_FOR_THEMSELVES and value not in ("none", "–")
        parts.append(value if alone else f"{hyphened(key)}={value}")
    return ", ".join(parts)


def _method(name: str, runs: Sequence[Member], unfinished: bool) -> Method:
    """Which of the runs count: of one seed the first that may."""
    counted: dict[tuple[str, str], Member] = {}
    left: list[LeftOut] = []
    for one in sorted(runs, key=lambda one: one.state != "finished"):  # what finished goes before what did not
        if one.state == "failed" or (one.state == "unfinished" and not (unfinished and one.scorings)):
            left.append(LeftOut(one, one.reason, one.state))
        elif one.seed in counted:
            left.append(LeftOut(one, f"repeats seed {one.seed_said} of {counted[one.seed].folder.name}", "repeated"))
        else:
            counted[one.seed] = one
    return Method(name, tuple(runs), tuple(counted.values()), tuple(left))


def _renamed(methods: list[Method], names: Mapping[str, str]) -> tuple[Method, ...]:
    for which, name in names.items():
        at = _named(methods, which)
        if any(one.name == name for place, one in enumerate(methods) if place != at):
            raise ReportError(f"--name: two methods would be called {name!r}; choose different names")
        methods[at] = replace(methods[at], name=name)
    return tuple(methods)


def _named(methods: Sequence[Method], which: str) -> int:
    """The place of the method of a name or with a run in a folder."""
    for at, one in enumerate(methods):
        if one.name == which or any(Path(which).expanduser().resolve() == run.folder.resolve() for run in one.members):
            return at
    raise ReportError(f"--name: no method or run is called {which!r}; {nearest(which, [one.name for one in methods])}")


def baseline_of(methods: Sequence[Method], name: str | None) -> int:
    """The place of the method that others are compared with: that of this name, or the first of which a run counts."""
    names = [one.name for one in methods]
    if name is None:
        return next((at for at, one in enumerate(methods) if one.counted), 0)
    if name not in names:
        folder = Path(name).expanduser().resolve()
        at = next(
            (at for at, one in enumerate(methods) if folder in {run.folder.resolve() for run in one.members}), None
        )
        if at is None:
            raise ReportError(f"--baseline: no method is called {name!r}; {nearest(name, names)}")
        return at
    return names.index(name)


def differing(methods: Sequence[Method]) -> list[tuple[str, list[str]]]:
    """(key, its value in each method) of all keys in which methods differ, machine keys aside."""
    found = []
    for key in dict.fromkeys(key for one in methods for key in one.members[0].config):
        if key in SEEDS or (key != "data" and key in FIELDS and FIELDS[key].may_change):
            continue
        values = [sorted({run.meanings.get(key, "") for run in one.members}) for one in methods]
        if any(one != values[0] for one in values[1:]):
            shown = [" | ".join(dict.fromkeys(run.shown(key) for run in one.members)) for one in methods]
            found.append((hyphened(key), shown))
    return found
