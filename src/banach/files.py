"""Atomic writing: a file is written under another name, flushed to disk, then renamed."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from banach.errors import BanachError

FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""Error numbers of a file that cannot grow: disk full, quota reached, file size limit."""

_LEFTOVERS = ".*.tmp", ".*.part"
_DEVICES = tuple(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))


class DiskFull(OSError):
    """The disk is too full to write a file; the message names it and the remedy. The file as it was before is kept."""


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write to; on leaving, the file is moved to `path`, or removed after an error.

    The path's name is random: no two processes share it, on whatever machines, and nobody can have put a link there
    through which would be written. Raises `DiskFull` where there was no room, and BanachError where `path` is a device
    or a pipe: a file would be put into its place.
    """
    refuse_device(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        _sync_file(temporary)
        temporary.replace(path)
        temporary.unlink(missing_ok=True)  # renaming one name of a file to another of its names does nothing
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in FULL:
            raise no_room(path) from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def refuse_device(path: Path) -> None:
    """Raises BanachError where a path is there and is neither a file nor a folder: /dev/null, /dev/stdout, a pipe."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if path.absolute().parent in _DEVICES or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BanachError(f"{path} is a device or a pipe, and a file is written whole or not at all; name a file")


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yields a new folder to write into; on leaving, it is `path`, or (after an error) nowhere, with all that is in it.

    `path` may be an empty folder, or not there. Raises `DiskFull` where there was no room.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.is_dir():
            path.rmdir()  # an empty one: a full one is not replaced
        temporary.replace(path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise no_room(path) from error
        raise
    sync_folder(path.parent)


def no_room(path: Path) -> DiskFull:
    """A `DiskFull` that names the file."""
    return DiskFull(errno.ENOSPC, f"no space left to write {path}; free some and run the same command again")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` atomically."""
    with staged(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, in UTF-8 (see `encodable`)."""
    write_bytes(path, encodable(text).encode())


def written_between(page: Path, name: str, text: str) -> None:
    """Put `text` between the page's markers `<!-- name -->` and `<!-- end of name -->`, atomically.

    BanachError where the page has no such markers: the rest of it is somebody's own.
    """
    before, after = around(page, name)
    write_text(page, f"{before}\n{text.strip()}\n{after}")


def around(page: Path, name: str) -> tuple[str, str]:
    """What a page holds up to the marker `<!-- name -->`, with it, and from `<!-- end of name -->` on, with it.

    Raises BanachError where the page cannot be read, or has no such markers, one after the other.
    """
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    refuse_device(page)
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BanachError(f"{page} cannot be read as a page ({error}); name a Markdown file") from None
    before, begun, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not begun or not found:
        raise BanachError(f"{page} has no place for it; add two lines to it: {start} and {end}")
    return before + start, end + after


def encodable(text: str) -> str:
    r"""A text that UTF-8 can hold: bytes of file names that are not UTF-8 become escapes.

    >>> encodable("ä\udcff")
    'ä\\udcff'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries (renames) to disk; Windows opens no folders, and flushes by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files that a killed process left in `folder`."""
    for pattern in _LEFTOVERS:
        for leftover in folder.glob(pattern):
            leftover.unlink(missing_ok=True)


def _sync_file(path: Path) -> None:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
