"""Convolutions whose derivatives of every order are again fast convolutions, for penalties on gradients.

PyTorch differentiates a convolution's derivative in its weights by a convolution that exchanges samples and channels,
for which it copies both arguments. Here three maps, each linear in two arguments, form a closed family: the convolution
C(x, w), its transpose in x and its transpose in w. The derivative of each is made of the other two, so a double
backward runs on the same kernels as a single one. The numbers are the same but for rounding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

_convolution = torch.ops.aten.convolution.default
_backward = torch.ops.aten.convolution_backward.default


@dataclass(frozen=True)
class Shape:
    """How a convolution moves, the same along every axis. (A tuple would be several arguments to torch.func.)"""

    stride: int
    padding: int
    transposed: bool = False
    output_padding: int = 0

    def arguments(self, axes: int) -> tuple[list[int], list[int], list[int], bool, list[int], int]:
        """Stride, padding, dilation, transposed, output padding, groups, as PyTorch takes them."""
        return (
            [self.stride] * axes,
            [self.padding] * axes,
            [1] * axes,
            self.transposed,
            [self.output_padding] * axes,
            1,
        )


def convolve(
    x: Float[Tensor, "b in *n"], w: Float[Tensor, "a c *k"], bias: Float[Tensor, "out"] | None, shape: Shape
) -> Float[Tensor, "b out *m"]:
    """torch's convolution of x with w (out, in, *kernel), or (in, out, *kernel) if transposed, in 1, 2 or 3 axes.

    >>> x, w = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3)
    >>> torch.equal(convolve(x, w, None, Shape(1, 1)), torch.conv2d(x, w, padding=1))
    True
    """
    if torch.compiler.is_compiling():
        return _convolution(x, w, bias, *shape.arguments(w.dim() - 2))
    if (half := _HALF.get()) is not None:
        return _HalfDerivatives.apply(x, w, bias, shape, half)
    if x.device.type != "cpu":
        return _convolution(x, w, bias, *shape.arguments(w.dim() - 2))
    if torch.is_autocast_enabled(x.device.type):
        half = torch.get_autocast_dtype(x.device.type)
        x, w, bias = x.to(half), w.to(half), None if bias is None else bias.to(half)
    return _Convolve.apply(x, w, bias, shape)


_HALF: ContextVar[torch.dtype | None] = ContextVar("half_derivatives", default=None)


@contextmanager
def half_derivatives(dtype: torch.dtype) -> Iterator[None]:
    """Inside, convolutions keep their precision, and those of their derivatives are computed in this type.

    What a network's activations let through is then what they let through without half precision, where a penalty's
    gradient is most sensitive to rounding, and three of its four convolutions for each layer are as quick.
    """
    before = _HALF.set(dtype)
    try:
        yield
    finally:
        _HALF.reset(before)


def channels_last(x: Tensor) -> Tensor:
    """The same numbers in channels-last layout, if they are pictures; no copy if they are already so.

    Convolutions on a CPU like it best (measured: up to twice as fast in float32, and no repacking in the double
    backward).
    """
    if x.dim() != 4:
        return x
    if x.shape[1] == 1:  # both layouts at once; only these strides make the convolutions answer in channels-last
        return x.reshape(x.shape[0], *x.shape[2:], 1).movedim(-1, 1)
    if transformed():
        return x.movedim(1, -1).contiguous().movedim(-1, 1)
    return x.contiguous(memory_format=torch.channels_last)


def _lies_last(x: Tensor) -> bool:
    picture = x.dim() == 4 and x.shape[1] > 1 and not transformed()
    return picture and x.is_contiguous(memory_format=torch.channels_last)


def transformed() -> bool:
    """Whether a transform of torch.func is at work, whose vmap knows no memory formats, or forward derivatives are."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def to_input(g: Tensor, w: Tensor, x: Tensor, shape: Shape) -> Tensor:
    """The u with <u, x> = <g, C(x, w)> for every x, differentiable in g and w; `x` gives its shape only."""
    return _ToInput.apply(g, w, x, shape)


