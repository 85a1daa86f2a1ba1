"""Checks that a user-defined metric is a metric, on some of the given samples, before it is used.

That common mass stays where it is, that a distance through a third point is no shorter, that cones are 1-Lipschitz:
all of this is the triangle inequality, and none of it shows in the result where that fails.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from banach.spaces import Metric, Space
from banach.specs import SpecError
from banach.transport.estimate import TransportError

_POINTS = 96
_FEW = 8
_NUMBERS = 2**22
_ROUNDING = 1e-6
"""Tolerance for metrics that compute in single precision, as a share of the distances compared."""
_KNOWN = {"banach", "builtins", "torch", "numpy"}
"""Packages whose types a built-in metric is made of."""


def check_metric(metric: Metric, x: Tensor, y: Tensor, between: bool = False) -> None:
    """Raise `TransportError`, with the numbers, if a user-defined metric is not a metric on the pooled samples.

    Distances of up to 96 points are finite, not negative, 0 of each from itself, symmetric, and satisfy
    d(a, c) <= d(a, b) + d(b, c) in all of their triples; those of a norm are |x - y|, and |2 z| = 2 |z|. With
    `between` half of the points are the middles of two samples, for uses that place points of their own. Nothing is
    done for what the package defines itself.
    """
    if _built_in(metric):
        return
    points = _drawn(x, y, between)
    try:
        with torch.no_grad():
            table = _table(metric, points)
            alone = _one_by_one(metric, points)
    except TransportError:
        raise
    except Exception as error:  # whatever a distance of somebody's own may raise
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TransportError(f"{metric!r} cannot measure these samples ({said}); fix its distance(x, y)") from None
    _check_table(metric, table)
    _check_same(metric, table, alone)
    if isinstance(metric, Space):
        _check_norm(metric, points, table)


def _table(metric: Metric, points: Tensor) -> Tensor:
    """All distances, in batches whose rows are points and all points."""
    n, found = len(points), []
    with torch.enable_grad():
        if isinstance(one := metric.distance(points[:1].clone(), points[:1].clone()), Tensor) and one.requires_grad:
            raise TransportError(
                f"{metric!r} uses tensors that require gradients, which a distance does not carry; detach them"
            )
    for block in points.split(max(1, _NUMBERS // points.numel())):
        left, right = block.repeat_interleave(n, 0), points.repeat(len(block), *[1] * (points.ndim - 1))
        found.append(_distances(metric, left, right).view(len(block), n))
    return torch.cat(found)


def _distances(metric: Metric, x: Tensor, y: Tensor) -> Tensor:
    before = x.clone(), y.clone()
    found = metric.distance(x, y)
    if not isinstance(found, Tensor) or found.shape != (len(x),):
        said = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise TransportError(f"{metric!r} gives {said} for {len(x)} pairs; let distance(x, y) return a tensor (b,)")
    if not (torch.equal(x, before[0]) and torch.equal(y, before[1])):
        raise TransportError(f"{metric!r} changes the samples that it is given; let distance(x, y) not write in place")
    return found.double()


def _one_by_one(metric: Metric, points: Tensor) -> Tensor:
    """Three readings of a few distances, (3, k, k): each pair alone, all by `pairwise`, and again in batches of k."""
    few = points[:_FEW].clone()
    pairs = [[_distances(metric, few[i : i + 1], few[j : j + 1])[0] for j in range(len(few))] for i in range(len(few))]
    before, tabled = few.clone(), metric.pairwise(few, few)
    if not torch.equal(few, before):
        raise TransportError(f"{metric!r} changes the samples that it is given; let pairwise(x, y) not write in place")
    if not isinstance(tabled, Tensor) or tabled.shape != (len(few), len(few)):
        raise TransportError(f"{metric!r}: pairwise(x, y) does not return a table (n, m); fix it, or leave it out")
    rows = [_distances(metric, few, few[i : i + 1].expand_as(few).clone()) for i in range(len(few))]
    return torch.stack([torch.tensor(pairs, dtype=torch.float64), tabled.double(), torch.stack(rows)])


def _check_same(metric: Metric, table: Tensor, readings: Tensor) -> None:
    """Raise TransportError if a distance depends on the other samples of its batch."""
    few = table[: readings.shape[1], : readings.shape[1]]
    for what, found in zip(("alone", "by pairwise", "in another batch"), readings, strict=True):
        wrong = (found - few).abs()
        if not float(wrong.max()) <= 2 * _ROUNDING * float(table.max()):
            at = divmod(int(wrong.argmax()), len(few))
            raise TransportError(
                f"{metric!r} is no metric: two samples are {float(few[at]):g} apart among others and "
                f"{float(found[at]):g} {what}; a distance must depend on its two samples only"
            )


def _built_in(part: Any) -> bool:
    """Whether this, and all that it is made of, is the package's own."""
    if isinstance(part, tuple | list):
        return all(map(_built_in, part))
    if type(part).__module__.partition(".")[0] not in _KNOWN:
        return False
    fields = dataclasses.fields(part) if dataclasses.is_dataclass(part) else ()
    return all(_built_in(vars(part).get(one.name)) for one in fields)


