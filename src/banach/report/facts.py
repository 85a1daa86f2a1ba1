"""What the page says in words and numbers: tiles, facts, tables, commands. Plain data in, plain data out."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from banach.foreign import as_command, typed
from banach.metrics import titles
from banach.report.run import Evaluation, Run, Score
from banach.spaces import emphasises, space
from banach.specs import SpecError

Row = dict[str, Any]

STATUS_NOTES = {
    "not finite": "The run stopped because a loss or gradient was not finite; the last good checkpoint is kept. "
    "The end of the log, below, names the step and the term.",
}


def number(value: float | None) -> str:
    """A number for people: four significant figures at most, thousands apart.

    >>> number(0.00002), number(3.14159), number(12400), number(98.26), number(None)
    ('2e-05', '3.142', '12,400', '98.26', '–')
    """
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def duration(minutes: float) -> str:
    """Minutes as people say them.

    >>> duration(0.5), duration(4.9), duration(75)
    ('30 s', '4.9 min', '1 h 15 min')
    """
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    if minutes < 60:
        return f"{minutes:.1f} min"
    return f"{int(minutes // 60)} h {round(minutes % 60):02d} min"


def plain(value: Any) -> str:
    """A config or environment value as text."""
    if value is None or value == "":
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(one) for one in value) or "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def status(run: Run) -> str:
    """The chip beside the title."""
    if run.status in {"finished", "not started"} or not run.steps:
        return run.status
    return f"{run.status} at {100 * run.step / run.steps:.0f}%"


def lead(run: Run) -> str:
    """The sentence under the title: what is trained on what, in which norm."""
    if not run.config:
        return "A run whose config.yaml could not be read."
    said = [f"{run.config.get('model', 'a generator')} trained on {run.config.get('data', 'unknown data')}"]
    if "space" in run.config:
        why = meaning(run.config["space"])
        said.append(f"in the norm {spelling(run.config['space'])}{f' ({why})' if why else ''}")
    if "objective" in run.config and "penalty" in run.config:
        said.append(f"objective {run.config['objective']}, penalty {run.config['penalty']}")
    return "; ".join([" ".join(said[:2]), *said[2:]]) + "."


def spelling(text: Any) -> str:
    """The spec an intent name stands for, beside the name; a text that cannot be read (a plugin's) stays as it is."""
    try:
        meant = repr(space(str(text)))
    except SpecError:
        return str(text)
    same = re.sub(r"[\s_-]", "", meant).lower() == re.sub(r"[\s_-]", "", str(text)).lower()
    return meant if same else f"{text} = {meant}"


def meaning(text: Any) -> str:
    """What the space emphasises, in one sentence; nothing where it is a plugin's."""
    try:
        return emphasises(space(str(text)))
    except SpecError:
        return ""


def tiles(run: Run) -> list[Row]:
    """The figures at the top."""
    found = [_tile("steps", f"{run.step:,}", f"of {run.steps:,}" if run.steps else "")]
    metrics = run.metrics
    if "minutes" in metrics:
        found.append(_tile("time", duration(metrics["minutes"].last), "of training"))
    if run.scores:
        first = run.scores[0]
        note = f"at step {int(first.curve.steps[-1]):,}"
        if first.floor is not None:
            fewer = f" ({number(first.matched)} with as many)" if first.matched not in (None, first.curve.last) else ""
            note += f", floor {number(first.floor)}{fewer}"
        found.append(_tile(score_label(first), number(first.curve.last), note))
    if "gap_per_slope" in metrics:
        gap = metrics["gap_per_slope"].last
        note = "estimate of W₁, no bound" if gap >= 0 else "below 0: no estimate of W₁"
        found.append(_tile("gap per slope", number(gap), note))
    if "slope_mean" in metrics:
        highest = f"max {number(metrics['slope_max'].last)}" if "slope_max" in metrics else ""
        found.append(_tile("slope", number(metrics["slope_mean"].last), highest))
    if "images_per_second" in metrics:
        found.append(_tile("speed", number(round(metrics["images_per_second"].last)), "images/s"))
    return found


def _tile(label: str, value: str, note: str) -> Row:
    return {"label": label, "value": value, "note": note}


def score_label(score: Score) -> str:
    """A score's name as people write it, with its extractor or norm."""
    text = titles.title(score.name, score.about).replace("W1", "W₁")
    return text[:1].upper() + text[1:]


def score_row(score: Score) -> Row:
    """One line of the table of scores."""
    step, best = score.best or (None, None)
    return {
        "label": score_label(score),
        "now": number(score.curve.last),
        "best": number(best),
        "at": "–" if step is None else f"{step:,}",
        "matched": number(score.matched),
        "floor": number(score.floor),
        "sense": score.sense,
    }


def score_warnings(run: Run) -> list[str]:
    """What the figures alone would make look good."""
    return [
        f"{score_label(one)} is below its floor: the samples vary less than the data do. The excess says how far off "
        "they are."
        for one in run.scores
        if one.name in titles.AT_FLOOR
        and one.matched is not None
        and one.floor is not None
        and titles.below_floor(one.matched, one.floor)
    ]


def evaluation_row(found: Evaluation) -> Row:
    """One `banach evaluate`, for the table of them."""
    scores = [
        f"{score_label(one)} {number(one.curve.last)}"
        + (f" (floor {number(one.floor)})" if one.floor is not None else "")
        for one in found.scores
    ]
    if of := found.excess:
        said = f"Excess W₁[{found.norm}] over held-out data {number(of['value'])}"
        scores.append(f"{said} ({number(of['low'])} to {number(of['high'])})")
    return {
        "date": found.date,
        "of": f"{found.generator}, step {found.step:,}" if found.generator else f"step {found.step:,}",
        "samples": number(found.samples) if found.samples else "–",
        "data": found.data or "–",
        "scores": scores,
        "command": as_command(found.command),
    }


def facts(run: Run) -> list[Row]:
    """What this run is: space, game, weights, networks, folder."""
    config = run.config
    found = [_fact("data", text=run.told["data"])] if "data" in run.told else []
    if "read" in run.told:
        found.append(_fact("how they were read", text=run.told["read"]))
    if "space" in config:
        why = meaning(config["space"])
        found.append(_fact("space", spelling(config["space"]), f"emphasises {why}" if why else ""))
    for key in ("objective", "penalty", "constraint"):
        if config.get(key) not in (None, "", "none"):
            found.append(_fact(key, str(config[key])))
    found += _weight(run, "λ, weight of the penalty", "penalty_weight", "lambda")
    found += _weight(run, "γ, scale of the critic", "critic_scale", "gamma")
    if "networks" in run.told or "model" in config:
        found.append(_fact("networks", text=run.told.get("networks", str(config.get("model", "")))))
    if run.generators:
        names = " and ".join(path.name for path in run.generators)
        found.append(_fact("files to ship", text=f"{names}: one such file is enough to sample from"))
    found.append(_fact("folder", shown_path(run.folder)))
    return found


def _fact(label: str, code: str = "", text: str = "") -> Row:
    return {"label": label, "code": code, "text": text}


def _weight(run: Run, label: str, key: str, name: str) -> list[Row]:
    """λ or γ: how it was asked for, and the number it came to."""
    asked = run.config.get(key)
    if asked is None:
        return []
    came_to = run.told.get(name, "")
    return [_fact(label, plain(asked), f"= {came_to}" if came_to and came_to != plain(asked) else "")]


def settings(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
    """(keys that differ from their defaults, the other keys)."""
    differing, rest = [], []
    for key, value in config.items():
        if key in defaults and _normal(defaults[key]) != _normal(value):
            differing.append({"key": key, "value": plain(value), "default": plain(defaults[key])})
        else:
            rest.append({"key": key, "value": plain(value)})
    return differing, rest


def _normal(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def environment(run: Run) -> list[Row]:
    """Where it was computed, as a table."""
    rows = {key: plain(value) for key, value in run.environment.items() if value not in ("", [], None)}
    if isinstance(command := run.environment.get("command"), list):
        rows["command"] = as_command(map(str, command))
    if isinstance(earlier := run.environment.get("earlier"), list) and earlier:
        rows["earlier"] = "1 session" if len(earlier) == 1 else f"{len(earlier)} sessions"
    return [{"key": key, "value": value} for key, value in rows.items()]


def next_steps(run: Run) -> list[Row]:
    """Commands that can be typed as they stand."""
    folder = typed(shown_path(run.folder))
    found = []
    named = run.config.get("plugin") or ()
    plugins = "".join(f" --plugin {typed(str(one))}" for one in ([named] if isinstance(named, str) else named))
    by_command = not str(run.config.get("data", "")).startswith("array:")  # data in memory are banach.fit's
    if run.status in {"stopped", "not started"} and by_command:
        found.append(_command("Continue where it stopped:", f"banach train --out {folder}{plugins}"))
    if run.status == "finished" and by_command:
        more = f"banach train --out {folder} --steps {2 * run.steps} --extend{plugins}"
        found.append(_command("Train longer:", more))
    if run.generators:
        found.append(_command("Draw new samples:", f"banach sample {folder} --seeds 0-63 --out samples.png{plugins}"))
        file = shown_path(run.generators[-1])
        code = f"generator = banach.Generator.load({file!r})\nx = generator.sample(64, seed=0)"
        found.append(_command("In Python, from that file alone:", f"import banach\n\n{code}"))
    if run.status != "running" and by_command:
        found.append(_command("Score it again, with other counts or extractors:", f"banach evaluate {folder}{plugins}"))
    found.append(_command("Make this page again from the newest state:", f"banach report {folder}"))
    return found


def _command(text: str, command: str) -> Row:
    return {"text": text, "command": command}


def shown_path(folder: Path) -> str:
    """The folder as it can be typed: relative where it lies below the working directory."""
    absolute, here = folder.resolve(), Path.cwd()
    return os.path.relpath(absolute, here) if absolute.is_relative_to(here) else str(absolute)
