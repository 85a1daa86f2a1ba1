"""No wasted work in a step: what is computed is counted, operation by operation."""

import dataclasses
from collections import Counter
from typing import Any

import pytest
import torch
from small_run import DATA, new
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from banach.game import Game, critic_terms
from banach.penalties import Cost, Lazy, Penalty
from banach.spaces import Space, space
from banach.streams import PENALTY
from banach.training.loop import train
from banach.training.state import Recipe
from banach.training.steps import EAGER, critic_gradients, generator_gradients

RECIPE = Recipe(n_critic=2, batch=8, g_batch=8)
L2 = Game(weight=2.0)


class Count(TorchDispatchMode):
    """Counts the operations inside by name, and the rows of the matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.rows: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.calls[name] += 1
        if name == "addmm":
            self.rows.append(len(args[1]))
        return func(*args, **(kwargs or {}))

    @property
    def products(self) -> int:
        return self.calls["addmm"] + self.calls["mm"]


def batch() -> tuple[Tensor, Tensor]:
    real = DATA.batch(torch.arange(8))
    return real, real.flip(0) * 0.5


def test_the_generators_step_makes_no_gradients_of_the_critics_weights() -> None:
    """Four layers each: forward 4 + 4 products; backward 4 to the critic's inputs, 4 to weights and 3 to inputs of the
    generator's layers (its latents need none)."""
    state = new(RECIPE)
    real, _ = batch()
    with Count() as count:
        generator_gradients(state, L2, torch.randn(8, 3), real)
    assert count.products == 4 + 4 + 4 + 4 + 3
    assert all(one.grad is None for one in state.critic.network.parameters())
    assert all(one.grad is not None for one in state.generator.network.parameters())


def test_the_critics_step_differentiates_twice_over_the_interpolates_only() -> None:
    """Three passes of one batch each: reals, fakes, interpolates. Products: forward 3 x 4; the inner gradient 4; the
    backward of reals and fakes 4 + 3 each; the double backward no more than 2 for each of the inner ones and the
    backward of the interpolates' pass."""
    state = new(RECIPE)
    with Count() as count:
        critic_gradients(state, L2, *batch())
    assert count.rows == [8] * 12
    first_order = 12 + 4 + 2 * 7
    assert first_order < count.products <= first_order + 2 * 4 + 7
    assert all(one.grad is None for one in state.generator.network.parameters())


def test_fakes_carry_no_graph() -> None:
    state = new(RECIPE)
    with Count() as count:
        fake = EAGER.fakes(state, torch.randn(8, 3))
    assert (fake.requires_grad, fake.grad_fn, count.products) == (False, None, 4)


@pytest.mark.parametrize(
    ("spec", "back"),
    [("Sobolev(s=-1)", 0), ("Sobolev(s=1, p=2, length=1, boundary='even')", 0), ("Sobolev(s=-1, p=4)", 1)],
)
def test_a_sobolev_norm_is_one_real_transform_and_p_2_needs_no_inverse(spec: str, back: int) -> None:
    norm = space(spec)
    assert isinstance(norm, Space)
    for one in (norm, norm.dual):
        with Count() as count:
            one.norm(batch()[0])
        transforms = {name: many for name, many in count.calls.items() if "fft" in name}
        assert transforms == {"_fft_r2c": 1, **({"_fft_c2r": 1} if back else {})}


def test_no_step_waits_for_the_host_on_a_device() -> None:
    """A number is looked at once an update, where the finite check finds itself on a CPU, and nowhere else."""
    state = new(RECIPE)
    state.watch.deferred = True  # as on a CUDA device
    train(state, L2, DATA, 1)
    with Count() as count:
        train(state, L2, DATA, 3)
    assert count.calls["_local_scalar_dense"] == 2 * (RECIPE.n_critic + 1)


def test_the_optimizers_are_fused() -> None:
    state = new(RECIPE)
    with Count() as count:
        train(state, L2, DATA, 1)
    assert count.calls["_fused_adam_"] == RECIPE.n_critic + 1


def test_the_scores_graph_has_gone_before_the_penaltys_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    state, cost, seen = new(RECIPE), Penalty.cost, []

    def looking(*given: Any) -> Cost:
        seen.append(all(one.grad is not None for one in state.critic.network.parameters()))
        return cost(*given)

    monkeypatch.setattr(Penalty, "cost", looking)
    critic_gradients(state, L2, *batch())
    assert seen == [True]


def test_two_backwards_leave_the_gradients_of_one() -> None:
    state = new(RECIPE)
    game = dataclasses.replace(L2, drift=0.1)
    position = state.streams[PENALTY].get_state()
    numbers, _ = critic_gradients(state, game, *batch())
    state.streams[PENALTY].set_state(position)
    whole = critic_terms(game, state.critic.forward, *batch(), state.streams[PENALTY])
    assert not any(one.requires_grad for one in numbers.values())
    assert {name: float(one) for name, one in numbers.items()} == {
        name: float(one) for name, one in whole.numbers().items()
    }
    expected = torch.autograd.grad(whole.loss, list(state.critic.network.parameters()))
    for one, gradient in zip(state.critic.network.parameters(), expected, strict=True):
        torch.testing.assert_close(one.grad, gradient, rtol=1e-4, atol=1e-6)


def test_a_penalty_that_rests_leaves_the_gradients_of_the_scores_alone() -> None:
    state = new(RECIPE)
    state.critic_steps = 1
    game = dataclasses.replace(L2, schedule=Lazy(every=4), drift=0.0)
    real, fake = batch()
    numbers, _ = critic_gradients(state, game, real, fake)
    assert numbers["penalty"] == 0
    play = state.critic.forward(fake).mean() - state.critic.forward(real).mean()
    for one, gradient in zip(
        state.critic.network.parameters(),
        torch.autograd.grad(play, list(state.critic.network.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(one.grad, gradient, rtol=1e-4, atol=1e-6)
