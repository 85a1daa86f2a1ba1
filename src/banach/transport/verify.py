"""Whether a certificate proves its interval: an independent check, from the samples, the potentials and the plan alone.

This file imports no solver, and nothing of the rest of this package but the norms and `claim`, which reads the file. It
measures every pair of samples anew, by the space's own `pairwise` and `distance` in float64:

* lower end: E f + E g, less the worst of f_i + g_j - d(x_i, y_j)^power over all pairs (if above 0);
* upper end: the cost of the plan, plus D (|row errors|_1 + |column errors|_1)/2, with D above all distances.

The claim must not be above the first or below the second. Claims leave room for rounding themselves, (entries + 64)
2^-52 D at both ends, so that what is claimed in good faith passes although sums here are taken in another order.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from banach.spaces import Metric, Space, files_of
from banach.transport.claim import CertificateError, metric_of, read

Array = Tensor | np.ndarray


@dataclass(frozen=True)
class Verdict:
    """What a certificate was found to prove: `lower <= W <= upper`, and by how much the claims are on the safe side."""

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
    """The interval that the certificate proves for these samples; `CertificateError` where it proves less than it says.

    The samples and weights are those that the distance was computed from, in the same order.
    """
    claim, arrays = read(Path(path).expanduser(), len(x), len(y))
    given = {"A": x, "B": y, "weights_a": weights_a, "weights_b": weights_b}
    for name, found in (given | arrays).items():
        _same(name, claim["sha256"][name], None if found is None else _sha256(found))
    _same("the space", claim["sha256"]["space"], hashlib.sha256(claim["space"].encode()).hexdigest())
    metric, power = metric_of(claim, tuple(x.shape[1:])), claim["power"]
    if metric.computed:
        raise CertificateError(f"{metric!r} is itself computed, by iteration; its distances prove nothing")
    x, y = _points(x), _points(y)
    if isinstance(metric, Space):  # what all samples have in common is not to be rounded with them
        x, y = x - y[:1], y - y[:1]
    a, b = _masses(weights_a, len(x)), _masses(weights_b, len(y))
    f, g, i, j, mass = (arrays[name] for name in ("f", "g", "i", "j", "mass"))
    if f.shape != a.shape or g.shape != b.shape or not i.shape == j.shape == mass.shape or i.ndim != 1:
        raise CertificateError(f"potentials of {f.shape} and {g.shape} for {len(a):,} and {len(b):,} samples")
    if not all(np.isfinite(one).all() for one in (f, g, mass, a, b, x.numpy(), y.numpy())) or (mass < 0).any():
        raise CertificateError("samples, weights, potentials or plan are not all finite, or hold masses below 0")
    if len(i) and not (i.min() >= 0 and i.max() < len(a) and j.min() >= 0 and j.max() < len(b)):
        raise CertificateError("the plan names samples that are not there")
    lower = math.fsum(a * f) + math.fsum(b * g) - float(np.maximum(0.0, _violation(metric, x, y, f, g, power)))
    rows, columns = np.bincount(i, mass, len(a)) - a, np.bincount(j, mass, len(b)) - b
    lost = (math.fsum(np.abs(rows)) + math.fsum(np.abs(columns))) / 2
    upper = math.fsum(mass * _paired(metric, x, y, i, j, power))
    if upper > 0 or lost > (x[0].numel() + 64) * 2.0**-52:  # less, at no cost, is rounding of equal samples' weights
        upper += lost * _reach(metric, x, y) ** power
    if not claim["lower"] <= max(0.0, lower):
        raise CertificateError(f"it claims a lower end of {claim['lower']!r}; its potentials prove {lower!r}")
    if not claim["upper"] >= upper:
        raise CertificateError(f"it claims an upper end of {claim['upper']!r}; its plan proves {upper!r}")
    spare = max(0.0, lower) - claim["lower"], claim["upper"] - upper
    return Verdict(claim["lower"], claim["upper"], repr(metric), power, (len(a), len(b)), *spare, files_of(metric))


def _same(name: str, claimed: str | None, found: str | None) -> None:
    if claimed != found:
        said = "is missing" if found is None else "was not used" if claimed is None else "is not what was certified"
        raise CertificateError(f"{name} {said}: its SHA-256 is {found}, the certificate says {claimed}")


def _sha256(values: Array) -> str:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    kind = "<i8" if array.dtype.kind in "iu" and array.ndim == 1 else "<f8"
    return hashlib.sha256(f"{tuple(array.shape)} {kind};".encode() + array.astype(kind).tobytes()).hexdigest()


def _points(values: Array) -> Tensor:
    found = values.detach().cpu() if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    return (found[:, None] if found.ndim == 1 else found).double()


def _masses(weights: Array | None, n: int) -> np.ndarray:
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    return w / math.fsum(w)


def _violation(metric: Metric, x: Tensor, y: Tensor, f: np.ndarray, g: np.ndarray, power: float) -> float:
    worst, rows = -math.inf, max(1, 2**22 // len(y))
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        room = metric.pairwise(x[part], y).pow_(power) - torch.from_numpy(f[part])[:, None]
        worst = float(np.maximum(worst, -float((room - torch.from_numpy(g)).min())))  # a NaN stays one
    return worst


def _paired(metric: Metric, x: Tensor, y: Tensor, i: np.ndarray, j: np.ndarray, power: float) -> np.ndarray:
    found, size = [np.empty(0)], max(1, 2**22 // x[0].numel())
    for start in range(0, len(i), size):
        part = slice(start, start + size)
        found.append(metric.distance(x[torch.from_numpy(i[part])], y[torch.from_numpy(j[part])]).numpy() ** power)
    return np.concatenate(found)


def _reach(metric: Metric, x: Tensor, y: Tensor) -> float:
    """At least every d(x_i, y_j): both ways lead through y_0."""
    away = [[float(metric.distance(p, y[:1].expand_as(p)).max()) for p in one.split(1024)] for one in (x, y)]
    return float(np.max(away[0])) + float(np.max(away[1]))
