"""Norms as nested p-norms of linear images of x: what solvers and embeddings need to know about a space.

`Leaf(p, (A, B))` is |B A x|_p, or the p-norm of the Euclidean lengths of groups of that image; `Node(p, parts)` is the
p-norm of its parts. Sobolev, weighted and product spaces,
intersections and total variation are all of this form.
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError
from banach.numerics import at_least_float32, conjugate, p_norm
from banach.operators import Operator
from banach.operators.operator import UNIT, Event, Rounding, measured_rounding


class Image(ABC):
    """A linear map of batches that need not be invertible, with its transpose."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *image"]: ...

    @abstractmethod
    def transposed(self, z: Float[Tensor, "b *image"], event: Event) -> Float[Tensor, "b *event"]:
        """The map with sum(z * K(x)) = sum(transposed(z) * x), for x of the shape `event`."""

    def rounding(self, event: Event) -> Rounding:
        """The rounding error of this map in float64, for samples of this shape."""
        return measured_rounding(self, event)

    def with_error(
        self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b *image"], Float[Tensor, " b"]]:
        """K x as computed, and how far it may lie from K of the true x, of which x may lie `off` in l^2."""
        y = self(x)
        return y, self.rounding(tuple(x.shape[1:])).carried(x, y, off)


@dataclass(frozen=True)
class Block(Image):
    """Entries start, …, start + count - 1 of axis 1, in a shape of their own if one is given."""

    start: int
    count: int
    shape: Event | None = None

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *image"]:
        block = x[:, self.start : self.start + self.count]
        return block if self.shape is None else block.reshape(-1, *self.shape)

    def transposed(self, z: Float[Tensor, "b *image"], event: Event) -> Float[Tensor, "b *event"]:
        whole = z.new_zeros(len(z), *event)
        whole[:, self.start : self.start + self.count] = z.reshape(len(z), self.count, *event[1:])
        return whole

    def rounding(self, event: Event) -> Rounding:
        return Rounding(1.0)


@dataclass(frozen=True)
class Differences(Image):
    """weight * (neighbour - neighbour) along every spatial axis of (b, c, *spatial), all of them in one row."""

    weight: float = 1.0

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b m"]:
        if not 3 <= x.ndim <= 5:
            raise BanachError(
                f"differences of neighbours need data (b, channels, *spatial) with 1, 2 or 3 spatial axes, not "
                f"{tuple(x.shape)}; say what the axes are (--axes), or choose a norm of vectors such as Lp(2)"
            )
        if max(x.shape[2:]) < 2:
            raise BanachError(
                f"data {tuple(x.shape)} have no neighbours, and so no differences; choose a norm such as Lp(2)"
            )
        x = at_least_float32(x)
        return self.weight * torch.cat([x.diff(dim=axis).flatten(1) for axis in range(2, x.ndim)], 1)

    def transposed(self, z: Float[Tensor, "b m"], event: Event) -> Float[Tensor, "b *event"]:
        whole, at = z.new_zeros(len(z), *event), 0
        for axis in range(1, len(event)):
            shape = (*event[:axis], event[axis] - 1, *event[axis + 1 :])
            part = self.weight * z[:, at : at + math.prod(shape)].view(len(z), *shape)
            at += math.prod(shape)
            whole.narrow(axis + 1, 1, event[axis] - 1).add_(part)
            whole.narrow(axis + 1, 0, event[axis] - 1).sub_(part)
        return whole

    def rounding(self, event: Event) -> Rounding:
        return Rounding(2 * abs(self.weight) * (len(event) - 1) ** 0.5, relative=4 * UNIT)


@dataclass(frozen=True)
class MeanRemoval(Image):
    """x less the mean of each channel (of each sample, for vectors)."""

    def __call__(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        return x - x.mean(dim=tuple(range(2, x.ndim)) or (1,), keepdim=True)

    def transposed(self, z: Float[Tensor, "b *event"], event: Event) -> Float[Tensor, "b *event"]:
        return self(z)

    def rounding(self, event: Event) -> Rounding:
        return Rounding(1.0, (math.prod(event[1:] or event) + 4) * UNIT, 2 * UNIT)


@dataclass(frozen=True)
class ForwardDifferences(Image):
    """weight * (next neighbour - entry) along every spatial axis of (b, c, *spatial), as (b, c, *spatial, axes).

    At the end of an axis the next neighbour is the first entry (`boundary` "periodic"), or the entry itself ("even").
    """

    weight: float = 1.0
    boundary: Literal["periodic", "even"] = "periodic"

    def __call__(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b c *image"]:
        if not 3 <= x.ndim <= 5:
            raise BanachError(
                f"the gradient form needs data (b, channels, *spatial) with 1, 2 or 3 spatial axes, not "
                f"{tuple(x.shape)}; say what the axes are (--axes), or choose a norm of vectors such as Lp(2)"
            )
        x = at_least_float32(x)
        periodic = self.boundary == "periodic"
        ends = [x.narrow(a, 0 if periodic else x.shape[a] - 1, 1) for a in range(2, x.ndim)]
        parts = [x.diff(dim=a, append=end) for a, end in enumerate(ends, start=2)]
        return self.weight * torch.stack(parts, -1)

    def transposed(self, z: Float[Tensor, "b c *image"], event: Event) -> Float[Tensor, "b c *spatial"]:
        whole = z.new_zeros(len(z), *event)
        for axis, part in enumerate(z.unbind(-1), start=2):
            n = event[axis - 1]
            if self.boundary == "periodic":
                whole += part.roll(1, axis) - part
            else:
                whole.narrow(axis, 1, n - 1).add_(part.narrow(axis, 0, n - 1))
                whole.narrow(axis, 0, n - 1).sub_(part.narrow(axis, 0, n - 1))
        return self.weight * whole

    def rounding(self, event: Event) -> Rounding:
        return Rounding(2 * abs(self.weight) * (len(event) - 1) ** 0.5, relative=4 * UNIT)


@dataclass(frozen=True)
class Windows(Image):
    """All windows of `size` entries along each spatial axis, `stride` apart and wrapping round: (b, windows, entries).

    All is multiplied by (number of windows)^count, so that -1/p makes a mean of a p-norm.
    """

    size: int
    stride: int = 1
    count: float = 0.0

    def windows(self, event: Event) -> int:
        """The number of windows of data of this shape; BanachError where it does not fit."""
        if not 2 <= len(event) <= 4:
            raise BanachError(
                f"patches need data (b, channels, *spatial) with 1, 2 or 3 spatial axes, not "
                f"(b, {', '.join(map(str, event))}); say what the axes are (--axes), or choose a norm such as Lp(2)"
            )
        if any(n % self.stride or n < self.size for n in event[1:]):
            raise BanachError(
                f"patches of {self.size} entries, {self.stride} apart, do not fit data of {event[1:]}: each axis has "
                f"to be a multiple of {self.stride} and {self.size} or longer; choose other patches, or --pad or --crop"
            )
        return math.prod(n // self.stride for n in event[1:])

    def __call__(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b windows entries"]:
        event = tuple(x.shape[1:])
        count, axes = self.windows(event), len(event) - 1
        y = at_least_float32(x)
        for axis in range(2, 2 + axes):
            if self.size > self.stride:
                y = torch.cat([y, y.narrow(axis, 0, self.size - self.stride)], axis)
            y = y.unfold(axis, self.size, self.stride)
        order = (0, *range(2, 2 + axes), 1, *range(2 + axes, 2 + 2 * axes))
        return count**self.count * y.permute(order).reshape(len(x), count, -1)

    def transposed(self, z: Float[Tensor, "b windows entries"], event: Event) -> Float[Tensor, "b c *spatial"]:
        count, axes = self.windows(event), len(event) - 1
        tiles = [n // self.stride for n in event[1:]]
        y = z.reshape(len(z), *tiles, event[0], *[self.size] * axes)
        y = y.permute(0, 1 + axes, *range(1, 1 + axes), *range(2 + axes, 2 + 2 * axes))
        for axis in reversed(range(2, 2 + axes)):  # the windows' own last axis is that of the last spatial axis
            y = self._folded(y, axis, event[axis - 1])
        return count**self.count * y

    def _folded(self, y: Tensor, axis: int, n: int) -> Tensor:
        whole = y.new_zeros(*y.shape[:axis], n + self.size - self.stride, *y.shape[axis + 1 : -1])
        for offset, part in enumerate(y.unbind(-1)):
            whole.narrow(axis, offset, n - self.stride + 1)[
                (*[slice(None)] * axis, slice(None, None, self.stride))
            ] += part
        over = whole.shape[axis] - n
        whole.narrow(axis, 0, over).add_(whole.narrow(axis, n, over).clone())
        return whole.narrow(axis, 0, n)

    def cover(self, event: Event) -> Tensor:
        """The diagonal of K* K, for it has no other entries: how many windows see an entry, times the factor^2."""
        ones = torch.ones(1, *event, dtype=torch.float64)
        return self.transposed(self(ones), event)[0]

    def rounding(self, event: Event) -> Rounding:
        most = float(self.cover(event).max()) ** 0.5
        return Rounding(1.01 * most, relative=4 * UNIT)


@dataclass(frozen=True)
class Leaf:
    """|K x|_p, where K is the given maps one after the other, the first first.

    `grouped`: the p-norm of the Euclidean lengths along the last axis of K x. Solvers know such leaves; a space that
    has one gives no `form()`, for what else is read off a form takes leaves for p-norms.
    """

    p: float
    maps: tuple[Operator | Image, ...] = ()
    grouped: bool = False


@dataclass(frozen=True)
class Node:
    """The p-norm of the parts: leaves, nodes and, before `expanded`, spaces."""

    p: float
    parts: tuple[Any, ...]


Form = Leaf | Node


def behind(form: Form, *maps: Operator | Image) -> Form:
    """The form of x -> norm(K x): `maps` (the first first) are applied before all others."""
    if isinstance(form, Leaf):
        return Leaf(form.p, (*maps, *form.maps), form.grouped)
    return Node(form.p, tuple(behind(part, *maps) for part in form.parts))


def leaves(form: Form) -> Iterator[Leaf]:
    """All leaves, from left to right."""
    if isinstance(form, Leaf):
        yield form
    else:
        for part in form.parts:
            yield from leaves(part)


def atoms(composition: Any) -> Iterator[Any]:
    """The spaces and leaves of a composition, from left to right."""
    if isinstance(composition, Node):
        for part in composition.parts:
            yield from atoms(part)
    else:
        yield composition


def nested(form: Node | Any, values: Iterator[Float[Tensor, " b"]]) -> Float[Tensor, " b"]:
    """The nested p-norms of the values of the parts that are no nodes, from left to right."""
    if not isinstance(form, Node):
        return next(values)
    return p_norm(torch.stack([nested(part, values) for part in form.parts], 1), form.p)


def nested_dual(form: Node | Any, values: Iterator[Float[Tensor, " b"]]) -> Float[Tensor, " b"]:
    """The same with conjugate exponents: a bound of the dual norm, if the values are dual norms that add up to u."""
    if not isinstance(form, Node):
        return next(values)
    return p_norm(torch.stack([nested_dual(part, values) for part in form.parts], 1), conjugate(form.p))


class BoundLeaf:
    """A leaf on data of one shape: its image as rows of numbers, and back."""

    def __init__(self, leaf: Leaf, event: Event):
        self.leaf, self.p, self.event = leaf, leaf.p, event
        self._shapes = [event]
        x = torch.zeros(1, *event)
        for one in leaf.maps:
            x = one(x)
            self._shapes.append(tuple(x.shape[1:]))
        self.size = x[0].numel()
        self.group = self._shapes[-1][-1] if leaf.grouped else 1

    def lengths(self, y: Float[Tensor, "b m"]) -> Float[Tensor, "b groups"]:
        """The Euclidean lengths of the groups of an image."""
        return p_norm(y.reshape(-1, self.group), 2).view(len(y), -1)

    def measure(self, y: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """The norm of an image."""
        return p_norm(y if self.group == 1 else self.lengths(y), self.p)

    def dual_measure(self, z: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """The dual norm of a covector of images."""
        return p_norm(z if self.group == 1 else self.lengths(z), conjugate(self.p))

    @functools.cached_property
    def rounding(self) -> Rounding:
        """The rounding error of all maps together in float64."""
        whole = Rounding(1.0)
        for one, event in zip(self.leaf.maps, self._shapes, strict=False):
            whole = one.rounding(event).after(whole)
        return whole

    def image(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b m"]:
        """K x, flattened."""
        for one in self.leaf.maps:
            x = one(x)
        return x.flatten(1)

    def back(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b *event"]:
        """K* z."""
        z = z.view(len(z), *self._shapes[-1])
        for one, event in zip(reversed(self.leaf.maps), reversed(self._shapes[:-1]), strict=True):
            z = one.adjoint(z) if isinstance(one, Operator) else one.transposed(z, event)
        return z


@functools.lru_cache(maxsize=128)
def bind(form: Form, event: Event) -> tuple[BoundLeaf, ...]:
    """All leaves of a form, bound to data of this shape."""
    with torch.inference_mode(False), torch.device("cpu"):
        return tuple(BoundLeaf(leaf, event) for leaf in leaves(form))


Apply = Callable[[Tensor], Tensor]


def measure(
    form: Form, bound_leaves: Sequence[BoundLeaf], images: Sequence[Float[Tensor, "b _"]]
) -> Float[Tensor, " b"]:
    """The norm, from the images of x under all leaves."""
    return nested(form, iter([one.measure(y) for one, y in zip(bound_leaves, images, strict=True)]))


def off_by(form: Form, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The error of the images of x, in the norm of the form, where x has the error `off` in l^2."""
    if isinstance(form, Node):
        return p_norm(torch.stack([off_by(part, x, off) for part in form.parts], 1), form.p)
    for one in form.maps:
        x, off = one.with_error(x, off)
    return off * x[0].numel() ** max(0.0, 1 / form.p - 0.5)  # |e|_p <= n^(1/p - 1/2) |e|_2 for p < 2