def to_weight(g: Tensor, x: Tensor, w: Tensor, shape: Shape) -> Tensor:
    """The v with <v, w> = <g, C(x, w)> for every w, differentiable in g and x; `w` gives its shape only."""
    return _ToWeight.apply(g, x, w, shape)


def transposes(g: Tensor, x: Tensor, w: Tensor, shape: Shape, of_w: bool) -> tuple[Tensor, Tensor | None]:
    """Both at once, without a graph; the second is None unless it is wanted."""
    return _backward(g, x, w, None, *shape.arguments(w.dim() - 2), [True, of_w, False])[:2]


_INPUTS_ONLY: ContextVar[bool] = ContextVar("of_inputs_only", default=False)


@contextmanager
def of_inputs_only() -> Iterator[None]:
    """Inside, derivatives are taken in the data only; those in weights and biases are None.

    For `autograd.grad` of a network in its input, which otherwise computes the others to throw them away.
    """
    before = _INPUTS_ONLY.set(True)
    try:
        with torch.autograd.set_multithreading_enabled(False):  # a device's own thread has another context
            yield
    finally:
        _INPUTS_ONLY.reset(before)


def _of_weights(needed: bool) -> bool:
    return needed and not _INPUTS_ONLY.get()


class _Convolve(torch.autograd.Function):
    """C(x, w) + bias."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, bias: Tensor | None, shape: Shape) -> Tensor:
        out = _convolution(x, w, bias, *shape.arguments(w.dim() - 2))
        return out.clone() if transformed() else out  # vmap answers with a view, in which a ReLU could not write

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, ctx.shape = inputs
        ctx.sizes = output.shape
        ctx.save_for_backward(x, w)
        ctx.save_for_forward(x, w)
        ctx.set_materialize_grads(False)  # a derivative that is nothing stays so: no products with zeros

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> tuple[Tensor | None, ...]:
        if g is None:
            return None, None, None, None
        (x, w), (of_x, of_w, of_bias, _) = ctx.saved_tensors, ctx.needs_input_grad
        gx = _ToInput.apply(g, w, x, ctx.shape) if of_x else None
        gw = gb = None
        if _of_weights(of_w):
            gw = _ToWeight.apply(g, x, w, ctx.shape)
        if _of_weights(of_bias):
            gb = g.sum((0, *range(2, g.dim())))
        return gx, gw, gb, None

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, dw: Tensor | None, db: Tensor | None, _: None) -> Tensor:
        x, w = ctx.saved_tensors
        of_x = None if dx is None else _Convolve.apply(dx, w, None, ctx.shape)
        of_w = None if dw is None else _Convolve.apply(x, dw, None, ctx.shape)
        of_bias = None if db is None else db.view(-1, *[1] * (x.dim() - 2)).expand(ctx.sizes)
        return _sum(of_x, of_w, of_bias, zeros=lambda: x.new_zeros(ctx.sizes))


class _HalfDerivatives(torch.autograd.Function):
    """C(x, w) + bias, whose derivatives are computed in half precision and given in that of x and w."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, bias: Tensor | None, shape: Shape, half: torch.dtype) -> Tensor:
        return _convolution(x, w, bias, *shape.arguments(w.dim() - 2))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, ctx.shape, ctx.half = inputs
        ctx.save_for_backward(x, w)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> tuple[Tensor | None, ...]:
        if g is None:
            return None, None, None, None, None
        (x, w), (of_x, of_w, of_bias, _, _) = ctx.saved_tensors, ctx.needs_input_grad
        low, gx, gw, gb = g.to(ctx.half), None, None, None
        if of_x:
            gx = _ToInput.apply(low, w.to(ctx.half), torch.empty_like(x, dtype=ctx.half), ctx.shape).to(x.dtype)
        if _of_weights(of_w):
            gw = _ToWeight.apply(low, x.to(ctx.half), torch.empty_like(w, dtype=ctx.half), ctx.shape).to(w.dtype)
        if _of_weights(of_bias):
            gb = g.sum((0, *range(2, g.dim())))
        return gx, gw, gb, None, None


