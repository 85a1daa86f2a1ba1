"""Batch normalisation, ReLU and a convolution as one map that saves only its input for the backward pass.

Between normalisation and convolution lies a picture as large as those on both sides, which plain modules keep until the
backward: in a residual generator that is half of the memory. Here it is made for a few samples at a time, and again in
the backward, so that it stays in the processor's cache: that costs no time, for a new block of memory is dearer than
the arithmetic. The numbers are those of the plain modules but for rounding.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from banach.convolution import Shape, convolve, to_input, to_weight, transformed, transposes
from banach.numerics import at_least_float32

CHUNK = 2**23
"""Bytes of samples that are processed at once."""

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d

_norm = torch.ops.aten.native_batch_norm.default
_norm_backward = torch.ops.aten.native_batch_norm_backward.default


def hooked(*modules: nn.Module) -> bool:
    """Whether any of the modules has hooks, and so must be called as a module."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(one, name) for one in modules for name in names)


def normed_convolve(
    norm: BatchNorm,
    x: Float[Tensor, "b in *n"],
    w: Float[Tensor, "a c *k"],
    bias: Float[Tensor, "out"] | None,
    shape: Shape,
) -> Float[Tensor, "b out *m"]:
    """convolve(relu(norm(x)), w, bias, shape); `norm` updates its running statistics in training mode.

    >>> norm, x, w = nn.BatchNorm2d(2), torch.randn(4, 2, 5, 5), torch.randn(3, 2, 3, 3)
    >>> plain = torch.conv2d(nn.BatchNorm2d(2)(x).relu(), w, padding=1)
    >>> torch.allclose(normed_convolve(norm, x, w, None, Shape(1, 1)), plain, atol=1e-5)
    True
    """
    usual = type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) and x.numel() > x.shape[1]
    keeps = usual and norm.training and norm.affine and norm.momentum is not None
    if not keeps or x.device.type != "cpu" or torch.compiler.is_compiling() or transformed():
        return convolve(F.relu_(norm(x)), w, bias, shape)
    if torch.is_autocast_enabled(x.device.type):
        half = torch.get_autocast_dtype(x.device.type)
        x, w, bias = x.to(half), w.to(half), None if bias is None else bias.to(half)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return _NormedConvolve.apply(x, norm.weight, norm.bias, w, bias, norm, shape)[0]


def _at_once(x: Tensor) -> int:
    return max(1, CHUNK // (x[0].numel() * x.itemsize))


def _activated(x: Tensor, a: Tensor, b: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """relu(a (x - mean) / sqrt(variance + eps) + b)."""
    return _norm(x, a, b, mean, variance, False, 0.0, eps)[0].relu_()


class _NormedConvolve(torch.autograd.Function):
    """C(relu(a norm(x) + b), w) + bias, and the batch's mean and variance, which carry no gradient."""

    @staticmethod
    def forward(
        x: Tensor,
        a: Tensor,
        b: Tensor,
        w: Tensor,
        bias: Tensor | None,
        norm: BatchNorm,
        shape: Shape,
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = torch.ops.aten.batch_norm_update_stats(x, norm.running_mean, norm.running_var, norm.momentum)
        rows, out = _at_once(x), None
        for at in range(0, len(x), rows):
            some = convolve(_activated(x[at : at + rows], a, b, mean, variance, norm.eps), w, bias, shape)
            if len(some) == len(x):
                return some, mean, variance
            if out is None:  # the layout of a sample's result, for all samples
                sizes, strides = some.shape[1:], some.stride()[1:]
                out = some.new_empty_strided((len(x), *sizes), (some[0].numel(), *strides))
            out[at : at + rows] = some
        assert out is not None, "there are no samples"
        return out, mean, variance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        x, a, b, w, _, norm, ctx.shape = inputs
        _, mean, variance = output
        ctx.eps = norm.eps
        ctx.mark_non_differentiable(mean, variance)
        ctx.save_for_backward(x, a, b, w, mean, variance)

    @staticmethod
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        of_w, of_bias = ctx.needs_input_grad[3:5]
        derivatives = _with_graph if torch.is_grad_enabled() else _in_chunks
        gx, ga, gb, gw = derivatives(g, _Saved(*ctx.saved_tensors), ctx.eps, ctx.shape, of_w)
        return gx, ga, gb, gw, g.sum((0, *range(2, g.dim()))) if of_bias else None, None, None


class _Saved(NamedTuple):
    """What the backward needs; a picture's worth is x alone."""

    x: Tensor
    a: Tensor
    b: Tensor
    w: Tensor
    mean: Tensor
    variance: Tensor


Derivatives = tuple[Tensor, Tensor, Tensor, Tensor | None]
"""In x, a, b and, where they are wanted, w."""


def _with_graph(g: Tensor, saved: _Saved, eps: float, shape: Shape, of_w: bool) -> Derivatives:
    """The derivatives by operations that can be differentiated again."""
    x, a, b, w, mean, variance = saved
    scale = (variance + eps).rsqrt()
    y = F.relu(_norm(x, a, b, None, None, True, 0.0, eps)[0])
    u = torch.ops.aten.threshold_backward(to_input(g, w, y, shape), y, 0)
    gx, ga, gb = _norm_backward(u, x, a, None, None, mean, scale, True, eps, [True, True, True])
    return gx, ga, gb, to_weight(g, y, w, shape) if of_w else None


def _in_chunks(g: Tensor, saved: _Saved, eps: float, shape: Shape, of_w: bool) -> Derivatives:
    """The same without a graph, some samples at a time.

    With u the gradient after the normalisation, and both means over samples and places,
    gx = a scale (u - mean(u) - scale (x - mean) mean(scale (x - mean) u)).
    """
    x, a, b, w, mean, variance = saved
    scale, rows = (variance + eps).rsqrt(), _at_once(x)
    gx, ga, gb = torch.empty_like(x), torch.zeros_like(a), torch.zeros_like(b)
    gw = torch.zeros_like(at_least_float32(w)) if of_w else None
    for some_g, some_x, u in zip(g.split(rows), x.split(rows), gx.split(rows), strict=True):
        y = _activated(some_x, a, b, mean, variance, eps)
        back, weights = transposes(some_g, y, w, shape, of_w)
        torch.ops.aten.threshold_backward.grad_input(back, y, 0, grad_input=u)
        _, some_a, some_b = _norm_backward(u, some_x, a, None, None, mean, scale, True, eps, [False, True, True])
        ga.add_(some_a)
        gb.add_(some_b)
        if gw is not None and weights is not None:
            gw.add_(weights)
    n = x.numel() // x.shape[1]
    factor = a * scale
    every = (-1, *[1] * (x.dim() - 2))
    factor, mean, tilt, level = (one.view(every) for one in (factor, mean, factor * scale * ga / -n, factor * gb / -n))
    for some_x, u in zip(x.split(rows), gx.split(rows), strict=True):
        rest = torch.addcmul(level, at_least_float32(some_x) - mean, tilt)
        u.copy_(rest.addcmul_(at_least_float32(u), factor))
    return gx, ga, gb, None if gw is None else gw.to(w.dtype)
