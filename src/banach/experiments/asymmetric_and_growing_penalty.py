"""An asymmetric penalty, and one whose weight grows as the critic converges, against the two-sided one."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from banach.config.config import Config
from banach.data.load import load
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.fixed_generator import TOY, against_noise, estimate, explained, samples, slopes_between
from banach.experiments.seeded import mean, with_spread
from banach.training.build import Built

SETS = ("8gaussians", "swissroll")
TWO_SIDED, LINEAR, ASYMMETRIC, GROWING = "two-sided", "one-sided linear", "asymmetric", "growing"
WEIGHT, HEAVY = 1.0, 10.0
WAYS: dict[str, dict[str, Any]] = {
    TWO_SIDED: {"penalty": "wgan-gp", "penalty_weight": WEIGHT},
    "two-sided, heavy": {"penalty": "wgan-gp", "penalty_weight": HEAVY},
    "one-sided": {"penalty": "wgan-lp", "penalty_weight": HEAVY},
    LINEAR: {"penalty": "one-sided-linear", "penalty_weight": HEAVY},
    ASYMMETRIC: {"penalty": "asymmetric", "penalty_weight": WEIGHT},
    GROWING: {"penalty": "wgan-gp", "penalty_weight": WEIGHT, "penalty_schedule": f"growing(most={HEAVY:g})"},
}
"""Weight 1, or 10 where the upper side is the heavier; asymmetric: 1 below, 10 above; growing: from 1 to 10."""

WITHIN, MOST, LOSS = 1.1, 0.95, 0.02
"""Slopes count as within the ball up to 1.1; the share that is asked for; the share of W1 that may be lost."""


@dataclass(frozen=True)
class Constants:
    """Sizes and rates of a run."""

    width: int
    steps: int
    lr: float
    decay: str
    batch: int = 256
    points: int = 2000
    every: int = 10


def constants(setting: Setting) -> Constants:
    """Those of the scale; gan_toy.py's at `paper`, or (with fewer steps) where they are asked for."""
    published = Constants(512, setting.pick(20, 1_500, 100_000), 1e-4, "none")
    if setting.published:
        return published
    return setting.pick(Constants(16, 20, 5e-3, "linear", 64, 100), Constants(64, 600, 5e-3, "linear"), published)


def run(setting: Setting) -> Outcome:
    """Every way on every set with every seed."""
    of = constants(setting)
    seeds = setting.seeds[:1] if setting.published else setting.seeds
    told = " ".join(f"{key}={value}" for key, value in asdict(of).items())
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in SETS:
        found[name] = {way: [] for way in WAYS}
        for seed in seeds:
            for way in WAYS:
                make = functools.partial(trained, setting.pick(f"{name}:n=4000", name, name), way, of, seed)
                found[name][way].append(setting.part(f"{name} {way} seed={seed} {told}", make))
    settings = {**asdict(of), "sets": list(SETS), "ways": WAYS, "generator": "x + N(0, I)", "seeds": list(seeds)}
    return Outcome(settings, found, checks(found), (*_tables(found),), (_draw(setting, found, of.every),))


def trained(source: str, way: str, of: Constants, seed: int) -> dict[str, Any]:
    """One critic: the slopes along its training, the 95% quantile and the mean at fresh points, and what it ends at."""
    data = load(source)
    on = samples(data, seed, of.points)
    sizes = {"g_width": 4, "d_width": of.width, "batch": of.batch, "steps": of.steps, "lr": of.lr, "decay": of.decay}
    record: list[dict[str, float]] = []

    def note(built: Built) -> None:
        if built.state.step % of.every == 0:
            slopes = slopes_between(built, on)
            record.append({"high": float(slopes.quantile(0.95)), "mean": float(slopes.mean())})

    built = against_noise(Config(**{**TOY, **sizes, "critic_scale": 1.0, "seed": seed, **WAYS[way]}), data, note)
    said = estimate(built, on)
    f = built.state.critic.forward.scaled(float(built.game.gamma))
    share = explained(f, torch.cat([on.real, on.fake]), torch.cat(on.potentials))
    return {"record": record, "per slope": said.per_slope, "gap": said.gap, "w1": on.w1, "explained": share}


def inside(found: Mapping[str, Any]) -> float:
    """The share of a training at which 95% of the slopes were at most 1.1."""
    return mean([float(one["high"] <= WITHIN) for one in found["record"]])


