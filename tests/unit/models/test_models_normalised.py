"""Normalisation, ReLU and convolution as one map: against the plain modules, finite differences, and what it keeps."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from banach.convolution import Shape, convolve
from banach.models import build_generator, normalised
from banach.models.blocks import batch_norm
from banach.models.normalised import normed_convolve

SHAPES = [(Shape(1, 1), 3), (Shape(2, 1, True), 4), (Shape(2, 2, True, 1), 5)]
NAMES = ("x", "scale", "shift", "w", "bias")


def plain(norm, x, w, bias, shape):
    return convolve(F.relu(norm(x)), w, bias, shape)


def parts(axes, shape, kernel, dtype=torch.float64):
    """A norm that is not at its first weights, samples, kernel and bias."""
    rng = torch.Generator().manual_seed(0)

    def drawn(*size):
        return torch.randn(*size, generator=rng, dtype=dtype).requires_grad_()

    norm = batch_norm(axes, 4).to(dtype)
    norm.weight, norm.bias = nn.Parameter(drawn(4).detach() + 1.5), nn.Parameter(drawn(4).detach())
    sizes = (4, 3) if shape.transposed else (3, 4)
    x = drawn(6, 4, *[5] * axes).detach() * 3 + 2
    return norm, x.requires_grad_(), drawn(*sizes, *[kernel] * axes), drawn(3)


def derivatives(form, norm, x, w, bias, shape):
    y = form(norm, x, w, bias, shape)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(y.dtype)
    return y, torch.autograd.grad(y, (x, norm.weight, norm.bias, w, bias), g)


@pytest.mark.parametrize(("shape", "kernel"), SHAPES)
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 4, 100])
def test_values_derivatives_and_running_statistics_are_those_of_the_modules(monkeypatch, axes, shape, kernel, rows):
    norm, *given = parts(axes, shape, kernel)
    monkeypatch.setattr(normalised, "CHUNK", rows * 8 * 4 * 5**axes)
    other = copy.deepcopy(norm)
    y, mine = derivatives(normed_convolve, norm, *given, shape)
    expected, theirs = derivatives(plain, other, *given, shape)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    for name, one, two in zip(NAMES, mine, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-11, atol=1e-11, msg=lambda said, name=name: f"{name}: {said}")
    for name, one in norm.state_dict().items():
        torch.testing.assert_close(one, other.state_dict()[name], rtol=1e-14, atol=0)


@pytest.mark.parametrize("rows", [1, 4, 100])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_results_and_gradients_have_the_layout_of_the_samples(monkeypatch, layout, rows):
    norm, x, w, bias = parts(2, *SHAPES[0])
    monkeypatch.setattr(normalised, "CHUNK", rows * 8 * x[0].numel())
    x = x.detach().contiguous(memory_format=layout).requires_grad_()
    y = normed_convolve(norm, x, w, bias, SHAPES[0][0])
    (gx,) = torch.autograd.grad(y.sum(), x)
    assert y.is_contiguous(memory_format=layout)
    assert gx.is_contiguous(memory_format=layout)


def test_derivatives_of_both_orders_by_finite_differences():
    norm, x, w, bias = parts(1, *SHAPES[0])

    def of(x, a, b, w, bias):
        norm.weight, norm.bias = a, b
        return normed_convolve(norm, x, w, bias, SHAPES[0][0])

    given = x, norm.weight, norm.bias, w, bias
    norm.__dict__.update({name: norm._parameters.pop(name) for name in ("weight", "bias")})
    assert torch.autograd.gradcheck(of, given)
    assert torch.autograd.gradgradcheck(of, given)


def test_a_wrong_mean_in_the_backward_is_found_out(monkeypatch):
    norm, *given = parts(2, *SHAPES[0])
    _, theirs = derivatives(plain, copy.deepcopy(norm), *given, SHAPES[0][0])
    backward = normalised._norm_backward
    monkeypatch.setattr(
        normalised, "_norm_backward", lambda *these: [None, *(one * 1.001 for one in backward(*these)[1:])]
    )
    _, mine = derivatives(normed_convolve, norm, *given, SHAPES[0][0])
    assert not torch.allclose(mine[0], theirs[0], rtol=1e-6)


def test_half_precision_is_that_of_the_modules_under_autocast():
    norm, *given = parts(2, *SHAPES[0], dtype=torch.float32)
    other = copy.deepcopy(norm)
    with torch.autocast("cpu", torch.bfloat16):
        y, mine = derivatives(normed_convolve, norm, *given, SHAPES[0][0])
        expected, theirs = derivatives(
            lambda norm, x, *rest: plain(norm, x.bfloat16(), *rest), other, *given, SHAPES[0][0]
        )
    assert y.dtype == expected.dtype == torch.bfloat16
    for one, two in zip((y, *mine), (expected, *theirs), strict=True):
        assert (one - two).norm() <= 1e-2 * two.norm()


def test_samples_without_a_graph_are_the_same():
    norm, *given = parts(2, *SHAPES[0])
    with torch.no_grad():
        without = normed_convolve(norm, *given, SHAPES[0][0])
    assert not without.requires_grad
    assert torch.equal(without, normed_convolve(norm, *given, SHAPES[0][0]))


@pytest.mark.parametrize("case", ["evaluated", "another momentum"])
def test_what_takes_no_statistics_of_the_batch_in_the_usual_way_takes_the_modules(case):
    norm, *given = parts(2, *SHAPES[0])
    if case == "evaluated":
        norm.eval()
    if case == "another momentum":
        norm.momentum = None
    other = copy.deepcopy(norm)
    assert torch.equal(normed_convolve(norm, *given, SHAPES[0][0]), plain(other, *given, SHAPES[0][0]))
    assert torch.equal(norm.running_mean, other.running_mean)


@pytest.mark.parametrize(
    "norm", [nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4), nn.Identity(), nn.BatchNorm2d(4, affine=False)]
)
def test_another_norm_in_its_place_is_that_norm(norm):
    _, x, w, bias = parts(2, *SHAPES[0], dtype=torch.float32)
    x = x.detach()
    expected = plain(copy.deepcopy(norm), x, w, bias, SHAPES[0][0])
    assert torch.equal(normed_convolve(norm, x.clone(), w, bias, SHAPES[0][0]), expected)


def test_one_value_a_channel_has_no_statistics():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        normed_convolve(batch_norm(2, 4), torch.randn(1, 4, 1, 1), torch.randn(3, 4, 1, 1), None, Shape(1, 0))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("model", ["resnet", "dcgan4"])
def test_modules_with_hooks_are_called_as_modules(model):
    make = build_generator(model, (3, 16, 16), z=8, width=4, rng=torch.Generator().manual_seed(0))
    norm = next(one for one in make.modules() if isinstance(one, nn.BatchNorm2d))
    seen = []
    norm.register_forward_hook(lambda *_: seen.append(1))
    conv = make.conv if model == "resnet" else make.convs[-1]
    torch.nn.utils.spectral_norm(conv)
    make(torch.randn(4, 8)).square().sum().backward()
    assert seen == [1]
    assert conv.weight_orig.grad.any()


def kept(make, z):
    """Bytes that autograd keeps of the pass from z, each storage once, weights left out."""
    seen = {}
    weights = {one.untyped_storage().data_ptr() for one in make.parameters()}

    def pack(one):
        storage = one.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage
        return one

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        made = make(z)
    return sum(storage.nbytes() for storage in seen.values()), made


@pytest.mark.parametrize(("model", "share"), [("resnet", 0.62), ("dcgan4", 0.62)])
def test_a_generator_keeps_about_half_of_what_its_modules_would(monkeypatch, model, share):
    make = build_generator(model, (3, 32, 32), z=8, width=16, rng=torch.Generator().manual_seed(0))
    z = torch.randn(16, 8)
    fewer, _ = kept(make, z)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # takes the modules
    more, _ = kept(make, z)
    assert fewer < share * more
