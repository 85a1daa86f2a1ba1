"""How a critic is evaluated, and how much of it may be in half precision, so that a penalty's gradient is within 2e-2.

Rounding to bfloat16 turns one ReLU in a thousand to the other side. The penalty's gradient in the weights feels that
most where the dual norm weighs the rough part of a slope or its extremes, and then most of its error is this
(`python -m benchmarks.precision --everywhere`). Where a norm has an exponent below 1.5 in it, its dual has one above 3:
few entries of the slope rule it, and rounding makes them others.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from banach import convolution
from banach.norms.structure import Leaf, leaves
from banach.numerics import at_least_float32
from banach.operators import Bessel
from banach.spaces import Metric, Space

Critic = Callable[[Tensor], Tensor]

SHARP = 1.5
"""The exponent below which nothing of a penalty is taken in half precision."""


@dataclass(frozen=True)
class Evaluation:
    """How a network D is evaluated: in full precision, in half, or with half precision in its derivatives alone.

    `function` is D in full precision, and `network` the module behind it, for penalties that look at its layers. `half`
    is the type of half precision, None for none. Values and input gradients are float32 at least. float16 has 5 bits of
    exponent, and derivatives of a network fall below its smallest number: with a `scaler` they are taken of scale f.
    bfloat16 has the range of float32. With `gamma` the values are those of f = D / gamma.
    """

    function: Critic
    network: nn.Module | None = None
    half: torch.dtype | None = None
    derivatives_only: bool = False
    scaler: torch.amp.GradScaler | None = None
    gamma: float | Tensor | None = None

    @property
    def full_precision(self) -> "Evaluation":
        """The same in single precision."""
        return replace(self, half=None, scaler=None)

    @property
    def half_derivatives(self) -> "Evaluation":
        """The same in single precision, but for the convolutions of this package in its derivatives."""
        return replace(self, derivatives_only=True)

    def scaled(self, gamma: float | Tensor) -> "Evaluation":
        """f = D / gamma, in float32 at least."""
        return replace(self, gamma=gamma)

    def loss_scale(self, like: Tensor) -> Tensor | None:
        """The scaler's present factor, on the device of `like`; None where derivatives need none."""
        if self.scaler is None or not self.scaler.is_enabled():
            return None
        factor = self.scaler.scale(torch.ones((), device=like.device))
        assert isinstance(factor, Tensor)
        return factor

    def __call__(self, x: Tensor) -> Tensor:
        y = self._values(x)
        return y if self.gamma is None else at_least_float32(y) / self.gamma

    def _values(self, x: Tensor) -> Tensor:
        if self.half is None:
            return self.function(x)
        if self.derivatives_only:
            with convolution.half_derivatives(self.half):
                return self.function(x)
        with torch.autocast(x.device.type, self.half):
            y = self.function(x)
        return y.float()


def evaluation_of(f: Critic) -> Evaluation:
    """f itself if it is an `Evaluation`; any other function or module is evaluated as it is."""
    if isinstance(f, Evaluation):
        return f
    return Evaluation(f, f if isinstance(f, nn.Module) else None)


def critic_for_penalty(f: Critic, space: Metric) -> Critic:
    """The critic as a penalty on its gradient sees it; unchanged unless it is in half precision.

    In L^2, and in Sobolev spaces W^(s,2) with |s| <= 1, that is f. In other norms it is `f.half_derivatives`:
    activations open and close as in single precision, and the derivatives of this package's convolutions are computed
    in half (dense layers, and convolutions of torch, are in single precision there). In norms with an exponent below
    1.5 it is `f.full_precision`.
    """
    if not isinstance(f, Evaluation) or f.half is None:
        return f
    form = space.form() if isinstance(space, Space) else None
    parts = [] if form is None else list(leaves(form))
    if parts and all(_mild(leaf) for leaf in parts):
        return f
    sharp = any(leaf.p < SHARP for leaf in parts)
    return f.full_precision if sharp else f.half_derivatives


def _mild(leaf: Leaf) -> bool:
    return leaf.p == 2 and all(isinstance(one, Bessel) and abs(one.s) <= 1 for one in leaf.maps)
