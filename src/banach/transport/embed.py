"""Samples as coordinates in which a norm is an L^p norm, or an L^p norm of such norms: transformed once, then compared.

|x - y| of a Sobolev space, say, is the L^p distance of A x and A y: n + m transforms serve all n m distances.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.numerics import p_norm
from banach.spaces import Intersection, Lp, MeanFree, Metric, Product, TotalVariation, Weighted
from banach.spaces.forms import Differences

_ROWS = 2**22  # numbers transformed at a time


@dataclass(frozen=True)
class Coordinates:
    """Rows (n, k) measured by an L^p norm, or (without `values`) the p-norm of `parts`."""

    p: float
    values: Tensor | None = None
    parts: tuple["Coordinates", ...] = ()

    def leaves(self) -> list[Tensor]:
        """All rows, in order."""
        own = [] if self.values is None else [self.values]
        return own + [leaf for part in self.parts for leaf in part.leaves()]

    def mapped(self, leaves: "list[Tensor]") -> "Coordinates":
        """The same norm on other rows, which are taken from the front of the list."""
        values = None if self.values is None else leaves.pop(0)
        return Coordinates(self.p, values, tuple(part.mapped(leaves) for part in self.parts))

    @property
    def entries(self) -> int:
        """How many numbers stand for a sample."""
        return sum(leaf.shape[1] for leaf in self.leaves())

    def norm(self) -> Tensor:
        """The norm of each row."""
        if self.values is not None:
            return p_norm(self.values, self.p)
        return p_norm(torch.stack([part.norm() for part in self.parts], 1), self.p)


def embed(metric: Metric, x: Float[Tensor, "n *event"], origin: Float[Tensor, "1 *event"]) -> Coordinates | None:
    """The coordinates of samples (n, *event) in a normed space, float64; None where the norm has no such form.

    Of an `Lp` space they are the samples themselves, in their own type. Others are seen from `origin`, a point among
    them, which is taken off before the transform: what all samples have in common is then not rounded by it.
    """
    if type(metric) is Lp:
        return Coordinates(metric.p, x.flatten(1))
    blocks = x.split(max(1, _ROWS // max(1, math.prod(x.shape[1:]))))
    found = [_embed(metric, block.double() - origin.double()) for block in blocks]
    first = found[0]
    if first is None:
        return None
    columns = zip(*(one.leaves() for one in found if one is not None), strict=True)
    return first.mapped([torch.cat(column) for column in columns])


def _embed(metric: Metric, x: Tensor) -> Coordinates | None:
    if type(metric) is Lp:
        return Coordinates(metric.p, x.flatten(1))
    if type(metric) is MeanFree:
        return Coordinates(metric.p, metric.domain(x).flatten(1))
    if type(metric) is Weighted:
        return _embed(metric.B, metric.A(x))
    if type(metric) is Product:
        counts = [one if isinstance(one, int) else math.prod(one) for one in metric.sizes]
        blocks = zip(metric.parts, x.split(counts, 1), metric.sizes, strict=True)
        shaped = [(part, one if isinstance(size, int) else one.reshape(-1, *size)) for part, one, size in blocks]
        return _joined(metric.p, [_embed(part, one) for part, one in shaped])
    if type(metric) is Intersection:
        return _joined(metric.p, [_embed(metric.A, x), _embed(metric.B, x)])
    if type(metric) is TotalVariation:
        jumps = Coordinates(1.0, Differences(metric.weight)(x))
        return _joined(1.0, [Coordinates(metric.p, x.flatten(1)), jumps])
    return None


def _joined(p: float, parts: list[Coordinates | None]) -> Coordinates | None:
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        return None
    values = [part.values for part in whole if part.values is not None]
    if len(values) == len(whole) and all(part.p == p for part in whole):  # a p-norm of p-norms is one p-norm
        return Coordinates(p, torch.cat(values, 1))
    return Coordinates(p, None, tuple(whole))
