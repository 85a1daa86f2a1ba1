"""A run's folder: what lies where."""

import re
from dataclasses import dataclass
from pathlib import Path

from banach.errors import BanachError


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
    def facts(self) -> Path:
        """What the run is, as found when its newest session began; JSON, keys `facts.KEYS`."""
        return self.path / "facts.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a logged step, keys `records.KEYS`."""
        return self.path / "metrics.jsonl"

    @property
    def scores(self) -> Path:
        """One JSON object a scoring, keys `records.SCORES`."""
        return self.path / "scores.jsonl"

    @property
    def evaluations(self) -> Path:
        """What `banach evaluate` found of the run's generators, one JSON object each, keys `records.EVALUATIONS`."""
        return self.path / "evaluations.jsonl"

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
    def reals(self) -> Path:
        """The picture of reals."""
        return self.samples / "reals.png"

    @property
    def generator(self) -> Path:
        """The newest averaged generator."""
        return self.path / "generator.safetensors"

    @property
    def best(self) -> Path:
        """The averaged generator with the best score."""
        return self.path / "best.safetensors"

    @property
    def snapshots(self) -> Path:
        """Averaged generators at the ends of the periods of a run with warm restarts."""
        return self.path / "snapshots"

    def snapshot(self, step: int) -> Path:
        """snapshots/generator-000012400.safetensors."""
        return self.snapshots / f"generator-{step:09d}.safetensors"

    @property
    def snapshot_files(self) -> tuple[Path, ...]:
        """The snapshots that are there, by step."""
        return tuple(sorted(self.snapshots.glob("generator-*.safetensors")))

    @property
    def report(self) -> Path:
        """The page that `banach report` writes."""
        return self.path / "report.html"

    @property
    def lock(self) -> Path:
        """Held by the process that writes here."""
        return self.path / "run.lock"

    def picture(self, kind: str, step: int) -> Path:
        """samples/fakes-000012400.png."""
        return self.samples / f"{kind}-{step:09d}.png"

    def pictures(self, kind: str) -> tuple[tuple[int, Path], ...]:
        """(step, picture) of all pictures of a kind that are there, by step."""
        found = []
        for path in self.samples.glob(f"{kind}-*.png"):
            if (match := re.fullmatch(rf"{kind}-([0-9]{{1,15}})", path.stem)) and path.is_file():
                found.append((int(match[1]), path))
        return tuple(sorted(found))

    @property
    def holds_run(self) -> bool:
        """Whether this is a run's folder: with its config or newest checkpoint and another file that runs write.

        A config.yaml alone is no proof: other programs name files so. A run that is just beginning has its lock.
        """
        if self.lock.is_file() and self.checkpoints.is_dir():
            return True
        begun = (self.config, self.checkpoints / "last.pt")
        written = (*begun, self.environment, self.facts, self.metrics, self.generator)
        return any(one.is_file() for one in begun) and sum(one.is_file() for one in written) > 1

    def make(self) -> None:
        """Make the folder and those inside; raises `FolderError` where that is not possible."""
        try:
            for one in (self.path, self.checkpoints, self.samples):
                one.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FolderError(f"cannot make {self.path}: {error.strerror}; choose another --out") from None
