"""The loop: what it does in which order, what it leaves alone, and twenty pinned steps."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import DATA, GAME, new
from torch import Tensor, nn

from banach.constraints import Clip
from banach.data.sampler import Sampler
from banach.game import CriticTerms, Game, critic_terms
from banach.models import build_critic, build_generator
from banach.penalties import penalty
from banach.spaces import Sobolev
from banach.training import loop, steps
from banach.training.finite import NotFinite
from banach.training.loop import Batch, train
from banach.training.state import Recipe, State, new_state

BRIEF = Recipe(n_critic=2, batch=8, g_batch=4)


def weights(network: nn.Module) -> list[Tensor]:
    return [one.detach().clone() for one in network.parameters()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(first, second) for first, second in zip(one, other, strict=True))


def test_each_step_is_n_critic_updates_on_fresh_reals_then_one_of_the_generator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[str] = []
    batches: list[Tensor] = []

    def spy(game: Game, critic: Any, real: Tensor, fake: Tensor, rng: torch.Generator, *rest: Any) -> CriticTerms:
        assert not fake.requires_grad, "the critic's fakes carry no graph of the generator"
        assert all(one.requires_grad for one in state.critic.network.parameters())
        events.append("critic")
        batches.append(real)
        return critic_terms(game, critic, real, fake, rng, *rest)

    def spy_generator(game: Game, critic: Any, fake: Tensor, real: Tensor) -> Tensor:
        assert fake.requires_grad
        assert len(fake) == 4
        assert not any(one.requires_grad for one in state.critic.network.parameters()), "the critic is frozen"
        events.append("generator")
        return critic(fake).mean().neg()

    state = new(BRIEF)
    monkeypatch.setattr(steps, "critic_terms", spy)
    monkeypatch.setattr(steps, "generator_loss", spy_generator)
    train(state, GAME, DATA, 2)
    assert events == ["critic", "critic", "generator"] * 2
    assert not any(torch.equal(one, other) for one in batches for other in batches if one is not other)
    assert all(one.requires_grad for one in state.critic.network.parameters())
    assert (state.step, state.images) == (2, 4 * 8)


@pytest.mark.parametrize(("step", "expected"), [(0, 100), (24, 100), (25, 5), (499, 5), (500, 100), (501, 5)])
def test_a_hundred_steps_first(step: int, expected: int) -> None:
    assert Recipe(first_steps=100).critic_steps(step) == expected
    assert Recipe().critic_steps(step) == 5


def test_rates_fall_linearly_with_the_generators_steps() -> None:
    rates: list[tuple[float, float]] = []

    def hook(state: State, batch: Batch) -> None:
        rates.append((state.critic.optimizer.param_groups[0]["lr"], state.generator.optimizer.param_groups[0]["lr"]))

    recipe = dataclasses.replace(BRIEF, lr=0.4, g_lr=0.8, decay_over=4)
    train(new(recipe), GAME, DATA, 4, [(1, hook)])
    assert rates == [pytest.approx((0.4 * part, 0.8 * part)) for part in (1.0, 0.75, 0.5, 0.25)]
    assert Recipe(decay_over=0).rate(10**6) == 1.0
    assert Recipe(decay_over=10).rate(11) == 0.0


def test_hooks_come_at_their_steps_and_at_the_end_in_order() -> None:
    seen: list[tuple[str, int]] = []

    def hook(name: str) -> loop.Hook:
        every = {"two": 2, "three": 3, "end": 0}[name]
        return every, lambda state, moment: seen.append((name, state.step))

    train(new(BRIEF), GAME, DATA, 5, [hook("two"), hook("three"), hook("end")])
    assert seen == [("two", 2), ("three", 3), ("two", 4), ("two", 5), ("three", 5), ("end", 5)]


def test_stop_ends_after_a_whole_step() -> None:
    state = new(BRIEF)
    train(state, GAME, DATA, 10, stop=lambda: state.step == 3)
    assert state.step == 3
    whole = new(BRIEF)
    train(whole, GAME, DATA, 3)
    assert same(weights(state.generator.network), weights(whole.generator.network))


def test_the_constraint_holds_after_every_critic_step() -> None:
    state = new(dataclasses.replace(BRIEF, constraint=Clip(0.01)))
    train(state, GAME, DATA, 2)
    assert max(float(one.detach().abs().max()) for one in state.critic.network.parameters()) <= 0.01


def test_weights_that_were_frozen_from_outside_stay_frozen() -> None:
    state = new(BRIEF)
    first = next(state.critic.network.parameters())
    first.requires_grad_(False)
    before = first.clone()
    train(state, GAME, DATA, 2)
    assert not first.requires_grad
    assert torch.equal(first, before)


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_what_is_not_finite_never_reaches_the_weights(player: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state, clean = new(BRIEF), new(BRIEF)
    calls = 0

    def poisoned(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        found = real(*args)
        if calls < 2 * (2 if player == "critic" else 1):
            return found
        return dataclasses.replace(found, scores=found.scores * torch.inf) if player == "critic" else found * torch.nan

    name = "critic_terms" if player == "critic" else "generator_loss"
    real = getattr(steps, name)
    with monkeypatch.context() as patch:
        patch.setattr(steps, name, poisoned)
        with pytest.raises(NotFinite, match=f"the {player}'s loss|the gradient of the {player}'s") as caught:
            train(state, GAME, DATA, 5)
    assert (caught.value.step, state.step) == (1, 1)
    train(clean, GAME, DATA, 1)
    assert same(weights(state.generator.network), weights(clean.generator.network))
    assert same(weights(state.average), weights(clean.average))
    assert all(torch.isfinite(one).all() for one in state.critic.network.parameters())


def test_bf16_keeps_weights_gradients_and_norms_in_float32() -> None:
    state = new(dataclasses.replace(BRIEF, precision="bf16"))
    exact = new(BRIEF)
    x = DATA.batch(torch.arange(8))
    assert state.critic.forward(x).dtype == torch.float32
    assert 0 < float((state.critic.forward(x) - exact.critic.forward(x)).detach().abs().max()) < 0.1
    train(state, GAME, DATA, 2)
    assert {one.dtype for one in state.critic.network.parameters()} == {torch.float32}
    assert {one.grad.dtype for one in state.critic.network.parameters() if one.grad is not None} == {torch.float32}


class Double:
    """The small data set in float64."""

    def batch(self, rows: Tensor) -> Tensor:
        return DATA.batch(rows).double()


# fmt: off
PINNED = {
    "loss": (
        0.8341762075586, 0.8446292473923, 0.8628540874143, 0.7727188865642, 0.6297316040797,
        0.562134033437, 0.5441037267191, 0.4702766822167, 0.3726014550274, 0.419379569986,
        0.3404790885086, 0.304840379031, 0.3902923022617, 0.2828099586186, 0.2637205789894,
        0.3063632863544, 0.2616103808177, 0.2076638327593, 0.2504228519454, 0.2760804447233,
    ),
    "gap": (
        -0.0959477695732, -0.09432939889979, -0.1090644062743, -0.08259873339925, -0.09388712039252,
        -0.05403084138622, -0.09402444048204, -0.1051231732473, -0.09341664193821, -0.1127770176327,
        -0.03547594942145, -0.08515134661732, -0.05577224560106, -0.04222144770419, -0.04742273078051,
        -0.07109747438003, -0.04930059413826, -0.03253664313849, -0.04898546218811, -0.04517760997005,
    ),
    "slope_mean": (
        0.4528379313419, 0.4766796321851, 0.4748048941406, 0.5164749845213, 0.536842961123,
        0.5604682535572, 0.5560347382252, 0.6498155389667, 0.7426190506515, 0.6769125140259,
        0.6668746921055, 0.7995159558745, 0.7554841775941, 0.7504718316939, 0.7836247777984,
        0.7522168105031, 0.7601457370642, 0.8438535895017, 0.8569058019712, 0.8329611601787,
    ),
    "generator": (
        0.03052044991795, 0.04496977758298, 0.05310068896161, 0.05906302810252, 0.06250630329797,
        0.07762855201079, 0.06621949950737, 0.07761010005927, 0.07256633300745, 0.0789667323251,
        0.07813763378886, 0.1317524761805, 0.08131685200917, 0.0939113026599, 0.09950449026418,
        0.07027157855745, 0.1287668856656, 0.1173765220997, 0.1526009843072, 0.1638225616976,
    ),
    "average": (
        -5.584880490161, -5.629662436317, -5.661332958219, -5.71190056789, -5.746493708759,
        -5.770898702164, -5.794074440814, -5.818938720756, -5.852761638301, -5.891972107098,
        -5.925187640042, -5.948892844703, -5.975794308581, -6.002410164674, -6.029852600018,
        -6.057943513427, -6.08672408353, -6.112392997467, -6.13756059573, -6.160189958928,
    ),
}
# fmt: on


def test_twenty_pinned_steps() -> None:
    """The first twenty steps in float64. A change of code that is no change of mathematics leaves these numbers alone;
    one that is changes them in the same commit, and CHANGELOG says why."""
    rng = torch.Generator().manual_seed(0)
    generator = build_generator("mlp", DATA.shape, z=3, width=8, rng=rng).double()
    critic = build_critic("mlp", DATA.shape, width=8, rng=rng).double()
    recipe = Recipe(n_critic=2, batch=8, g_batch=16, lr=2e-3, g_lr=1e-3, decay_over=30, ema=0.9, first_steps=3)
    state = new_state(generator, critic, Sampler(len(DATA.train), 8, 0), recipe)
    game = Game(Sobolev(s=-1), penalty=penalty("wgan-gp"), weight=2.0, gamma=3.0)
    found: dict[str, list[float]] = {"loss": [], "gap": [], "slope_mean": [], "generator": [], "average": []}

    def hook(state: State, batch: Batch) -> None:
        means = state.critic.averages.means()
        for name in ("loss", "gap", "slope_mean"):
            found[name].append(means[name])
        found["generator"].append(state.generator.averages.means()["loss"])
        found["average"].append(sum(float(one.sum()) for one in state.average.parameters()))
        state.critic.averages.clear()
        state.generator.averages.clear()

    train(state, game, Double(), 20, [(1, hook)])  # pyright: ignore[reportArgumentType]
    assert {name: tuple(values) for name, values in found.items()} == {
        name: pytest.approx(values, rel=1e-9) for name, values in PINNED.items()
    }


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_processes.py")
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}

    def start(rank: int, world: int, port: int) -> subprocess.Popen[bytes]:
        ranks = {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_PORT": str(port)}
        return subprocess.Popen([sys.executable, str(script), str(tmp_path)], env={**environment, **ranks})

    for world, port in ((1, 29611), (2, 29612)):
        running = [start(rank, world, port) for rank in range(world)]
        assert [one.wait(timeout=300) for one in running] == [0] * world
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-7, atol=1e-9)
