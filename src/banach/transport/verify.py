"""Verification of certificates: an independent check, from the samples, the potentials and the plan alone.

This file imports no solver, and nothing of the rest of this package but its norms and `claim`, which reads the file. It
measures every pair of samples anew, by the space's own `pairwise` and `distance` in float64, and what float64 may be
off by is on the safe side of every inequality. With u = 2^-53, and d the distance as measured:

* the true distance lies within near d + e_i + e_j of d, where near is (entries + 64) u, and e what the maps of the
  norm lose (`Metric.roundoff`, `Metric.rounding`);
* lower end: E f + E g, less the worst of f_i + g_j - (d (1 - near) - e_i - e_j)^power over all pairs, if above 0;
* upper end: the mean of (d (1 + near) + e_i + e_j)^power over the plan, plus D (|row errors|_1 + |column errors|_1)/2
  with D above all of these; of two samples that are one distribution in rational numbers, 0.

The claim must not be above the first or below the second. What is assumed stands in docs/distance.md.
"""

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.numerics import p_norm
from banach.spaces import Metric, Space, files_of
from banach.transport.claim import CertificateError, metric_of, read
from banach.transport.line_check import line_violation

Array = Tensor | np.ndarray

U, SMALLEST = 2.0**-53, 2.0**-1074
_BLOCK = 2**22


@dataclass(frozen=True)
class Verdict:
    """The result of a verification: `lower <= W <= upper`, and by how much the claims are on the safe side."""

    lower: float
    upper: float
    space: str
    power: float
    samples: tuple[int, int]
    spare_below: float
    spare_above: float
    files: dict[str, str]
    """Tables of the space that were read from files, with the SHA-256 of what they hold."""


def verify(
    path: str | Path, x: Array, y: Array, weights_a: Array | None = None, weights_b: Array | None = None
) -> Verdict:
    """The interval that the certificate proves for these samples; `CertificateError` if it proves less than it claims.

    The samples and weights are those that the distance was computed from, in the same order.
    """
    left, right = _doubles("A", x), _doubles("B", y)
    left, right = (one[:, None] if one.ndim == 1 else one for one in (left, right))
    claim, arrays = read(Path(path).expanduser(), len(left), len(right))
    _check_hashes(claim, {"A": x, "B": y, "weights_a": weights_a, "weights_b": weights_b} | arrays)
    metric, power = metric_of(claim, tuple(left.shape[1:])), claim["power"]
    if metric.computed:
        raise CertificateError(f"{metric!r} is itself computed, by iteration; its distances prove nothing")
    w, v = (None if one is None else _doubles("the weights", one).numpy() for one in (weights_a, weights_b))
    a, b = _masses(w, len(left)), _masses(v, len(right))
    witness = _Witness(**arrays)
    witness.check(a, b)
    lower, upper = _proven(_Ground(metric, left, right, power), a, b, witness)
    if claim["upper"] == 0 and _one_distribution(left, right, w, v):
        upper = 0.0
    if not claim["lower"] <= max(0.0, lower):
        raise CertificateError(f"it claims a lower end of {claim['lower']!r}; its potentials prove {lower!r}")
    if not claim["upper"] >= max(upper, claim["lower"]):
        raise CertificateError(f"it claims an upper end of {claim['upper']!r}; its plan proves {upper!r}")
    spare = max(0.0, lower) - claim["lower"], claim["upper"] - upper
    return Verdict(claim["lower"], claim["upper"], repr(metric), power, (len(a), len(b)), *spare, files_of(metric))


@dataclass(frozen=True)
class _Witness:
    """What proves an interval: potentials f and g for the lower end, a plan of moves i -> j of mass for the upper."""

    f: np.ndarray
    g: np.ndarray
    i: np.ndarray
    j: np.ndarray
    mass: np.ndarray

    def check(self, a: np.ndarray, b: np.ndarray) -> None:
        """CertificateError unless it is one for samples of these weights, in numbers that can be computed with."""
        f, g, i, j, mass = self.f, self.g, self.i, self.j, self.mass
        if f.shape != a.shape or g.shape != b.shape or not i.shape == j.shape == mass.shape or i.ndim != 1:
            raise CertificateError(f"potentials of {f.shape} and {g.shape} for {len(a):,} and {len(b):,} samples")
        if any((one < 0).any() or not np.isfinite(one).all() for one in (mass, a, b)) or mass.max(initial=0.0) > 2:
            raise CertificateError("weights or plan are not all finite, or hold masses below 0 or above the total")
        if not all((np.abs(one) < 2.0**1000).all() for one in (f, g)):
            raise CertificateError("potentials are not all finite, or too large for float64 to check")
        if not (_are_places(i, len(a)) and _are_places(j, len(b))):
            raise CertificateError("the plan names samples that do not exist")


