"""Blocks of lower bounds of distances: every entry is at most the true distance, whatever the rounding.

A block is computed in a working precision of unit roundoff u and moved down by a proven bound on its error, so that
what is found there to be far apart *is* far apart; the few pairs for which the difference matters are measured again in
float64 (`Ground.pairs`). The bounds are those of Higham, Accuracy and Stability of Numerical Algorithms (2002),
sections 3.1 and 3.5, and hold for any order of summation, with or without fused multiplications.
"""

import functools
import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.embedding import Coordinates
from banach.spaces import Metric
from banach.spaces.all_pairs import Powers, table

FEW = 8
"""Up to this many coordinates differences are as fast as matrix products, and exact near zero."""


def roundoff(dtype: torch.dtype) -> float:
    """u, half the distance from 1 to the next number."""
    return torch.finfo(dtype).eps / 2


class Kernel(ABC):
    """Certified lower bounds of the distances of n rows to m columns, a block of rows at a time."""

    slow = True
    """Whether a block costs much more than reading it from memory."""

    @abstractmethod
    def block(self, rows: slice) -> Float[Tensor, "r m"]:
        """Bounds below d(x_i, y_j), none negative, for the rows of the slice; a tensor for the caller to overwrite."""


class Euclidean(Kernel):
    """p = 2 by matrix products: |x|^2 + |y|^2 - 2 x.y, less a bound on its error.

    With k coordinates, the product is off by at most k u |x| |y| <= k u (|x|^2 + |y|^2)/2 (to first order), and all the
    rest by at most 18 u (|x|^2 + |y|^2), the rounding of the coordinates included: so (1 - (k + 20) u) stands before
    |x|^2 + |y|^2. Near zero the bound is 0, and the pair is measured in float64.
    """

    slow = False

    def __init__(self, x: Tensor, y: Tensor, dtype: torch.dtype):
        centre = (x.mean(0, dtype=torch.float64) + y.mean(0, dtype=torch.float64)) / 2
        self._x, self._y = _less(x, centre, dtype), _less(y, centre, dtype)
        kept = 1 - 1.02 * (x.shape[1] + 20) * roundoff(dtype)
        self._xx, self._yy = ((_squares(one) * max(0.0, kept)).to(dtype) for one in (self._x, self._y))

    def block(self, rows: slice) -> Tensor:
        products = self._x[rows] @ self._y.T
        return products.mul_(-2).add_(self._xx[rows, None]).add_(self._yy).clamp_(min=0).sqrt_()


class Differences(Kernel):
    """Any p by differences of coordinates: their p-norm is off by a factor 1 + (k + 32) u at most.

    To that comes the rounding of the coordinates themselves, u (|x| + |y|), and t, the smallest number, for each that
    leaves the normal ones: less than k t in the norm. Powers lose nothing, for each difference is divided by its own
    largest entry; but for p = 2 squares are taken as they are, and may lose t each, (k t)^(1/2) in the norm.
    """

    def __init__(self, x: Tensor, y: Tensor, p: float, dtype: torch.dtype):
        centre = (x.mean(0, dtype=torch.float64) + y.mean(0, dtype=torch.float64)) / 2
        largest = max(float((block.double() - centre).abs().max()) for one in (x, y) for block in one.split(1024))
        self._scale = math.ldexp(1.0, math.frexp(largest)[1]) if 0 < largest < math.inf else 1.0
        self._x, self._y = (_less(one, centre, dtype, self._scale) for one in (x, y))
        self._p, k, u = p, x.shape[1], roundoff(dtype)
        self._kept = 1 - 1.02 * (k + 32) * u
        least = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
        lost = 1.01 * (k * least) ** (0.5 if p == 2 else 1)
        rounded = (Coordinates(p, one.double()).norm() for one in (self._x, self._y))
        self._off_x, self._off_y = ((1.01 * u * one + lost).to(dtype) for one in rounded)
        self.slow = k > FEW

    def block(self, rows: slice) -> Tensor:
        if self._p in (1, 2, math.inf):
            found = torch.cdist(self._x[rows], self._y, p=self._p, compute_mode="donot_use_mm_for_euclid_dist")
        else:
            found = table(Powers(self._p), self._x[rows], self._y)
        found.mul_(self._kept).sub_(self._off_x[rows, None]).sub_(self._off_y).clamp_(min=0)
        return found if self._scale == 1 else found.mul_(self._scale)


