"""Value surfaces of critics against a fixed generator, beside the surface of the exact critic."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from banach.config.config import Config
from banach.data.dataset import Data
from banach.data.load import load
from banach.experiments import drawing
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.fixed_generator import (
    SETS,
    TOY,
    MeanCritic,
    Samples,
    against_noise,
    drawn,
    estimate,
    explained,
    kantorovich_critic,
    optimal_critic,
    points,
    samples,
    slopes_between,
    transported,
)
from banach.experiments.seeded import mean, with_spread
from banach.experiments.surfaces import draw_surfaces, surface
from banach.streams import stream

CLIPPING, GRADIENT = "clipping", "gradient penalty"
WAYS: dict[str, dict[str, Any]] = {
    CLIPPING: {"constraint": "clip", "optimizer": "rmsprop"},
    GRADIENT: {"penalty": "wgan-gp", "penalty_weight": 0.1},
    "one-sided": {"penalty": "wgan-lp", "penalty_weight": 0.1},
    "semi-improved 1": {"penalty": "semi-improved-1", "penalty_weight": 0.1},
    "semi-improved 2": {"penalty": "semi-improved-2", "penalty_weight": 0.1},
    "MaxGP": {"penalty": "maxgp", "penalty_weight": 0.1},
}
"""What keeps the critic Lipschitz, with the weights that the codes have for points in the plane."""

PENALTIES = tuple(name for name in WAYS if name != CLIPPING)
EXACT = "exact critic"
LEAST, TIMES = 0.8, 2.0


@dataclass(frozen=True)
class Constants:
    """Sizes and rates of a run."""

    width: int
    steps: int
    lr: float
    clip_lr: float
    decay: str
    batch: int = 256
    points: int = 2000
    averaged: int = 4
    grid: int = 64


def constants(setting: Setting) -> Constants:
    """Those of the scale: gan_toy.py's at `paper`, and (with fewer steps) where they are asked for."""
    published = Constants(512, setting.pick(20, 1_000, 100_000), 1e-4, 5e-5, "none")
    small = Constants(64, 600, 5e-3, 5e-4, "linear")
    if setting.published:
        return published
    return setting.pick(Constants(16, 20, 5e-3, 5e-4, "linear", 64, 100, 2, 16), small, published)


def source(setting: Setting, of: str) -> str:
    """The spec of a data set: at `tiny` of few points."""
    return f"{of}:n={setting.pick(4000, 100_000, 100_000)}"


def config(way: str, of: Constants, seed: int) -> Config:
    """The game of one critic."""
    rate = of.clip_lr if way == CLIPPING else of.lr
    sizes = {"g_width": 4, "d_width": of.width, "batch": of.batch, "steps": of.steps, "lr": rate, "decay": of.decay}
    return Config(**{**TOY, **sizes, "seed": seed, **WAYS[way]})


def run(setting: Setting) -> Outcome:
    """Every way on every set with every seed; the surfaces of the first seed."""
    of = constants(setting)
    seeds = setting.seeds[:1] if setting.published else setting.seeds
    numbers: dict[str, dict[str, list[dict[str, Any]]]] = {}
    figures = []
    for name in SETS:
        best = functools.cache(functools.partial(_best, source(setting, name), of))
        kept = [_of_seed(setting, name, of, seed, best, seed == seeds[0]) for seed in seeds]
        figures.append(_draw(setting, name, of, seeds[0], {way: one["surface"] for way, one in kept[0].items()}))
        numbers[name] = {way: [without(one[way], "surface") for one in kept] for way in (*WAYS, EXACT)}
    settings = {**asdict(of), "sets": list(SETS), "ways": WAYS, "generator": "x + N(0, I)", "seeds": list(seeds)}
    remark = (
        "The exact critic has the potentials of one other sample of the same laws; what it leaves unexplained is the"
        " randomness of samples."
    )
    return Outcome(settings, numbers, checks(numbers), (*_tables(numbers),), (*figures,), (remark,))


def _best(spec: str, of: Constants) -> MeanCritic:
    return optimal_critic(load(spec), of.points, of.averaged)


