"""Requests to stop: a signal, or the end of the minutes, end a run after the step that is being computed."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Self

import torch

from banach import distributed

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
STOPPING = tuple(getattr(signal, name) for name in _NAMES if name in dir(signal))
"""Ctrl-C; what a job system or a shutdown sends; a terminal that closes; what Slurm sends before the time is over."""


@contextlib.contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Inside, every signal to stop raises `KeyboardInterrupt`, so that what is held is let go."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            if signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Stop:
    """While entered, collects the reasons to stop; calling it says whether there is one (the same on all ranks).

    The first signal lets the step finish and be saved; a second Ctrl-C raises `KeyboardInterrupt` at once. Outside the
    main thread no signal can be caught, and only `minutes` (0: no limit) counts.
    """

    def __init__(self, minutes: float = 0.0):
        self.reason = ""
        self.interrupted = False
        self._until = time.monotonic() + 60 * minutes if minutes else None
        self._limit = f"{minutes:g} minutes are over"
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                hangs_up = signal.Signals(number).name == "SIGHUP"
                if not (hangs_up and signal.getsignal(number) is signal.SIG_IGN):  # that is what nohup asks for
                    self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, distributed.Lost):
            return  # torchrun now ends this process too, and must not cut its last words
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def __call__(self) -> bool:
        if not self.reason and self._until is not None and time.monotonic() >= self._until:
            self.reason = self._limit
        if distributed.world() == 1:
            return bool(self.reason)
        asked = bool(distributed.maximum(torch.tensor(bool(self.reason), dtype=torch.uint8)))
        if asked and not self.reason:
            self.reason = "another process of this run was asked to stop"
        return asked

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.interrupted:
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            self.interrupted = True
            if distributed.rank() == 0:  # print may be in a print
                with contextlib.suppress(OSError):  # the terminal has gone
                    os.write(2, b"\nfinishing this step and saving; Ctrl-C again stops at once\n")
        self.reason = self.reason or ("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