def _are_places(of: np.ndarray, n: int) -> bool:
    return not len(of) or bool(of.min() >= 0 and of.max() < n)


def _proven(ground: "_Ground", a: np.ndarray, b: np.ndarray, by: _Witness) -> tuple[float, float]:
    """The lower and the upper end that the witness proves for samples of weights a and b."""
    worst, farthest = ground.measured(by.f, by.g)
    sizes = math.fsum(a * np.abs(by.f)) + math.fsum(b * np.abs(by.g))
    lower = math.fsum(a * by.f) + math.fsum(b * by.g) - 8 * U * sizes - worst - SMALLEST * (len(a) + len(b) + 8)
    upper = math.fsum(by.mass * ground.costs(by.i, by.j)) * (1 + 8 * U)
    return lower, upper + _lost(by.i, by.j, by.mass, a, b) * farthest


class _Ground:
    """The distances of two samples, each with what float64 may be off by."""

    def __init__(self, metric: Metric, x: Tensor, y: Tensor, power: float):
        if not (x.numel() and y.numel() and x.isfinite().all() and y.isfinite().all()):
            raise CertificateError("the samples are empty, or not all finite")
        if x.shape[1:] != y.shape[1:]:
            raise CertificateError(f"samples of shapes {tuple(x.shape[1:])} and {tuple(y.shape[1:])}")
        event = tuple(x.shape[1:])
        self.metric, self.power, self.given = metric, power, (x, y)
        self.near = metric.roundoff(event) + 8 * U
        self.x, self.y, centring = x, y, None
        event_loss = SMALLEST * math.prod(event)  # below the normal numbers entries lose no share of themselves
        if metric.mapped:
            # What all samples have in common is not to be rounded by the norm's maps; to take it off rounds, too.
            self.x, self.y, centring = x - y[:1], y - y[:1], 2 * U
        self.off_x, self.off_y = (
            metric.rounding(one, None if centring is None else centring * p_norm(one, 2)) + event_loss
            for one in (self.x, self.y)
        )

    def measured(self, f: np.ndarray, g: np.ndarray) -> tuple[float, float]:
        """The worst violation of the potentials over all pairs, at least 0, and a number that no cost is above."""
        least, most = self._on_a_line(f, g) if self.given[0][0].numel() == self.power == 1 else self._pairwise(f, g)
        far = torch.full((), most * (1 + self.near), dtype=torch.float64) + self.off_x.max() + self.off_y.max()
        far = float(far.pow(self.power))  # not a float's own power, which raises where it overflows
        # Each difference is off by u of its result, of which f and g are all but the room itself.
        worst = max(0.0, -least) * (1 + 16 * U) + 16 * U * float(np.abs(f).max() + np.abs(g).max())
        if not (math.isfinite(far) and math.isfinite(least)) or (most > 0 and far < 2.0**-960):
            raise CertificateError(f"distances of up to {far:.3g} leave the range in which float64 proves anything")
        return worst, far * (1 + 8 * U)

    def _pairwise(self, f: np.ndarray, g: np.ndarray) -> tuple[float, float]:
        """The least room that f and g leave below the distances, over all pairs, and the largest distance."""
        rows, least, most = max(1, _BLOCK // len(self.y)), math.inf, 0.0
        low_side, high_side = torch.from_numpy(f), torch.from_numpy(g)
        for start in range(0, len(self.x), rows):
            part = slice(start, start + rows)
            d = self.metric.pairwise(self.x[part], self.y)
            if d.dtype != torch.float64:
                raise CertificateError(f"{self.metric!r} measures float64 samples in {d.dtype}, which proves nothing")
            most = float(np.maximum(most, float(d.max())))
            room = d.mul_(1 - self.near).sub_(self.off_x[part, None]).sub_(self.off_y).clamp_(min=0)
            room = room if self.power == 1 else room.pow_(self.power)
            least = float(np.minimum(least, float(room.sub_(low_side[part, None]).sub_(high_side).min())))
        return least, most

    def _on_a_line(self, f: np.ndarray, g: np.ndarray) -> tuple[float, float]:
        """The same for one number a sample, whose norms are all multiples of |x|, by sorting."""
        if not isinstance(self.metric, Space):
            return self._pairwise(f, g)
        length = float(self.metric.norm(torch.ones(1, *self.x.shape[1:], dtype=torch.float64)))
        x, y = self.x.flatten().numpy(), self.y.flatten().numpy()
        f, g = f + self.off_x.numpy(), g + self.off_y.numpy()
        with np.errstate(all="ignore"):  # what overflows is refused
            most = length * float(np.maximum(x.max() - y.min(), y.max() - x.min()))
            return -line_violation(x, y, f, g, length * (1 - 2 * self.near)), most

    def costs(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """What each move may cost at most; nothing from a point to itself."""
        found, size = [np.empty(0)], max(1, _BLOCK // self.x[0].numel())
        for start in range(0, len(i), size):
            at, to = (torch.from_numpy(one[start : start + size]) for one in (i, j))
            high = self.metric.distance(self.x[at], self.y[to]) * (1 + self.near) + self.off_x[at] + self.off_y[to]
            moves = (self.given[0][at] != self.given[1][to]).flatten(1).any(1)
            found.append(torch.where(moves, high.pow(self.power) * (1 + 8 * U), 0.0).numpy())
        return np.concatenate(found)


def _lost(i: np.ndarray, j: np.ndarray, mass: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Half of all mass that is too much or too little in the plan's marginals; sums and weights are rounded, too."""
    lost = 0.0
    for at, wanted in ((i, a), (j, b)):
        found = np.bincount(at, mass, len(wanted))
        rounded = (np.bincount(at, minlength=len(wanted)) + 4) * found + 4 * wanted  # a sum of k terms: k u of itself
        lost += (math.fsum(np.abs(found - wanted)) + U * math.fsum(rounded)) / 2
    return lost


def _one_distribution(x: Tensor, y: Tensor, w: np.ndarray | None, v: np.ndarray | None) -> bool:
    """Whether both samples hold the same points with the same shares of their mass, as rational numbers."""
    sides = []
    for points, weights in ((x, w), (y, v)):
        rows = (points + 0.0).flatten(1).numpy()  # minus zero is zero
        held: dict[bytes, Fraction] = {}
        for row, share in zip(rows, np.ones(len(rows)) if weights is None else weights, strict=True):
            key = hashlib.sha256(row.tobytes()).digest()
            held[key] = held.get(key, Fraction(0)) + Fraction(float(share))
        whole = sum(held.values())
        sides.append({key: one / whole for key, one in held.items() if one})
    return sides[0] == sides[1]


def _numpy(values: Array) -> np.ndarray:
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.double() if values.is_floating_point() else values).numpy()  # NumPy has no bfloat16


def _doubles(name: str, values: Array) -> Tensor:
    """The values in float64, which must hold each of them as it is."""
    array = _numpy(values)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise CertificateError(f"{name}: entries of type {array.dtype} are not what this version checks")
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.max())), abs(int(array.min()))) > 2**53:
        raise CertificateError(f"{name} holds whole numbers above 2^53, which float64 rounds")
    return torch.from_numpy(np.array(array, dtype=np.float64))


