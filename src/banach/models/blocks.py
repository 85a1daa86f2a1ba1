"""Building blocks of the networks: resampling fused with convolutions, plain kernels, initialisation, output layers.

Pooling after a 3x3 convolution, and nearest upsampling before one, are each *one* convolution with a 4x4 kernel and
stride 2, exactly, borders and odd sizes included (zero padding, nothing nonlinear in between): per axis the kernel w
becomes w * [1, 1]. The parameters stay the plain 3x3 ones, so initialisation and checkpoints know nothing of it; the
work falls from 9 to 4 products a pixel in two dimensions. A 1x1 convolution commutes with both resamplings and runs
on the small side. Everything here is for 1, 2 or 3 spatial axes.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from banach.convolution import Shape, channels_last, convolve, transformed
from banach.errors import ModelError
from banach.models.normalised import BatchNorm, hooked, normed_convolve
from banach.models.padding import Padded, Padding, padded

Initialise = Callable[[Tensor, torch.Generator | None], Tensor]

_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def he_(w: Tensor, rng: torch.Generator | None) -> Tensor:
    """Fill with He's uniform initialisation, ±sqrt(6 / fan in), for a layer before a ReLU (He et al. 2015, eq. 10)."""
    return nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=rng)


def xavier_(w: Tensor, rng: torch.Generator | None) -> Tensor:
    """Fill with Glorot's uniform initialisation, ±sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010, eq. 16)."""
    return nn.init.xavier_uniform_(w, generator=rng)


def conv(
    x: Float[Tensor, "b in *n"], w: Float[Tensor, "out in *k"], bias: Float[Tensor, "out"] | None = None
) -> Float[Tensor, "b out *m"]:
    """Convolution that keeps the size (odd kernel, zero padding); x (b, in, *spatial), w (out, in, *kernel)."""
    return convolve(x, w, bias, _same(w))


def strided_conv(
    x: Float[Tensor, "b in *n"], w: Float[Tensor, "out in *k"], bias: Float[Tensor, "out"] | None = None
) -> Float[Tensor, "b out *m"]:
    """Convolution with stride 2 that halves an even size; w (out, in, *kernel) with kernel length 4 or 5."""
    return convolve(x, w, bias, _halving(w))


def transposed_conv(
    x: Float[Tensor, "b in *n"], w: Float[Tensor, "in out *k"], bias: Float[Tensor, "out"] | None = None
) -> Float[Tensor, "b out *m"]:
    """The adjoint map of `strided_conv`, which doubles every size; w (in, out, *kernel) with kernel length 4 or 5."""
    return convolve(x, w, bias, _doubling(w))


def conv_then_pool(
    x: Float[Tensor, "b in *n"], w: Float[Tensor, "out in *k"], bias: Float[Tensor, "out"] | None = None
) -> Float[Tensor, "b out *m"]:
    """Mean over pairs along each axis of `conv(x, w, bias)`, kernel length 3, as one convolution with stride 2.

    An odd size loses its last place, as in PyTorch's pooling.

    >>> x, w = torch.randn(1, 2, 6, 9, dtype=torch.float64), torch.randn(4, 2, 3, 3, dtype=torch.float64)
    >>> torch.allclose(conv_then_pool(x, w), torch.nn.functional.avg_pool2d(conv(x, w), 2))
    True
    """
    return strided_conv(x, _for_pooling(w), bias)


def upsample_then_conv(
    x: Float[Tensor, "b in *n"], w: Float[Tensor, "out in *k"], bias: Float[Tensor, "out"] | None = None
) -> Float[Tensor, "b out *m"]:
    """`conv` of x with every entry doubled along each axis, for a kernel of length 3, as one transposed convolution.

    >>> x, w = torch.randn(1, 2, 3, 5, dtype=torch.float64), torch.randn(4, 2, 3, 3, dtype=torch.float64)
    >>> torch.allclose(upsample_then_conv(x, w), conv(upsample(x), w))
    True
    """
    return transposed_conv(x, _for_upsampling(w), bias)


def _around(x: Tensor, w: Tensor, bias: Tensor | None, shape: Shape, padding: Padding) -> Tensor:
    """convolve(x, w, bias, shape), but with what `padding` says around x in place of zeros.

    A transposed convolution with a kernel of length 4 or 5 sees one place beyond the border, which makes two at each
    end of its result; they are cut off by as much more padding of the convolution.
    """
    if not padding:
        return convolve(x, w, bias, shape)
    if shape.transposed:
        return convolve(padded(x, padding, 1), w, bias, replace(shape, padding=shape.padding + 2))
    return convolve(padded(x, padding, shape.padding), w, bias, replace(shape, padding=0))


