"""The networks bear the transforms of torch.func: gradients of each sample, ensembles, forward derivatives."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jvp, stack_module_state, vmap

from banach.convolution import Shape, convolve, to_input, to_weight
from banach.models import build_critic, build_generator

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # torch's own jvp

SHAPE = 3, 16, 16
Weights = dict[str, Tensor]


@pytest.fixture(params=["resnet", "dcgan", "dcgan4", "mlp"])
def model(request: pytest.FixtureRequest) -> str:
    return request.param


def critic_of(model: str, seed: int = 0) -> nn.Module:
    return build_critic(model, SHAPE, width=4, rng=torch.Generator().manual_seed(seed)).double()


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(network: nn.Module) -> Weights:
    return {name: one.detach() for name, one in network.named_parameters()}


def penalty_of(critic: nn.Module) -> Callable[[Weights, Tensor], Tensor]:
    """The squared slope at one picture, as a function of the weights."""

    def score(x: Tensor, weights: Weights) -> Tensor:
        return functional_call(critic, weights, (x[None],)).squeeze()

    return lambda weights, x: grad(score)(x, weights).square().sum()


def test_the_penaltys_gradient_of_each_sample(model: str) -> None:
    critic, x = critic_of(model), random(3, *SHAPE)
    weights, slope = weights_of(critic), grad(penalty_of(critic))
    each = vmap(slope, in_dims=(None, 0))(weights, x)
    for i, one in enumerate(x):
        alone = slope(weights, one)
        for name in weights:
            torch.testing.assert_close(each[name][i], alone[name], msg=name)


def test_ensembles_of_critics(model: str) -> None:
    critics, x = [critic_of(model, seed) for seed in (0, 1)], random(2, *SHAPE)
    stacked, _ = stack_module_state(critics)  # pyright: ignore[reportArgumentType]
    scores = vmap(lambda weights: functional_call(critics[0], weights, (x,)))(stacked)
    torch.testing.assert_close(scores, torch.stack([one(x) for one in critics]))


def test_ensembles_train_on_penalties_by_the_plain_backward(model: str) -> None:
    critics, x = [critic_of(model, seed) for seed in (0, 1)], random(2, *SHAPE)
    stacked, _ = stack_module_state(critics)  # pyright: ignore[reportArgumentType]
    points = x.clone().requires_grad_()
    scores = vmap(lambda weights: functional_call(critics[0], weights, (points,)))(stacked)
    (slopes,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    slopes.square().sum().backward()
    points = x.clone().requires_grad_()
    (alone,) = torch.autograd.grad(sum(one(points).sum() for one in critics), points, create_graph=True)
    alone.square().sum().backward()
    for name, one in stacked.items():
        gradients = [critic.get_parameter(name).grad for critic in critics]  # None in a bias that no slope depends on
        plain = torch.stack([torch.zeros_like(one[0]) if found is None else found for found in gradients])
        torch.testing.assert_close(torch.zeros_like(one) if one.grad is None else one.grad, plain, msg=name)


def test_a_critic_as_it_is_built(model: str) -> None:
    """Not by `functional_call`, and with weights that are trained: in-place activations may not write into views."""
    critic, x = critic_of(model), random(3, *SHAPE)
    torch.testing.assert_close(vmap(lambda one: critic(one[None])[0])(x), critic(x))
    points = x.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points).sum(), points)
    torch.testing.assert_close(vmap(grad(lambda one: critic(one[None])[0]))(x), slopes)
    ways = torch.stack([random(*SHAPE, seed=i) for i in range(2)])
    along = vmap(lambda way: jvp(lambda one: critic(one[None])[0], (x[0],), (way,))[1])(ways)
    torch.testing.assert_close(along, (ways * slopes[0]).flatten(1).sum(1))


def test_forward_derivatives_over_vmap(model: str) -> None:
    critic, x, way = critic_of(model), random(2, *SHAPE), random(2, *SHAPE, seed=2)
    score = vmap(lambda one: critic(one[None])[0])
    points = x.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(critic(points).sum(), points)
    torch.testing.assert_close(jvp(score, (x,), (way,))[1], (way * slopes).flatten(1).sum(1))


def test_dual_numbers_of_autograd(model: str) -> None:
    generator = build_generator(model, SHAPE, z=5, width=4, rng=torch.Generator().manual_seed(0)).double()
    z, way = random(4, 5), random(4, 5, seed=2)
    with forward_ad.dual_level():
        moved = forward_ad.unpack_dual(generator(forward_ad.make_dual(z, way))).tangent

    def samples(z: Tensor) -> Tensor:
        return functional_call(generator, {name: one.clone() for name, one in generator.named_buffers()}, (z,))

    torch.testing.assert_close(moved, jvp(samples, (z,), (way,))[1])


def test_forward_derivatives_of_a_penalty_are_those_of_the_backward(model: str) -> None:
    """Also of its gradient: what a product with its Hessian takes."""
    critic, x = critic_of(model), random(*SHAPE)
    weights, penalty = weights_of(critic), penalty_of(critic)
    way = {name: random(*one.shape, seed=i) for i, (name, one) in enumerate(weights.items())}

    def along(weights: Weights) -> Tensor:
        slope = grad(penalty)(weights, x)
        return torch.stack([(slope[name] * one).sum() for name, one in way.items()]).sum()

    value, slope = jvp(lambda w: penalty(w, x), (weights,), (way,)), grad(penalty)(weights, x)
    assert value[1] != 0
    torch.testing.assert_close(value[1], along(weights))
    product, other = jvp(lambda w: grad(penalty)(w, x), (weights,), (way,))[1], grad(along)(weights)
    assert slope.keys() == product.keys()
    for name in weights:
        torch.testing.assert_close(product[name], other[name], msg=name)


@pytest.mark.parametrize("training", [True, False])
def test_forward_derivatives_of_generators(model: str, training: bool) -> None:
    rng = torch.Generator().manual_seed(0)
    generator, z = build_generator(model, SHAPE, z=5, width=4, rng=rng).double().train(training), random(4, 5)
    weights = weights_of(generator)
    way = {name: random(*one.shape, seed=i) for i, (name, one) in enumerate(weights.items())}

    def loss(weights: Weights) -> Tensor:
        buffers = {name: one.clone() for name, one in generator.named_buffers()}
        return functional_call(generator, (weights, buffers), (z,)).square().sum()

    slope = grad(loss)(weights)
    plain = torch.autograd.grad(generator(z).square().sum(), list(generator.parameters()))
    for one, (name, _) in zip(plain, generator.named_parameters(), strict=True):
        torch.testing.assert_close(slope[name], one, msg=name)
    moved = jvp(loss, (weights,), (way,))[1]
    torch.testing.assert_close(moved, torch.stack([(slope[name] * one).sum() for name, one in way.items()]).sum())


def test_samples_one_by_one(model: str) -> None:
    generator = build_generator(model, SHAPE, z=5, width=4, rng=torch.Generator().manual_seed(0)).double().eval()
    z = random(3, 5)
    torch.testing.assert_close(vmap(lambda one: generator(one[None])[0])(z), generator(z))


def maps(axes: int, shape: Shape) -> dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...], int]]:
    """The three maps of `banach.convolution`, where to look at them, and how many of their arguments count."""
    x, w, bias = random(2, 3, *[6] * axes), random(3, 3, *[3] * axes), random(3)
    g = random(*convolve(x, w, bias, shape).shape)
    return {
        "convolve": (lambda *at: convolve(*at, shape), (x, w, bias), 3),
        "to_input": (lambda *at: to_input(*at, shape), (g, w, x), 2),
        "to_weight": (lambda *at: to_weight(*at, shape), (g, x, w), 2),
    }


def test_the_hessian_of_a_penalty_in_a_kernel() -> None:
    x, w = random(1, 1, 4, 4), random(1, 1, 3, 3, seed=2)

    def penalty(w: Tensor) -> Tensor:
        return grad(lambda x: convolve(x, w, None, Shape(1, 1)).sin().sum())(x).square().sum()

    found = hessian(penalty)(w).reshape(9, 9)
    torch.testing.assert_close(found, torch.autograd.functional.hessian(penalty, w).reshape(9, 9))
    torch.testing.assert_close(found, found.T)


@pytest.mark.parametrize("shape", [Shape(1, 1), Shape(2, 1), Shape(2, 1, True, 1)])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("name", ["convolve", "to_input", "to_weight"])
def test_forward_derivatives_of_the_three_maps(name: str, axes: int, shape: Shape) -> None:
    """In each argument alone, and in all at once. They are affine in each: differences are exact but for rounding."""
    act, at, counting = maps(axes, shape)[name]
    ways = tuple(random(*one.shape, seed=i) for i, one in enumerate(at))
    alone = []
    for i, way in enumerate(ways):
        found = jvp(lambda one, i=i: act(*at[:i], one, *at[i + 1 :]), (at[i],), (way,))[1]
        torch.testing.assert_close(found, act(*at[:i], at[i] + way, *at[i + 1 :]) - act(*at))
        assert bool(found.any()) == (i < counting)
        alone.append(found)
    torch.testing.assert_close(jvp(act, at, ways)[1], torch.stack(alone).sum(0))
