"""Scale and Matrix, maps by weights and by a matrix, and Compose, the composition of maps."""

import dataclasses
import functools
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError
from banach.numerics import at_least_float32, p_norm
from banach.operators.bessel import Bessel
from banach.operators.operator import OPERATORS, UNIT, Operator, Rounding, constant
from banach.specs import SpecError, spell_call, spelled
from banach.tables import Table

EXACT = 50
"""Rows up to which inverses and powers are computed in DIGITS digits, within two seconds; then they are as sharp as
float64 can be, whatever the condition of the matrix."""
DIGITS = 50


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
            raise SpecError(
                f"Scale: {zeros} weights are 0, so the norm would ignore these entries; give floor=0.1, say"
            )

    __repr__ = spelled

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        x = at_least_float32(x)
        w = scale_weights(self, x.dtype, x.device)
        if w.ndim == 1 and x.ndim > 2:
            w = w.view(-1, *[1] * (x.ndim - 2))
        if w.ndim > x.ndim - 1 or any(a not in (1, b) for a, b in zip(w.shape[::-1], x.shape[::-1], strict=False)):
            raise BanachError(f"Scale: weights of shape {tuple(w.shape)} do not fit data of shape {tuple(x.shape)}")
        return x * w

    def rounding(self, event: tuple[int, ...]) -> Rounding:
        """The rounding error of each entry: its weight, perhaps a quotient, and the product are rounded once."""
        return Rounding(float(scale_weights(self, torch.float64, torch.device("cpu")).abs().max()), relative=4 * UNIT)

    @property
    def inverse(self) -> "Scale":
        return dataclasses.replace(self, inverted=not self.inverted)

    @property
    def adjoint(self) -> "Scale":
        return self


@functools.lru_cache  # a dual is built in every step
def _zeros(weights: Table, floor: float) -> int:
    return int((weights.values.abs().clamp_min(floor) == 0).sum())


