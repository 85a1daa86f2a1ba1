"""Reads a run folder into plain data. It knows files only: no live object, no engine, and nothing has to be there.

Whatever a training run may leave half written (a cut last line of `metrics.jsonl`, no scores yet, no samples at all)
is read as far as it goes, and what could not be read is said in `Run.notes`.
"""

import math
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from banach.foreign import SMALL, read_bytes, read_json
from banach.foreign_yaml import read_yaml

LOCK_FRESH_SECONDS = 120.0
HIGHER_IS_BETTER = ("is", "precision", "recall", "density", "coverage")


class ReportError(ValueError):
    """A folder that is no run folder; the message names it and the remedy."""


@dataclass(frozen=True)
class Picture:
    """One PNG of the run and the generator step at which it was made."""

    step: int
    path: Path


@dataclass(frozen=True)
class Curve:
    """One logged quantity: its steps (sorted, each once) and its values, both float64 of one length."""

    steps: np.ndarray
    values: np.ndarray

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.values[-1])


@dataclass(frozen=True)
class Score:
    """One score over the run, beside its floor: the score of held-out reals in place of fakes."""

    name: str
    curve: Curve
    floor: float | None
    protocol: str
    matched: float | None = None  # the newest score of as many fakes as were held out, fair to compare with the floor

    @property
    def lower_is_better(self) -> bool:
        """True unless the score is one of those where more is better."""
        return self.name.lower() not in HIGHER_IS_BETTER

    @property
    def best(self) -> tuple[int, float]:
        """The step and the value of the best scoring."""
        values = self.curve.values if self.lower_is_better else -self.curve.values
        at = int(np.argmin(values))
        return int(self.curve.steps[at]), float(self.curve.values[at])


@dataclass(frozen=True)
class Run:
    """All that a run folder says, as plain data."""

    folder: Path
    status: str  # "running" | "finished" | "stopped" | "not finite" | "not started"
    step: int
    steps: int  # the goal; 0 where the config does not say
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: Mapping[str, Curve]
    scores: tuple[Score, ...]
    reals: Path | None
    samples: tuple[Picture, ...]
    derivatives: tuple[Picture, ...]
    said: Mapping[str, str]  # the first lines of the newest session: data, space, game, networks, device, …
    log_tail: tuple[str, ...]
    generators: tuple[Path, ...]
    notes: tuple[str, ...] = field(default=())


def read_run(folder: str | Path) -> Run:
    """Everything the run folder holds; raises `ReportError` where there is no run at all."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ReportError(f"no run folder at {folder}; give the folder that `banach train --out` wrote")
    if not any((folder / name).exists() for name in ("config.yaml", "metrics.jsonl", "samples", "checkpoints")):
        raise ReportError(f"{folder} is no run folder: it has neither config.yaml nor metrics.jsonl nor samples")
    notes: list[str] = []
    config = _mapping(folder / "config.yaml", notes)
    metrics = _curves(_rows(folder / "metrics.jsonl", notes))
    scores = _scores(_rows(folder / "scores.jsonl", notes))
    samples, derivatives = _pictures(folder, "fakes"), _pictures(folder, "derivative")
    log = _lines(folder / "log.txt")
    steps = _whole(config.get("steps", 0))
    step = _last_step(folder, metrics, scores, samples)
    reals = folder / "samples" / "reals.png"
    return Run(
        folder=folder,
        status=_status(folder, step, steps, log),
        step=step,
        steps=steps,
        config=config,
        environment=_mapping(folder / "environment.json", notes),
        metrics=metrics,
        scores=scores,
        reals=reals if reals.is_file() else None,
        samples=samples,
        derivatives=derivatives,
        said=_said(log),
        log_tail=tuple(log[-12:]),
        generators=tuple(
            folder / one for one in ("generator.safetensors", "best.safetensors") if (folder / one).exists()
        ),
        notes=tuple(notes),
    )


def _mapping(path: Path, notes: list[str]) -> dict[str, Any]:
    """A YAML or JSON mapping (JSON is YAML), or {} with a note."""
    if not path.is_file():
        notes.append(f"{path.name} is missing")
        return {}
    try:
        text = read_bytes(path, 16 * SMALL).decode("utf-8")
        value = read_json(text) if path.suffix == ".json" else read_yaml(text)
    except ValueError as error:
        notes.append(f"{path.name} cannot be read ({str(error).splitlines()[0].lstrip(', :')})")
        return {}
    if not isinstance(value, dict):
        notes.append(f"{path.name} holds no key: value pairs")
        return {}
    return {str(key): one for key, one in value.items()}


def _rows(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The whole lines of a JSON-lines file that carry a step; broken ones are counted in the notes."""
    if not path.is_file():
        return []
    rows, broken = [], 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            row = read_json(line)
            row["step"] = int(row["step"])
            if abs(row["step"]) >= 2**53:
                raise ValueError("no step")
            rows.append(row)
        except (ValueError, TypeError, KeyError, OverflowError):
            broken += 1
    if broken:
        said = "1 line" if broken == 1 else f"{broken} lines"
        notes.append(f"{said} of {path.name} could not be read and left out")
    return rows