class _ToInput(torch.autograd.Function):
    """The transpose of x -> C(x, w): g -> the u with <u, x> = <g, C(x, w)>; `x` gives its shape only."""

    generate_vmap_rule = True

    @staticmethod
    def forward(g: Tensor, w: Tensor, x: Tensor, shape: Shape) -> Tensor:
        return _backward(g, x, w, None, *shape.arguments(w.dim() - 2), [True, False, False])[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        g, w, x, ctx.shape = inputs
        ctx.sizes = x.shape
        ctx.save_for_backward(g, w)
        ctx.save_for_forward(g, w)  # vmap bears no others than those for the backward
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, u: Tensor | None) -> tuple[Tensor | None, ...]:
        if u is None:
            return None, None, None, None
        (g, w), (of_g, of_w, _, _) = ctx.saved_tensors, ctx.needs_input_grad
        if _lies_last(g):
            u = channels_last(u)  # a penalty's derivative in the picture comes in the caller's layout
        gg = _Convolve.apply(u, w, None, ctx.shape) if of_g else None
        gw = _ToWeight.apply(g, u, w, ctx.shape) if _of_weights(of_w) else None
        return gg, gw, None, None

    @staticmethod
    def jvp(ctx: Any, dg: Tensor | None, dw: Tensor | None, *_: Any) -> Tensor:
        (g, w), x = ctx.saved_tensors, _of_size(ctx.sizes, ctx.saved_tensors[0])
        of_g = None if dg is None else _ToInput.apply(dg, w, x, ctx.shape)
        of_w = None if dw is None else _ToInput.apply(g, dw, x, ctx.shape)
        return _sum(of_g, of_w, zeros=lambda: torch.zeros_like(x))


class _ToWeight(torch.autograd.Function):
    """The transpose of w -> C(x, w): g -> the v with <v, w> = <g, C(x, w)>; `w` gives its shape only."""

    generate_vmap_rule = True

    @staticmethod
    def forward(g: Tensor, x: Tensor, w: Tensor, shape: Shape) -> Tensor:
        return _backward(g, x, w, None, *shape.arguments(w.dim() - 2), [False, True, False])[1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        g, x, w, ctx.shape = inputs
        ctx.sizes = w.shape
        ctx.save_for_backward(g, x)
        ctx.save_for_forward(g, x)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, v: Tensor | None) -> tuple[Tensor | None, ...]:
        if v is None:
            return None, None, None, None
        (g, x), (of_g, of_x, _, _) = ctx.saved_tensors, ctx.needs_input_grad
        gg = _Convolve.apply(x, v, None, ctx.shape) if of_g else None
        gx = _ToInput.apply(g, v, x, ctx.shape) if of_x else None
        return gg, gx, None, None

    @staticmethod
    def jvp(ctx: Any, dg: Tensor | None, dx: Tensor | None, *_: Any) -> Tensor:
        (g, x), w = ctx.saved_tensors, _of_size(ctx.sizes, ctx.saved_tensors[0])
        of_g = None if dg is None else _ToWeight.apply(dg, x, w, ctx.shape)
        of_x = None if dx is None else _ToWeight.apply(g, dx, w, ctx.shape)
        return _sum(of_g, of_x, zeros=lambda: torch.zeros_like(w))


def _of_size(sizes: torch.Size, like: Tensor) -> Tensor:
    """A tensor that gives its shape only."""
    return like.new_zeros(1).expand(sizes)


def _sum(*parts: Tensor | None, zeros: Callable[[], Tensor]) -> Tensor:
    """The sum of those that are there; `zeros()` is the sum of none."""
    there = [one for one in parts if one is not None]
    return sum(there[1:], there[0]) if there else zeros()
