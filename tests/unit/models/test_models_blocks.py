"""Fused resampling against the plain form, first weights, layouts."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from banach.models import blocks, build_critic, build_generator

PLAIN_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
PLAIN_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
SPATIAL = [(2,), (7,), (10,), (2, 2), (6, 8), (7, 5), (3, 2), (4, 6, 2), (5, 3, 4), (3, 3, 3)]


def plain_conv_then_pool(x, w, b):
    return PLAIN_POOL[w.dim() - 2](PLAIN_CONV[w.dim() - 2](x, w, b, padding=1), 2)


def plain_upsample_then_conv(x, w, b):
    for axis in range(2, x.dim()):
        x = x.repeat_interleave(2, axis)
    return PLAIN_CONV[w.dim() - 2](x, w, b, padding=1)


PAIRS = {
    "pool": (blocks.conv_then_pool, plain_conv_then_pool),
    "upsample": (blocks.upsample_then_conv, plain_upsample_then_conv),
}


def arguments(spatial, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shapes = (2, 3, *spatial), (4, 3, *[3] * len(spatial)), (4,)
    return [torch.randn(shape, dtype=torch.float64, generator=rng).requires_grad_() for shape in shapes]


def derivatives(f, spatial):
    """Value, first derivatives and the gradient of a function of the first derivatives, all of x, w and b."""
    x, w, b = arguments(spatial)
    y = f(x, w, b)
    u = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    first = torch.autograd.grad((u * torch.sin(y)).sum(), (x, w, b), create_graph=True)
    second = torch.autograd.grad(sum((g**3).sum() for g in first), (x, w, b))
    return [y, *first, *second]


@pytest.mark.parametrize(("name", "spatial"), list(itertools.product(PAIRS, SPATIAL)))
def test_fused_resampling_is_exact_with_its_derivatives(name, spatial):
    fused, plain = PAIRS[name]
    for ours, theirs in zip(derivatives(fused, spatial), derivatives(plain, spatial), strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= 1e-12 * max(1.0, theirs.abs().max())


def test_border_places_alone_are_exact():
    """Sources at corners and edges only, where a wrong padding would show and the middle would not."""
    _, w, b = arguments((6, 7))
    for place in itertools.product((0, 5), (0, 6)):
        x = torch.zeros(1, 3, 6, 7, dtype=torch.float64)
        x[0, :, place[0], place[1]] = 1
        for fused, plain in PAIRS.values():
            torch.testing.assert_close(fused(x, w, b), plain(x, w, b), rtol=0, atol=1e-13)


def test_comparison_sees_a_kernel_that_is_not_flipped_or_widened_on_one_side():
    x, w, b = arguments((6, 8))
    ours = blocks.upsample_then_conv(x, w, b)
    unflipped = blocks.upsample_then_conv(x, w.flip(2, 3), b)
    assert (ours - unflipped).abs().max() > 0.1
    one_sided = F.conv2d(x, F.pad(w, (0, 1, 0, 1)), b, stride=2, padding=1)
    assert (plain_conv_then_pool(x, w, b) - one_sided).abs().max() > 0.1


@pytest.mark.parametrize("spatial", [(8,), (7, 6), (4, 4, 5)])
def test_shortcuts_commute_with_the_resampling(spatial):
    x, _, b = arguments(spatial)
    w = torch.randn(4, 3, *[1] * len(spatial), dtype=torch.float64)
    torch.testing.assert_close(
        blocks.pool(blocks.conv(x, w, b)), blocks.conv(blocks.pool(x), w, b), rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        blocks.upsample(blocks.conv(x, w, b)), blocks.conv(blocks.upsample(x), w, b), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("spatial", [(6,), (6, 10), (4, 6, 8)])
def test_strided_and_transposed_convolution_are_adjoint(kernel, spatial):
    x = torch.randn(2, 3, *spatial, dtype=torch.float64)
    w = torch.randn(5, 3, *[kernel] * len(spatial), dtype=torch.float64)
    y = blocks.strided_conv(x, w)
    assert y.shape[2:] == tuple(n // 2 for n in spatial)
    u = torch.randn_like(y)
    back = blocks.transposed_conv(u, w)
    assert back.shape == x.shape
    torch.testing.assert_close((u * y).sum(), (back * x).sum(), rtol=1e-12, atol=1e-12)


def test_parameters_stay_plain_kernels():
    rng = torch.Generator().manual_seed(0)
    for kind in (blocks.Conv, blocks.ConvThenPool, blocks.UpsampleThenConv):
        for axes in (1, 2, 3):
            state = kind(axes, 2, 6, rng).state_dict()
            assert {name: tuple(v.shape) for name, v in state.items()} == {"weight": (6, 2, *[3] * axes), "bias": (6,)}


def test_first_weights_have_the_published_distributions():
    rng = torch.Generator().manual_seed(0)
    he = (6 / (32 * 9)) ** 0.5
    for kind in (blocks.Conv, blocks.ConvThenPool, blocks.UpsampleThenConv):
        layer = kind(2, 32, 48, rng)
        assert 0.99 * he < layer.weight.abs().max() <= he
        assert abs(float(layer.weight.detach().var() / (he**2 / 3)) - 1) < 0.05
        assert not layer.bias.any()
    shortcut = blocks.Conv(2, 32, 96, rng, blocks.xavier_, kernel=1)
    assert 0.99 < shortcut.weight.abs().max() / (6 / (32 + 96)) ** 0.5 <= 1
    dense = blocks.linear(100, 200, rng)
    assert 0.99 < dense.weight.abs().max() / (6 / 300) ** 0.5 <= 1
    assert not dense.bias.any()


@pytest.mark.parametrize("kernel", [4, 5])
def test_transposed_convolution_keeps_the_mean_square(kernel):
    rng = torch.Generator().manual_seed(0)
    layer = blocks.TransposedConv(2, 64, 64, rng, kernel)
    x = torch.randn(8, 64, 16, 16, generator=rng).relu()
    middle = layer(x).detach()[:, :, 4:-4, 4:-4]
    assert 0.85 < float(middle.square().mean()) < 1.15


def test_dense_layers_do_not_touch_the_global_generator():
    before = torch.get_rng_state()
    blocks.linear(3, 4, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_holds_throughout(channels):
    x = torch.randn(4, channels, 8, 8)
    y = blocks.channels_last(x)
    assert torch.equal(x, y)
    w = torch.randn(5, channels, 3, 3)
    assert blocks.conv(y, w).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(blocks.conv(y, w), blocks.conv(x, w))
    assert blocks.channels_last(y).data_ptr() == y.data_ptr()
    if channels == 1:
        assert y.data_ptr() == x.data_ptr()
    for other in (torch.randn(2, 3, 8), torch.randn(2, 3, 4, 4, 4)):
        assert blocks.channels_last(other) is other


def test_critics_answer_in_single_precision_under_autocast():
    score = blocks.Score(16, torch.Generator().manual_seed(0))
    h = torch.randn(5, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y = score(h.bfloat16())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, score(h.bfloat16().float()))
    assert score.double()(h.double()).dtype == torch.float64


def test_output_is_tanh_or_linear():
    h = torch.tensor([-3.0, 0.5])
    assert torch.equal(blocks.Finish("tanh")(h), h.tanh())
    assert torch.equal(blocks.Finish("linear")(h), h)
    with pytest.raises(ValueError, match=r"sigmoid.*tanh.*linear"):
        blocks.Finish("sigmoid")


@pytest.mark.parametrize("model", ["resnet", "dcgan"])
def test_forms_change_how_networks_compute_and_not_what(model):
    rng = torch.Generator().manual_seed(0)
    shape = (3, 16, 16)
    critic = build_critic(model, shape, width=4, rng=rng).double()
    generator = build_generator(model, shape, z=4, width=4, rng=rng).double()
    x, z = torch.randn(4, *shape, generator=rng).double(), torch.randn(4, 4, generator=rng).double()
    found = []
    for forms in (blocks.Forms(fused, last) for fused in (True, False) for last in (True, False)):
        for network in (critic, generator):
            blocks.set_forms_(network, forms)
        found.append((critic(x), generator(z)))
        if model == "resnet":
            parts = [one for one in critic.modules() if isinstance(one, blocks.ConvThenPool)]
            assert parts
            assert all(one.fused is forms.fused for one in parts)
        assert critic.channels_last is generator.channels_last is forms.channels_last
    for score, sample in found[1:]:
        torch.testing.assert_close(score, found[0][0])
        torch.testing.assert_close(sample, found[0][1])
    assert str(blocks.Forms(False, True)) == "plain resampling, channels-last"


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_adding_what_is_upsampled_makes_no_picture_in_between(axes: int) -> None:
    rng = torch.Generator().manual_seed(0)
    sizes = [2, 3, 5][:axes]
    h, x = (
        torch.randn(2, 3, *n, generator=rng, dtype=torch.float64).requires_grad_()
        for n in ([2 * one for one in sizes], sizes)
    )
    copy = h.clone()
    mine = blocks.add_upsampled_(copy, x)
    assert mine.data_ptr() == copy.data_ptr()
    assert torch.equal(mine, h + blocks.upsample(x))
    g = torch.randn(mine.shape, generator=rng, dtype=torch.float64)
    expected = torch.autograd.grad(h + blocks.upsample(x), (h, x), g)
    for one, two in zip(torch.autograd.grad(mine, (h, x), g), expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-14, atol=1e-14)
    assert torch.autograd.gradgradcheck(lambda h, x: blocks.add_upsampled_(h.clone(), x).square(), (h, x))


@pytest.mark.parametrize("sizes", SPATIAL)
def test_pooling_and_its_derivatives_of_every_order(sizes):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *sizes, generator=rng, dtype=torch.float64).requires_grad_()
    mine, theirs = blocks.pool(x), PLAIN_POOL[len(sizes)](x, 2)
    assert torch.equal(mine, theirs)
    g = torch.randn(mine.shape, generator=rng, dtype=torch.float64)
    assert torch.equal(*(torch.autograd.grad(one, x, g)[0] for one in (mine, theirs)))
    assert torch.autograd.gradgradcheck(lambda x: blocks.pool(x).square(), x)


def test_the_second_derivative_of_pooling_is_nothing_and_no_pass_of_zeros():
    x = torch.randn(2, 3, 4, 4).requires_grad_()
    inner = x * 1.0
    (slope,) = torch.autograd.grad((blocks.pool(inner) * 2.0).sum(), inner, torch.ones(()), create_graph=True)
    assert not slope.requires_grad
    samples = torch.randn(5, 3, 4, 4)
    assert torch.equal(torch.func.vmap(lambda one: blocks.pool(one[None])[0])(samples), blocks.pool(samples))
