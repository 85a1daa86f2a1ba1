"""Dual norms of nested p-norms of linear images, by operator splitting with an enclosure at every check.

The dual norm of N(x) = nested p-norms of K_1 x, K_2 x, … at u is found from the convex problem

    minimise  s_root^2 / 2 - <u, x>   over x and one s for each norm of the nest,
    where     |K_j x|_pj <= s_j  and  |(s of its parts)|_p <= s_node,

whose cones all have a projection of their own (Douglas and Rachford's splitting, over-relaxed, with weights rho_j that
follow the ratio of duals to images, and Anderson's acceleration). Every x gives the lower bound <u, x> / N(x); every
split of u into parts v_j gives the upper bound |(dual norms of the v_j)|_q.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.anderson import Anderson
from banach.norms.gram import Gram, Solve
from banach.norms.projections import onto_cone
from banach.norms.structure import BoundLeaf, Form, Leaf, Node, measure
from banach.numerics import p_norm

RELAXATION = 1.6
DEPTHS = (5, 3, 0)
"""Depth of the acceleration, in the first attempt and in further ones for samples that are not yet solved."""
CHECK_EVERY = 4
REWEIGH_AT = (6, 12, 24, 60, 120, 240)
REWEIGH_BY = 10.0
WEIGHTS = (1e-4, 1e4)
LITTLE = 0.1
SHARES = (10.0, 1e3)

UpperBound = Callable[[list[Tensor], Tensor], Tensor]


@dataclass
class Enclosure:
    """Bounds of the dual norm of each u, and the unit vector that attains the lower one.

    `duals` are the z_j of the best split, one after the other, divided by the dual norm.
    """

    lower: Float[Tensor, " b"]
    upper: Float[Tensor, " b"]
    maximiser: Float[Tensor, "b *event"]
    weights: Float[Tensor, "b leaves"]
    steps: int = 0
    duals: Float[Tensor, "b m"] | None = None

    @property
    def gap(self) -> Float[Tensor, " b"]:
        """(upper - lower) / upper, and 0 where the upper bound is 0."""
        return torch.where(self.upper == 0, 0.0, (self.upper - self.lower) / self.upper)


class Nest:
    """A form on data of one shape: its leaves, and one scalar for each leaf and node, the root's last."""

    def __init__(self, form: Node, event: tuple[int, ...], like: Tensor):
        self.form, self.event = form, event
        self.gram = Gram(form, event, like)
        self.leaves = self.gram.leaves
        self.nodes: list[tuple[float, list[int]]] = []  # exponent and the scalars of the parts; its own comes after
        self.own: list[int] = []
        count = iter(range(len(self.leaves)))
        self._number(form, count)
        sizes = [one.size for one in self.leaves]
        self.starts = [sum(sizes[:j]) for j in range(len(sizes) + 1)]
        copies = list(range(len(self.leaves)))
        for (_, parts), own in zip(self.nodes, self.own, strict=True):
            copies += [*parts, own]
        self.copies = torch.tensor(copies, device=like.device)
        shares = torch.bincount(self.copies).to(like)
        shares[-1] += 1  # the root's s^2 / 2 pulls as much as a copy
        self.shares = shares

    def _number(self, form: Form, count: Any) -> int:
        if isinstance(form, Leaf):
            return next(count)
        parts = [self._number(part, count) for part in form.parts]
        self.nodes.append((form.p, parts))
        self.own.append(len(self.leaves) + len(self.nodes) - 1)
        return self.own[-1]

    def vectors(self, packed: Tensor) -> list[Tensor]:
        """The parts of a packed state that belong to the leaves."""
        return [packed[:, a:b] for a, b in zip(self.starts, self.starts[1:], strict=False)]

    def scalars(self, packed: Tensor) -> Tensor:
        """The copies of the scalars in a packed state."""
        return packed[:, self.starts[-1] :]


@dataclass(frozen=True)
class Known:
    """What is known of a solve before it: vectors that may be near a maximiser, and what other solves ended with.

    `weights`: rho of one like this. `near`: the maximisers and duals of other vectors, which each u may be near.
    """

    starts: Sequence[Float[Tensor, "b *event"]]
    weights: Float[Tensor, " leaves"] | None = None
    near: tuple[Float[Tensor, "b *event"], Float[Tensor, "b m"]] | None = None