def _drawn(x: Tensor, y: Tensor, between: bool) -> Tensor:
    """Some of the pooled samples, different ones; all if they are few."""
    rng = torch.Generator().manual_seed(0)
    some = [one[torch.randperm(len(one), generator=rng)[: _POINTS // 2]].double() for one in (x, y)]
    pooled = torch.cat(some).unique(dim=0)
    if not between:
        return pooled
    middles = torch.lerp(pooled, pooled[torch.randperm(len(pooled), generator=rng)], 0.5)
    return torch.cat([pooled[::2], middles[1::2]])


def _check_table(metric: Metric, table: Tensor) -> None:
    if not bool((table >= 0).all() & table.isfinite().all()):
        worst = float(table[~((table >= 0) & table.isfinite())][0])
        raise TransportError(f"{metric!r} is no metric: it gives {worst:g} for two of these samples; fix it")
    # Rounding of a distance is about that of the largest: a point's own distance may come out of a difference.
    slack = _ROUNDING * table.max()
    if float(table.diagonal().max()) > slack:
        own = float(table.diagonal().max())
        raise TransportError(f"{metric!r} is no metric: a sample is {own:g} away from itself, not 0; fix it")
    if bool(((table - table.T).abs() > slack).any()):
        i, j = divmod(int((table - table.T).abs().argmax()), len(table))
        raise TransportError(
            f"{metric!r} is no metric: d(a, b) = {float(table[i, j]):g}, but d(b, a) = {float(table[j, i]):g} for two "
            "of these samples; symmetrise it"
        )
    for j in range(len(table)):
        excess = table - (table[:, j, None] + table[None, j])
        if float(excess.max()) > slack:
            i, k = divmod(int(excess.argmax()), len(table))
            direct, first, second = (float(table[at]) for at in ((i, k), (i, j), (j, k)))
            raise TransportError(
                f"{metric!r} is no metric: d(a, c) = {direct:g}, but d(a, b) + d(b, c) = {first:g} + {second:g} "
                "for three points at hand; give a metric, such as its root, and a power of that by --power"
            )


def _check_norm(space: Space, points: Tensor, table: Tensor) -> None:
    z = points - points[:1]
    length, apart = space.norm(z).double(), table[:, 0]
    for said, one, other in (
        ("|x - y| and d(x, y)", length, apart),
        ("|2 z| and 2 |z|", space.norm(2 * z).double(), 2 * length),
        ("|-z| and |z|", space.norm(-z).double(), length),
    ):
        wrong = (one - other).abs()
        if not float(wrong.max()) <= _ROUNDING * float(table.max()) * 2:
            at = int(wrong.argmax())
            raise TransportError(
                f"{space!r} is no norm: {said} are {float(one[at]):g} and {float(other[at]):g} for samples at hand; "
                "fix it, or make it a Metric"
            )


def check_dual(space: Metric, x: Tensor, y: Tensor) -> None:
    """Raise `TransportError` if the dual norm of a user-defined space is too small for the given samples.

    |<u, z>| <= norm(z) dual.norm(u) for differences z of samples and for u these, their signs and the unit vectors of
    their largest entries. Bounds of critics rest on the dual norm, those of two samples do not.
    """
    if not isinstance(space, Space) or _built_in(space):
        return
    points = _drawn(x, y, False)[: _FEW + 1]
    z = (points[1:] - points[:1]) if len(points) > 1 else points
    flat = z.flatten(1)
    peaks = torch.zeros_like(flat).scatter_(1, flat.abs().argmax(1, keepdim=True), 1.0)
    u = torch.cat([flat, flat.sign(), peaks]).view(-1, *z.shape[1:])
    try:
        dual = space.dual
    except SpecError:  # of cones, which are Lipschitz in every metric, no dual is asked
        return
    with torch.no_grad():
        most = dual.norm(u).double()[:, None] * space.norm(z).double()
    wrong = (u.flatten(1) @ flat.T).abs() - most * (1 + _ROUNDING)
    if len(z) and float(wrong.max()) > _ROUNDING * float(most.max()):
        raise TransportError(
            f"{space!r}: its dual norm is too small, |<u, z>| exceeds norm(z) dual.norm(u) by {float(wrong.max()):g} "
            "for samples at hand; fix its dual (banach laws tests it)"
        )
