"""Reads a run folder into plain data. It knows files only: no live object, no engine, and nothing has to be there.

Whatever a training run may leave half written (a cut last line of `metrics.jsonl`, no scores yet, no samples at all)
is read as far as it goes, and what could not be read is said in `Run.notes`.
"""

import json
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
import yaml

LOCK_FRESH_SECONDS = 120.0
LOWER_IS_BETTER = ("fid", "kid", "w1", "sliced_w1", "mmd", "moments")
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
    """One score over the run, beside its floor: the same score between the training part and held-out reals."""

    name: str
    curve: Curve
    floor: float | None
    protocol: str

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
    log_tail = _log_tail(folder / "log.txt")
    steps = _whole(config.get("steps", 0))
    step = _last_step(folder, metrics, scores, samples)
    reals = folder / "samples" / "reals.png"
    return Run(
        folder=folder,
        status=_status(folder, step, steps, log_tail),
        step=step,
        steps=steps,
        config=config,
        environment=_mapping(folder / "environment.json", notes),
        metrics=metrics,
        scores=scores,
        reals=reals if reals.is_file() else None,
        samples=samples,
        derivatives=derivatives,
        log_tail=log_tail,
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
        text = path.read_text(encoding="utf-8")
        value = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        notes.append(f"{path.name} cannot be read ({str(error).splitlines()[0]})")
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
            row = json.loads(line)
            row["step"] = int(row["step"])
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _scores(rows: list[dict[str, Any]]) -> tuple[Score, ...]:
    """One `Score` a name; its floor and protocol are those of the newest line that has them."""
    points: dict[str, dict[int, float]] = {}
    floors: dict[str, float] = {}
    protocols: dict[str, str] = {}
    for row in rows:
        for name, value, floor, protocol in _scoring(row):
            points.setdefault(name, {})[row["step"]] = value
            if floor is not None:
                floors[name] = floor
            if protocol:
                protocols[name] = protocol
    return tuple(
        Score(name, _curve(sorted(pairs.items())), floors.get(name), protocols.get(name, ""))
        for name, pairs in points.items()
    )


def _scoring(row: dict[str, Any]) -> list[tuple[str, float, float | None, str]]:
    """(name, value, floor, protocol) of each score in one line of scores.jsonl, whichever way it nests them."""
    values = row["scores"] if isinstance(row.get("scores"), dict) else row
    floors = row["floors"] if isinstance(row.get("floors"), dict) else {}
    found = []
    for name, value in values.items():
        floor, protocol = floors.get(name), row.get("protocol", "")
        if isinstance(value, dict):
            floor, protocol = value.get("floor", floor), value.get("protocol", protocol)
            value = value.get("value")
        if isinstance(protocol, dict) and name in protocol:
            protocol = protocol[name]
        if name not in {"step", "minutes", "images", "seconds"} and (number := _number(value)) is not None:
            found.append((str(name), number, _number(floor), _sentence(protocol)))
    return found


def _sentence(protocol: Any) -> str:
    """A protocol as text, whatever it was stored as."""
    if isinstance(protocol, dict):
        return ", ".join(f"{key} {_sentence(value)}" for key, value in protocol.items() if value not in (None, ""))
    if isinstance(protocol, list | tuple):
        return " ".join(map(_sentence, protocol))
    return str(protocol)


def _pictures(folder: Path, kind: str) -> tuple[Picture, ...]:
    """`samples/KIND-000012400.png`, by step."""
    found = []
    for path in (folder / "samples").glob(f"{kind}-*.png"):
        if match := re.fullmatch(rf"{kind}-(\d+)", path.stem):
            found.append(Picture(int(match[1]), path))
    return tuple(sorted(found, key=lambda one: one.step))


def _log_tail(path: Path, lines: int = 12) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _last_step(folder: Path, metrics: dict[str, Curve], scores: tuple[Score, ...], samples: tuple[Picture, ...]) -> int:
    """The furthest step any file bears witness of."""
    checkpoints = [re.search(r"(\d+)$", path.stem) for path in (folder / "checkpoints").glob("step-*.pt")]
    return max(
        [0]
        + [int(curve.steps[-1]) for curve in metrics.values()]
        + [int(score.curve.steps[-1]) for score in scores]
        + [picture.step for picture in samples]
        + [int(match[1]) for match in checkpoints if match]
    )


def _status(folder: Path, step: int, steps: int, log_tail: tuple[str, ...]) -> str:
    if 0 < steps <= step:
        return "finished"
    if _held(folder / "run.lock"):
        return "running"
    if any("not finite" in line for line in log_tail[-4:]):
        return "not finite"
    return "stopped" if step else "not started"


def _held(lock: Path) -> bool:
    """Whether a live process holds the run's lock: heard of lately, and (on this machine) still there."""
    try:
        if time.time() - lock.stat().st_mtime > LOCK_FRESH_SECONDS:
            return False
        holder = json.loads(lock.read_text(encoding="utf-8"))
        return holder["host"] != socket.gethostname() or _runs(int(holder["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
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
