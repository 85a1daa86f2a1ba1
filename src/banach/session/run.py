"""A whole training run: everything that `banach train` does, from a config to a run folder and an exit code."""

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from banach import distributed
from banach.config.config import Config, dump
from banach.data.dataset import Data
from banach.errors import BanachError
from banach.files import DiskFull, write_text
from banach.foreign import typed, visible
from banach.runs import checkpoint, facts
from banach.runs.environment import command_line, environment, record
from banach.runs.folder import RunFolder
from banach.runs.lock import Lock
from banach.runs.records import Board, JsonLines, LogFile
from banach.session.advice import advice_on_precision, advice_on_threads
from banach.session.begin import build_run, check_same_data, first_lines, machine, resolve, start_event
from banach.session.console import Console, Quiet, console_for, duration
from banach.session.facts import facts_of
from banach.session.hooks import followers_hooks, hooks_for, save
from banach.session.opening import Plan, looked_at, opened
from banach.session.pictures import draw_fakes, draw_reals
from banach.session.place import folder_of
from banach.session.planning import TIMED_FOR, planned, recalled, told_time
from banach.session.profile import profile
from banach.session.session import Session
from banach.session.signals import Stop
from banach.training.build import Built, about, is_writer
from banach.training.compiled import compiled_steps
from banach.training.finite import NotFinite
from banach.training.loop import train
from banach.training.state import State
from banach.training.steps import EAGER, Steps
from banach.training.timing import step_seconds, threads

FINISHED, WRONG_INPUT, NOT_FINITE, RESUMABLE = 0, 2, 3, 75
"""Exit codes: done; something a user can mend; a loss was not finite; stopped, and the same command goes on."""

_TOO_LITTLE_MEMORY = "the device has too little memory; take a smaller --batch or --width"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the exit code, the folder (None where there is none), and one or two lines for the user."""

    code: int
    folder: Path | None
    message: str


def run(
    config: Config,
    *,
    data: Data | None = None,
    fresh: bool = False,
    extend: bool = False,
    console: Console | None = None,
    argv: Sequence[str] | None = None,
    stated: Set[str] | None = None,
) -> Outcome:
    """Train as `config` says, or go on with the run in its folder; every way to end is an `Outcome`, errors included.

    `data` replaces what `config.data` names. `fresh` starts a new numbered folder; `extend` lets a run go on to more
    steps than it was begun with. With `stated` a new run is planned for `config.minutes`: the keys that are not among
    these are filled in (`banach.training.plan`). Faults of the program itself are raised. Of several processes
    (`distributed.begin`) the first one writes and speaks; the others need neither the folder nor a console.
    """
    console = (console or console_for()) if is_writer() else Quiet()
    folder = distributed.from_first(lambda: folder_of(config, fresh, stated is not None))
    try:
        outcome = run_in(config, folder, data=data, extend=extend, console=console, argv=argv, stated=stated)
    except (BanachError, torch.OutOfMemoryError, DiskFull, NotFinite, KeyboardInterrupt, distributed.Lost) as error:
        code, message = _explained(error, folder, config)
        outcome = Outcome(code, folder.path if folder.config.exists() else None, message)
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        outcome = Outcome(WRONG_INPUT, folder.path if folder.config.exists() else None, _TOO_LITTLE_MEMORY)
    finally:
        console.close()
    console.event("end", {"code": outcome.code, "folder": str(outcome.folder), "message": outcome.message})
    return outcome


def _explained(error: BaseException, folder: RunFolder, config: Config) -> tuple[int, str]:
    """The exit code and the lines that an error means to a user."""
    match error:
        case NotFinite():
            remedy = f"the last good checkpoint is kept; try a smaller --lr, with --fresh --init {folder.path}"
            return NOT_FINITE, f"{error}\n{remedy}"
        case DiskFull():
            return RESUMABLE, str(error.strerror)
        case KeyboardInterrupt():
            if not folder.config.exists():
                return RESUMABLE, "stopped before the run began: nothing was written, and the same command begins it"
            return RESUMABLE, f"stopped at once; {_go_on(folder, config)}, from the last checkpoint"
        case distributed.Lost():
            again = "torchrun starts all of them again" if distributed.restarts_left() else _go_on(folder, config)
            return RESUMABLE, f"{error}\n{again}, from the last checkpoint"
        case torch.OutOfMemoryError():
            return WRONG_INPUT, _TOO_LITTLE_MEMORY
    return WRONG_INPUT, str(error)


def run_in(
    config: Config,
    folder: RunFolder,
    *,
    data: Data | None = None,
    extend: bool = False,
    console: Console | None = None,
    argv: Sequence[str] | None = None,
    stated: Set[str] | None = None,
) -> Outcome:
    """`run` in a given folder, for callers who want errors raised; the outcome's code is 0 or 75."""
    console = console or Quiet()
    config, stated = recalled(config.at(str(folder.path)), folder, stated)
    plan = resolve(config, folder)
    with machine(config), opened(plan, extend) as found:
        if found.saved is not None and found.saved["step"] >= config.steps:
            check_same_data(plan, data, found, console)
            return _finished_before(folder, found.saved["step"])
        with _decided(plan, stated, data, console, found.saved is None) as (plan, data, lines):
            built, notes = build_run(plan, console, data, found.saved, found.before)
            if not is_writer():
                return _follow(plan.config, built)
            argv, notes = command_line() if argv is None else argv, lines + notes + found.notes
            return _train(plan.config, folder, built, found.lock, console, argv, notes)


