"""Which folder a command means, and when it may go on with the run that is there."""

from itertools import count
from pathlib import Path

from banach.config.config import Config, differences, hyphened
from banach.runs.folder import FolderError, RunFolder
from banach.specs import slug
from banach.training.plan import MINUTES

RUNS = Path("runs")


def default_name(config: Config, minutes: float | None = None) -> str:
    """The folder name a run gets without --out: its data, space and model, or the minutes that it is planned for.

    >>> default_name(Config(data="fashion", space="Sobolev(s=-1)"))
    'fashion-sobolev-s-1-resnet'
    >>> default_name(Config(data="fashion", space="l2"), 20)
    'fashion-l2-20min'
    """
    path = Path(config.data).expanduser()
    named = path.stem if "/" in config.data or "." in config.data else config.data
    data = (
        slug(named).strip(".-") or slug(path.resolve().stem).strip(".-") or "data"
    )  # "." and ".." have the name of what they mean
    return "-".join((data, slug(config.space), slug(f"{minutes:g}min" if minutes else config.model)))


def folder_of(config: Config, fresh: bool = False, planned: bool = False) -> RunFolder:
    """The folder that `config` means; with `fresh` the next free number of it, if it is there already.

    Of a run that is to be `planned` the model is not known yet.
    """
    minutes = (config.minutes or MINUTES) if planned else None
    path = Path(config.out).expanduser() if config.out else RUNS / default_name(config, minutes)
    if not fresh or not path.exists():
        return RunFolder(path)
    return RunFolder(next(free for n in count(2) if not (free := path.with_name(f"{path.name}-{n}")).exists()))


def check_continues(old: Config, new: Config, folder: Path, extend: bool) -> None:
    """Raises `FolderError`, with both values of each key, unless `new` may go on with the run that `old` began.

    Where and how it is computed may change (the keys that say `may_change`); `steps` may grow with `extend`. That the
    data are the same is checked by their content, when they are read.
    """
    changed = differences(old, new)
    grown = "steps" in changed and new.steps > old.steps
    if grown and extend:
        changed = tuple(key for key in changed if key != "steps")
    if not changed:
        return
    told = ", ".join(f"{hyphened(key)} was {getattr(old, key)}, now {getattr(new, key)}" for key in changed)
    remedy = "keep them, or start a new folder with --fresh or another --out"
    if grown and changed == ("steps",):
        remedy = "add --extend to go on to more steps, or start a new folder with --fresh"
    raise FolderError(f"{folder} holds a run with another config: {told}\n{remedy}")