def _curves(rows: list[dict[str, Any]]) -> dict[str, Curve]:
    """One curve a key with finite numbers; a step that occurs twice counts with its last line."""
    by_step = {row["step"]: row for row in rows}
    points: dict[str, list[tuple[int, float]]] = {}
    for step in sorted(by_step):
        for key, value in by_step[step].items():
            if key != "step" and (number := _number(value)) is not None:
                points.setdefault(key, []).append((step, number))
    return {key: _curve(pairs) for key, pairs in points.items()}


def _curve(pairs: list[tuple[int, float]]) -> Curve:
    array = np.asarray(pairs, dtype=float)
    return Curve(array[:, 0], array[:, 1])


def _number(value: Any) -> float | None:
    """A finite number, or None (True is no number; 'nan' and overflow are left out of curves)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _scores(rows: list[dict[str, Any]]) -> tuple[Score, ...]:
    """One `Score` a name; its floor, protocol and matched value are those of the newest line."""
    points: dict[str, dict[int, float]] = {}
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["step"]):
        for name, value, about in _scoring(row):
            points.setdefault(name, {})[row["step"]] = value
            newest[name] = about
    return tuple(
        Score(
            name,
            _curve(list(pairs.items())),
            floor=_number(newest[name]["floor"]),
            protocol=_sentence(newest[name]["protocol"]),
            matched=_number(newest[name]["matched"]),
        )
        for name, pairs in points.items()
    )


def _scoring(row: dict[str, Any]) -> list[tuple[str, float, dict[str, Any]]]:
    """(name, value, {floor, matched, protocol}) of each score in one line of scores.jsonl."""
    values, floors, matched = (row.get(key) or {} for key in ("scores", "floors", "matched"))
    if not all(isinstance(one, dict) for one in (values, floors, matched)):
        return []
    return [
        (
            str(name),
            number,
            {"floor": floors.get(name), "matched": matched.get(name), "protocol": row.get("protocol", "")},
        )
        for name, value in values.items()
        if (number := _number(value)) is not None
    ]


def _sentence(protocol: Any) -> str:
    """A protocol as text, whatever it was stored as."""
    if isinstance(protocol, dict):
        said = {
            str(key).replace("_", " "): _sentence(value) for key, value in protocol.items() if value not in (None, "")
        }
        return "; ".join(f"{key} {value}" for key, value in said.items())
    if isinstance(protocol, list | tuple):
        return " ".join(map(_sentence, protocol))
    return f"{protocol:,}" if isinstance(protocol, int) else str(protocol)


def _pictures(folder: Path, kind: str) -> tuple[Picture, ...]:
    """`samples/KIND-000012400.png`, by step."""
    found = []
    for path in (folder / "samples").glob(f"{kind}-*.png"):
        if (match := re.fullmatch(rf"{kind}-([0-9]{{1,15}})", path.stem)) and path.is_file():
            found.append(Picture(int(match[1]), path))
    return tuple(sorted(found, key=lambda one: one.step))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _said(log: list[str]) -> dict[str, str]:
    """What each session says first, by label (the newest wins): "… 12:00:00  data      fashion: 9,000 to train on"."""
    labels = ["data", "space", "game", "networks", "device", "steps", "folder"]
    found: dict[str, str] = {}
    for line in log:
        if (match := re.match(r"\d{4}-\d\d-\d\d [\d:]{8}  (\w+) {2,}(\S.*)$", line)) and match[1] in labels:
            found[match[1]] = match[2]
    return found


def _last_step(folder: Path, metrics: dict[str, Curve], scores: tuple[Score, ...], samples: tuple[Picture, ...]) -> int:
    """The furthest step any file bears witness of."""
    checkpoints = [re.search("([0-9]{1,15})$", path.stem) for path in (folder / "checkpoints").glob("step-*.pt")]
    return max(
        [0]
        + [int(curve.steps[-1]) for curve in metrics.values()]
        + [int(score.curve.steps[-1]) for score in scores]
        + [picture.step for picture in samples]
        + [int(match[1]) for match in checkpoints if match]
    )


def _status(folder: Path, step: int, steps: int, log: list[str]) -> str:
    if 0 < steps <= step:
        return "finished"
    if _held(folder / "run.lock"):
        return "running"
    if any("not finite" in line for line in log[-4:]):
        return "not finite"
    return "stopped" if step else "not started"


def _held(lock: Path) -> bool:
    """Whether a live process holds the run's lock: heard of lately, and (on this machine) still there."""
    try:
        if time.time() - lock.stat().st_mtime > LOCK_FRESH_SECONDS:
            return False
        holder = read_json(read_bytes(lock))
        return holder["host"] != socket.gethostname() or _runs(int(holder["pid"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _whole(value: Any) -> int:
    number = _number(value)
    return int(number) if number is not None else 0
