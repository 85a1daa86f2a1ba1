"""Confidence bounds from held-out samples: means of bounded numbers, and the diameter of a support in a norm."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.operators import Bessel, Scale
from banach.spaces import Discrete, Lp, Metric, Product, Space, Weighted
from banach.transport.estimate import TransportError


def check_confidence(confidence: float) -> float:
    """`confidence` as a float; TransportError unless it lies between 0 and 1."""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence < 1:
        raise TransportError(f"confidence = {confidence!r}; choose a number between 0 and 1, such as 0.95")
    return float(confidence)


def margin(values: Tensor, extent: float, delta: float) -> float:
    """How far the mean of independent numbers in an interval of length `extent` may lie off their expectation.

    sqrt(2 V ln(2/delta)/n) + 7 R ln(2/delta)/(3 (n - 1)) with the sample variance V and R = `extent`: on one side, with
    probability at least 1 - delta (Maurer and Pontil 2009, theorem 4). R must be known beforehand: the range of the
    sample itself in its place fails where rare values are large.

    >>> margin(torch.zeros(101, dtype=torch.float64), 1.0, 2 / math.e)  # no variance is left: 7/300
    0.0233...
    """
    n = len(values)
    if n < 2:
        raise TransportError(f"a confidence bound from {n} held-out samples; give at least 2 of each")
    log = math.log(2 / delta)
    variance = float(values.double().var())
    return math.sqrt(2 * variance * log / n) + 7 * extent * log / (3 * (n - 1))


def box_diameter(space: Metric, shape: tuple[int, ...], low: float, high: float) -> float:
    """An upper bound of the distance of two points whose entries all lie in [low, high], in the norm.

    L^p: (high - low) n^(1/p), which is attained. Products: the p-norm of the parts' own. `Weighted(Scale, L^p)`: the
    norm of the weights, attained. Sobolev with p = 2: the largest multiplier times sqrt(n). Any other norm: the sum of
    the norms of the unit vectors, by the triangle inequality (loose).

    >>> box_diameter(Lp(2), (1, 28, 28), 0, 1)
    28.0
    """
    if not -math.inf < low < high < math.inf:
        raise TransportError(f"support box:{low:g},{high:g}; give the least entry first, as in box:0,1")
    if isinstance(space, Discrete):
        return 1.0
    if not isinstance(space, Space):
        raise TransportError(f"{space!r} is a metric, not a norm: give its diameter as a number (--diameter)")
    return (high - low) * _radius(space, shape)


def _radius(space: Space, shape: tuple[int, ...]) -> float:
    """An upper bound of norm(z) over all z with entries in [-1, 1]."""
    n = math.prod(shape)
    ones = torch.ones(1, *shape, dtype=torch.float64)
    match space:
        case Lp(p=p):
            return n ** (1 / p) if p < math.inf else 1.0
        case Product(p=p, parts=parts):
            radii = [
                _radius(part, tuple(block.shape[1:])) for part, block in zip(parts, space.split(ones), strict=True)
            ]
            return float(Lp(p).norm(torch.tensor([radii], dtype=torch.float64)))
        case Weighted(A=Scale() as A, B=Lp() as B):
            return float(B.norm(A(ones).abs()))
        case Weighted(A=Bessel(boundary="periodic", homogeneous=False), B=Lp(p=2)):
            # Waves diagonalise a periodic multiplier: the norm of a wave is the multiplier at its frequency.
            largest = float(_units(space, shape, waves=True).max())
            return min(largest * n**0.5, float(_units(space, shape).sum()))
    return float(_units(space, shape).sum())


def _units(space: Space, shape: tuple[int, ...], waves: bool = False) -> Tensor:
    """The norms of the unit vectors, or of an orthonormal basis of waves, in blocks."""
    n = math.prod(shape)
    norms = []
    for rows in torch.arange(n).split(1024):
        x = torch.zeros(len(rows), n, dtype=torch.float64)
        x[torch.arange(len(rows)), rows] = 1.0
        x = x.view(-1, *shape)
        if waves:
            x = _waves(x)
        norms.append(space.norm(x))
    return torch.cat(norms)


def _waves(x: Tensor) -> Tensor:
    """The orthonormal Hartley transform over the spatial axes: waves diagonalise a periodic Fourier multiplier."""
    axes = tuple(range(2, x.ndim))
    y = torch.fft.fftn(x, dim=axes, norm="ortho")
    return y.real - y.imag


@dataclass(frozen=True)
class Support:
    """What the user knows of where both laws live: the diameter of their common support, in the norm."""

    diameter: float
    said: str
    box: tuple[float, float] | None = None

    def check(self, space: Metric, x: Tensor, y: Tensor) -> None:
        """TransportError where the samples contradict what was stated."""
        if self.box is not None:
            low, high = self.box
            least, most = (float(torch.stack([f(x), f(y)]).max()) for f in (lambda z: -z.amin(), torch.amax))
            if -least < low or most > high:
                raise TransportError(
                    f"support box:{low:g},{high:g}, but the samples have entries from {-least:g} to {most:g}; "
                    "state a support that holds both laws, not only what was drawn"
                )
        n = min(len(x), len(y))
        farthest = float(space.distance(x[:n], y[:n]).max())
        if farthest > self.diameter * (1 + 1e-9):
            raise TransportError(f"{self.said} is {self.diameter:g}, but two samples are {farthest:g} apart")


def support(said: str | None, diameter: float | None, space: Metric, shape: tuple[int, ...]) -> Support | None:
    """The support that `box:0,1` or a number states; None where nothing is. TransportError where it cannot be read."""
    if diameter is not None:
        if not 0 < diameter < math.inf:
            raise TransportError(f"diameter = {diameter!r}; give a positive number, in the units of the norm")
        return Support(float(diameter), "the stated diameter")
    if said is None:
        return None
    kind, _, numbers = said.partition(":")
    try:
        low, high = (float(one) for one in numbers.split(","))
    except ValueError:
        low = high = math.nan
    if kind != "box" or not low < high:
        raise TransportError(f"support {said!r} cannot be read; write for example box:0,1")
    return Support(box_diameter(space, shape, low, high), f"the diameter of the box [{low:g}, {high:g}]", (low, high))
