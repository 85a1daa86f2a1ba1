"""How far the runs of a sweep are, read from their folders: done, running, stopped, failed, waiting."""

import json
import math
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from banach.files import write_text
from banach.foreign import read_bytes, read_json
from banach.runs import checkpoint
from banach.runs.folder import FolderError
from banach.runs.lock import Lock, held, held_by, seen_alive
from banach.runs.records import read_scores
from banach.sweeps.folder import Sweep, SweepRun

DONE, RUNNING, STOPPED, FAILED, WAITING = "done", "running", "stopped", "failed", "waiting"
STATES = {
    DONE: "finished; it is never run again",
    RUNNING: "a live process has it",
    STOPPED: "begun, not finished; goes on from its checkpoint",
    FAILED: "ended by an error; taken up again with --retry-failed only",
    WAITING: "not begun",
}
"""The states of a run, and what they mean."""

_LAST_WORDS = 2_000


@dataclass(frozen=True)
class Standing:
    """How far a run is: its state, the step of its newest checkpoint, why it failed or who runs it, newest scores."""

    state: str
    step: int
    message: str = ""
    code: int | None = None
    """The exit code of a run that has finished or failed."""
    scores: dict[str, float] = field(default_factory=dict)


def standing(run: SweepRun) -> Standing:
    """How far a run is, for whoever looks on."""
    found, ended = at_rest(run), _ended(run)
    if ended is not None and ended[0] == 0:
        return found
    holder = held_by(run.folder.lock) or held_by(run.claim)
    return replace(found, state=RUNNING, message=holder, code=None) if holder else found


def at_rest(run: SweepRun) -> Standing:
    """How far a run is, for whoever has claimed it: as its files have it, whoever holds its locks."""
    step, ended, scores = checkpoint.newest_step(run.folder.checkpoints), _ended(run), _scores(run)
    if (ended is not None and ended[0] == 0) or step >= run.steps:
        return Standing(DONE, step, "", 0, scores)
    if ended is not None:
        return Standing(FAILED, step, ended[1], ended[0], scores)
    begun = step > 0 or checkpoint.exists(run.folder.checkpoints)
    return Standing(STOPPED if begun else WAITING, step, scores=scores)


def standings(sweep: Sweep) -> list[tuple[SweepRun, Standing]]:
    """All runs with how far they are."""
    return [(run, standing(run)) for run in sweep.runs]


def is_open(found: Standing, retry_failed: bool) -> bool:
    """Whether a run is to be taken up."""
    return found.state in (STOPPED, WAITING) or (retry_failed and found.state == FAILED)


def counted(found: Iterable[Standing]) -> str:
    """'9 done, 1 running, 2 waiting'."""
    counts = Counter(one.state for one in found)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def note_end(run: SweepRun, code: int, message: str) -> None:
    """Record that a run finished (0) or failed, with what was said."""
    said = {
        "code": code,
        "message": message[:_LAST_WORDS],
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "host": socket.gethostname(),
    }
    write_text(run.ended, json.dumps(said, indent=1) + "\n")


def forget_failure(run: SweepRun) -> None:
    """A run that failed is taken up again."""
    run.ended.unlink(missing_ok=True)


def _ended(run: SweepRun) -> tuple[int, str] | None:
    try:
        found = read_json(read_bytes(run.ended))
        code, message = found["code"], found["message"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return (code, message) if isinstance(code, int) and isinstance(message, str) else None


def _scores(run: SweepRun) -> dict[str, float]:
    """The values of the newest scoring."""
    try:
        lines, _ = read_scores(run.folder.scores)
    except OSError:
        return {}
    found: Any = lines[-1].get("value") if lines else {}
    if not isinstance(found, dict):
        return {}
    return {
        str(name): float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


@contextmanager
def claimed(run: SweepRun) -> Iterator[bool]:
    """Inside, this process alone takes up the run, or (False) another one has it.

    The claim keeps other workers of the sweep off while the run's process is still starting; the run's own lock keeps
    everybody off once it writes.
    """
    lock = Lock(run.claim)
    if held(run.folder.lock) or held(run.claim):
        yield False
        return
    try:
        lock.__enter__()
    except FolderError:
        if not os.access(run.folder.path, os.W_OK):
            raise
        yield False
        return
    try:
        yield True
    finally:
        lock.__exit__(None, None, None)


def watched(run: SweepRun) -> str:
    """Who has the run, in words; empty where nobody does.

    A holder on another machine is watched until its next heartbeat, or until its lock counts as left behind: a job that
    is queued again after its node was lost comes back before that.
    """
    for lock in (run.folder.lock, run.claim):
        if seen_alive(lock):
            return held_by(lock)
    return ""
