"""The whole configuration of a training run: one flat frozen dataclass, every key with its meaning.

A `Config` is checked when it is built, whoever builds it: a flag, a YAML file (banach.config.reading) or Python.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import yaml

from banach.config import readers
from banach.config.keys import Key, hyphened, keys_of
from banach.config.keys import key as _key
from banach.constraints import Constraint, constraint
from banach.data.memory import CACHES
from banach.data.resize import FITS
from banach.data.units import METHODS
from banach.errors import BanachError
from banach.models import MODELS
from banach.objectives import Objective, objective
from banach.penalties import Schedule, SoftConstraint, penalty, schedule
from banach.spaces import Metric, space
from banach.specs import Entry, SpecError

OPTIMIZERS = ("adam", "rmsprop")

GONE = {"joint_fakes": "each critic step draws its own fakes"}
"""Keys of older versions, and what holds in their place: files that give one are read without it, with a note."""


class ConfigError(BanachError):
    """A key or a value that cannot be used; the message names the key, the value and the remedy."""


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that determines a training run, and (those that `may_change`) how it is run.

    Raises `ConfigError` naming the key, the value and the remedy.

    >>> Config(steps="100k").steps
    100000
    """

    # fmt: off
    data: str = _key("fashion", readers.name("fashion"), "data",
        "name of a data set (see `banach list data`), a folder of images, or an .npy/.npz file")
    axes: str | None = _key(None, readers.optional(readers.text), "data",
        "meaning of an array's axes, where it cannot be told, for example bhwc")
    size: int | tuple[int, int] | None = _key(None, readers.optional(readers.sides), "data",
        "height and width of images in pixels: 32 or 48x64; none keeps them")
    fit: str = _key("crop", readers.one_of(*FITS), "data",
        "how images get to --size: crop, pad, stretch, or none, which refuses others")
    classes: tuple[int | str, ...] = _key((), readers.listed(readers.label), "data",
        "only these classes of a labelled set, for example 1,7; nothing takes all")
    holdout: float = _key(0.1, readers.number(0, 1), "data",
        "fraction of the data never trained on, for the held-out estimate and the scores")
    normalise: str | None = _key(None, readers.optional(readers.one_of(*METHODS), "", None), "data",
        "arrays only: standard, minmax or none, per channel, fitted on the training part")
    cache: str = _key("auto", readers.one_of(*CACHES), "data",
        "decode folders and arrays once into a mapped file: auto (where memory is short), always, never",
        may_change=True)
    flip: bool = _key(False, readers.yes_no, "data",
        "mirror images at random, left to right")
    dequantise: bool = _key(False, readers.yes_no, "data",
        "add uniform noise of one grey level to images")

    space: str = _key("l2", readers.name("shape"), "game",
        "the norm: a spec such as Sobolev(s=-1), lp:p=4, or an intent: l2, shape, edges, outliers")
    objective: str = _key("wasserstein", readers.name("wasserstein"), "game",
        "losses of critic and generator (see `banach list objectives`)")
    penalty: str = _key("wgan-gp", readers.name("wgan-gp"), "game",
        "what keeps the critic Lipschitz (see `banach list penalties`), or none")
    penalty_weight: float | str = _key("auto", readers.number_or("auto", "batch"), "game",
        "lambda: a number, auto (E norm over the data set) or batch (the same over each batch)")
    penalty_schedule: str = _key("constant", readers.name("lazy:every=4"), "game",
        "the penalty's weight over the critic's steps: constant, lazy(every=4), growing (see `banach list schedules`)")
    critic_scale: float | str = _key("auto", readers.number_or("auto", "batch"), "game",
        "gamma, the critic's output scale: a number, auto (E dual norm over the data set) or batch")
    critic_start: str = _key("plain", readers.one_of("plain", "gamma"), "game",
        "the critic's last layer at the start: plain, or gamma (scaled by gamma)")
    drift: float = _key(1e-5, readers.number(0), "game",
        "weight of E D(real)^2, which keeps the critic's level near 0")
    constraint: str = _key("none", readers.name("none"), "game",
        "a constraint on the critic's weights, for example clip or spectral-norm, or none")

    model: str = _key("resnet", readers.name("resnet"), "networks",
        "family of generator and critic (see `banach list models`)")
    z: int = _key(128, readers.count(1), "networks",
        "dimension of the latent normal variable")
    g_width: int = _key(64, readers.count(1), "networks",
        "width (channels) of the generator")
    d_width: int = _key(64, readers.count(1), "networks",
        "width (channels) of the critic")

    minutes: float | None = _key(None, readers.optional(readers.number(above=0)), "training",
        "without --steps and --preset, plan the run for so many minutes (default 60): steps, networks, batch, rate, "
        "average, threads, as far as they are not given")
    steps: int = _key(100_000, readers.count(1), "training",
        "generator steps; 100k and 1M are read too; with it nothing is planned")
    n_critic: int = _key(5, readers.count(1), "training",
        "critic steps for each generator step")
    first_steps: int = _key(0, readers.count(0), "training",
        "critic steps for each of the first 25 generator steps and every 500th; 0 is off")
    batch: int = _key(64, readers.count(2), "training",
        "batch of the critic")
    g_batch: int = _key(0, readers.count(0), "training",
        "batch of the generator; 0 takes --batch")
    optimizer: str = _key("adam", readers.one_of(*OPTIMIZERS), "training",
        "adam, or rmsprop, which weight clipping was published with")
    lr: float = _key(2e-4, readers.number(above=0), "training",
        "the learning rate")
    g_lr: float = _key(0.0, readers.number(0), "training",
        "the generator's own learning rate; 0 takes --lr")
    beta1: float = _key(0.0, readers.number(0, 1), "training",
        "Adam's beta1")
    beta2: float = _key(0.9, readers.number(0, 1), "training",
        "Adam's beta2")
    decay: str = _key("linear", readers.one_of("linear", "none"), "training",
        "learning rate over the run: linear to 0, or none")
    ema: float = _key(0.999, readers.number(0, 1), "training",
        "decay of the generator's moving average, which is what is sampled; 0 is off")
    seed: int = _key(0, readers.count(0), "training",
        "seed of everything random")
    init: str = _key("", readers.text, "training",
        "a run folder or generator file whose weights to start from")

    device: str = _key("auto", readers.name("cpu"), "machine",
        "auto, cpu, cuda, cuda:1, mps", may_change=True)
    threads: int = _key(0, readers.count(0), "machine",
        "CPU threads; 0 leaves it to torch", may_change=True)
    precision: str = _key("fp32", readers.one_of("fp32", "bf16", "fp16"), "machine",
        "fp32, bf16 or, on a GPU, fp16 networks (norms are in fp32 always)")
    compile: bool = _key(False, readers.yes_no, "machine",
        "compile the arithmetic of small networks' steps; says why where it does not", may_change=True)
    deterministic: bool = _key(False, readers.yes_no, "machine",
        "only GPU algorithms that give the same bits every time; on a CPU all are", may_change=True)
    keep_memory: bool = _key(True, readers.yes_no, "machine",
        "keep freed memory for the next step: faster on a CPU; no: give it back at once", may_change=True)

    out: str = _key("", readers.text, "output",
        "run folder; nothing takes one under runs/ named after data, space and model", may_change=True)
    save_every: int = _key(1_000, readers.count(1), "output",
        "steps between checkpoints", may_change=True)
    sample_every: int = _key(1_000, readers.count(1), "output",
        "steps between sample grids", may_change=True)
    score_every: int = _key(5_000, readers.count(0), "output",
        "steps between scorings; 0 scores at the end only", may_change=True)
    score_samples: int = _key(10_000, readers.count(2), "output",
        "samples in a scoring")
    extractor: str = _key("auto", readers.name("auto"), "output",
        "feature extractor of the scores (see `banach list extractors`)")
    score_w1: str | None = _key(None, readers.optional(readers.name("shape")), "output",
        "a norm in which scorings also give the excess of W1 over held-out data, for example shape; nothing: none",
        may_change=True)
    keep: int = _key(2, readers.count(1), "output",
        "number of older checkpoints to keep", may_change=True)
    log_every: int = _key(100, readers.count(1), "output",
        "steps between lines of metrics.jsonl")
    max_minutes: float = _key(0.0, readers.number(0), "output",
        "stop, resumable, after so many minutes; 0 is no limit", may_change=True)
    plugin: tuple[str, ...] = _key((), readers.listed(readers.name("mine.py")), "the run",
        "Python files that register own spaces, objectives, penalties, models or data sets", many=True)
    # fmt: on

    def __post_init__(self) -> None:
        for name, key in FIELDS.items():
            try:
                object.__setattr__(self, name, key.read(getattr(self, name)))
            except ValueError as error:
                raise ConfigError(f"{hyphened(name)}: {error}") from None
        _ = self.named  # what cannot be parsed is refused now

    @functools.cached_property
    def named(self) -> Named:
        """What its specs name, parsed once."""
        found = {}
        for key, read in _SPECS.items():
            try:
                found[key] = read(getattr(self, key))
            except SpecError as error:
                raise ConfigError(f"{hyphened(key)}: {error}") from None
        return Named(**found)

    def at(self, out: str) -> "Config":
        """The same config for another run folder; nothing is parsed again."""
        other = object.__new__(Config)
        vars(other).update(vars(self), out=out)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """The keys: another process parses specs itself, after it has loaded the plugins that they may need."""
        return {key: getattr(self, key) for key in FIELDS}


def _norm(text: str | None) -> Metric | None:
    return None if text is None else space(text)


def _penalty(text: str) -> SoftConstraint | None:
    return None if text == "none" else penalty(text)


_SPECS = {
    "space": space,
    "objective": objective,
    "penalty": _penalty,
    "penalty_schedule": schedule,
    "constraint": constraint,
    "model": MODELS.entry,
    "score_w1": _norm,
}
"""Keys that hold a spec, and what reads it."""

FIELDS: dict[str, Key] = keys_of(Config)

MACHINE_KEYS = frozenset(name for name, key in FIELDS.items() if key.may_change)
"""Keys that say where and how a run is computed and what it writes, not what it computes: they may change on resume."""


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
    """The keys, other than MACHINE_KEYS, in which two configs differ; two spellings of one spec do not.

    >>> differences(Config(space="sobolev:s=-1"), Config(space="shape", device="cpu", lr=1e-3))
    ('lr',)
    """
    return tuple(key for key in FIELDS if key not in MACHINE_KEYS and _meaning(old, key) != _meaning(new, key))


def _meaning(config: Config, key: str) -> Any:
    return repr(vars(config.named)[key]) if key in _SPECS else getattr(config, key)
