"""Decoded data kept on disk: one file of plain entries that is mapped, and beside it what it holds, as JSON.

The files are $BANACH_CACHE/decoded/SOURCE-CONTENT.bin and .json (see `cache_folder`), and can be deleted at any time.
SOURCE is a hash of where the data come from and how they are read, CONTENT one of the paths, sizes and times of the
files found there: data that have changed are decoded anew, and replace those of the same source. A file appears
whole or not at all, one process at a time decodes a source, and a file whose SHA-256 is not the noted one is made anew.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from rich.console import Console

from banach.data.progress import progress
from banach.data.rows import Origin, Rows, Samples
from banach.errors import DataError
from banach.files import staged, write_bytes, write_text
from banach.foreign import Unreadable, read_json
from banach.memory import gib

FORMAT = 1  # counts up when the same files would be decoded to other entries
_BLOCK = 1 << 22  # bytes
_TYPES = {"uint8": torch.uint8, "float32": torch.float32}


def cache_folder() -> Path:
    """Where results and decoded data are kept: $BANACH_CACHE, else $XDG_CACHE_HOME/banach, else ~/.cache/banach."""
    if own := os.environ.get("BANACH_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "banach"


@dataclass(frozen=True)
class Key:
    """What decoded data depend on, as two hashes: `source` and `content`."""

    source: str
    content: str

    @property
    def path(self) -> Path:
        """The file of the entries."""
        return cache_folder() / "decoded" / f"{self.source}-{self.content}.bin"

    @property
    def about(self) -> Path:
        """The file that says what they are."""
        return self.path.with_suffix(".json")


@dataclass(frozen=True)
class Kept:
    """Decoded data on disk: all their samples, whatever was noted with them, the file, and whether it was just made."""

    values: Rows
    notes: Mapping[str, Any]
    path: Path
    new: bool

    def pair(self, key: str) -> tuple[float, float] | None:
        """Two numbers that were noted, if they were."""
        found = self.notes.get(key)
        return None if found is None else (float(found[0]), float(found[1]))

    def __str__(self) -> str:
        done = "decoded into" if self.new else "read from"
        return f"{done} the cache {self.path} ({gib(self.values.nbytes)}), mapped"


def key_of(source: Mapping[str, object], folder: Path, files: Iterable[Path]) -> Key:
    """The key of what these files below `folder` hold now, read as `source` says (JSON values: place and options)."""
    digest = hashlib.sha256()
    for file in files:
        try:
            found = file.stat()
            said = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        except OSError:
            said = "unread"
        digest.update(f"{file.relative_to(folder)} {said}\n".encode(errors="surrogateescape"))
    text = json.dumps({"format": FORMAT, **source}, sort_keys=True)
    return Key(hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16], digest.hexdigest()[:32])


def find(key: Key) -> Kept | None:
    """The data kept under a key; None where there are none, or the file is not what was written."""
    try:
        about = read_json(key.about.read_text(encoding="utf-8"))
        shape, dtype, digest = tuple(about["shape"]), _TYPES[about["dtype"]], about["sha256"]
        notes = {"about": (), "bad": (), **about["notes"]}
        values = _mapped(key.path, shape, dtype)
        if _digest(key.path) == digest:
            rows = Rows(values, torch.arange(len(values)), Origin(key.path, digest))
            return Kept(rows, notes, key.path, new=False)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):  # not there, or damaged in any way
        pass
    return None


def keep(
    key: Key,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    parts: Callable[[], Iterable[np.ndarray]],
    notes: Callable[[], Mapping[str, Any]],
    expected: int,
) -> Kept:
    """Write data under a key, block by block, and map them; or what another process has written meanwhile.

    `shape` and `dtype` (uint8 or float32) are those of one sample, `parts` gives arrays (n, *shape), `notes` (JSON
    values) is asked for at the end, `expected` is how many bytes there will be. Raises `DataError` where the folder
    cannot be written or the disk is full, and leaves nothing half done.
    """
    folder = key.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{key.source}.lock") as alone:
            if (found := find(key)) is not None:
                return found
            if alone:
                _remove_others(key)
            if (free := shutil.disk_usage(folder).free) < expected:
                raise _full(folder, f"{gib(expected)} are needed and {gib(free)} are free")
            return _written(key, shape, dtype, parts, notes)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder, f"{gib(expected)} are needed") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise DataError(
                f"the cache folder {folder} cannot be written ({error.strerror}); set BANACH_CACHE to one that can"
            ) from None
        raise


def _full(folder: Path, said: str) -> DataError:
    return DataError(f"the disk of the cache folder {folder} is full ({said}); set BANACH_CACHE to a larger one")


def _written(
    key: Key,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    parts: Callable[[], Iterable[np.ndarray]],
    notes: Callable[[], Mapping[str, Any]],
) -> Kept:
    digest, n = hashlib.sha256(), 0
    with staged(key.path) as temporary, temporary.open("wb") as file:
        for part in parts():
            content = np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
            file.write(content)
            digest.update(content)
            n += len(part)
        about = {
            "format": FORMAT,
            "shape": [n, *shape],
            "dtype": str(dtype).removeprefix("torch."),
            "sha256": digest.hexdigest(),
            "notes": dict(notes()),
        }
    write_bytes(key.about, json.dumps(about, indent=1).encode(errors="surrogateescape"))
    values = _mapped(key.path, (n, *shape), dtype)
    rows = Rows(values, torch.arange(n), Origin(key.path, about["sha256"]))
    return Kept(rows, about["notes"], key.path, new=True)


def remembered(parts: Sequence[Samples], compute: Callable[[], str]) -> str:
    """A hash of `parts`, noted beside the file that they are rows of: it reads the file in random order, once."""
    origins = {one.origin if isinstance(one, Rows) else None for one in parts}
    origin = origins.pop() if len(origins) == 1 else None
    if origin is None:
        return compute()
    key = hashlib.sha256(origin.sha256.encode())
    for one in parts:
        assert isinstance(one, Rows)
        key.update(f"{len(one)};".encode())
        key.update(one.order.numpy().data)
    path = origin.path.with_suffix(f".{key.hexdigest()[:32]}.hash")
    with contextlib.suppress(OSError, ValueError):
        found = re.fullmatch(r"([0-9a-f]{64})\n", path.read_text(encoding="ascii"))
        if found is not None:
            return found[1]
    result = compute()
    with contextlib.suppress(OSError):
        write_text(path, f"{result}\n")
    return result


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Inside, no other process decodes the same source; False where files cannot be locked: two may do one work."""
    lock = FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            with Console(stderr=True).status("waiting for another process that decodes the same data"):
                lock.acquire()
    except NotImplementedError:  # some network file systems
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _remove_others(key: Key) -> None:
    """Remove what the same source held before, and what an interrupted process has left."""
    for pattern in (f"{key.source}-*", f".{key.source}-*"):
        for old in key.path.parent.glob(pattern):
            with contextlib.suppress(OSError):  # who has the file mapped keeps it
                old.unlink()


def _mapped(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """The file as a tensor that is read from disk where it is looked at; `Unreadable` where its length is another."""
    kind = np.dtype(str(dtype).removeprefix("torch."))
    if path.stat().st_size != int(np.prod(shape, dtype=np.int64)) * kind.itemsize:
        raise Unreadable("another length")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it cannot be written to: `Rows` gives copies alone
        return torch.from_numpy(np.memmap(path, kind, "r", shape=shape))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    starts = range(0, path.stat().st_size, _BLOCK)
    with path.open("rb") as file:
        for _ in progress(starts, len(starts), "checking the cache"):
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()
