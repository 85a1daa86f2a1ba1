"""Mode collapse: which of the modes of 25 and of 100 Gaussians, and of 1,000 stacked digits, a generator keeps."""

import functools
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from banach.config.config import Config
from banach.data.load import load
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.seeded import with_spread
from banach.experiments.stacked_digits import MODES, classes, counted, digits, expected, stacks, to_pictures
from banach.experiments.trained import samples, trained_as
from banach.training.state import State

WASSERSTEIN: dict[str, dict[str, Any]] = {
    "Wasserstein, clipping": {"constraint": "clip", "optimizer": "rmsprop"},
    "Wasserstein, GP": {"penalty": "wgan-gp"},
    "Wasserstein, LP": {"penalty": "wgan-lp"},
    "Wasserstein, MaxGP": {"penalty": "maxgp"},
    "Wasserstein, spectral norm": {"constraint": "spectral-norm"},
}
"""The constraints under which the claim is tested."""

CASES: dict[str, dict[str, Any]] = {
    **WASSERSTEIN,
    "logistic, MaxGP": {"objective": "logistic", "penalty": "maxgp"},
    "hinge, spectral norm": {"objective": "hinge", "constraint": "spectral-norm"},
    "standard GAN, none": {"objective": "vanilla"},
    "least squares, none": {"objective": "least_squares(a=0, b=1, psi='varphi')"},
}
"""All objectives and constraints, as keys of a config."""

ON_DIGITS = ("Wasserstein, clipping", "Wasserstein, GP", "Wasserstein, MaxGP", "standard GAN, none")

SHARED: dict[str, Any] = {
    "model": "mlp", "penalty": "none", "penalty_weight": 0.1, "critic_scale": 1.0, "drift": 0.0, "beta1": 0.5,
    "beta2": 0.9, "ema": 0.0, "decay": "linear", "n_critic": 3, "lr": 1e-3,
}  # fmt: skip
"""What the runs have in common: the constants of gan_toy.py but for rate, sizes and critic steps."""

_EACH = 100
"""Samples for each Gaussian."""


@dataclass(frozen=True)
class Grid:
    """A square grid of equally likely Gaussians of deviation 0.05 at distance 2, divided by the grid's own deviation.

    With 5 to a side these are the 25 Gaussians of gan_toy.py (there divided by 2.828).
    """

    side: int

    @property
    def modes(self) -> int:
        return self.side**2

    @property
    def unit(self) -> float:
        """The deviation of the grid 2 i, i = 0 … side - 1: 2 sqrt((side^2 - 1)/12), in each of two coordinates."""
        return 2 * ((self.side**2 - 1) / 12) ** 0.5

    @property
    def deviation(self) -> float:
        return 0.05 / self.unit

    def centres(self) -> Float[Tensor, "modes 2"]:
        line = (2.0 * torch.arange(self.side) - (self.side - 1)) / self.unit
        return torch.cartesian_prod(line, line)

    def points(self, n: int, seed: int) -> Float[Tensor, "n 2"]:
        """n points, each mode equally often where the number allows."""
        rng = torch.Generator().manual_seed(seed)
        centres = self.centres()[torch.arange(n) % self.modes]
        drawn = centres + self.deviation * torch.randn(n, 2, generator=rng)
        return drawn[torch.randperm(n, generator=rng)]

    def counted(self, points: Float[Tensor, "n 2"]) -> dict[str, float]:
        """How many modes have a sample within 3 deviations, and the share of samples within 3 of any mode.

        "reached" counts the modes that are the nearest one of at least a tenth of their due share of all samples.
        """
        far, mode = torch.cdist(points.double(), self.centres().double()).min(1)
        within = far <= 3 * self.deviation
        near = torch.bincount(mode, minlength=self.modes)
        hit = torch.bincount(mode[within], minlength=self.modes)
        return {
            "covered": float((hit > 0).sum()), "within": float(within.double().mean()),
            "reached": float((near >= 0.1 * len(points) / self.modes).sum()),
        }  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How long and how large the runs of a scale are; `steps` on points and on digits."""

    steps: tuple[int, int]
    width: tuple[int, int]
    batch: int
    data: int
    counted: int
    sides: tuple[int, ...] = (5, 10)


def on_grid(case: str, grid: Grid, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Train one case on a grid; its counts at the end, and some samples for the figure."""
    data = load(grid.points(sizes.data, seed), normalise="none", holdout=0.0, seed=seed)
    config = Config(**{
        **SHARED, "z": 2, "g_width": sizes.width[0], "d_width": sizes.width[0], "batch": sizes.batch,
        "steps": sizes.steps[0], "seed": seed, **CASES[case],
    })  # fmt: skip

    def look(state: State) -> dict[str, float]:
        return grid.counted(samples(state, _EACH * grid.modes, seed))

    found = trained_as(config, data, 0, look)
    shown = samples(found.state, 1000, seed).double().nan_to_num(1e9, 1e9, -1e9).tolist()
    return {"counts": found.seen[-1][1], "ended": found.ended, "samples": shown}


