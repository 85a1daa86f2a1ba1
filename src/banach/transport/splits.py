"""Samples in three parts (to train on, to select by, held out), and in the units in which a critic computes."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from banach.spaces import Metric, Space
from banach.transport.confidence import EACH, Grouping
from banach.transport.dependence import Units
from banach.transport.estimate import TransportError
from banach.transport.samples import Samples

PARTS = (0.5, 0.2, 0.3)
"""The shares of each sample that train the critic, select from it, and are read once."""

_SOME = 1000


@dataclasses.dataclass(frozen=True)
class Parts:
    """A sample in three independent parts: to train on, to select by, and held out; and which rows go together."""

    train: Tensor
    select: Tensor
    held_out: Tensor
    groups: tuple[Grouping, Grouping, Grouping] = (EACH, EACH, EACH)

    def batch(self, most: int, rng: torch.Generator) -> Tensor:
        """Rows of the training part, each of its groups equally likely."""
        return self.train[self.groups[0].drawn(len(self.train), most, rng)]


def parts(x: Tensor, rng: torch.Generator, shares: tuple[float, float, float] = PARTS) -> Parts:
    """Three disjoint parts of the rows of x, which are independent, in a random order and in the given shares.

    >>> three = parts(torch.zeros(10, 2), torch.Generator().manual_seed(0))
    >>> len(three.train), len(three.select), len(three.held_out)
    (5, 2, 3)
    """
    n = len(x)
    first, second = round(shares[0] * n), round((shares[0] + shares[1]) * n)
    if min(first, second - first, n - second) < 2:
        raise TransportError(f"{n} samples are too few for three parts (train, select, held out); give at least 10")
    order = torch.randperm(n, generator=rng)
    return Parts(x[order[:first]], x[order[first:second]], x[order[second:]])


def prepared(metric: Metric, given: Samples, of: Units, rng: torch.Generator) -> "tuple[Parts, Parts, Frame]":
    """Both samples in three parts, in the frame of what trains and selects."""
    x, y = split(given.x, given.y, of, rng)
    into = frame(metric, x, y)
    return into.trained(x), into.trained(y), into


def split(x: Tensor, y: Tensor, units: Units, rng: torch.Generator) -> tuple[Parts, Parts]:
    """Both samples in three parts, by one draw for all: a unit's rows, in A and in B, are in one part.

    Units with rows in A only, in B only, and in both are drawn apart, so that each sample has its shares of each.
    """
    count = len(units.tied)
    has = np.zeros((2, count), dtype=bool)
    has[0, units.a] = has[1, units.b] = True
    part = np.zeros(count, dtype=np.int64)
    for kind in ((True, False), (False, True), (True, True)):
        members = np.flatnonzero((has[0] == kind[0]) & (has[1] == kind[1]))
        members = members[torch.randperm(len(members), generator=rng).numpy()]
        cuts = [round(PARTS[0] * len(members)), round((PARTS[0] + PARTS[1]) * len(members))]
        for k, some in enumerate(np.split(members, cuts)):
            part[some] = k
    return _side(x, units.a, part, units.tied, rng), _side(y, units.b, part, units.tied, rng)


def _side(x: Tensor, of: np.ndarray, part: np.ndarray, tied: np.ndarray, rng: torch.Generator) -> Parts:
    order = torch.randperm(len(x), generator=rng)
    rows, groups = [], []
    for k in range(3):
        mine = order[torch.from_numpy(part[of] == k)[order]]
        found, number = np.unique(of[mine.numpy()], return_inverse=True)
        if len(found) < 2:
            total = len(np.unique(of))
            said = f"{len(x)} samples" if total == len(x) else f"{len(x)} samples in {total} independent groups"
            raise TransportError(f"{said} are too few for three parts (train, select, held out); give at least 10")
        doubt = torch.from_numpy(tied[found])
        rows.append(mine)
        groups.append(
            Grouping(
                None if len(found) == len(mine) and not doubt.any() else torch.from_numpy(number),
                doubt if doubt.any() else None,
            )
        )
    return Parts(*(x[one] for one in rows), groups=(groups[0], groups[1], groups[2]))


@dataclasses.dataclass(frozen=True)
class Frame:
    """z = (x - centre)/unit: the coordinates in which a critic trains. |x - x'| = unit |z - z'| in every norm.

    The unit is a power of two, so that dividing by it rounds nothing; a difference of float64 numbers rounds by a part
    in 2^53 of itself.
    """

    centre: Tensor
    unit: float
    dtype: torch.dtype

    def __call__(self, x: Tensor) -> Tensor:
        return (x.double() - self.centre) / self.unit

    def told(self, report: Callable[[float, float], None] | None) -> Callable[[float, float], None] | None:
        """The same report, of gaps in this frame."""
        return None if report is None else lambda done, gap: report(done, self.unit * gap)

    def trained(self, of: Parts) -> Parts:
        """The parts in this frame: what trains and selects in the type of training, what is held out exactly."""
        return dataclasses.replace(
            of,
            train=self(of.train).to(self.dtype),
            select=self(of.select).to(self.dtype),
            held_out=self(of.held_out),
        )


def frame(metric: Metric, x: Parts, y: Parts) -> Frame:
    """A frame from the parts that train and select, so that it does not depend on held-out samples.

    In a norm training then is in single precision. A metric that is no norm has no say on differences: samples stay as
    they are, and training is in double precision if single precision does not hold them.
    """
    seen = [one for side in (x, y) for one in (side.train, side.select)]
    if not isinstance(metric, Space):
        exact = all(bool((one.float().double() == one.double()).all()) for one in seen)
        return Frame(torch.zeros((), dtype=torch.float64), 1.0, torch.float32 if exact else torch.float64)
    some = torch.cat([side.train[:_SOME] for side in (x, y)]).double()
    centre = some.median(0).values  # one of the numbers themselves; a mean would follow one that is far off
    reach = max(float((one.double() - centre).abs().max()) for one in seen)
    if not reach < torch.finfo(torch.float64).max / 4:
        raise TransportError(f"entries are {reach:g} apart, which leaves no room for distances; rescale the samples")
    unit = math.ldexp(1.0, math.frexp(reach)[1]) if reach > 0 else 1.0
    return Frame(centre, unit, torch.float32)
