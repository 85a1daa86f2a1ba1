"""The residual networks of the published code (adler-j/bwgan, after igul222's gan_cifar_resnet.py).

Where the appendix of "Banach Wasserstein GAN" (Adler and Lunz 2018) differs, the code is followed: batch
normalisation comes *before* each ReLU, and the generator's last convolution is 3x3. At 32x32 generator and critic
have three up blocks, and two down and two plain blocks; at 64x64 (CelebA) each has a block more. Unconditional, width
128, 32x32x3: 1,204,483 and 1,053,825 parameters.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.models.activations import ReLU
from banach.models.blocks import (
    Conv,
    ConvThenPool,
    Finish,
    InLayout,
    Score,
    UpsampleThenConv,
    add_upsampled_,
    batch_norm,
    in_single_precision,
    linear,
    pool,
    xavier_,
)
from banach.models.sizes import critic_halvings, halvings

Rng = torch.Generator | None


class _Up(nn.Module):
    """(b, width, *n) to (b, width, *2n): norm, ReLU, upsample, conv, norm, ReLU, conv, plus upsampled 1x1."""

    def __init__(self, axes: int, width: int, rng: Rng):
        super().__init__()
        self.norm1, self.norm2 = batch_norm(axes, width), batch_norm(axes, width)
        self.conv1 = UpsampleThenConv(axes, width, width, rng)
        self.conv2 = Conv(axes, width, width, rng)
        self.shortcut = Conv(axes, width, width, rng, xavier_, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2.after(self.norm2, self.conv1.after(self.norm1, x))
        return add_upsampled_(h, self.shortcut(x))


class First(nn.Module):
    """(b, channels, *n) to (b, width, *n // 2): conv, ReLU, conv, pool, plus pooled 1x1; no ReLU before."""

    def __init__(self, axes: int, channels: int, width: int, rng: Rng):
        super().__init__()
        self.conv1, self.conv2 = Conv(axes, channels, width, rng), ConvThenPool(axes, width, width, rng)
        self.between = ReLU(inplace=True)
        self.shortcut = Conv(axes, channels, width, rng, xavier_, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.between(self.conv1(x))).add_(self.shortcut(pool(x)))


class FirstPlain(nn.Module):
    """The first block for small pictures: as `First`, without the pooling."""

    def __init__(self, axes: int, channels: int, width: int, rng: Rng):
        super().__init__()
        self.conv1, self.conv2 = Conv(axes, channels, width, rng), Conv(axes, width, width, rng)
        self.between = ReLU(inplace=True)
        self.shortcut = Conv(axes, channels, width, rng, xavier_, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.between(self.conv1(x))).add_(self.shortcut(x))


class Down(nn.Module):
    """(b, width, *n) to (b, width, *n // 2): ReLU, conv, ReLU, conv, pool, plus the 1x1 of the pooled input."""

    def __init__(self, axes: int, width: int, rng: Rng):
        super().__init__()
        self.conv1, self.conv2 = Conv(axes, width, width, rng), ConvThenPool(axes, width, width, rng)
        self.before, self.between = ReLU(), ReLU(inplace=True)
        self.shortcut = Conv(axes, width, width, rng, xavier_, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.between(self.conv1(self.before(x)))).add_(self.shortcut(pool(x)))


class Plain(nn.Module):
    """(b, width, *n) to itself: ReLU, conv, ReLU, conv, plus the input."""

    def __init__(self, axes: int, width: int, rng: Rng):
        super().__init__()
        self.conv1, self.conv2 = Conv(axes, width, width, rng), Conv(axes, width, width, rng)
        self.before, self.between = ReLU(), ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.between(self.conv1(self.before(x)))).add_(x)


class ResNetGenerator(InLayout):
    """z (b, z) to samples (b, channels, *spatial): dense to width x base, k up blocks, norm, ReLU, 3x3 convolution.

    spatial = base * 2^k (`sizes.halvings`: which sizes there are, and which raise ModelError). He's uniform
    initialisation for 3x3 kernels, Glorot's for 1x1 shortcuts, the dense layer and the last convolution, zero biases.
    """

    def __init__(self, shape: tuple[int, ...], z: int, width: int, output: str, rng: Rng):
        super().__init__()
        channels, axes = shape[0], len(shape) - 1
        base, k = halvings(shape[1:])
        self.z, self.shape = z, shape
        self._start = (width, *base)
        self.dense = linear(z, math.prod(self._start), rng)
        self.blocks = nn.Sequential(*(_Up(axes, width, rng) for _ in range(k)))
        self.norm = batch_norm(axes, width)
        self.conv = Conv(axes, width, channels, rng, xavier_)
        self.finish = Finish(output)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b *shape"]:
        h = self.blocks(self.laid(self.dense(z).unflatten(1, self._start)))
        return self.finish(self.conv.after(self.norm, h))


class ResNetCritic(InLayout):
    """x (b, channels, *spatial) to D(x) (b,): down blocks until no axis exceeds 8, two plain blocks, ReLU, mean, dense.

    The first block has no ReLU before it; no normalisation anywhere, so that every sample has its own gradient. Sizes
    and initialisation as in `ResNetGenerator`.
    """

    def __init__(self, shape: tuple[int, ...], width: int, rng: Rng):
        super().__init__()
        channels, axes = shape[0], len(shape) - 1
        _, k = halvings(shape[1:])  # refuses the sizes that the generator refuses
        downs = critic_halvings(shape[1:], k)
        first = First if downs else FirstPlain
        self.shape = shape
        self.blocks = nn.Sequential(
            first(axes, channels, width, rng),
            *(Down(axes, width, rng) for _ in range(downs - 1)),
            *(Plain(axes, width, rng) for _ in range(2)),
        )
        self.last = ReLU()
        self.score = Score(width, rng)

    def forward(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        h = in_single_precision(self.last(self.blocks(self.laid(x))))
        return self.score(h.movedim(1, -1).flatten(1, -2).mean(1))  # channels last: no copy in the fast layout
