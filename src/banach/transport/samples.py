"""Two weighted samples as a transport problem: read, checked, made smaller without changing W1, and put back.

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

_EVEN = 1e-9
"""Totals of weights that differ by more than this share are of unequal mass."""


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
    """The two samples, checked; `TransportError` for all that makes them no samples of one kind of thing."""
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
    mass_a, mass_b = _total(weights_a, len(x), "A"), _total(weights_b, len(y), "B")
    both = weights_a is not None and weights_b is not None
    if both and abs(mass_a - mass_b) > _EVEN * max(mass_a, mass_b):
        raise TransportError(
            f"A and B have unequal mass, {mass_a:g} and {mass_b:g}: there is no coupling; divide the weights by their "
            "sums, or use the unbalanced solvers of POT, such as ot.unbalanced.mm_unbalanced"
        )
    return Samples(x, y, normalised(weights_a, len(x)), normalised(weights_b, len(y)), 1.0)


def normalised(weights: Tensor | np.ndarray | None, n: int) -> np.ndarray:
    """Weights over their sum, in float64; equal ones where there are none."""
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    return w / math.fsum(w)


def _points(x: Tensor | np.ndarray, name: str) -> Tensor:
    found = x.detach().cpu() if isinstance(x, Tensor) else torch.from_numpy(np.ascontiguousarray(x))
    if found.is_complex() or found.ndim == 0:
        raise TransportError(f"{name} is a {found.dtype} of shape {tuple(found.shape)}; give real numbers, (n, …)")
    if found.numel() == 0:
        raise TransportError(f"{name} is empty, shape {tuple(found.shape)}; a distance needs samples on both sides")
    if found.ndim == 1:
        found = found[:, None]
    if not found.is_floating_point() or found.dtype in (torch.float16, torch.bfloat16):
        found = found.float() if found.element_size() <= 2 else found.double()  # each holds all such numbers
    for start, block in zip(range(0, len(found), 4096), found.split(4096), strict=True):
        if not (finite := torch.isfinite(block)).all():
            at = start + int((~finite).flatten(1).any(1).nonzero()[0])
            raise TransportError(f"{name} holds NaN or infinite entries, the first in sample {at}; remove them")
    signed = any(bool((torch.signbit(block) & (block == 0)).any()) for block in found.split(4096))
    return found + 0.0 if signed else found  # minus zero becomes zero, so that equal points have equal bytes


def _total(weights: Tensor | np.ndarray | None, n: int, name: str) -> float:
    if weights is None:
        return 1.0
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (n,):
        raise TransportError(f"{name} has {n:,} samples and weights of shape {w.shape}; give one weight a sample")
    if not np.isfinite(w).all() or (w < 0).any():
        at = int(np.flatnonzero(~(w >= 0) | np.isinf(w))[0])
        raise TransportError(f"weight {at} of {name} is {w[at]:g}; weights are finite and not negative")
    if not (total := math.fsum(w)) > 0:
        raise TransportError(f"the weights of {name} sum to zero; some sample must have mass")
    return total


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
    """Equal points merged and, if `cancel`, what both samples have at one point left there."""
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
    """128 bits for each sample, equal for equal samples."""
    rows = x.flatten(1).contiguous().numpy()
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
    for group, w in zip(groups.tolist(), np.asarray(weights, dtype=np.float64).tolist(), strict=True):
        found[group] += Fraction(w)
    return found