def _same(w: Tensor) -> Shape:
    return Shape(1, w.shape[2] // 2)


def _halving(w: Tensor) -> Shape:
    return Shape(2, (w.shape[2] - 1) // 2)


def _doubling(w: Tensor) -> Shape:
    return Shape(2, (w.shape[2] - 1) // 2, True, w.shape[2] % 2)


def _for_pooling(w: Float[Tensor, "out in *k"]) -> Float[Tensor, "out in *m"]:
    return widened(w) * 0.5 ** (w.dim() - 2)


def _for_upsampling(w: Float[Tensor, "out in *k"]) -> Float[Tensor, "in out *m"]:
    return widened(w).flip(tuple(range(2, w.dim()))).transpose(0, 1)


def pool(x: Float[Tensor, "b c *n"]) -> Float[Tensor, "b c *m"]:
    """Mean over pairs along each spatial axis, (b, c, *n) to (b, c, *n // 2)."""
    return _POOL[x.dim() - 2](x, 2) if torch.compiler.is_compiling() else _Pool.apply(x)


class _Pool(torch.autograd.Function):
    """The map of `pool`. It is linear: where PyTorch makes zeros of its second derivative, here there is nothing."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return _POOL[x.dim() - 2](x, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.sizes = inputs[0].shape[2:]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Tensor | None:
        return None if g is None else _Spread.apply(g, ctx.sizes)

    @staticmethod
    def jvp(ctx: Any, t: Tensor) -> Tensor:
        return _Pool.apply(t)


class _Spread(torch.autograd.Function):
    """The transpose of `pool`: every entry to its pair along each axis, in equal parts; a last odd place gets 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(g: Tensor, sizes: torch.Size) -> Tensor:
        spread = upsample(g * 0.5 ** len(sizes))
        odd = [one - 2 * half for one, half in zip(sizes, g.shape[2:], strict=True)]
        return F.pad(spread, [pad for one in reversed(odd) for pad in (0, one)]) if any(odd) else spread

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, torch.Size], output: Tensor) -> None:
        ctx.sizes = inputs[1]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, u: Tensor | None) -> tuple[Tensor | None, None]:
        return None if u is None else _Pool.apply(u), None

    @staticmethod
    def jvp(ctx: Any, t: Tensor, _: None) -> Tensor:
        return _Spread.apply(t, ctx.sizes)


def upsample(x: Float[Tensor, "b c *n"]) -> Float[Tensor, "b c *m"]:
    """Every entry doubled along each spatial axis (nearest neighbour), (b, c, *n) to (b, c, *2n)."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def add_upsampled_(h: Float[Tensor, "b c *m"], x: Float[Tensor, "b c *n"]) -> Float[Tensor, "b c *m"]:
    """h + `upsample(x)`, written into h, without an upsampled copy."""
    if torch.jit.is_tracing() or transformed():  # which have no functions that write into what they are given
        return h + upsample(x)
    return _AddUpsampled.apply(h, x)


class _AddUpsampled(torch.autograd.Function):
    """The map of `add_upsampled_`; its transpose sums where pooling takes the mean."""

    @staticmethod
    def forward(h: Tensor, x: Tensor) -> Tensor:
        _in_pairs(h).add_(_in_pairs(x, 1))
        return h

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.mark_dirty(inputs[0])

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, 2.0 ** (g.dim() - 2) * pool(g)


def _in_pairs(x: Tensor, length: int = 2) -> Tensor:
    """Every spatial axis as two, the second of this length: (b, c, *n) to (b, c, n1 / length, length, ...)."""
    for axis in range(2, 2 * x.dim() - 2, 2):
        x = x.unflatten(axis, (-1, length))
    return x


def widened(w: Float[Tensor, "out in *k"]) -> Float[Tensor, "out in *m"]:
    """w * [1, 1] along each spatial axis: a kernel of length 3 becomes one of length 4."""
    for last in range(w.dim() - 2):  # F.pad counts axes from the last one
        pads = [0] * (2 * last)
        w = F.pad(w, [*pads, 0, 1]) + F.pad(w, [*pads, 1, 0])
    return w


def in_single_precision(x: Tensor) -> Tensor:
    """x as float32 if it is in half precision, else x itself."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _Kernel(Padded, abc.ABC):
    """A plain kernel (out, in, *[kernel]) with a bias that starts at zero, without a word on how it is applied."""

    def __init__(
        self, axes: int, n_in: int, n_out: int, rng: torch.Generator | None, init: Initialise = he_, kernel: int = 3
    ):
        super().__init__()
        self.weight = nn.Parameter(init(torch.empty(n_out, n_in, *[kernel] * axes), rng))
        self.bias = nn.Parameter(torch.zeros(n_out))

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor: ...

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, kernel={tuple(self.weight.shape[2:])}"


def _after(norm: BatchNorm, x: Tensor, layer: Padded, w: Tensor, shape: Shape) -> Tensor:
    """layer(relu(norm(x))), where the layer is the convolution of this shape with w and the layer's bias."""
    if hooked(layer, norm) or layer.padding:
        return layer(F.relu_(norm(x)))
    return normed_convolve(norm, x, w, layer.bias, shape)  # pyright: ignore[reportArgumentType]


class Conv(_Kernel):
    """`conv` with its parameters."""

    def forward(self, x: Tensor) -> Tensor:
        return _around(x, self.weight, self.bias, _same(self.weight), self.padding)

    def after(self, norm: BatchNorm, x: Tensor) -> Tensor:
        """self(relu(norm(x))), which saves only x for the backward pass where zeros lie around it."""
        return _after(norm, x, self, self.weight, _same(self.weight))


