"""Run experiments one after the other: each is judged, kept and shown, and what is done is not done again."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from banach.data.load import is_named
from banach.errors import BanachError
from banach.experiments.costs import Clock, noted
from banach.experiments.experiment import FAILS, SCALES, Experiment, Setting
from banach.experiments.page import write_page
from banach.experiments.results import RESULT, Result, asked_of, read_result, written
from banach.experiments.shares import HELD, check_index, refuse_shares_held, share
from banach.experiments.side_by_side import run_beside
from banach.experiments.swept import GRID, standing_of, write_grid
from banach.files import write_text
from banach.foreign import typed
from banach.runs.lock import Lock, held, refuse_held
from banach.specs import nearest

BEGUN = "parts/asked.json"
"""What a run was asked for, from its beginning on."""


@dataclass(frozen=True)
class Wanted:
    """What `banach reproduce` is asked for. `seeds` replaces the number that each experiment has at this scale."""

    names: tuple[str, ...]
    scale: str = "small"
    out: Path = Path("runs/reproduce")
    data: str | None = None
    seeds: int | None = None
    again: bool = False
    workers: int = 1
    """Experiments at a time."""
    index: int | None = None
    """This seed of one experiment alone."""


@dataclass(frozen=True)
class Ended:
    """How one experiment ended: its result, or what there is to run elsewhere, or the fault that ended it.

    `awaited` are paths that a sweep reads its data from, and at which there is nothing yet.
    """

    name: str
    result: Result | None = None
    grid: Path | None = None
    fault: str = ""
    standing: str = ""
    """How far the sweep is that was made of the grid: '3 done, 9 waiting'."""
    before: bool = False
    """The result was there already."""
    awaited: tuple[str, ...] = ()
    share: int | None = None
    """This seed of it is done, and others are not."""


def chosen(names: Sequence[str], known: Mapping[str, Experiment]) -> list[Experiment]:
    """The experiments of these names, all of them for `all`; BanachError names the nearest of an unknown one."""
    if "all" in names:
        return list(known.values())
    for name in names:
        if name not in known:
            raise BanachError(f"unknown experiment {name!r}; {nearest(name, [*known, 'all'])}")
    return [known[name] for name in dict.fromkeys(names)]


def reproduce(wanted: Wanted, known: Mapping[str, Experiment], tell: Callable[[str], None]) -> Iterator[Ended]:
    """Each experiment in turn, as it ends; the page of the folder is written after each.

    What a folder holds already is kept: a result that answers what is asked is not made again, and one that does not
    is refused, unless `again`. A fault in one of several does not end the others.
    """
    experiments = chosen(wanted.names, known)
    settings = [_setting(one, wanted, tell) for one in experiments]
    if wanted.out.exists() and not wanted.out.is_dir():
        raise BanachError(f"--out {typed(str(wanted.out))} is a file; give a folder")
    if wanted.again:
        for setting in settings:
            _clear(setting.folder)
    for one, setting in zip(experiments, settings, strict=True):
        _check(one, setting)
        if wanted.index is not None:
            check_index(one, setting, wanted.index)
    for _ in results_in(wanted.out, known):  # one that is damaged is told of before the work
        pass
    pairs = list(zip(experiments, settings, strict=True))
    if len(pairs) > 1:
        tell(_budget(pairs, wanted))
    begin = _one_by_one if wanted.workers == 1 else _side_by_side
    for ended in begin(wanted, pairs, tell):
        write_page(wanted.out, [*results_in(wanted.out, known)])
        yield ended


Pairs = list[tuple[Experiment, Setting]]


def _budget(pairs: Pairs, wanted: Wanted) -> str:
    waiting = [one.cpu_minutes.get(wanted.scale, 0.0) for one, at in pairs if read_result(at.folder) is None]
    beside = f", {wanted.workers} at a time" if wanted.workers > 1 else ""
    return f"{len(waiting)} of {len(pairs)} experiments to run: about {_minutes(sum(waiting))} of CPU{beside}"


def _one_by_one(wanted: Wanted, pairs: Pairs, tell: Callable[[str], None]) -> Iterator[Ended]:
    for one, setting in pairs:
        try:
            yield _ended(one, setting, tell, wanted.index)
        except Exception as error:
            if wanted.names == (one.name,):
                raise
            yield Ended(one.name, fault=f"{type(error).__name__}: {error}")


def _side_by_side(wanted: Wanted, pairs: Pairs, tell: Callable[[str], None]) -> Iterator[Ended]:
    """Those that take a while in processes of their own, the longest first; the others here."""
    long = [(one, at) for one, at in pairs if read_result(at.folder) is None and wanted.scale in one.cpu_minutes]
    yield from _one_by_one(wanted, [pair for pair in pairs if pair not in long], tell)
    long.sort(key=lambda pair: -pair[0].cpu_minutes[wanted.scale])
    folders = {one.name: at.folder for one, at in long}
    words = [(one.name, at.folder, [*words_for(one, at, wanted.out), "--workers", "1"]) for one, at in long]
    for name, fault in run_beside(words, wanted.workers, tell):
        found = read_result(folders[name])
        yield Ended(name, found, fault=fault if found is None else "")


def words_for(experiment: Experiment, setting: Setting, out: Path) -> list[str]:
    """The words of `banach` that run one experiment by itself."""
    given = {"--scale": setting.scale, "--out": str(out), "--seeds": str(len(setting.seeds))}
    if setting.data is not None:
        given["--data"] = setting.data
    return ["reproduce", experiment.name, *(word for pair in given.items() for word in pair)]


def shared(wanted: Wanted, known: Mapping[str, Experiment]) -> tuple[Experiment, Setting]:
    """The one experiment that is wanted, to be run seed by seed; BanachError where it cannot be."""
    experiment = chosen(wanted.names, known)[0]
    setting = _setting(experiment, wanted, tell=lambda line: None)
    check_index(experiment, setting, 0)
    _check(experiment, setting)
    return experiment, setting


def _setting(experiment: Experiment, wanted: Wanted, tell: Callable[[str], None]) -> Setting:
    if wanted.scale not in SCALES:
        raise BanachError(f"scale {wanted.scale!r}; {nearest(wanted.scale, SCALES)}")
    if wanted.data is not None and not experiment.own_data and wanted.names != ("all",):
        raise BanachError(f"{experiment.name} has data of its own; leave out --data {typed(wanted.data)}")
    seeds = tuple(range(wanted.seeds or experiment.seeds[wanted.scale]))
    data = wanted.data if experiment.own_data else None
    return Setting(wanted.scale, wanted.out / experiment.name, seeds, data, tell=tell)


def _clear(folder: Path) -> None:
    """Remove what an experiment has written, and nobody else's folder of that name."""
    if not folder.exists():
        return
    refuse_held(folder / HELD)
    refuse_shares_held(folder)
    if not any((folder / name).exists() for name in (RESULT, BEGUN, GRID)):
        raise BanachError(f"{folder} is no experiment's folder, and --again would remove it; take another --out")
    shutil.rmtree(folder)


