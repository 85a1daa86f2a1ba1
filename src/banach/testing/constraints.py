"""The laws of hard constraints, and of critics that claim a Lipschitz bound: no pair may be steeper than the claim."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from banach.constraints import CONSTRAINTS, Constraint, constraint
from banach.models import build_critic
from banach.spaces import Metric, space
from banach.testing.laws import LawResult, Ledger
from banach.testing.refute import refute

SPACES_TRIED = (
    "Lp(1)",
    "Lp(2)",
    "Lp(inf)",
    "Sobolev(s=-1, p=2)",
    "Sobolev(s=1, p=4)",
    "Product(2, (Lp(1), Sobolev(s=-1, p=4)), (1, 2))",
)
CRITICS = (("mlp", (3, 4, 5)), ("dcgan4", (3, 6, 6)), ("resnet", (3, 6, 6)))
BATCH = 8
WIDTH = 4
_AGAIN = 2  # spaces in which the bound of the enlarged weights is tried, too: whether it follows them shows in any


def check_constraint(
    of: Constraint | str,
    spaces: Sequence[Metric | str] = SPACES_TRIED,
    critics: Sequence[tuple[str, tuple[int, ...]]] = CRITICS,
    seed: int = 0,
) -> list[LawResult]:
    """The laws of a hard constraint, on some families of critics (name and event shape) in some spaces.

    A prepared critic still maps (b, *shape) to (b,), every weight of it trains, and preparing draws nothing from the
    global generator; `project_` changes nothing the second time; a second critic takes the first one's state. After
    training steps, and again (in the first two spaces) after the weights have been enlarged, the refuter finds no pair
    that is steeper than the bound claimed in each space (`bound` may be None), and asking for a bound changes nothing.

    >>> all(law.ok for law in check_constraint("clip(c=0.1)", ["Lp(2)"], [("mlp", (2,))]))
    True
    """
    found = constraint(of)
    ledger = Ledger()
    for name, shape in critics:
        ledger.attempt("a critic", lambda name=name, shape=shape: _check(found, name, shape, spaces, seed, ledger))
    text = repr(found)
    ledger.attempt("spelling", lambda: ledger.note("spelling", float(CONSTRAINTS.parse(text) != found), 0.0, text))
    return ledger.results()


def _prepared(of: Constraint, name: str, shape: tuple[int, ...], seed: int) -> nn.Module:
    critic = build_critic(name, shape, WIDTH, rng=torch.Generator().manual_seed(seed))
    of.prepare(critic)
    return critic


def _check(
    of: Constraint, name: str, shape: tuple[int, ...], spaces: Sequence[Metric | str], seed: int, ledger: Ledger
) -> None:
    where = f"{name}, {shape}"
    before = torch.random.get_rng_state()
    critic = _prepared(of, name, shape, seed)
    drawn = not torch.equal(before, torch.random.get_rng_state())
    ledger.note("prepare draws nothing", float(drawn), 0.0, where)
    rng = torch.Generator().manual_seed(seed + 1)
    real, fake = torch.randn(2, BATCH, *shape, generator=rng)
    if (output := critic(real)).shape != (BATCH,):
        raise TypeError(f"the prepared critic returns shape {tuple(output.shape)} for {BATCH} samples of {shape}")
    train_critic(critic, real + 0.5, fake, of)
    _check_training(of, critic, real, where, ledger)
    _check_state(critic, _prepared(of, name, shape, seed + 1), real, where, ledger)
    state = {key: value.clone() for key, value in critic.state_dict().items()}
    of.bound(critic, space(spaces[0]))
    touched = any(not torch.equal(value, state[key]) for key, value in critic.state_dict().items())
    ledger.note("asking for a bound changes nothing", float(touched), 0.0, where)
    for factor, tried in ((1.0, spaces), (3.0, spaces[:_AGAIN])):
        with torch.no_grad():
            for weight in critic.parameters():
                weight.mul_(factor)
        of.project_(critic)
        for metric in map(space, tried):
            claim = Claim(critic, metric, shape, of.bound(critic, metric))
            check_claim(claim, rng, f"{where}, {metric!r}, weights times {factor:g}", ledger)


def train_critic(critic: nn.Module, real: Tensor, fake: Tensor, of: Constraint | None = None, steps: int = 5) -> None:
    """A few steps of fused Adam that raise the critic on reals and lower it on fakes, as the engine takes them."""
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2, betas=(0.0, 0.9), fused=real.device.type == "cpu")
    for _ in range(steps):
        optimizer.zero_grad()
        (critic(fake).mean() - critic(real).mean()).backward()
        optimizer.step()
        if of is not None:
            of.project_(critic)


def _check_training(of: Constraint, critic: nn.Module, x: Tensor, where: str, ledger: Ledger) -> None:
    weights = dict(critic.named_parameters())
    slopes = torch.autograd.grad(critic(x).square().sum(), list(weights.values()), allow_unused=True)
    for name, weight, slope in zip(weights, weights.values(), slopes, strict=True):
        trains = slope is not None and bool(slope.isfinite().all()) and (weight.ndim < 2 or bool(slope.any()))
        ledger.note("every weight trains", float(not trains), 0.0, f"{where}, {name}")
    projected = copy.deepcopy(critic)
    of.project_(projected)
    moved = [(a - b).abs().amax() for a, b in zip(critic.parameters(), projected.parameters(), strict=True)]
    ledger.note("project_ twice is once", torch.stack(moved), 0.0, where)


def _check_state(critic: nn.Module, other: nn.Module, x: Tensor, where: str, ledger: Ledger) -> None:
    for one in (critic, other):
        one.eval()
    other.load_state_dict(critic.state_dict())
    ledger.note("state is taken over", (other(x) - critic(x)).abs(), 0.0, where)
    critic.train()


@dataclass(frozen=True)
class Claim:
    """A Lipschitz constant that is said to be one of a critic on samples of a shape; None where nothing is said."""

    critic: nn.Module
    metric: Metric
    shape: tuple[int, ...]
    bound: float | None


def check_claim(of: Claim, rng: torch.Generator, where: str, ledger: Ledger, around: Tensor | None = None) -> None:
    """Note by how much the steepest pair that the refuter finds exceeds what is claimed."""
    law = "no pair is steeper than the bound"
    if of.bound is None:
        ledger.note(law, 0.0, 1e-6, f"{where}: nothing is claimed")
        return
    found = refute(of.critic, of.metric, of.shape, rng, around, pairs=8, steps=6)
    ledger.note(law, max(0.0, found.slope / of.bound - 1) if of.bound > 0 else found.slope, 1e-6, where)
