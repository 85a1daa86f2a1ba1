"""The run's records: `metrics.jsonl` (each logged step once), TensorBoard, and `log.txt`."""

import json
import os
import time
from pathlib import Path
from typing import Any

from banach.engine.files import FULL, no_room, write_bytes

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
}
"""The keys of a line of metrics.jsonl, in order, and what they mean. A value that does not exist is null."""

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
            with self.path.open("rb") as handle:
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


def _whole_lines(path: Path) -> list[tuple[dict[str, Any], bytes]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if line.endswith(b"\n") and isinstance(record, dict) and isinstance(record.get("step"), int):
            found.append((record, line))
    return found


class LogFile:
    """`log.txt`: what was said, with the time."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, text: str) -> None:
        """Add the lines of `text`; raises `files.DiskFull` where there is no room."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        _append(self.path, "".join(f"{now}  {line}\n" for line in text.splitlines()))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as handle:
            handle.write(text)
    except OSError as error:
        if error.errno in FULL:
            raise no_room(path) from error
        raise


class Board:
    """TensorBoard's scalars of one session. Events after `step`, from a session that was cut off, are purged."""

    def __init__(self, folder: Path, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def metrics(self, record: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""
        for key, tag in _TAGS.items():
            if (value := record.get(key)) is not None:
                self._writer.add_scalar(tag, value, record["step"])

    def scores(self, step: int, scores: dict[str, float]) -> None:
        """One scoring."""
        for name, value in scores.items():
            self._writer.add_scalar(f"Metrics/{name}", value, step)

    def flush(self) -> None:
        """Bring the events to their file."""
        self._writer.flush()

    def close(self) -> None:
        """End the session's event file."""
        self._writer.close()
