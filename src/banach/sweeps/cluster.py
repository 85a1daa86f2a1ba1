"""A sweep over a Ray cluster: each run is a task; what a lost node had begun goes on elsewhere from its checkpoint."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from banach.config import plugins
from banach.runs.lock import HEARTBEAT, STALE
from banach.session.console import Quiet
from banach.session.run import FINISHED, RESUMABLE
from banach.session.signals import STOPPING
from banach.sweeps.folder import Sweep, SweepRun, open_sweep
from banach.sweeps.grid import SweepError
from banach.sweeps.one import run_one
from banach.sweeps.standing import DONE, FAILED, RUNNING, Standing, claimed, is_open, standing
from banach.sweeps.worker import Orders, scored

_LOOK = 1.0
"""Seconds between two looks at the folder while no task is running."""

_SAVING = 600.0
"""Seconds that runs which were asked to stop have for saving."""


def run_over_ray(
    sweep: Sweep, address: str, orders: Orders, say: Callable[[str], None], cpus: float = 1, gpus: float | None = None
) -> int:
    """Run all that is free as tasks of a Ray cluster that shares the sweep's folder; the exit code, as `Worker.work`.

    A task takes so many `cpus` and `gpus` (None: one GPU, where the cluster has any), and a process of its own. Where
    the process or its node dies, Ray starts the task again, and the run goes on from its checkpoint. Raises
    `SweepError` where Ray is not installed, or no cluster answers.
    """
    ray = _ray()
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = str(error).strip().split("\n")[0]
        raise SweepError(f"ray: no cluster answers at {address!r} ({said}); begin one: ray start --head") from None
    try:
        took = gpus if gpus is not None else float(ray.cluster_resources().get("GPU", 0) > 0)
        task = ray.remote(num_cpus=cpus, num_gpus=took, max_retries=-1, max_calls=1)(task_of)
        say(f"{len(ray.nodes())} nodes; each run takes {cpus:g} CPUs and {took:g} GPUs")
        return _Driver(ray, task, sweep, _from_anywhere(orders), say).drive()
    finally:
        ray.shutdown()


def task_of(path: str, index: int, orders: Orders) -> int:
    """One run, in the process of a Ray worker on any node; its exit code. A run that is held is left to its holder."""
    for one in orders.plugin:
        plugins.load(one)
    run = open_sweep(path).run(index)
    with claimed(run) as mine:
        return run_one(run, orders.retry_failed, Quiet()).code if mine else FINISHED


def _from_anywhere(orders: Orders) -> Orders:
    """The orders with the files that they name as they are found from any working folder."""
    files = (str(Path(one).expanduser().resolve()) if plugins.is_file(one) else one for one in orders.plugin)
    return replace(orders, plugin=tuple(files))


class _Driver:
    """Hands out the runs that are free until none is left, and tells of each."""

    def __init__(self, ray: Any, task: Any, sweep: Sweep, orders: Orders, say: Callable[[str], None]):
        self._ray, self._task, self._sweep, self._orders, self._say = ray, task, sweep, orders, say
        self._codes: dict[int, int] = {}
        self._going: dict[Any, SweepRun] = {}
        self._stopped = ""

    def drive(self) -> int:
        before = {number: signal.signal(number, self._caught) for number in STOPPING}
        try:
            self._hand_out_all()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._stopped:
            self._say(f"{self._stopped}: the same command goes on")
            return RESUMABLE
        failed = [code for code in self._codes.values() if code not in (FINISHED, RESUMABLE)]
        return max(failed) if failed else RESUMABLE if RESUMABLE in self._codes.values() else FINISHED

    def _hand_out_all(self) -> None:
        """The lock of a lost node counts as left behind after a while: so long, what is held is waited for."""
        heard = time.monotonic()
        while not self._stopped:
            found = [(run, standing(run)) for run in self._sweep.runs if run.index not in self._codes]
            for run, at in found:
                if is_open(at, self._orders.retry_failed):
                    place = str(self._sweep.path.resolve())
                    self._going[self._task.remote(place, run.index, self._orders)] = run
            if self._going:
                self._await()
                heard = time.monotonic()
            elif all(at.state != RUNNING for _, at in found) or time.monotonic() - heard > STALE + 2 * HEARTBEAT:
                return
            else:
                time.sleep(_LOOK)
        self._let_save()

    def _await(self) -> None:
        while self._going and not self._stopped:
            ready, _ = self._ray.wait(list(self._going), timeout=_LOOK)
            for one in ready:
                run = self._going.pop(one)
                try:
                    code = self._ray.get(one)
                except Exception as error:
                    self._end(run, 1, f"failed: {str(error).strip().splitlines()[-1]}")
                    continue
                self._told(run, code, standing(run))

    def _told(self, run: SweepRun, code: int, found: Standing) -> None:
        if found.state == DONE:
            self._end(run, FINISHED, f"done{scored(found)}")
        elif found.state == FAILED:
            self._end(run, found.code or 1, f"failed: {found.message}")
        elif code == RESUMABLE:
            self._end(run, RESUMABLE, f"stopped at step {found.step:,} of {run.steps:,}; the same command goes on")

    def _end(self, run: SweepRun, code: int, what: str) -> None:
        self._codes[run.index] = code
        self._say(f"[{run.index}] {run.name}: {what}")

    def _caught(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._stopped = self._stopped or ("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    def _let_save(self) -> None:
        """Ask the tasks to stop, which reaches a run as Ctrl-C does, and wait until all have saved."""
        for one in self._going:
            self._ray.cancel(one, force=False)
        ends = time.monotonic() + _SAVING
        while any(standing(run).state == RUNNING for run in self._going.values()) and time.monotonic() < ends:
            time.sleep(_LOOK)


def _ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise SweepError("ray: Ray is not installed here; pip install 'banach[sweep]'") from None
    return ray
