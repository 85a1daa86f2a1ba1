"""Which norm a penalty takes of the gradient: candidates are held against what it costs along several directions."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.auditing.curves import Curve
from banach.spaces import Lp, Space

AGREES = 0.01


@dataclass(frozen=True)
class Measure:
    """A way to take the size of a covector: one norm of all of it, or one for each group of entries.

    `groups` gives the norms (k,) of a covector; `whole` is whether there is one group; `distance` names the norm on the
    data whose dual it is, where there is one.
    """

    name: str
    groups: Callable[[Tensor], Tensor]
    whole: bool
    distance: Space | None = None


@dataclass(frozen=True)
class Match:
    """A measure that fits, the slope in it that is asked for, and the penalty's weight where its shape is a square."""

    measure: Measure
    target: float
    weight: float


def candidates(event: Sequence[int], space: Space | None) -> list[Measure]:
    """The measures that are tried, in order: the space's own, l^2, l^1, l^inf, then norms along some axes only."""
    spaces = [*([space] if space is not None else []), Lp(2.0), Lp(math.inf), Lp(1.0)]
    found = [_dual(one) for one in spaces]
    axes = range(len(event))
    for size in range(len(event) - 1, -1, -1):
        for some in itertools.combinations(axes, size):
            found.append(_along(some, [event[at] for at in axes if at not in some]))
    return found


def _dual(space: Space) -> Measure:
    names = {
        Lp(2.0): "the l^2 norm of the whole gradient",
        Lp(math.inf): "the l^1 norm of the whole gradient",
        Lp(1.0): "the largest entry of the gradient",
    }
    name = names.get(space) if isinstance(space, Lp) else None
    return Measure(name or f"the dual norm of {space!r}", lambda u: space.dual.norm(u[None]), True, space)


def _along(axes: tuple[int, ...], rest: list[int]) -> Measure:
    """The l^2 norm along some axes of a sample, one for each index of the others: what `dim=1` alone takes."""
    count = math.prod(rest)
    where = f"along dim={tuple(one + 1 for one in axes)}" if axes else "of single entries"
    name = f"{count} norms {where} in each sample, not one of the whole gradient"

    def groups(u: Tensor) -> Tensor:
        return (u.square().sum(axes) if axes else u.square()).sqrt().reshape(-1)

    return Measure(name, groups, count == 1)


def matching(curves: Sequence[Curve], along: Sequence[Tensor], measures: Sequence[Measure]) -> Match | None:
    """The first measure in which scale and target are the same along all directions."""
    return next((found for one in measures if (found := _matched(curves, along, one)) is not None), None)


def _matched(curves: Sequence[Curve], along: Sequence[Tensor], measure: Measure) -> Match | None:
    if not measure.whole and any(one.growth != 2 for one in curves):
        return None  # the mean over groups is known for squares only
    scales, targets = [], []
    for curve, direction in zip(curves, along, strict=True):
        norms = measure.groups(direction.double())
        mean, square = float(norms.mean()), float(norms.square().mean())
        if not square > 0:
            return None
        scales.append(curve.scale / math.sqrt(square))
        targets.append(curve.target * (square / mean))
    if _spread(scales) > AGREES or _spread(targets) > AGREES:
        return None
    middle = len(curves) // 2
    return Match(measure, sorted(targets)[middle], sorted(scales)[middle] ** 2)


def _spread(values: list[float]) -> float:
    largest = max(values)
    return (largest - min(values)) / largest if largest > 0 else 0.0


def mean_square(event: Sequence[int]) -> list[float]:
    """The slopes that stand for 1 in a mean-square norm, in l^2: 1/sqrt(n), n all entries or the grid's."""
    whole = math.prod(event)
    grid = math.prod(event[1:]) if len(event) > 1 else whole
    return [1 / math.sqrt(whole), 1 / math.sqrt(grid)]


def unit(x: Tensor) -> Tensor:
    """The covector divided by its l^2 norm."""
    return x / torch.linalg.vector_norm(x)
