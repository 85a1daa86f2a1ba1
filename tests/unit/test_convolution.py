"""Convolutions and their derivatives of every order: against torch's own, and by finite differences."""

import threading

import pytest
import torch
import torch.nn.functional as F

from banach import convolution
from banach.convolution import Shape, channels_last, convolve, half_derivatives, of_inputs_only

PLAIN = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
SHAPES = [(Shape(1, 1), 3), (Shape(1, 0), 1), (Shape(2, 1), 4), (Shape(2, 1, True), 4), (Shape(2, 2, True, 1), 5)]


def torchs(x, w, bias, shape):
    if shape.transposed:
        return TRANSPOSED[x.dim() - 2](x, w, bias, shape.stride, shape.padding, shape.output_padding)
    return PLAIN[x.dim() - 2](x, w, bias, shape.stride, shape.padding)


def parts(axes, shape, kernel, n=2, dtype=torch.float64, side=4):
    rng = torch.Generator().manual_seed(0)
    sizes = (n, 2, *[side] * axes), ((2, 3) if shape.transposed else (3, 2)) + (kernel,) * axes, (3,)
    return [torch.randn(one, generator=rng, dtype=dtype).requires_grad_() for one in sizes]


def penalised(conv, x, w, bias, shape):
    """A gradient penalty: the derivative of a derivative, in every argument."""
    (u,) = torch.autograd.grad(conv(x, w, bias, shape).square().sum(), x, create_graph=True)
    return torch.autograd.grad(u.square().sum(), (x, w, bias))


@pytest.mark.parametrize(("shape", "kernel"), SHAPES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_values_and_penalties_are_those_of_torch(axes, shape, kernel):
    x, w, bias = parts(axes, shape, kernel)
    assert torch.equal(convolve(x, w, bias, shape), torchs(x, w, bias, shape))
    for mine, theirs in zip(penalised(convolve, x, w, bias, shape), penalised(torchs, x, w, bias, shape), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "kernel"), SHAPES)
def test_derivatives_by_finite_differences(shape, kernel):
    x, w, bias = parts(1, shape, kernel)
    assert torch.autograd.gradcheck(lambda *given: convolve(*given, shape), (x, w, bias))
    assert torch.autograd.gradgradcheck(lambda *given: convolve(*given, shape), (x, w, bias))


def test_a_transpose_in_place_of_another_is_found_out(monkeypatch):
    shape, kernel = SHAPES[0]
    x, w, bias = parts(2, shape, kernel)
    true = penalised(torchs, x, w, bias, shape)
    to_weight = convolution._ToWeight.forward
    monkeypatch.setattr(convolution._ToWeight, "forward", staticmethod(lambda g, *rest: 2 * to_weight(g, *rest)))
    assert not torch.allclose(penalised(convolve, x, w, bias, shape)[1], true[1])


def test_no_derivative_in_weights_is_computed_to_be_thrown_away(monkeypatch):
    shape, kernel = SHAPES[0]
    x, w, bias = parts(2, shape, kernel)
    calls, to_weight = [], convolution._ToWeight.forward
    monkeypatch.setattr(
        convolution._ToWeight, "forward", staticmethod(lambda *given: calls.append(1) or to_weight(*given))
    )
    y = convolve(x, w, bias, shape).square().sum()
    with of_inputs_only():
        (u,) = torch.autograd.grad(y, x, create_graph=True)
    assert not calls
    u.square().sum().backward()
    assert calls
    torch.testing.assert_close(w.grad, penalised(torchs, x, w, bias, shape)[1])


def test_half_precision_is_that_of_autocast():
    shape, kernel = SHAPES[0]
    x, w, bias = parts(2, shape, kernel, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        mine, theirs = convolve(x, w, bias, shape), torchs(x, w, bias, shape)
    assert mine.dtype == theirs.dtype == torch.bfloat16
    assert torch.equal(mine, theirs)
    mine.float().square().sum().backward()
    assert w.grad.dtype == torch.float32


def test_channels_last_stays_channels_last():
    shape, kernel = SHAPES[0]
    x, w, bias = parts(2, shape, kernel, dtype=torch.float32, side=8)
    y = convolve(x.contiguous(memory_format=torch.channels_last), w, bias, shape)
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("shape", "kernel"), SHAPES)
def test_derivatives_in_another_precision_are_the_same_map(shape, kernel):
    x, w, bias = parts(2, shape, kernel)
    expected = penalised(torchs, x, w, bias, shape)
    with half_derivatives(torch.float64):  # whose halves are whole
        assert torch.equal(convolve(x, w, bias, shape), torchs(x, w, bias, shape))
        for mine, theirs in zip(penalised(convolve, x, w, bias, shape), expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
        assert torch.autograd.gradgradcheck(lambda *given: convolve(*given, shape), (x, w, bias))
    with half_derivatives(torch.float32):
        halved = penalised(convolve, x, w, bias, shape)
    for mine, theirs in zip(halved, expected, strict=True):
        assert mine.dtype == torch.float64
        assert 0 < (mine - theirs).norm() < 1e-5 * theirs.norm()
    torch.testing.assert_close(penalised(convolve, x, w, bias, shape)[0], expected[0], rtol=1e-12, atol=1e-12)


def test_the_double_backward_stays_in_the_layout_of_the_network(monkeypatch):
    """A penalty's own derivative comes in the caller's layout, and would be multiplied in it from then on."""
    x = torch.randn(2, 3, 6, 6).requires_grad_()
    w = torch.randn(4, 3, 3, 3).requires_grad_()
    (u,) = torch.autograd.grad(convolve(channels_last(x), w, None, Shape(1, 1)).square().sum(), x, create_graph=True)
    seen, original = [], convolution._convolution
    monkeypatch.setattr(convolution, "_convolution", lambda x, *rest: seen.append(x) or original(x, *rest))
    u.contiguous().square().sum().backward()
    assert seen
    assert all(one.stride()[1] == 1 for one in seen)


def test_switches_hold_in_their_own_context_alone():
    """Threads and generators that run beside a training step do not compute in its half precision."""
    x, w = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3, requires_grad=True)
    found = []

    def beside():
        (slope,) = torch.autograd.grad(convolve(x, w, None, Shape(1, 1)).sum(), w)
        found.append(slope)

    with half_derivatives(torch.bfloat16), of_inputs_only():
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    beside()
    assert torch.equal(*found)
