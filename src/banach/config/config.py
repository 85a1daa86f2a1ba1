"""The whole configuration of a training run: its parts in one flat frozen dataclass.

A `Config` is checked when it is built, whoever builds it: a flag, a YAML file (banach.config.reading) or Python.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import yaml

from banach.config.keys import ConfigError, hyphened
from banach.config.parts import (
    FIELDS,
    DataKeys,
    GameKeys,
    MachineKeys,
    NetworkKeys,
    OutputKeys,
    PluginKeys,
    TrainingKeys,
)
from banach.constraints import Constraint
from banach.objectives import Objective
from banach.penalties import Schedule, SoftConstraint
from banach.spaces import Metric
from banach.specs import Entry, SpecError

GONE = {"joint_fakes": "each critic step draws its own fakes"}
"""Keys of older versions, and what holds in their place: files that give one are read without it, with a note."""


@dataclasses.dataclass(frozen=True)
class Named:
    """What the specs of a config name, by key."""

    space: Metric
    objective: Objective
    penalty: SoftConstraint | None
    penalty_schedule: Schedule
    constraint: Constraint
    model: Entry
    score_w1: Metric | None


# a dataclass takes the fields of its last base first: so config.yaml begins with the data
@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(PluginKeys, OutputKeys, MachineKeys, TrainingKeys, NetworkKeys, GameKeys, DataKeys):
    """Everything that determines a training run, and (the keys that `may_change`) how it is run.

    It is all of its parts at once, and stands wherever a function asks for one of them. Raises `ConfigError` naming the
    key, the value and the remedy.

    >>> Config(steps="100k").steps
    100000
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.named  # what cannot be parsed is refused now
        if self.restart_every and self.decay != "restarts":
            raise ConfigError(f"restart-every: {self.restart_every} is for --decay restarts; add that, or leave it out")
        if self.restart_every > self.steps:
            raise ConfigError(
                f"restart-every: {self.restart_every} is more than the run's {self.steps} steps; take fewer"
            )

    @functools.cached_property
    def named(self) -> Named:
        """What its specs name, parsed once."""
        found = {}
        for name, key in FIELDS.items():
            try:
                if key.names is not None:
                    found[name] = key.names(getattr(self, name))
            except SpecError as error:
                raise ConfigError(f"{hyphened(name)}: {error}") from None
        return Named(**found)

    @property
    def splits_by(self) -> int:
        """The seed by which data are split: `split_seed`, or where that is None `seed`."""
        return self.seed if self.split_seed is None else self.split_seed

    def at(self, out: str) -> "Config":
        """The same config for another run folder; nothing is parsed again."""
        other = object.__new__(Config)
        vars(other).update(vars(self), out=out)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """The keys: another process parses specs itself, after it has loaded the plugins that they may need."""
        return {key: getattr(self, key) for key in FIELDS}


def as_mapping(config: Config) -> dict[str, Any]:
    """The config as plain values (tuples as lists), in the order of its keys."""
    return {key: list(one) if isinstance(one := getattr(config, key), tuple) else one for key in FIELDS}


def dump(config: Config, comments: Mapping[str, str] | None = None) -> str:
    """The config as YAML text that reads back to the same config; `comments` stand behind the keys they name."""
    lines = []
    for key, value in as_mapping(config).items():
        spelled = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
        line = f"{key}: {spelled.removesuffix('...' + chr(10)).strip()}"
        lines.append(f"{line}  # {comments[key]}" if comments and key in comments else line)
    return "\n".join(lines) + "\n"


def differences(old: Config, new: Config) -> tuple[str, ...]:
    """The keys that may not change on resume in which two configs differ; two spellings of one spec do not.

    >>> differences(Config(space="sobolev:s=-1"), Config(space="shape", device="cpu", lr=1e-3))
    ('lr',)
    """
    kept = [name for name, key in FIELDS.items() if not key.may_change]
    differing = tuple(name for name in kept if _meaning(old, name) != _meaning(new, name))
    if "split_seed" in differing and old.splits_by == new.splits_by:
        return tuple(name for name in differing if name != "split_seed")  # one of them says what the seed says
    return differing


def _meaning(config: Config, name: str) -> Any:
    return repr(vars(config.named)[name]) if FIELDS[name].names else getattr(config, name)
