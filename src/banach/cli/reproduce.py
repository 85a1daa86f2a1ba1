"""`banach reproduce NAME`: an experiment of the source documents, judged by a rule that was fixed before the run."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from banach.cli import output
from banach.config import flags, readers
from banach.config.flags import Command
from banach.config.keys import ConfigError, flag, word
from banach.errors import BanachError
from banach.experiments.catalogue import EXPERIMENTS
from banach.experiments.experiment import SCALES
from banach.experiments.page import PAGE, markdown, number
from banach.experiments.reproduce import Ended, Wanted, chosen, reproduce, results_in, shared, words_for
from banach.experiments.swept import SWEEP
from banach.files import around, write_text, written_between
from banach.foreign import typed
from banach.session.signals import as_ctrl_c
from banach.sweeps.one import WORKED, stop_without_worker
from banach.sweeps.slurm import array_script

STOPPED, FAULT = 75, 1
_PLACE = "experiments"


@dataclass(frozen=True)
class Options:
    """What a `banach reproduce` line says."""

    names: tuple[str, ...] = word(
        readers.name("histograms"), "experiments, or all", default=(), metavar="NAME", many=True
    )
    list: bool = flag(False, readers.yes_no, "show the experiments, with what they claim and how long they take")
    scale: str = flag("small", readers.one_of(*SCALES), "tiny (seconds), small (two CPU cores), paper (for a GPU)")
    out: str | None = flag(None, readers.name("runs/reproduce"), "folder of the results (default runs/reproduce-SCALE)")
    data: str | None = flag(None, readers.name("photos/"), "your own data, in experiments that take some")
    seeds: int | None = flag(None, readers.count(1), "seeds of each (default: what its rule asks for)", metavar="N")
    workers: int | None = flag(
        None, readers.count(1), "experiments at a time (default: of several, as many as there are cores)", metavar="N"
    )
    index: int | None = flag(
        None, readers.count(0), "one seed of one experiment alone, for job arrays; the last to end judges", metavar="I"
    )
    sbatch: bool = flag(False, readers.yes_no, "print a Slurm job-array script, a seed a job, and run nothing")
    again: bool = flag(False, readers.yes_no, "replace results that are there")
    markdown: str | None = flag(
        None, readers.name("docs/reproduction.md"), "a page that gets all results of the folder, as Markdown"
    )
    json: bool = flag(False, readers.yes_no, "machine-readable output")


COMMAND = Command(
    "reproduce",
    "Repeat experiments of the source documents: train, measure, draw, and judge each claim by a rule fixed before.",
    Options,
    (
        "banach reproduce --list",
        "banach reproduce parallel-lines",
        "banach reproduce all --scale small --out runs/reproduction",
        "banach reproduce norm-grid --data photos/",
        "banach reproduce value-surfaces --scale paper --sbatch > surfaces.sh",
    ),
    "What is done is not done again: the same command goes on where it stopped. A claim that does not hold is no "
    "error: exit code 0; 1 if an experiment could not be run to its end.",
)


def main(argv: Sequence[str]) -> int:
    options, _ = flags.read(COMMAND, argv)
    if options.list:
        return _list(options.json)
    out, page = Path(options.out or f"runs/reproduce-{options.scale}"), _page(options)
    _check(options)
    if options.sbatch:
        return _sbatch(_wanted(options, out))
    ended: list[Ended] = []
    try:
        with as_ctrl_c():
            for one in _ended(options, out):
                ended.append(one)
                if not options.json:
                    _say(one)
    except KeyboardInterrupt:
        output.say_error(f"what is done is kept in {typed(str(out))}; the same command goes on", "stopped: ")
        return STOPPED
    if page is not None:
        _write_markdown(page, out)
    if options.json:
        output.say_json([_as_dict(one) for one in ended])
    elif ended:
        output.say(f"page: {out / PAGE}")
    return FAULT if any(one.fault for one in ended) else 0


def _page(options: Options) -> Path | None:
    """The Markdown page that is asked for; what is wrong with it is said before the work, not after it."""
    if not options.names and options.markdown is None:
        raise ConfigError("names is missing: give an experiment of `banach reproduce --list`, or all")
    page = None if options.markdown is None else Path(options.markdown)
    if page is not None and page.exists():
        around(page, _PLACE)
    return page


def _ended(options: Options, out: Path) -> Iterator[Ended]:
    """The experiments of these names, as they end."""
    if not options.names:
        return iter(())
    if WORKED in os.environ:  # begun by another of these commands, and ends with it
        stop_without_worker()
    return reproduce(_wanted(options, out), EXPERIMENTS, _tell)


def _check(options: Options) -> None:
    """Raise ConfigError where one seed alone is asked for, and something that goes with all."""
    asked = "--sbatch" if options.sbatch else "--index"
    if options.index is None and not options.sbatch:
        return
    if len(chosen(options.names, EXPERIMENTS)) != 1:
        raise ConfigError(f"{asked} is of one experiment, not of {' '.join(options.names) or 'none'}; name one")
    others = {"--workers": options.workers is not None, "--again": options.again, "--markdown": options.markdown}
    others["--index"] = options.sbatch and options.index is not None
    if stray := next((name for name, given in others.items() if given), None):
        raise ConfigError(f"{stray} does not go with {asked}; leave one of them out")


def _wanted(options: Options, out: Path) -> Wanted:
    several = len(chosen(options.names, EXPERIMENTS)) > 1 and options.scale != "tiny"
    workers = options.workers or (os.cpu_count() or 1 if several else 1)
    return Wanted(options.names, options.scale, out, options.data, options.seeds, options.again, workers, options.index)


def _sbatch(wanted: Wanted) -> int:
    """The script of an array with a job for each seed of the experiment; BanachError where it has none."""
    experiment, setting = shared(wanted, EXPERIMENTS)
    command = [sys.executable, "-m", "banach", *words_for(experiment, setting, wanted.out)]
    setting.folder.mkdir(parents=True, exist_ok=True)  # Slurm writes what the jobs say into it
    script = array_script(experiment.name, setting.folder, range(len(setting.seeds)), command)
    for line in script.rstrip("\n").split("\n"):
        output.say(line)
    return 0


def _tell(line: str) -> None:
    output.say_error(line, "")


def _write_markdown(page: Path, out: Path) -> None:
    """All results of the folder, between the page's markers; a page that is not there is begun."""
    results = [*results_in(out, EXPERIMENTS)]
    if not results:
        raise BanachError(f"{typed(str(out))} holds no result, and {typed(str(page))} was left as it is; see --out")
    text = markdown(results)
    page.parent.mkdir(parents=True, exist_ok=True)
    if page.exists():
        written_between(page, _PLACE, text)
    else:
        write_text(page, f"<!-- {_PLACE} -->\n{text}<!-- end of {_PLACE} -->\n")


