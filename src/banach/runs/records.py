"""The run's records: `metrics.jsonl` (each logged step once), TensorBoard, and `log.txt`."""

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from banach.files import FULL, no_room, write_bytes
from banach.foreign import read_json, visible

KEYS = {
    "step": "generator steps done",
    "images": "training images the critic has seen",
    "minutes": "minutes spent in training steps, over all sessions (scoring, pictures and checkpoints not counted)",
    "images_per_second": "training images a second since the line before",
    "lr": "the critic's learning rate",
    "g_lr": "the generator's learning rate",
    "loss_critic": "the critic's loss, all terms; mean since the line before, as are all terms below",
    "loss_generator": "the generator's loss, E psi(f(fake))",
    "play": "E phi(f(fake)) + E varphi(f(real)), the part of the critic's loss that is the game",
    "penalty": "lambda times the penalty",
    "drift": "1e-5 E D(real)^2 with the default drift",
    "gap": "E f(real) - E f(fake): W1 would be the largest gap of a 1-Lipschitz f; no bound, as f is neither",
    "gap_per_slope": "gap / slope_max: the gap of f made 1-Lipschitz where it was measured; no bound either",
    "gap_held_out": "the gap between held-out reals and fresh fakes at this step; below `gap` when the critic overfits",
    "slope_mean": "mean of the slopes that the penalty saw",
    "slope_max": "largest of the slopes that the penalty saw since the line before",
    "dropped": "pairs closer than 1e-6, which have no quotient, in a critic step on the average",
    "bound": "the Lipschitz constant of f that the constraint or the critic proves in the space; null where none is",
}
"""The keys of a line of metrics.jsonl, in order, and what they mean. A value that does not exist is null."""

SCORED = {
    "value": "the scores by name: all samples against the training part",
    "matched": "the scores of as many samples as were held out, to be compared with the floor; {} without one",
    "floor": "the scores of the held-out reals in place of samples; {} where too few are held out",
    "protocol": "what one needs to know to get the same figures again",
    "transport": "W1 in a norm against the held-out data, with its excess; null where none was asked for",
}
"""What a scoring says, in these names in scores.jsonl, evaluations.jsonl and `banach evaluate --json`."""

SCORES = {"step": "generator steps done", "minutes": "minutes spent in training steps", **SCORED}
"""The keys of a line of scores.jsonl, in order."""

EVALUATIONS = {
    "step": "generator steps of what was scored",
    "date": "when",
    "command": "the command, word by word",
    "generator": "the file",
    "data": "the name of the data it was scored against",
    "seed": "seed of the samples",
    **SCORED,
}
"""The keys of a line of evaluations.jsonl, in order."""

_FORMER = {"scores": "value", "floors": "floor"}
"""What two keys of scores.jsonl were called up to version 0.1."""

_NO_LINKS = os.O_NOFOLLOW if "O_NOFOLLOW" in dir(os) else 0  # Windows has none
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINKS
"""Not through a link, which a stranger's folder may have in a file's place."""

TIMES = frozenset({"minutes", "images_per_second"})
"""The keys that differ between two runs that are otherwise the same."""

_TAGS = {
    "loss_critic": "Loss/critic",
    "loss_generator": "Loss/generator",
    "play": "Loss/play",
    "penalty": "Loss/penalty",
    "drift": "Loss/drift",
    "gap": "Wasserstein/gap",
    "gap_per_slope": "Wasserstein/gap_per_slope",
    "gap_held_out": "Wasserstein/gap_held_out",
    "slope_mean": "Slope/mean",
    "slope_max": "Slope/max",
    "dropped": "Slope/dropped",
    "bound": "Slope/bound",
    "lr": "Progress/lr",
    "g_lr": "Progress/g_lr",
    "images": "Progress/images",
    "images_per_second": "Timing/images_per_second",
}


