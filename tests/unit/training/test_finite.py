"""The finite check: before the optimizer, naming the term; and its masked form, which never waits for the device."""

import math

import pytest
import torch
from torch import nn

from banach.training.averages import Averages
from banach.training.finite import FiniteGuard, NotFinite
from banach.training.player import Player


def player(name: str = "critic") -> Player:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    return Player(name, network, torch.optim.Adam(network.parameters(), 0.1, fused=True), Averages(), network)


def backward(one: Player, factor: float = 1.0) -> torch.Tensor:
    one.network.zero_grad()
    loss = one.forward(torch.ones(2, 3)).sum() * factor
    loss.backward()
    return loss.detach()


def test_finite_values_pass() -> None:
    critic = player()
    FiniteGuard("cpu").before_update(critic, {"loss": backward(critic)}, 0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_term_is_named(bad: float) -> None:
    critic = player()
    terms = {"loss": backward(critic), "play": torch.tensor(1.0), "slope_max": torch.tensor(bad)}
    with pytest.raises(NotFinite, match="not finite: the critic's slope max at step 1,234") as caught:
        FiniteGuard("cpu").before_update(critic, terms, 1234)
    assert (caught.value.step, caught.value.term) == (1234, "the critic's slope max")


def test_the_loss_is_named_where_no_part_is_to_blame() -> None:
    generator = player("generator")
    backward(generator)
    with pytest.raises(NotFinite, match="the generator's loss at step 7"):
        FiniteGuard("cpu").before_update(generator, {"loss": torch.tensor(math.nan)}, 7)


def test_a_gradient_is_named_by_its_weight() -> None:
    critic = player()
    loss = backward(critic)
    gradient = critic.network[1].weight.grad
    assert gradient is not None
    gradient[0, 2] = math.nan
    with pytest.raises(NotFinite, match=r"the gradient of the critic's 1\.weight at step 0"):
        FiniteGuard("cpu").before_update(critic, {"loss": loss}, 0)


def test_huge_but_finite_gradients_are_finite() -> None:
    """Their norm overflows in float32; they themselves do not."""
    critic = player()
    loss = backward(critic)
    gradient = critic.network[0].weight.grad
    assert gradient is not None
    gradient.fill_(1e30)
    FiniteGuard("cpu").before_update(critic, {"loss": loss}, 0)


def masked() -> FiniteGuard:
    """What runs on a GPU, here on the CPU: the masking is the same."""
    watch = FiniteGuard("cpu")
    watch.deferred = True
    return watch


def weights(of: Player) -> list[torch.Tensor]:
    moments = [value.clone() for state in of.optimizer.state.values() for value in state.values()]
    return [one.detach().clone() for one in of.network.parameters()] + moments


def test_masked_updates_leave_weights_and_moments_and_the_first_fault_is_told() -> None:
    critic = player()
    watch = masked()
    for step in (0, 1):
        watch.before_update(critic, {"loss": backward(critic)}, step)
        critic.optimizer.step()
    watch.check()
    before = weights(critic)
    for step, factor in ((2, math.nan), (3, 1.0), (4, math.inf)):
        watch.before_update(critic, {"loss": backward(critic, factor)}, step)
        critic.optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(before, weights(critic), strict=True))
    with pytest.raises(NotFinite, match="the critic's loss or gradient at step 2"):
        watch.check()


def test_masking_changes_nothing_while_all_is_finite() -> None:
    found = []
    for watch in (FiniteGuard("cpu"), masked()):
        torch.manual_seed(0)
        generator = player("generator")
        for step in range(5):
            watch.before_update(generator, {"loss": backward(generator)}, step)
            generator.optimizer.step()
        watch.check()
        found.append(weights(generator))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_fault_of_the_generator_stops_the_critic_too() -> None:
    generator, critic = player("generator"), player()
    watch = masked()
    watch.before_update(generator, {"loss": backward(generator, math.nan)}, 9)
    before = weights(critic)
    watch.before_update(critic, {"loss": backward(critic)}, 10)
    critic.optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(before, weights(critic), strict=False))
    with pytest.raises(NotFinite, match="the generator's loss or gradient at step 9"):
        watch.check()
