"""What lies beyond the border of a field: layers against plain forms, laws of critics, derivatives, refusals."""

import functools
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from banach import Lp, Sobolev
from banach.constraints import constraint
from banach.models import MODELS, ModelError, blocks, build_critic, build_generator, lipschitz_bound
from banach.models.bounds.convolutions import convolution_l2_norm, periodic_l2_norm
from banach.models.padding import PADDINGS, Padded, checked, padded, set_padding_
from banach.slopes import gradient
from banach.specs import SpecError
from banach.testing.refute import refute

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
SHAPES = [
    ((2, 24), ("periodic",)),
    ((1, 12, 16), ("periodic", "reflect")),
    ((1, 8, 12, 8), ("zero", "periodic", "reflect")),
    ((1, 12, 28), ("reflect", "reflect")),
]
CONVOLUTIONAL = ["resnet", "dcgan", "dcgan4"]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, dtype=torch.float64, generator=rng(seed))


def by_index(x, padding, width):
    """The same as `padded`, by the index of each place."""
    for axis, word in enumerate(padding, 2):
        n = x.shape[axis]
        at = torch.arange(-width, n + width)
        if word == "reflect":
            mirrored = at % (2 * n)
            at = torch.where(mirrored < n, mirrored, 2 * n - 1 - mirrored)
        x = x.index_select(axis, at % n) * (
            ((torch.arange(-width, n + width) >= 0) & (torch.arange(-width, n + width) < n) | (word != "zero"))
            .to(x.dtype)
            .view(-1, *[1] * (x.dim() - 1 - axis))
        )
    return x


@pytest.mark.parametrize("padding", list(itertools.product(PADDINGS, repeat=2)), ids=",".join)
@pytest.mark.parametrize("width", [0, 1, 2, 3])
def test_places_beyond_the_border_are_those_of_their_index(padding, width):
    x = normal(2, 3, 3, 5)
    assert torch.equal(padded(x, padding, width), by_index(x, padding, width))


def test_a_mirrored_field_is_half_of_a_periodic_one():
    """As the even boundary of Sobolev norms has it."""
    x = normal(1, 2, 7)
    both = torch.cat([x, x.flip(2)], 2)
    assert torch.equal(padded(x, ("reflect",), 3), padded(both, ("periodic",), 3)[..., :13])


