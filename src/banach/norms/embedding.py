"""Samples as coordinates in which a norm is an L^p norm, or an L^p norm of such norms: transformed once, then compared.

|x - y| of a Sobolev space, say, is the L^p distance of A x and A y: n + m transforms serve all n m distances.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import Form, Leaf, bind
from banach.numerics import p_norm

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
        """The number of coordinates of a sample."""
        return sum(leaf.shape[1] for leaf in self.leaves())

    def norm(self) -> Tensor:
        """The norm of each row."""
        if self.values is not None:
            return p_norm(self.values, self.p)
        return p_norm(torch.stack([part.norm() for part in self.parts], 1), self.p)


def coordinates(
    form: Form, x: Float[Tensor, "n *event"], origin: Float[Tensor, "1 *event"] | None = None
) -> Coordinates:
    """The images of samples under the leaves of a norm's form, in float64; what is an L^p norm keeps its own type.

    Else `origin`, if given, is taken off before the transform: what all samples have in common is not rounded by it.
    """
    if form == Leaf(form.p):
        return Coordinates(form.p, x.flatten(1))
    bound_leaves = bind(form, tuple(x.shape[1:]))
    blocks = []
    for block in x.split(max(1, _ROWS // max(1, math.prod(x.shape[1:])))):
        seen = block.double() if origin is None else block.double() - origin.double()
        blocks.append([one.image(seen) for one in bound_leaves])
    return _joined(form, iter([torch.cat(column) for column in zip(*blocks, strict=True)]))


def _joined(form: Form, images: Iterator[Tensor]) -> Coordinates:
    if isinstance(form, Leaf):
        return Coordinates(form.p, next(images))
    parts = [_joined(part, images) for part in form.parts]
    values = [part.values for part in parts if part.values is not None]
    if len(values) == len(parts) and all(part.p == form.p for part in parts):  # a p-norm of p-norms is one p-norm
        return Coordinates(form.p, torch.cat(values, 1))
    return Coordinates(form.p, None, tuple(parts))
