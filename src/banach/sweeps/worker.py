"""A worker of a sweep: takes the runs that are free, one after the other, each in a process of its own.

Why processes: a run that is killed for its memory, or crashes in a library, ends no other; what a run leaves behind
(threads, caches, switches of torch, memory of a GPU) ends with it; and signals reach a run as they reach `banach
train`. The price is the start of Python, a few seconds a run.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType, MappingProxyType, TracebackType
from typing import IO, Any, Self

from banach.runs import checkpoint
from banach.session.run import FINISHED, RESUMABLE, WRONG_INPUT
from banach.session.signals import STOPPING
from banach.sweeps.folder import Sweep, SweepRun
from banach.sweeps.one import WORKED
from banach.sweeps.standing import DONE, FAILED, Standing, at_rest, claimed, is_open, note_end, standing

DEATHS = 2
"""So many times in a row a run's process may be killed without having got further; then the run has failed."""


@dataclass(frozen=True)
class Orders:
    """How runs are taken: the files of code that the user allows, and whether failed ones are tried again."""

    plugin: tuple[str, ...] = ()
    retry_failed: bool = False


def run_command(sweep: Sweep, orders: Orders) -> list[str]:
    """The words of `banach sweep run`, with this Python, to which `--index` is added: for another process."""
    place = str(sweep.path)
    command = [sys.executable, "-m", "banach", "sweep", "run", f"./{place}" if place.startswith("-") else place]
    command += [word for one in orders.plugin for word in ("--plugin", one)]
    return command + ["--retry-failed"] * orders.retry_failed


class Stopped:
    """While entered, a signal to stop is passed on to all processes of runs; they save, and no other run is begun.

    A second Ctrl-C reaches them too, and stops them at once.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._children: set[subprocess.Popen] = set()
        self._starting = threading.RLock()  # a second signal may come while the first one is passed on
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in STOPPING if threading.current_thread() is threading.main_thread() else ():
            ignored = signal.getsignal(number) is signal.SIG_IGN  # as nohup asks for
            if not ignored:
                self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        del frame
        with self._starting:
            self.reason = self.reason or ("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
            for child in self._children:
                if os.name != "nt":  # there a Ctrl-C reaches all processes of the console by itself
                    child.send_signal(number)

    def run(
        self, command: Sequence[str], output: IO[bytes] | None, also: Mapping[str, str] = MappingProxyType({})
    ) -> int | None:
        """The exit code of a process that ends when this one does; None where none is begun any more.

        `also` is added to its environment.
        """
        apart: dict[str, Any] = {} if os.name == "nt" else {"process_group": 0}  # else Ctrl-C would reach it twice
        with self._starting:
            if self.reason:
                return None
            environment = {**os.environ, **also, WORKED: str(os.getpid())}
            child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, **apart
            )
            self._children.add(child)
        try:
            return child.wait()
        finally:
            with self._starting:
                self._children.discard(child)
            if child.stdin is not None:
                child.stdin.close()


class Worker:
    """Takes the free runs of a sweep, `hands` of them at a time; `say` is told of each.

    Several workers, here or on other machines with the same folder, share a sweep: each takes what is free.
    """

    def __init__(self, sweep: Sweep, orders: Orders, say: Callable[[str], None], hands: int = 1, apart: bool = False):
        self.sweep, self.orders, self.say = sweep, orders, say
        self.codes: dict[int, int] = {}
        """The exit codes of the runs that were taken here, by index."""
        self._hands, self._apart = hands, apart or hands > 1
        self._choosing = threading.Lock()
        self._stopped = Stopped()

    def work(self) -> int:
        """Run all that is free; the exit code: 0, 75 where something stopped, or the largest of those that failed."""
        with self._stopped, ThreadPoolExecutor(self._hands) as pool:
            for one in [pool.submit(self._take_all) for _ in range(self._hands)]:
                one.result()
        if self._stopped.reason:
            self.say(f"{self._stopped.reason}: the same command goes on")
            return RESUMABLE
        failed = [code for code in self.codes.values() if code not in (FINISHED, RESUMABLE)]
        return max(failed) if failed else RESUMABLE if RESUMABLE in self.codes.values() else FINISHED

    def _take_all(self) -> None:
        while not self._stopped.reason and (run := self._next()) is not None:
            if not run.folder.path.is_dir():  # it stops no other run
                self.codes[run.index] = WRONG_INPUT
                self._tell(run, f"cannot be run: its folder {run.folder.path} is gone; put it back")
                continue
            with claimed(run) as mine:
                if mine and is_open(at_rest(run), self.orders.retry_failed):
                    self.codes[run.index] = RESUMABLE
                    self.codes[run.index] = self._take(run)

    def _next(self) -> SweepRun | None:
        """The first run that is free, and was not tried by this worker yet."""
        with self._choosing:
            for run in self.sweep.runs:
                if run.index not in self.codes and is_open(standing(run), self.orders.retry_failed):
                    return run
        return None

    def _take(self, run: SweepRun) -> int:
        """Run it to its end; the exit code. A process that was killed is followed by another, if it had got further."""
        step, deaths = checkpoint.newest_step(run.folder.checkpoints), 0
        self._tell(run, f"goes on from step {step:,}" if step else "begins")
        while True:
            code = self._in_process(run)
            found = at_rest(run)
            ended = found.state in (DONE, FAILED) or code == RESUMABLE
            if self._stopped.reason or ended:
                return self._told_end(run, found)
            if code == FINISHED:
                self._tell(run, "begun by another process just now; left alone")
                return FINISHED
            if code is None or code > 0:
                note_end(run, code or 1, f"its process ended with code {code} before the run began{self._see(run)}")
                return self._told_end(run, at_rest(run))
            deaths = 0 if found.step > step else deaths + 1
            said = f"killed by {_signal(-code)} at step {found.step:,}"
            if deaths == DEATHS:
                note_end(run, 128 - code, f"{said}, {DEATHS} times without getting further; is there memory enough?")
                return self._told_end(run, at_rest(run))
            step = found.step
            self._tell(run, f"{said}; taken up again")

    def _in_process(self, run: SweepRun) -> int | None:
        command = [*run_command(self.sweep, self.orders), "--index", str(run.index)]
        if not self._apart:
            return self._stopped.run(command, None)
        with run.output.open("ab") as output:
            return self._stopped.run(command, output)

    def _see(self, run: SweepRun) -> str:
        return f"; see {run.output}" if self._apart else ""

    def _told_end(self, run: SweepRun, found: Standing) -> int:
        if found.state == DONE:
            self._tell(run, f"done{scored(found)}")
            return FINISHED
        if found.state == FAILED:
            self._tell(run, f"failed: {found.message}")
            return found.code or 1
        self._tell(run, f"stopped at step {found.step:,} of {run.steps:,}; the same command goes on")
        return RESUMABLE

    def _tell(self, run: SweepRun, what: str) -> None:
        self.say(f"[{run.index}] {run.name}: {what}")


def scored(found: Standing) -> str:
    """', FID[fashion] 41': the first of the newest scores."""
    return next((f", {name} {value:.4g}" for name, value in found.scores.items()), "")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
