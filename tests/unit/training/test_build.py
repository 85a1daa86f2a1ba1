"""From a config to game and state."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import DATA

from banach.config.config import Config, ConfigError
from banach.data.load import load
from banach.errors import DataError
from banach.game import GameError
from banach.generator import Generator, GeneratorError
from banach.models import MODELS, Family, InCoordinates, last_layer
from banach.models.blocks import Forms, UpsampleThenConv
from banach.runs import checkpoint
from banach.runs.checkpoint import CheckpointError
from banach.scales import drift_for, scales
from banach.slopes import Gradients
from banach.spaces import Sobolev
from banach.training.build import about, build, build_game, device_of, start_from
from banach.training.layouts import PLAIN
from banach.training.loop import train

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"model": "mlp", "z": 3, "g_width": 8, "d_width": 6, "batch": 8, "n_critic": 1, "steps": 10}


def config(**changes: Any) -> Config:
    return Config(**{**SMALL, **changes})


def test_auto_scales_are_those_of_the_training_part() -> None:
    game, facts = build_game(config(space="Sobolev(s=-1)"), DATA)
    expected = scales(Sobolev(s=-1), DATA.model_units(DATA.train))
    assert (game.weight, game.gamma) == (expected.lam, expected.gamma)
    assert facts == {**vars(expected), "data": DATA.fingerprint}


def test_numbers_win_over_the_heuristic_one_by_one() -> None:
    expected = scales(Sobolev(s=-1), DATA.model_units(DATA.train))
    game, _ = build_game(config(space="Sobolev(s=-1)", penalty_weight=3), DATA)
    assert (game.weight, game.gamma) == (3, expected.gamma)
    game, _ = build_game(config(space="Sobolev(s=-1)", critic_scale=1), DATA)
    assert (game.weight, game.gamma) == (expected.lam, 1)
    game, facts = build_game(config(penalty_weight="batch", critic_scale=2), DATA)
    assert (game.weight, game.gamma, list(facts)) == ("batch", 2, ["data"])


@pytest.mark.parametrize(
    ("changes", "weight"),
    [
        ({"objective": "logistic", "penalty": "r1"}, 5.0),
        ({"penalty": "wgan-lp"}, 10.0),
        ({"penalty": "maxgp", "objective": "sqrt"}, 1.0),
        ({"penalty": "none", "constraint": "clip"}, 0.0),
    ],
)
def test_other_games_take_their_papers_weight_and_gamma_1(changes: dict[str, str], weight: float) -> None:
    game, facts = build_game(config(**changes), DATA)
    assert (game.weight, game.gamma) == (weight, 1.0)
    assert list(facts) == ["data"]
    assert (game.penalty is None) == (changes["penalty"] == "none")


def test_a_critic_must_be_bounded_by_something() -> None:
    with pytest.raises(GameError, match="can lower its loss without limit") as refused:
        build(config(penalty="none"), DATA, CPU)
    assert refused.value.reason == "unbounded"
    for held in ({"constraint": "clip"}, {"objective": "hinge"}, {"objective": "fisher"}, {"penalty": "r1"}):
        build(config(**{"penalty": "none", **held}), DATA, CPU)


def test_pairs_need_as_many_fakes_as_reals() -> None:
    with pytest.raises(GameError, match="5 fakes do not go with 8 reals") as refused:
        build_game(config(objective="relativistic", g_batch=5), DATA)
    assert refused.value.reason == "no pairs"


def test_the_facts_of_a_checkpoint_are_taken_and_not_measured_again() -> None:
    facts = {"gamma": 3.25, "lam": 1.5, "gamma_error": 0.1, "lam_error": 0.1, "n": 5, "data": DATA.fingerprint}
    game, found = build_game(config(), DATA, facts)
    assert (game.gamma, game.weight, found) == (3.25, 1.5, facts)


def test_the_state_is_what_the_config_names() -> None:
    built = build(config(space="Lp(4)", g_lr=1e-3, g_batch=5, ema=0.5, decay="none", flip=True), DATA, CPU)
    recipe = built.state.recipe
    assert (recipe.g_lr, recipe.lr, recipe.g_batch, recipe.batch, recipe.decay_over) == (1e-3, 2e-4, 5, 8, 0)
    assert (recipe.ema, recipe.flip, recipe.beta1, recipe.beta2) == (0.5, True, 0.0, 0.9)
    assert build(config(), DATA, CPU).state.recipe.decay_over == 10
    assert repr(built.game.space) == "Lp(p=4)"
    assert built.state.generator.forward(torch.zeros(2, 3)).shape == (2, *DATA.shape)


def test_a_drift_of_auto_is_less_where_gamma_is_large() -> None:
    uneven = "Sobolev(s=-1, scale=1e9)"
    game, facts = build_game(config(space=uneven, drift="auto"), DATA)
    assert game.drift == drift_for(facts["gamma"], facts["lam"]) < 1e-7  # pyright: ignore[reportArgumentType]
    assert build_game(config(space=uneven, drift="auto"), DATA, facts)[0].drift == game.drift, "on resume"
    assert build_game(config(space=uneven), DATA)[0].drift == 1e-5
    for other in ({"critic_scale": "batch"}, {"objective": "logistic"}, {"space": "l2"}):
        assert build_game(config(drift="auto", **other), DATA)[0].drift == 1e-5


def test_the_seed_settles_the_weights_and_nothing_global_does() -> None:
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(found))
        built = build(config(seed=seed), DATA, CPU)
        found.append(torch.cat([one.detach().flatten() for one in built.state.critic.network.parameters()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_critic_start_gamma_scales_the_output_layer_by_gamma() -> None:
    plain, scaled = (build(config(critic_start=start), DATA, CPU) for start in ("plain", "gamma"))
    assert isinstance(plain.game.gamma, float)
    torch.testing.assert_close(
        last_layer(scaled.state.critic.network).weight, plain.game.gamma * last_layer(plain.state.critic.network).weight
    )
    x = DATA.batch(torch.arange(4))
    torch.testing.assert_close(scaled.state.critic.forward(x), plain.game.gamma * plain.state.critic.forward(x))
    for start in ("gamma", "slope"):
        with pytest.raises(ConfigError, match=f"critic-start: {start} needs a fixed critic scale"):
            build(config(critic_start=start, critic_scale="batch"), DATA, CPU)


@pytest.mark.parametrize("norm", ["Lp(4)", "Sobolev(s=-1, length=1)", "Weighted(Scale(1e6), Lp(2))"])
def test_critic_start_slope_makes_the_first_slopes_gamma(norm: str) -> None:
    built = build(config(critic_start="slope", space=norm), DATA, CPU)
    rng = torch.Generator().manual_seed(5)
    real = DATA.batch(torch.arange(200) % len(DATA.train))
    fake = built.state.generator.forward(torch.randn(200, 3, generator=rng)).detach()
    slopes = Gradients().measure(built.state.critic.network, real, fake, built.game.space, Gradients().draw(real, rng))
    assert float(slopes.detach().mean()) == pytest.approx(built.game.gamma, rel=0.2)
    again = build(config(critic_start="slope", space=norm), DATA, CPU)
    assert torch.equal(*(last_layer(one.state.critic.network).weight for one in (built, again)))


@pytest.mark.parametrize("norm", ["Sobolev(s=-1, length=1)", "Weighted(Scale(1e6), Lp(3))"])
def test_a_critic_in_the_norms_coordinates_is_given_numbers_of_size_one(norm: str) -> None:
    built = build(config(critic_input="norm", critic_start="slope", space=norm), DATA, CPU)
    critic = built.state.critic.network
    assert isinstance(critic, InCoordinates)
    given: list[torch.Tensor] = []
    critic.network.register_forward_pre_hook(lambda module, x: given.append(x[0]))
    built.state.critic.forward(DATA.batch(torch.arange(len(DATA.train))))
    assert float(given[0].square().mean().sqrt()) == pytest.approx(1, rel=1e-5)
    again = build(config(critic_input="norm", critic_start="slope", space=norm), DATA, CPU).state.critic.network
    before, after = critic.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"space": "Lp(2)"}, "norm is for norms .* with a map E, and Lp.* is none; take samples"),
        ({"space": "Intersection(2, Lp(2), Sobolev(s=1))"}, "is none; take samples"),
        ({"constraint": "clip"}, "is for critics without constraint"),
        ({"model": "lipschitz-sort", "penalty": "none"}, "is for critics without constraint"),
    ],
)
def test_who_has_no_coordinates_is_told_to_take_samples(given: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=f"critic-input: .*{why}"):
        build(config(**{"critic_input": "norm", "space": "Sobolev(s=-1)", **given}), DATA, CPU)


@pytest.fixture(autouse=True)
def _a_generator_of_another_shape() -> Iterator[None]:
    def five(shape: tuple[int, ...], z: int, *rest: object) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(z, 5))

    MODELS.add("wrong-shape-test", Family("wrong", five, MODELS["mlp"].critic, "Wrong."))
    yield
    del MODELS._entries["wrong-shape-test"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"space": "Product(2, (Lp(1), Lp(2)), (1, 1))"}, "needs 2 channels"),
        ({"space": "Discrete()"}, "metric"),
        ({"model": "wrong-shape-test"}, r"samples of shape \(5,\), and the data have \(1, 6, 6\)"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(GameError, match=told):
        build(config(**changes), DATA, CPU)


@pytest.mark.parametrize("key", ["flip", "dequantise"])
def test_vectors_cannot_be_augmented(key: str) -> None:
    with pytest.raises(DataError, match="--flip and --dequantise need images"):
        build(config(**{key: True}), load(torch.randn(20, 3)), CPU)


def test_data_that_are_all_zero_have_no_scales() -> None:
    data = load(torch.zeros(20, 3), normalise="none")
    with pytest.raises(GameError, match="give numbers: --penalty-weight and --critic-scale"):
        build_game(config(), data)


def test_devices() -> None:
    assert device_of(config(device="cpu")) == CPU
    assert device_of(config()).type in ("cpu", "cuda")
    for wrong in ("cuda:99", "gpu", "tpu"):
        with pytest.raises(ConfigError, match=f"device: '{wrong}' cannot be used here.*take auto or cpu"):
            device_of(config(device=wrong))


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    values = other.state_dict()
    return all(torch.equal(value, values[name]) for name, value in one.state_dict().items())


def test_starting_from_a_run_a_checkpoint_or_a_generator(tmp_path: Path) -> None:
    built = build(config(), DATA, CPU)
    train(built.state, built.game, DATA, 3)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    checkpoint.save(tmp_path / "run" / "checkpoints", built.state.state_dict(), keep=1)
    only = tmp_path / "only.safetensors"
    Generator(built.state.average, DATA.units, about(config(), DATA, built.game, 3)).save(only)
    for source in (tmp_path / "run", tmp_path / "run" / "checkpoints" / "last.pt", tmp_path / "run" / "checkpoints"):
        state = build(config(seed=5), DATA, CPU).state
        told = start_from(state, str(source))
        assert str(source) in told
        assert "step 3" in told
        assert same_weights(state.generator.network, built.state.generator.network)
        assert same_weights(state.average, built.state.average)
        assert same_weights(state.critic.network, built.state.critic.network)
        assert state.step == 0
    state, untouched = (build(config(seed=5), DATA, CPU).state for _ in range(2))
    start_from(state, str(only))
    assert same_weights(state.generator.network, built.state.average)
    assert same_weights(state.average, built.state.average)
    assert same_weights(state.critic.network, untouched.critic.network)


def test_starting_from_something_else_is_refused(tmp_path: Path) -> None:
    state = build(config(), DATA, CPU).state
    with pytest.raises(CheckpointError, match="init: nothing at"):
        start_from(state, str(tmp_path / "nowhere"))
    other = build(config(g_width=9), DATA, CPU)
    Generator(other.state.average, DATA.units, about(config(g_width=9), DATA, other.game)).save(
        tmp_path / "g.safetensors"
    )
    with pytest.raises(GeneratorError, match="do not fit this model and data; take the same"):
        start_from(state, str(tmp_path / "g.safetensors"))
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        start_from(state, str(tmp_path))


def test_forms_are_facts_that_a_resumed_run_takes_again() -> None:
    pictures = load(torch.randint(256, (20, 1, 12, 12), dtype=torch.uint8))
    built = build(config(model="resnet"), pictures, CPU)
    assert built.state.facts["forms"] == str(Forms())
    again = build(config(model="resnet"), pictures, CPU, {**built.state.facts, "forms": str(PLAIN)})
    assert again.state.facts["forms"] == str(PLAIN)
    ups = [one for one in again.state.generator.network.modules() if isinstance(one, UpsampleThenConv)]
    assert ups
    assert not any(one.fused for one in ups)
    assert "forms" not in build(config(), DATA, CPU).state.facts
