"""The page of a comparison: one HTML file with everything in it, made from run folders alone."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from banach.files import write_text
from banach.report.comparison import plots, tables
from banach.report.comparison.columns import By, Value
from banach.report.comparison.comparison import Cell, Comparison, Standing
from banach.report.comparison.members import Member
from banach.report.comparison.methods import Method, differing
from banach.report.comparison.statistics import CONFIDENCE
from banach.report.embed import Frame, embedded
from banach.report.facts import duration, plain, shown_path
from banach.report.run import Picture
from banach.templates import template

SAMPLE_BYTES, DERIVATIVE_BYTES = 3_000_000, 1_500_000
"""Of pictures in the page, as they are embedded; of one seed all are shown, whatever they take."""

COLOURS = 10  # of methods; then they begin again, dashed


def write_comparison(found: Comparison, path: Path, by: By = "steps", command: str = "") -> Path:
    """Write the page, which needs nothing but itself, and return its path."""
    write_text(path, page(found, by, command))
    return path


def page(found: Comparison, by: By = "steps", command: str = "") -> str:
    """The HTML text of the page; `by` is the budget at which it opens."""
    here = Path(__file__).parent
    return template("comparison.html.j2", here, here.parent).render(
        **_words(found),
        **_curves(found),
        by=by,
        tables=[_table(found, found.standings[one]) for one in get_args(By)],
        colours=COLOURS,
        samples=gallery(found, "samples", SAMPLE_BYTES),
        reals=_reals(found),
        derivatives=gallery(found, "derivatives", DERIVATIVE_BYTES),
        differing=differing(found.methods),
        runs=[_run(found, method, at) for at, method in enumerate(found.methods)],
        latex={one: tables.as_latex(found, one) for one in get_args(By)},
        command=command,
        written=time.strftime("%Y-%m-%d %H:%M"),
    )


def _words(found: Comparison) -> dict[str, Any]:
    """What the page says beside its tables."""
    left = [one for method in found.methods for one in method.left_out]
    return {
        "title": _title(found),
        "lead": _lead(found),
        "notes": [_sentence(note) for note in found.notes],
        "footnotes": [(one.title, [_sentence(note) for note in one.notes]) for one in found.columns],
        "baseline": found.methods[found.baseline].name,
        "several": len(found.methods) > 1,
        "paired": any(cell.difference for one in found.standings.values() for row in one.cells for cell in row),
        "confidence": f"{CONFIDENCE:.0%}",
        "best": tables.BEST,
        "spaces": len({one.meanings.get("space") for one in found.members}) > 1,
        "methods": [one.name for one in found.methods],
        "place": shown_path(_place(found)),
        "left_out": [{"folder": _within(found, one.member), "kind": one.kind, "why": one.why} for one in left],
        "protocols": [(one.title, _protocol(one.protocol)) for one in found.columns if one.protocol],
    }


def _curves(found: Comparison) -> dict[str, Any]:
    """The curves, for plotly where it is there, else as pictures."""
    drawn, script = plots.quantities(found), plots.library()
    data = {"methods": [one.name for one in found.methods], "quantities": drawn, "colours": COLOURS}
    return {
        "script": script,
        "install": plots.INSTALL,
        "data": data if script else {},
        "drawn": [{"key": one["key"], "title": one["title"]} for one in drawn],
        "still": [] if script else plots.still(found, drawn),
    }


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}{'' if note.endswith(('.', '?', '!')) else '.'}"


def _title(found: Comparison) -> str:
    k, n = len(found.methods), len(found.members)
    return f"{'One method' if k == 1 else f'{k} methods'}, {'one run' if n == 1 else f'{n} runs'}"


def _lead(found: Comparison) -> str:
    """What is compared, in a sentence."""
    data = list(dict.fromkeys(one.shown("data") for one in found.members))
    counted = sum(len(one.counted) for one in found.methods)
    seeds = len({run.seed for one in found.methods for run in one.counted})
    over = f"{counted} of {len(found.members)} runs count, over {seeds} seed{'s' * (seeds != 1)}"
    against = f"; differences are to {found.methods[found.baseline].name}" if len(found.methods) > 1 else ""
    return f"Trained on {', '.join(data[:3])}{' and others' * (len(data) > 3)}; {over}{against}."


def _table(found: Comparison, standing: Standing) -> dict[str, Any]:
    """The table at one kind of budget."""
    columns, rows = [], []
    places = [tables.decimals(row[at] for row in standing.cells) for at in range(len(found.columns))]
    ranges = [_range([row[at] for row in standing.cells]) for at in range(len(found.columns))]
    for at, (column, budget) in enumerate(zip(found.columns, standing.budgets, strict=True)):
        arrow = {True: "↑", False: "↓", None: ""}[column.higher]
        floor = "" if column.floor is None else f"floor {tables.figure(column.floor, places[at])}"
        at_budget = tables.budget_said(budget, standing.by) if column.at_end or budget is not None else "time not known"
        columns.append({"title": column.title, "arrow": arrow, "sense": column.sense, "floor": floor, "at": at_budget,
                        "marked": bool(column.notes)})  # fmt: skip
    for at, (method, cells) in enumerate(zip(found.methods, standing.cells, strict=True)):
        seen = [_cell(cell, places[here], ranges[here]) for here, cell in enumerate(cells)]
        rows.append({"at": at, "name": method.name, "baseline": at == found.baseline, "cells": seen,
                     **_counts(method)})  # fmt: skip
    return {"by": standing.by, "columns": columns, "rows": rows}


def _counts(method: Method) -> dict[str, Any]:
    """How many of a method's runs count, failed, are unfinished, or repeat a seed."""
    told = [(method.number("failed"), "failed"), (method.number("unfinished"), "unfinished"),
            (method.number("repeated"), "repeated")]  # fmt: skip
    return {"n": len(method.counted), "left": [(kind, f"{n} {kind}") for n, kind in told if n]}