class JsonLines:
    """A file of one JSON object a line, each with a "step", appended in order of steps."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, record: dict[str, Any]) -> None:
        """Add one line; raises `files.DiskFull` where there is no room."""
        _append(self.path, json.dumps(record) + "\n")

    def sync(self) -> None:
        """Bring the lines to the disk: done before a checkpoint that stands on them."""
        if self.path.exists():
            with self.path.open("rb+") as handle:  # Windows syncs only what may be written
                os.fsync(handle.fileno())

    def records(self) -> list[dict[str, Any]]:
        """All whole lines."""
        return [record for record, _ in _whole_lines(self.path)]

    def truncate(self, step: int) -> None:
        """Drop, atomically, the lines after `step` (a resumed run writes them again) and a line that was cut."""
        if not self.path.exists():
            return
        kept = b"".join(line for record, line in _whole_lines(self.path) if record["step"] <= step)
        if kept != self.path.read_bytes():
            write_bytes(self.path, kept)


def read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records in a file of JSON lines, whoever wrote it, and how many lines hold none; ([], 0) without a file."""
    if not path.is_file():
        return [], 0
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    found = [record for line in lines if (record := _record(line)) is not None]
    return found, len(lines) - len(found)


def read_scores(path: Path) -> tuple[list[dict[str, Any]], int]:
    """`read` of scores.jsonl or evaluations.jsonl, of whatever version, in the names of `SCORED`."""
    found, broken = read(path)
    return [{_FORMER.get(key, key): value for key, value in record.items()} for record in found], broken


def _whole_lines(path: Path) -> list[tuple[dict[str, Any], bytes]]:
    if not path.exists():
        return []
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [(record, line) for line in lines if (record := _record(line)) is not None]


def _record(line: bytes) -> dict[str, Any] | None:
    """The object with a step that a line holds."""
    try:
        found = read_json(line)
    except ValueError:
        return None
    step = found.get("step") if isinstance(found, dict) else None
    return found if isinstance(step, int) and not isinstance(step, bool) and abs(step) < 2**53 else None


class LogFile:
    """`log.txt`: what was said, with the time."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, text: str) -> None:
        """Add the lines of `text`; raises `files.DiskFull` where there is no room."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        _append(self.path, "".join(f"{now}  {visible(line)}\n" for line in text.split("\n")))


def _append(path: Path, text: str) -> None:
    try:
        end = os.open(path, _APPEND, 0o666)
        with os.fdopen(end, "a", encoding="utf-8") as handle:
            handle.write(text)
    except OSError as error:
        if error.errno in FULL:
            raise no_room(path) from error
        raise


class Board:
    """TensorBoard's scalars of one session, in an event file of its own.

    Events after `step`, from a session that was cut off, are purged by its first event. Written in the calling thread:
    TensorBoard's own writer has a thread, which tells of a full disk by a traceback.
    """

    def __init__(self, folder: Path, step: int):
        self._event, self._summary, self._session, record_writer = _protocol()
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._path = folder / name
        self._file = self._path.open("wb")
        self._writer = record_writer(self._file)
        self._write(self._event(wall_time=time.time(), file_version="brain.Event:2"))
        started = self._session(status=self._session.START)
        self._write(self._event(wall_time=time.time(), step=step + 1, session_log=started))
        self.flush()

    def metrics(self, record: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""
        found = {tag: record.get(key) for key, tag in _TAGS.items()}
        self._scalars(record["step"], {tag: value for tag, value in found.items() if value is not None})

    def scores(self, step: int, scores: dict[str, float]) -> None:
        """One scoring."""
        self._scalars(step, {f"Metrics/{name}": value for name, value in scores.items()})

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        parts = [self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(self._event(wall_time=time.time(), step=step, summary=self._summary(value=parts)))
        self.flush()

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())

    def flush(self) -> None:
        """Bring the events to their file; raises `files.DiskFull` where there is no room."""
        try:
            self._file.flush()
        except OSError as error:
            if error.errno in FULL:
                raise no_room(self._path) from error
            raise

    def close(self) -> None:
        """End the session's event file."""
        with suppress(OSError):  # what finds no room now has been told of before
            self._file.close()


def _protocol() -> tuple[Any, Any, Any, Any]:
    """TensorBoard's Event, Summary, SessionLog and RecordWriter."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.summary.writer.record_writer import RecordWriter

    return Event, Summary, SessionLog, RecordWriter
