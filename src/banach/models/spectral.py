"""A generator of functions: the same network draws fields on grids of any size.

A latent vector is a Gaussian field of few modes; layers are convolutions in Fourier space on few modes, a matrix of the
channels for each, with pointwise maps between them. All of them run on an inner grid of their own, so that they know
nothing of the grid that samples are drawn on; only the last sum of waves, and the pointwise map after it, are evaluated
there. Samples on a fine grid therefore have, at the places of a coarse one, the very values of the coarse samples. (A
Fourier neural operator, Li et al. 2021, evaluates each of its layers on the samples' grid, and agrees between grids as
far as these resolve its activations.)
"""

import itertools
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from banach.errors import ModelError
from banach.models.blocks import Conv, Finish, in_single_precision, linear, xavier_
from banach.models.described import AnySize
from banach.models.padding import Padded, Padding
from banach.operators.operator import constant

MODES = {1: 32, 2: 15, 3: 6}
"""By the number of axes: the largest frequency on each of them, in waves along the axis."""

BLOCKS = 2

BOX = 1.25
"""The period of fields along an axis that is not periodic, in lengths of the axis."""

Rng = torch.Generator | None
Modes = tuple[int, ...]


class SpectralGenerator(AnySize, Padded):
    """z (b, z) to samples (b, channels, *size) of functions, `size` being any; that of the shape by default.

    The first numbers of z are the coefficients of a real field of waves, from low to high frequencies; a matrix for
    each mode makes `width` fields of it, and a dense layer of all of z adds a level to each. Two blocks h + GELU(K h +
    W h) on the inner grid, with K one matrix (channels x channels) for each mode and W one for all places, and a last
    K, whose result u is evaluated on the grid of the samples: A u + B GELU(C u). `z` should be as large as the modes
    that matter, for numbers left out are modes that only the blocks can make.

    Along periodic axes (`--padding periodic`) samples are periodic, and place i of n is at i/n; along others they are
    cut from waves 1.25 times as long as the axis, and place i is at the centre (i + 1/2)/n of its cell.
    """

    places: Tensor

    def __init__(self, shape: tuple[int, ...], z: int, width: int, output: str, rng: Rng):
        super().__init__()
        axes = len(shape) - 1
        if not axes:
            raise ModelError("spectral networks need spatial axes, and plain vectors have none; use the model mlp")
        self.z, self.shape = z, shape
        self.modes = tuple(min(MODES[axes], (n - 1) // 2) for n in shape[1:])
        self.inner = tuple(3 * one + 1 for one in self.modes)
        sides = _sides(self.modes)
        places, sizes = _ordered(self.modes, z)
        self.register_buffer("places", torch.tensor(places).view(*sides, 2), persistent=False)
        start = torch.empty(width, *sides, 2).normal_(generator=rng)
        self.source = nn.Parameter(start * torch.tensor(sizes).view(*sides, 1))
        self.dense = linear(z, width, rng, _small_)
        self.blocks = nn.ModuleList(_Block(axes, width, sides, rng) for _ in range(BLOCKS))
        self.last = _Mix(width, sides, rng)
        self.straight = Conv(axes, width, shape[0], rng, xavier_, kernel=1)
        self.bent = Conv(axes, width, width, rng, kernel=1)
        self.back = Conv(axes, width, shape[0], rng, xavier_, kernel=1)
        self.finish = Finish(output)

    def forward(self, z: Float[Tensor, "b z"], size: tuple[int, ...] | None = None) -> Float[Tensor, "b channels *n"]:
        size = self.shape[1:] if size is None else size
        with torch.autocast(z.device.type, enabled=False):  # half precision knows no complex numbers
            z = in_single_precision(z)
            padding = self.padding or ("zero",) * len(size)
            noise = torch.view_as_complex(F.pad(z, (0, 1))[:, self.places])
            h = on_grid(noise.unsqueeze(1) * torch.view_as_complex(self.source), self.inner)
            h = h + self.dense(z)[(..., *[None] * len(size))]
            for block in self.blocks:
                h = block(h)
            u = on_places(self.last(modes_of(h, self.modes)), size, padding)
            return self.finish(self.straight(u) + self.back(F.gelu(self.bent(u))))


def _small_(w: Tensor, rng: Rng) -> Tensor:
    """First weights with which a level of each channel varies a third as much as its waves."""
    return nn.init.normal_(w, std=1 / (3 * w.shape[1] ** 0.5), generator=rng)


class _Mix(nn.Module):
    """Coefficients (b, width, *modes) to the same: a complex matrix of the channels for each mode."""

    def __init__(self, width: int, sides: tuple[int, ...], rng: Rng):
        super().__init__()
        start = torch.empty(width, width, *sides, 2).normal_(std=(2 * width) ** -0.5, generator=rng)
        self.weight = nn.Parameter(start)  # as two real numbers: files and optimizers know no complex ones

    def forward(self, c: Tensor) -> Tensor:
        return torch.einsum("bi...,io...->bo...", c, torch.view_as_complex(self.weight))


class _Block(nn.Module):
    """h + GELU(K h + W h), on the inner grid."""

    def __init__(self, axes: int, width: int, sides: tuple[int, ...], rng: Rng):
        super().__init__()
        self.mix, self.point = _Mix(width, sides, rng), Conv(axes, width, width, rng, xavier_, kernel=1)

    def forward(self, h: Tensor) -> Tensor:
        inner = tuple(h.shape[2:])
        modes = tuple((n - 1) // 3 for n in inner)
        return h + F.gelu(on_grid(self.mix(modes_of(h, modes)), inner) + self.point(h))


def _sides(modes: Modes) -> tuple[int, ...]:
    """How many frequencies there are on each axis: -k, …, k, and on the last one 0, …, k."""
    return (*(2 * one + 1 for one in modes[:-1]), modes[-1] + 1)


def _ordered(modes: Modes, z: int) -> tuple[list[list[int]], list[float]]:
    """For each mode the numbers of z that are its real and imaginary part (z itself: none), and its first size.

    A mode and its opposite are one wave; where both are listed, one of them is it. Sizes fall like 1 / (1 + |k|^2), and
    make the variance of the field that has all of z's modes 1.
    """
    listed = list(itertools.product(*(range(-one, one + 1) for one in modes[:-1]), range(modes[-1] + 1)))
    waves = sorted((one for one in listed if one[::-1] >= tuple(-k for k in one[::-1])), key=_squared)
    places = {one: [z, z] for one in listed}
    places[waves[0]] = [0, z]  # the constant is a real number
    for at, wave in enumerate(waves[1:]):
        places[wave] = [min(2 * at + 1, z), min(2 * at + 2, z)]
    sizes = {one: 1 / (1 + _squared(one)) for one in listed}
    # The real part of c e^{ikx} has variance |c|^2 / 2; with its opposite, where that is not listed, it counts twice.
    parts = {one: sum(part < z for part in places[one]) * (2.0 if one[-1] else 0.5) for one in listed}
    unit = math.sqrt(2 * sum(parts[one] * sizes[one] ** 2 for one in listed))  # a complex number of source has two
    return [places[one] for one in listed], [sizes[one] / unit for one in listed]


def _squared(wave: tuple[int, ...]) -> int:
    return sum(k * k for k in wave)


def on_grid(c: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The real field with these coefficients on a periodic grid, (b, w, *modes) to (b, w, *sizes)."""
    return on_places(c, sizes, ("periodic",) * len(sizes))


def on_places(c: Tensor, sizes: tuple[int, ...], padding: Padding) -> Tensor:
    """The real part of the sum of c_k e^{2 pi i k x}, twice that for k > 0 on the last axis, at so many places."""
    for axis, (n, word) in enumerate(zip(sizes[:-1], padding[:-1], strict=True), 2):
        waves = torch.view_as_complex(_waves((c.shape[axis] - 1) // 2, n, word == "periodic", c.real.dtype, c.device))
        c = (c.movedim(axis, -1) @ waves).movedim(-1, axis)
    k = c.shape[-1] - 1
    waves = _waves(k, sizes[-1], padding[-1] == "periodic", c.real.dtype, c.device)[k:]
    twice = torch.full((k + 1, 1), 2.0, dtype=waves.dtype, device=waves.device)
    twice[0] = 1.0
    return torch.cat([c.real, c.imag], -1) @ torch.cat([twice * waves[..., 0], -twice * waves[..., 1]])


def modes_of(h: Float[Tensor, "b w *n"], modes: Modes) -> Tensor:
    """The coefficients c of a real field on a periodic grid, up to these frequencies: (b, w, *n) to (b, w, *sides)."""
    n, k = h.shape[-1], modes[-1]
    waves = _waves(k, n, True, h.dtype, h.device)[k:] / n
    c = torch.complex(h @ waves[..., 0].T, -(h @ waves[..., 1].T))
    for axis, one in enumerate(modes[:-1], 2):
        n = h.shape[axis]
        waves = torch.view_as_complex(_waves(one, n, True, h.dtype, h.device) / n)
        c = (c.movedim(axis, -1) @ waves.mH).movedim(-1, axis)
    return c


@constant
def _waves(k: int, n: int, periodic: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """e^{2 pi i j x} for j = -k, …, k at n places of an axis, computed in float64: (2k + 1, n, 2)."""
    at = torch.arange(n, dtype=torch.float64)
    x = at / n if periodic else (at + 0.5) / (n * BOX)
    phase = 2 * math.pi * torch.arange(-k, k + 1, dtype=torch.float64).unsqueeze(1) * x
    return torch.stack([phase.cos(), phase.sin()], -1).to(device=device, dtype=dtype)
