"""The Lipschitz constant that a penalty of weight lambda leaves: k0 + W1/(2 lambda), and 0 at the equilibrium."""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from banach.experiments.critic_fit import Draw, Fit, fit_, gap, slopes_between
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.seeded import mean, with_spread
from banach.game import Game, critic_terms, generator_loss
from banach.models import build_critic
from banach.objectives import objective
from banach.penalties import Max, Penalty, TwoSided, penalty
from banach.slopes import Gradients
from banach.spaces import Lp

LAMBDAS = (0.1, 0.3, 1.0, 3.0, 10.0)
MOVES = (0.25, 0.5, 2.0)
"""The other distances, at lambda = 1."""

NEAR = 0.15
WIDTH = 32
HELD_OUT = 4096

GAMES = {
    "centred MaxGP, x": ("wasserstein", "maxgp", 1.0),
    "centred MaxGP, logistic": ("logistic", "maxgp", 1.0),
    "gradient penalty, x": ("wasserstein", "wgan-gp", 10.0),
}
"""Objective, penalty and its weight: the published weights, lambda = 1 being one of those searched."""

START, RATE = (1.0, 0.0), 0.05
"""Where the moved generator begins, and the rate of its gradient descent."""

FLAT, STEEP = 0.05, 0.5
"""A tenth of the slope at the start of the first game, W1/(2 lambda) = 0.5, and half of the slope that GP asks for."""


def predicted(k0: float, lam: float, w1: float) -> float:
    """The minimiser of -k W1 + lambda (k - k0)^2.

    >>> predicted(1.0, 0.5, 2.0)
    3.0
    """
    return k0 + w1 / (2 * lam)


