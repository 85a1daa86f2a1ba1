"""Two weighted samples as a transport problem: read, checked, reduced without changing W1, and restored.

Equal points are merged, and mass that both samples have at one point stays there: for a metric that is exact. Masses
are whole numbers wherever the samples are unweighted, so that no solver has to round them.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from banach.transport.couplings import NO_MOVES, Plan, within
from banach.transport.estimate import TransportError
from banach.transport.numbers import numbers

_EVEN = 1e-9
"""Totals of weights that differ by no more than this share are of equal mass, whatever their type."""
_SINGLE, _DOUBLE = 2.0**-24, 2.0**-53


@dataclass(frozen=True, eq=False)
class Samples:
    """n points x with masses a, m points y with masses b; both masses have the sum `total`, to rounding."""

    x: Tensor
    y: Tensor
    a: np.ndarray
    b: np.ndarray
    total: float


def read(
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    weights_a: Tensor | np.ndarray | None = None,
    weights_b: Tensor | np.ndarray | None = None,
) -> Samples:
    """The two samples, checked; `TransportError` unless they are numbers of one shape."""
    x, y = _points(x, "A"), _points(y, "B")
    if x.shape[1:] != y.shape[1:]:
        shapes = " and ".join("x".join(map(str, one.shape[1:])) for one in (x, y))
        raise TransportError(f"A and B hold samples of different shapes, {shapes}; bring them to one shape")
    shared = torch.promote_types(x.dtype, y.dtype)
    x, y = x.to(shared), y.to(shared)
    if weights_a is None and weights_b is None:
        unit = math.gcd(len(x), len(y))
        a, b = np.full(len(x), float(len(y) // unit)), np.full(len(y), float(len(x) // unit))
        return Samples(x, y, a, b, float(len(x) * (len(y) // unit)))
    a, b = Masses.read(weights_a, len(x), "A"), Masses.read(weights_b, len(y), "B")
    both = weights_a is not None and weights_b is not None
    if both and abs(a.total - b.total) > max(_EVEN, a.rounding + b.rounding) * max(a.total, b.total):
        raise TransportError(
            f"A and B have unequal mass, {_told_apart(a.total, b.total)}: there is no coupling; divide the weights by "
            "their sums, or use the unbalanced solvers of POT, such as ot.unbalanced.mm_unbalanced"
        )
    return Samples(x, y, a.weights / a.total, b.weights / b.total, 1.0)


def _told_apart(a: float, b: float) -> str:
    """Both numbers, with as many digits as tell them apart."""
    digits = next(k for k in range(6, 18) if f"{a:.{k}g}" != f"{b:.{k}g}")
    return f"{a:.{digits}g} and {b:.{digits}g}"


def _points(x: Tensor | np.ndarray, name: str) -> Tensor:
    found = numbers(x, name)
    if found.ndim == 0:
        raise TransportError(f"{name} is one number; give samples, (n, …)")
    if found.numel() == 0:
        raise TransportError(f"{name} is empty, shape {tuple(found.shape)}; a distance needs samples on both sides")
    if found.ndim == 1:
        found = found[:, None]
    for start, block in zip(range(0, len(found), 4096), found.split(4096), strict=True):
        if not (finite := torch.isfinite(block)).all():
            at = start + int((~finite).flatten(1).any(1).nonzero()[0])
            raise TransportError(f"{name} holds NaN or infinite entries, the first in sample {at}; remove them")
    signed = any(bool((torch.signbit(block) & (block == 0)).any()) for block in found.split(4096))
    return found + 0.0 if signed else found  # minus zero becomes zero, so that equal points have equal bytes


@dataclass(frozen=True, eq=False)
class Masses:
    """Weights in float64, their sum, and by what share the sum of normalised weights of their type may miss 1."""

    weights: np.ndarray
    total: float
    rounding: float

    @classmethod
    def read(cls, weights: Tensor | np.ndarray | None, n: int, name: str) -> "Masses":
        """The weights of n samples, all 1 where there are none; `TransportError` for invalid weights."""
        if weights is None:
            return cls(np.ones(n), float(n), 0.0)
        w = numbers(weights, f"weights_{name.lower()}").numpy().astype(np.float64)
        if w.shape != (n,):
            raise TransportError(f"{name} has {n:,} samples and weights of shape {w.shape}; give one weight a sample")
        if not np.isfinite(w).all() or (w < 0).any():
            at = int(np.flatnonzero(~(w >= 0) | np.isinf(w))[0])
            raise TransportError(f"weight {at} of {name} is {w[at]:g}; weights are finite and not negative")
        if not w.max() > 0:
            raise TransportError(f"the weights of {name} sum to zero; some sample must have mass")
        if w.max() > np.finfo(np.float64).max / n:
            raise TransportError(f"the weights of {name} go up to {w.max():g}, too large to be summed; rescale them")
        total = math.fsum(w)
        unit = _unit(weights, w)
        # Each weight is rounded once, and so is the sum that they were divided by; that sum was taken in single
        # precision at least, one number after the other at worst, where its error grows about as the root of n.
        return cls(w, total, 4 * unit + math.sqrt(n) * min(unit, _SINGLE))


def _unit(weights: Tensor | np.ndarray, w: np.ndarray) -> float:
    """The unit roundoff of the type that weights were rounded to: their own, or float32 if they all are such numbers.

    Counts were not rounded.
    """
    if (w == np.floor(w)).all():
        return 0.0
    own = weights.dtype if isinstance(weights, Tensor | np.ndarray) else np.dtype(np.float64)
    if isinstance(own, torch.dtype):
        unit = torch.finfo(own).eps / 2
    else:
        unit = float(np.finfo(own).eps) / 2 if own.kind == "f" else torch.finfo(torch.bfloat16).eps / 2
    with np.errstate(over="ignore"):
        single = (w == w.astype(np.float32)).all()
    return max(unit, _SINGLE if single else _DOUBLE)


@dataclass(frozen=True, eq=False)
class Reduced:
    """What remains to be moved: points `x` with masses `a` and points `y` with masses `b`, all different.

    `groups_x` and `groups_y` say which group of equal points each given sample is in; `rows` and `columns` which groups
    the remaining points are, `stays` what stays in each group, and `members` one sample of each, counted through x
    and then y.
    """

    given: Samples
    groups_x: np.ndarray
    groups_y: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    stays: np.ndarray
    members: np.ndarray
    a: np.ndarray
    b: np.ndarray

    def points(self, groups: np.ndarray) -> Tensor:
        """The points of these groups."""
        at, n = torch.from_numpy(self.members[groups]), len(self.given.x)
        for side, start in ((self.given.x, 0), (self.given.y, n)):
            if len(at) == len(side) and bool((at == torch.arange(start, start + len(side))).all()):
                return side  # nothing was merged: no copy is needed
        out = torch.empty(len(at), *self.given.x.shape[1:], dtype=self.given.x.dtype)
        first = at < n
        out[first], out[~first] = self.given.x[at[first]], self.given.y[at[~first] - n]
        return out

    def spread(self, plan: Plan) -> Plan:
        """The plan of the remaining points, with what stays, as a plan of the samples as they were given.

        Its marginals are the masses up to rounding.
        """
        kept = np.flatnonzero(self.stays)
        moves = Plan(self.rows[plan.i], self.columns[plan.j], plan.mass).joined(Plan(kept, kept, self.stays[kept]))
        left = within(self.groups_x, self.given.a, moves.i, moves.mass)
        right = within(self.groups_y, self.given.b, moves.j[left.j], left.mass)
        return Plan(left.i[right.j], right.i, right.mass) if len(right.mass) else NO_MOVES


def reduced(given: Samples, cancel: bool) -> Reduced:
    """The problem with equal points merged and, if `cancel`, mass that both samples have at one point removed."""
    n = len(given.x)
    _, first, groups = np.unique(
        np.concatenate([_digests(given.x), _digests(given.y)]), return_index=True, return_inverse=True
    )
    order = np.argsort(first)  # groups in the order in which they appear
    first, groups = first[order], np.argsort(order)[groups]
    x, y = groups[:n], groups[n:]
    has_x, has_y = _gathered(x, given.a, len(first)), _gathered(y, given.b, len(first))
    stays = np.minimum(has_x, has_y) if cancel else np.zeros(len(first))
    rest_x, rest_y = has_x - stays, has_y - stays
    rows, columns = np.flatnonzero(rest_x), np.flatnonzero(rest_y)
    return Reduced(given, x, y, rows, columns, stays, first, rest_x[rows], rest_y[columns])


def _gathered(groups: np.ndarray, mass: np.ndarray, count: int) -> np.ndarray:
    """Masses summed by group, in an order that does not depend on that of the samples."""
    order = np.lexsort((mass, groups))
    return np.bincount(groups[order], mass[order], count)


def _digests(x: Tensor) -> np.ndarray:
    """128 bits for each sample, or those of its one number, equal for equal samples."""
    rows = x.flatten(1).contiguous().numpy()
    if rows.shape[1] == 1:  # a number is as short as its digest
        return rows.view(f"u{rows.itemsize}")[:, 0]
    found = b"".join(hashlib.blake2b(row.data, digest_size=16).digest() for row in rows)
    return np.frombuffer(found, dtype="V16")


def equal_distributions(
    rest: Reduced, weights_a: Tensor | np.ndarray | None, weights_b: Tensor | np.ndarray | None
) -> bool:
    """Whether both samples are one distribution, exactly: weights and their sums are compared as rational numbers."""
    if len(rest.a) and len(rest.b):
        return False
    count = len(rest.stays)
    left, right = _shares(rest.groups_x, weights_a, count), _shares(rest.groups_y, weights_b, count)
    whole, other = sum(left), sum(right)
    return all(one * other == two * whole for one, two in zip(left, right, strict=True))


def _shares(groups: np.ndarray, weights: Tensor | np.ndarray | None, count: int) -> Sequence[int | Fraction]:
    if weights is None:
        return np.bincount(groups, minlength=count).tolist()
    found = [Fraction(0)] * count
    for group, w in zip(groups.tolist(), numbers(weights, "weights").double().tolist(), strict=True):
        found[group] += Fraction(w)
    return found
