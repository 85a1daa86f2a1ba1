"""Pricing: which pairs do potentials f, g violate, f_i + g_j > d_ij, and by how much? One pass over all distances.

The answer is rigorous: a pair that is not found is not violated. Pairs are found by lower bounds of their distances
(`Ground.blocks`) and then measured in float64, so a pass in single precision gives potentials that are feasible in
double precision.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from banach.transport.ground import Ground
from banach.transport.kernels import roundoff
from banach.transport.line import on_a_line
from banach.transport.line import transform as transform_on_a_line

_NEAR = 8
"""Up to this many violated pairs for each point are measured exactly."""
_NEAR_IF_SLOW = 64
"""The same where distances are so slow that their table is kept: one in double precision would cost far more."""


class OutOfTime(Exception):
    """The deadline passed within a computation, which leaves no result."""


def in_time(deadline: float) -> None:
    """Raise `OutOfTime` after the deadline, a time of time.monotonic()."""
    if time.monotonic() > deadline:
        raise OutOfTime


@dataclass(frozen=True, eq=False)
class Priced:
    """The pairs (i, j) found, their distances (where not `exact`, bounds below them), and the falls of the potentials.

    f_i + g_j + column_fall_j <= d_ij for all i, j, and likewise with row_fall_i; falls are at most 0, and `sharp` if
    they are no larger than exact distances ask for.
    """

    i: np.ndarray
    j: np.ndarray
    cost: np.ndarray
    exact: np.ndarray
    row_fall: np.ndarray
    column_fall: np.ndarray
    sharp: bool


def price(
    ground: Ground,
    f: np.ndarray,
    g: np.ndarray,
    each: int,
    dtype: torch.dtype = torch.float32,
    margin: float = 0.0,
    deadline: float = float("inf"),
) -> Priced:
    """All pairs that are violated or less than `margin` from it; where there are too many, the most violated ones: for
    each row about `each`, and one for each column and block of rows."""
    top, side, pad = _padded(f, g, dtype)
    falls = torch.zeros(ground.n, dtype=dtype), torch.zeros(ground.m, dtype=dtype)
    found = []
    whole = True
    for rows, low in ground.blocks(dtype):
        in_time(deadline)
        reduced = low.sub_(top[rows, None]).sub_(side)
        in_row = reduced.amin(1)
        if float(in_row.min()) >= margin:
            continue
        in_column = reduced.amin(0)
        falls[0][rows] = in_row
        torch.minimum(falls[1], in_column, out=falls[1])
        at = np.flatnonzero((reduced < margin).numpy())
        if len(at) > 2 * each * len(in_row):
            at, violated = chosen(reduced, in_column, each, margin), np.flatnonzero((reduced < 0).numpy())
            if len(violated) <= 2 * each * len(in_row):  # none of these may be left out, or no bound is sharp
                at = np.union1d(at, violated)
            else:
                whole = False
        r, j = np.divmod(at, ground.m)
        found.append((r + rows.start, j, reduced.view(-1)[torch.from_numpy(at)].double().numpy()))
    i, j, spare = joined(found)
    exact = np.zeros(len(i), bool)
    cost = spare + f[i] + g[j] + pad
    row_fall, column_fall = (one.clamp(max=0).double().numpy() for one in falls)
    violated = np.flatnonzero(spare < 0)
    near = _NEAR_IF_SLOW if ground.keeps(dtype) else _NEAR
    sharp = whole and len(violated) <= near * (ground.n + ground.m)
    if sharp:
        exact[violated] = True
        cost[violated] = ground.pairs(i[violated], j[violated])
        violation = np.minimum(cost - f[i] - g[j], 0.0)[violated]
        row_fall, column_fall = np.zeros(ground.n), np.zeros(ground.m)
        np.minimum.at(row_fall, i[violated], violation)
        np.minimum.at(column_fall, j[violated], violation)
    return Priced(i, j, cost, exact, row_fall, column_fall, sharp)


def joined(found: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triples of arrays (i, j, value), concatenated."""
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    i, j, value = (np.concatenate(column) for column in zip(*found, strict=True))
    return i, j, value


def _padded(f: np.ndarray, g: np.ndarray, dtype: torch.dtype) -> tuple[Tensor, Tensor, float]:
    """The potentials in the working precision, f raised by what two subtractions and two roundings may lose."""
    largest = float(np.abs(f).max(initial=0) + np.abs(g).max(initial=0))
    pad = 8 * roundoff(dtype) * largest
    return torch.from_numpy(f + pad).to(dtype), torch.from_numpy(g).to(dtype), pad


def chosen(reduced: Tensor, in_column: Tensor, each: int, below: float = 0.0) -> np.ndarray:
    """Places in a block (r, m), flat: for each row about `each` of the smallest entries, and the smallest entries of
    about `each` groups of columns; for each column the smallest. Only those below `below`.

    The smallest entries alone would, in clustered data, all be of one cluster; the groups look everywhere.
    """
    r, m = reduced.shape
    coarse = max(1, each // 2)
    fine = 8 * coarse
    length = m // fine
    if length < 2:
        near = reduced.kthvalue(min(each, m), 1).values
        picked = reduced <= near.clamp(max=below)[:, None]
    else:
        even = reduced[:, : length * fine]  # column j is of the fine group j mod fine, and of the coarse j mod coarse
        minima = even.reshape(r, length, fine).amin(1)
        # At least `each` entries of a row are at most the each-th smallest of its groups' minima, and hardly more.
        near = minima.kthvalue(min(each, fine), 1).values
        picked = reduced <= near.clamp(max=below)[:, None]
        least = minima.view(r, 8, coarse).amin(1).clamp(max=below)
        picked[:, : length * fine].view(r, 8 * length, coarse).logical_or_(
            even.view(r, 8 * length, coarse) <= least[:, None]
        )
    picked |= reduced <= in_column.clamp(max=below)
    return np.flatnonzero(picked.numpy())


def transform(
    ground: Ground, g: np.ndarray, dtype: torch.dtype = torch.float64, deadline: float = float("inf")
) -> np.ndarray:
    """The c-transform f_i = min_j d_ij - g_j in float64, without the table of distances: in blocks, or by sorting."""
    if (line := on_a_line(ground)) is not None:
        return transform_on_a_line(line, g)
    side, found = torch.from_numpy(g).to(dtype), []
    for _, low in ground.blocks(dtype):
        in_time(deadline)
        found.append(low.sub_(side).argmin(1))
    nearest = torch.cat(found).numpy()
    f = ground.pairs(np.arange(ground.n), nearest) - g[nearest]  # above the minimum, and hardly so
    return f + price(ground, f, g, ground.m, dtype, deadline=deadline).row_fall
