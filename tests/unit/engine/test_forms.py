"""Forms of convolutions are chosen by measurement, with a margin, and kept with the run."""

from collections.abc import Callable

import pytest
import torch
from small_run import GAME

from banach.data import load
from banach.data.sampler import Sampler
from banach.engine import forms
from banach.engine.forms import PLAIN, forms_for, quickest
from banach.engine.loop import train
from banach.engine.state import Recipe, State, new_state
from banach.models import build_critic, build_generator
from banach.models.blocks import Forms, InLayout, UpsampleThenConv

RECIPE = Recipe(n_critic=1, batch=8, g_batch=8)
DATA = load(torch.randint(256, (20, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))


def new(model: str) -> State:
    rng = torch.Generator().manual_seed(0)
    generator = build_generator(model, DATA.shape, z=3, width=4, rng=rng)
    critic = build_critic(model, DATA.shape, width=4, rng=rng)
    return new_state(generator, critic, Sampler(len(DATA.train), 8, 0), RECIPE)


def candidates(**seconds: float) -> tuple[dict[str, Callable[[], object]], Callable[[], float]]:
    """Callables that take so long on a clock of their own."""
    now = 0.0

    def spend(time: float) -> None:
        nonlocal now
        now += time

    return {name: (lambda time=time: spend(time)) for name, time in seconds.items()}, lambda: now


@pytest.mark.parametrize(
    ("fused", "expected"), [(1.0, "plain"), (0.96, "plain"), (0.94, "fused"), (0.5, "fused"), (2.0, "plain")]
)
def test_the_default_stays_unless_another_is_faster_by_the_margin(fused: float, expected: str) -> None:
    found, clock = candidates(plain=1.0, fused=fused, other=3.0)
    assert quickest(found, "plain", clock=clock) == expected


def test_the_first_call_of_each_is_not_timed_and_one_slow_round_is_no_matter() -> None:
    now, calls = 0.0, 0

    def fused() -> None:
        nonlocal now, calls
        calls += 1
        now += 50.0 if calls in (1, 3) else 0.5

    def plain() -> None:
        nonlocal now
        now += 1.0

    assert quickest({"plain": plain, "fused": fused}, "plain", clock=lambda: now) == "fused"
    assert calls == 6


def parts(network: torch.nn.Module) -> set[tuple[bool, bool]]:
    assert isinstance(network, InLayout)
    return {(one.fused, network.channels_last) for one in network.modules() if isinstance(one, UpsampleThenConv)}


def test_a_cpu_takes_what_was_measured_and_a_resumed_run_what_it_began_with() -> None:
    state = new("resnet")
    assert forms_for(state, GAME, DATA.shape, "", measure=False) == {"forms": "fused resampling, channels-last"}
    assert parts(state.generator) == {(True, True)}
    assert forms_for(state, GAME, DATA.shape, str(PLAIN), measure=True) == {"forms": str(PLAIN)}
    assert parts(state.generator) == parts(state.average) == {(False, False)}
    assert forms_for(new("mlp"), GAME, DATA.shape, "", measure=True) == {}


def test_measuring_leaves_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    state, untouched = (new("resnet") for _ in range(2))
    timed: list[str] = []

    def last(trials: dict[str, Callable[[], object]], default: str) -> str:
        assert default == "plain resampling, contiguous"
        for name, trial in trials.items():
            trial()
            timed.append(name)
        return str(Forms())

    monkeypatch.setattr(forms, "quickest", last)
    assert forms_for(state, GAME, DATA.shape, "", measure=True) == {"forms": str(Forms())}
    assert len(timed) == 4
    for one in (state, untouched):
        train(one, GAME, DATA, 1)
    for name, one in untouched.critic.state_dict().items():
        assert torch.equal(state.critic.state_dict()[name], one), name
    for name, one in untouched.average.state_dict().items():
        assert torch.equal(state.average.state_dict()[name], one), name
