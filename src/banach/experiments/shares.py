"""One seed of an experiment by itself, for an array of jobs: the shares make the parts, the last one to end judges."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from banach.errors import BanachError
from banach.experiments.experiment import Experiment, Outcome, Setting
from banach.files import write_text
from banach.runs.lock import Lock, refuse_held

SHARES = "seeds"
"""The folder of the shares, in the experiment's; its `parts` are common to all."""

HELD = "running.lock"
"""Held by the process that runs the experiment, or one seed of it."""

ENDED = "ended"
"""In a share's folder, once its parts are all there."""


def check_index(experiment: Experiment, setting: Setting, index: int) -> None:
    """Raise BanachError where the experiment has no share of this number."""
    many = len(setting.seeds)
    if experiment.together:
        raise BanachError(f"{experiment.name} trains all its seeds at once, in one process; leave out --index {index}")
    if setting.scale not in experiment.cpu_minutes or experiment.judges_sweep:
        raise BanachError(
            f"{experiment.name} is a sweep at this scale: leave out --index {index}, and give it to banach sweep run"
        )
    if index not in range(many):
        last = f"0 to {many - 1}" if many > 1 else "0 alone"
        raise BanachError(f"--index {index}: {experiment.name} has {many} seeds at scale {setting.scale}; {last}")


def share(setting: Setting, index: int, run: Callable[[Setting], Outcome]) -> bool:
    """The parts of seed `index`, unless they are there; whether those of all seeds are now.

    BanachError where another process is at this seed, or at the whole experiment.
    """
    mine = replace(
        setting, folder=_folder(setting, index), home=setting.folder, seeds=(setting.seeds[index],)
    )  # its figures are its own
    refuse_held(setting.folder / HELD)
    if not (mine.folder / ENDED).exists():
        mine.folder.mkdir(parents=True, exist_ok=True)
        with Lock(mine.folder / HELD):
            run(mine)
            write_text(mine.folder / ENDED, "")
    return all((_folder(setting, one) / ENDED).exists() for one in range(len(setting.seeds)))


def refuse_shares_held(folder: Path) -> None:
    """Raise BanachError while a share of the experiment in `folder` is at work."""
    for path in sorted(folder.glob(f"{SHARES}/*/{HELD}")):
        refuse_held(path)


def _folder(setting: Setting, index: int) -> Path:
    return setting.folder / SHARES / str(index)
