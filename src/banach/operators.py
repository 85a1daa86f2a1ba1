"""Invertible linear maps of batches: Bessel (a Fourier multiplier), Scale (masks, weights), Matrix, Compose.

A `Weighted` space measures `A x`. Its dual needs the inverse of A and the adjoint of that, in the plain pairing
`sum(u * x)`; every operator here knows both, exactly.
"""

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor

from banach.numerics import at_least_float32, magnitude, p_norm, root
from banach.specs import Registry, SpecError, spell_call, spelled
from banach.tables import Table

OPERATORS = Registry("operator", bare="build")


def _constant(build: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`build`, computed once for its arguments: on the CPU, and outside inference mode, whose tensors cannot train."""

    @functools.lru_cache(maxsize=256)
    def built(*key: Any) -> Tensor:
        with torch.inference_mode(False), torch.device("cpu"):
            return build(*key)

    return built


class Operator(ABC):
    """An invertible linear map of the event space, applied to a batch."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]: ...

    @property
    @abstractmethod
    def inverse(self) -> "Operator":
        """The map B with B(A(x)) = x."""

    @property
    @abstractmethod
    def adjoint(self) -> "Operator":
        """The map A* with sum(u * A(x)) = sum(A*(u) * x)."""

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        """The part of x on which the map is invertible: all of it, unless a subclass says otherwise."""
        return x

    def l2_norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        """|A x|_2."""
        return p_norm(self(x), 2)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


@OPERATORS.register(
    examples=["Bessel(s=-1.5)", "Bessel(s=1, scale='paper')", "Bessel(s=0.5, boundary='even')", "Bessel(s=1, length=2)"]
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
    """

    s: float
    scale: float | Literal["code", "paper"] | None = None
    length: float | tuple[float, ...] | None = None
    boundary: Literal["periodic", "even"] = "periodic"
    homogeneous: bool = False
    cell: float = 0.0

    def __post_init__(self):
        if not _is_number(self.s) or not math.isfinite(self.s):
            raise SpecError(f"Bessel: s = {self.s!r} is no order; choose a finite number, such as -1")
        if self.boundary not in ("periodic", "even"):
            raise SpecError(f"Bessel: boundary = {self.boundary!r}; choose 'periodic' or 'even'")
        if isinstance(self.scale, str) and (self.scale not in ("code", "paper") or self.length is not None):
            raise SpecError(f"Bessel: scale = {self.scale!r}; choose a number, or (without length) 'code' or 'paper'")
        lengths = self.length if isinstance(self.length, tuple) else (self.length,)
        for value, what in [(self.scale, "scale"), *((one, "length") for one in lengths or ("",))]:
            named = value is None or (what == "scale" and isinstance(value, str))
            if not (named or (_is_number(value) and 0 < value < math.inf)):
                raise SpecError(f"Bessel: {what} = {getattr(self, what)!r}; choose a positive number")
        if self.cell and self.length is None:
            raise SpecError("Bessel: cell needs length, the physical extent of the data")

    __repr__ = spelled

    def __call__(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        x, spatial, axes = _grid(x, self.boundary)
        coefficients = torch.fft.rfftn(x, dim=axes) * _symbol(self, spatial, x.dtype, x.device)
        y = torch.fft.irfftn(coefficients, s=x.shape[2:], dim=axes)
        return y if self.boundary == "periodic" else y[(..., *(slice(n) for n in spatial))]

    @property
    def inverse(self) -> "Bessel":
        return dataclasses.replace(self, s=-self.s, cell=-self.cell)

    @property
    def adjoint(self) -> "Bessel":
        return self

    def domain(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *spatial"]:
        """All of x, or its mean-free part (each channel) when homogeneous."""
        return x - x.mean(dim=tuple(range(2, x.ndim)), keepdim=True) if self.homogeneous else x

    def l2_norm(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, " b"]:
        """|A x|_2 by Parseval's identity, without the inverse transform."""
        x = at_least_float32(x)
        scale = magnitude(x)
        x, spatial, axes = _grid(x / scale, self.boundary)
        coefficients = torch.view_as_real(torch.fft.rfftn(x, dim=axes)).square().sum(-1)
        energy = (coefficients * _energy(self, spatial, x.dtype, x.device)).flatten(1).sum(1)
        return scale.flatten() * root(energy, 2)


def _grid(x: Tensor, boundary: str) -> tuple[Tensor, tuple[int, ...], tuple[int, ...]]:
    """x (mirrored along each axis when the boundary is even), its spatial shape before that, and the axes."""
    if not 3 <= x.ndim <= 5:
        raise ValueError(
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


@_constant
def _symbol(bessel: Bessel, spatial: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The multiplier on the half-spectrum of the real transform, computed in float64."""
    mirrored = 2 if bessel.boundary == "even" else 1
    sizes = [mirrored * n for n in spatial]
    lengths = bessel.length if isinstance(bessel.length, tuple) else (bessel.length,) * len(spatial)
    if len(lengths) != len(spatial):
        raise ValueError(f"Bessel: {len(lengths)} lengths {lengths} for {len(spatial)} spatial axes {spatial}")
    scale = bessel.scale if bessel.scale is not None else "code" if bessel.length is None else 1.0
    c = {"code": 5.0, "paper": 25.0}[scale] if isinstance(scale, str) else scale
    squared = torch.zeros((), dtype=torch.float64)
    for axis, (n, length) in enumerate(zip(sizes, lengths, strict=True)):
        count = n // 2 + 1 if axis == len(sizes) - 1 else n
        k = torch.arange(count, dtype=torch.float64)
        k = torch.minimum(k, n - k)
        xi = k / max(n // 2, 1) if length is None else 2 * math.pi * k / (mirrored * length)
        squared = squared.unsqueeze(-1) + c * xi.square()
    symbol = (squared if bessel.homogeneous else 1 + squared).pow(bessel.s / 2)
    if bessel.homogeneous:
        symbol[(0,) * symbol.ndim] = 0.0
    if bessel.cell:
        symbol = symbol * math.prod(l / n for l, n in zip(lengths, spatial, strict=True) if l) ** bessel.cell
    return symbol.to(device=device, dtype=dtype)


@_constant
def _energy(bessel: Bessel, spatial: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Weights of |coefficient|^2 in |A x|_2^2: symbol^2, 1/N, and 2 for each coefficient whose mirror is left out.

    The half-spectrum leaves out the mirror image of every column of the last axis but the zero mode and, for even
    lengths only, the Nyquist frequency. A mirrored grid holds each sample 2^axes times.
    """
    symbol = _symbol(bessel, spatial, torch.float64, torch.device("cpu"))
    mirrored = 2 if bessel.boundary == "even" else 1
    last = mirrored * spatial[-1]
    twice = torch.full((last // 2 + 1,), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if last % 2 == 0:
        twice[-1] = 1.0
    count = math.prod(mirrored * n for n in spatial) * mirrored ** len(spatial)
    return (symbol.square() * twice / count).to(device=device, dtype=dtype)


@OPERATORS.register(examples=["Scale((1, 2, 0.5))", "Scale(3)"])
@dataclass(frozen=True, repr=False)
class Scale(Operator):
    """Multiplies each entry by a weight: a number, one per channel, a mask of the spatial axes, or a whole event.

    `weights` is a number, nested tuples, or a file: a .npy array, or an image (grey values from 0 to 1). Weights below
    `floor` in size are raised to it; a weight of 0 is refused, for the map must be invertible.
    """

    weights: Table
    floor: float = 0.0
    inverted: bool = False

    def __post_init__(self):
        object.__setattr__(self, "weights", Table(self.weights, "Scale"))
        if not 0 <= self.floor < math.inf:
            raise SpecError(f"Scale: floor = {self.floor!r}; choose a number from 0 up")
        if (zeros := _zeros(self.weights, self.floor)) > 0:
            raise SpecError(f"Scale: {zeros} weights are 0, so the norm would not see them; give floor=0.1, say")

    __repr__ = spelled

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        x = at_least_float32(x)
        w = _scale_weights(self, x.dtype, x.device)
        if w.ndim == 1 and x.ndim > 2:
            w = w.view(-1, *[1] * (x.ndim - 2))
        if w.ndim > x.ndim - 1 or any(a not in (1, b) for a, b in zip(w.shape[::-1], x.shape[::-1], strict=False)):
            raise ValueError(f"Scale: weights of shape {tuple(w.shape)} do not fit data of shape {tuple(x.shape)}")
        return x * w

    @property
    def inverse(self) -> "Scale":
        return dataclasses.replace(self, inverted=not self.inverted)

    @property
    def adjoint(self) -> "Scale":
        return self


@functools.lru_cache  # a dual is built in every step
def _zeros(weights: Table, floor: float) -> int:
    return int((weights.values.abs().clamp_min(floor) == 0).sum())


@_constant
def _scale_weights(scale: Scale, dtype: torch.dtype, device: torch.device) -> Tensor:
    w = scale.weights.values
    w = torch.where(w < 0, -1.0, 1.0).double() * w.abs().clamp_min(scale.floor)
    return (1 / w if scale.inverted else w).to(device=device, dtype=dtype)


@OPERATORS.register(examples=["Matrix(((2, 1), (0, 1)))", "Matrix(((2, 1), (1, 3)), power=-0.5)"])
@dataclass(frozen=True, repr=False)
class Matrix(Operator):
    """Multiplies the flattened event, or else the channel axis, by an invertible square matrix.

    `values` is a .npy file or nested tuples, n x n, where n is the number of entries of an event or of channels.
    With a `power`, the matrix is symmetric and positive definite and raised to it: the Mahalanobis norm of a covariance
    C, sqrt(x^T C^-1 x), is `Weighted(Matrix('covariance.npy', power=-0.5), Lp(2))`.
    """

    values: Table
    power: float = 1.0
    inverted: bool = False
    transposed: bool = False

    def __post_init__(self):
        object.__setattr__(self, "values", Table(self.values, "Matrix"))
        _check_matrix(self.values, self.power)

    __repr__ = spelled

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        x = at_least_float32(x)
        m = _matrix(self, x.dtype, x.device)
        if x[0].numel() == len(m):
            return (x.flatten(1) @ m.T).view_as(x)
        if x.ndim > 2 and x.shape[1] == len(m):
            return torch.einsum("ij,bj...->bi...", m, x)
        raise ValueError(f"Matrix: size {len(m)} fits neither the event nor the channels of data {tuple(x.shape)}")

    @property
    def inverse(self) -> "Matrix":
        return dataclasses.replace(self, inverted=not self.inverted)

    @property
    def adjoint(self) -> "Matrix":
        return dataclasses.replace(self, transposed=not self.transposed)


@functools.lru_cache  # a dual is built in every step, and a condition number is dear
def _check_matrix(values: Table, power: float) -> None:
    m = values.values
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise SpecError(f"Matrix: shape {tuple(m.shape)} is not square")
    if not (condition := float(torch.linalg.cond(m))) < 1e12:
        raise SpecError(f"Matrix: condition number {condition:.0e}, singular in floating point; regularise it")
    if power != 1 and not ((m - m.T).abs().amax() <= 1e-8 * m.abs().amax() and torch.linalg.eigvalsh(m)[0] > 0):
        raise SpecError(f"Matrix: power = {power:g} needs a symmetric, positive definite matrix (a covariance)")
    if not math.isfinite(power):
        raise SpecError(f"Matrix: power = {power}; choose a finite one, such as -0.5")


@_constant
def _matrix(matrix: Matrix, dtype: torch.dtype, device: torch.device) -> Tensor:
    m = matrix.values.values
    if matrix.power != 1:
        values, vectors = torch.linalg.eigh((m + m.T) / 2)
        m = (vectors * values**matrix.power) @ vectors.T
    m = torch.linalg.inv(m) if matrix.inverted else m
    return (m.T if matrix.transposed else m).contiguous().to(device=device, dtype=dtype)


@OPERATORS.register(examples=["Compose(Scale((1, 2)), Bessel(s=1))"])
@dataclass(frozen=True, init=False, repr=False)
class Compose(Operator):
    """The maps one after the other, the last first: Compose(A, B)(x) = A(B(x))."""

    maps: tuple[Operator, ...]

    def __init__(self, *maps: Operator):
        if not maps or not all(isinstance(one, Operator) for one in maps):
            raise SpecError(f"Compose: give operators, such as Compose(Scale(2), Bessel(s=1)), not {maps!r}")
        if any(isinstance(one, Bessel) and one.homogeneous for one in maps):
            raise SpecError("Compose: a homogeneous Bessel is no invertible map of all data; use it alone, as Sobolev")
        object.__setattr__(self, "maps", maps)

    def __repr__(self) -> str:
        return spell_call("Compose", self.maps)

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        for one in reversed(self.maps):
            x = one(x)
        return x

    @property
    def inverse(self) -> "Compose":
        return Compose(*(one.inverse for one in reversed(self.maps)))

    @property
    def adjoint(self) -> "Compose":
        return Compose(*(one.adjoint for one in reversed(self.maps)))