@constant
def scale_weights(scale: Scale, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The factor of each entry, in the shape of the table."""
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
        raise BanachError(f"Matrix: size {len(m)} fits neither the event nor the channels of data {tuple(x.shape)}")

    def rounding(self, event: tuple[int, ...]) -> Rounding:
        """The error of the matrix itself, and the rounding error of a product with it."""
        return matrix_rounding(self)

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


@constant
def _matrix(matrix: Matrix, dtype: torch.dtype, device: torch.device) -> Tensor:
    m, s = matrix.values.values, _exponent(matrix)
    if matrix.power != 1:
        m = (m + m.T) / 2
    if s != 1:
        m = _power(matrix, s) if len(m) > EXACT else _rounded_power(matrix, s)
    return (m.T if matrix.transposed else m).contiguous().to(device=device, dtype=dtype)


def _exponent(matrix: Matrix) -> float:
    return -matrix.power if matrix.inverted else matrix.power


def _power(matrix: Matrix, s: float) -> Tensor:
    """M^s by float64 alone: a power of a symmetric matrix, or the inverse of any."""
    m = matrix.values.values
    if matrix.power == 1:
        return torch.linalg.inv(m)
    eigenvalues, vectors = torch.linalg.eigh((m + m.T) / 2)
    return (vectors * eigenvalues**s) @ vectors.T


def _rounded_power(matrix: Matrix, s: float) -> Tensor:
    """M^s, each entry rounded once."""
    multiprecision = _multiprecision()
    with multiprecision.workdps(DIGITS):
        if matrix.power == 1:
            entries = (multiprecision.matrix(matrix.values.values.tolist()) ** -1).tolist()
        else:
            eigenvalues, vectors = _spectrum(matrix.values)
            powers = multiprecision.diag([one ** multiprecision.mpf(s) for one in eigenvalues])
            entries = (vectors * powers * vectors.T).tolist()
        return torch.tensor([[float(one) for one in row] for row in entries], dtype=torch.float64)


@functools.lru_cache(maxsize=16)  # a matrix and its dual have one
def _spectrum(values: Table) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors of a symmetric matrix in many digits."""
    m = _multiprecision().matrix(values.values.tolist())
    return _multiprecision().eigsy((m + m.T) / 2)


def _multiprecision() -> ModuleType:
    """The package mpmath, imported at its first use."""
    import mpmath

    return mpmath.mp


@functools.lru_cache(maxsize=64)
def matrix_rounding(matrix: Matrix) -> Rounding:
    """The error of a matrix, rounded once or computed in float64 alone, and of a product with it.

    The product with n terms is off by (n + 2) u |M|_F |x|_2 (Higham 2002, section 3.5). `values` themselves are exact.
    Bounds of inverses and powers by float64 follow from what they leave over: no solver is believed, see `_inverse_off`
    and `_power_off`.
    """
    m = _matrix(dataclasses.replace(matrix, transposed=False), torch.float64, torch.device("cpu"))
    if not m.isfinite().all():
        return Rounding(math.inf, math.inf, math.inf)
    absolute, relative, s = (len(m) + 4) * UNIT * _size(m), 0.0, _exponent(matrix)
    gain = 1.01 * float(torch.linalg.matrix_norm(m, ord=2))
    if s != 1 and len(m) > EXACT:
        if matrix.power == 1:
            absolute += _inverse_off(matrix.values.values, m, gain)
        else:
            off, relative = _power_off(matrix.values.values, s)
            absolute += off
    return Rounding(gain, absolute * (1 + relative), relative)


def _size(m: Tensor) -> float:
    """The Frobenius norm, at any scale."""
    return float(p_norm(m.reshape(1, -1), 2))


def _inverse_off(m: Tensor, inverse: Tensor, gain: float) -> float:
    """|X - M^-1|_2 <= |X|_2 r/(1 - r) with r >= |I - M X|_F; infinite where r is not below 1."""
    n = len(m)
    rest = torch.eye(n, dtype=m.dtype) - m @ inverse
    r = _size(rest) + (n + 4) * UNIT * _size(m.abs() @ inverse.abs()) + n * UNIT
    return gain * r / (1 - r) if r < 1 else math.inf


def _power_off(m: Tensor, s: float) -> tuple[float, float]:
    """How far C^s by computed eigenvalues and eigenvectors is off: absolute in |x|_2, and relative to |C^s x|_2.

    They are those of C + E with |E|_F <= e, which is measured. Along C + t E the eigenvalues stay within e, and in its
    eigenbasis d/dt (C + t E)^s has the entries E_ij f[i, j], with divided differences f of x^s (Daleckii and Krein;
    Higham, Functions of Matrices, 2008, theorem 3.11). So C^s moves by e max f[i, j] at most; and by Gronwall's lemma
    C^s x by (exp(e h) - 1) |C^s x|_2, with h = max |f[i, j]| values_j^-s, which is far less where s < 0: then the
    condition number of C counts, and not its power 1 - s.
    """
    values, vectors = torch.linalg.eigh((m + m.T) / 2)
    n, size = len(m), vectors.abs()
    product = (n + 6) * UNIT
    skew = vectors.T @ vectors - torch.eye(n, dtype=m.dtype)
    skew = _size(skew) + product * _size(size.T @ size)
    twist = 2 * skew + skew**2  # at least |V D V^T - U D U^T|_2 of V and an orthogonal U, D diagonal with |D|_2 = 1
    rest = _size((vectors * values) @ vectors.T - (m + m.T) / 2)
    e = rest + product * _size((size * values) @ size.T) + twist * float(values[-1])
    share = e / float(values[0])
    if not share < 0.25:
        return math.inf, math.inf
    logs = values.log()[:, None] - values.log()
    slopes = torch.where(logs == 0, s, torch.expm1(s * logs) / torch.where(logs == 0, 1.0, torch.expm1(logs))).abs()
    steepest = float((slopes * values ** ((s if s > 0 else 0) - 1)).max())
    moved = e * steepest * ((1 + share) / (1 - share)) ** (abs(s) + 2)
    powers = values**s
    absolute = product * _size((size * powers) @ size.T) + twist * float(powers.max())
    if s > 0:
        return absolute + moved, 0.0
    relative = math.expm1(moved) if moved < 0.5 else math.inf
    return (absolute, relative / (1 - relative)) if relative < 1 else (math.inf, math.inf)


@OPERATORS.register(examples=["Compose(Scale((1, 2)), Bessel(s=1))"])
@dataclass(frozen=True, init=False, repr=False)
class Compose(Operator):
    """The composition of maps, the last applied first: Compose(A, B)(x) = A(B(x))."""

    maps: tuple[Operator, ...]

    def __init__(self, *maps: Operator):
        if not maps or not all(isinstance(one, Operator) for one in maps):
            raise SpecError(f"Compose: give operators, such as Compose(Scale(2), Bessel(s=1)), not {maps!r}")
        if any(isinstance(one, Bessel) and one.homogeneous for one in maps):
            raise SpecError("Compose: a homogeneous Bessel is not invertible on all data; use it alone, as Sobolev")
        object.__setattr__(self, "maps", maps)

    def __repr__(self) -> str:
        return spell_call("Compose", self.maps)

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        for one in reversed(self.maps):
            x = one(x)
        return x

    def rounding(self, event: tuple[int, ...]) -> Rounding:
        """The accumulated rounding error of the maps, in the order in which they are applied."""
        whole = Rounding(1.0)
        for one in reversed(self.maps):
            whole = one.rounding(event).after(whole)
        return whole

    def with_error(
        self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b *event"], Float[Tensor, " b"]]:
        for one in reversed(self.maps):
            x, off = one.with_error(x, off)
        return x, off

    @property
    def inverse(self) -> "Compose":
        return Compose(*(one.inverse for one in reversed(self.maps)))

    @property
    def adjoint(self) -> "Compose":
        return Compose(*(one.adjoint for one in reversed(self.maps)))
