"""The state: everything is in its one state_dict, which is plain, and from which training goes on bit for bit."""

import copy
import io
from typing import Any

import pytest
import torch
from small_run import DATA, GAME, new

from banach.runs.checkpoint import CheckpointError
from banach.training.loop import train
from banach.training.state import Recipe, State


def stored(state: State) -> dict[str, Any]:
    """The state_dict after a trip through a file."""
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is dict and all(isinstance(key, str | int) and plain(one) for key, one in value.items())
    return (type(value) is list and all(map(plain, value))) or type(value) in (torch.Tensor, int, float, str, bool)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def without_time(saved: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in saved.items() if key != "seconds"}


RECIPES = {
    "published": Recipe(n_critic=2, batch=8, g_batch=16, decay_over=30),
    "augmented": Recipe(n_critic=1, batch=8, g_batch=4, flip=True, dequantise=True, beta1=0.5, ema=0.9),
    "bf16": Recipe(n_critic=1, batch=8, g_batch=8, precision="bf16", ema=0.0),
    "restarts": Recipe(n_critic=1, batch=8, g_batch=8, restart_every=3),
    "first steps": Recipe(n_critic=1, first_steps=3, batch=8, g_batch=8),
}


def test_it_holds_plain_values_only() -> None:
    state = new()
    train(state, GAME, DATA, 3)
    assert plain(state.state_dict())


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("model", ["mlp", "resnet"])
def test_going_on_from_a_file_is_bit_exact(name: str, model: str) -> None:
    whole, first, second = (new(RECIPES[name], model=model) for _ in range(3))
    train(whole, GAME, DATA, 5)
    train(first, GAME, DATA, 2)
    assert second.load_state_dict(stored(first))
    train(second, GAME, DATA, 5)
    assert equal(without_time(stored(whole)), without_time(stored(second)))
    assert whole.step == second.step == 5


@pytest.fixture(scope="module")
def whole_and_half() -> tuple[dict[str, Any], dict[str, Any]]:
    state = new(RECIPES["augmented"])
    train(state, GAME, DATA, 2)
    half = stored(state)
    train(state, GAME, DATA, 4)
    return stored(state), half


@pytest.mark.parametrize(
    "part",
    [
        "generator", "critic", "average", "generator_optimizer", "critic_optimizer", "sampler", "streams", "step",
        "critic_averages", "generator_averages",
    ],
)  # fmt: skip
def test_every_part_matters(part: str, whole_and_half: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """With any one part left as it was at the start, the end is another: the test above can fail."""
    whole, half = whole_and_half
    state = new(RECIPES["augmented"])
    at_start = stored(state)[part]
    if part.endswith("optimizer"):
        at_start = copy.deepcopy(half[part])
        for moments in at_start.values():
            moments["exp_avg_sq"].zero_()
    state.load_state_dict({**half, part: at_start})
    train(state, GAME, DATA, 4)
    assert not equal(without_time(whole), without_time(stored(state)))


def test_the_half_of_that_test_is_enough(whole_and_half: tuple[dict[str, Any], dict[str, Any]]) -> None:
    whole, half = whole_and_half
    state = new(RECIPES["augmented"])
    state.load_state_dict(half)
    train(state, GAME, DATA, 4)
    assert equal(without_time(whole), without_time(stored(state)))


def test_dropout_goes_on_too_and_leaves_the_callers_generator_alone() -> None:
    def with_dropout() -> State:
        state = new()
        state.generator.network.register_forward_hook(lambda _module, _z, made: torch.nn.functional.dropout(made, 0.1))
        return state

    whole, first, second = with_dropout(), with_dropout(), with_dropout()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    train(whole, GAME, DATA, 3)
    assert torch.equal(torch.rand(2), expected)
    train(first, GAME, DATA, 1)
    second.load_state_dict(stored(first))
    train(second, GAME, DATA, 3)
    assert equal(without_time(stored(whole)), without_time(stored(second)))


def test_everything_counted_comes_back() -> None:
    state, other = new(), new()
    state.facts.update({"gamma": 2.5, "data": "abc"})
    state.best, state.seconds = 12.5, 99.0
    train(state, GAME, DATA, 2)
    other.load_state_dict(stored(state))
    assert (other.step, other.images, other.best, other.facts) == (2, 2 * 5 * 8, 12.5, {"gamma": 2.5, "data": "abc"})
    assert other.seconds > 99
    assert torch.equal(other.latents, state.latents)


def test_another_model_is_refused_in_two_lines() -> None:
    saved = stored(new(width=8))
    with pytest.raises(CheckpointError, match="does not fit this model") as caught:
        new(width=9).load_state_dict(saved)
    assert len(str(caught.value).splitlines()) == 2


def test_the_average_of_running_statistics_moves_and_counters_are_copied() -> None:
    state = new(RECIPES["augmented"], model="resnet")
    train(state, GAME, DATA, 3)
    own, average = state.generator.network.state_dict(), state.average.state_dict()
    counters = [name for name in own if name.endswith("num_batches_tracked")]
    means = [name for name in own if name.endswith("running_mean")]
    assert counters
    assert all(int(own[name]) == int(average[name]) > 0 for name in counters)
    assert all(average[name].abs().sum() > 0 and not torch.equal(own[name], average[name]) for name in means)
    assert not any(one.requires_grad for one in state.average.parameters())


def test_the_average_is_the_documented_one() -> None:
    state = new(Recipe(n_critic=1, batch=8, g_batch=8, ema=0.3))
    expected = {name: value.clone() for name, value in state.average.state_dict().items()}
    for step in range(4):
        train(state, GAME, DATA, step + 1)
        decay = min(0.3, (1 + step) / (10 + step))
        for name, value in state.generator.network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in state.average.state_dict().items():
        torch.testing.assert_close(value, expected[name])


def test_without_ema_the_average_is_the_generator() -> None:
    state = new(Recipe(n_critic=1, batch=8, g_batch=8, ema=0.0))
    train(state, GAME, DATA, 3)
    average = state.average.state_dict()
    assert all(torch.equal(value, average[name]) for name, value in state.generator.network.state_dict().items())
