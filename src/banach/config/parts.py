"""The parts of a config: one dataclass of keys for each, every key with its reader and its meaning.

A function that needs one part of a run asks for that part; a `Config` is all of them (banach.config.config).
"""

import dataclasses

from banach import constraints, objectives, penalties, spaces
from banach.config import readers
from banach.config.keys import FILES, FOLDER, Key, Part, key, keys_of
from banach.data import how
from banach.data.memory import CACHES
from banach.data.resize import FITS
from banach.data.units import METHODS
from banach.models import MODELS
from banach.penalties import SoftConstraint
from banach.spaces import Metric

OPTIMIZERS = ("adam", "rmsprop")


def _norm(text: str | None) -> Metric | None:
    return None if text is None else spaces.space(text)


def _penalty(text: str) -> SoftConstraint | None:
    return None if text == "none" else penalties.penalty(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataKeys(Part):
    """Which data a run trains on, and how they are read."""

    # fmt: off
    data: str = key("fashion", readers.name("fashion"),
        "name of a data set (see `banach list data`), a folder of images, or a file: .npy, .npz, .nc, .zarr, .h5, "
        ".tif, .csv, .parquet, .h5ad; FILE:KEY names what is in it",
        may_change=True, needs=FILES)  # where they lie: that they are the same is checked by their content
    axes: str | None = key(None, readers.optional(readers.text),
        "what each axis of an array is, in its order: n samples, c channels, t time, x y z space; n,x,y or n,t,c")
    size: int | tuple[int, int] | None = key(None, readers.optional(readers.sides),
        "height and width of images in pixels: 32 or 48x64; none keeps them",
        needs=FILES)
    fit: str = key("crop", readers.one_of(*FITS),
        "how images get to --size: crop, pad, stretch, or none, which refuses others",
        needs=FILES)
    pad: tuple[int, ...] | str | None = key(None, readers.optional(how.sides),
        "bring arrays to sides that networks make by copies of their rim: auto, or a side for each axis, 48,64; "
        "samples are cut back")
    crop: tuple[int, ...] | str | None = key(None, readers.optional(how.sides),
        "the same by taking the middle of arrays, which samples then have the shape of")
    classes: tuple[int | str, ...] = key((), readers.listed(readers.label),
        "only these classes of a labelled set, for example 1,7; default: all",
        needs=FILES)
    holdout: float = key(0.1, readers.number(0, 1),
        "fraction of the data never trained on, for the held-out estimate and the scores")
    split_seed: int | None = key(None, readers.optional(readers.count(0)),
        "seed of the split into training and held-out part (and of data that are drawn, such as 8gaussians); "
        "default: --seed. With one for all seeds of a sweep their scores are against the same held-out samples")
    normalise: str | None = key(None, readers.optional(readers.one_of(*METHODS), "", None),
        "arrays only: standard, minmax or none, per channel, fitted on the training part")
    pages: str | int | None = key(None, readers.optional(how.page),
        "of TIFF, GIF, WebP and PNG files that hold several pages: first, all (each is a sample), or a page's number",
        needs=FILES)
    range: tuple[float, float] | str | None = key(None, readers.optional(how.limits),
        "values of pictures that become black and white: LOW,HIGH or auto (lowest and highest); makes arrays pictures")
    background: str = key("white", how.colour,
        "what transparent pictures are laid on: white, black or '#rrggbb'",
        needs=FILES)
    merge_folders: bool = key(False, readers.yes_no,
        "take sub-folders that look like parts of a set (train/, test/, masks/) as one set",
        needs=FILES)
    cache: str = key("auto", readers.one_of(*CACHES),
        "decode folders and arrays once into a mapped file: auto (where memory is short), always, never",
        may_change=True, needs=FILES)
    flip: bool = key(False, readers.yes_no,
        "mirror images at random, left to right")
    dequantise: bool = key(False, readers.yes_no,
        "add uniform noise of one grey level to images")
    # fmt: on


@dataclasses.dataclass(frozen=True, kw_only=True)
class GameKeys(Part):
    """The game of critic and generator: the norm, the losses, and what keeps the critic Lipschitz."""

    # fmt: off
    space: str = key("l2", readers.name("shape"),
        "the norm: a spec such as Sobolev(s=-1), lp:p=4, or an intent: l2, shape, edges, outliers",
        names=spaces.space)
    objective: str = key("wasserstein", readers.name("wasserstein"),
        "losses of critic and generator (see `banach list objectives`)",
        names=objectives.objective)
    penalty: str = key("wgan-gp", readers.name("wgan-gp"),
        "what keeps the critic Lipschitz (see `banach list penalties`), or none",
        names=_penalty)
    penalty_weight: float | str = key("auto", readers.number_or("auto", "batch"),
        "lambda: a number, auto (E norm over the data set) or batch (the same over each batch)")
    penalty_schedule: str = key("constant", readers.name("lazy:every=4"),
        "the penalty's weight over the critic's steps: constant, lazy(every=4), growing (see `banach list schedules`)",
        names=penalties.schedule)
    critic_scale: float | str = key("auto", readers.number_or("auto", "batch"),
        "gamma, the critic's output scale: a number, auto (E dual norm over the data set) or batch")
    critic_start: str = key("plain", readers.one_of("plain", "gamma", "slope"),
        "the critic's last layer at the start: plain, gamma (scaled by gamma), or slope (scaled so that "
        "the critic's mean slope on the data is gamma)")
    critic_input: str = key("samples", readers.one_of("samples", "norm"),
        "what the critic's network is given: samples x, or norm, E x for a norm |E x|_p such as Sobolev(s=-1), divided "
        "by its root mean square on the data")
    drift: float | str = key(1e-5, readers.number_or("auto"),
        "weight of E D(real)^2, which keeps the critic's level near 0: a number, or auto (1e-5, and less where "
        "gamma is so large that this would outweigh the game)")
    constraint: str = key("none", readers.name("none"),
        "a constraint on the critic's weights, for example clip or spectral-norm, or none",
        names=constraints.constraint)
    # fmt: on


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkKeys(Part):
    """The two networks and their sizes."""

    # fmt: off
    model: str = key("resnet", readers.name("resnet"),
        "family of generator and critic (see `banach list models`)",
        names=MODELS.entry)
    z: int = key(128, readers.count(1),
        "dimension of the latent normal variable")
    g_width: int = key(64, readers.count(1),
        "width (channels) of the generator")
    d_width: int = key(64, readers.count(1),
        "width (channels) of the critic")
    padding: tuple[str, ...] = key(("zero",), readers.paddings,
        "what convolutions see beyond the border: zero, periodic or reflect (mirrored), or one for each axis in space "
        "or time: periodic,reflect")
    # fmt: on


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingKeys(Part):
    """How many steps are taken, of which size, and from which weights."""

    # fmt: off
    minutes: float | None = key(None, readers.optional(readers.number(above=0)),
        "without --steps and --preset, plan the run for so many minutes (default 60): steps, networks, batch, rate, "
        "average, threads, as far as they are not given")
    steps: int = key(100_000, readers.count(1),
        "generator steps; 100k and 1M are read too; with it nothing is planned")
    n_critic: int = key(5, readers.count(1),
        "critic steps for each generator step")
    first_steps: int = key(0, readers.count(0),
        "critic steps for each of the first 25 generator steps and every 500th; 0 is off")
    batch: int = key(64, readers.count(2),
        "batch of the critic")
    g_batch: int = key(0, readers.count(0),
        "batch of the generator; 0 takes --batch")
    optimizer: str = key("adam", readers.one_of(*OPTIMIZERS),
        "adam, or rmsprop, which weight clipping was published with")
    lr: float = key(2e-4, readers.number(above=0),
        "the learning rate")
    g_lr: float = key(0.0, readers.number(0),
        "the generator's own learning rate; 0 takes --lr")
    beta1: float = key(0.0, readers.number(0, 1),
        "Adam's beta1")
    beta2: float = key(0.9, readers.number(0, 1),
        "Adam's beta2")
    decay: str = key("linear", readers.one_of("linear", "none", "restarts"),
        "learning rate over the run: linear to 0, none, or restarts: along a cosine to 0 again and again (SGDR), the "
        "generator at each end kept in snapshots/")
    restart_every: int = key(0, readers.count(0),
        "with --decay restarts: steps from one warm restart to the next; 0 makes five of the run")
    ema: float = key(0.999, readers.number(0, 1),
        "decay of the generator's moving average, which is what is sampled; 0 is off")
    seed: int = key(0, readers.count(0),
        "seed of everything random")
    init: str = key("", readers.text,
        "a run folder or generator file whose weights to start from",
        needs=FOLDER)
    # fmt: on


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachineKeys(Part):
    """Where and how a run is computed."""

    # fmt: off
    device: str = key("auto", readers.name("cpu"),
        "auto, cpu, cuda, cuda:1, mps", may_change=True)
    threads: int = key(0, readers.count(0),
        "CPU threads; 0 leaves it to torch", may_change=True)
    precision: str = key("fp32", readers.one_of("fp32", "bf16", "fp16"),
        "fp32, bf16 or, on a GPU, fp16 networks (norms are in fp32 always)")
    compile: bool = key(False, readers.yes_no,
        "compile the arithmetic of small networks' steps; says why where it does not", may_change=True, needs=FOLDER)
    deterministic: bool = key(False, readers.yes_no,
        "only GPU algorithms that give the same bits every time; on a CPU all are", may_change=True)
    keep_memory: bool = key(True, readers.yes_no,
        "keep freed memory for the next step: faster on a CPU; no: give it back at once",
        may_change=True, needs=FOLDER)
    # fmt: on


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputKeys(Part):
    """What a run writes, where and how often, and when it stops."""

    # fmt: off
    out: str = key("", readers.text,
        "run folder; default: runs/, then the names of data and space, and the model or the minutes", may_change=True)
    save_every: int = key(1_000, readers.count(1),
        "steps between checkpoints", may_change=True)
    sample_every: int = key(1_000, readers.count(1),
        "steps between sample grids", may_change=True)
    score_every: int = key(5_000, readers.count(0),
        "steps between scorings; 0 scores at the end only", may_change=True)
    score_samples: int = key(10_000, readers.count(2),
        "samples in a scoring", may_change=True)
    extractor: str = key("auto", readers.name("auto"),
        "feature extractor of the scores (see `banach list extractors`)")
    score_w1: str | None = key(None, readers.optional(readers.name("shape")),
        "a norm in which scorings also give the excess of W1 over held-out data, for example shape; default: none",
        may_change=True, names=_norm)
    keep: int = key(2, readers.count(1),
        "number of older checkpoints to keep", may_change=True)
    log_every: int = key(100, readers.count(1),
        "steps between lines of metrics.jsonl", may_change=True)
    max_minutes: float = key(0.0, readers.number(0),
        "stop, resumable, after so many minutes; 0 is no limit", may_change=True)
    # fmt: on


@dataclasses.dataclass(frozen=True, kw_only=True)
class PluginKeys(Part):
    """Code of the user's own that a run needs."""

    # fmt: off
    plugin: tuple[str, ...] = key((), readers.listed(readers.name("mine.py")),
        "Python files that register own spaces, objectives, penalties, models or data sets",
        many=True, may_change=True)  # where the files lie
    # fmt: on


PARTS: dict[str, type[Part]] = {
    "data": DataKeys,
    "game": GameKeys,
    "networks": NetworkKeys,
    "training": TrainingKeys,
    "machine": MachineKeys,
    "output": OutputKeys,
    "the run": PluginKeys,
}
"""The parts by their headings in `banach train --help`, in the order of config.yaml."""

FIELDS: dict[str, Key] = {
    name: dataclasses.replace(one, group=group) for group, part in PARTS.items() for name, one in keys_of(part).items()
}
"""All keys of a config, by name."""
