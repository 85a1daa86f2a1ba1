"""Curves as pictures: inline SVG that follows the page's light and dark colours, and one overview file for papers."""

import html
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from banach.files import write_bytes
from banach.report.facts import score_label
from banach.report.figures import agg_figure, looks
from banach.report.run import Curve, ReportError, Run

POINTS = 240  # a curve is drawn with at most so many points, each the mean of its bucket


@dataclass(frozen=True)
class Look:
    """How a figure is drawn: its colours, the size of one panel in inches, and whether titles stand in the picture."""

    ink: str
    faint: str
    grid: str
    mark: str
    lines: tuple[str, ...]
    size: tuple[float, float]
    titles: bool


# In the page each of these colours becomes a CSS variable, so that one SVG serves light and dark.
_COLOURS = tuple(f"#0a00{10 + at}" for at in range(1, 11))
PAGE = Look("#0a0001", "#0a0002", "#0a0003", "#0a0004", _COLOURS, (4.4, 2.3), False)
PAPER = Look("#1d2228", "#6a737d", "#e3e6ea", "#b3322b", ("#1f5fbf", "#d9730d", "#2d8a58", "#7d52c0"), (4.4, 2.8), True)
_VARIABLES = {
    PAGE.ink: "var(--ink)",
    PAGE.faint: "var(--faint)",
    PAGE.grid: "var(--grid)",
    PAGE.mark: "var(--mark)",
    **{colour: f"var(--c{at})" for at, colour in enumerate(PAGE.lines, 1)},
}


@dataclass(frozen=True)
class Line:
    """One curve of a panel and its label."""

    label: str
    curve: Curve


@dataclass(frozen=True)
class Panel:
    """One small picture: curves over generator steps, horizontal reference lines, and how to read it."""

    title: str
    lines: tuple[Line, ...]
    note: str = ""
    marks: tuple[tuple[float, str], ...] = ()
    log: bool | None = None  # None: logarithmic where all values are positive and span two decades or more
    dots: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether the vertical axis is logarithmic."""
        drawn = np.concatenate([thinned(line.curve)[1] for line in self.lines] + [np.array([m for m, _ in self.marks])])
        positive = bool((drawn > 0).all())
        return positive and (self.log if self.log is not None else bool(drawn.max() / drawn.min() > 100))


# Title, keys with their labels, how to read it, reference line. Keys that a run did not log are left out.
_KNOWN: tuple[tuple[str, dict[str, str], str, tuple[tuple[float, str], ...]], ...] = (
    (
        "Critic gap",
        {"gap": "training batches", "gap_held_out": "held-out reals"},
        (
            "E f(real) − E f(fake): an estimate of W₁ up to the critic's slope, not a bound, and none below 0. If held "
            "out is far lower, the critic has memorised its training data."
        ),
        (),
    ),
    (
        "Gap per slope",
        {"gap_per_slope": "gap / largest slope"},
        (
            "The gap over the largest slope measured: the estimate without the critic's scale. No bound either: "
            "the critic may be steeper elsewhere."
        ),
        (),
    ),
    (
        "Slope of the critic",
        {"slope_mean": "mean", "slope_max": "max"},
        (
            "Dual norm of the critic's gradient where the penalty looks; at λ = E‖X‖ a two-sided penalty is best off "
            "at 1.5."
        ),
        ((1.0, "slope 1"),),
    ),
    ("Penalty", {"penalty": "penalty", "drift": "drift"}, "What is added to the game in the critic's loss.", ()),
    (
        "Losses",
        {"loss_critic": "critic", "loss_generator": "generator"},
        "What the optimizers see. The generator's loss has a free level: its height says nothing.",
        (),
    ),
    (
        "Learning rate",
        {"lr": "critic", "g_lr": "generator"},
        "That of the optimizers, as it falls over the run.",
        (),
    ),
    (
        "Proved Lipschitz constant",
        {"bound": "proved in the norm"},
        (
            "No slope of the critic is larger in the norm of this run: its layers or the constraint prove it. Where it "
            "is at most 1, the gap is a lower bound of W₁, but for sampling error."
        ),
        ((1.0, "1"),),
    ),
    (
        "Pairs without a quotient",
        {"dropped": "pairs a critic step"},
        (
            "Of the pairs between which the penalty takes the critic's slope, those closer than 1e-6 are left out. "
            "Many say that samples are copies of each other."
        ),
        (),
    ),
    ("Speed", {"images_per_second": "images per second"}, "Real images shown to the critic, per second.", ()),
)
_ONLY_IF_ANY = {"dropped"}  # a curve of zeros, as with penalties that take no pairs, is not shown
_QUIET = {"images", "minutes", "play", "seconds"}  # logged, but told elsewhere on the page


def panels(run: Run) -> tuple[Panel, ...]:
    """The panels that the logged keys allow: those about the distance first, keys that nobody expected last."""
    found, shown = [], set(_QUIET)
    shown |= {key for key in _ONLY_IF_ANY & run.metrics.keys() if not run.metrics[key].values.any()}
    for title, keys, note, marks in _KNOWN:
        if lines := [Line(label, run.metrics[key]) for key, label in keys.items() if key in run.metrics.keys() - shown]:
            found.append(Panel(title, _distinct(lines), note, marks))
            shown |= set(keys)
    others = {key: curve for key, curve in run.metrics.items() if key not in shown}
    return (*found, *(Panel(key.replace("_", " ").capitalize(), (Line(key, one),)) for key, one in others.items()))


def _distinct(lines: list[Line]) -> tuple[Line, ...]:
    """Without curves that repeat the first (two learning rates that are the same)."""
    first = lines[0].curve
    return (lines[0], *(one for one in lines[1:] if not np.array_equal(one.curve.values, first.values)))


def score_panels(run: Run) -> tuple[Panel, ...]:
    """One panel a score, with its floor as a line."""
    return tuple(
        Panel(
            score_label(score),
            (Line(score_label(score), score.curve),),
            score.sense[:1].upper() + score.sense[1:] + ".",
            ((score.floor, "floor"),) if score.floor is not None else (),
            dots=True,
        )
        for score in run.scores
    )


def thinned(curve: Curve, points: int = POINTS) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(steps, mean, low, high) of at most `points` buckets of equal length."""
    n = len(curve.steps)
    buckets = np.array_split(np.arange(n), min(n, points))
    means = np.array([[curve.steps[rows].mean(), curve.values[rows].mean()] for rows in buckets])
    ends = np.array([[curve.values[rows].min(), curve.values[rows].max()] for rows in buckets])
    return means[:, 0], means[:, 1], ends[:, 0], ends[:, 1]


