"""Compiled steps: the numbers of the plain ones, exact resume, and a reason in words where nothing is compiled."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_run import DATA, new
from torch import Tensor, nn

from banach import distributed
from banach.constraints import Clip
from banach.data.sampler import Sampler
from banach.game import Game
from banach.models import build_critic, build_generator
from banach.objectives import objective
from banach.penalties import penalty, schedule
from banach.spaces import space
from banach.streams import PENALTY
from banach.training.compiled import compiled_steps, unsuitable
from banach.training.loop import train
from banach.training.state import Recipe, State, new_state
from banach.training.steps import EAGER

RECIPE = Recipe(n_critic=2, batch=8, g_batch=6, lr=2e-3, g_lr=1e-3, ema=0.9)

pytestmark = pytest.mark.filterwarnings("ignore")  # of the compiler

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="compiled steps need a C++ compiler (g++)"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled code is forgotten between tests, or one test would count what another compiled."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Double:
    """The small data set in float64."""

    def batch(self, rows: Tensor) -> Tensor:
        return DATA.batch(rows).double()


def start(recipe: Recipe = RECIPE, double: bool = False) -> State:
    rng = torch.Generator().manual_seed(0)
    generator = build_generator("mlp", DATA.shape, z=3, width=8, rng=rng)
    critic = build_critic("mlp", DATA.shape, width=8, rng=rng)
    if double:
        generator, critic = generator.double(), critic.double()
    return new_state(generator, critic, Sampler(len(DATA.train), recipe.batch, 0), recipe)


def numbers(state: State) -> dict[str, Tensor]:
    networks = state.networks()
    found = {f"{key}.{name}": one for key, net in networks.items() for name, one in net.state_dict().items()}
    return {**found, **{f"memory.{name}": one for name, one in state.memory.items()}}


def check_same_steps(game: Game, steps: int = 4, recipe: Recipe = RECIPE) -> None:
    """Some steps in float64: weights, memory and means."""
    plain, other = start(recipe, double=True), start(recipe, double=True)
    form, reason = compiled_steps(other, game, DATA.shape)
    assert (form is EAGER, reason) == (False, "")
    for state, one in ((plain, EAGER), (other, form)):
        train(state, game, Double(), steps, steps=one)  # pyright: ignore[reportArgumentType]
    expected, found = numbers(plain), numbers(other)
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        torch.testing.assert_close(found[name], one, rtol=1e-10, atol=1e-10, msg=name)
    assert other.critic.averages.means() == pytest.approx(plain.critic.averages.means(), rel=1e-9, abs=1e-9)


def check_same_gradients(game: Game, recipe: Recipe = RECIPE) -> None:
    """Terms and gradients in float32, along a few plain steps: Adam makes steps of one size out of rounding noise."""
    state = start(recipe)
    form, reason = compiled_steps(state, game, DATA.shape)
    assert (form is EAGER, reason) == (False, "")
    real, z = DATA.batch(torch.arange(8)), torch.randn(recipe.g_batch, 3, generator=torch.Generator().manual_seed(1))
    fake = EAGER.fakes(state, torch.randn(8, 3, generator=torch.Generator().manual_seed(2)))
    for _ in range(3):
        position = state.streams[PENALTY].get_state()
        numbers, memory = form.critic(state, game, real, fake)
        found = gradients(state.critic.network)
        state.streams[PENALTY].set_state(position)
        expected, after = EAGER.critic(state, game, real, fake)
        for name, value in expected.items():
            torch.testing.assert_close(numbers[name], value, rtol=1e-5, atol=1e-5, msg=name)
        assert float((found - gradients(state.critic.network)).norm() / found.norm()) < 1e-5
        assert memory.keys() == after.keys()
        state.memory, state.critic_steps = after, state.critic_steps + 1
        state.critic.optimizer.step()
        loss, fake_then = form.generator(state, game, z, real)
        found = gradients(state.generator.network)
        plain_loss, plain_fake = EAGER.generator(state, game, z, real)
        torch.testing.assert_close((loss, fake_then), (plain_loss, plain_fake), rtol=1e-5, atol=1e-5)
        assert float((found - gradients(state.generator.network)).norm() / found.norm()) < 1e-5


def gradients(network: nn.Module) -> Tensor:
    return torch.cat([one.grad.flatten() for one in network.parameters() if one.grad is not None])


@needs_compiler
def test_the_numbers_of_plain_steps_in_double_precision() -> None:
    """A filter, and a lambda from each batch."""
    check_same_steps(Game(space("Sobolev(s=-1, p=4)"), weight="batch", gamma=3.0))


GAMES = {
    "l2": Game(weight=2.0),
    "l1": Game(space("Lp(1)"), weight=2.0),
    "sobolev": Game(space("Sobolev(s=-1)"), weight=2.0, gamma=3.0),
    "weighted": Game(space("Weighted(Compose(Scale(2), Bessel(s=-1)), Lp(1.5))"), weight=2.0),
    "r1 r2, relativistic": Game(objective=objective("relativistic"), penalty=penalty("Sum((r1, r2))")),
    "multipliers": Game(space("Lp(4)"), penalty=penalty("maxal")),
    "buffered": Game(penalty=penalty("maxgp"), weight=2.0),
    "pairs": Game(penalty=penalty("pagan"), weight=2.0),
    "lazy": Game(penalty=penalty("wgan-lp"), weight=2.0, schedule=schedule("lazy(every=3)")),
    "fisher": Game(objective=objective("fisher"), penalty=None, weight=0.0),
}


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", GAMES)
def test_the_numbers_of_plain_steps_in_every_kind_of_game(name: str) -> None:
    recipe = dataclasses.replace(RECIPE, g_batch=8) if "relativistic" in name else RECIPE
    check_same_gradients(GAMES[name], recipe)
    check_same_steps(GAMES[name], recipe=recipe)


@needs_compiler
@pytest.mark.slow
def test_a_compiled_run_resumes_bit_for_bit_and_in_half_precision_too() -> None:
    game = GAMES["sobolev"]
    for recipe in (RECIPE, dataclasses.replace(RECIPE, precision="bf16")):
        whole, first, second = (start(recipe) for _ in range(3))
        train(whole, game, DATA, 4, steps=compiled_steps(whole, game, DATA.shape)[0])
        train(first, game, DATA, 2, steps=compiled_steps(first, game, DATA.shape)[0])
        second.load_state_dict(first.state_dict())
        train(second, game, DATA, 4, steps=compiled_steps(second, game, DATA.shape)[0])
        expected = numbers(whole)
        assert all(torch.equal(one, expected[name]) for name, one in numbers(second).items())


def test_trying_out_leaves_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banach.training.compiled.compiled", lambda function, arguments: function)
    state, untouched = start(), start()
    _, reason = compiled_steps(state, GAMES["sobolev"], DATA.shape)
    assert reason == ""
    assert all(one.grad is None for one in state.critic.network.parameters())
    train(state, GAMES["sobolev"], DATA, 2)
    train(untouched, GAMES["sobolev"], DATA, 2)
    assert all(torch.equal(one, numbers(untouched)[name]) for name, one in numbers(state).items())


def test_what_chooses_its_operations_by_numbers_stays_plain() -> None:
    game = Game(space("Intersection(2, Lp(2), Sobolev(s=1))"), weight=2.0)
    steps, reason = compiled_steps(start(), game, DATA.shape)
    assert steps is EAGER
    assert reason == "parts of this game choose their operations by the numbers they meet"


WITHOUT_COMPILER = """
import torch
from small_run import DATA, GAME, new
from banach.training.compiled import compiled_steps
from banach.training.steps import EAGER
from banach.streams import PENALTY

steps, reason = compiled_steps(new(), GAME, DATA.shape)
print(steps is EAGER, reason)
"""


@pytest.mark.slow
def test_without_a_compiler_there_is_a_reason_and_the_plain_steps(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "CXX": str(tmp_path / "g++"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.stdout == "True there is no C++ compiler; install g++\n", found.stderr


def test_where_it_does_not_pay_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(nn.Module):
        z = 3

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 36)

        def forward(self, z: Tensor) -> Tensor:
            return self.layer(z).view(-1, 1, 6, 6)

    sampler = Sampler(8, 8, 0)
    own = new_state(Own(), build_critic("mlp", DATA.shape, width=8), sampler)
    convolutions = new(RECIPE, model="resnet")
    clipped = start(dataclasses.replace(RECIPE, constraint=Clip(0.01)))
    assert unsuitable(start()) == ""
    assert unsuitable(own) == "Own is not one of this package's networks"
    assert unsuitable(convolutions).startswith("ResNetGenerator is a convolution network")
    assert unsuitable(clipped).startswith("the constraint changes the critic")
    monkeypatch.setattr(distributed, "world", lambda: 2)
    assert unsuitable(start()) == "several processes train together"