@contextmanager
def _decided(
    plan: Plan, stated: Set[str] | None, data: Data | None, console: Console, new: bool = True
) -> Iterator[tuple[Plan, Data | None, tuple[str, ...]]]:
    """Inside, what was left to be planned is, the machine computes as that says, and there are lines on it."""
    lines, chosen = (), False
    if stated is not None:
        config, data, lines = planned(plan.config, stated, data, plan.device, console)
        plan, chosen = resolve(config, plan.folder), "precision" not in stated
    elif is_writer():
        lines = tuple(advice_on_threads(plan.device))
    if is_writer() and new and not chosen:
        lines += tuple(advice_on_precision(plan.config, plan.device))
    with threads(plan.config.threads):
        yield plan, data, lines


def tell(built: Built, console: Console) -> str:
    """`--dry-run`: nothing more is done."""
    return "nothing was trained (dry run)"


def show_profile(built: Built, console: Console) -> str:
    """`--profile`: where the time of a step goes, from a few steps that are thrown away."""
    console.busy("timing some steps")
    found = profile(built)
    console.busy("")
    for line in found.show().split("\n"):
        console.say(line)
    console.event("profile", found.as_json())
    return "nothing was kept (profile)"


def preview(
    config: Config,
    data: Data | None = None,
    console: Console | None = None,
    then: Callable[[Built, Console], str] = tell,
    *,
    fresh: bool = False,
    extend: bool = False,
    stated: Set[str] | None = None,
) -> Outcome:
    """Check everything, show the first lines of the run and its time, and do what comes `then`, whose words end it.

    `--dry-run` and `--profile` do so; nothing is written. A run that is there is checked as if it went on. `stated` is
    as in `run`.
    """
    console = (console or console_for()) if is_writer() else Quiet()
    try:
        folder = distributed.from_first(lambda: folder_of(config, fresh, stated is not None))
        config, stated = recalled(config.at(str(folder.path)), folder, stated)
        plan = resolve(config, folder)
        with machine(config):
            found = looked_at(plan, extend)
            if found.saved is not None and found.saved["step"] >= config.steps:
                check_same_data(plan, data, found, console)
                return replace(_finished_before(folder, found.saved["step"]), folder=None)
            with _decided(plan, stated, data, console, found.saved is None) as (plan, data, lines):
                built, notes = build_run(plan, console, data, found.saved, found.before)
                for line in (*first_lines(plan.config, built, folder), *lines, *notes, *found.notes):
                    console.say(line)
                console.event("start", start_event(plan.config, built, folder))
                _tell_time(built, plan.config.steps - built.state.step, console)
                message = then(built, console)
    except NotFinite as error:
        return Outcome(NOT_FINITE, None, str(error))
    except BanachError as error:
        return Outcome(WRONG_INPUT, None, str(error))
    finally:
        console.close()
    return Outcome(FINISHED, None, message)


def _tell_time(built: Built, steps: int, console: Console) -> None:
    """Say how long so many steps will take, from a few that are thrown away."""
    seconds = step_seconds(built, TIMED_FOR)
    console.say(told_time(seconds, steps))
    console.event("time", {"seconds": seconds * steps, "seconds_per_step": seconds})


