"""Half precision: float16 with a scale is the same mathematics, and resumes; what is deterministic; what is refused."""

import dataclasses
import os

import pytest
import torch
from small_run import DATA, GAME, new
from torch import nn

from banach.config.config import Config, ConfigError
from banach.session.determinism import CUBLAS, deterministic
from banach.slopes import Evaluation, gradient
from banach.spaces import Lp
from banach.training.build import device_of
from banach.training.finite import LEAST_SCALE, FiniteGuard, NotFinite
from banach.training.loop import train
from banach.training.state import Recipe, State
from banach.training.steps import critic_gradients, generator_gradients

RECIPE = Recipe(n_critic=2, batch=8, g_batch=8, lr=2e-3, g_lr=1e-3)


def scaled(scale: float) -> State:
    """A run on a CPU in single precision, with float16's arithmetic of scales around it."""
    state = new(RECIPE)
    state.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=10**6)
    state.critic.forward = Evaluation(state.critic.network, state.critic.network, scaler=state.scaler)
    state.watch = FiniteGuard("cpu", state.scaler)
    return state


def test_penalty_and_gradients_with_a_scale_are_those_without() -> None:
    plain, other = new(RECIPE), scaled(2.0**12)
    real = DATA.batch(torch.arange(8))
    numbers, scaled_numbers = (critic_gradients(one, GAME, real, real.flip(0) * 0.5)[0] for one in (plain, other))
    for name, value in numbers.items():
        torch.testing.assert_close(scaled_numbers[name], value, msg=name)
    z = torch.randn(8, 3)
    losses = [generator_gradients(one, GAME, z, real)[0] for one in (plain, other)]
    torch.testing.assert_close(*losses)
    for name in ("critic", "generator"):
        pairs = zip(plain.networks()[name].parameters(), other.networks()[name].parameters(), strict=True)
        for one, two in pairs:
            torch.testing.assert_close(two.grad / 2.0**12, one.grad)


def test_the_inner_gradient_is_taken_of_the_scaled_critic() -> None:
    """Not only divided afterwards: what flows back into the network is `scale`, which keeps it out of the underflow."""
    state = scaled(2.0**12)
    seen = []
    network = state.critic.network
    x = DATA.batch(torch.arange(8))

    def f(x: torch.Tensor) -> torch.Tensor:
        y = network(x)
        y.register_hook(lambda g: seen.append(g))
        return y

    u = gradient(Evaluation(f, scaler=state.scaler), x)
    assert torch.equal(seen[0], torch.full((8,), 2.0**12))
    torch.testing.assert_close(u, gradient(network, x))


def test_training_with_a_scale_is_training_without() -> None:
    plain, other = new(RECIPE), scaled(2.0**12)
    for state in (plain, other):
        train(state, GAME, DATA, 3)
    for name, one in plain.critic.network.state_dict().items():
        torch.testing.assert_close(other.critic.network.state_dict()[name], one)
    for name, one in plain.generator.network.state_dict().items():
        torch.testing.assert_close(other.generator.network.state_dict()[name], one)


def test_an_overflow_skips_the_update_and_halves_the_scale() -> None:
    state = scaled(3e38)  # times the loss beyond float32, as 65,504 is soon passed in float16
    before = [one.clone() for one in state.critic.network.parameters()]
    train(state, dataclasses.replace(GAME, weight=1e6), DATA, 1)
    assert all(torch.equal(one, other) for one, other in zip(before, state.critic.network.parameters(), strict=True))
    assert 0 < state.scaler.get_scale() <= 3.01e38 / 2**2


def test_a_scale_that_has_become_hopeless_ends_the_run() -> None:
    state = scaled(LEAST_SCALE / 2)
    state.watch.deferred = True
    with pytest.raises(NotFinite, match="float16 at every scale"):
        state.watch.check()
    scaled(1.0).watch.check()


def test_the_scale_is_part_of_the_state() -> None:
    state, other = scaled(2.0**12), scaled(2.0**16)
    assert new(RECIPE).state_dict()["scaler"] == {}
    other.load_state_dict(state.state_dict())
    assert other.scaler.get_scale() == 2.0**12


def test_fp16_is_refused_on_a_cpu() -> None:
    with pytest.raises(ConfigError, match="fp16 is for CUDA devices, and this is cpu; take --precision bf16"):
        device_of(Config(precision="fp16", device="cpu"))


def test_the_input_gradient_is_float32_whatever_the_networks_are() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        f = Evaluation(nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Tanh(), nn.Linear(4, 1)), half=dtype)
        x = DATA.batch(torch.arange(8))
        assert f(x).dtype == gradient(f, x).dtype == torch.float32
        assert f.loss_scale(x) is None


def test_a_penalty_on_the_largest_entry_is_in_single_precision() -> None:
    """In half precision another entry would be the largest: the rest of the step stays as asked for."""
    real = DATA.batch(torch.arange(8))
    found = {}
    for p in (1, 1.4, 2):
        for lowered in (False, True):
            state = new(RECIPE)
            if lowered:
                state.critic.forward = Evaluation(state.critic.network, half=torch.bfloat16)
            game = dataclasses.replace(GAME, space=Lp(p))
            found[p, lowered] = critic_gradients(state, game, real, real.flip(0) * 0.5)[0]
    for p in (1, 1.4, 2):
        single, half = found[p, False], found[p, True]
        assert float(single["play"]) != float(half["play"])
        for name in ("penalty", "slope_mean", "slope_max"):
            assert (float(single[name]) == float(half[name])) == (p < 1.5), (p, name)


def test_deterministic_settings_hold_inside_and_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CUBLAS, raising=False)
    plain, inside = new(RECIPE), new(RECIPE)
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()
        assert CUBLAS not in os.environ
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert os.environ[CUBLAS] == ":4096:8"
        train(inside, GAME, DATA, 1)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic
    train(plain, GAME, DATA, 1)
    assert all(
        torch.equal(a, b)
        for a, b in zip(plain.critic.network.parameters(), inside.critic.network.parameters(), strict=True)
    )
