"""What the page draws: scores and the critic's estimates of all runs over steps and over time, as plain numbers.

With plotly installed the page draws them itself, with hover; without it they are drawn here once, as still pictures.
"""

import importlib.resources
import importlib.util
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from banach.report.comparison.comparison import Comparison
from banach.report.comparison.members import Member
from banach.report.curves import Line, Panel, svg, thinned
from banach.report.run import Curve

POINTS = 160  # of a curve, at most

INSTALL = "pip install 'banach[compare]'"

CRITIC = {
    "gap": ("Critic gap", "E f(real) − E f(fake), in training: an estimate of W₁ up to the critic's slope, no bound."),
    "gap_held_out": ("Critic gap, held out", "The same against held-out reals; far below: the critic knows its data."),
    "gap_per_slope": ("Gap per slope", "The gap over the largest slope measured; no bound either."),
    "slope_mean": ("Slope of the critic, mean", "Dual norm of its gradient where the penalty looks."),
    "slope_max": ("Slope of the critic, largest", "Dual norm of its gradient where the penalty looks."),
    "penalty": ("Penalty", "What is added to the critic's loss, with its weight."),
}
"""The logged quantities that are drawn, with their titles and how to read them."""


def library() -> str | None:
    """The source of plotly.js, for pages that need no network; None where plotly is not installed."""
    if importlib.util.find_spec("plotly") is None:
        return None
    source = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    # a page ends its script at the first such tag, also inside of a text
    return source.read_text("utf-8").replace("</script", "<\\/script") if source.is_file() else None


def quantities(found: Comparison) -> list[dict[str, Any]]:
    """Everything that can be drawn: title, note, whether its axis is logarithmic, and the curves of all runs."""
    drawn = [_scores(found, at) for at in range(len(found.columns)) if not found.columns[at].at_end]
    drawn += [_critic(found, key) for key in CRITIC]
    return [one for one in drawn if one["curves"]]


def _scores(found: Comparison, at: int) -> dict[str, Any]:
    column, curves = found.columns[at], []
    for place, one in enumerate(found.members):
        points = [point for point in column.points.get(place, ()) if math.isfinite(point.value)]
        if points:
            curves.append(_curve(found, one, [point.step for point in points], [point.minutes for point in points],
                                 [point.value for point in points]))  # fmt: skip
    sense = column.sense
    notes = " ".join(f"{note[0].upper()}{note[1:]}." for note in column.notes)
    return _quantity(
        f"score-{at}", column.title, f"{sense[0].upper()}{sense[1:]}. {notes}".strip(), curves, True, column.floor
    )


def _critic(found: Comparison, key: str) -> dict[str, Any]:
    title, note = CRITIC[key]
    curves = []
    for one in found.members:
        if (curve := one.run.metrics.get(key)) is not None:
            steps, values, _, _ = thinned(curve, POINTS)
            curves.append(_curve(found, one, steps, _minutes_at(one, steps), values))
    if len({one.meanings.get("space") for one in found.members}) > 1:
        note += " In the units of each run's norm: those of different norms do not compare."
    return _quantity(key, title, note, curves, False, None)


def _quantity(
    key: str, title: str, note: str, curves: Sequence[Mapping[str, Any]], dots: bool, floor: float | None
) -> dict[str, Any]:
    values = [one for curve in curves for one in curve["y"]]
    log = bool(values) and min(values) > 0 and max(values) / min(values) > 100
    return {"key": key, "title": title, "note": note, "curves": list(curves), "dots": dots, "log": log,
            "floor": floor}  # fmt: skip


def _curve(found: Comparison, one: Member, steps: Any, minutes: Any, values: Any) -> dict[str, Any]:
    method = next(at for at, of in enumerate(found.methods) if any(run is one for run in of.members))
    counts = any(run is one for run in found.methods[method].counted)
    return {
        "method": method, "seed": one.seed_said, "name": one.folder.name, "counts": counts,
        "state": "" if counts else one.state if one.state != "finished" else "repeats a seed",
        "steps": [_short(step) for step in steps],
        "minutes": [None if minute is None or not math.isfinite(minute) else _short(minute) for minute in minutes],
        "y": [_short(value) for value in values],
    }  # fmt: skip


def _minutes_at(one: Member, steps: np.ndarray) -> np.ndarray:
    """The minutes of training at these steps, as far as they were logged."""
    curve = one.run.metrics.get("minutes")
    return np.full(len(steps), math.nan) if curve is None else np.interp(steps, curve.steps, curve.values)


def _short(value: float) -> float:
    """A number in five figures, which is more than a picture shows."""
    return float(f"{value:.5g}")


def still(found: Comparison, drawn: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The curves over steps as SVG, the mean of each method over its runs that count, where there is no plotly."""
    pictures = []
    for one in drawn:
        lines = []
        for at, method in enumerate(found.methods):
            if (curve := _mean([of for of in one["curves"] if of["method"] == at and of["counts"]])) is not None:
                lines.append(Line(method.name, curve))
        if lines:
            panel = Panel(
                str(one["title"]), tuple(lines), str(one["note"]), log=bool(one["log"]), dots=bool(one["dots"])
            )
            pictures.append({"title": panel.title, "note": panel.note, "svg": svg(panel)})
    return pictures


def _mean(curves: Sequence[Mapping[str, Any]]) -> Curve | None:
    """The mean of curves at the steps that all of them have; the first one where they share none."""
    if not curves:
        return None
    shared = sorted(set.intersection(*(set(one["steps"]) for one in curves)))
    if not shared:
        return Curve(np.asarray(curves[0]["steps"], float), np.asarray(curves[0]["y"], float))
    by_step = [dict(zip(one["steps"], one["y"], strict=True)) for one in curves]
    means = [sum(one[step] for one in by_step) / len(by_step) for step in shared]
    return Curve(np.asarray(shared, float), np.asarray(means, float))
