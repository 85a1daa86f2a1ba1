"""A comparison as plain data: methods, columns, and at each budget a cell for each method and score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from banach.report.comparison.columns import By, Column, Value, columns_of
from banach.report.comparison.members import Member
from banach.report.comparison.methods import Method, baseline_of
from banach.report.comparison.statistics import Summary, leader, paired, summary


@dataclass(frozen=True)
class Cell:
    """One score of one method at a budget: its numbers by seed, what they come to, and the paired difference."""

    values: Mapping[tuple[str, str], Value]
    summary: Summary | None
    difference: Summary | None
    """Of this method less the baseline, over the seeds of both; None of the baseline, and where they share no seed."""
    best: bool = False
    """It leads, and its paired difference to every other method has an interval without 0."""

    @property
    def numbers(self) -> dict[tuple[str, str], float]:
        """The numbers by seed."""
        return {seed: one.value for seed, one in self.values.items() if one.value is not None}

    @property
    def missing(self) -> int:
        """How many of the runs that count have no number here."""
        return sum(one.value is None for one in self.values.values())


@dataclass(frozen=True)
class Standing:
    """All cells at one kind of budget, (methods, columns), and what the budget of each column is."""

    by: By
    budgets: tuple[float | None, ...]
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Comparison:
    """Methods by scores, at equal steps and at equal time; nothing that was read is left out of it."""

    members: tuple[Member, ...]
    methods: tuple[Method, ...]
    baseline: int
    columns: tuple[Column, ...]
    standings: Mapping[By, Standing]
    notes: tuple[str, ...]


def compare(
    members: Sequence[Member], methods: Sequence[Method], baseline: str | None = None, notes: Sequence[str] = ()
) -> Comparison:
    """The comparison of runs as `methods` groups them; `ReportError` where no method is called `baseline`."""
    base = baseline_of(methods, baseline)
    columns = columns_of(members)
    standings = {by: _standing(members, methods, base, columns, by) for by in get_args(By)}
    said = (*notes, *_notes(members, methods, columns))
    return Comparison(tuple(members), tuple(methods), base, columns, standings, said)


def _standing(
    members: Sequence[Member], methods: Sequence[Method], base: int, columns: Sequence[Column], by: By
) -> Standing:
    place = {one.folder: at for at, one in enumerate(members)}
    counted = [place[run.folder] for method in methods for run in method.counted]
    budgets = tuple(column.budget(counted, by) for column in columns)
    by_column = []
    for column, budget in zip(columns, budgets, strict=True):
        if by == "time" and budget is None and not column.at_end:  # no run noted its time
            cells = [
                Cell({run.seed: Value(None, why="its time is not known") for run in method.counted}, None, None)
                for method in methods
            ]
        else:
            values = [{run.seed: column.value(place[run.folder], budget, by) for run in one.counted} for one in methods]
            cells = _cells(base, column, values)
        by_column.append(cells)
    return Standing(by, budgets, tuple(tuple(cells[at] for cells in by_column) for at in range(len(methods))))


def _cells(base: int, column: Column, values: Sequence[Mapping[tuple[str, str], Value]]) -> list[Cell]:
    """The cells of a column, from the values of each method."""
    found = [Cell(one, None, None) for one in values]
    numbers = [one.numbers for one in found]
    scored = [at for at, one in enumerate(numbers) if one]
    first = None if column.higher is None else leader([numbers[at] for at in scored], column.higher)
    best = None if first is None else scored[first]
    return [
        Cell(
            one.values,
            summary(list(numbers[at].values())),
            None if at == base else paired(numbers[at], numbers[base]),
            at == best,
        )
        for at, one in enumerate(found)
    ]


def _notes(members: Sequence[Member], methods: Sequence[Method], columns: Sequence[Column]) -> list[str]:
    """What a reader must know before reading any figure."""
    left = [one.kind for method in methods for one in method.left_out]
    found = [f"{len(left)} of {len(members)} runs do not count: {_counts(left)}. They are listed with their reasons"]
    found = found if left else []
    unfinished = sum(run.state == "unfinished" for method in methods for run in method.counted)
    if unfinished:
        found.append(f"{unfinished} of the runs that count are not finished: they count as far as they got")
    machines = {_machine(run) for method in methods for run in method.counted} - {""}
    if len(machines) > 1:
        found.append(f"runs were computed on {len(machines)} kinds of machine: at equal time that is compared as well")
    if len({one.title.split(" (")[0] for one in columns}) < len(columns):
        found.append(
            "scores of one name with different protocols, or of different data, stand in columns of their own, told "
            "apart by a letter"
        )
    for one in members:
        found += [f"{one.folder}: {note}" for note in one.run.notes if "facts.json" not in note]
    return found


def _counts(kinds: Sequence[str]) -> str:
    words = (("failed", "failed"), ("unfinished", "not finished"), ("repeated", "a seed that is there already"))
    return ", ".join(f"{kinds.count(kind)} {text}" for kind, text in words if kind in kinds)


def _machine(one: Member) -> str:
    """What decides how long a step takes, as far as it is known."""
    found = one.run.environment
    return ", ".join(f"{found[key]}" for key in ("gpu", "processor", "threads") if found.get(key))