def enclose(
    form: Node,
    u: Float[Tensor, "b *event"],
    known: Known,
    upper: UpperBound,
    tolerance: float,
    steps: int,
    depth: int = DEPTHS[0],
) -> Enclosure:
    """Lower and upper bounds of the dual norm of `form` at every u (finite, not 0), `tolerance` apart if `steps` allow.

    `upper(z, u)`: an upper bound from duals z_j of the leaves with sum of K_j* z_j near u. `depth`: 0 is the plain
    splitting.
    """
    nest, near = Nest(form, tuple(u.shape[1:]), u), known.near
    found = _best_start(nest, u, [*known.starts, *_smoothed(nest, u)])
    found.duals = u.new_zeros(len(u), nest.starts[-1])
    found.upper = upper(nest.vectors(found.duals), u)
    taken = found.lower < 0
    if near is not None:
        other = _best_start(nest, u, [near[0]])
        taken = other.lower > found.lower
        found.lower = torch.where(taken, other.lower, found.lower)
        found.maximiser = torch.where(_column(taken, u), other.maximiser, found.maximiser)
        found.duals = near[1].clone()
        found.upper = torch.minimum(found.upper, upper(nest.vectors(near[1] * found.lower[:, None]), u))
    if bool((found.gap <= tolerance).all()):
        return found
    begin = _Begin(known.weights, None if near is None else near[1], taken)
    state = _State(nest, u, found, upper, tolerance, begin, depth)
    for step in range(1, steps + 1):
        state.advance()
        if step % CHECK_EVERY == 0 or step == steps:
            state.check()
            if state.retire(tolerance):
                break
        if step in REWEIGH_AT:
            state.reweigh()
    found.steps = step
    state.retire(math.inf)
    return found


def _best_start(nest: Nest, u: Tensor, starts: Sequence[Tensor]) -> Enclosure:
    best, x = u.new_zeros(len(u)), u
    for start in starts:
        length = _norm(nest, start)
        ratio = (u * start).flatten(1).sum(1) / torch.where(length > 0, length, math.inf)
        better = ratio.abs() > best
        unit = start / _column(torch.where(ratio < 0, -1.0, 1.0) * torch.where(length > 0, length, 1.0), u)
        best, x = torch.where(better, ratio.abs(), best), torch.where(_column(better, u), unit, x)
    return Enclosure(best, best, x, u.new_ones(len(u), len(nest.leaves)))


def _smoothed(nest: Nest, u: Tensor) -> Iterator[Tensor]:
    """The x that are near u in Euclidean length while one leaf's image of x is short: ridge regressions of u."""
    if nest.gram.basis is None:
        return
    sizes = torch.stack([one.image(u).square().sum(1) for one in nest.leaves], 1)
    sizes = torch.where(sizes > 0, sizes, 1.0)
    for j in range(len(nest.leaves)):
        for share in SHARES:
            rho = 1 / sizes
            rho[:, j] *= share
            yield nest.gram.solver(rho)(u)


def _norm(nest: Nest, x: Tensor) -> Tensor:
    return measure(nest.form, nest.leaves, [one.image(x) for one in nest.leaves])


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class _Begin:
    """Where the iteration begins: the rho and the duals of other solves, these for the samples that are `taken`."""

    weights: Tensor | None
    duals: Tensor | None
    taken: Tensor


