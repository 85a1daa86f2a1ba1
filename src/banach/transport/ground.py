"""The ground cost of a transport problem: the distances of two sample sets in a metric, by pairs and by blocks."""

import functools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from banach.norms.embedding import Coordinates
from banach.numerics import p_norm
from banach.operators.operator import SMALLEST, UNIT
from banach.spaces import Metric, Space
from banach.transport.estimate import TransportError
from banach.transport.kernels import Kept, Kernel, Measured, Powered, kernel

_BLOCK = 2**22  # distances in a block of rows
_PAIRS = 2**21  # numbers in a block of pairs
KEPT = 2**31
"""Bytes that a table of slow distances may take."""


class Ground:
    """Distances d(x_i, y_j)^power of n points x and m points y, in units of `unit`^power.

    `pairs` measures chosen pairs in float64; `blocks` runs over all rows in order and yields lower bounds in the
    working precision, see `kernels`. `unit` is a power of two that no distance is above (dividing by it rounds
    nothing), so that no power of a distance leaves the range of the type.

    A distance as measured is off by `near` of itself, and by `off` of its two points: what the maps of the norm lose.
    """

    def __init__(self, metric: Metric, x: Tensor, y: Tensor, power: float = 1.0, kept: int = KEPT):
        self.metric, self.power, self.x, self.y = metric, power, x, y
        self.n, self.m = len(x), len(y)
        self._kept = kept
        self._kernels: dict[torch.dtype, Kernel] = {}
        event = tuple(x.shape[1:])
        self.near = metric.roundoff(event) + 8 * UNIT
        # Maps round less of data with a point of them taken off; where there are none, that itself would round.
        self._origin = y[:1].double() if metric.mapped else None
        away = self.from_first()
        self.farthest = float(away[: self.n].max() + away[self.n :].max())
        """By the triangle inequality no distance is above it, to rounding; in the data's units."""
        self.unit = math.ldexp(1.0, min(1023, math.frexp(self.farthest)[1])) if 0 < self.farthest < math.inf else 1.0
        self.places = _places(metric, x, y, self._origin)
        if self.places is not None and self.unit != 1.0:
            self.places = tuple(
                side.mapped([_divided(leaf, self.unit) for leaf in side.leaves()]) for side in self.places
            )

    @property
    def entries(self) -> int:
        """The number of coordinates of a sample."""
        return self.places[0].entries if self.places is not None else math.prod(self.x.shape[1:])

    def from_first(self) -> np.ndarray:
        """d(x_i, y_0) for all i, then d(y_j, y_0) for all j, whatever the power, in the data's units."""
        one = self.y[:1].double()
        rows = max(1, _PAIRS // max(1, one.numel()))
        blocks = [block.double() for side in (self.x, self.y) for block in side.split(rows)]
        found = torch.cat([self.metric.distance(block, one.expand_as(block)) for block in blocks])
        if found.dtype != torch.float64:
            raise TransportError(f"{self.metric!r} measures float64 samples in {found.dtype}; let it keep their type")
        return found.numpy()

    @functools.cached_property
    def off(self) -> tuple[np.ndarray, np.ndarray]:
        """The rounding error of each x_i, then of each y_j, in units of `unit`."""
        found, rows = [], max(1, _PAIRS // max(1, math.prod(self.x.shape[1:])))
        for side in (self.x, self.y):
            blocks = (block.double() for block in side.split(rows))
            found.append(
                torch.cat([self._off(block) for block in blocks]).numpy() / self.unit + SMALLEST * self.entries
            )
        return found[0], found[1]

    def _off(self, block: Tensor) -> Tensor:
        if self._origin is None:
            return self.metric.rounding(block)
        block = block - self._origin
        return self.metric.rounding(block, UNIT * p_norm(block, 2))

    def reach(self) -> float:
        """An upper bound of all d(x_i, y_j)^power, however they are measured in float64."""
        far = self.farthest / self.unit * (1 + 4 * self.near) + 4 * sum(float(one.max()) for one in self.off)
        return far**self.power * (1 + 16 * UNIT)

    def pairs(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """d(x_i, y_j)^power for each pair, in float64."""
        distances = self.distances(i, j)
        return distances if self.power == 1 else distances**self.power

    def distances(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """d(x_i, y_j) for each pair, in float64."""
        if not len(i):
            return np.empty(0)
        size = max(1, _PAIRS // max(1, self.entries))
        left, right = torch.from_numpy(i.astype(np.int64)), torch.from_numpy(j.astype(np.int64))
        if self.places is None:
            found = [
                self.metric.distance(self.x[a].double(), self.y[b].double()) / self.unit
                for a, b in zip(left.split(size), right.split(size), strict=True)
            ]
        else:
            x, y = self.places
            found = [_between(x, a, y, b) for a, b in zip(left.split(size), right.split(size), strict=True)]
        return torch.cat(found).numpy()

    def table(self) -> np.ndarray:
        """All distances in float64, (n, m)."""
        i, j = np.divmod(np.arange(self.n * self.m), self.m)
        return self.pairs(i, j).reshape(self.n, self.m)

    def blocks(self, dtype: torch.dtype = torch.float32, rows: int = 0) -> Iterator[tuple[slice, Tensor]]:
        """Rows in order, with lower bounds of their distances (r, m); each block is the caller's to overwrite."""
        found = self._kernel(dtype)
        size = rows or max(1, min(256, _BLOCK // self.m))
        for start in range(0, self.n, size):
            part = slice(start, min(start + size, self.n))
            yield part, found.block(part)

    def keeps(self, dtype: torch.dtype) -> bool:
        """Whether the blocks are in memory for a second pass."""
        return isinstance(self._kernel(dtype), Kept)

    def _kernel(self, dtype: torch.dtype) -> Kernel:
        if dtype not in self._kernels:
            if self.places is None:
                built: Kernel = Measured(self.metric, self.x, self.y, self.unit, dtype)
            else:
                built = kernel(self.places[0], self.places[1], dtype)
            if self.power != 1:
                built = Powered(built, self.power, dtype)
            if built.slow and self.n * self.m * torch.finfo(dtype).bits // 8 <= self._kept:
                built = Kept(built, self.n, self.m, dtype)
            self._kernels = {dtype: built}  # the last one only: each holds a copy of the coordinates
        return self._kernels[dtype]


def _places(metric: Metric, x: Tensor, y: Tensor, origin: Tensor | None) -> tuple[Coordinates, ...] | None:
    if not isinstance(metric, Space):
        return None
    left, right = metric.embed(x, origin), metric.embed(y, origin)
    return None if left is None or right is None else (left, right)


def _divided(leaf: Tensor, unit: float) -> Tensor:
    """leaf / unit, a power of two; in the leaf's own type if that rounds nothing: entries near its ends would be."""
    found = leaf / unit
    return found if leaf.dtype == torch.float64 or torch.equal(found * unit, leaf) else leaf.double() / unit


def _between(x: Coordinates, i: Tensor, y: Coordinates, j: Tensor) -> Tensor:
    leaves = zip(x.leaves(), y.leaves(), strict=True)
    differences = [left[i].double() - right[j].double() for left, right in leaves]
    return x.mapped(differences).norm()
