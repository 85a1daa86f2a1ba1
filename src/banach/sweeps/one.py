"""One run of a sweep, in this process: begun, gone on with, or left alone; how it ended is noted in its folder."""

import os
import signal
import sys
import threading

from banach.config.config import Config, as_mapping
from banach.config.reading import read_file
from banach.errors import BanachError
from banach.report import write_report
from banach.runs.lock import held, held_by
from banach.session.console import Console
from banach.session.run import FINISHED, NOT_FINITE, WRONG_INPUT, Outcome
from banach.session.run import run as train
from banach.sweeps.folder import SweepRun
from banach.sweeps.standing import DONE, FAILED, at_rest, forget_failure, note_end

WORKED = "BANACH_SWEEP_WORKER"
"""Set where a worker of a sweep has started this process: it holds the claim, and the other end of standard input."""

_FAULT = 1


def run_one(run: SweepRun, retry_failed: bool, console: Console, report: bool = True) -> Outcome:
    """Train the run of a sweep as its config says, or go on with it; what is finished is left as it is.

    The caller has claimed it. A run that failed is tried again with `retry_failed` only. With `report` its page is
    written too. Faults of the program itself are noted and raised.
    """
    before = at_rest(run)
    if before.state == DONE:
        return Outcome(FINISHED, run.folder.path, f"{run.name} is finished; it is not run again")
    if before.state == FAILED and not retry_failed:
        remedy = "--retry-failed tries it again"
        return Outcome(
            before.code or WRONG_INPUT, run.folder.path, f"{run.name} has failed: {before.message}\n{remedy}"
        )
    forget_failure(run)
    try:
        outcome = train(read_file(run.folder.config).at(str(run.folder.path)), console=console)
    except BanachError as error:
        outcome = Outcome(WRONG_INPUT, run.folder.path, str(error))
    except Exception as error:
        note_end(run, _FAULT, f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise
    if outcome.code == WRONG_INPUT and held(run.folder.lock):  # begun by hand just now
        return left_alone(run, held_by(run.folder.lock))
    if outcome.code in (FINISHED, NOT_FINITE, WRONG_INPUT):
        note_end(run, outcome.code, outcome.message)
    if report and run.folder.metrics.is_file():
        _report(run, console)
    return outcome


def left_alone(run: SweepRun, holder: str) -> Outcome:
    """What is said of a run that another worker has."""
    return Outcome(FINISHED, None, f"{run.name} is being run by {holder or 'another worker'}; left alone")


def _report(run: SweepRun, console: Console) -> None:
    """The run's page; the run is what it is without one."""
    try:
        write_report(run.folder.path, as_mapping(Config()))
    except Exception as error:
        console.say(f"no report was written: {error}")


def stop_without_worker() -> None:
    """Save and stop as soon as the worker that has started this process is gone, however it ended.

    Standard input is a pipe from the worker, which the system closes with it. Called before the run begins.
    """
    del os.environ[WORKED]  # not for processes that the run starts
    threading.Thread(target=_wait_for_end, name="banach-worker-watch", daemon=True).start()


def _wait_for_end() -> None:
    try:
        while sys.stdin is not None and os.read(0, 1):
            pass
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGTERM)
