"""One writer at a time in a run folder: a lock file that says who holds it, kept fresh by a heartbeat."""

import json
import os
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from banach import distributed
from banach.files import write_text
from banach.foreign import read_bytes, read_json
from banach.runs.folder import FolderError

HEARTBEAT = 15.0
"""Seconds between two signs of life."""

STALE = 120.0
"""Seconds without a sign of life after which a lock held on another machine counts as left behind."""

_GUARD_SECONDS = 10.0


class LockLost(FolderError):
    """Another process has taken the folder over; this one must not write there any more."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock; `launch` is the torchrun job it is a part of."""

    host: str
    pid: int
    token: str
    launch: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lock:
    """Holds `path` while entered.

    Raises `FolderError`, naming the holder, while another process is alive there. A lock whose process is dead (on this
    host), or whose last heartbeat is older than `stale` seconds, is taken over; `taken_over` then says from whom. So is
    one that torchrun has started again as this process, perhaps on another host: it has ended the old one before.
    """

    def __init__(self, path: Path, heartbeat: float = HEARTBEAT, stale: float = STALE):
        self.path, self.heartbeat, self.stale = path, heartbeat, stale
        self.taken_over = ""
        self._me = Holder(socket.gethostname(), os.getpid(), secrets.token_hex(8), distributed.launch())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="banach-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        try:
            with _Guard(self.path.with_name(f".{self.path.name}.guard")):
                self._take()
            self._thread.start()
        except BaseException:  # Ctrl-C too: `with` has not begun, and would not let it go
            self._let_go()
            raise
        return self

    def _take(self) -> None:
        holder, age = _read(self.path)
        if holder is not None:
            if self._alive(holder, age):
                raise _taken(self.path, holder, age)
            self.taken_over = f"took over the lock that {holder} left behind {age:.0f} s ago"
        write_text(self.path, json.dumps(asdict(self._me)) + "\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._mine():
            self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises `LockLost` if another process has taken the lock over, after this one had been asleep for long."""
        if not self._mine():
            holder, _ = _read(self.path)
            raise LockLost(
                f"{self.path.parent} was taken over by {holder or 'another process'} while this one did not respond\n"
                f"this one has stopped, and has written nothing since"
            )

    def _mine(self) -> bool:
        return _read(self.path)[0] == self._me

    def _beat(self) -> None:
        while not self._ended.wait(self.heartbeat):
            if not self._mine():
                return
            try:
                os.utime(self.path)
            except OSError:
                return

    def _alive(self, holder: Holder, age: float) -> bool:
        if holder.host == self._me.host and not _runs(holder.pid):
            return False
        if holder.launch and holder.launch == self._me.launch and distributed.restarts():
            return False
        if holder.host == self._me.host and holder.pid == self._me.pid:
            return holder.token != self._me.token and age < self.stale
        return age < self.stale


def refuse_held(path: Path) -> None:
    """Raises `FolderError`, naming the holder, while another process writes here; a lock left behind is none."""
    if held(path):
        raise _taken(path, *_read(path))


def _taken(path: Path, holder: Holder | None, age: float) -> FolderError:
    pid = holder.pid if holder else 0
    return FolderError(
        f"{path.parent} is being written by {holder}, last heard of {age:.0f} s ago\n"
        f"wait for it or stop it (kill {pid}); or choose another --out"
    )


def held(path: Path) -> bool:
    """Whether a live process, this one included, holds a lock: heard of lately, and (on this machine) still there."""
    holder, age = _read(path)
    return holder is not None and age <= STALE and (holder.host != socket.gethostname() or _runs(holder.pid))


def held_by(path: Path) -> str:
    """Who holds a lock, in words; empty where no live process does."""
    return str(_read(path)[0]) if held(path) else ""


def seen_alive(path: Path, pause: float = 1.0) -> bool:
    """Whether the process that holds a lock shows that it lives; one on another machine by its next heartbeat.

    Takes until that is seen, or until the lock counts as left behind: `STALE` seconds at the most.
    """
    holder, first = _read(path)[0], _touched(path)
    while held(path):
        if (holder is not None and holder.host == socket.gethostname()) or _touched(path) != first:
            return True
        time.sleep(pause)
    return False


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


class _Guard:
    """Keeps two processes from judging the same lock at once: a file that only one of them can create."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        began = time.monotonic()
        while True:
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return
            except FileExistsError:
                if time.monotonic() - began > _GUARD_SECONDS:  # its maker died in the few milliseconds it lives
                    self.path.unlink(missing_ok=True)
                time.sleep(0.02)
            except OSError as error:
                raise FolderError(
                    f"cannot write in {self.path.parent}: {error.strerror}; choose another --out"
                ) from None

    def __exit__(self, *ignored: object) -> None:
        self.path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[Holder | None, float]:
    """Who holds the lock and how many seconds ago it was heard of; a file that says nothing has no holder."""
    try:
        holder = Holder(**read_json(read_bytes(path)))
        if not (isinstance(holder.pid, int) and 0 < holder.pid < 2**31 and isinstance(holder.host, str)):
            return None, 0.0
        return holder, time.time() - path.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return None, 0.0


def _runs(pid: int) -> bool:
    if os.name == "nt":  # there a signal 0 is Ctrl-C, and the heartbeat alone tells
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
