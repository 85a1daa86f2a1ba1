"""From the words of a command line to run folders: a run, a folder of runs at any depth, or a pattern."""

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from banach.report.run import ReportError
from banach.runs.folder import RunFolder


@dataclass(frozen=True)
class Found:
    """Run folders, each once, in the order in which they were named; and lines on what was named more than once."""

    folders: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def find_runs(words: Sequence[str | Path]) -> Found:
    """The run folders that `words` name; raises `ReportError` for a word that leads to none."""
    found: dict[Path, Path] = {}
    twice: list[str] = []
    for word in words:
        folders = [run for path in _paths(str(word)) for run in _runs_in(path)]
        if not folders:
            raise ReportError(f"{word}: there is no run in it; give run folders, or folders that hold some")
        for one in folders:
            real = one.resolve()
            if real in found:
                twice.append(str(one))
            found.setdefault(real, one)
    if not found:
        raise ReportError("no run is named; give run folders, for example runs/*")
    return Found(tuple(found.values()), tuple(f"{one} is named more than once, and counted once" for one in twice))


def _paths(word: str) -> list[Path]:
    path = Path(word).expanduser()
    if path.is_dir():
        return [path]
    if path.is_file():
        raise ReportError(f"{word} is a file; give the folder of the run that it lies in")
    if glob.has_magic(word):
        base = Path(path.anchor)
        found = base.glob(str(path.relative_to(base)) if path.anchor else str(path))
        return sorted((one for one in found if one.is_dir()), key=lambda one: natural(str(one)))
    raise ReportError(f"{word}: no such folder; check the path")


def _runs_in(path: Path) -> list[Path]:
    """The run in a folder, or else all runs below it, but for what lies inside of runs."""
    if RunFolder(path).holds_run:
        return [path]
    found = []
    for here, below, _ in os.walk(path):
        below[:] = sorted((one for one in below if not one.startswith(".")), key=natural)
        for name in [one for one in below if RunFolder(Path(here, one)).holds_run]:
            below.remove(name)
            found.append(Path(here, name))
    return sorted(found, key=lambda one: natural(str(one)))


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in texts by their size: seed2 before seed10."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(one[:18]), one) if one.isdecimal() else (1, 0, one) for one in parts]
