"""DCGAN networks (Radford, Metz and Chintala 2016) with the constants of igul222's gan_cifar.py in its wgan-gp mode.

At 32x32, width 128: dense to 512 x 4 x 4, norm, ReLU, transposed convolutions to 256, 128 and the channels; the
critic mirrors it with LeakyReLU(0.2) and, unlike the original, *no batch normalisation*: a gradient penalty needs
each sample's own gradient. Sizes base * 2^k have k layers; the number of channels doubles from one to the next, up to
8 times the width. The kernel has length 5 as published, or 4, which is cheaper and covers every place equally often
(no checkerboard). Padding is even on both sides, where TensorFlow's "SAME" pads 1 before and 2 after at kernel 5: a
shift by one place, learnt away.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.models.activations import LeakyReLU
from banach.models.blocks import Finish, InLayout, Score, StridedConv, TransposedConv, batch_norm, he_, linear
from banach.models.sizes import halvings

SLOPE = 0.2


def _widths(width: int, k: int) -> list[int]:
    """Channels of the k levels from the finest to the coarsest: width, 2 width, 4 width, then 8 width."""
    return [width * min(2**i, 8) for i in range(k)]


class DCGANGenerator(InLayout):
    """z (b, z) to samples (b, channels, *spatial): dense, then k times norm, ReLU, transposed convolution."""

    def __init__(
        self, shape: tuple[int, ...], z: int, width: int, output: str, rng: torch.Generator | None, kernel: int = 5
    ):
        super().__init__()
        axes = len(shape) - 1
        base, k = halvings(shape[1:], least=1)
        widths = _widths(width, k)[::-1]
        self.z, self.shape = z, shape
        self._start = (widths[0], *base)
        self.dense = linear(z, math.prod(self._start), rng)
        self.norms = nn.ModuleList(batch_norm(axes, n) for n in widths)
        outs = [*widths[1:], shape[0]]
        self.convs = nn.ModuleList(
            TransposedConv(axes, n_in, n_out, rng, kernel) for n_in, n_out in zip(widths, outs, strict=True)
        )
        self.finish = Finish(output)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b *shape"]:
        h = self.laid(self.dense(z).unflatten(1, self._start))
        for norm, up in zip(self.norms, self.convs, strict=True):
            h = up.after(norm, h)  # pyright: ignore[reportCallIssue]
        return self.finish(h)


class DCGANCritic(InLayout):
    """x (b, channels, *spatial) to D(x) (b,): k convolutions with stride 2 and LeakyReLU(0.2), then a dense layer."""

    def __init__(self, shape: tuple[int, ...], width: int, rng: torch.Generator | None, kernel: int = 5):
        super().__init__()
        base, k = halvings(shape[1:], least=1)
        widths = _widths(width, k)
        ins = [shape[0], *widths[:-1]]
        self.shape = shape
        self.convs = nn.ModuleList(
            StridedConv(len(shape) - 1, n_in, n_out, rng, he_, kernel) for n_in, n_out in zip(ins, widths, strict=True)
        )
        self.activation = LeakyReLU(SLOPE, inplace=True)
        self.score = Score(widths[-1] * math.prod(base), rng)

    def forward(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        h = self.laid(x)
        for conv in self.convs:
            h = self.activation(conv(h))
        return self.score(h.movedim(1, -1).flatten(1))  # channels last: no copy in the fast layout