def svg(panel: Panel, steps: int = 0) -> str:
    """The panel as an `<svg>` element in the page's CSS variables; the step axis ends at the goal `steps`, if any."""
    text = _rendered((panel,), "svg", PAGE, 1, steps).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    referred = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r'\sid="([^"]*)"', lambda found: found[0] if found[1] in referred else "", text)
    start = text[: text.index(">") + 1]
    name = html.escape(
        f"{panel.title}: {', '.join(line.label for line in panel.lines)} over generator steps", quote=True
    )
    bare = re.sub(r'\s(width|height|xmlns:xlink|version)="[^"]*"', "", start)
    return bare.replace("<svg", f'<svg role="img" aria-label="{name}"', 1) + text[len(start) :].strip()


def write_curves(run: Run, path: str | Path) -> Path:
    """All scores and curves in one picture file; the suffix (.png, .svg, .pdf) chooses the format."""
    path = Path(path)
    chosen = score_panels(run) + panels(run)
    if not chosen:
        raise ReportError(f"{run.folder} has no metrics to draw yet; train some steps first")
    write_bytes(path, _rendered(chosen, path.suffix.lstrip(".").lower() or "png", PAPER, 3, run.steps))
    return path


def _rendered(chosen: Sequence[Panel], form: str, look: Look, columns: int, steps: int) -> bytes:
    """The panels in a grid, as the bytes of a file."""
    across = min(columns, len(chosen))
    down = -(-len(chosen) // across)
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text: it follows the page's font and can be read out
        "svg.hashsalt": "|".join(panel.title for panel in chosen),
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.formatter.limits": (-3, 5),
    }
    out = io.BytesIO()
    with looks(settings):
        figure = agg_figure(figsize=(look.size[0] * across, look.size[1] * down), layout="constrained")
        figure.patch.set_visible(look.titles)
        for at, panel in enumerate(chosen):
            _draw(figure.add_subplot(down, across, at + 1), panel, look, steps)
        figure.savefig(out, format=form, dpi=160, metadata={"Date": None} if form == "svg" else None)
    return out.getvalue()


def _draw(axes: Any, panel: Panel, look: Look, steps: int) -> None:
    """Lines, marks and axes of one panel."""
    for line, colour in zip(panel.lines, itertools.cycle(look.lines)):
        at, mean, low, high = thinned(line.curve)
        if (high > low).any():
            axes.fill_between(at, low, high, color=colour, alpha=0.16, linewidth=0)
        marker = {"marker": "o", "markersize": 3.5} if panel.dots or len(at) == 1 else {}
        axes.plot(at, mean, color=colour, linewidth=1.6, label=line.label, solid_joinstyle="round", **marker)
    for value, name in panel.marks:
        axes.axhline(value, color=look.mark, linewidth=1.1, linestyle=(0, (4, 3)), label=name)
    if panel.logarithmic:
        axes.set_yscale("log")
    last = max(line.curve.steps[-1] for line in panel.lines)
    axes.set_xlim(0, max(steps, last) or 1)
    axes.xaxis.set_major_formatter(_steps_text)
    axes.grid(True, axis="y", color=look.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(look.grid)
    axes.tick_params(which="both", colors=look.faint, length=0, labelsize=9)
    axes.yaxis.get_offset_text().set_color(look.faint)
    if look.titles:
        axes.set_title(panel.title, loc="left", color=look.ink, fontsize=11)
        axes.set_xlabel("generator steps", color=look.faint)
        if len(panel.lines) + len(panel.marks) > 1:
            axes.legend(frameon=False, fontsize=8, labelcolor=look.ink)


def _steps_text(value: float, _: int) -> str:
    """A step on the axis: 500, 20k, 1.5M.

    >>> _steps_text(20000, 0), _steps_text(1.5e6, 1), _steps_text(250, 2)
    ('20k', '1.5M', '250')
    """
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{letter}"
    return f"{value:g}"
