"""Critics without a Lipschitz condition: what their gradient at a fake says of the reals, as a number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from banach.experiments.critic_field import draw_field, field_of
from banach.experiments.drawing import drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.plane_critics import Effort, planned, scaled_critic, train, unit
from banach.experiments.plane_pairs import (
    HALF,
    INNER,
    LEFT,
    RIGHT,
    Draw,
    apart_densities,
    gaussian_densities,
    gaussians,
    square_densities,
    squares_apart,
    squares_shared,
)
from banach.experiments.stacked import StackedMLP, drawn_for_each
from banach.objectives import objective
from banach.slopes import gradient
from banach.streams import stream

CASES: dict[str, Draw] = {"apart": squares_apart, "shared": squares_shared, "Gaussians": gaussians}
DENSITIES = {"apart": apart_densities, "shared": square_densities, "Gaussians": gaussian_densities}
FLAT = ("apart", "shared")
"""The cases whose densities are constant where the fakes are."""

FREE = ("least_squares", "vanilla", "fisher")
"""Objectives without a Lipschitz condition."""

RANDOM, CLEAR = 0.5, 0.95
"""A mean cosine of 0 is that of a random direction and 1 that of the right one; 0.5 lies between."""

MOVED = 0.25
"""Only fakes that the optimal plan moves at least so far have a direction that is right."""

WEIGHT = 0.1


@dataclass(frozen=True)
class Network:
    """A form of network, and how it is trained."""

    layers: int
    activation: Callable[[Tensor], Tensor]
    effort: Effort


def _networks(setting: Setting) -> dict[str, Network]:
    """The grid of settings: the published one first (64 layers of 128 units, SELU, SGD 1e-4)."""
    deep, steps, batch = setting.pick(4, 64, 64), setting.pick(20, 300, 20_000), setting.pick(32, 64, 256)
    width = 128 if setting.published or setting.scale == "paper" else setting.pick(8, 64, 128)
    wide = setting.pick(16, 256, 1024)

    def network(layers: int, units: int, activation: Callable[[Tensor], Tensor], lr: float, adam: bool) -> Network:
        return Network(layers, activation, Effort(steps, batch, units, lr, 0.0, 0.9, decays=False, adam=adam))

    return {
        "deep SELU, SGD 1e-4": network(deep, width, F.selu, 1e-4, False),
        "SELU 16, Adam 1e-3": network(min(deep, 16), width, F.selu, 1e-3, True),
        "ReLU 4, Adam 1e-2": network(4, width, torch.relu, 1e-2, True),
        "ReLU 1, Adam 1e-2": network(1, wide, torch.relu, 1e-2, True),
    }


PUBLISHED = "deep SELU, SGD 1e-4"

LIPSCHITZ = {
    "tiny": Effort(40, 64, 8, 2e-2, 0.9, 0.99),
    "small": Effort(400, 512, 16, 2e-2, 0.9, 0.99),
    "paper": Effort(20_000, 4096, 64, 1e-2, 0.9, 0.99),
}


def optimum(spec: str, real: Tensor, fake: Tensor) -> Tensor:
    """The optimal f where the densities are `real` and `fake`, float64, within [-40, 40]: no other point matters.

    argmin_t fake phi(t) + real varphi(t), by bisection of the derivative; (real - fake) / mu, up to a factor, for
    Fisher (Lipschitz GANs, eq. 7, mu half of both).
    """
    if spec == "fisher":
        return 2 * (real - fake) / (real + fake)
    of = objective(spec)
    low, high = torch.full_like(real, -40.0), torch.full_like(real, 40.0)
    for _ in range(60):
        t = ((low + high) / 2).requires_grad_()
        (slope,) = torch.autograd.grad((fake * of.phi(t) + real * of.varphi(t)).sum(), t)
        t = t.detach()
        low, high = torch.where(slope < 0, t, low), torch.where(slope < 0, high, t)
    return (low + high) / 2


def optimal_gradient(spec: str, case: str, x: Tensor, h: float = 1e-3) -> Tensor:
    """The gradient of the optimal f at x (n, 2), by central differences."""
    steps = h * torch.eye(2, dtype=torch.float64)
    ends = [[optimum(spec, *DENSITIES[case](x.double() + sign * step)) for sign in (1, -1)] for step in steps]
    return torch.stack([(up - down) / (2 * h) for up, down in ends], 1)


def _inside(case: str, fake: Tensor) -> Tensor:
    """The fakes in the interior of their squares; all of a Gaussian."""
    if case == "Gaussians":
        return fake
    off = torch.minimum(*((fake - torch.tensor(centre)).abs().amax(1) for centre in (LEFT, RIGHT)))
    return fake[off < (INNER if case == "apart" else HALF) - 0.01]


def _loss(spec: str, real: Tensor, fake: Tensor, count: int) -> Tensor:
    """The critic's loss, averaged over the networks of a stack."""
    if spec != "fisher":
        return objective(spec).critic_loss(real, fake)
    real, fake = real.view(count, -1), fake.view(count, -1)
    moment = (real.square().mean(1) + fake.square().mean(1)) / 2
    return -((real.mean(1) - fake.mean(1)) / moment.clamp_min(1e-12).sqrt()).mean()


