"""A generator of free atoms under critic training, against the least W1 that so many atoms can have."""

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from banach.constraints import constraint
from banach.data.dataset import Data
from banach.data.load import load
from banach.data.sampler import Sampler
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.seeded import with_spread
from banach.experiments.trained import samples, trained
from banach.game import Game
from banach.models import build_critic, start_at_
from banach.models.lipschitz import LipschitzCritic
from banach.penalties import penalty
from banach.spaces import Lp
from banach.training.state import Recipe, new_state
from banach.transport import distance

ATOMS = 64
BATCH = 128
_TINY = 1e-9
_LEFT = 0.05


@dataclass(frozen=True)
class Kept:
    """One way to keep the critic Lipschitz: a penalty with its weight for points in the plane, or a constraint."""

    penalty: str | None = None
    weight: float = 0.0
    constraint: str = "none"
    model: str = "mlp"


KINDS = {
    "clipping": Kept(constraint="clip"),
    "GP": Kept("wgan-gp", 0.1),
    "LP": Kept("wgan-lp", 0.1),
    "MaxGP": Kept("maxgp", 0.1),
    "ALP": Kept("alp", 10.0),
    "spectral norm": Kept(constraint="spectral-norm"),
    "orthogonal": Kept(model="lipschitz-orthogonal"),
}
"""The constraints that are compared; "exact" beside them stands for the critic that exact transport gives."""

EXACT = "exact critic"


class Atoms(nn.Module):
    """A generator whose samples are k free points, each equally often: row i is atom i mod k, whatever the latent."""

    def __init__(self, atoms: Tensor):
        super().__init__()
        self.z, self.shape = 1, tuple(atoms.shape[1:])
        self.atoms = nn.Parameter(atoms.clone())

    def forward(self, z: Tensor) -> Tensor:
        return self.atoms[torch.arange(len(z), device=z.device) % len(self.atoms)]


def w1(atoms: np.ndarray, points: np.ndarray) -> tuple[float, np.ndarray]:
    """Exact W1 of equally weighted atoms (k, 2) and points (n, 2) in L2, and the plan (k, n)."""
    found = distance(torch.from_numpy(atoms), torch.from_numpy(points), Lp(2), rel_gap=1e-9)
    plan = np.zeros((len(atoms), len(points)))
    if found.certificate is not None:
        np.add.at(plan, (found.certificate.i, found.certificate.j), found.certificate.mass)
    return found.value, plan


def medians(plan: np.ndarray, points: np.ndarray, atoms: np.ndarray, rounds: int = 100) -> np.ndarray:
    """For each row of a plan (k, n) the point that minimises sum_j plan_j |a - x_j|: Weiszfeld's iteration.

    It begins at the weighted mean; where one of the points, or the atom as it was, is better than its end, that is
    taken, so that no round makes anything worse.
    """
    mass = plan.sum(1, keepdims=True)
    found = plan @ points / mass
    for _ in range(rounds):
        weights = plan / np.maximum(_lengths(found, points), _TINY)
        found = weights @ points / weights.sum(1, keepdims=True)
    at_points = plan @ _lengths(points, points)
    nearest = points[at_points.argmin(1)]
    candidates = np.stack([found, nearest, atoms])
    costs = np.stack([(plan * _lengths(one, points)).sum(1) for one in candidates])
    return candidates[costs.argmin(0), np.arange(len(atoms))]


def _lengths(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x[:, None] - y[None], axis=-1)


def alternated(atoms: np.ndarray, points: np.ndarray, rounds: int) -> tuple[np.ndarray, float]:
    """Exact transport and the atoms' best places for its plan in turn, until nothing is gained: a local least W1."""
    value, plan = w1(atoms, points)
    for _ in range(rounds):
        moved = medians(plan, points, atoms)
        lower, plan = w1(moved, points)
        if lower >= value * (1 - 1e-7):
            break
        atoms, value = moved, lower
    return atoms, value


def least(points: np.ndarray, starts: Sequence[np.ndarray], rounds: int) -> tuple[np.ndarray, list[float]]:
    """The best atoms that alternating finds from several starts, and the W1 that each of them comes to."""
    found = [alternated(one, points, rounds) for one in starts]
    return min(found, key=lambda one: one[1])[0], [value for _, value in found]


def data_of(n: int, seed: int) -> Data:
    """n points of the swiss roll, all trained on."""
    return load(f"swissroll:n={n},seed={seed}", holdout=0.0, seed=seed)


def begun(k: int, seed: int) -> Tensor:
    """The atoms before the first step: standard normal."""
    return torch.randn(k, 2, generator=torch.Generator().manual_seed(1000 + seed))


@dataclass(frozen=True)
class Sizes:
    """How long and how large the runs of a scale are."""

    points: int
    atoms: int
    steps: int
    starts: int
    rounds: int
    width: int