def checks(found: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> tuple[Check, ...]:
    """The rule."""

    def worst(way: str, key: str) -> float:
        """The least over the sets of what a way has over the two-sided penalty, a mean over the seeds."""
        pairs = ([(a[key], b[key]) for a, b in zip(of[way], of[TWO_SIDED], strict=True)] for of in found.values())
        return min(mean([a - b for a, b in of]) for of in pairs)

    ends = {
        name: {way: mean([one["record"][-1]["high"] for one in of[way]]) for way in (GROWING, TWO_SIDED)}
        for name, of in found.items()
    }
    steeper = max(of[GROWING] - of[TWO_SIDED] for of in ends.values())
    stayed = {way: min(mean([inside(one) for one in of[way]]) for of in found.values()) for way in (LINEAR, ASYMMETRIC)}
    return (
        *(Check(f"{way}: share of the training within the ball, worst set", one, MOST) for way, one in stayed.items()),
        *(
            Check(f"{way}: share of W1, less that of two-sided, worst set", worst(way, "per slope"), -LOSS)
            for way in (LINEAR, ASYMMETRIC, GROWING)
        ),
        Check("growing: 95% quantile of the last slopes, less that of two-sided, worst set", steeper, 0.0, False),
    )


def _tables(found: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> Iterator[Table]:
    for name, ways in found.items():
        rows = (
            (
                way,
                with_spread([one["per slope"] for one in of]),
                with_spread([one["explained"] for one in of]),
                with_spread([one["record"][-1]["mean"] for one in of]),
                with_spread([one["record"][-1]["high"] for one in of]),
                with_spread([inside(one) for one in of]),
            )
            for way, of in ways.items()
        )
        heads = ("penalty", "share of W1", "explained of the optimal critic", "mean slope", "95% quantile",
                 "within the ball")  # fmt: skip
        yield Table(f"{name}: at the end, and the share of the training with 95% of slopes up to 1.1", heads, (*rows,))


def _draw(setting: Setting, found: Mapping[str, Mapping[str, list[dict[str, Any]]]], every: int) -> Figure:
    caption = "The 95% quantile of the slopes at fresh points between reals and fakes along the training, first seed."
    kind = "-published" if setting.published else ""
    with drawn(setting.folder, f"slopes{kind}", caption, (9, 3.6)) as (figure, told):
        for at, (name, ways) in enumerate(found.items()):
            axes = figure.add_subplot(1, len(found), at + 1)
            for (way, of), colour in zip(ways.items(), COLOURS, strict=True):
                high = [one["high"] for one in of[0]["record"]]
                axes.plot([every * (at + 1) for at in range(len(high))], high, color=colour, label=way)
            axes.axhline(1, color="k", linewidth=0.5)
            axes.set(title=name, xlabel="critic steps", ylabel="95% quantile of the slopes")
        figure.axes[0].legend(frameon=False, fontsize=7)
    return told


EXPERIMENT = Experiment(
    name="asymmetric-and-growing-penalty",
    title="An asymmetric penalty, and a weight that grows",
    source="Geometric Intuition on Improved Wasserstein GANs, things to try",
    claim="One might use an asymmetric penalty such as lambda E max(|grad f| - 1, 0) with a higher weight lambda; the"
    " intuition is that the optimisation then approaches a good f from the interior of the Lipschitz ball. Also, one"
    " might increase lambda as the discriminator converges.",
    rule="A critic against the fixed generator x + N(0, I) on 8 gaussians and the swiss roll; the two-sided penalty has"
    " weight 1. From the interior: at 95% or more of the training 95% of the slopes at fresh points between reals and"
    " fakes are at most 1.1, for the one-sided linear penalty (weight 10) and for the asymmetric one (1 below, 10"
    " above), on both sets. A good f: the gap over the largest slope, in units of W1, is at most 0.02 less than with"
    " the two-sided one, on both sets, a mean over the seeds, also for the weight that grows from 1 to 10; and with"
    " that, the 95% quantile of the slopes at the end is on neither set larger than without.",
    run=run,
    cpu_minutes={"tiny": 0.15, "small": 18, "paper": 30_000},
    seeds={"tiny": 1, "small": 3, "paper": 3},
    constants_differ=True,
)
