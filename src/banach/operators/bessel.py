"""The Bessel potential, a Fourier multiplier: the map behind Sobolev norms."""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError
from banach.numerics import at_least_float32, magnitude, root
from banach.operators.operator import OPERATORS, UNIT, Operator, Rounding, constant, is_number
from banach.specs import SpecError, spelled

_LEAST = 1e-300
"""Products of numbers below this may underflow."""


def _finite(value: object) -> bool:
    return is_number(value) and math.isfinite(value)


@OPERATORS.register(
    examples=[
        "Bessel(s=-1.5)",
        "Bessel(s=1, scale='paper')",
        "Bessel(s=0.5, boundary='even')",
        "Bessel(s=1, length=2)",
        "Bessel(s=1, symbol='differences')",
        "Bessel(s=-1, length=2, boundary='even', symbol='differences')",
    ]
)
@dataclass(frozen=True, repr=False)
class Bessel(Operator):
    """The Bessel potential: multiplies the Fourier coefficient at frequency xi by (1 + c |xi|^2)^(s/2).

    Each channel apart, over the 1, 2 or 3 spatial axes of x: (b, c, *spatial). The multiplier is even, so the map is
    self-adjoint; its inverse has order -s. (Banach WGAN, eq. 7; the published code's convention by default.)

    Without `length`, pixels: xi_k = min(k, n-k) / (n // 2) on each axis, 0 where n = 1, and c from `scale`: "code" is 5
    (the published script), "paper" is 25 (|xi| <= 5 on each axis; 12.5 makes the corner of a square 5), or a number.
    With `length` (one number, or one per axis), physics: xi_k = 2 pi k / length and c = 1 (or the number `scale`).
    `boundary`: "periodic", or "even" (mirrored at the border, half the frequency spacing).
    `homogeneous`: |xi|^s without the 1, the zero mode dropped; then x is to be mean-free.
    `cell`: the result is multiplied by (cell volume)^cell; a norm in L^p takes 1/p, so that it converges under
    refinement.
    `symbol`: "differences" takes for |xi| what a difference of neighbours makes of a wave of that frequency, 2 sin(pi
    k/n) (without `length`, c = 1 or the number `scale`) or 2 sin(pi k/n) n/length: for s = 1, |A x|_2^2 is |x|_2^2 +
    c |x's differences|_2^2, the gradient form. At low frequencies that is 2 pi k/n, or 2 pi k/length; there c = 0.507
    (5/pi^2) makes it the published convention.
    """

    s: float
    scale: float | Literal["code", "paper"] | None = None
    length: float | tuple[float, ...] | None = None
    boundary: Literal["periodic", "even"] = "periodic"
    homogeneous: bool = False
    cell: float = 0.0
    symbol: Literal["spectral", "differences"] = "spectral"

    def __post_init__(self):
        if not _finite(self.s):
            raise SpecError(f"Bessel: s = {self.s!r} is no order; choose a finite number, such as -1")
        if self.boundary not in ("periodic", "even"):
            raise SpecError(f"Bessel: boundary = {self.boundary!r}; choose 'periodic' or 'even'")
        if self.symbol not in ("spectral", "differences"):
            raise SpecError(f"Bessel: symbol = {self.symbol!r}; choose 'spectral' or 'differences'")
        self._check_frequencies()
        if not _finite(self.cell):
            raise SpecError(f"Bessel: cell = {self.cell!r}; choose a finite number")
        if self.cell and self.length is None:
            raise SpecError("Bessel: cell needs length, the physical extent of the data")

    def _check_frequencies(self) -> None:
        """SpecError unless scale and length are of pixels, or of physics."""
        physical = self.length is not None or self.symbol == "differences"
        if isinstance(self.scale, str) and (self.scale not in ("code", "paper") or physical):
            raise SpecError(
                f"Bessel: scale = {self.scale!r}; choose a number, or (without length or symbol) 'code' or 'paper'"
            )
        lengths = self.length if isinstance(self.length, tuple) else (self.length,)
        for value, what in [(self.scale, "scale"), *((one, "length") for one in lengths or ("",))]:
            named = value is None or (what == "scale" and isinstance(value, str))
            if not (named or (is_number(value) and _LEAST <= value < 1 / _LEAST)):
                raise SpecError(f"Bessel: {what} = {getattr(self, what)!r}; choose a positive number")

    __repr__ = spelled

    def __call__(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        x, spatial, axes = _grid(x, self.boundary)
        coefficients = torch.fft.rfftn(x, dim=axes) * multiplier(self, spatial, x.dtype, x.device)
        y = torch.fft.irfftn(coefficients, s=x.shape[2:], dim=axes)
        return y if self.boundary == "periodic" else y[(..., *(slice(n) for n in spatial))]

    def rounding(self, event: tuple[int, ...]) -> Rounding:
        """The error of two transforms, each off by `_transforms` of its result in l^2, with the multiplier between.

        So high frequencies of the data, however little the map leaves of them, round what it leaves of the others.
        """
        mirrored = 2 if self.boundary == "even" else 1
        count, axes = math.prod(mirrored * n for n in event[1:]), len(event) - 1
        symbol = multiplier(self, event[1:], torch.float64, torch.device("cpu"))
        gain = 1.01 * float(symbol.max())
        smallest = float(symbol.view(-1)[1 if self.homogeneous else 0 :].min()) if symbol.numel() > 1 else gain
        if not (gain < math.inf and smallest >= _LEAST):
            return Rounding(math.inf, math.inf, math.inf)
        lost = _transforms(count)
        # A mirrored grid holds each sample 2^axes times; a power s/2 of a sum has s/2 times the error of the sum.
        absolute = gain * (lost + 4 * UNIT) * mirrored ** (axes / 2)
        powers = (abs(self.s) + 2) * (axes + 8) + 2 * (abs(self.cell) + 2) * (axes + 2)
        return Rounding(gain, absolute, lost + powers * UNIT)

    @property
    def inverse(self) -> "Bessel":
        return dataclasses.replace(self, s=-self.s, cell=-self.cell)

    @property
    def adjoint(self) -> "Bessel":
        return self

    def domain(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        """All of x, or its mean-free part (each channel) when homogeneous."""
        return x - x.mean(dim=tuple(range(2, x.ndim)), keepdim=True) if self.homogeneous else x

    def largest(self, event: tuple[int, ...]) -> float:
        """The largest multiplier on data of this shape: the norm of the map from l^2 to l^2."""
        return float(multiplier(self, event[1:], torch.float64, torch.device("cpu")).max())

    def l2_norm(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, " b"]:
        """|A x|_2 by Parseval's identity, without the inverse transform."""
        x = at_least_float32(x)
        scale = magnitude(x)
        x, spatial, axes = _grid(x / scale, self.boundary)
        coefficients = torch.view_as_real(torch.fft.rfftn(x, dim=axes)).square().sum(-1)
        energy = (coefficients * _energy(self, spatial, x.dtype, x.device)).flatten(1).sum(1)
        return _unit(self, spatial) * scale.flatten() * root(energy, 2)


def _transforms(count: int) -> float:
    """How far a Fourier transform of so many numbers may be off, relative to its result in l^2.

    A radix-2 transform is off by 7 u log2(count) at most (Higham 2002, theorem 24.2); other lengths have other
    algorithms, for which 8 u (log2(count) + 2) is what this package takes as given (tests/attacks measure it).
    """
    return 8 * UNIT * (math.log2(count) + 2)


def _grid(x: Tensor, boundary: str) -> tuple[Tensor, tuple[int, ...], tuple[int, ...]]:
    """x (mirrored along each axis when the boundary is even), its spatial shape before that, and the axes."""
    if not 3 <= x.ndim <= 5:
        raise BanachError(
            f"a Sobolev norm needs data (b, channels, *spatial) with 1, 2 or 3 spatial axes, not {tuple(x.shape)}; "
            "say what the axes are (--axes), or choose a norm of vectors such as Lp(2)"
        )
    axes = tuple(range(2, x.ndim))
    spatial = tuple(x.shape[2:])
    x = at_least_float32(x)
    if boundary == "even":
        for axis in axes:
            x = torch.cat([x, x.flip(axis)], axis)
    return x, spatial, axes


@constant
def multiplier(bessel: Bessel, spatial: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The multiplier on the half-spectrum of the real transform, computed in float64."""
    mirrored = 2 if bessel.boundary == "even" else 1
    sizes = [mirrored * n for n in spatial]
    lengths = bessel.length if isinstance(bessel.length, tuple) else (bessel.length,) * len(spatial)
    if len(lengths) != len(spatial):
        raise BanachError(f"Bessel: {len(lengths)} lengths {lengths} for {len(spatial)} spatial axes {spatial}")
    squared, c = torch.zeros((), dtype=torch.float64), _weight(bessel)
    for axis, (n, length) in enumerate(zip(sizes, lengths, strict=True)):
        count = n // 2 + 1 if axis == len(sizes) - 1 else n
        k = torch.arange(count, dtype=torch.float64)
        xi = _frequencies(torch.minimum(k, n - k), n, None if length is None else mirrored * length, bessel.symbol)
        squared = squared.unsqueeze(-1) + c * xi.square()
    symbol = (squared if bessel.homogeneous else 1 + squared).pow(bessel.s / 2)
    if bessel.homogeneous:
        symbol[(0,) * symbol.ndim] = 0.0
    if bessel.cell:
        symbol = symbol * math.prod(l / n for l, n in zip(lengths, spatial, strict=True) if l) ** bessel.cell
    return symbol.to(device=device, dtype=dtype)


def _weight(bessel: Bessel) -> float:
    """c, the weight of |xi|^2."""
    pixels = bessel.length is None and bessel.symbol == "spectral"
    scale = bessel.scale if bessel.scale is not None else "code" if pixels else 1.0
    return {"code": 5.0, "paper": 25.0}[scale] if isinstance(scale, str) else scale


def _frequencies(k: Tensor, n: int, length: float | None, symbol: str) -> Tensor:
    """The frequencies of the modes k of n entries, which are `length` long."""
    if symbol == "differences":
        return 2 * torch.sin(math.pi * k / n) * (1 if length is None else n / length)
    return k / max(n // 2, 1) if length is None else 2 * math.pi * k / length


@functools.lru_cache(maxsize=256)
def _unit(bessel: Bessel, spatial: tuple[int, ...]) -> float:
    """What the multiplier is divided by before it is squared: 1, or a power of two near its largest value."""
    top = float(multiplier(bessel, spatial, torch.float64, torch.device("cpu")).max())
    return 1.0 if 1e-30 < top < 1e30 or not 0 < top < math.inf else math.ldexp(1.0, math.frexp(top)[1] - 1)


@constant
def _energy(bessel: Bessel, spatial: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Weights of |coefficient|^2 in |A x|_2^2: symbol^2, 1/N, and 2 for each coefficient whose mirror is left out.

    The half-spectrum leaves out the mirror image of every column of the last axis but the zero mode and, for even
    lengths only, the Nyquist frequency. A mirrored grid holds each sample 2^axes times.
    """
    symbol = multiplier(bessel, spatial, torch.float64, torch.device("cpu")) / _unit(bessel, spatial)
    mirrored = 2 if bessel.boundary == "even" else 1
    last = mirrored * spatial[-1]
    twice = torch.full((last // 2 + 1,), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if last % 2 == 0:
        twice[-1] = 1.0
    count = math.prod(mirrored * n for n in spatial) * mirrored ** len(spatial)
    return (symbol.square() * twice / count).to(device=device, dtype=dtype)