def _judged(u: Tensor, wanted: Tensor, moved: Tensor) -> dict[str, Any]:
    """Of directions u (n, 2) at the fakes: the mean cosine to the plan's where it moves them, how many are close."""
    cosines = (u * wanted).sum(1)[moved]
    return {
        "cosine": float(cosines.double().mean()),
        "share": float((cosines >= CLEAR).double().mean()),
        "directions": [[round(one, 4) for one in row] for row in u[moved].tolist()],
    }


def _sample(case: str, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The fakes and reals on which all critics of a case are judged, the right directions, and which fakes have one."""
    real, fake = CASES[case](n, stream("cpu", "uninformative-gradients", case))
    way = planned(real, fake) - fake
    return real, fake, unit(way), way.norm(dim=1) >= MOVED


def _free(case: str, spec: str, network: Network, seeds: tuple[int, ...], n: int) -> dict[str, Any]:
    rngs = [stream("cpu", "uninformative-gradients", case, spec, network.layers, seed) for seed in seeds]
    effort, count = network.effort, len(seeds)
    critic = StackedMLP((2, *[effort.width] * network.layers, 1), network.activation, rngs)

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        return _loss(spec, critic(real), critic(fake), count)

    groups = [{"params": list(critic.parameters())}]
    train(groups, loss, lambda: drawn_for_each(CASES[case], effort.batch, rngs), effort)
    real, fake, wanted, moved = _sample(case, n)
    u = unit(gradient(critic, fake.repeat(count, 1))).view(count, n, 2)
    return {"seeds": [_judged(one, wanted, moved) for one in u], "field": field_of(critic, real, fake, copies=count)}


def _lipschitz(case: str, effort: Effort, seeds: tuple[int, ...], n: int) -> dict[str, Any]:
    real, fake, wanted, moved = _sample(case, n)
    critics = []
    for seed in seeds:
        samples = CASES[case](effort.batch, stream("cpu", "uninformative-gradients", case, "Lipschitz", seed))
        critics.append(scaled_critic(objective("wasserstein"), samples, WEIGHT, effort, seed)[0])
    told = [_judged(unit(gradient(f, fake)), wanted, moved) for f in critics]
    return {"seeds": told, "field": field_of(critics[0], real, fake)}


def _exact(n: int) -> dict[str, Any]:
    """The largest gradient of the optimal f inside the squares, and the share of fakes drawn to the far Gaussian."""
    found: dict[str, Any] = {}
    for case in CASES:
        real, fake, _, _ = _sample(case, n)
        for spec in FREE:
            u = optimal_gradient(spec, case, _inside(case, fake))
            found.setdefault(spec, {})[case] = (
                float(u.norm(dim=1).max()) if case in FLAT else float((u[:, 0] > 0).double().mean())
            )
    found["plan"] = float((planned(real, fake)[:, 0] > 0).double().mean())
    return found


def run(setting: Setting) -> Outcome:
    """The optimum without networks; then each case, objective and network, and a Lipschitz critic beside them."""
    n = setting.pick(64, 256, 1024)
    networks, effort = _networks(setting), LIPSCHITZ[setting.scale]
    exact = setting.part(f"optimum n={n}", lambda: _exact(n))
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for case in CASES:
        for spec in FREE:
            for name, one in networks.items():
                size = f"width {one.effort.width} steps {one.effort.steps} seeds {len(setting.seeds)} n={n}"
                found.setdefault(case, {}).setdefault(spec, {})[name] = setting.part(
                    f"{case} {spec} {name} {size}",
                    lambda case=case, spec=spec, one=one: _free(case, spec, one, setting.seeds, n),
                )
        size = f"width {effort.width} steps {effort.steps} seeds {len(setting.seeds)} n={n}"
        found[case]["Lipschitz"] = {
            "eq. 10": setting.part(
                f"{case} Lipschitz {size}", lambda case=case: _lipschitz(case, effort, setting.seeds, n)
            )
        }
    figure = _draw(setting, found)
    agreed = {case: {spec: _agreed(ways) for spec, ways in one.items()} for case, one in found.items()}
    numbers = {
        "optimum": exact,
        "resultant": agreed,
        "mean cosine": _each(found, "cosine"),
        "share within 18 degrees": _each(found, "share"),
    }
    settings = {
        **{name: {"layers": one.layers, **one.effort.as_dict()} for name, one in networks.items()},
        "Lipschitz": {"objective": "wasserstein", "weight": WEIGHT, **effort.as_dict()},
        "fakes": n, "moved at least": MOVED, "seeds": list(setting.seeds),
    }  # fmt: skip
    checks = _checks(exact, agreed, numbers["mean cosine"])
    return Outcome(settings, numbers, checks, _tables(exact, agreed, numbers["mean cosine"]), (figure,))


def _agreed(ways: dict[str, Any]) -> float:
    """The length of the mean direction at a fake over all networks and seeds, averaged over the fakes."""
    every = torch.tensor([seed["directions"] for one in ways.values() for seed in one["seeds"]], dtype=torch.float64)
    return float(every.mean(0).norm(dim=1).mean())


def _each(found: dict[str, Any], key: str) -> dict[str, Any]:
    def seeds(ways: dict[str, Any]) -> dict[str, list[float]]:
        return {name: [seed[key] for seed in one["seeds"]] for name, one in ways.items()}

    return {case: {spec: seeds(ways) for spec, ways in of.items()} for case, of in found.items()}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _checks(exact: dict[str, Any], agreed: dict[str, Any], cosines: dict[str, Any]) -> tuple[Check, ...]:
    checks = []
    for spec in FREE:
        for case in FLAT:
            what = f"{spec}, {case}: largest gradient of the optimal f inside the fakes' squares"
            checks.append(Check(what, exact[spec][case], 1e-9, False))
        what = f"{spec}, Gaussians: share of fakes that the optimal f draws to the far Gaussian"
        checks.append(Check(what, exact[spec]["Gaussians"], 0.05, False))
    checks.append(Check("Gaussians: share of fakes that the optimal plan moves there", exact["plan"], 0.4))
    for case in FLAT:
        deep = _mean(cosines[case]["least_squares"][PUBLISHED])
        what = f"least squares, published network, {case}: mean cosine to the plan's direction"
        checks.append(Check(what, deep, RANDOM, False))
        for spec in FREE:
            what = f"{spec}, {case}: length of the mean direction over networks and seeds"
            checks.append(Check(what, agreed[case][spec], RANDOM, False))
        what = f"Lipschitz, {case}: mean cosine to the plan's direction, least seed"
        checks.append(Check(what, min(cosines[case]["Lipschitz"]["eq. 10"]), CLEAR))
        what = f"Lipschitz, {case}: length of the mean direction over seeds"
        checks.append(Check(what, agreed[case]["Lipschitz"], CLEAR))
    return tuple(checks)


def _tables(exact: dict[str, Any], agreed: dict[str, Any], cosines: dict[str, Any]) -> tuple[Table, ...]:
    rows = [
        (case, spec, name, f"{_mean(seeds):.3f}", f"{min(seeds):.3f} to {max(seeds):.3f}")
        for case, of in cosines.items()
        for spec, ways in of.items()
        for name, seeds in ways.items()
    ]
    first = Table("Cosine of the gradient at fakes to the direction of the optimal plan",
                  ("case", "objective", "network", "mean over the seeds", "from, to"), tuple(rows))  # fmt: skip
    told = tuple((spec, *(f"{agreed[case][spec]:.3f}" for case in CASES)) for spec in (*FREE, "Lipschitz"))
    second = Table("Length of the mean direction over networks and seeds (1: all agree)", ("objective", *CASES), told)
    rows = [(spec, *(f"{exact[spec][case]:.2g}" for case in CASES)) for spec in FREE]
    heads = ("objective", *(f"{case}: largest gradient inside" for case in FLAT), "share drawn to the far Gaussian")
    return first, second, Table(f"The optimal f (the plan: {exact['plan']:.3f} to the far one)", heads, tuple(rows))


def _draw(setting: Setting, found: dict[str, Any]) -> Figure:
    caption = (
        "Least squares in the published network (above) and a Lipschitz critic under Wasserstein (below): levels, reals"
        " in orange, fakes in green, and the direction of the gradient at some fakes."
    )
    with drawn(setting.folder, "published" if setting.published else "uninformative", caption, (10, 5.4)) as made:
        figure, told = made
        for at, case in enumerate(CASES):
            for row, (spec, name) in enumerate((("least_squares", PUBLISHED), ("Lipschitz", "eq. 10"))):
                axes = figure.add_subplot(2, 3, 3 * row + at + 1)
                draw_field(axes, found[case][spec][name]["field"], f"{case}: {spec.replace('_', ' ')}")
    return told


EXPERIMENT = Experiment(
    name="uninformative-gradients",
    title="What the gradient of an unrestricted critic says of the reals",
    source="Lipschitz GANs, section 3, figure 1 and appendix B",
    claim="Without a restriction, or with that of Fisher, the optimal critic at a point depends on the densities there"
    " alone, so that its gradient at a fake tells nothing of where the reals are: it is zero or undefined for disjoint"
    " or evenly shared squares, and draws all fakes to the near one of two Gaussians. In practice it is very random and"
    " depends on the network and its training. With the Lipschitz condition it points where the mass has to go.",
    rule="At the optimum of least squares, vanilla and Fisher, computed from the densities, the gradient inside the"
    " squares is at most 1e-9 and at most 5% of the fakes are drawn to the far Gaussian, where the optimal plan moves"
    " at least 40%. In both cases of squares, over fakes that the optimal plan moves by at least 0.25: least squares in"
    " the published network has a mean cosine of at most 0.5 to the plan's direction (0 is random, 1 is right), and"
    " over all networks and seeds the mean direction at a fake has a length of at most 0.5 for each objective (1 if all"
    " agree); the Lipschitz critic has both at 0.95 or above.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 8, "paper": 1500},
    seeds={"tiny": 1, "small": 3, "paper": 5},
    together=True,
    constants_differ=True,
)
