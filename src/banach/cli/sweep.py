"""`banach sweep create | run | status`: a folder of runs, computed here, by job arrays, or over a Ray cluster."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from banach.cli import output
from banach.config import flags, plugins, readers
from banach.config.flags import Command
from banach.config.keys import ConfigError, flag, word
from banach.foreign import typed
from banach.runs.environment import command_line
from banach.session.console import console_for
from banach.session.run import FINISHED, RESUMABLE, Outcome
from banach.sweeps.cluster import run_over_ray
from banach.sweeps.folder import Sweep, SweepRun, create, open_sweep
from banach.sweeps.grid import SweepError, read_grid
from banach.sweeps.one import WORKED, left_alone, run_one, stop_without_worker
from banach.sweeps.slurm import script
from banach.sweeps.standing import FAILED, RUNNING, STATES, Standing, claimed, counted, is_open, standings, watched
from banach.sweeps.worker import Orders, Worker, scored

_SHOWN = 20
_CREATE, _RUN = "create", "run"


@dataclass(frozen=True)
class Options:
    """What a `banach sweep` line says."""

    # fmt: off
    action: str = word(readers.one_of("create", "run", "status"), "create, run or status")
    place: str = word(readers.name("sweeps/norms"), "of create the grid, a YAML file; else the sweep's folder",
        metavar="GRID|SWEEP")
    out: str = flag("", readers.name("sweeps/norms"), "the folder to make", group=_CREATE, metavar="SWEEP")
    index: int | None = flag(None, readers.count(0), "run this one alone, for example $SLURM_ARRAY_TASK_ID", group=_RUN,
        metavar="N")
    workers: int = flag(1, readers.count(1), "runs at a time on this machine", group=_RUN)
    retry_failed: bool = flag(False, readers.yes_no, "take up runs that failed too", group=_RUN)
    sbatch: bool = flag(False, readers.yes_no, "print a job-array script for Slurm's sbatch, and run nothing",
        group=_RUN)
    ray: str = flag("", readers.name("auto"), "run over the Ray cluster at this address (auto: this machine's)",
        group=_RUN, metavar="ADDRESS")
    cpus: float = flag(1.0, readers.number(0), "with --ray: CPUs that a run takes", group=_RUN)
    gpus: float | None = flag(None, readers.number(0), "with --ray: GPUs that a run takes; default: 1 if there are any",
        group=_RUN, metavar="X")
    plugin: tuple[str, ...] = flag((), readers.listed(readers.name("mine.py")),
        "Python files that the runs name; a sweep is not asked which code to run", many=True)
    json: bool = flag(False, readers.yes_no, "machine-readable output on stdout")
    # fmt: on


COMMAND = Command(
    "sweep",
    "Many runs as one: a grid of keys and seeds becomes a folder of runs, which workers on any machines share.",
    Options,
    (
        "banach sweep create grid.yaml --out sweeps/norms     write the runs, all checked",
        "banach sweep run sweeps/norms                        run what is not finished, one after the other",
        "banach sweep run sweeps/norms --workers 4            four at a time; several machines may do so at once",
        "banach sweep status sweeps/norms                     done, running, stopped, failed, waiting; scores",
        "banach sweep run sweeps/norms --sbatch > norms.sh    a job array for Slurm: sbatch --time=4:00:00 norms.sh",
        "banach sweep run sweeps/norms --ray auto             over a Ray cluster (extra: sweep)",
    ),
    "grid.yaml has base: (keys that all runs share; or preset:, config:), grid: (keys with a list of values each), "
    "cases: (sets of keys that go together) and seeds: (a list). A finished run is never run again; one that was "
    "stopped or lost goes on from its checkpoint. Exit codes of run: 0 all that was free is done, 75 stopped but "
    "resumable; where runs failed, the largest code of theirs (2 wrong input, 3 not finite).",
)

_OF = {"create": {"out"}, "run": {"index", "workers", "retry_failed", "sbatch", "ray", "cpus", "gpus"}, "status": set()}


def main(argv: Sequence[str]) -> int:
    options, given = flags.read(COMMAND, argv)
    for action, own in _OF.items():
        if action != options.action and (stray := sorted(own & given)):
            raise ConfigError(f"--{stray[0].replace('_', '-')} is of sweep {action}, not of sweep {options.action}")
    if options.action == "create":
        return _create(options)
    for one in options.plugin:
        plugins.load(one)
    sweep = open_sweep(options.place)
    return _status(sweep, options) if options.action == "status" else _run(sweep, options, given)


def _create(options: Options) -> int:
    if not options.out:
        raise ConfigError("--out is missing: the folder to make; for example --out sweeps/norms")
    grid = read_grid(options.place, options.plugin)
    sweep, made = create(grid, Path(options.out).expanduser(), command_line())
    if options.json:
        runs = [{"index": one.index, "name": one.name, "values": one.values} for one in sweep.runs]
        output.say_json({"folder": str(sweep.path), "made": made, "runs": runs})
        return FINISHED
    sizes = " x ".join(f"{key} ({n})" for key, n in grid.sizes.items())
    kept = "" if made else ", which is there already and was kept as it is"
    output.say(f"{_runs(len(sweep.runs))} in {sweep.path}{kept}{f': {sizes}' if sizes else ''}")
    for one in sweep.runs[:_SHOWN]:
        output.say(f"  {one.index:>3}  {one.name}")
    if len(sweep.runs) > _SHOWN:
        output.say(f"  …  and {len(sweep.runs) - _SHOWN} more")
    named = "".join(f" --plugin {typed(one)}" for one in options.plugin)
    output.say(f"next: banach sweep run {typed(sweep.path)}{named}")
    return FINISHED


def _runs(n: int) -> str:
    return f"{n:,} run{'s' * (n != 1)}"


def _status(sweep: Sweep, options: Options) -> int:
    found = standings(sweep)
    if options.json:
        output.say_json(_as_json(sweep, found))
        return FINISHED
    rows = [(str(run.index), run.name, at.state, f"{at.step:,}/{run.steps:,}", _note(at)) for run, at in found]
    output.say_table(f"{sweep.path}: {_total(found)}", ("run", "name", "state", "step", "note"), rows)
    return FINISHED


def _note(found: Standing) -> str:
    score = scored(found).removeprefix(", ")
    said = f"by {found.message}" if found.state == RUNNING else found.message.split("\n")[0]
    return "; ".join(filter(None, (said, score)))


def _total(found: list[tuple[SweepRun, Standing]]) -> str:
    return f"{_runs(len(found))}: {counted(at for _, at in found)}"


def _as_json(sweep: Sweep, found: list[tuple[SweepRun, Standing]]) -> dict[str, Any]:
    states = [at.state for _, at in found]
    return {
        "folder": str(sweep.path),
        "counts": {state: states.count(state) for state in STATES},
        "runs": [
            {
                "index": run.index,
                "name": run.name,
                "folder": str(run.folder.path),
                "values": run.values,
                "state": at.state,
                "step": at.step,
                "steps": run.steps,
                "code": at.code,
                "message": at.message,
                "scores": at.scores,
            }
            for run, at in found
        ],
    }


def _run(sweep: Sweep, options: Options, given: frozenset[str]) -> int:
    orders = Orders(options.plugin, options.retry_failed)
    ways = sorted({"index", "workers", "sbatch", "ray"} & given)
    if len(ways) > 1:
        raise ConfigError(f"--{ways[0]} and --{ways[1]} are two ways to run a sweep; choose one")
    if not options.ray and (stray := sorted({"cpus", "gpus"} & given)):
        raise ConfigError(f"--{stray[0]} is of --ray, which is not given; add --ray auto, or leave it out")
    if options.index is not None:
        return _one(sweep.run(options.index), options)
    if options.sbatch:
        return _sbatch(sweep, orders)
    say = _say_aside if options.json else output.say
    found = standings(sweep)
    say(f"{sweep.path}: {_total(found)}")
    if options.ray:
        code = run_over_ray(sweep, options.ray, orders, say, options.cpus, options.gpus)
    else:
        code = Worker(sweep, orders, say, options.workers, apart=options.json).work()
    return _concluded(sweep, options, code, say)


def _concluded(sweep: Sweep, options: Options, code: int, say: Callable[[str], None]) -> int:
    found = standings(sweep)
    say(f"{sweep.path}: {_total(found)}")
    failed = [run for run, at in found if at.state == FAILED]
    if failed:
        again = f"banach sweep run {typed(sweep.path)} --retry-failed"
        say(f"{_runs(len(failed))} failed (banach sweep status {typed(sweep.path)} says why); to try again: {again}")
    if options.json:
        output.say_json(_as_json(sweep, found))
    return code


def _say_aside(line: str) -> None:
    output.say_error(line, "")


def _sbatch(sweep: Sweep, orders: Orders) -> int:
    found = standings(sweep)
    indices = [run.index for run, at in found if is_open(at, orders.retry_failed) or at.state == RUNNING]
    if not indices:
        raise SweepError(f"{sweep.path}: no run is left to queue ({_total(found)}); --retry-failed takes failed ones")
    for line in script(sweep, indices, orders).rstrip("\n").split("\n"):
        output.say(line)
    return FINISHED


def _one(run: SweepRun, options: Options) -> int:
    """One run in this process: what a task of a job array does, and what a worker starts."""
    console = console_for(machine=options.json)
    if WORKED in os.environ:
        stop_without_worker()
        return _told(run_one(run, options.retry_failed, console), options)
    if holder := watched(run):
        return _told(left_alone(run, holder), options)
    with claimed(run) as mine:
        outcome = run_one(run, options.retry_failed, console) if mine else left_alone(run, "")
    return _told(outcome, options)


def _told(outcome: Outcome, options: Options) -> int:
    if outcome.code not in (FINISHED, RESUMABLE):
        output.say_error(outcome.message)
    elif not options.json:
        (output.say if outcome.code == FINISHED else _say_aside)(outcome.message)
    return outcome.code
