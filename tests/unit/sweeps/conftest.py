"""A sweep of runs that are files only, brought into any state."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

from banach.sweeps.folder import Sweep, open_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Five runs of 20 steps, none begun."""
    runs = [{"index": at, "name": f"run-{at}", "steps": 20, "values": {"seed": at}} for at in range(5)]
    (tmp_path / "S").mkdir()
    (tmp_path / "S" / "sweep.json").write_text(json.dumps({"format": 1, "base": {}, "runs": runs}))
    found = open_sweep(tmp_path / "S")
    for one in found.runs:
        one.folder.path.mkdir(parents=True)
    return found


@pytest.fixture
def saved():
    """Puts a checkpoint of a step into a run."""

    def act(run, step: int) -> None:
        run.folder.checkpoints.mkdir(exist_ok=True)
        (run.folder.checkpoints / f"step-{step:09d}.pt").touch()

    return act


@pytest.fixture
def lock_of():
    """Writes a lock file as a process of some host would have done so many seconds ago."""

    def act(path: Path, pid: int = os.getppid(), host: str = socket.gethostname(), age: float = 0) -> None:
        path.write_text(json.dumps({"host": host, "pid": pid, "token": "x"}))
        os.utime(path, (time.time() - age, time.time() - age))

    return act