def _cell(cell: Cell, places: int, span: tuple[float, float]) -> dict[str, Any]:
    """One cell as the page shows it; in the strip each seed is a dot, the mean a line, its interval a bar."""
    of, less = cell.summary, cell.difference
    shown: dict[str, Any] = {
        "sort": "" if of is None else repr(of.mean), "mean": tables.figure(None if of is None else of.mean, places),
        "spread": "" if of is None or of.deviation is None else f"± {tables.figure(of.deviation, places)}",
        "n": 0 if of is None else of.n, "of": len(cell.values), "missing": cell.missing, "best": cell.best,
        "told": [_seed_told(seed[0], one, places) for seed, one in cell.values.items()],
        "difference": "", "interval": "", "apart": False, "pairs": 0, "strip": None,
    }  # fmt: skip
    if less is not None:
        shown |= {"difference": tables.figure(less.mean, places, signed=True), "apart": less.apart,
                  "interval": tables.interval(less, places), "pairs": less.n}  # fmt: skip
    if of is not None and span[1] > span[0]:
        ends = {
            "mean": of.mean,
            "low": of.mean if of.low is None else of.low,
            "high": of.mean if of.high is None else of.high,
        }
        dots = [_along(one, span) for one in cell.numbers.values()]
        shown["strip"] = {"dots": dots, **{key: _along(one, span) for key, one in ends.items()}}
    return shown


def _seed_told(seed: str, of: Value, places: int) -> str:
    """The figure of one seed, or why there is none, and where it was taken."""
    told = tables.figure(of.value, places) if of.value is not None else of.why
    told += "" if of.step is None else f" at step {of.step:,}"
    return f"seed {seed}: {told}" + ("" if of.minutes is None else f", {duration(of.minutes)}")