def plain(layer, x):
    """What a layer computes, from its definition: padding, a plain convolution, and resampling beside it."""
    w, width = layer.weight, (layer.weight.shape[2] - 1) // 2
    axes = x.dim() - 2
    match layer:
        case blocks.UpsampleThenConv():
            for axis in range(2, x.dim()):
                x = x.repeat_interleave(2, axis)
            return CONV[axes](by_index(x, layer.padding, 1), w, layer.bias)
        case blocks.ConvThenPool():
            y = CONV[axes](by_index(x, layer.padding, 1), w, layer.bias)
            return {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[axes](y, 2)
        case blocks.StridedConv():
            return CONV[axes](by_index(x, layer.padding, width), w, layer.bias, stride=2)
        case blocks.TransposedConv():
            kernel = w.shape[2]
            far = by_index(x, layer.padding, 3)  # so far that the ends of the result are not seen
            up = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[axes]
            y = up(far, w, layer.bias, 2, (kernel - 1) // 2, kernel % 2)
            return y[(..., *[slice(6, -6)] * axes)]
    return CONV[axes](by_index(x, layer.padding, width), w, layer.bias)


def layers(axes):
    made = [kind(axes, 2, 3, rng()) for kind in (blocks.Conv, blocks.ConvThenPool, blocks.UpsampleThenConv)]
    made += [blocks.StridedConv(axes, 2, 3, rng(), blocks.he_, k) for k in (4, 5)]
    return [*made, *(blocks.TransposedConv(axes, 2, 3, rng(), k) for k in (4, 5))]


@pytest.mark.parametrize(("size", "padding"), [
    ((8,), ("periodic",)), ((7,), ("reflect",)), ((6, 8), ("periodic", "reflect")), ((5, 7), ("zero", "periodic")),
    ((4, 6, 3), ("reflect", "periodic", "zero")),
], ids=str)  # fmt: skip
def test_layers_are_their_plain_forms_with_double_derivatives(size, padding):
    for layer in layers(len(size)):
        layer.double().padding = padding
        with torch.no_grad():
            layer.bias.normal_(generator=rng(5))
        found = []
        for form in (layer, functools.partial(plain, layer)):
            x = normal(2, 2, *size).requires_grad_()
            y = form(x)
            first = torch.autograd.grad(y.sin().sum(), (x, *layer.parameters()), create_graph=True)
            cubes = torch.cat([one.flatten() for one in first]).pow(3).sum()
            found.append([y, *first, *torch.autograd.grad(cubes, (x, layer.weight))])
        for ours, theirs in zip(*found, strict=True):
            assert ours.shape == theirs.shape
            assert (ours - theirs).abs().max() <= 1e-11 * max(1.0, theirs.abs().max()), type(layer).__name__


@pytest.mark.parametrize("padding", [("periodic", "periodic"), ("reflect", "periodic")], ids=",".join)
def test_fused_and_plain_resampling_agree(padding):
    for kind in (blocks.ConvThenPool, blocks.UpsampleThenConv):
        layer = kind(2, 2, 3, rng()).double()
        layer.padding = padding
        x = normal(2, 2, 6, 7)
        fused = layer(x)
        layer.fused = False
        torch.testing.assert_close(layer(x), fused, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "shift"), [((2, 32), (4,)), ((1, 32, 16), (4, 4)), ((1, 16, 8, 8), (2, 2, 2))], ids=str
)
def test_a_periodic_residual_critic_does_not_see_shifts_by_its_stride(shape, shift):
    critic = build_critic("resnet", shape, width=6, rng=rng(), padding="periodic").double()
    x = normal(3, *shape)
    axes = tuple(range(2, 1 + len(shape)))
    torch.testing.assert_close(critic(x.roll(shift, axes)), critic(x), rtol=1e-12, atol=1e-12)
    half = tuple(one // 2 for one in shift)
    assert (critic(x.roll(half, axes)) - critic(x)).abs().max() > 1e-6  # less than its stride it does see
    zeros = build_critic("resnet", shape, width=6, rng=rng()).double()
    assert (zeros(x.roll(shift, axes)) - zeros(x)).abs().max() > 1e-6


def test_on_one_periodic_axis_shifts_along_that_are_not_seen():
    critic = build_critic("resnet", (1, 16, 16), width=6, rng=rng(), padding=("periodic", "reflect")).double()
    x = normal(2, 1, 16, 16)
    torch.testing.assert_close(critic(x.roll(2, 2)), critic(x), rtol=1e-12, atol=1e-12)
    assert (critic(x.roll(2, 3)) - critic(x)).abs().max() > 1e-6


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize(("shape", "padding"), SHAPES, ids=str)
def test_networks_of_every_dimension(name, shape, padding):
    generator = build_generator(name, shape, z=3, width=4, rng=rng(), padding=padding)
    made = generator(torch.randn(4, 3, generator=rng()))
    assert made.shape == (4, *shape)
    made.square().sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in generator.parameters())
    plain_one = build_generator(name, shape, z=3, width=4, rng=rng())
    assert all(
        torch.equal(one, other) for one, other in zip(generator.parameters(), plain_one.parameters(), strict=True)
    )
    z = torch.randn(4, 3, generator=rng(4))
    assert (plain_one.eval()(z) - generator.eval()(z)).abs().max() > 1e-4
    critic = build_critic(name, shape, width=4, rng=rng(), padding=padding)
    assert critic(made.detach()).shape == (4,)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize(("shape", "padding"), SHAPES, ids=str)
def test_the_gradient_penalty_is_right_by_finite_differences(name, shape, padding):
    critic = build_critic(name, shape, width=4, rng=rng(), padding=padding).double()
    x = normal(3, *shape).requires_grad_()

    def penalty():
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    penalty().backward()
    weights = list(critic.parameters())
    slopes = [torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in weights]
    direction, step = [normal(*one.shape, seed=3) for one in weights], 1e-9
    values = []
    for sign in (1, -2):
        with torch.no_grad():
            for one, d in zip(weights, direction, strict=True):
                one.add_(sign * step * d)
        values.append(float(penalty().detach()))
    expected = sum(float((g * d).sum()) for g, d in zip(slopes, direction, strict=True))
    assert expected != 0
    assert math.isclose((values[0] - values[1]) / (2 * step), expected, rel_tol=1e-3, abs_tol=1e-6)


@pytest.mark.parametrize("padding", ["periodic", "reflect"])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("space", [Lp(2), Lp(float("inf")), Lp(1), Sobolev(s=-1)], ids=repr)
def test_no_critic_is_steeper_than_its_bound(name, padding, space):
    shape = (2, 8, 12)
    critic = build_critic(name, shape, width=4, rng=rng(), padding=padding).double()
    bound = lipschitz_bound(critic, space, shape)
    assert bound is not None
    x = 3 * normal(40, *shape)
    found = refute(critic, space, shape, rng(), x, pairs=8, steps=6).slope
    assert 0 < max(found, float(space.dual.norm(gradient(critic, x)).max())) <= bound * (1 + 1e-9)


@pytest.mark.parametrize(
    "padding", [("periodic", "periodic"), ("reflect", "reflect"), ("periodic", "zero")], ids=",".join
)
@pytest.mark.parametrize("size", [(6, 8), (4, 4), (3, 5)])
def test_the_bound_of_a_layer_is_one_of_its_matrix(padding, size):
    """Without nonlinearities: the largest singular value of the linear map that a layer is."""
    for layer in (*layers(2)[:2], *layers(2)[3:5]):
        layer.double().padding = padding
        with torch.no_grad():
            layer.weight.abs_()  # which meet at the border with one sign
        n = 2 * math.prod(size)
        units = torch.eye(n, dtype=torch.float64).view(n, 2, *size)
        matrix = (layer(units) - layer(torch.zeros_like(units))).detach().flatten(1).T
        exact = float(torch.linalg.matrix_norm(matrix, ord=2))
        last = torch.nn.Linear(len(matrix), 1)
        critic = torch.nn.Sequential(layer, torch.nn.Flatten(), last).double()
        with torch.no_grad():  # the functional that is steepest
            last.weight.copy_(torch.linalg.svd(matrix)[0][:, :1].T)
        bound = lipschitz_bound(critic, Lp(2), (2, *size))
        assert bound is not None
        assert exact <= bound * (1 + 1e-9)
        if padding == ("periodic", "periodic") and min(size) >= 6 and size[0] % 2 == size[1] % 2 == 0:
            assert bound <= exact * (1 + 1e-9), "on periodic axes it is exact"


def test_the_norm_of_a_periodic_convolution_is_exact_and_no_more_than_with_room_around():
    kernel = normal(3, 2, 3, 3)
    found = periodic_l2_norm(kernel, 1, (64, 64))
    assert found <= convolution_l2_norm(kernel, 1, (64, 64)) * (1 + 1e-2)
    x = normal(2, 64, 64)
    y = F.conv2d(by_index(x[None], ("periodic", "periodic"), 1), kernel)
    assert float(y.norm() / x.norm()) <= found


def test_what_no_padding_is_has_no_proven_bound():
    critic = build_critic("dcgan4", (1, 8, 8), width=4, rng=rng())
    for one in critic.modules():
        if isinstance(one, Padded):
            one.padding = ("mirror", "zero")
    assert lipschitz_bound(critic, Lp(2), (1, 8, 8)) is None


def test_orthogonal_convolutions_refuse_mirrored_borders():
    critic = build_critic("dcgan4", (1, 8, 8), width=4, rng=rng(), padding="reflect")
    with pytest.raises(SpecError, match="zero or periodic, not reflect"):
        constraint("orthogonal").prepare(critic)
    periodic = build_critic("dcgan4", (1, 8, 8), width=4, rng=rng(), padding="periodic")
    constraint("orthogonal").prepare(periodic)
    bound = lipschitz_bound(periodic, Lp(2), (1, 8, 8))
    assert bound is not None
    assert bound <= 1 + 1e-6


def test_words_for_axes():
    assert checked("zero", 2) == checked(("zero", "zero"), 2) == checked((), 1) == ()
    assert checked(["reflect"], 3) == ("reflect",) * 3
    with pytest.raises(ModelError, match="'mirror' is none of zero, periodic, reflect"):
        checked("mirror", 2)
    with pytest.raises(ModelError, match="2 words, periodic,reflect, for 3 axes in space or time; give one, or 3"):
        checked(("periodic", "reflect"), 3)
    with pytest.raises(ModelError, match="takes 2 places from an axis of 1"):
        padded(torch.zeros(1, 1, 1), ("periodic",), 2)


@pytest.mark.parametrize("build", [build_generator, build_critic])
def test_networks_without_convolutions_refuse_a_padding(build):
    with pytest.raises(ModelError, match=r"mlp has no convolutions .* take --padding zero"):
        build("mlp", (1, 4, 4), rng=rng(), padding="periodic")
    assert build("mlp", (4,), rng=rng(), padding=("zero",)) is not None


def test_critics_that_see_samples_whole_go_with_any_padding():
    name = next(one for one in MODELS if MODELS[one].critic_in is not None)
    assert build_critic(name, (1, 8, 8), 4, rng=rng(), padding="periodic") is not None
    assert not set_padding_(build_critic(name, (1, 8, 8), 4, rng=rng()), "periodic", 2)