def _train(
    config: Config,
    folder: RunFolder,
    built: Built,
    lock: Lock,
    console: Console,
    argv: Sequence[str],
    notes: tuple[str, ...],
) -> Outcome:
    state = built.state
    session, known = _open(config, folder, built, lock, console, argv), facts_of(config, built)
    try:
        facts.write(folder.facts, known)
        with Stop(config.max_minutes) as stop:
            console.event("start", start_event(config, built, folder))
            session.say("\n".join(map(visible, (*first_lines(config, built, folder), *notes))))
            draw_reals(session)
            if not checkpoint.exists(folder.checkpoints):
                draw_fakes(session, state)
                save(session, state)
            with _told_where(state):
                train(state, built.game, built.data, config.steps, hooks_for(session), stop, _steps(session, state))
            if state.step < config.steps:
                save(session, state)
                saved = f"{stop.reason}: saved at step {state.step:,} of {config.steps:,}"
                return _closed(session, RESUMABLE, f"{saved}; {_go_on(folder, config)}")
        return _closed(session, FINISHED, _summary(session, state))
    except DiskFull:
        raise  # there may be no room for a last line either
    except (KeyboardInterrupt, Exception) as error:
        session.log.write(str(error) or type(error).__name__)
        if isinstance(error, NotFinite):
            facts.write(folder.facts, replace(known, not_finite=str(error)))
        raise
    finally:
        session.board.close()


@contextmanager
def _told_where(state: State) -> Iterator[None]:
    """Inside, a process that is lost is told of with the step."""
    try:
        yield
    except distributed.Lost as error:
        raise distributed.Lost(error.said, f" at step {state.step:,}") from error


def _follow(config: Config, built: Built) -> Outcome:
    """Train with the first process, which writes everything."""
    state = built.state
    with Stop(config.max_minutes) as stop, _told_where(state):
        train(state, built.game, built.data, config.steps, followers_hooks(config), stop)
    stopped = state.step < config.steps
    return Outcome(RESUMABLE if stopped else FINISHED, None, stop.reason if stopped else "")


def _open(
    config: Config, folder: RunFolder, built: Built, lock: Lock, console: Console, argv: Sequence[str]
) -> Session:
    """The session's records, brought back to the step of the checkpoint."""
    state = built.state
    metrics, scores = JsonLines(folder.metrics), JsonLines(folder.scores)
    metrics.truncate(state.step)
    scores.truncate(state.step)
    write_text(folder.config, dump(config))
    here = environment(config.seed, state.device, argv)
    record(folder.environment, {**here, "forms": state.facts.get("forms", "")})
    return Session(
        folder=folder,
        config=config,
        data=built.data,
        game=built.game,
        about=about(config, built.data, built.game),
        console=console,
        metrics=metrics,
        scores=scores,
        log=LogFile(folder.log),
        board=Board(folder.tensorboard, state.step),
        lock=lock,
        last_images=state.images,
        last_seconds=state.seconds,
    )


def _steps(session: Session, state: State) -> Steps:
    """How steps are computed: compiled where the user wants that and it can be, and a line on it."""
    if not session.config.compile:
        return EAGER
    session.console.busy("compiling")
    steps, reason = compiled_steps(state, session.game, session.data.shape)
    session.console.busy("")
    session.say(f"compile   {f'off: {reason}' if reason else 'both steps, as one program each'}")
    return steps


def _closed(session: Session, code: int, message: str) -> Outcome:
    session.log.write(message)
    return Outcome(code, session.folder.path, message)


def _finished_before(folder: RunFolder, step: int) -> Outcome:
    message = f"{folder.path} is finished: {step:,} steps. --extend with more --steps goes on; --fresh starts anew"
    return Outcome(FINISHED, folder.path, message)


def _go_on(folder: RunFolder, config: Config) -> str:
    if config.data.startswith("array:"):
        return f"the same call goes on with {folder.path}"
    command = "torchrun … -m banach.cli" if distributed.launched()[1] > 1 else "banach"
    named = "".join(f" --plugin {typed(one)}" for one in config.plugin)
    return f"go on with: {command} train --out {typed(folder.path)}{named}"


def _summary(session: Session, state: State) -> str:
    score = f", {session.score}" if session.score else ""
    return f"finished: {state.step:,} steps, {duration(state.seconds)} of training{score}; see {session.folder.path}"