def critic_run(name: str, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Train the atoms against a critic of this kind; W1 along the way, and where they end."""
    kind, data = KINDS[name], data_of(sizes.points, seed)
    points = data.train[:].double().numpy()
    game = Game(Lp(2), penalty=penalty(kind.penalty) if kind.penalty else None, weight=kind.weight, drift=0.0)
    critic = build_critic(kind.model, (2,), sizes.width, rng=torch.Generator().manual_seed(seed))
    batch = max(BATCH, sizes.atoms)
    recipe = Recipe(
        n_critic=5, batch=batch, g_batch=batch, lr=2e-3, g_lr=2e-2, beta1=0.0, beta2=0.9, decay_over=sizes.steps,
        ema=0.0, constraint=constraint(kind.constraint),
    )  # fmt: skip
    generator = Atoms(begun(sizes.atoms, seed))
    state = new_state(generator, critic, Sampler(len(data.train), batch, seed), recipe, seed)
    if isinstance(critic, LipschitzCritic):
        start_at_(critic, data.train[:batch], generator.atoms.detach(), torch.Generator().manual_seed(seed))
    seen = trained(state, game, data, sizes.steps, max(1, sizes.steps // 10),
                   lambda now: w1(samples(now, sizes.atoms).double().numpy(), points)[0])  # fmt: skip
    return {
        "steps": [step for step, _ in seen.seen], "w1": [value for _, value in seen.seen],
        "atoms": state.generator.network.state_dict()["atoms"].tolist(), "ended": seen.ended,
    }  # fmt: skip


def exact_run(seed: int, sizes: Sizes) -> dict[str, Any]:
    """The same with the critic of the exact plan: each step follows a subgradient of W1 itself."""
    points = data_of(sizes.points, seed).train[:].double().numpy()
    atoms = begun(sizes.atoms, seed).double().requires_grad_()
    optimizer = torch.optim.Adam([atoms], 2e-2, betas=(0.0, 0.9))
    values, at = [], []
    for step in range(sizes.steps + 1):
        value, plan = w1(atoms.detach().numpy(), points)
        if step % max(1, sizes.steps // 10) == 0:
            values.append(value)
            at.append(step)
        for group in optimizer.param_groups:
            group["lr"] = 2e-2 * (1 - step / sizes.steps)
        apart = atoms.detach()[:, None] - torch.from_numpy(points)
        atoms.grad = (torch.from_numpy(plan)[..., None] * torch.nn.functional.normalize(apart, dim=-1)).sum(1)
        optimizer.step()
    return {"steps": at, "w1": values, "atoms": atoms.detach().tolist(), "ended": None}


def least_run(seed: int, sizes: Sizes, ends: dict[str, list[list[float]]]) -> dict[str, Any]:
    """The least W1 that is found: from random subsets of the points, and from where each training ended.

    "from" has what alternating comes to from each: the local least W1 near the end of a training, by its name.
    """
    points = data_of(sizes.points, seed).train[:].double().numpy()
    rng = np.random.default_rng(seed)
    starts = {f"subset {at}": points[rng.choice(len(points), sizes.atoms, replace=False)]
              for at in range(sizes.starts)}  # fmt: skip
    starts |= {name: np.asarray(one, dtype=float) for name, one in ends.items()}
    starts = {name: one for name, one in starts.items() if np.isfinite(one).all()}
    atoms, values = least(points, list(starts.values()), sizes.rounds)
    return {"value": min(values), "from": dict(zip(starts, values, strict=True)), "atoms": atoms.tolist()}


def run(setting: Setting) -> Outcome:
    """Every constraint and the exact critic with every seed, and the least W1 beside them."""
    sizes = setting.pick(
        Sizes(64, 16, 8, 1, 3, 16), Sizes(512, ATOMS, 600, 3, 40, 64), Sizes(512, ATOMS, 20_000, 10, 100, 512)
    )
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in (*KINDS, EXACT)}
    best = []
    for seed in setting.seeds:
        for name in KINDS:
            make = functools.partial(critic_run, name, seed, sizes)
            runs[name].append(setting.part(f"{name} seed={seed} {sizes}", make))
        runs[EXACT].append(setting.part(f"{EXACT} seed={seed} {sizes}", functools.partial(exact_run, seed, sizes)))
        ends = {name: of[-1]["atoms"] for name, of in runs.items()}
        make = functools.partial(least_run, seed, sizes, ends)
        best.append(setting.part(f"least seed={seed} {sizes}", make))
    left = {
        name: [left_of(numbers["w1"], one["value"]) for numbers, one in zip(of, best, strict=True)]
        for name, of in runs.items()
    }
    checks = tuple(Check(f"{name}: excess that is left, mean over seeds", statistics.fmean(values), _LEFT, False)
                   for name, values in left.items())  # fmt: skip
    settings = {
        "points": sizes.points, "atoms": sizes.atoms, "generator steps": sizes.steps, "critic steps each": 5,
        "critic": f"3 hidden layers of {sizes.width}", "batch": max(BATCH, sizes.atoms),
        "rates": "Adam (0, 0.9), critic 2e-3, atoms 2e-2, linear to 0",
        "starts of the least W1": f"{sizes.starts} random subsets of the points, and the end of each training",
        "constraints": {name: str(kind) for name, kind in KINDS.items()},
    }  # fmt: skip
    found = {"w1": {name: [one["w1"] for one in of] for name, of in runs.items()}, "left": left,
             "least": [{"value": one["value"], "from": one["from"]} for one in best]}  # fmt: skip
    return Outcome(
        settings, found, checks, (_table(runs, best, left),), (_draw(setting, sizes, runs, best),), _remarks(best)
    )


def _table(runs: dict[str, list[dict[str, Any]]], best: list[dict[str, Any]], left: dict[str, list[float]]) -> Table:
    rows = (
        *((name, with_spread([float(one["w1"][-1]) for one in of]), with_spread(left[name]),
           with_spread([one["from"].get(name, math.nan) for one in best])) for name, of in runs.items()),
        ("least W1 found", with_spread([one["value"] for one in best], ".4g"), "0", ""),
    )  # fmt: skip
    title = (
        "W1 at the end, the share of the start's excess over the least W1 that is left, and the local least W1 that"
        " alternating finds from there"
    )
    return Table(title, ("critic", "W1", "excess left", "local least W1"), rows)


def left_of(values: Sequence[Any], lowest: float) -> float:
    """(last - least) / (first - least)."""
    first, last = float(values[0]), float(values[-1])
    return (last - lowest) / (first - lowest)


def _remarks(best: list[dict[str, Any]]) -> tuple[str, ...]:
    apart = max(max(one["from"].values()) / one["value"] - 1 for one in best)
    said = (
        "The least W1 is the least that alternating finds: each step is exact, but the problem is not convex. The worst"
        f" of its starts ends {apart:.1%} above the best one, and a training may stop at such a local least W1 too."
    )
    return (said,)


def _draw(setting: Setting, sizes: Sizes, runs: dict[str, list[dict[str, Any]]], best: list[dict[str, Any]]) -> Figure:
    caption = (
        "Grey: the points. Black: the atoms of least W1. Coloured: where the atoms end under each critic. Last panel:"
        " W1 over the least, along the steps. First seed."
    )
    points = data_of(sizes.points, setting.seeds[0]).train[:].numpy()
    with drawn(setting.folder, "atoms", caption, (10, 7.5)) as (figure, told):
        for at, (name, of) in enumerate(runs.items()):
            axes = figure.add_subplot(3, 3, at + 1)
            axes.scatter(*points.T, s=2, color="#c8ccd0")
            axes.scatter(*np.asarray(best[0]["atoms"]).T, s=9, color="black", marker="x", linewidths=0.7)
            axes.scatter(*np.asarray(of[0]["atoms"], dtype=float).T, s=9, color=COLOURS[at % len(COLOURS)])
            axes.set(title=name, aspect="equal", xticks=(), yticks=(), xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
        axes = figure.add_subplot(3, 3, 9)
        for at, (name, of) in enumerate(runs.items()):
            values = np.asarray(of[0]["w1"], dtype=float) - best[0]["value"]
            style = "-" if at < len(COLOURS) else "--"
            axes.plot(of[0]["steps"], values.clip(1e-5), style, color=COLOURS[at % len(COLOURS)], label=name)
        axes.set(yscale="log", xlabel="generator step", title="W1 - least W1")
        axes.legend(frameon=False, fontsize=6)
    return told


EXPERIMENT = Experiment(
    name="against-the-optimum",
    title="How far from the least W1 does training stop?",
    source="An extended abstract on Wasserstein GANs: the WGAN algorithm as a minimiser of kappa W1",
    claim="The WGAN algorithm minimises kappa W(P_r, P_theta) over the generator's parameters: whatever keeps the"
    " critic Lipschitz, the generator goes to the distribution of least W1 that it can make.",
    rule="A generator of 64 free atoms learns 512 points of the swiss roll. The least W1 of 64 atoms is sought by exact"
    " transport and the atoms' geometric medians in turn, from random starts and from where each training ended. Under"
    " every constraint (clipping 0.01, GP, LP, MaxGP, ALP, spectral norm, orthogonal layers), and under the exact"
    " critic, at most 5% of the excess of the start over that least W1 is left at the end, in the mean over seeds.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 6, "paper": 240.0},
    seeds={"tiny": 1, "small": 3, "paper": 5},
)
