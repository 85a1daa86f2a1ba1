"""The compact dual of W1 bounds rises from fakes to reals only: the same W1, but no gradient off the supports."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.experiments.critic_field import draw_field, field_of
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.plane_critics import Effort, train, unit
from banach.experiments.seeded import with_spread
from banach.experiments.stacked import StackedMLP, drawn_for_each
from banach.game import Game, critic_terms
from banach.penalties import penalty
from banach.slopes import gradient
from banach.spaces import Lp
from banach.streams import stream
from banach.transport import distance

STEP = 0.1
"""How far from a fake the optimal values are asked for."""

STEPS = {"towards its real": (STEP, 0.0), "aside": (0.0, STEP)}
TESTED = 4
"""From so many fakes."""

_SLACK = 1e-9
_UNBOUNDED = 3

NETWORKS = {"eq. 4": "compact-dual", "Lipschitz": "wgan-lp"}
"""The soft form of each constraint; both one-sided, of weight 10 (Petzka et al.)."""

WEIGHT = 10.0


def parallel(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """(1, Z) and (0, Z') with Z and Z' uniform on [0, 1] (Lipschitz GANs, eq. 9): W1 is 1."""
    return tuple(torch.stack([torch.full((n,), x), torch.rand(n, generator=rng)], 1) for x in (1.0, 0.0))  # pyright: ignore


@dataclass(frozen=True, eq=False)
class Dual:
    """max mean f(reals) - mean f(fakes) over the values of f at points, the first n fakes, the next n reals.

    `rises` are the pairs (a, b) with f_b - f_a <= |x_a - x_b|: from fakes to reals in the compact dual (eq. 4), all in
    the Kantorovich-Rubinstein dual (eq. 3).
    """

    points: np.ndarray
    n: int
    rises: np.ndarray

    def _solved(self, costs: np.ndarray, limits: tuple[np.ndarray, np.ndarray] | None = None) -> Any:
        """The least of costs.f where f at the first fake is 0; None where it has no bound."""
        linprog, sparse = _scipy()
        a, b = self.rises.T
        row = np.arange(len(a))
        shape = (len(a), len(self.points))
        entries = np.concatenate([np.ones(len(a)), -np.ones(len(a))])
        table = sparse.csr_matrix((entries, (np.tile(row, 2), np.concatenate([b, a]))), shape=shape)
        most = np.linalg.norm(self.points[a] - self.points[b], axis=1)
        if limits is not None:
            table, most = sparse.vstack([table, limits[0][None]]), np.append(most, limits[1])
        bounds = [(0, 0)] + [(None, None)] * (len(self.points) - 1)
        found = linprog(costs, table, most, bounds=bounds, method="highs", options={"presolve": False})
        if found.status not in (0, _UNBOUNDED):
            raise RuntimeError(f"the linear programme of a dual failed: {found.message}")
        return None if found.status == _UNBOUNDED else found.fun

    def _gap(self) -> np.ndarray:
        costs = np.zeros(len(self.points))
        costs[: self.n], costs[self.n : 2 * self.n] = 1 / self.n, -1 / self.n
        return costs

    def value(self) -> float:
        """The greatest mean f(reals) - mean f(fakes)."""
        return -self._solved(self._gap())

    def slopes(self, value: float, a: int, b: int) -> tuple[float, float]:
        """The least and the greatest slope from point a to point b among the f that have the greatest value."""
        size = float(np.linalg.norm(self.points[a] - self.points[b]))
        ends = []
        for sign in (1.0, -1.0):
            costs = np.zeros(len(self.points))
            costs[b] += sign / size
            costs[a] -= sign / size
            found = self._solved(costs, (self._gap(), np.array([_SLACK - value])))
            ends.append(-sign * math.inf if found is None else sign * found)
        return ends[0], ends[1]


def duals(n: int, rng: torch.Generator) -> tuple[dict[str, Dual], np.ndarray]:
    """Both duals on n fakes (0, z), n reals (1, z) and points near some fakes; and (fake, point) of these, by step."""
    z = torch.rand(n, generator=rng, dtype=torch.float64).numpy()
    fake, real = np.stack([np.zeros(n), z], 1), np.stack([np.ones(n), z], 1)
    tested = np.linspace(0, n - 1, TESTED).round().astype(int)
    near = np.concatenate([fake[tested] + np.array(step) for step in STEPS.values()])
    points = np.concatenate([fake, real, near])
    places = 2 * n + np.arange(len(near)).reshape(len(STEPS), TESTED)
    pairs = np.stack([np.broadcast_to(tested, places.shape), places], 2)
    every = np.argwhere(~np.eye(len(points), dtype=bool))
    some = every[(every[:, 0] < n) & (every[:, 1] >= n) & (every[:, 1] < 2 * n)]
    return {"eq. 4": Dual(points, n, some), "Lipschitz": Dual(points, n, every)}, pairs


def _scipy() -> tuple[Callable[..., Any], Any]:
    import scipy.optimize
    import scipy.sparse

    return scipy.optimize.linprog, scipy.sparse


def _exact(n: int, seed: int) -> dict[str, Any]:
    made, pairs = duals(n, stream("cpu", "compact-dual", seed))
    found: dict[str, Any] = {}
    for name, dual in made.items():
        value = dual.value()
        ranges = {
            step: [dual.slopes(value, int(a), int(b)) for a, b in places]
            for step, places in zip(STEPS, pairs, strict=True)
        }
        found[name] = {"value": value, "slopes": ranges}
    fake, real = made["eq. 4"].points[:n], made["eq. 4"].points[n : 2 * n]
    certified = distance(fake, real, Lp(2), rel_gap=1e-9)
    return {**found, "w1": [certified.lower, certified.upper]}


def _networks(name: str, effort: Effort, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Networks with ReLU under the soft form of a constraint: their estimate of W1, and their gradient at fakes."""
    rngs = [stream("cpu", "compact-dual", name, seed) for seed in seeds]
    critic = StackedMLP((2, *[effort.width] * 3, 1), torch.relu, rngs)
    game = Game(penalty=penalty(NETWORKS[name]), weight=WEIGHT, drift=0.0)

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        return critic_terms(game, critic, real, fake, rngs[0]).loss

    groups = [{"params": list(critic.parameters())}]
    train(groups, loss, lambda: drawn_for_each(parallel, effort.batch, rngs), effort)
    real, fake = drawn_for_each(parallel, 512, rngs)
    u = gradient(critic, fake)
    right = torch.tensor([1.0, 0.0])
    with torch.no_grad():
        gap = (critic(real) - critic(fake)).view(len(seeds), -1).mean(1)
        x = torch.linspace(-1, 2, 121)
        profile = critic(torch.stack([x, torch.full_like(x, 0.5)], 1).repeat(len(seeds), 1)).view(len(seeds), -1)
    told = {"gap": gap, "off": (u - right).norm(dim=1), "cosine": unit(u) @ right, "slope": u.norm(dim=1)}
    means = {key: one.view(len(seeds), -1).double().mean(1).tolist() for key, one in told.items()}
    n = len(fake) // len(seeds)
    field = field_of(critic, real[:n], fake[:n], copies=len(seeds))
    return {**means, "profile": (profile[0] - profile[0, 40]).tolist(), "field": field}


EFFORTS = {
    "tiny": Effort(60, 64, 16, 1e-2, 0.0, 0.9),
    "small": Effort(2000, 128, 64, 1e-2, 0.0, 0.9),
    "paper": Effort(20_000, 256, 512, 1e-2, 0.0, 0.9),
}


def run(setting: Setting) -> Outcome:
    """Both duals as linear programmes, and networks under the soft form of each."""
    n, effort = setting.pick(10, 32, 64), EFFORTS[setting.scale]
    exact = [setting.part(f"duals n={n} seed {seed}", lambda seed=seed: _exact(n, seed)) for seed in setting.seeds]
    key = f"steps {effort.steps} width {effort.width} seeds {len(setting.seeds)}"
    nets = {
        name: setting.part(f"network {name} {key}", lambda name=name: _networks(name, effort, setting.seeds))
        for name in NETWORKS
    }
    figure = _draw(setting, nets)
    shown = {name: {key: one[key] for key in ("gap", "off", "cosine", "slope")} for name, one in nets.items()}
    settings = {"samples of the duals": n, "step": STEP, **effort.as_dict(), "penalties": NETWORKS, "weight": WEIGHT}
    return Outcome(settings, {"duals": exact, "networks": shown}, _checks(exact, nets), _tables(exact, nets), (figure,))


def _ends(exact: list[dict[str, Any]], name: str, step: str) -> np.ndarray:
    """(least, greatest) slope at every tested fake of every seed."""
    return np.array([[float(end) for end in pair] for one in exact for pair in one[name]["slopes"][step]])


def _checks(exact: list[dict[str, Any]], nets: dict[str, Any]) -> tuple[Check, ...]:
    towards = _ends(exact, "Lipschitz", "towards its real")
    free = np.concatenate([_ends(exact, "eq. 4", step) for step in STEPS])
    checks = [
        Check(f"{name}: largest distance of the dual's value from the certified W1",
              max(abs(one[name]["value"] - end) for one in exact for end in one["w1"]), 1e-6, False)
        for name in NETWORKS
    ]  # fmt: skip
    checks += [
        Check("eq. 4: share of steps from a fake along which an optimal f is bounded", float(np.isfinite(free).mean()),
              0.0, False),
        Check("Lipschitz: largest distance of an optimal f's slope towards the real from 1",
              float(np.abs(towards - 1).max()), 1e-6, False),
    ]  # fmt: skip
    checks += [
        Check(f"{name}: largest distance of a network's gap from W1 = 1", max(abs(gap - 1) for gap in one["gap"]),
              0.15, False)
        for name, one in nets.items()
    ]  # fmt: skip
    ratios = [a / b for a, b in zip(nets["eq. 4"]["off"], nets["Lipschitz"]["off"], strict=True)]
    what = "distance of the networks' gradient at fakes from (1, 0), eq. 4 over Lipschitz, least seed"
    checks.append(Check(what, min(ratios), 2.0))
    return tuple(checks)


def _tables(exact: list[dict[str, Any]], nets: dict[str, Any]) -> tuple[Table, ...]:
    rows = []
    for name in NETWORKS:
        values = [one[name]["value"] for one in exact]
        ranges = [_ends(exact, name, step) for step in STEPS]
        rows.append((name, f"{np.mean(values):.7f}", *(f"{r[:, 0].min():.3f} to {r[:, 1].max():.3f}" for r in ranges)))
    duals_table = Table(
        "The duals, exactly: slopes over all optimal f, all tested fakes and seeds",
        ("constraint", "W1", *(f"slope of a step {step}" for step in STEPS)),
        tuple(rows),
    )
    shown = ("gap", "slope", "cosine", "off")
    nets_table = Table(
        "Networks under the soft constraints (mean over seeds, and standard deviation)",
        ("constraint", "gap (W1 = 1)", "|gradient| at fakes", "cosine to (1, 0)", "distance to (1, 0)"),
        tuple((name, *(with_spread(one[key], ".3f") for key in shown)) for name, one in nets.items()),
    )
    return duals_table, nets_table


def _draw(setting: Setting, nets: dict[str, Any]) -> Figure:
    caption = (
        "Trained networks under each constraint, and along y = 0.5 (f at the fakes set to 0): eq. 4 leaves all values"
        " but those at 0 and 1 free; a Lipschitz f is bound to the shaded band, a line between fakes and reals."
    )
    x = np.linspace(-1, 2, 121)
    with drawn(setting.folder, "compact", caption, (10, 3)) as (figure, told):
        for at, (name, one) in enumerate(nets.items()):
            draw_field(figure.add_subplot(1, 3, at + 1), one["field"], name)
        axes = figure.add_subplot(1, 3, 3)
        axes.fill_between(x, np.maximum(-np.abs(x), 1 - np.abs(x - 1)), np.minimum(np.abs(x), 1 + np.abs(x - 1)),
                          color=COLOURS[0], alpha=0.25, linewidth=0)  # fmt: skip
        for (name, one), colour in zip(nets.items(), (COLOURS[1], COLOURS[0]), strict=True):
            axes.plot(x, one["profile"], color=colour, label=name)
        axes.plot([0, 1], [0, 1], "o", color=COLOURS[4], markersize=4)
        axes.set(xlabel="x", ylabel="f", ylim=(-1.2, 2.2))
        axes.legend(frameon=False)
    return told


EXPERIMENT = Experiment(
    name="compact-dual",
    title="The dual of W1 without the Lipschitz condition",
    source="Lipschitz GANs, section 3.3, eq. 4 and 9",
    claim="The Lipschitz condition in the dual of W1 can be relaxed to f(x) - f(y) <= |x - y| for x real and y fake."
    " For (1, Z) and (0, Z), Z uniform, an optimal f is 1 on the reals and 0 on the fakes: W1 as before. But values are"
    " only defined on the supports, so that the gradient at a fake is undefined and tells nothing of the reals.",
    rule="On samples, as linear programmes: both duals have the value of the certified W1 to 1e-6; among the optimal f"
    " of eq. 4 no slope of a step of 0.1 from a fake has a bound; among those of the Lipschitz dual the slope of such a"
    " step towards the real is 1 to 1e-6. Networks under the soft form of each constraint both find W1 to 15%, and at"
    " the fakes the gradient under eq. 4 is at least twice as far from (1, 0), with every seed.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 0.5, "paper": 60},
    seeds={"tiny": 1, "small": 3, "paper": 3},
    together=True,
)
