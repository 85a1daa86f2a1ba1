"""The report page: `write_report(folder)` turns a run folder into one self-contained HTML file."""

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from banach.files import write_text
from banach.foreign import typed
from banach.report import curves, facts
from banach.report.embed import embedded, reel
from banach.report.run import Run, read_run
from banach.runs.folder import RunFolder
from banach.templates import template

SAMPLE_BYTES = 1_000_000  # of picture files in the page, before base64
DERIVATIVE_BYTES = 400_000


def write_report(folder: str | Path, defaults: Mapping[str, Any] | None = None) -> Path:
    """Write `report.html` into the run folder and return its path.

    `defaults` are the config's default values, by which the table of differences is made; without them all keys are
    shown alike. The page needs nothing but itself: no network, no other file. Raises `ReportError` where `folder` is no
    run folder.
    """
    run = read_run(folder)
    path = RunFolder(run.folder).report
    write_text(path, page(run, defaults))
    return path


def page(run: Run, defaults: Mapping[str, Any] | None = None) -> str:
    """The HTML text of the page."""
    frames = reel(run.samples, "generated samples", SAMPLE_BYTES)
    chosen = curves.panels(run)
    differing, rest = facts.settings(run.config, defaults or {})
    return template("template.html.j2", Path(__file__).parent).render(
        title=run.folder.resolve().name,
        status=facts.status(run),
        lead=facts.lead(run),
        percent=min(100, round(100 * run.step / run.steps)) if run.steps else None,
        tiles=facts.tiles(run),
        notes=_notes(run),
        frames=frames,
        left_out=len(run.samples) - len(frames),
        reals=embedded(run.reals, "real samples") if run.reals else None,
        scores=[facts.score_row(score) for score in run.scores],
        score_warnings=facts.score_warnings(run),
        evaluations=[facts.evaluation_row(one) for one in reversed(run.evaluations)],
        matched=any(score.matched is not None for score in run.scores),
        score_cards=[_card(one, run) for one in curves.score_panels(run) if len(one.lines[0].curve.steps) > 1],
        protocols=sorted({f"Protocol: {score.protocol}." for score in run.scores if score.protocol}),
        cards=[_card(one, run) for one in chosen],
        thinned=any(len(line.curve.steps) > curves.POINTS for panel in chosen for line in panel.lines),
        derivatives=reel(run.derivatives, "Fréchet derivative of the critic", DERIVATIVE_BYTES),
        facts=facts.facts(run),
        differing=differing,
        rest=rest,
        rest_title=f"The {len(rest)} keys at their defaults" if differing else f"All {len(rest)} keys",
        environment=facts.environment(run),
        log_tail=run.log_tail,
        commands={"evaluate": f"banach evaluate {typed(facts.shown_path(run.folder))}"},
        next_steps=facts.next_steps(run),
        written=time.strftime("%Y-%m-%d %H:%M"),
    )


def _card(panel: curves.Panel, run: Run) -> dict[str, Any]:
    """A panel for the template: its SVG, the newest value of its first curve, and a key to its lines."""
    keys: list[dict[str, Any]] = [
        {"label": line.label, "colour": colour, "mark": False}
        for line, colour in zip(panel.lines, itertools.cycle(f"var(--c{at})" for at in range(1, 5)))
    ]
    keys += [{"label": name, "mark": True} for _, name in panel.marks]
    return {
        "title": panel.title,
        "value": facts.number(panel.lines[0].curve.last),
        "legend": keys if len(keys) > 1 else [],
        "svg": curves.svg(panel, run.steps),
        "note": panel.note,
    }


def _notes(run: Run) -> list[str]:
    """What the reader must know before looking: why it stopped, what could not be read."""
    return [
        *filter(None, [facts.STATUS_NOTES.get(run.status)]),
        *(f"{note[0].upper()}{note[1:]}." for note in run.notes),
    ]