def _range(cells: Sequence[Cell]) -> tuple[float, float]:
    values = [one for cell in cells for one in cell.numbers.values()]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _along(value: float, span: tuple[float, float]) -> float:
    """Where a value lies in a strip of 100, with a margin of 6; what lies outside is at its ends."""
    share = (value - span[0]) / (span[1] - span[0])
    return round(min(100.0, max(0.0, 6 + 88 * share)), 1)


def gallery(found: Comparison, kind: str, budget: int) -> list[dict[str, Any]]:
    """The newest pictures of each method, seed by seed, as many seeds as the budget holds, at least one."""
    shown, spent = [], 0
    for seed in dict.fromkeys(run.seed for method in found.methods for run in (*method.counted, *method.members)):
        tiles, here = [], 0
        for at, method in enumerate(found.methods):
            run = next((one for one in (*method.counted, *method.members) if one.seed == seed), None)
            frame = None if run is None else _newest(run, kind, method.name)
            tiles.append({"at": at, "name": method.name, "frame": frame, "why": _no_picture(run)})
            here += len(frame.uri) if frame else 0
        if not here or (shown and spent + here > budget):
            continue
        spent += here
        same = any(one["seed"] == seed[0] for one in shown)
        shown.append({"seed": f"{seed[0]} (split {seed[1]})" if same else seed[0], "tiles": tiles})
    return shown


def _newest(run: Member, kind: str, name: str) -> Frame | None:
    pictures: Sequence[Picture] = run.run.samples if kind == "samples" else run.run.derivatives
    what = "generated samples" if kind == "samples" else "Fréchet derivative of the critic"
    if not pictures:
        return None
    last = pictures[-1]
    return embedded(last.path, f"{what} of {name}, seed {run.seed_said}, step {last.step:,}", last.step)


def _no_picture(run: Member | None) -> str:
    return "no run with this seed" if run is None else "no picture"


def _reals(found: Comparison) -> list[dict[str, Any]]:
    """Real samples, those of each data set once."""
    shown: dict[str, dict[str, Any]] = {}
    for one in found.members:
        data = one.shown("data")
        frame = embedded(one.run.reals, f"real samples of {data}") if one.run.reals and data not in shown else None
        if frame is not None:
            shown[data] = {"data": data, "frame": frame}
    return list(shown.values())[:3]


def _place(found: Comparison) -> Path:
    """The folder in which all runs lie."""
    return Path(os.path.commonpath([one.folder.resolve().parent for one in found.members]))


def _within(found: Comparison, run: Member) -> str:
    """The folder of a run from there."""
    return str(run.folder.resolve().relative_to(_place(found)))


def _run(found: Comparison, method: Method, at: int) -> dict[str, Any]:
    """The runs of a method, with their scores at both budgets."""
    rows = []
    for run in method.members:
        scores = {}
        for by, standing in found.standings.items():
            cells = standing.cells[at]
            places = [tables.decimals(row[column] for row in standing.cells) for column in range(len(cells))]
            values = [
                cell.values.get(run.seed) if any(run is one for one in method.counted) else None for cell in cells
            ]
            scores[by] = [tables.figure(None if one is None else one.value, of)
                          for one, of in zip(values, places, strict=True)]  # fmt: skip
        minutes = run.run.metrics.get("minutes")
        rows.append({
            "folder": _within(found, run), "seed": run.seed_said, "state": run.run.status,
            "steps": f"{run.run.step:,}", "time": "–" if minutes is None else duration(minutes.last),
            "minutes": "" if minutes is None else repr(float(minutes.last)),
            "device": plain(run.run.environment.get("gpu") or run.run.environment.get("device")),
            "scores": scores,
        })  # fmt: skip
    return {"at": at, "name": method.name, "rows": rows}


def _protocol(protocol: Any) -> str:
    said = (f"{key.replace('_', ' ')} {plain(value)}" for key, value in protocol.items() if value not in (None, ""))
    return "; ".join(said)