class _State:
    """The samples still at work: in units in which the start x has Euclidean length 1, norm 1, and <u, x> = 1."""

    def __init__(
        self,
        nest: Nest,
        u: Tensor,
        found: Enclosure,
        upper: UpperBound,
        tolerance: float,
        begin: _Begin,
        depth: int,
    ):
        self.nest, self.found, self.upper, self.tolerance = nest, found, upper, tolerance
        self.index = torch.arange(len(u), device=u.device)
        x = found.maximiser
        self.scale = p_norm(x, 2)  # of norms
        x = x / _column(self.scale, x)
        self.unit = found.lower.clone()  # what 1 means, as a dual norm
        self.u = u / _column(self.unit / self.scale, u)
        y, z, s, k = _first_duals(nest, x, self.scale)
        if begin.duals is not None:
            taken, known = begin.taken[:, None], nest.vectors(begin.duals * self.scale[:, None])
            z = [torch.where(taken, theirs, own) for own, theirs in zip(z, known, strict=True)]
        if begin.weights is None:
            self.rho = torch.stack([_first_weight(a, b) for a, b in zip(z, y, strict=True)], 1)
        else:
            self.rho = begin.weights.to(u).expand(len(u), -1).clone()
        self.solve: Solve = nest.gram.solver(self.rho)
        self.guesses: list[Tensor | None] = [None] * (len(nest.leaves) + len(nest.nodes))
        self.y, self.z, self.x = y, z, x
        self.since = y, z  # at the last change of rho
        self.h = torch.cat([*self._weighed(y, z), s + k], 1)
        self.anderson = Anderson(depth)

    def _weighed(self, y: list[Tensor], z: list[Tensor]) -> list[Tensor]:
        roots = self.rho.sqrt()
        return [a * roots[:, j, None] + b / roots[:, j, None] for j, (a, b) in enumerate(zip(y, z, strict=True))]

    def advance(self) -> None:
        """One step of the splitting, and where it helps the extrapolation from the last ones."""
        nest, roots = self.nest, self.rho.sqrt()
        scalars = nest.scalars(self.h)
        y, tops = [], []
        for j, c in enumerate(nest.vectors(self.h)):
            weight = self.scale.square() / self.rho[:, j]
            point, s, self.guesses[j] = _onto_leaf(
                nest.leaves[j], c / roots[:, j, None], scalars[:, j] / self.scale, weight, self.guesses[j]
            )
            y.append(point)
            tops.append((s * self.scale)[:, None])
        at = len(nest.leaves)
        one = torch.ones_like(self.scale)
        for i, (p, parts) in enumerate(nest.nodes):
            inputs, top = scalars[:, at : at + len(parts)], scalars[:, at + len(parts)]
            j = len(nest.leaves) + i
            point, s, self.guesses[j] = onto_cone(inputs, top, p, one, self.guesses[j])
            tops.append(torch.cat([point, s[:, None]], 1))
            at += len(parts) + 1
        points = torch.cat([*(a * roots[:, j, None] for j, a in enumerate(y)), *tops], 1)
        mirrored = 2 * points - self.h
        x, images = self._least(mirrored)
        step = RELAXATION * (images - points)
        self.z = [(c - a) * roots[:, j, None] for j, (c, a) in enumerate(
            zip(nest.vectors(self.h), nest.vectors(points), strict=True))]  # fmt: skip
        self.x, self.y = x, y
        self.h = self.anderson.next(self.h, step)

    def _least(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The x and s for which the objective and half the squared distance to h are least, and their images."""
        nest, roots = self.nest, self.rho.sqrt()
        right = self.u
        for j, (one, c) in enumerate(zip(nest.leaves, nest.vectors(h), strict=True)):
            right = right + one.back(roots[:, j, None] * c)
        x = self.solve(right)
        sums = h.new_zeros(len(h), len(nest.shares)).index_add_(1, nest.copies, nest.scalars(h))
        scalars = (sums / nest.shares)[:, nest.copies]
        return x, torch.cat([*(one.image(x) * roots[:, j, None] for j, one in enumerate(nest.leaves)), scalars], 1)

    def check(self) -> None:
        """Bounds from where the iteration stands."""
        found, index = self.found, self.index
        open_ = found.gap[index] > self.tolerance  # of the others nothing may change: they are as if alone
        plain = [y.view_as(self.x) for one, y in zip(self.nest.leaves, self.y, strict=True) if not one.leaf.maps]
        for x in (self.x, *plain):  # at the end all are the same; a leaf's own one may be sparse before
            length = _norm(self.nest, x)
            ratio = (self.u * x).flatten(1).sum(1) / torch.where(length > 0, length, math.inf)
            lower = ratio * self.unit / self.scale
            better = open_ & (lower > found.lower[index])
            found.lower[index] = torch.where(better, lower, found.lower[index])
            unit = x / _column(torch.where(length > 0, length, 1.0), x)
            found.maximiser[index] = torch.where(_column(better, x), unit, found.maximiser[index])
        upper = self.upper(self.z, self.u) * self.unit / self.scale
        upper = torch.where(upper.isnan(), math.inf, upper)
        found.upper[index] = torch.where(open_, torch.minimum(upper, found.upper[index]), found.upper[index])

    def retire(self, tolerance: float) -> bool:
        """Let go of samples that are done; whether none is left."""
        done = self.found.gap[self.index] <= tolerance
        if bool(done.all()) or int(done.sum()) * 4 >= len(done):
            self.found.weights[self.index] = self.rho
            if self.found.duals is not None:
                share = self.unit / (self.scale * self.found.lower[self.index])
                self.found.duals[self.index] = torch.cat(self.z, 1) * share[:, None]
        if bool(done.all()):
            return True
        if int(done.sum()) * 4 >= len(done):
            self._keep(~done)
        return False

    def _keep(self, left: Tensor) -> None:
        self.index, self.scale, self.unit, self.rho = (
            one[left] for one in (self.index, self.scale, self.unit, self.rho)
        )
        self.u, self.x, self.h = self.u[left], self.x[left], self.h[left]
        self.y, self.z = [one[left] for one in self.y], [one[left] for one in self.z]
        self.since = [one[left] for one in self.since[0]], [one[left] for one in self.since[1]]
        self.guesses = [None if one is None else one[left] for one in self.guesses]
        self.anderson.keep(left)
        self.solve = self.nest.gram.solver(self.rho)

    def reweigh(self) -> None:
        """Let rho_j follow the ways that z_j and y_j have gone since the last time, in the geometric mean."""
        moved = zip(self.y, self.z, *self.since, self.rho.unbind(1), strict=True)
        new = torch.stack([_next_weight(z - z_then, y - y_then, rho) for y, z, y_then, z_then, rho in moved], 1)
        self.since = self.y, self.z
        self.rho = new
        self.solve = self.nest.gram.solver(self.rho)
        self.h = torch.cat([*self._weighed(self.y, self.z), self.nest.scalars(self.h)], 1)
        self.anderson.restart()


def _onto_leaf(
    leaf: BoundLeaf, c: Float[Tensor, "b m"], g: Tensor, weight: Tensor, guess: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """`onto_cone` of a leaf. Where it measures groups, their lengths are projected: each group keeps its direction."""
    if leaf.group == 1:
        return onto_cone(c, g, leaf.p, weight, guess)
    before = leaf.lengths(c)
    after, s, guess = onto_cone(before, g, leaf.p, weight, guess)
    share = torch.where(before > 0, after / torch.where(before > 0, before, 1.0), 0.0)
    return c * share.repeat_interleave(leaf.group, 1), s, guess


def _first_weight(z: Tensor, y: Tensor) -> Tensor:
    """|z| / |y|; where <z, y> says little, for its share of <u, x> = 1 is small, as if that were `LITTLE`."""
    top, bottom = p_norm(z, 2), p_norm(y, 2)
    little = top * bottom < LITTLE
    small = torch.where(top < bottom, LITTLE / bottom.square(), top.square() / LITTLE)
    small = torch.where((top == 0) & (bottom == 0), 1.0, small)
    return torch.where(little, small, top / bottom).nan_to_num(1.0).clamp(*WEIGHTS)


def _next_weight(z: Tensor, y: Tensor, rho: Tensor) -> Tensor:
    """|z| / |y|, within a factor of rho; rho itself where one of them has not moved."""
    top, bottom = p_norm(z, 2), p_norm(y, 2)
    moved = (top > 0) & (bottom > 0)
    new = torch.where(moved, top / torch.where(moved, bottom, 1.0), rho)
    return torch.minimum(torch.maximum(new, rho / REWEIGH_BY), rho * REWEIGH_BY).clamp(*WEIGHTS)


def _first_duals(
    nest: Nest, x: Tensor, scale: Tensor
) -> tuple[list[Tensor], list[Tensor], Float[Tensor, "b copies"], Float[Tensor, "b copies"]]:
    """At x: the images of the leaves, their duals, the copies of the scalars, and the duals of these."""
    with torch.enable_grad():
        y = [one.image(x).detach().requires_grad_() for one in nest.leaves]
        values = [one.measure(a) * scale for a, one in zip(y, nest.leaves, strict=True)]
        for p, parts in nest.nodes:
            values.append(p_norm(torch.stack([values[j] for j in parts], 1), p))
        slopes = torch.autograd.grad(values[-1].sum(), [*y, *values[:-1]], allow_unused=True)
    z = [torch.zeros_like(a) if b is None else b for a, b in zip(y, slopes[: len(y)], strict=True)]
    k = [torch.zeros_like(scale) if one is None else one for one in (*slopes[len(y) :], torch.ones_like(scale))]
    s = torch.stack([one.detach() for one in values], 1)[:, nest.copies]
    multipliers = torch.stack(k, 1)[:, nest.copies]
    signs = torch.full((len(nest.copies),), -1.0, dtype=x.dtype, device=x.device)  # a cone pushes its own s up …
    at = len(nest.leaves)
    for _, parts in nest.nodes:
        signs[at : at + len(parts)] = 1.0  # … and those of its parts down
        at += len(parts) + 1
    return [a.detach() for a in y], z, s, multipliers * signs