def _same(name: str, claimed: str | None, found: str | None) -> None:
    if claimed != found:
        said = "is missing" if found is None else "was not used" if claimed is None else "is not what was certified"
        raise CertificateError(f"{name} {said}: its SHA-256 is {found}, the certificate says {claimed}")


def _check_hashes(claim: dict[str, Any], given: dict[str, Array | None]) -> None:
    """CertificateError unless these are the samples, weights, potentials and plan that the claim is about."""
    for name, found in given.items():
        _same(name, claim["sha256"][name], None if found is None else _sha256(found))
    _same("the space", claim["sha256"]["space"], hashlib.sha256(claim["space"].encode()).hexdigest())


def _sha256(values: Array) -> str:
    array = _numpy(values)
    kind = "<i8" if array.dtype.kind in "iu" and array.ndim == 1 else "<f8"
    return hashlib.sha256(f"{tuple(array.shape)} {kind};".encode() + array.astype(kind).tobytes()).hexdigest()


def _masses(weights: np.ndarray | None, n: int) -> np.ndarray:
    w = np.ones(n) if weights is None else weights
    if w.shape == (n,) and np.isfinite(w).all():  # by a power of two: sums of the largest numbers overflow
        w = np.ldexp(w, -int(np.frexp(w.max(initial=1e-300))[1]))
    if w.shape != (n,) or not (total := math.fsum(w)) > 0:
        raise CertificateError(f"weights of shape {w.shape} for {n:,} samples, or of no mass")
    return w / total