class Joined(Kernel):
    """The p-norm of the parts' bounds, taken as multiples of the largest one, so that no power overflows."""

    def __init__(self, parts: list[Kernel], p: float, dtype: torch.dtype):
        self._parts, self._p = parts, p
        self._kept = 1 - 1.02 * (len(parts) + 32) * roundoff(dtype)
        self.slow = any(part.slow for part in parts)

    def block(self, rows: slice) -> Tensor:
        bounds, p = [part.block(rows) for part in self._parts], self._p
        if p == 1:
            return functools.reduce(Tensor.add_, bounds).mul_(self._kept)
        largest = functools.reduce(torch.maximum, bounds)
        if p == math.inf:
            return largest
        safe = torch.where(largest > 0, largest, 1.0)
        powers = (_power(one.div_(safe), p) for one in bounds)
        return _power(functools.reduce(Tensor.add_, powers), 1 / p).mul_(safe).mul_(self._kept)


class Measured(Kernel):
    """The metric's own table in float64, rounded down: for metrics without a form."""

    def __init__(self, metric: Metric, x: Tensor, y: Tensor, unit: float, dtype: torch.dtype):
        self._metric, self._x, self._y, self._unit, self._dtype = metric, x, y.double(), unit, dtype

    def block(self, rows: slice) -> Tensor:
        exact = self._metric.pairwise(self._x[rows].double(), self._y) / self._unit
        return exact.mul_(1 - 2 * roundoff(self._dtype)).to(self._dtype)


class Powered(Kernel):
    """The bounds to a power."""

    def __init__(self, inner: Kernel, power: float, dtype: torch.dtype):
        self._inner, self._power = inner, power
        self._kept = 1 - (8 + 2 * power) * roundoff(dtype)
        self.slow = inner.slow

    def block(self, rows: slice) -> Tensor:
        powers = self._inner.block(rows).pow_(self._power).mul_(self._kept)
        return powers.clamp_(max=torch.finfo(powers.dtype).max)  # what overflows is larger still


class Kept(Kernel):
    """A slow kernel whose blocks are kept in memory once they have been computed."""

    slow = False

    def __init__(self, inner: Kernel, n: int, m: int, dtype: torch.dtype):
        self._inner = inner
        self._table = torch.empty(n, m, dtype=dtype)
        self._known = torch.zeros(n, dtype=torch.bool)

    def block(self, rows: slice) -> Tensor:
        if not self._known[rows].all():
            self._table[rows] = self._inner.block(rows)
            self._known[rows] = True
        return self._table[rows].clone()


def kernel(x: Coordinates, y: Coordinates, dtype: torch.dtype) -> Kernel:
    """The kernel of two sets of coordinates of one norm."""
    if x.values is None or y.values is None:
        return Joined([kernel(*parts, dtype) for parts in zip(x.parts, y.parts, strict=True)], x.p, dtype)
    if x.p == 2 and FEW < x.values.shape[1] < 0.05 / roundoff(dtype):
        return Euclidean(x.values, y.values, dtype)
    return Differences(x.values, y.values, x.p, dtype)


def _less(x: Tensor, centre: Tensor, dtype: torch.dtype, scale: float = 1.0) -> Tensor:
    """(x - centre)/scale in another precision."""
    rows = max(1, 2**22 // max(1, x.shape[1]))
    out = torch.empty(x.shape, dtype=dtype)
    for into, block in zip(out.split(rows), x.split(rows), strict=True):
        into.copy_((block.double() - centre).div_(scale))
    return out


def _squares(x: Tensor) -> Tensor:
    return torch.cat([block.double().square().sum(1) for block in x.split(max(1, 2**22 // max(1, x.shape[1])))])


def _power(x: Tensor, p: float) -> Tensor:
    if p == 1:
        return x
    if p == 2:
        return x.square_()
    return x.sqrt_() if p == 0.5 else x.pow_(p)
