"""`banach compare RUNS…`: several runs as methods over seeds, in one page, and as CSV, LaTeX and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from banach.cli import output
from banach.config import flags, plugins, readers
from banach.config.config import ConfigError
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.errors import BanachError
from banach.files import refuse_device, write_text
from banach.foreign import as_command
from banach.generator import Generator
from banach.report import ReportError
from banach.report.comparison import (
    Comparison,
    Method,
    Scoring,
    as_csv,
    as_latex,
    as_mapping,
    compare,
    find_runs,
    methods_of,
    plots,
    read_member,
    write_comparison,
)
from banach.report.comparison.columns import By
from banach.report.comparison.comparison import Cell
from banach.report.comparison.plots import INSTALL
from banach.report.comparison.tables import budget_said, decimals, interval, plus_minus, seeds_said
from banach.session.reference import Reference, reference_for
from banach.session.scoring import TRANSPORTED, score_w1
from banach.spaces import Metric, space
from banach.transport.permutations import LEAST

_COMMON = "with --space"


def _renaming(value: Any) -> tuple[str, str]:
    """WHICH=NAME; what stands before the last = may hold some itself."""
    which, equals, name = str(value).rpartition("=")
    if not equals or not which.strip() or not name.strip():
        raise BanachError(f"{value!r} names nothing; write WHICH=NAME, for example 'Sobolev(s=-1)=ours'")
    return which.strip(), name.strip()


def _renamings(value: Any) -> tuple[tuple[str, str], ...]:
    return (_renaming(value),)


@dataclass(frozen=True)
class Options:
    """What a `banach compare` line says."""

    # fmt: off
    runs: tuple[str, ...] = word(readers.name("runs/*"), "run folders, folders that hold runs (a sweep's), patterns",
        many=True)
    baseline: str | None = flag(None, readers.name("wgan-gp"), "the method that the others are compared with, by its "
        "name or the folder of one of its runs; default: the first of which a run counts", metavar="NAME")
    by: By = flag("steps", readers.one_of("steps", "time"), "the common budget at which the page opens, and that of "
        "LaTeX and console: the largest step, or the longest training time, that all runs reach")
    name: tuple[tuple[str, str], ...] = flag((), _renamings, "another name for a method, which is given by its name "
        "or by the folder of one of its runs", metavar="WHICH=NAME", many=True)
    unfinished: bool = flag(False, readers.yes_no, "count runs that have not finished as far as they got (they set the "
        "common budget, too); without it they are listed, and count only where no run has finished")
    out: str = flag("compare.html", readers.name("compare.html"), "the page", metavar="FILE")
    csv: str | None = flag(None, readers.name("table.csv"), "write the table as CSV, too", metavar="FILE")
    latex: str | None = flag(None, readers.name("table.tex"), "write the table as a LaTeX tabular (booktabs), too",
        metavar="FILE")
    space: str | None = flag(None, readers.name("shape"), "a norm in which the excess of W1 is measured for the newest "
        "generators of all runs that count, against one held-out set", metavar="SPEC")
    samples: int = flag(TRANSPORTED, readers.count(LEAST), "samples of each at most", group=_COMMON, metavar="N")
    data: str | None = flag(None, readers.name("test.npy"), "samples that no run was trained on; default: what the "
        "runs held out, which must then be the same in all", group=_COMMON)
    plugin: tuple[str, ...] = flag((), readers.listed(readers.name("mine.py")), "Python files that bring spaces, models"
        " or data", many=True)
    json: bool = flag(False, readers.yes_no, "machine-readable output")
    # fmt: on


COMMAND = Command(
    "compare",
    "Compare runs: those that differ in their seed alone are one method; a table at equal steps and at equal time with "
    "paired differences, curves, samples, the critics' derivatives, and what differs, in one self-contained page.",
    Options,
    (
        "banach compare runs/l2-* runs/shape-*",
        "banach compare sweeps/norms --baseline 'Lp(p=2)' --by time --out norms.html",
        "banach compare runs/a runs/b --csv table.csv --latex table.tex",
        "banach compare sweeps/norms --space shape --samples 2000",
        "banach compare runs/* --name 'runs/mine=ours'",
    ),
    "Failed and unfinished runs are listed with their reasons. Scores of different protocols, or of different data, "
    "never stand in one column. Train all seeds with one --split-seed, and all are scored against the same held-out "
    f"samples. Curves that answer to the mouse need plotly: {INSTALL}; without it they are still pictures.",
)


def main(argv: Sequence[str]) -> int:
    options, given = flags.read(COMMAND, argv)
    if options.space is None and (stray := sorted({"samples", "data"} & given)):
        raise ConfigError(f"--{stray[0]} is of --space, which is not given; add --space, or leave it out")
    for plugin in options.plugin:
        plugins.load(plugin)
    return told(options, ["banach", "compare", *argv])


def told(options: Options, command: Sequence[str]) -> int:
    """Compare, write what was asked for, and say where it is."""
    files = {"page": options.out, "csv": options.csv, "latex": options.latex}
    _check_files({key: one for key, one in files.items() if one is not None})
    metric = None if options.space is None else space(options.space)
    with output.waiting("reading the runs"):
        found = compared(options, metric)
    written = {"page": str(write_comparison(found, Path(options.out).expanduser(), options.by, as_command(command)))}
    for kind, path, text in (
        ("csv", options.csv, as_csv(found)),
        ("latex", options.latex, as_latex(found, options.by)),
    ):
        if path is not None:
            write_text(Path(path).expanduser(), text)
            written[kind] = path
    if options.json:
        output.say_json({**written, **as_mapping(found)})
        return 0
    _say(found, options.by)
    for kind, path in written.items():
        still = f" (still pictures; with hover: {INSTALL})" if kind == "page" and not plots.library() else ""
        output.say(f"written: {path}{still}")
    return 0


def _check_files(files: Mapping[str, str]) -> None:
    """`ConfigError` now, where something could not be written after all the work."""
    if len({Path(one).expanduser().resolve() for one in files.values()}) < len(files):
        raise ConfigError("--out, --csv and --latex name one file more than once; choose different ones")
    for one in files.values():
        path = Path(one).expanduser()
        if path.is_dir() or not path.absolute().parent.is_dir():
            what = "is a folder" if path.is_dir() else "lies in a folder that does not exist"
            raise ConfigError(f"{one} {what}; name a file")
        refuse_device(path)


def compared(options: Options, metric: Metric | None = None) -> Comparison:
    """The comparison that the options ask for, with the excess of W1 in one norm where a `metric` is given."""
    runs = find_runs(options.runs)
    members, notes = [read_member(one) for one in runs.folders], list(runs.notes)
    names = dict(options.name)
    methods = methods_of(members, options.unfinished, names)
    if not any(one.counted for one in methods) and not options.unfinished:
        methods = methods_of(members, True, names)
        notes.append("no run has finished")
    if metric is not None:
        scored = _in_one_norm(methods, metric, options)
        members = [one.with_scoring(scored[one.folder]) if one.folder in scored else one for one in members]
        methods = methods_of(members, options.unfinished or "no run has finished" in notes, names)
    return compare(members, methods, options.baseline, notes)


def _in_one_norm(methods: Sequence[Method], metric: Metric, options: Options) -> dict[Path, Scoring]:
    """The excess of W1 of the newest generator of each run that counts, by its folder."""
    members = [run for method in methods for run in method.counted]
    files = {run.folder: run.folder / "generator.safetensors" for run in members}
    generators = {folder: Generator.load(file) for folder, file in files.items() if file.is_file()}
    if not generators:
        raise ReportError("--space: no run that counts has a generator to measure; leave it out")
    if metric.computed:
        raise ConfigError(f"--space: {metric!r} is itself computed, and W1 needs exact distances; its dual has them")
    against = _one_reference(generators, options.data)
    found = {}
    with output.counting("W1") as count:
        for place, run in enumerate(one for one in members if one.folder in generators):
            generator = generators[run.folder]
            beyond = score_w1(generator, against.data, metric, options.samples, held_out="one held-out set")
            protocol = {**beyond.protocol, "data": against.data.name, "taken": "of the newest generator"}
            if (excess := beyond.excess) is not None:
                step, minutes = generator.about.step, run.run.metrics.get("minutes")
                time = None if minutes is None else minutes.last
                found[run.folder] = Scoring("excess", step, time, excess.value, None, protocol, at_end=True)
            count(place + 1, len(generators))
    return found


def _one_reference(generators: Mapping[Path, Generator], source: str | None) -> Reference:
    """The data whose held-out part all are measured against; `ReportError` where these are not one and the same."""
    folder, first = next(iter(generators.items()))
    with output.waiting("reading the data"):
        against = reference_for(first, folder, source)
    prints = {one.about.fingerprint for one in generators.values()}
    if source is None and (len(prints) > 1 or "" in prints):
        raise ReportError(
            "--space: these runs did not hold out the same samples, so that some were trained on what others are "
            "measured by\ntrain with one --split-seed for all; or give samples that no run saw: --data FILE"
        )
    if not against.held_out or len(against.data.held_out) < LEAST:
        raise ReportError(f"--space: fewer than {LEAST} samples of {against.data.name} are held out; give --data FILE")
    for where, one in generators.items():
        if tuple(one.about.shape) != tuple(against.data.shape) or one.about.kind != against.data.kind:
            raise ReportError(
                f"--space: {where} makes {one.about.kind} samples of shape {tuple(one.about.shape)}, and "
                f"{against.data.name} are {against.data.kind} of {tuple(against.data.shape)}; compare runs on one set"
            )
    return against


def _say(found: Comparison, by: By) -> None:
    """The table and what must be known of it, for a terminal."""
    standing = found.standings[by]
    places = [decimals(row[at] for row in standing.cells) for at in range(len(found.columns))]
    rows = [_row(method, cells, places) for method, cells in zip(found.methods, standing.cells, strict=True)]
    heads = [f"{one.title} {budget_said(at, by)}" for one, at in zip(found.columns, standing.budgets, strict=True)]
    output.say_table(f"at equal {by}; Δ to {found.methods[found.baseline].name}", ["method", "seeds", *heads], rows)
    if any(cell.best for row in standing.cells for cell in row):
        output.say("* the best mean, and every paired interval of a difference to it excludes 0")
    for note in (*found.notes, *(f"{one.title}: {note}" for one in found.columns for note in one.notes)):
        output.say(f"note: {note}")


def _row(method: Method, cells: Sequence[Cell], places: Sequence[int]) -> list[str]:
    """The line of a method."""
    left = [f"{n} {kind}" for kind in ("failed", "unfinished", "repeated") if (n := method.number(kind))]
    row = [method.name, ", ".join([seeds_said(method.counted, method.members), *left])]
    for cell, of in zip(cells, places, strict=True):
        against = f"  Δ {interval(cell.difference, of)}" if cell.difference and cell.difference.low is not None else ""
        row.append(f"{plus_minus(cell.summary, of)}{' *' if cell.best else ''}{against}")
    return row


def leads_to_runs(word: str) -> bool:
    """Whether a word is no run itself, and yet leads to some: a sweep's folder, a pattern."""
    try:
        found = [one.resolve() for one in find_runs([word]).folders]
    except BanachError:
        return False
    return found != [Path(word).expanduser().resolve()]


def of_several(runs: Sequence[str], json: bool) -> int:
    """`banach report` of several runs: the comparison with nothing said beside."""
    options = replace(Options(tuple(runs)), json=json)
    return told(options, ["banach", "compare", *runs])
