"""Whether a metric of the user's own is one, on the samples at hand: checked on some points before it is relied on.

That common mass stays where it is, that a distance through a third point is no shorter, that cones are 1-Lipschitz:
all of this is the triangle inequality, and none of it shows in the result where that fails.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from banach.spaces import Metric, Space
from banach.transport.estimate import TransportError

_POINTS = 96
_NUMBERS = 2**22
_ROUNDING = 1e-6
"""What a metric that computes in single precision may miss, as a share of the distances compared."""
_KNOWN = {"banach", "builtins", "torch", "numpy"}
"""Whose types a metric of the package is made of."""


def check_metric(metric: Metric, x: Tensor, y: Tensor, between: bool = False) -> None:
    """`TransportError` where a metric that is not of this package is none on the pooled samples, with the numbers.

    Distances of up to 96 points are finite, not negative, 0 of each from itself, symmetric, and satisfy
    d(a, c) <= d(a, b) + d(b, c) in all of their triples; those of a norm are |x - y|, and |2 z| = 2 |z|. With
    `between` half of the points are the middles of two samples, for uses that place points of their own. Nothing is
    done for what the package defines itself.
    """
    if _built_in(metric):
        return
    points = _drawn(x, y, between)
    n = len(points)
    rows = max(1, _NUMBERS // points.numel())
    try:
        table = torch.cat([
            metric.distance(block.repeat_interleave(n, 0), points.repeat(len(block), *[1] * (points.ndim - 1)))
            .double().view(len(block), n)
            for block in points.split(rows)
        ])  # fmt: skip
    except (RuntimeError, TypeError, IndexError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TransportError(f"{metric!r} cannot measure these samples ({said}); mend its distance(x, y)") from None
    _check_table(metric, table)
    if isinstance(metric, Space):
        _check_norm(metric, points, table)


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
        raise TransportError(f"{metric!r} is no metric: it gives {worst:g} for two of these samples; mend it")
    # Rounding of a distance is about that of the largest: a point's own distance may come out of a difference.
    slack = _ROUNDING * table.max()
    if float(table.diagonal().max()) > slack:
        own = float(table.diagonal().max())
        raise TransportError(f"{metric!r} is no metric: a sample is {own:g} away from itself, not 0; mend it")
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
                "mend it, or make it a Metric"
            )
