"""Experiments whose runs are a sweep: the folder, the worker and the scores are those of `banach sweep`."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml

from banach.errors import BanachError
from banach.experiments.drawing import drawn
from banach.experiments.experiment import Figure, Outcome, Setting
from banach.experiments.short_runs import SHOWN, tiles
from banach.files import write_text
from banach.generator import Generator
from banach.metrics.scores import score
from banach.runs.records import read_scores
from banach.session.console import Quiet
from banach.session.reference import data_of
from banach.session.run import NOT_FINITE, RESUMABLE
from banach.sweeps.folder import Sweep, SweepRun, create, open_sweep
from banach.sweeps.grid import read_grid
from banach.sweeps.one import run_one
from banach.sweeps.standing import DONE, FAILED, at_rest, claimed, counted, is_open, standings
from banach.sweeps.worker import Orders, Worker

GRID, SWEEP = "grid.yaml", "sweep"
"""In an experiment's folder: what the sweep is made of, and the sweep."""

BESIDE = "pixels"
"""Features in which generators are scored beside those of their runs."""

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Scored:
    """A run of the sweep: the values of the keys that are varied, the fault that ended it ("" of none), its scores by
    extractor and name, and some of its samples."""

    values: Mapping[str, Any]
    fault: str
    scores: Mapping[str, Mapping[str, float]]
    shown: Sequence[Any]


def write_grid(setting: Setting, grid: Mapping[str, Any]) -> Path:
    """The grid as `banach sweep create` reads it, in the experiment's folder.

    At the paper's scale one that is there already is the user's, who may have changed it, and is kept.
    """
    path = setting.folder / GRID
    if setting.scale == "paper" and path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, yaml.safe_dump(dict(grid), sort_keys=False))
    return path


def standing_of(setting: Setting) -> tuple[bool, str]:
    """Whether all runs of the experiment's sweep have ended, and '3 done, 9 waiting'; (False, '') before it is made."""
    if not (setting.folder / SWEEP).exists():
        return False, ""
    found = [at for _, at in standings(open_sweep(setting.folder / SWEEP))]
    return all(at.state in (DONE, FAILED) for at in found), counted(found)


def swept(setting: Setting, grid: Mapping[str, Any]) -> list[Scored]:
    """Every run of the grid, trained where it is not yet, with its scores."""
    sweep, _ = create(read_grid(write_grid(setting, grid)), setting.folder / SWEEP, ["banach", "reproduce"])
    return [Scored(run.values, **setting.part(run.name, lambda run=run: _scored(setting, sweep, run)))
            for run in sweep.runs]  # fmt: skip


def _scored(setting: Setting, sweep: Sweep, run: SweepRun) -> dict[str, Any]:
    if at_rest(run).state not in (DONE, FAILED):
        _finish(setting, sweep)
    found = at_rest(run)
    if found.state == FAILED and found.code == NOT_FINITE:
        return {"fault": found.message, "scores": {}, "shown": []}
    if found.state != DONE:
        raise BanachError(f"{run.folder.path}: {found.state} {found.message}".rstrip())
    lines, _ = read_scores(run.folder.scores)
    if not lines:
        raise BanachError(f"{run.folder.path} has finished without scores; its log.txt says why")
    last = lines[-1]
    by = str(last["protocol"]["extractor"])
    of_run = {name: last["value"][name] for name in ("fid", "is") if name in last["value"]}
    generator = Generator.load(run.folder.generator)
    scores = {by: of_run}
    if by != BESIDE:
        n = int(last["protocol"]["fakes"])
        reals = data_of(generator, run.folder.path).train.cpu()
        scores[BESIDE] = score(generator.sample(n), reals, extractor=BESIDE, names=("fid",))
    return {"fault": "", "scores": scores, "shown": generator.sample(SHOWN).tolist()}


def _finish(setting: Setting, sweep: Sweep) -> None:
    """Run what is not finished: at `tiny` in this process, else as many at once as torch may have threads."""
    if setting.scale == "tiny":
        for run in sweep.runs:
            with claimed(run) as mine:
                if mine and is_open(at_rest(run), retry_failed=False):
                    run_one(run, False, Quiet(), report=False)
        return
    worker = Worker(sweep, Orders(), setting.tell, hands=torch.get_num_threads(), apart=True)
    if worker.work() == RESUMABLE:
        raise KeyboardInterrupt  # it was asked to stop, and so is the experiment


def by_score(runs: Mapping[_Key, Sequence[Scored]]) -> dict[str, dict[_Key, list[float]]]:
    """The scores of runs, as "fid (fashion)", by what was varied, one a seed; those of the runs themselves come first.

    A run that ended in a fault has the worst: infinity for FID, minus infinity for the inception score.
    """
    all_scores = [one.scores for of in runs.values() for one in of if not one.fault]
    names = dict.fromkeys((by, name) for scores in all_scores for by, of in scores.items() for name in of)
    return {
        f"{name} ({by})": {
            key: [_worst(name) if one.fault else float(one.scores[by][name]) for one in of] for key, of in runs.items()
        }
        for by, name in names or {("none", "fid"): None}
    }


def _worst(name: str) -> float:
    return math.inf if name == "fid" else -math.inf


def with_value(runs: Sequence[Scored], key: str, value: Any) -> list[Scored]:
    """The runs with this value of a key; BanachError where there is none, as in a grid that was changed."""
    found = [one for one in runs if one.values.get(key) == value]
    if not found:
        raise BanachError(f"the sweep has no run with {key} {value!r}, which is judged too; see {GRID}")
    return found


def by_data(runs: Sequence[Scored]) -> dict[str, list[Scored]]:
    """The runs of each data set that the grid names, or all under ""."""
    names = dict.fromkeys(str(one.values.get("data", "")) for one in runs)
    return {name: [one for one in runs if one.values.get("data", "") == name] for name in names}


def together(outcomes: Mapping[str, Outcome]) -> Outcome:
    """The outcomes on several data sets as one, in which each part names its set; that of a single one as it is."""
    if len(outcomes) == 1:
        return next(iter(outcomes.values()))
    return Outcome(
        {name: of.settings for name, of in outcomes.items()},
        {name: of.numbers for name, of in outcomes.items()},
        tuple(replace(one, what=f"{name}: {one.what}") for name, of in outcomes.items() for one in of.checks),
        tuple(replace(one, title=f"{name}: {one.title}") for name, of in outcomes.items() for one in of.tables),
        tuple(replace(one, caption=f"{name}: {one.caption}") for name, of in outcomes.items() for one in of.figures),
        tuple(f"{name}: {one}" for name, of in outcomes.items() for one in of.remarks),
    )


def draw_samples(setting: Setting, name: str, rows: Mapping[str, Scored]) -> Figure:
    """Samples of these runs, a row for each that has some."""
    shown = {said: one.shown for said, one in rows.items() if one.shown}
    caption = "Samples of the first seed, a row for each."
    with drawn(setting.folder, name, caption, (6, 0.6 * max(1, len(shown)))) as (figure, told):
        for at, (said, images) in enumerate(shown.items()):
            axes = figure.add_subplot(len(shown), 1, at + 1)
            picture = tiles(torch.tensor(images), SHOWN).numpy()
            axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_ylabel(said, rotation=0, ha="right", va="center")
            axes.set(xticks=(), yticks=())
    return told
