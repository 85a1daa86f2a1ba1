"""Where a penalty takes the slope: at reals, at fakes, on the segments between them, or elsewhere."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Place = Literal["reals", "fakes", "both", "segment", "box", "elsewhere"]

_EXACT = 1e-9
_ON_LINE = 1e-5


@dataclass(frozen=True)
class Points:
    """The place of a batch of points, and the weights of the reals: one for each point, or (box) one for each entry.

    "segment": on the line through a real and a fake, the weights say where. "box": each entry between, or beyond, those
    of one real and one fake, by a weight of its own.
    """

    place: Place
    weights: Tensor


def place_of(x: Tensor, real: Tensor, fake: Tensor) -> Points:
    """Where the points x (n, *event) lie, given the reals and fakes (b, *event)."""
    x, real, fake = (one.detach().cpu().double().flatten(1) for one in (x, real, fake))
    size = float((real - fake).abs().max()) or 1.0
    at_real, at_fake = (_nearest(x, one) <= _EXACT * size for one in (real, fake))
    nothing = torch.zeros(0, dtype=torch.float64)
    if bool((at_real | at_fake).all()):
        place = "reals" if bool(at_real.all()) else "fakes" if bool(at_fake.all()) else "both"
        return Points(place, nothing)
    if len(x) % len(real) or len(real) != len(fake):
        return _any_pair(x, real, fake)
    times = len(x) // len(real)
    found = _along(x, real.repeat(times, 1), fake.repeat(times, 1))
    return _any_pair(x, real, fake) if found is None else found


def _nearest(x: Tensor, y: Tensor) -> Tensor:
    """How far each x is from the nearest y, in the largest entry."""
    return torch.stack([(y - one).abs().amax(1).min() for one in x])


def _along(x: Tensor, real: Tensor, fake: Tensor) -> Points | None:
    """The points as weights between given pairs; None where they are not between these."""
    apart = real - fake
    norm = apart.square().sum(1)
    t = ((x - fake) * apart).sum(1) / norm.clamp_min(1e-300)
    off = (x - fake - t[:, None] * apart).norm(dim=1) / norm.sqrt().clamp_min(1e-300)
    if float(off.max()) <= _ON_LINE:
        return Points("segment", t)
    told = apart.abs() > 1e-3 * apart.abs().mean()
    each = torch.where(told, (x - fake) / torch.where(told, apart, torch.ones_like(apart)), torch.nan)
    inside = (each >= -1e-6) & (each <= 1 + 1e-6)
    if bool((inside | ~told).all()):
        return Points("box", each[told])
    return None


def _any_pair(x: Tensor, real: Tensor, fake: Tensor) -> Points:
    """The points as weights between whichever pair each is nearest to the line of; by inner products alone."""
    centre = torch.cat([real, fake]).mean(0)
    x, real, fake = x - centre, real - centre, fake - centre
    squares = fake.square().sum(1)
    apart = real.square().sum(1)[:, None] - 2 * real @ fake.T + squares
    along = (x @ real.T)[:, :, None] - (x @ fake.T)[:, None, :] - (real @ fake.T)[None] + squares
    ahead = x.square().sum(1)[:, None] - 2 * x @ fake.T + squares
    apart = apart.clamp_min(1e-300)
    off = ((ahead[:, None, :] - along.square() / apart).clamp_min(0) / apart).sqrt().flatten(1)
    nearest, which = off.min(1)
    if float(nearest.max()) > _ON_LINE:
        return Points("elsewhere", torch.zeros(0, dtype=torch.float64))
    return Points("segment", (along / apart).flatten(1).gather(1, which[:, None])[:, 0])
