"""A run's folder: what lies where, which folder a command means, and when a command may go on in it."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from banach.engine.config import Config, differences, hyphened
from banach.errors import BanachError
from banach.specs import slug

RUNS = Path("runs")


class FolderError(BanachError):
    """A run folder that cannot be used as asked; the message names it, the cause and the remedy."""


@dataclass(frozen=True)
class RunFolder:
    """The paths inside a run's folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config, YAML."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, machine, seed, command line; JSON."""
        return self.path / "environment.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a logged step, keys `log.KEYS`."""
        return self.path / "metrics.jsonl"

    @property
    def scores(self) -> Path:
        """One JSON object a scoring."""
        return self.path / "scores.jsonl"

    @property
    def log(self) -> Path:
        """What the console said, with the time."""
        return self.path / "log.txt"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """Where `checkpoint.save` writes."""
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        """Pictures: reals, fakes and derivatives by step."""
        return self.path / "samples"

    @property
    def generator(self) -> Path:
        """The newest averaged generator."""
        return self.path / "generator.safetensors"

    @property
    def best(self) -> Path:
        """The averaged generator with the best score."""
        return self.path / "best.safetensors"

    @property
    def lock(self) -> Path:
        """Held by the process that writes here."""
        return self.path / "run.lock"

    def picture(self, kind: str, step: int) -> Path:
        """samples/fakes-000012400.png."""
        return self.samples / f"{kind}-{step:09d}.png"

    def make(self) -> None:
        """Make the folder and those inside; raises `FolderError` where that is not possible."""
        try:
            for one in (self.path, self.checkpoints, self.samples):
                one.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FolderError(f"cannot make {self.path}: {error.strerror}; choose another --out") from None


def default_name(config: Config) -> str:
    """The folder name a run gets without --out: its data, space and model.

    >>> default_name(Config(data="fashion", space="Sobolev(s=-1)"))
    'fashion-sobolev-s-1-resnet'
    """
    data = Path(config.data).stem if "/" in config.data or "." in config.data else config.data
    return "-".join(slug(one) for one in (data, config.space, config.model))


def folder_of(config: Config, fresh: bool = False) -> RunFolder:
    """The folder that `config` means; with `fresh` the next free number of it, if it is there already."""
    path = Path(config.out).expanduser() if config.out else RUNS / default_name(config)
    if not fresh or not path.exists():
        return RunFolder(path)
    return RunFolder(next(free for n in count(2) if not (free := path.with_name(f"{path.name}-{n}")).exists()))


def check_continues(old: Config, new: Config, folder: Path, extend: bool) -> None:
    """Raises `FolderError`, with both values of each key, unless `new` may go on with the run that `old` began.

    Where and how it is computed may change (`MACHINE_KEYS`); `steps` may grow with `extend`.
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
