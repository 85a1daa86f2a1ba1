"""Orthonormal wavelet transforms with a weight for every scale: the map behind Besov norms."""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError
from banach.numerics import Exponent, at_least_float32
from banach.operators.operator import OPERATORS, UNIT, Event, Operator, Rounding, constant, is_number
from banach.specs import SpecError, spelled

Name = Literal["haar", "db2", "db3"]

_R3, _R10 = math.sqrt(3), math.sqrt(10)
_R = math.sqrt(5 + 2 * _R10)
FILTERS: dict[str, tuple[float, ...]] = {
    "haar": (1 / math.sqrt(2), 1 / math.sqrt(2)),
    "db2": tuple(one / (4 * math.sqrt(2)) for one in (1 + _R3, 3 + _R3, 3 - _R3, 1 - _R3)),
    "db3": tuple(
        one / (16 * math.sqrt(2))
        for one in (
            1 + _R10 + _R, 5 + _R10 + 3 * _R, 10 - 2 * _R10 + 2 * _R,
            10 - 2 * _R10 - 2 * _R, 5 + _R10 - 3 * _R, 1 + _R10 - _R,
        )
    ),
}  # fmt: skip
"""The low-pass filters of Daubechies' wavelets with 1, 2 and 3 vanishing moments, by their closed forms."""


