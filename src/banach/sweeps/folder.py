"""A sweep's folder: sweep.json, which lists the runs, the grid that it was made of, and a folder for each run."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from banach.config.config import dump
from banach.errors import BanachError
from banach.files import staged_folder, write_bytes, write_text
from banach.foreign import SMALL, read_bytes, read_json, typed, visible
from banach.runs.environment import environment, record
from banach.runs.folder import RunFolder
from banach.sweeps.grid import MOST, Grid, SweepError

FORMAT = 1
"""Version of sweep.json."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,150}")
_LARGEST = 64 * SMALL


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep: its number, name, length, the varied keys with their values, and its folder."""

    index: int
    name: str
    steps: int
    values: dict[str, Any]
    folder: RunFolder

    @property
    def claim(self) -> Path:
        """Held by the worker that has taken the run, from before the run's own lock is there until after it."""
        return self.folder.path / "worker.lock"

    @property
    def ended(self) -> Path:
        """How the run ended, if it finished or failed; JSON."""
        return self.folder.path / "ended.json"

    @property
    def output(self) -> Path:
        """What the run's process wrote, where several run side by side."""
        return self.folder.path / "output.txt"


@dataclass(frozen=True)
class Sweep:
    """A sweep: its folder, its runs by index, and what they share."""

    path: Path
    runs: tuple[SweepRun, ...]
    base: dict[str, Any]

    def run(self, index: int) -> SweepRun:
        """The run of a number; SweepError where there is none."""
        if not 0 <= index < len(self.runs):
            raise SweepError(f"index: {self.path} has no run {index}; its runs are 0 to {len(self.runs) - 1}")
        return self.runs[index]


def create(grid: Grid, path: Path, argv: Sequence[str]) -> tuple[Sweep, bool]:
    """Write a sweep's folder, whole or not at all; (the sweep, whether it was made now).

    A sweep of the same grid that is there already is kept as it is. Raises `SweepError` where the folder holds
    something else. `argv` is the command, for the record.
    """
    if (path / "sweep.json").is_file():
        return _kept(grid, path), False
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise SweepError(f"out: {path} is there and holds no sweep; choose another --out")
    here = environment(0, torch.device("cpu"), argv)
    try:
        with staged_folder(path) as temporary:
            for one in grid.runs:
                folder = RunFolder(temporary / "runs" / one.name)
                folder.path.mkdir(parents=True)
                write_text(folder.config, dump(one.config.at(str(path / "runs" / one.name))))
                record(folder.environment, {**here, "seed": one.config.seed})
            write_bytes(temporary / "grid.yaml", read_bytes(Path(grid.source).expanduser()))
            write_text(temporary / "sweep.json", json.dumps(_content(grid), indent=1) + "\n")
    except OSError as error:
        if (path / "sweep.json").is_file():  # another process has made it meanwhile
            return _kept(grid, path), False
        raise SweepError(f"out: cannot make {path}: {error.strerror}; choose another --out") from None
    return open_sweep(path), True


def _content(grid: Grid) -> dict[str, Any]:
    runs = [
        {"index": index, "name": one.name, "steps": one.config.steps, "values": one.values}
        for index, one in enumerate(grid.runs)
    ]
    return {"format": FORMAT, "base": grid.base, "runs": runs}


def _kept(grid: Grid, path: Path) -> Sweep:
    found, new = open_sweep(path), json.loads(json.dumps(_content(grid)))
    old = [{"index": one.index, "name": one.name, "steps": one.steps, "values": one.values} for one in found.runs]
    if found.base == new["base"] and old == new["runs"]:
        return found
    if found.base != new["base"]:
        keys = sorted(key for key in {*found.base, *new["base"]} if found.base.get(key) != new["base"].get(key))
        differs = f"other values of {', '.join(keys)}"
    else:
        differs = f"other runs ({len(old)} there, {len(new['runs'])} now)"
    raise SweepError(
        f"out: {path} holds a sweep with {differs}; nothing was changed\n"
        "choose another --out, or give the grid it was made of (its grid.yaml)"
    )


def open_sweep(path: str | Path) -> Sweep:
    """The sweep in a folder, whoever wrote it; SweepError where there is none."""
    folder = Path(path).expanduser()
    file = folder / "sweep.json"
    try:
        found = read_json(read_bytes(file, _LARGEST))
        return _read(found, folder)
    except FileNotFoundError:
        remedy = f"make one: banach sweep create grid.yaml --out {typed(folder)}"
        raise SweepError(f"{visible(str(folder))} holds no sweep (no sweep.json); {remedy}") from None
    except NotADirectoryError:
        raise SweepError(f"{visible(str(folder))} is a file; give the folder of a sweep") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        said = str(error) if isinstance(error, BanachError) else "it was not written by banach sweep create"
        raise SweepError(f"{visible(str(file))} cannot be read: {said}; take another copy of it") from None


def _read(found: Any, folder: Path) -> Sweep:
    if found["format"] > FORMAT:
        raise SweepError("a newer banach wrote it")
    if len(found["runs"]) > MOST:
        raise SweepError(f"it has more than {MOST:,} runs")
    runs = tuple(_run(one, index, folder) for index, one in enumerate(found["runs"]))
    if len({one.name for one in runs}) < len(runs) or not runs or not isinstance(found["base"], dict):
        raise SweepError("its runs are none, or two of one name")
    return Sweep(folder, runs, found["base"])


def _run(one: Any, index: int, folder: Path) -> SweepRun:
    name, steps, values = one["name"], one["steps"], one["values"]
    whole = isinstance(steps, int) and 0 < steps < 2**53 and isinstance(values, dict)
    if one["index"] != index or not _NAME.fullmatch(name) or not whole:
        raise SweepError(f"run {index} has no name or length that can be used")
    return SweepRun(index, name, steps, values, RunFolder(folder / "runs" / name))