def _check(experiment: Experiment, setting: Setting) -> None:
    """Raise BanachError where the folder holds something that was asked otherwise."""
    asked, begun = asked_of(experiment, setting), setting.folder / BEGUN
    kept = read_result(setting.folder)
    before = kept.asked if kept else _begun(begun) if begun.exists() else asked
    for key, value in asked.items():
        if before.get(key) != value:
            raise BanachError(
                f"{setting.folder} holds {experiment.name} with another {key} ({before.get(key)!r}, not {value!r}); "
                "take another --out, or --again to replace it"
            )


def _begun(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {**found}
    except (OSError, ValueError, TypeError) as error:
        raise BanachError(f"{path} is damaged ({error}); take another --out, or --again to begin anew") from None


def _ended(experiment: Experiment, setting: Setting, tell: Callable[[str], None], index: int | None) -> Ended:
    kept = read_result(setting.folder)
    if kept is not None:
        return Ended(experiment.name, kept, before=True)
    if setting.scale not in experiment.cpu_minutes:
        if experiment.grid is None:
            raise BanachError(f"{experiment.name} has no scale {setting.scale}; take --scale small")
        grid = experiment.grid(setting)
        path = write_grid(setting, grid)
        ended, standing = standing_of(setting)
        if not ended or not experiment.judges_sweep:
            awaited = _awaited(grid) if setting.data is None else ()
            return Ended(experiment.name, grid=path, standing=standing, awaited=awaited)
    if setting.scale in experiment.cpu_minutes:
        tell(f"{experiment.name}: about {_minutes(experiment.cpu_minutes[setting.scale])} of CPU")
    (setting.folder / "parts").mkdir(parents=True, exist_ok=True)
    write_text(setting.folder / BEGUN, json.dumps(asked_of(experiment, setting)))
    if index is not None and (not share(setting, index, experiment.run) or held(setting.folder / HELD)):
        return Ended(experiment.name, share=index)  # the last one judges
    refuse_shares_held(setting.folder)
    with Lock(setting.folder / HELD):
        return _run(experiment, setting, tell)


def _run(experiment: Experiment, setting: Setting, tell: Callable[[str], None]) -> Ended:
    """The experiment, in this process alone."""
    before, clock = noted(setting.folder / "parts"), Clock()
    outcome = experiment.run(setting)
    published = None
    if outcome.verdict == FAILS and experiment.constants_differ and setting.scale == "small":
        tell(f"{experiment.name}: the claim does not hold; once more with the published constants")
        seeds = setting.seeds[: experiment.published_seeds]
        published = experiment.run(replace(setting, published=True, seeds=seeds))
        published = replace(published, settings={**published.settings, "seeds": list(seeds)})
    seconds, cpu = clock.since()
    took = before[0] + seconds, before[1] + cpu
    return Ended(experiment.name, written(experiment, setting, outcome, published, took))


def _awaited(grid: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths among a grid's data sets at which there is nothing."""
    paths = [keys["data"] for keys in (grid.get("base") or {}, *grid.get("cases", ())) if "data" in keys]
    return tuple(one for one in paths if not is_named(one) and not Path(one).exists())


def _minutes(minutes: float) -> str:
    return f"{60 * minutes:.0f} s" if minutes < 1.5 else f"{minutes:.0f} min"


def results_in(out: Path, known: Mapping[str, Experiment]) -> Iterator[Result]:
    """The results that a folder holds, in the experiments' order."""
    for name in known:
        found = read_result(out / name)
        if found is not None:
            yield found