@OPERATORS.register(
    examples=[
        "Wavelet(s=1)",
        "Wavelet(s=-0.5, p=1.5, levels=2)",
        "Wavelet(s=1, wavelet='db2')",
        "Wavelet(wavelet='db3')",
    ]
)
@dataclass(frozen=True, repr=False)
class Wavelet(Operator):
    """The orthonormal wavelet transform W, its detail bands weighted: band j by 2^(j (s + d/2 - d/p)).

    Each channel apart, over the d = 1, 2 or 3 spatial axes of x: (b, c, *spatial). Every level halves all axes; the
    block of averages stays in the corner and goes on. j = 0 is the coarsest band of details, each finer one is the
    next; averages have weight 1. The weights are those of a Besov norm whose bands are measured in l^p. At most
    `levels` levels, fewer where the size halves less often. (Mallat 1989; Daubechies 1992.)

    "haar" takes any size: an entry without a neighbour goes on as it is, and later averages weigh by the number of
    entries they stand for, so that constants have no details and the transform is orthonormal (unbalanced Haar).
    "db2" and "db3" (smoother, 2 and 3 vanishing moments, periodic) halve even sizes only: 28 gives 14 and 7, and stops.
    The inverse of W is its transpose, so the family is closed under inverse and adjoint: `transposed` is W* after the
    weights. (Unbalanced: Girardi and Sweldens 1997, unverified: from memory.)
    """

    s: float = 0.0
    p: float = 2.0
    wavelet: Name = "haar"
    levels: int = 5
    transposed: bool = False

    def __post_init__(self):
        if not is_number(self.s) or not math.isfinite(self.s):
            raise SpecError(f"Wavelet: s = {self.s!r} is no order; choose a finite number, such as -1")
        object.__setattr__(self, "p", Exponent(self.p, f"Wavelet(p={self.p})"))
        if self.wavelet not in FILTERS:
            raise SpecError(f"Wavelet: wavelet = {self.wavelet!r}; choose one of {', '.join(FILTERS)}")
        if type(self.levels) is not int or not 1 <= self.levels <= 30:
            raise SpecError(f"Wavelet: levels = {self.levels!r}; choose a whole number from 1 to 30, such as 5")

    __repr__ = spelled

    def __call__(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        x = at_least_float32(x)
        steps = self.steps(tuple(x.shape[1:]))
        weights = band_weights(self, tuple(x.shape[2:]), x.dtype, x.device)
        return (
            _synthesis(x * weights, steps, self.wavelet)
            if self.transposed
            else _analysis(x, steps, self.wavelet) * weights
        )

    @property
    def inverse(self) -> "Wavelet":
        return dataclasses.replace(self, s=-self.s, p=Exponent(self.p).dual, transposed=not self.transposed)

    @property
    def adjoint(self) -> "Wavelet":
        return dataclasses.replace(self, transposed=not self.transposed)

    def steps(self, event: Event) -> int:
        """How many levels data of this shape have; BanachError where there is none."""
        if not 2 <= len(event) <= 4:
            raise BanachError(
                f"a wavelet transform needs data (b, channels, *spatial) with 1, 2 or 3 spatial axes, not "
                f"(b, {', '.join(map(str, event))}); say what the axes are (--axes), or choose a norm such as Lp(2)"
            )
        found = min(self.levels, _halvings(event[1:], self.wavelet))
        if found == 0 and max(event[1:]) > 1:
            raise BanachError(
                f"wavelet={self.wavelet!r} halves even sizes only, and one of {event[1:]} is odd; take wavelet='haar', "
                "or data of another size (--pad, --crop)"
            )
        return found

    def largest(self, event: Event) -> float:
        """The largest weight on data of this shape: the norm of the map from l^2 to l^2."""
        self.steps(event)
        return float(band_weights(self, event[1:], torch.float64, torch.device("cpu")).max())

    def rounding(self, event: Event) -> Rounding:
        """The rounding of filters with few taps, one after the other, and of one product with the weights.

        A filter of k taps in absolute values has l^2 norm sqrt(k) at most, and loses (k + 8) u of that, its own
        rounding among it (Higham 2002, section 3.5).
        """
        steps, taps = self.steps(event), len(FILTERS[self.wavelet])
        gain = 1.01 * self.largest(event)
        lost = 1.01 * steps * (len(event) - 1) * (taps + 8) * taps**0.5 * UNIT
        relative = 2 * UNIT * (4 + steps * (abs(self.s) + len(event)))
        if not 0 < gain < 1e150:
            return Rounding(math.inf, math.inf, math.inf)
        return Rounding(gain, gain * (lost + (relative if self.transposed else 0.0)), relative)

    def bands(self) -> int:
        """The number of bands: averages, and the details of each level."""
        return self.levels + 1


def _halvings(spatial: tuple[int, ...], wavelet: str) -> int:
    if wavelet == "haar":
        return max(math.ceil(math.log2(n)) for n in spatial)
    sizes = [n for n in spatial if n > 1]
    count = 0
    while sizes and all(n % 2 == 0 for n in sizes):
        sizes, count = [n // 2 for n in sizes if n > 2], count + 1
    return count


@functools.lru_cache(maxsize=256)
def band_map(wavelet: Wavelet, spatial: tuple[int, ...]) -> Tensor:
    """The level of every coefficient, in the layout of the transform: 1 the finest details, …, 0 the averages."""
    with torch.inference_mode(False), torch.device("cpu"):
        found = torch.zeros(spatial, dtype=torch.long)
        sizes = list(spatial)
        for level in range(1, wavelet.steps((1, *spatial)) + 1):
            corner = found[tuple(slice(n) for n in sizes)]
            sizes = [(n + 1) // 2 for n in sizes]
            rest = torch.ones_like(corner, dtype=torch.bool)
            rest[tuple(slice(n) for n in sizes)] = False
            corner[rest] = level
        return found


@constant
def band_weights(wavelet: Wavelet, spatial: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The weight of every coefficient: 2^(j (s + d/2 - d/p)), j counted from the coarsest details; 1 for averages."""
    level = band_map(wavelet, spatial)
    j = (wavelet.steps((1, *spatial)) - level).double()
    power = wavelet.s + len(spatial) * (0.5 - 1 / wavelet.p)
    return torch.where(level == 0, 1.0, torch.exp2(j * power)).to(device=device, dtype=dtype)


def _corner(sizes: tuple[int, ...]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(n) for n in sizes))


def _analysis(x: Tensor, steps: int, wavelet: str) -> Tensor:
    spatial = tuple(x.shape[2:])
    block, sizes = x, [spatial]
    blocks = []
    for level in range(steps):
        for axis, n in enumerate(spatial):
            if block.shape[axis + 2] > 1:
                block = _split(block, axis + 2, _taps(wavelet, n, level, x.dtype, x.device))
        blocks.append(block)
        sizes.append(tuple((n + 1) // 2 for n in sizes[-1]))
        block = block[_corner(sizes[-1])]
    for whole, inner in zip(reversed(blocks), reversed(sizes[1:]), strict=True):
        whole = whole.clone()
        whole[_corner(inner)] = block
        block = whole
    return block


def _synthesis(y: Tensor, steps: int, wavelet: str) -> Tensor:
    spatial = tuple(y.shape[2:])
    sizes = [spatial]
    for _ in range(steps):
        sizes.append(tuple((n + 1) // 2 for n in sizes[-1]))
    block = y[_corner(sizes[-1])]
    for level in reversed(range(steps)):
        whole = y[_corner(sizes[level])].clone()
        whole[_corner(sizes[level + 1])] = block
        block = whole
        for axis, n in enumerate(spatial):
            if block.shape[axis + 2] > 1:
                block = _join(block, axis + 2, _taps(wavelet, n, level, y.dtype, y.device))
    return block


@constant
def _taps(wavelet: str, n: int, level: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(pairs, 4, half): what even and odd neighbours, `pair` places on, give to averages and to details.

    Of an axis of n entries, at this level. For Haar the two neighbours weigh by the entries they stand for.
    """
    if wavelet == "haar":
        mass = torch.ones(n, dtype=torch.float64)
        for _ in range(level):
            even, odd = mass[0::2], mass[1::2]
            mass = even.clone()
            mass[: len(odd)] += odd
        even, odd = mass[0::2][: len(mass) // 2], mass[1::2]
        a, b = (even / (even + odd)).sqrt(), (odd / (even + odd)).sqrt()
        return torch.stack([a, b, b, -a])[None].to(device=device, dtype=dtype)
    h = torch.tensor(FILTERS[wavelet], dtype=torch.float64)
    g = h.flip(0) * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(len(h) // 2)
    return torch.stack([h[0::2], h[1::2], g[0::2], g[1::2]], 1)[:, :, None].to(device=device, dtype=dtype)


def _split(x: Tensor, axis: int, taps: Tensor) -> Tensor:
    """Averages of neighbours along an axis, then details; an entry without a neighbour is the last average."""
    half = x.shape[axis] // 2
    x = x.movedim(axis, -1)
    even, odd = x[..., 0 : 2 * half : 2], x[..., 1::2]
    low, high = torch.zeros_like(odd), torch.zeros_like(odd)
    for shift, (a, b, c, d) in enumerate(taps):
        left, right = (even, odd) if shift == 0 else (even.roll(-shift, -1), odd.roll(-shift, -1))
        low, high = low + a * left + b * right, high + c * left + d * right
    return torch.cat([low, x[..., 2 * half :], high], -1).movedim(-1, axis)


def _join(y: Tensor, axis: int, taps: Tensor) -> Tensor:
    """The inverse of `_split`, and its transpose."""
    half = y.shape[axis] // 2
    y = y.movedim(axis, -1)
    low, rest, high = y[..., :half], y[..., half : y.shape[-1] - half], y[..., y.shape[-1] - half :]
    even, odd = torch.zeros_like(low), torch.zeros_like(low)
    for shift, (a, b, c, d) in enumerate(taps):
        left, right = (low, high) if shift == 0 else (low.roll(shift, -1), high.roll(shift, -1))
        even, odd = even + a * left + c * right, odd + b * left + d * right
    x = torch.stack([even, odd], -1).flatten(-2)
    return torch.cat([x, rest], -1).movedim(-1, axis)
