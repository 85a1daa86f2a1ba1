"""Reads a run folder into plain data. It knows files only: no live object, no engine, and nothing has to be there.

Whatever a training run may leave half written (a cut last line of `metrics.jsonl`, no scores yet, no samples at all)
is read as far as it goes, and what could not be read is said in `Run.notes`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from banach.errors import BanachError
from banach.foreign import SMALL, read_bytes, read_json
from banach.foreign_yaml import read_yaml
from banach.metrics import titles
from banach.runs import old_logs, records
from banach.runs.checkpoint import newest_step
from banach.runs.facts import read as read_facts
from banach.runs.folder import RunFolder
from banach.runs.lock import held


class ReportError(BanachError):
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
    about: Mapping[str, Any] = field(default_factory=dict)  # the protocol by its keys

    @property
    def sense(self) -> str:
        """When it is good."""
        return titles.sense(self.name, self.about)

    @property
    def best(self) -> tuple[int, float] | None:
        """The step and the value of the best scoring; None of a score that is best at its floor, without one."""
        values, name = self.curve.values, self.name.lower()
        if name in titles.AT_FLOOR:
            if self.floor is None:
                return None
            away = np.abs(values - self.floor)
        else:
            away = -values if name in titles.HIGHER else values
        at = int(np.argmin(away))
        return int(self.curve.steps[at]), float(values[at])


@dataclass(frozen=True)
class Evaluation:
    """What one `banach evaluate` found: of which generator, against which data, by which command, and when."""

    step: int
    date: str
    command: tuple[str, ...]
    generator: str
    data: str
    samples: int
    scores: tuple[Score, ...]
    excess: Mapping[str, float]
    norm: str


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
    told: Mapping[str, str]  # data, how they are read, networks, lambda and gamma in words, as far as known
    log_tail: tuple[str, ...]
    generators: tuple[Path, ...]
    notes: tuple[str, ...] = field(default=())
    evaluations: tuple[Evaluation, ...] = field(default=())


def read_run(folder: str | Path) -> Run:
    """Everything the run folder holds; raises `ReportError` where there is no run at all."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ReportError(f"no run folder at {folder}; give the folder that `banach train --out` wrote")
    of = RunFolder(folder)
    if not any(one.exists() for one in (of.config, of.metrics, of.samples, of.checkpoints)):
        raise ReportError(f"{folder} is no run folder: it has neither config.yaml nor metrics.jsonl nor samples")
    notes: list[str] = []
    config = _mapping(of.config, notes)
    metrics = _curves(_rows(of.metrics, notes))
    scores = _scores(_rows(of.scores, notes, records.read_scores))
    samples, derivatives = _pictures(of, "fakes"), _pictures(of, "derivative")
    log = _lines(of.log)
    told, not_finite = _told(of, log, notes)
    steps = _whole(config.get("steps", 0))
    step = _last_step(of, metrics, scores, samples)
    return Run(
        folder=folder,
        status=_status(of, step, steps, not_finite),
        step=step,
        steps=steps,
        config=config,
        environment=_mapping(of.environment, notes),
        metrics=metrics,
        scores=scores,
        reals=of.reals if of.reals.is_file() else None,
        samples=samples,
        derivatives=derivatives,
        told=told,
        log_tail=tuple(log[-12:]),
        generators=tuple(one for one in (of.generator, of.best) if one.exists()),
        evaluations=tuple(map(_evaluation, _rows(of.evaluations, notes, records.read_scores))),
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


def _rows(
    path: Path, notes: list[str], read: Callable[[Path], tuple[list[dict[str, Any]], int]] = records.read
) -> list[dict[str, Any]]:
    """The records of a file; lines that hold none are counted in the notes."""
    rows, broken = read(path)
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
    """One `Score` a name and extractor or norm, those of the newest line first: another one's figures do not compare.

    Floor, protocol and matched value are those of the newest line.
    """
    points: dict[tuple[str, str], dict[int, float]] = {}
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["step"]):
        for name, value, about in _scoring(row):
            of = name, titles.taken_in(name, about["protocol"])
            points.setdefault(of, {})[row["step"]] = value
            newest[of] = about
    found = [_score(of[0], _curve(list(pairs.items())), newest[of]) for of, pairs in points.items()]
    return tuple(sorted(found, key=lambda one: -one.curve.steps[-1]))


def _score(name: str, curve: Curve, about: Mapping[str, Any]) -> Score:
    protocol = about["protocol"]
    return Score(
        name,
        curve,
        floor=_number(about["floor"]),
        protocol=_sentence(protocol),
        matched=_number(about["matched"]),
        about=protocol if isinstance(protocol, dict) else {},
    )


def _scoring(row: dict[str, Any]) -> list[tuple[str, float, dict[str, Any]]]:
    """(name, value, {floor, matched, protocol}) of each score in one line of scores.jsonl."""
    values, floors, matched = (row.get(key) or {} for key in ("value", "floor", "matched"))
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


def _evaluation(row: dict[str, Any]) -> Evaluation:
    """A line of evaluations.jsonl, whatever of it is there."""
    scores = tuple(_score(name, _curve([(row["step"], value)]), about) for name, value, about in _scoring(row))
    command, moved = row.get("command"), row.get("transport")
    excess = moved.get("excess") if isinstance(moved, dict) else None
    excess = {key: one for key in ("value", "low", "high") if (one := _number(_under(excess, key))) is not None}
    return Evaluation(
        step=row["step"],
        date=str(row.get("date", "")),
        command=tuple(map(str, command)) if isinstance(command, list) else (),
        generator=str(row.get("generator", "")),
        data=str(row.get("data", "")),
        samples=_whole(_under(row.get("protocol"), "fakes")),
        scores=scores,
        excess=excess if len(excess) == 3 else {},
        norm=titles.taken_in("excess", _under(moved, "protocol")),
    )


def _under(value: Any, key: str) -> Any:
    """What stands under a key, if there are keys."""
    return value.get(key) if isinstance(value, dict) else None


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


def _pictures(of: RunFolder, kind: str) -> tuple[Picture, ...]:
    return tuple(Picture(step, path) for step, path in of.pictures(kind))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _told(of: RunFolder, log: list[str], notes: list[str]) -> tuple[Mapping[str, str], bool]:
    """`Run.told`, and whether the run stopped because something was not finite."""
    if not of.facts.exists():
        return old_logs.sentences(log), old_logs.not_finite(log)
    try:
        facts = read_facts(of.facts)
    except (OSError, ValueError) as error:
        notes.append(f"{of.facts.name} cannot be read ({error})")
        return {}, False
    read = {"read": "; ".join(facts.data_notes)} if facts.data_notes else {}
    return {**facts.sentences(), **read}, bool(facts.not_finite)


def _last_step(
    of: RunFolder, metrics: dict[str, Curve], scores: tuple[Score, ...], samples: tuple[Picture, ...]
) -> int:
    """The furthest step any file bears witness of."""
    return max(
        [newest_step(of.checkpoints)]
        + [int(curve.steps[-1]) for curve in metrics.values()]
        + [int(score.curve.steps[-1]) for score in scores]
        + [picture.step for picture in samples]
    )


def _status(of: RunFolder, step: int, steps: int, not_finite: bool) -> str:
    if 0 < steps <= step:
        return "finished"
    if held(of.lock):
        return "running"
    if not_finite:
        return "not finite"
    return "stopped" if step else "not started"


def _whole(value: Any) -> int:
    number = _number(value)
    return int(number) if number is not None else 0