class ConvThenPool(_Kernel):
    """`conv_then_pool` with its plain parameters; `fused` False takes the two steps one after the other."""

    fused: bool = True

    def forward(self, x: Tensor) -> Tensor:
        if self.fused:
            w = _for_pooling(self.weight)
            return _around(x, w, self.bias, _halving(w), self.padding)
        return pool(_around(x, self.weight, self.bias, _same(self.weight), self.padding))


class UpsampleThenConv(_Kernel):
    """`upsample_then_conv` with its plain parameters; `fused` False takes the two steps one after the other."""

    fused: bool = True

    def forward(self, x: Tensor) -> Tensor:
        if self.fused:
            w = _for_upsampling(self.weight)
            return _around(x, w, self.bias, _doubling(w), self.padding)
        return _around(upsample(x), self.weight, self.bias, _same(self.weight), self.padding)

    def after(self, norm: BatchNorm, x: Tensor) -> Tensor:
        """self(relu(norm(x))), which saves only x for the backward pass if `fused`."""
        if not self.fused:
            return self(F.relu_(norm(x)))
        w = _for_upsampling(self.weight)
        return _after(norm, x, self, w, _doubling(w))


class InLayout(nn.Module, abc.ABC):
    """A network of convolutions, which works in channels-last or in the caller's memory layout."""

    channels_last: bool = True

    def laid(self, x: Tensor) -> Tensor:
        """x in the network's layout."""
        return channels_last(x) if self.channels_last else x


@dataclass(frozen=True)
class Forms:
    """How convolutions are computed: results differ by rounding only; the defaults were measured on CPUs."""

    fused: bool = True
    channels_last: bool = True

    def __str__(self) -> str:
        resampling = "fused" if self.fused else "plain"
        return f"{resampling} resampling, {'channels-last' if self.channels_last else 'contiguous'}"


def set_forms_(network: nn.Module, forms: Forms) -> None:
    """Set how all convolutions of a network are computed."""
    for one in network.modules():
        if isinstance(one, ConvThenPool | UpsampleThenConv):
            one.fused = forms.fused
        if isinstance(one, InLayout):
            one.channels_last = forms.channels_last


class StridedConv(_Kernel):
    """`strided_conv` with its parameters."""

    def forward(self, x: Tensor) -> Tensor:
        return _around(x, self.weight, self.bias, _halving(self.weight), self.padding)


class TransposedConv(Padded):
    """`transposed_conv` with its parameters, the kernel laid out (in, out, *[kernel])."""

    def __init__(self, axes: int, n_in: int, n_out: int, rng: torch.Generator | None, kernel: int):
        super().__init__()
        # An output sees in * (kernel / 2)^axes inputs: that is the fan in, where PyTorch takes out * kernel^axes.
        bound = (6 * 2**axes / (n_in * kernel**axes)) ** 0.5
        self.weight = nn.Parameter(torch.empty(n_in, n_out, *[kernel] * axes).uniform_(-bound, bound, generator=rng))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return _around(x, self.weight, self.bias, _doubling(self.weight), self.padding)

    def after(self, norm: BatchNorm, x: Tensor) -> Tensor:
        """self(relu(norm(x))), which saves only x for the backward pass."""
        return _after(norm, x, self, self.weight, _doubling(self.weight))


def linear(n_in: int, n_out: int, rng: torch.Generator | None, init: Initialise = xavier_) -> nn.Linear:
    """A dense layer with the given initialisation and zero bias, drawn from `rng` alone."""
    layer = nn.Linear(n_in, n_out, device="meta").to_empty(device=torch.get_default_device())
    init(layer.weight, rng)
    nn.init.zeros_(layer.bias)
    return layer


def batch_norm(axes: int, channels: int) -> BatchNorm:
    """Batch normalisation with scale and centre, eps 1e-5, averages with decay 0.9 (the published constants)."""
    return _BATCH_NORM[axes](channels, eps=1e-5, momentum=0.1)


class Score(nn.Module):
    """A critic's last layer: features (b, n) to one number each (b,), in single precision at least.

    The gap of a critic is a small difference of large means, for which bfloat16's three digits are not enough.
    """

    def __init__(self, features: int, rng: torch.Generator | None):
        super().__init__()
        self.layer = linear(features, 1, rng)

    def forward(self, h: Tensor) -> Tensor:
        with torch.autocast(h.device.type, enabled=False):
            return self.layer(in_single_precision(h)).squeeze(1)


class Finish(nn.Module):
    """A generator's last step: "tanh" into [-1, 1], or "linear" as it is, in single precision at least."""

    def __init__(self, output: str):
        super().__init__()
        if output not in ("tanh", "linear"):
            raise ModelError(f'unknown output {output!r}; "tanh" (data in [-1, 1]) or "linear" (any numbers)')
        self.output = output

    def forward(self, h: Tensor) -> Tensor:
        h = in_single_precision(h)
        return h.tanh() if self.output == "tanh" else h

    def extra_repr(self) -> str:
        return self.output
