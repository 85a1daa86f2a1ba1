"""lambda and gamma of Banach WGAN, section 3.2: their values for every space on a data set, and training with them."""

import functools
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from banach.config.config import Config
from banach.errors import BanachError
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.pictures import keys_of, split
from banach.experiments.scorer import Scorer
from banach.experiments.seeded import with_spread
from banach.experiments.trained import numbers, trained_as
from banach.scales import scales
from banach.spaces import Space, space

USUAL = (10.0, 1.0)
"""lambda and gamma of WGAN-GP."""

SPECS = (
    "Lp(1)", "Lp(1.3)", "Lp(2)", "Lp(4)", "Lp(10)", "Lp(inf)", "Sobolev(s=-1.5)", "Sobolev(s=-1)",
    "Sobolev(s=-1, p=1.5)",
    "Sobolev(s=1)", "Sobolev(s=1, p=4)", "Sobolev(s=1, length=1, boundary='even')", "Weighted(Scale(2), Lp(3))",
    "Product(2, (Lp(2),), (1,))", "Product(1, (Lp(2), Lp(2), Lp(4)), (1, 1, 1))",
    "Intersection(1, Lp(2), Sobolev(s=1))",
    "InfConvolution(2, Lp(2), Sobolev(s=-1))", "TotalVariation(weight=0.1)", "Dual(TotalVariation(weight=0.1))",
    "Besov(s=-1)", "GradientForm(p=1)", "Patches(4, Lp(2))", "OverlappingPatches(4, Lp(2), stride=2)",
    "MeanFree(2)", "ModConstants(3)", "Discrete()",
)  # fmt: skip
"""Each registered space, by examples that fit pictures of one channel or of three."""

TRAINED = ("Lp(2)", "Lp(1.3)", "Lp(10)", "Sobolev(s=-1)", "Sobolev(s=1)")
"""The norms in which is trained: the paper's two families."""

ARMS: dict[str, dict[str, Any]] = {
    "10 and 1": {"penalty_weight": USUAL[0], "critic_scale": USUAL[1]},
    "heuristic": {"penalty_weight": "auto", "critic_scale": "auto"},
    "heuristic, slope start": {"penalty_weight": "auto", "critic_scale": "auto", "critic_start": "slope",
                               "drift": "auto"},
}  # fmt: skip
"""The usual constants, the paper's heuristic, and the heuristic with a critic that starts at slope 1 (ours)."""


@dataclass(frozen=True)
class Sizes:
    """How long and how large the runs of a scale are; `measured` samples give lambda and gamma, of computed norms
    `computed` ones."""

    side: int
    width: int
    batch: int
    steps: int
    scored: int
    measured: int
    computed: int
    norms: int = len(TRAINED)


def optimum(mean: float, lam: float, gamma: float) -> float:
    """c, at which D = c |x| minimises -c m/gamma + lam (c/gamma - 1)^2: gamma (1 + m/(2 lam)).

    The paper wants c near gamma; with lam = m it is 1.5 gamma.

    >>> optimum(27.0, 27.0, 2.0)
    3.0
    """
    return gamma * (1 + mean / (2 * lam))


def measured(spec: str, x: Tensor, few: int) -> dict[str, Any]:
    """lambda and gamma of samples (n, *event) in model units, of at most `few` where the norm is computed."""
    norm = space(spec)
    if not isinstance(norm, Space):
        return {"space": spec, "reason": "a metric without a dual norm"}
    try:
        found = scales(norm, x[:few] if norm.computed or norm.dual.computed else x)
    except BanachError as error:
        return {"space": spec, "reason": str(error).splitlines()[0]}
    return {"space": spec, **vars(found)}


def table_of(setting: Setting, sizes: Sizes) -> list[dict[str, Any]]:
    """lambda and gamma in every space."""
    data = split(setting.data, sizes.side)
    x = data.model_units(data.train[: sizes.measured])
    return [measured(spec, x, sizes.computed) for spec in SPECS]


def config_of(spec: str, arm: str, seed: int, sizes: Sizes) -> Config:
    """The config of a norm with one choice of lambda and gamma."""
    return Config(**{
        "size": sizes.side, "model": "dcgan4", "z": 64, "g_width": sizes.width, "d_width": sizes.width,
        "batch": sizes.batch, "n_critic": 2, "lr": 5e-4, "decay": "linear", "ema": 0.9, "penalty": "wgan-gp",
        "steps": sizes.steps, "seed": seed, "space": spec, **ARMS[arm],
    })  # fmt: skip


def one_run(setting: Setting, spec: str, arm: str, seed: int, sizes: Sizes) -> dict[str, Any]:
    """FID at the start and at the end."""
    data = split(setting.data, sizes.side)
    found = trained_as(config_of(spec, arm, seed, sizes), data, 0, Scorer(data, sizes.scored).fid)
    return {"fid": [value for _, value in found.seen], "ended": found.ended}


