"""What every registered family promises, over several shapes."""

import copy
import math

import pytest
import torch
from torch import nn

from banach.models import (
    FAMILIES,
    MODELS,
    Family,
    LipschitzCritic,
    ModelError,
    build_critic,
    build_generator,
    last_layer,
)
from banach.specs import SpecError

SHAPES = [(2,), (1, 28, 28), (3, 32, 32), (2, 16), (1, 8, 12, 8), (1, 24, 32), (2, 6, 7)]
CASES = [
    (name, shape)
    for name in MODELS
    for shape in SHAPES
    if name == "mlp" or name.startswith("lipschitz") or (len(shape) > 1 and (name == "resnet" or 7 not in shape))
]
over_cases = pytest.mark.parametrize(("name", "shape"), CASES, ids=str)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def critic_of(name, shape, dtype=torch.float64):
    return build_critic(name, shape, width=16, rng=rng()).to(dtype)


def generator_of(name, shape, output="tanh"):
    return build_generator(name, shape, z=3, width=16, output=output, rng=rng()).double()


def normal(*shape, seed=1):
    return torch.randn(shape, dtype=torch.float64, generator=rng(seed))


@over_cases
def test_generator_gives_finite_samples_of_the_shape_and_reaches_every_parameter(name, shape):
    generator = generator_of(name, shape)
    assert (generator.z, generator.shape) == (3, shape)
    x = generator(normal(5, 3))
    assert x.shape == (5, *shape)
    assert x.isfinite().all()
    (x**2 + x).sum().backward()
    for parameter, p in generator.named_parameters():
        assert p.grad is not None, parameter
        assert p.grad.isfinite().all(), parameter
    reached = sum(p.grad.any() for p in generator.parameters() if p.dim() > 1)
    assert reached == sum(p.dim() > 1 for p in generator.parameters())


@over_cases
def test_outputs_are_in_range_for_tanh_and_free_for_linear(name, shape):
    z = 1e4 * normal(8, 3)
    tanh, linear = generator_of(name, shape), generator_of(name, shape, "linear")
    tanh.eval(), linear.eval()  # running statistics do not scale the large latents back
    assert tanh(z).abs().max() <= 1
    assert linear(z).abs().max() > 1
    torch.testing.assert_close(tanh(z), linear(z).tanh())


@over_cases
def test_critic_gives_one_finite_number_each_and_reaches_every_parameter(name, shape):
    critic = critic_of(name, shape)
    assert critic.shape == shape
    x = normal(5, *shape)
    score = critic(x)
    assert score.shape == (5,)
    assert score.isfinite().all()
    assert critic(x[:1]).shape == (1,)
    score.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in critic.parameters())


@over_cases
def test_gradient_penalty_differentiates_twice_and_is_right(name, shape):
    critic = critic_of(name, shape)
    x = normal(3, *shape).requires_grad_()

    def penalty():
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    penalty().backward()
    grads = {n: p.grad for n, p in critic.named_parameters() if p.grad is not None}
    assert all(g.isfinite().all() for g in grads.values())
    assert all(n in grads and grads[n].any() for n, p in critic.named_parameters() if p.dim() > 1)
    direction = {n: normal(*p.shape, seed=3) for n, p in critic.named_parameters()}
    values, step = [], 1e-9  # so short that no ReLU changes sides, where the penalty jumps
    for sign in (1, -1):
        with torch.no_grad():
            for n, p in critic.named_parameters():
                p.add_(sign * step * (1 if sign > 0 else 2) * direction[n])
        values.append(float(penalty().detach()))
    slope = sum(float((grads[n] * direction[n]).sum()) for n in grads)
    assert math.isclose((values[0] - values[1]) / (2 * step), slope, rel_tol=1e-3, abs_tol=1e-6)


@over_cases
def test_critic_does_not_couple_samples(name, shape):
    critic = critic_of(name, shape)
    x = normal(4, *shape)
    other = x.clone()
    other[1] = 50 * normal(*shape, seed=2)
    one, two = critic(x), critic(other)
    assert one[1] != two[1]
    torch.testing.assert_close(one[[0, 2, 3]], two[[0, 2, 3]], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(critic(x[2:3]), one[2:3], rtol=1e-12, atol=1e-12)


@over_cases
def test_first_weights_depend_on_the_generator_given_and_on_nothing_else(name, shape):
    before = torch.get_rng_state()
    for build in (
        lambda seed: build_generator(name, shape, 3, 4, rng=rng(seed)),
        lambda s: build_critic(name, shape, 4, rng=rng(s)),
    ):
        one, same, other = build(7).state_dict(), build(7).state_dict(), build(8).state_dict()
        assert all(torch.equal(one[key], same[key]) for key in one)
        assert any(not torch.equal(one[key], other[key]) for key in one)
    assert torch.equal(before, torch.get_rng_state())


@over_cases
def test_forward_draws_nothing_and_copies_are_independent(name, shape):
    critic, generator = critic_of(name, shape), generator_of(name, shape)
    twin = copy.deepcopy(generator)
    before = torch.get_rng_state()
    z = normal(4, 3)
    x = generator(z)
    critic(x)
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(twin(z), x, rtol=0, atol=0)


@over_cases
def test_half_precision_by_autocast_stays_near_and_answers_in_float32(name, shape):
    critic = critic_of(name, shape, torch.float32)
    generator = build_generator(name, shape, z=3, width=4, rng=rng())
    x, z = normal(6, *shape).float(), normal(6, 3).float()
    with torch.autocast("cpu", torch.bfloat16):
        score, sample = critic(x), generator(z)
    assert score.dtype == sample.dtype == torch.float32
    assert (score - critic(x)).abs().max() < 0.05 * (1 + critic(x).abs().max())
    assert (sample - generator(z)).abs().max() < 0.25


@over_cases
def test_last_layer_is_the_affine_end_of_the_critic(name, shape):
    critic = critic_of(name, shape)
    if isinstance(critic, LipschitzCritic):
        with pytest.raises(ModelError, match="constrained"):
            last_layer(critic)
        return
    x = normal(5, *shape)
    before = critic(x)
    layer = last_layer(critic)
    assert isinstance(layer, nn.Linear)
    assert layer.out_features == 1
    with torch.no_grad():
        layer.weight.mul_(3)
        layer.bias.add_(2)
    torch.testing.assert_close(critic(x), 3 * before + 2, rtol=1e-12, atol=1e-12)


def test_a_critic_with_batch_statistics_would_fail_the_coupling_law():
    coupled = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)).double()
    x = normal(4, 2)
    other = x.clone()
    other[1] += 50
    assert (coupled(x)[0] - coupled(other)[0]).abs() > 1e-3