def on_digits(case: str, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Train one case on stacked digits; the modes that the classifier counts at the end."""
    data = load(stacks(sizes.data, seed), axes="bchw", holdout=0.0, seed=seed)
    config = Config(**{
        **SHARED, "z": 64, "g_width": sizes.width[1], "d_width": sizes.width[1], "batch": sizes.batch,
        "penalty_weight": 10.0, "lr": 5e-4, "steps": sizes.steps[1], "seed": seed, **CASES[case],
    })  # fmt: skip

    def look(state: State) -> dict[str, float]:
        return counted(classes(to_pictures(samples(state, sizes.counted, seed).nan_to_num(0.0))))

    found = trained_as(config, data, 0, look)
    return {"counts": found.seen[-1][1], "ended": found.ended}


def run(setting: Setting) -> Outcome:
    """Every case on both grids and chosen ones on the digits, with every seed."""
    sizes = setting.pick(
        Sizes((10, 4), (16, 16), 64, 500, 200, (3,)),
        Sizes((700, 600), (64, 256), 128, 20_000, 10_000),
        Sizes((100_000, 50_000), (512, 512), 256, 100_000, 26_000),
    )
    settings_of: Mapping[str, tuple[tuple[str, ...], int, Callable[..., Any]]] = {
        f"{side**2} Gaussians": (tuple(CASES), side**2, functools.partial(_grid_part, Grid(side)))
        for side in sizes.sides
    } | {"stacked digits": (ON_DIGITS, MODES, on_digits)}
    found = {
        where: {
            case: [setting.part(f"{where} {case} seed={seed} {sizes}", functools.partial(make, case, seed, sizes))
                   for seed in setting.seeds]
            for case in cases
        }
        for where, (cases, _, make) in settings_of.items()
    }  # fmt: skip
    checks = tuple(
        Check(f"{where}, {case}: share of modes covered, mean over seeds",
              statistics.fmean(one["counts"]["covered"] for one in found[where][case]) / modes,
              0.9 if where == "stacked digits" else 0.95)
        for where, (cases, modes, _) in settings_of.items() for case in cases if case in WASSERSTEIN
    )  # fmt: skip
    settings = {
        **{key: value for key, value in SHARED.items() if key != "penalty_weight"},
        "penalty weight": "0.1 on points, 10 on digits", "rate on digits": 5e-4,
        "steps": f"{sizes.steps[0]} on points, {sizes.steps[1]} on digits", "batch": sizes.batch,
        "width": f"{sizes.width[0]} on points, {sizes.width[1]} on digits", "training samples": sizes.data,
        "counted samples": f"{_EACH} for each Gaussian, {sizes.counted} stacks", "deviations": 3,
        "classifier's accuracy": round(digits().accuracy, 4),
    }  # fmt: skip
    counts = {where: {case: [one["counts"] for one in of] for case, of in cases.items()}
              for where, cases in found.items()}  # fmt: skip
    remark = (
        f"Real stacks cover {expected(sizes.counted):.1f} of the 1,000 modes in as many draws. Uniform points in the"
        " square would cover most Gaussians too, with 2% of the samples: the share within 3 deviations says how sharp"
        " the samples are, the number of modes only whether one was lost."
    )
    return Outcome(settings, counts, checks, _tables(counts), tuple(_figures(setting, sizes, found)), (remark,))


def _grid_part(grid: Grid, case: str, seed: int, sizes: Sizes) -> dict[str, Any]:
    return on_grid(case, grid, seed, sizes)


def _tables(counts: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> tuple[Table, ...]:
    heads = {"covered": "modes covered", "within": "share of samples within 3 sd", "reached": "modes reached",
             "kl": "KL from equal shares"}  # fmt: skip
    tables = []
    for where, cases in counts.items():
        keys = tuple(next(iter(cases.values()))[0])
        rows = tuple(
            (case, *(with_spread([float(one[key]) for one in of]) for key in keys)) for case, of in cases.items()
        )
        tables.append(Table(where, ("objective, constraint", *(heads[key] for key in keys)), rows))
    return tuple(tables)


def _figures(setting: Setting, sizes: Sizes, found: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> list[Figure]:
    figures = []
    for side in sizes.sides:
        grid = Grid(side)
        caption = f"{grid.modes} Gaussians: 1,000 samples of each generator, first seed; crosses are the modes."
        with drawn(setting.folder, f"modes-{grid.modes}", caption, (9, 9)) as (figure, told):
            for at, (case, of) in enumerate(found[f"{grid.modes} Gaussians"].items()):
                axes = figure.add_subplot(3, 3, at + 1)
                axes.scatter(*grid.centres().T.numpy(), marker="+", s=20, linewidths=0.6, color=COLOURS[4])
                axes.scatter(*zip(*of[0]["samples"], strict=True), s=1, color=COLOURS[0])
                counts = of[0]["counts"]
                axes.set_title(f"{case}: {counts['covered']:.0f}, {counts['within']:.0%}", fontsize=7)
                axes.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal", xticks=(), yticks=())
        figures.append(told)
    return figures


EXPERIMENT = Experiment(
    name="modes",
    title="Does a Wasserstein GAN lose modes?",
    source="An extended abstract on Wasserstein GANs: what the authors of WGAN found",
    claim="The WGAN algorithm did not exhibit mode collapse.",
    rule="Under the Wasserstein objective, with each of clipping, GP, LP, MaxGP and spectral norm, the generator covers"
    " at least 95% of the modes of 25 and of 100 Gaussians (a mode is covered by a sample within 3 standard deviations,"
    " of 100 samples a mode), and with clipping, GP and MaxGP at least 90% of the 1,000 modes of stacked digits, as a"
    " classifier counts them; in the mean over seeds. Other objectives are shown beside, not judged.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 17, "paper": 3000.0},
    seeds={"tiny": 1, "small": 3, "paper": 5},
)