def run(setting: Setting) -> Outcome:
    """The table, and each norm with each choice and each seed."""
    sizes = setting.pick(
        Sizes(8, 8, 8, 3, 32, 64, 2, 2),
        Sizes(16, 16, 32, 300, 512, 2000, 32),
        Sizes(32, 64, 64, 50_000, 2000, 8000, 200),
    )
    rows = setting.part(f"scales {sizes}", functools.partial(table_of, setting, sizes))
    runs = {
        spec: {
            arm: [setting.part(f"{spec} {arm} seed={seed} {sizes}",
                               functools.partial(one_run, setting, spec, arm, seed, sizes)) for seed in setting.seeds]
            for arm in ARMS
        }
        for spec in TRAINED[: sizes.norms]
    }  # fmt: skip
    ends = {spec: {arm: [numbers(one["fid"])[-1] for one in of] for arm, of in arms.items()}
            for spec, arms in runs.items()}  # fmt: skip
    unfinished = sum(one["ended"] is not None for arms in runs.values() for one in arms["heuristic"])
    spreads = {arm: _unevenness([statistics.fmean(of[arm]) for of in ends.values()]) for arm in ARMS}
    lam = next(float(row["lam"]) for row in rows if row["space"] == "Lp(2)")
    checks = (
        Check("runs with the heuristic that were not finite", float(unfinished), 0.0, False),
        Check("mean over norms of log FID, heuristic less 10 and 1",
              statistics.fmean(math.log(statistics.fmean(of["heuristic"]) / statistics.fmean(of["10 and 1"]))
                               for of in ends.values()), 0.0, False),
        Check("deviation of log FID over norms, heuristic over 10 and 1", spreads["heuristic"] / spreads["10 and 1"],
              1.0, False),
        Check("L2: lambda over 10, or 10 over it", max(lam / USUAL[0], USUAL[0] / lam), 4.0, False),
    )  # fmt: skip
    data = split(setting.data, sizes.side)
    settings = {
        "data": data.name, "size": sizes.side, "network": f"dcgan4, width {sizes.width}", "batch": sizes.batch,
        "steps": sizes.steps, "critic steps each": 2, "rate": "Adam (0, 0.9) 5e-4, linear to 0", "arms": ARMS,
        "scores": Scorer(data, sizes.scored).protocol(), "drift": 1e-5,
    }  # fmt: skip
    return Outcome(settings, {"scales": rows, "fid": runs}, checks, _tables(rows, ends), (_draw(setting, ends),))


def _unevenness(values: list[float]) -> float:
    """The standard deviation of the logarithms; infinite where a value is."""
    return statistics.pstdev(math.log(one) for one in values) if all(map(math.isfinite, values)) else math.inf


def _tables(rows: list[dict[str, Any]], ends: Mapping[str, Mapping[str, list[float]]]) -> tuple[Table, ...]:
    shown = tuple(
        (row["space"], "", "", "", "", row["reason"]) if "reason" in row else
        (row["space"], f"{row['lam']:.4g} ± {row['lam_error']:.1g}", f"{row['gamma']:.4g} ± {row['gamma_error']:.1g}",
         f"{row['lam'] / USUAL[0]:.3g}", f"{row['gamma'] / USUAL[1]:.3g}", f"{row['n']:,} samples")
        for row in rows
    )  # fmt: skip
    trained = tuple((spec, *(with_spread(ends[spec][arm]) for arm in ARMS)) for spec in ends)
    return (
        Table("lambda = E |X| and gamma = E |X|_* on the data, and how often 10 and 1 go into them",
              ("space", "lambda", "gamma", "lambda/10", "gamma/1", "")
              , shown),
        Table("FID at the end", ("norm", *ARMS), trained),
    )  # fmt: skip


def _draw(setting: Setting, ends: Mapping[str, Mapping[str, list[float]]]) -> Figure:
    caption = "FID at the end, a dot for each seed, by norm and choice of lambda and gamma."
    with drawn(setting.folder, "heuristics", caption, (7, 3.2)) as (figure, told):
        axes = figure.add_subplot()
        for place, arm in enumerate(ARMS):
            for at, spec in enumerate(ends):
                values = ends[spec][arm]
                label = {"label": arm} if at == 0 else {}
                axes.plot([at + 0.2 * (place - 1)] * len(values), values, "o", color=COLOURS[place], **label)
        axes.set_xticks(range(len(ends)), list(ends))
        axes.set(yscale="log", ylabel="FID")
        axes.legend(frameon=False)
    return told


def grid(setting: Setting) -> Mapping[str, Any]:
    """At the paper's scale: its networks and steps on CIFAR-10, the published choice per batch among the arms.

    Or on the user's data.
    """
    return {
        "preset": "bwgan-cifar10",
        "base": keys_of(setting),
        "grid": {"space": ["Sobolev(s=0)", "Lp(1.3)", "Lp(10)", "Sobolev(s=-1.5)", "Sobolev(s=1)"]},
        "cases": [{"penalty_weight": "batch", "critic_scale": "batch"}, *(dict(keys) for keys in ARMS.values())],
        "seeds": list(setting.seeds),
    }


EXPERIMENT = Experiment(
    name="heuristics",
    title="lambda and gamma from the data",
    source="Banach Wasserstein GAN, section 3.2",
    claim="The usual values lambda = 10 and gamma = 1 are specific to the L2 norm and would need tuning if the norm is"
    " changed. lambda = E |X| and gamma = E |X|_* work with any underlying norm, without hand tuning; for L2 they agree"
    " with earlier practice reasonably well.",
    rule="In L2, Lp(1.3), Lp(10), W^{-1,2} and W^{1,2}: no run with the heuristic ends at a number that is not finite;"
    " the mean over norms of log FID is not above that with 10 and 1; and FID depends on the norm no more than with 10"
    " and 1 (standard deviation of log FID over norms). In L2, lambda is within a factor 4 of 10.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 12},
    seeds={"tiny": 1, "small": 3, "paper": 3},
    own_data=True,
    grid=grid,
)