def test_widths_default_to_the_family_and_are_free():
    assert last_layer(build_critic("resnet", (1, 8, 8), rng=rng())).in_features == 128
    assert last_layer(build_critic("mlp", (2,), rng=rng())).in_features == 512
    assert last_layer(build_critic("mlp", (2,), width=7, rng=rng())).in_features == 7
    hidden = [one for one in build_critic("mlp", (2,), rng=rng()).modules() if isinstance(one, nn.Linear)]
    assert [one.in_features for one in hidden] == [2, 512, 512, 512]


def test_published_dcgan_at_32_has_the_published_levels():
    critic = build_critic("dcgan", (3, 32, 32), rng=rng()).state_dict()
    assert [tuple(critic[f"convs.{i}.weight"].shape) for i in range(3)] == [
        (128, 3, 5, 5),
        (256, 128, 5, 5),
        (512, 256, 5, 5),
    ]
    generator = build_generator("dcgan", (3, 32, 32), rng=rng()).state_dict()
    assert [tuple(generator[f"convs.{i}.weight"].shape) for i in range(3)] == [
        (512, 256, 5, 5),
        (256, 128, 5, 5),
        (128, 3, 5, 5),
    ]
    assert generator["dense.weight"].shape == (512 * 16, 128)


def test_every_family_is_listed_with_a_sentence():
    assert {family.name for family in FAMILIES} == set(MODELS)
    for entry in MODELS.entries():
        assert entry.summary == entry.value.doc
        assert entry.summary.endswith(".")
        assert MODELS.parse(entry.examples[0]) is entry.value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("resnett", (1, 28, 28)), r"unknown model 'resnett'.*resnet"),
        (("resnet", (1, 30, 28)), "30x28.*nearest: 28x28 or 32x28"),
        (("resnet", (5,)), "plain vectors have none; use the model mlp"),
        (("dcgan", (1, 5, 5)), "from 2 on, longer ones any multiple of it; .*nearest: 6x6"),
        (("mlp", ()), r"shape \(\)"),
        (("mlp", (0,)), r"shape \(0,\)"),
        (("mlp", (1, 2, 3, 4, 5)), r"shape \(1, 2, 3, 4, 5\)"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(arguments, said):
    for build in (build_generator, build_critic):
        with pytest.raises(ValueError, match=said) as refused:
            build(*arguments, rng=rng())
        assert isinstance(refused.value, ModelError | SpecError)


def test_refusals_of_numbers():
    with pytest.raises(ModelError, match="width 1, not 0"):
        build_critic("mlp", (2,), width=0)
    with pytest.raises(ModelError, match="z=0"):
        build_generator("mlp", (2,), z=0)
    with pytest.raises(ModelError, match=r"unknown output 'relu'"):
        build_generator("mlp", (2,), output="relu")
    with pytest.raises(ModelError, match=r"Flatten has no nn.Linear"):
        last_layer(nn.Flatten())


def test_own_builders_need_not_describe_their_networks(monkeypatch):
    def generator(shape, z, width, output, rng):
        return nn.Sequential(nn.Linear(z, math.prod(shape)), nn.Unflatten(1, shape))

    def critic(shape, width, rng):
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 1), nn.Flatten(0))

    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    MODELS.add("own", Family("own", generator, critic, "Two matrices."))
    made = build_generator("own", (2, 3), z=4)
    assert (made.z, made.shape) == (4, (2, 3))
    assert made(torch.zeros(5, 4)).shape == (5, 2, 3)
    assert build_critic("own", (2, 3))(torch.zeros(5, 2, 3)).shape == (5,)
    assert set(made.state_dict()) == {"0.weight", "0.bias"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", ["resnet", "dcgan4", "mlp"])
def test_networks_are_traced_and_exported(name, grad):
    rng = torch.Generator().manual_seed(0)
    pairs = (
        (build_generator(name, (3, 32, 32), z=8, width=4, rng=rng).eval(), torch.randn(2, 8)),
        (build_critic(name, (3, 32, 32), width=4, rng=rng).eval(), torch.randn(2, 3, 32, 32)),
    )
    for network, given in pairs:
        with torch.set_grad_enabled(grad):
            expected = network(given)
            torch.testing.assert_close(torch.jit.trace(network, given)(given), expected)
            torch.testing.assert_close(torch.export.export(network, (given,)).module()(given), expected)
