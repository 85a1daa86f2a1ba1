"""The steepest direction of a covector, by ascent: a lower bound of its dual norm.

To maximise pair(u, x) / norm(x) is a convex problem (norm(x) to be least where pair(u, x) = 1): there are no false
summits, but norms have edges. So first a heavy ball, which rolls over them, then plain ascent, which never loses.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from banach.spaces import Space, pair


def steepest(
    space: Space,
    u: Float[Tensor, "m *event"],
    rng: torch.Generator,
    starts: tuple[Float[Tensor, "m *event"], ...] = (),
    steps: int = 60,
) -> Float[Tensor, " m"]:
    """The largest pair(u, x) / norm(x) found for each u, in `steps` of a heavy ball from each start, and of ascent.

    The starts are u, its signs, the best unit vector, two random ones, and those given.
    """
    random = [torch.randn(u.shape, generator=rng, dtype=u.dtype) for _ in range(2)]
    all_starts = [*starts, u, u.sign(), _best_units(space, u), *random]
    target = u.repeat(len(all_starts), *[1] * (u.ndim - 1))
    best, x = _rolled(space, target, torch.cat(all_starts), steps)
    winner = best.view(len(all_starts), len(u)).argmax(0) * len(u) + torch.arange(len(u))
    again = (x[winner], *starts)
    climbed = _climbed(space, u.repeat(len(again), *[1] * (u.ndim - 1)), torch.cat(again), steps)
    return torch.maximum(best.view(-1, len(u)).amax(0), climbed.view(-1, len(u)).amax(0))


def _rolled(space: Space, u: Tensor, x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The best ratios on the way of a heavy ball with shrinking steps, and where they were."""
    x = _unit(space, x)
    ratio, slope = _ratio(space, u, x)
    best, at, speed = ratio, x, torch.zeros_like(x)
    for step in range(1, steps + 1):
        x = x / _column(_length(x), x)
        speed = 0.8 * speed + slope / _column(_length(slope), x)
        x = space.domain(x + 0.3 / step * speed)
        ratio, slope = _ratio(space, u, x)
        at = torch.where(_column(ratio > best, x), x, at)
        best = torch.maximum(best, ratio)
    return best, at


def _climbed(space: Space, u: Tensor, x: Tensor, steps: int) -> Tensor:
    """The ratios after steps that are taken only where they gain."""
    x = _unit(space, x)
    ratio, slope = _ratio(space, u, x)
    step = torch.full_like(ratio, 0.1)
    for _ in range(steps):
        x = x / _column(_length(x), x)
        trial = space.domain(x + _column(step / _length(slope), x) * slope)
        trial_ratio, trial_slope = _ratio(space, u, trial)
        better = trial_ratio > ratio
        ratio = torch.where(better, trial_ratio, ratio)
        x = torch.where(_column(better, x), trial, x)
        slope = torch.where(_column(better, x), trial_slope, slope)
        step = torch.where(better, step * 1.5, step * 0.4)
    return ratio


def _unit(space: Space, x: Tensor) -> Tensor:
    """x of Euclidean length 1, in the space's domain twice: what is left of a vector outside it is rounding only."""
    x = space.domain(x)
    return space.domain(x / _column(_length(x), x))


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))


def _length(x: Tensor) -> Tensor:
    """Euclidean lengths, 1 for a zero vector."""
    length = x.flatten(1).norm(dim=1)
    return torch.where(length > 0, length, torch.ones_like(length))


def _ratio(space: Space, u: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """|pair(u, x)| / norm(x), 0 where the norm is 0, and the direction in which it grows."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        length, paired = space.norm(x), pair(u, x).abs()
        ratio = torch.where(length > 0, paired / torch.where(length > 0, length, 1.0), 0.0)
        (slope,) = torch.autograd.grad(ratio.sum(), x)
    return ratio.detach(), space.domain(slope)


def _best_units(space: Space, u: Tensor) -> Tensor:
    """For each u the unit vector with the largest ratio."""
    n = u[0].numel()
    units = space.domain(torch.eye(n, dtype=u.dtype).view(n, *u.shape[1:]))
    lengths = space.norm(units)
    ratios = u.flatten(1) @ units.flatten(1).T / torch.where(lengths > 0, lengths, torch.inf)
    return units[ratios.abs().argmax(1)]