def _say(one: Ended) -> None:
    if one.fault:
        output.say(f"{one.name}: could not be run to its end: {one.fault}")
    elif one.share is not None:
        output.say(f"{one.name}: seed {one.share} is done, others are not; the last to end judges the claim")
    elif one.grid is not None:
        _say_grid(one, one.grid)
    elif one.result is not None:
        output.say(f"{one.name}: the claim {one.result.verdict}{' (done before)' if one.before else ''}")
        for check in one.result.found["checks"]:
            mark = {True: "ok", False: "NOT", None: "?"}[check["holds"]]
            asked = f"{'at least' if check['at_least'] else 'at most'} {number(check['limit'])}"
            output.say(f"  {mark:<4}{check['what']}: {number(check['value'])} ({asked} asked)")


def _say_grid(one: Ended, grid: Path) -> None:
    sweep = typed(str(grid.parent / SWEEP))
    judged = "the same command judges it" if EXPERIMENTS[one.name].judges_sweep else f"banach compare {sweep}"
    if one.standing:
        output.say(f"{one.name}: a sweep for GPUs: {one.standing}; banach sweep run {sweep}, and in the end {judged}")
        return
    output.say(f"{one.name}: a sweep for GPUs, written to {grid} (data, extractor and more can be changed there)")
    if one.awaited:
        paths = ", ".join(map(typed, one.awaited))
        output.say(f"  put these folders of pictures where the runs start, or change their paths there: {paths}")
    output.say(f"  banach sweep create {typed(str(grid))} --out {sweep}, banach sweep run {sweep}; in the end {judged}")


def _as_dict(one: Ended) -> dict[str, object]:
    result = None if one.result is None else one.result.as_dict()
    grid = None if one.grid is None else str(one.grid)
    said = {"name": one.name, "fault": one.fault, "grid": grid, "awaited data": [*one.awaited], "result": result}
    return said if one.share is None else {**said, "seed": one.share}


def _list(as_json: bool) -> int:
    if as_json:
        rows = [{"name": one.name, "title": one.title, "source": one.source, "claim": one.claim, "rule": one.rule,
                 "cpu minutes": dict(one.cpu_minutes), "seeds": dict(one.seeds), "own data": one.own_data}
                for one in EXPERIMENTS.values()]  # fmt: skip
        output.say_json(rows)
        return 0
    rows = [(one.name, f"{one.cpu_minutes['small']:.0f} min", one.source, one.claim) for one in EXPERIMENTS.values()]
    output.say_table("experiments", ("name", "small, of CPU", "source", "what the text says"), rows)
    return 0