def without(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The mapping without a key."""
    return {name: one for name, one in found.items() if name != key}


def _of_seed(
    setting: Setting, name: str, of: Constants, seed: int, best: Callable[[], MeanCritic], shown: bool
) -> dict[str, Any]:
    """What every critic of one seed says of one set, by its way; with `shown` its surface too."""
    data = load(source(setting, name))
    fresh = functools.cache(lambda: Fresh(samples(data, seed, of.points), best()))
    told = " ".join(f"{key}={value}" for key, value in asdict(of).items())
    kept = {}
    for way in (*WAYS, EXACT):
        game = config(way, of, seed) if way in WAYS else None
        make = functools.partial(_measured, data, game, seed, fresh, of.grid if shown else 0)
        kept[way] = setting.part(f"{name} {way} seed={seed} {told}", make)
    return kept


class Fresh:
    """Fresh samples, and an optimal critic's values there."""

    def __init__(self, on: Samples, best: MeanCritic):
        self.on, self.at = on, torch.cat([on.real, on.fake])
        self.best = best(self.at)


def _measured(data: Data, of: Config | None, seed: int, fresh: Callable[[], Fresh], grid: int) -> dict[str, Any]:
    """One critic, trained as the config says, or the exact one of other samples; its surface on a grid, if not 0."""
    on = fresh().on
    if of is None:
        f = kantorovich_critic(transported(*drawn(data, len(on.real), stream("cpu", seed, "exact critic"))))
        with torch.no_grad():
            gap = float(f(on.real).mean() - f(on.fake).mean())
        found = {"gap": gap, "per slope": gap / on.w1, "slope": math.nan}
    else:
        built = against_noise(of, data)
        said = estimate(built, on)
        f = built.state.critic.forward.scaled(float(built.game.gamma))
        found = {"gap": said.gap, "per slope": said.per_slope, "slope": float(slopes_between(built, on).mean())}
    heights = [[float(f"{one:.4g}") for one in row] for row in surface(f, grid)] if grid else []
    return {**found, "w1": on.w1, "explained": explained(f, fresh().at, fresh().best), "surface": heights}


def checks(numbers: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> tuple[Check, ...]:
    """The rule."""
    shares = {
        name: {way: mean([one["explained"] for one in rows]) for way, rows in ways.items()}
        for name, ways in numbers.items()
    }
    reached = (
        Check(
            f"{way}: explained of the optimal critic, on the worst set", min(of[way] for of in shares.values()), LEAST
        )
        for way in PENALTIES
    )
    missed = (
        Check(
            f"{name}: what clipping leaves unexplained, over what the worst penalty does",
            (1 - of[CLIPPING]) / max(1 - of[way] for way in PENALTIES),
            TIMES,
        )
        for name, of in shares.items()
    )
    slope = min(mean([one["slope"] for one in ways[GRADIENT]]) for ways in numbers.values())
    return (*reached, *missed, Check(f"{GRADIENT}: mean slope between the samples, least set", slope, 1.0))


def _tables(numbers: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> Iterator[Table]:
    for key, title in (
        ("explained", "Share of the optimal critic's variance on fresh samples that the critic explains (r^2)"),
        ("per slope", "Gap on fresh samples over the largest slope, in units of W1"),
    ):
        rows = (
            (way, *(with_spread([one[key] for one in ways[way]]) for ways in numbers.values()))
            for way in (*WAYS, EXACT)
        )
        yield Table(f"{title}: mean and standard deviation", ("constraint", *numbers), (*rows,))


def _draw(setting: Setting, name: str, of: Constants, seed: int, heights: Mapping[str, list[list[float]]]) -> Figure:
    real, fake = points(load(source(setting, name)), seed, of.points)
    caption = f"Level lines of critics on {name}, reals in orange, generated points in green; the first seed."
    kind = "-published" if setting.published else ""
    with drawing.drawn(setting.folder, f"{name}{kind}", caption, (12, 6.3)) as (figure, told):
        draw_surfaces(figure, {way: np.array(one) for way, one in heights.items()}, real, fake, 4)
    return told


EXPERIMENT = Experiment(
    name="value-surfaces",
    title="Value surfaces of critics on points in the plane",
    source="Geometric Intuition on Improved Wasserstein GANs (its account of Gulrajani et al. 2017, figure 2, and its"
    " semi-improved training); MaxGP of Lipschitz GANs",
    claim="Against a fixed generator, critics under weight clipping are too simple: they miss higher moments of the"
    " data. Under the gradient penalty they do not; both semi-improved variants, which ask for |f(x) - f(y)| = |x - y|"
    " instead, work as well on these toy problems. A penalty is only a relaxation: the length of the gradient may be"
    " expected to exceed 1 systematically.",
    rule="On fresh samples of both sides, r^2 of the critic and an optimal one (the mean of exact critics of four other"
    " samples of 2,000), a mean over the seeds: at least 0.8 on each of the three sets for the gradient penalty, the"
    " one-sided one, both semi-improved ones and MaxGP; what clipping leaves unexplained is on each set at least twice"
    " what the worst of these penalties leaves; and the mean slope at fresh points between the samples is at least 1"
    " under the gradient penalty on each set.",
    run=run,
    cpu_minutes={"tiny": 0.2, "small": 23, "paper": 60_000},
    seeds={"tiny": 1, "small": 5, "paper": 5},
    constants_differ=True,
)
