"""Small sweeps for tests, processes that run them, and the same runs by themselves to compare them with."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from resume_driver import Driver

from banach.config.reading import read_file
from banach.sweeps.folder import Sweep, SweepRun, open_sweep
from banach.sweeps.grid import read_grid

BASE = {
    "data": "x.npy", "model": "mlp", "width": 16, "z": 4, "n-critic": 1, "batch": 16, "steps": 60, "save-every": 5,
    "sample-every": 60, "log-every": 20, "score-samples": 20, "extractor": "pixels", "threads": 1,
}  # fmt: skip
TWELVE = {"grid": {"space": ["l2", "Sobolev(s=-1)"], "penalty": ["wgan-gp", "wgan-lp"]}, "seeds": [0, 1, 2]}
THREE = {"grid": {"space": ["l2", "Sobolev(s=-1)", "Lp(4)"]}}
COMMAND = [sys.executable, "-m", "banach", "sweep"]


def write(folder: Path, parts: dict[str, Any]) -> Path:
    """grid.yaml and its data in a folder."""
    np.save(folder / "x.npy", np.random.default_rng(0).integers(0, 256, (150, 1, 6, 6), dtype=np.uint8))
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({"base": BASE, **parts}, sort_keys=False))
    return path


def run_alone(driver: Driver, grid: Path, out: Path) -> dict[str, Path]:
    """The runs of a grid, each by itself and undisturbed, by name. The working folder is that of the grid."""
    found = {}
    for one in read_grid(grid).runs:
        values = {"data": str(grid.with_name("x.npy")), "out": str(out / one.name)}
        config = {key: getattr(one.config, key) for key in type(one.config).__dataclass_fields__}
        assert driver.run({**config, **values})["code"] == 0
        found[one.name] = out / one.name
    return found


def sweep_in(folder: Path) -> Sweep:
    return open_sweep(folder)


def reached(run: SweepRun, step: int) -> bool:
    return (run.folder.checkpoints / f"step-{step:09d}.pt").exists()


def await_step(run: SweepRun, step: int, process: subprocess.Popen | None = None, seconds: float = 900) -> None:
    """Until the run has saved a step, and not yet its end."""
    ends = time.monotonic() + seconds
    while not any(run.folder.checkpoints.glob("step-*")) or max_step(run) < step:
        assert time.monotonic() < ends, f"{run.name} has not come to step {step}"
        assert process is None or process.poll() is None, f"{run.name} ended with {process.returncode}"
        time.sleep(0.003)


def max_step(run: SweepRun) -> int:
    return max((int(one.stem[5:]) for one in run.folder.checkpoints.glob("step-*.pt")), default=0)


def holder(run: SweepRun) -> int:
    """The process that writes in the run's folder."""
    return json.loads(run.folder.lock.read_text())["pid"]


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def weights(run: Path) -> dict[str, Any]:
    """All that a finished run's checkpoint holds, but its seconds, by path."""

    def flat(value: Any, name: str) -> dict[str, Any]:
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
        if parts is None:
            return {name: value}
        return {key: one for at, part in parts for key, one in flat(part, f"{name}/{at}").items()}

    found = flat(torch.load(run / "checkpoints" / "last.pt", weights_only=True), "")
    return {name: value for name, value in found.items() if name != "/seconds"}


def assert_same(one: Path, other: Path) -> None:
    """The two runs have ended with the same bits."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert sum(isinstance(value, torch.Tensor) for value in first.values()) > 20
    for name, value in first.items():
        same = torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name]
        assert same, f"{one.name}: {name}"


def assert_all_same(folder: Path, alone: dict[str, Path]) -> None:
    """Every run of the sweep has finished as it does by itself."""
    found = sweep_in(folder)
    assert {one.name for one in found.runs} == alone.keys()
    for one in found.runs:
        assert json.loads(one.ended.read_text())["code"] == 0
        assert read_file(one.folder.config).steps == one.steps == max_step(one)
        assert not one.folder.lock.exists()
        assert not one.claim.exists()
        assert_same(one.folder.path, alone[one.name])
