"""Upper bounds of the l^2 norm of convolutions with zeros around or periodic axes, in float64."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

_WORK = 3e8
"""Up to so many frequencies times channels^3 the norm is computed in Fourier space, about 2 seconds on a CPU core."""


def convolution_l2_norm(kernel: Float[Tensor, "out in *k"], stride: int, outputs: tuple[int, ...]) -> float:
    """An upper bound of |T|_2 for the convolution T with zeros around (any padding), given its outputs' sizes.

    The least of three, each of them valid:

    - sqrt(|T|_1 |T|_inf), with the sums of |kernel| over what one input, and one output, takes part in;
    - sqrt(m) |K|_2 for the kernel as a matrix (out, in * k), where an input lies in m = prod ceil(k / stride) windows;
    - where that is affordable, the norm of the periodic convolution on a grid so large that no output wraps around: T
      is a block of it, and Fourier's basis makes it one small matrix for each frequency (Sedghi, Gupta and Long 2019).
      A stride is an unstrided convolution of the stride^d phases of the input.
    """
    phases = _phases(kernel.double(), stride)
    return _least(kernel.double(), stride, tuple(m + k - 1 for m, k in zip(outputs, phases.shape[2:], strict=True)))


def periodic_l2_norm(kernel: Float[Tensor, "out in *k"], stride: int, outputs: tuple[int, ...]) -> float:
    """The same for a convolution on periodic axes of stride * outputs places, none of them shorter than the kernel.

    The sums and the windows are as many as with zeros around; in Fourier space the grid is that of the outputs, and the
    norm is exact.
    """
    return _least(kernel.double(), stride, outputs)


def _least(kernel: Tensor, stride: int, grid: tuple[int, ...]) -> float:
    bounds = [_by_sums(kernel, stride), overlap(kernel.shape[2:], stride) ** 0.5 * _largest(kernel.flatten(1))]
    phases = _phases(kernel, stride)
    if math.prod(grid) * min(phases.shape[:2]) ** 3 <= _WORK:
        bounds.append(_by_frequencies(phases, grid))
    return min(bounds)


def overlap(lengths: tuple[int, ...], stride: int) -> int:
    """The largest number of windows of these lengths that contain one input.

    >>> overlap((3, 3), 1), overlap((5, 5), 2), overlap((4, 4), 2)
    (9, 9, 4)
    """
    return math.prod(math.ceil(k / stride) for k in lengths)


def _largest(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, ord=2))


def _by_sums(kernel: Tensor, stride: int) -> float:
    size = kernel.abs()
    outgoing = _phases(size, stride).flatten(2).sum((0, 2)).max()
    return float((size.flatten(1).sum(1).max() * outgoing).sqrt())


def _phases(kernel: Tensor, stride: int) -> Tensor:
    """The kernel (out, in * stride^d, *ceil(k / stride)) that acts on the phases of the input, without a stride."""
    d = kernel.ndim - 2
    short = [-k % stride for k in kernel.shape[2:]]
    padded = torch.nn.functional.pad(kernel, [one for n in reversed(short) for one in (0, n)])
    for axis in range(2, 2 + 2 * d, 2):
        padded = padded.unflatten(axis, (-1, stride))
    order = [0, 1, *range(3, 3 + 2 * d, 2), *range(2, 2 + 2 * d, 2)]
    return padded.permute(order).flatten(1, 1 + d)


def _by_frequencies(kernel: Tensor, grid: tuple[int, ...]) -> float:
    axes = tuple(range(2, kernel.ndim))
    at = torch.fft.rfftn(kernel, s=grid, dim=axes).flatten(2).permute(2, 0, 1)
    gram = at @ at.mH if at.shape[1] <= at.shape[2] else at.mH @ at
    return float(torch.linalg.eigvalsh(gram).amax().clamp_min(0).sqrt())
