"""The steepest direction of a covector, by ascent: what no dual norm may be smaller than.

To maximise pair(u, x) / norm(x) is a convex problem (norm(x) to be least where pair(u, x) = 1), so that plain ascent
has no false summits; several starts only help it along the edges of norms that are not smooth.
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
    """The largest pair(u, x) / norm(x) found for each u, over the unit vectors and `steps` of ascent from each start.

    The starts are u, its signs, the best unit vector, two random ones, and those given.
    """
    random = [torch.randn(u.shape, generator=rng, dtype=u.dtype) for _ in range(2)]
    all_starts = [*starts, u, u.sign(), _best_units(space, u), *random]
    target = u.repeat(len(all_starts), *[1] * (u.ndim - 1))
    x = space.domain(torch.cat(all_starts))
    x = space.domain(x / _column(_length(x), x))  # once more: what is left of a vector outside is rounding only
    ratio, slope = _ratio(space, target, x)
    step = torch.full_like(ratio, 0.5)
    for _ in range(steps):
        x = x / _column(_length(x), x)
        trial = space.domain(x + _column(step, x) * slope / _column(_length(slope), x))
        trial_ratio, trial_slope = _ratio(space, target, trial)
        better = trial_ratio > ratio
        ratio = torch.where(better, trial_ratio, ratio)
        x = torch.where(_column(better, x), trial, x)
        slope = torch.where(_column(better, x), trial_slope, slope)
        step = torch.where(better, step * 1.5, step * 0.4)
    return ratio.view(len(all_starts), len(u)).amax(0)


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
