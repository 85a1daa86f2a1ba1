"""ReLU and LeakyReLU without a second derivative (None), where PyTorch computes a tensor of zeros.

A gradient penalty differentiates twice. A piecewise linear activation has the derivative 0 or 1 (or its slope) almost
everywhere, whose own derivative is 0: PyTorch makes those zeros and sends them back through the whole forward pass of
the penalty's points, layer by layer, to add zeros to the gradients of the weights. Here that pass is not made, which
saves a sixth of a critic's arithmetic. All other numbers are the same, bit for bit.

What does not depend on a thing has no gradient then (None), as PyTorch says it where nothing is connected: the penalty
alone in a hidden bias, or a second derivative of the scores in x. `autograd.grad` wants `allow_unused=True` for it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_relu_backward = torch.ops.aten.threshold_backward
_leaky_backward = torch.ops.aten.leaky_relu_backward


class ReLU(nn.ReLU):
    """max(x, 0).

    >>> ReLU()(torch.tensor([-1.0, 2.0], requires_grad=True)).tolist()
    [0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return _activated(input, 0.0, self.inplace)


class LeakyReLU(nn.LeakyReLU):
    """x where x > 0, slope x elsewhere.

    >>> LeakyReLU(0.5)(torch.tensor([-1.0, 2.0], requires_grad=True)).tolist()
    [-0.5, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return _activated(input, self.negative_slope, self.inplace)


def _activated(x: Tensor, slope: float, inplace: bool) -> Tensor:
    unaware = torch.jit.is_tracing() or torch.compiler.is_compiling()
    folds = slope < 0  # the value does not tell the side then
    if unaware or folds or not (x.requires_grad and torch.is_grad_enabled()):
        return F.leaky_relu(x, slope, inplace) if slope else F.relu(x, inplace)
    return (_ActivateInPlace if inplace else _Activate).apply(x, slope)


def _masked(g: Tensor, y: Tensor, slope: float) -> Tensor:
    """g times the activation's derivative, which its value y tells."""
    return _leaky_backward(g, y, slope, True) if slope else _relu_backward(g, y, 0)


class _Activate(torch.autograd.Function):
    """The activation with this slope left of 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, slope: float) -> Tensor:
        return F.leaky_relu(x, slope) if slope else F.relu(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.slope = inputs[1]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> tuple[Tensor | None, None]:
        return None if g is None else _Mask.apply(g, ctx.saved_tensors[0], ctx.slope), None

    @staticmethod
    def jvp(ctx: Any, t: Tensor, _: None) -> Tensor:
        return _Mask.apply(t, ctx.saved_tensors[0], ctx.slope)


class _ActivateInPlace(_Activate):
    """The same, written over its argument."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor, slope: float) -> Tensor:
        return F.leaky_relu_(x, slope) if slope else F.relu_(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.mark_dirty(inputs[0])
        _Activate.setup_context(ctx, inputs, output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, None], x: Tensor, slope: float) -> tuple[Tensor, int | None]:
        return _ActivateInPlace.apply(x, slope), in_dims[0]

    @staticmethod
    def jvp(ctx: Any, t: Tensor, _: None) -> Tensor:
        return t.copy_(_masked(t, ctx.saved_tensors[0], ctx.slope))


class _Mask(torch.autograd.Function):
    """g times the activation's derivative at the place where it has the value y: linear in g, and constant in y."""

    generate_vmap_rule = True

    @staticmethod
    def forward(g: Tensor, y: Tensor, slope: float) -> Tensor:
        return _masked(g, y, slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
        _, y, ctx.slope = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(y)
        ctx.save_for_forward(y)

    @staticmethod
    def backward(ctx: Any, u: Tensor | None) -> tuple[Tensor | None, None, None]:
        return None if u is None else _Mask.apply(u, ctx.saved_tensors[0], ctx.slope), None, None

    @staticmethod
    def jvp(ctx: Any, t: Tensor | None, *_: Any) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.zeros_like(y) if t is None else _Mask.apply(t, y, ctx.slope)
