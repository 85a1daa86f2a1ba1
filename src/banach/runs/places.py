"""Paths that a run's config names, found again when run or working folder are not where they were at its start."""

import json
import re
from pathlib import Path
from typing import Any

from banach.foreign import SMALL, Unreadable, read_bytes, read_json
from banach.runs.folder import RunFolder


def found(text: str, folder: RunFolder, out: str) -> str:
    """The relative path `text` of the run in `folder`, whose config names itself `out`, as it leads there from here.

    Looked for in the folder from which `out` led to the run, in the working folder, and in the one where the run's
    newest session was begun; unchanged where it is absolute, in none of them, or seen from here as it is.
    """
    path = Path(text).expanduser()
    if not text or path.is_absolute():
        return text
    here = Path.cwd()
    for base in (_led_from(folder.path, out), here, _begun_in(folder.environment)):
        if base is not None and _is_there(base / path):
            return text if base.resolve() == here.resolve() else str(base / path)
    return text


def found_in_spec(spec: str, folder: RunFolder, out: str) -> str:
    """The spec with the relative files that it names, such as `Scale('mask.npy')`, as they lead there from here."""

    def now(one: re.Match[str]) -> str:
        there = found(one[2], folder, out)
        return one[0] if there == one[2] else repr(there)  # as a literal: a folder's name may hold quotes

    return _FILES.sub(now, spec)


_FILES = re.compile(r"""(['"])([^'"\\\n]+\.\w+)\1""")  # in quotes, with a suffix


def _led_from(run: Path, out: str) -> Path | None:
    """The folder from which the relative path `out` leads to `run`."""
    place, name = run.resolve(), Path(out)
    if not out or name.is_absolute() or ".." in name.parts or place.parts[-len(name.parts) :] != name.parts:
        return None
    return Path(*place.parts[: -len(name.parts)])


def _begun_in(environment: Path) -> Path | None:
    """The working folder that the newest session noted."""
    try:
        noted: Any = read_json(read_bytes(environment, 16 * SMALL))
        return Path(noted["folder"])
    except (OSError, Unreadable, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return None


def _is_there(path: Path) -> bool:
    archive, colon, _ = str(path).rpartition(":")  # file.npz:key, store.zarr:variable
    try:
        return path.exists() or bool(colon and Path(archive).exists())
    except (OSError, ValueError):
        return False
