"""The forms of convolutions go by the device, and are kept with the run."""

import torch

from banach.data import load
from banach.data.sampler import Sampler
from banach.models import build_critic, build_generator
from banach.models.blocks import Forms, InLayout, UpsampleThenConv
from banach.training.layouts import PLAIN, forms_for
from banach.training.state import Recipe, State, new_state

RECIPE = Recipe(n_critic=1, batch=8, g_batch=8)
DATA = load(torch.randint(256, (20, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))


def new(model: str) -> State:
    rng = torch.Generator().manual_seed(0)
    generator = build_generator(model, DATA.shape, z=3, width=4, rng=rng)
    critic = build_critic(model, DATA.shape, width=4, rng=rng)
    return new_state(generator, critic, Sampler(len(DATA.train), 8, 0), RECIPE)


def parts(network: torch.nn.Module) -> set[tuple[bool, bool]]:
    assert isinstance(network, InLayout)
    return {(one.fused, network.channels_last) for one in network.modules() if isinstance(one, UpsampleThenConv)}


def test_a_cpu_takes_what_was_measured_and_a_resumed_run_what_it_began_with() -> None:
    state = new("resnet")
    assert forms_for(state) == {"forms": "fused resampling, channels-last"}
    assert parts(state.generator.network) == {(True, True)}
    assert forms_for(state, str(PLAIN)) == {"forms": str(PLAIN)}
    assert parts(state.generator.network) == parts(state.average) == {(False, False)}
    assert forms_for(new("mlp")) == {}


def test_other_devices_take_the_plain_forms_and_a_run_of_before_its_own() -> None:
    state = new("resnet")
    state.device = torch.device("cuda")
    assert forms_for(state) == {"forms": str(PLAIN)}
    assert parts(state.generator.network) == {(False, False)}
    assert forms_for(state, str(Forms())) == {"forms": str(Forms())}
    assert parts(state.generator.network) == {(True, True)}