def moved(shift: Tensor) -> Draw:
    """Fakes uniform on the square [-1, 1]^2, reals the same moved: W1 is |shift| of every batch, too.

    The two are in different orders, so that points between them lie on all lines.
    """

    def draw(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        fake = 2 * torch.rand(n, 2, generator=rng) - 1
        return fake[torch.randperm(n, generator=rng)] + shift, fake

    return draw


def around(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Reals uniform on the unit circle, and a generator of zeros: W1 = E|X| = 1."""
    angle = 2 * torch.pi * torch.rand(n, generator=rng)
    real = torch.stack([angle.cos(), angle.sin()], 1)
    return real, torch.zeros_like(real)


def measured(game: Game, draw: Draw, steps: int, seed: int) -> dict[str, float]:
    """Of a trained critic on fresh samples: the largest and the mean slope between reals and fakes, and its gap."""
    rng = torch.Generator().manual_seed(seed)
    critic = build_critic("mlp", (2,), WIDTH, rng=rng)
    fit_(critic, game, draw, Fit(steps), rng)
    real, fake = draw(HELD_OUT, rng)
    slopes = slopes_between(critic, real, fake, Lp(2), rng)
    return {"largest": float(slopes.max()), "mean": float(slopes.mean()), "gap": gap(critic, real, fake)}


def played(name: str, steps: int, seed: int) -> dict[str, list[float]]:
    """A game against a generator that can only move: the largest slope and its distance from the reals, in 20 steps."""
    spec, kind, weight = GAMES[name]
    game = Game(Lp(2), objective(spec), penalty(kind), weight, drift=0.0)
    rng = torch.Generator().manual_seed(seed)
    critic = build_critic("mlp", (2,), WIDTH, rng=rng)
    shift = nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3, betas=(0.5, 0.9))
    found: dict[str, list[float]] = {"slope": [], "distance": []}
    shown = {round(one * steps / 20) for one in range(21)}
    for step in range(steps + 1):
        for _ in range(50 if step == 0 else 3):
            fake, real = moved(shift.detach())(64, rng)
            terms = critic_terms(game, critic, real, fake, rng)
            optimizer.zero_grad(set_to_none=True)
            terms.loss.backward()
            optimizer.step()
        if step in shown:
            fake, real = moved(shift.detach())(512, rng)
            found["slope"].append(float(slopes_between(critic, real, fake, Lp(2), rng).max()))
            found["distance"].append(float(shift.detach().norm()))
        base = 2 * torch.rand(64, 2, generator=rng) - 1
        (slope,) = torch.autograd.grad(generator_loss(game, critic, base + shift, base), shift)
        with torch.no_grad():
            shift -= RATE * slope
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / (steps + 1))
    return found


def run(setting: Setting) -> Outcome:
    """All settings of the translations, the circle, and the games."""
    steps, rounds = setting.pick(30, 800, 5000), setting.pick(20, 400, 2000)
    lambdas = setting.pick((0.3, 3.0), LAMBDAS, LAMBDAS)
    cases = [(k0, lam, 1.0) for k0 in (0.0, 1.0) for lam in lambdas]
    cases += setting.pick([], [(0.0, 1.0, w1) for w1 in MOVES], [(0.0, 1.0, w1) for w1 in MOVES])
    translations = [_translation(setting, case, steps) for case in cases]
    circles = [_circle(setting, lam, steps) for lam in lambdas]
    games = {name: [setting.part(f"game {name} steps={rounds} seed={seed}", functools.partial(played, name, rounds,
                                                                                             seed))
                    for seed in setting.seeds] for name in GAMES}  # fmt: skip
    numbers: dict[str, Any] = {"translations": translations, "circles": circles, "games": games}
    settings = {"network": f"mlp, width {WIDTH}", "steps": steps, "rate": "Adam 0.003, falling to 0", "batch": 64,
                "lambdas": list(lambdas), "distances at lambda = 1": sorted({w1 for *_, w1 in cases}),
                "generator steps": rounds, "critic steps each": 3, "generator's rate": RATE}  # fmt: skip
    figures = (_draw(setting, translations, circles), _draw_games(setting, games))
    return Outcome(settings, numbers, _checks(numbers), (_table(translations, circles), _games_table(games)), figures)


def _translation(setting: Setting, case: tuple[float, float, float], steps: int) -> dict[str, Any]:
    k0, lam, w1 = case
    game = Game(Lp(2), penalty=Penalty(Gradients(), TwoSided(k0), Max(), lam), weight=lam, drift=0.0)
    draw = moved(w1 * torch.tensor([0.6, 0.8]))
    name = f"translation k0={k0:g} lambda={lam:g} W1={w1:g} steps={steps}"
    found = [setting.part(f"{name} seed={seed}", functools.partial(measured, game, draw, steps, seed))
             for seed in setting.seeds]  # fmt: skip
    return {"k0": k0, "lambda": lam, "W1": w1, "predicted": predicted(k0, lam, w1),
            "k": [one["largest"] for one in found], "mean slope": [one["mean"] for one in found],
            "gap / W1": [one["gap"] / w1 for one in found]}  # fmt: skip


def _circle(setting: Setting, lam: float, steps: int) -> dict[str, Any]:
    game = Game(Lp(2), penalty=penalty("wgan-gp"), weight=lam, drift=0.0)
    name = f"circle lambda={lam:g} steps={steps}"
    found = [setting.part(f"{name} seed={seed}", functools.partial(measured, game, around, steps, seed))
             for seed in setting.seeds]  # fmt: skip
    return {"lambda": lam, "predicted": predicted(1.0, lam, 1.0), "c": [one["gap"] for one in found],
            "k": [one["largest"] for one in found]}  # fmt: skip


def _away(found: list[dict[str, Any]], key: str) -> float:
    """The largest deviation of a mean over seeds from its prediction, as a share."""
    return max(abs(mean(one[key]) / one["predicted"] - 1) for one in found)


def _checks(numbers: dict[str, Any]) -> tuple[Check, ...]:
    centred, steep = (
        [one["slope"][-1] for name, runs in numbers["games"].items() for one in runs if ("centred" in name) is wanted]
        for wanted in (True, False)
    )
    return (
        Check("MaxGP on translations: largest deviation of k from k0 + W1/(2 lambda)",
              _away(numbers["translations"], "k"), NEAR, False),
        Check("gradient penalty on the circle: largest deviation of c from 1 + E|X|/(2 lambda)",
              _away(numbers["circles"], "c"), NEAR, False),
        Check("centred MaxGP: slope at the end of the game, steepest of both objectives and all seeds", max(centred),
              FLAT, False),
        Check("gradient penalty: slope at the end of the game, flattest seed", min(steep), STEEP),
    )  # fmt: skip


def _table(translations: list[dict[str, Any]], circles: list[dict[str, Any]]) -> Table:
    rows = [("MaxGP, translation", f"{one['k0']:g}", f"{one['lambda']:g}", f"{one['W1']:g}", f"{one['predicted']:.4g}",
             with_spread(one["k"]), with_spread(one["mean slope"]), with_spread(one["gap / W1"]))
            for one in translations]  # fmt: skip
    rows += [("GP, circle and zero", "1", f"{one['lambda']:g}", "1", f"{one['predicted']:.4g}", with_spread(one["k"]),
              "", with_spread(one["c"])) for one in circles]  # fmt: skip
    heads = ("penalty, distributions", "k0", "lambda", "W1", "predicted", "largest slope", "mean slope", "gap / W1")
    return Table("Measured slopes, mean and deviation over seeds", heads, tuple(rows))


def _games_table(games: dict[str, list[dict[str, Any]]]) -> Table:
    rows = tuple(
        (name, *(with_spread([one[key][at] for one in runs]) for key, at in (("slope", 0), ("slope", -1),
                                                                             ("distance", -1))))
        for name, runs in games.items()
    )  # fmt: skip
    heads = ("game", "largest slope at the start", "at the end", "W1 at the end (1 at the start)")
    return Table("A generator that can move only, against each critic", heads, rows)


def _draw(setting: Setting, translations: list[dict[str, Any]], circles: list[dict[str, Any]]) -> Figure:
    caption = (
        "Measured against predicted, each dot one seed: the largest slope k under MaxGP on translations, and c = gap /"
        " W1 under the gradient penalty on the circle against a generator of zeros."
    )
    with drawn(setting.folder, "measured", caption, (5, 3.8)) as (figure, told):
        axes = figure.add_subplot()
        groups = [(f"k0 = {k0:g}", [one for one in translations if one["k0"] == k0], "k") for k0 in (0.0, 1.0)]
        for (name, found, key), colour in zip((*groups, ("circle, c", circles, "c")), COLOURS, strict=False):
            across = [one["predicted"] for one in found for _ in one[key]]
            axes.plot(across, [value for one in found for value in one[key]], "o", mfc="none", color=colour, label=name)
        ends = [0.03, 10]
        axes.plot(ends, ends, color=COLOURS[5], lw=1)
        axes.set(xscale="log", yscale="log", xlabel="k0 + W1 / (2 lambda)", ylabel="measured")
        axes.legend(frameon=False)
    return told


def _draw_games(setting: Setting, games: dict[str, list[dict[str, Any]]]) -> Figure:
    caption = "The largest slope of the critic, and W1 of reals and fakes, along the game; a line for each seed."
    with drawn(setting.folder, "games", caption, (9, 3.2)) as (figure, told):
        for axes, key, title in zip(figure.subplots(1, 2), ("slope", "distance"), ("largest slope", "W1"), strict=True):
            for (name, runs), colour in zip(games.items(), COLOURS, strict=False):
                for at, one in enumerate(runs):
                    across = [place / (len(one[key]) - 1) for place in range(len(one[key]))]
                    axes.plot(across, one[key], color=colour, lw=1, label=None if at else name)
            axes.set(title=title, xlabel="share of the game", ylim=(0, None))
        figure.axes[0].legend(frameon=False, fontsize=8)
    return told


EXPERIMENT = Experiment(
    name="dynamic-lipschitz",
    title="A penalty's weight sets the Lipschitz constant, and it moves with W1",
    source="Lipschitz GANs, lemma 15 and theorem 2 (d); Banach WGAN, section 3.2",
    claim="With the Wasserstein objective and the penalty lambda (k - k0)^2 the optimal Lipschitz constant is k = k0 +"
    " W1/(2 lambda): it falls as the distributions come closer. With k0 = 0 the only Nash equilibrium has equal"
    " distributions and k = 0; in WGAN, where k is not brought to zero, any 1-Lipschitz function is optimal there. For"
    " a generator of zeros the critic c |x| under the gradient penalty has c = 1 + E|X|/(2 lambda).",
    rule="With each of five lambdas and k0 = 0 and 1, and with three more distances at lambda = 1, the largest slope"
    " that a critic under MaxGP has between fresh samples of a translation, in the mean over seeds, is within 15% of k0"
    " + W1/(2 lambda); for reals on a circle and fakes at its centre the gap over E|X| under the gradient penalty is"
    " within 15% of 1 + E|X|/(2 lambda) with each lambda. In the game with a generator that can move only, from W1 = 1,"
    " the largest slope at the end is at most 0.05 under centred MaxGP with lambda = 1, a tenth of its optimum at the"
    " start, with the objectives x and logistic and every seed; and at least 0.5 under the gradient penalty, with every"
    " seed.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 5, "paper": 60},
    seeds={"tiny": 1, "small": 3, "paper": 5},
)
