"""A search for two points between which a function is steeper than claimed."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.spaces import Metric, Space, warm_starts

STRIDES = (1e-3, 1e-2, 0.1, 1.0, 10.0)
"""Lengths of the steps along steepest directions, in units of the scale of the points."""

CLOSEST = 1e-3
"""No pair is closer, in the same units: the rounding of a quotient then stays below 1e-11."""


@dataclass(frozen=True)
class Steepest:
    """The largest |f(x) - f(y)| / distance(x, y) found, and where: two events."""

    slope: float
    x: Tensor
    y: Tensor


def refute(
    critic: nn.Module | Callable[[Tensor], Tensor],
    space: Metric,
    shape: tuple[int, ...],
    rng: torch.Generator,
    around: Float[Tensor, "n *event"] | None = None,
    pairs: int = 32,
    steps: int = 30,
) -> Steepest:
    """The steepest pair found for a critic on events of a shape; a true Lipschitz constant is never below its slope.

    In float64, of a copy in evaluation mode: difference quotients over random pairs at scales 0.3 to 10 (or of the
    samples `around`, and between them); then walks from each point along the direction in which its own gradient is
    steepest in the space, with strides of several lengths; then ascent of the quotient over both points of the best
    pairs. A found slope is a lower bound of every Lipschitz constant, and nothing more.

    >>> from banach import Lp
    >>> found = refute(lambda x: x.sum(1), Lp(4), (3,), torch.Generator().manual_seed(0))
    >>> round(found.slope, 6), round(3 ** (3 / 4), 6)
    (2.279507, 2.279507)
    """
    f = copy.deepcopy(critic).double().eval() if isinstance(critic, nn.Module) else critic
    seeker = _Seeker(f, space)
    for x, scale in _starts(shape, rng, around, pairs):
        y = x.roll(1, 0) if around is not None else scale * torch.randn(x.shape, generator=rng, dtype=x.dtype)
        seeker.try_pairs(x, y)
        if isinstance(space, Space):
            seeker.walk(x, scale, space, steps // 3)
        seeker.climb(x, y, scale, steps)
        if seeker.best is not None:
            near = seeker.best.x[None] + 0.1 * scale * torch.randn(x.shape, generator=rng, dtype=x.dtype)
            seeker.climb(near, seeker.best.y[None].expand_as(near).clone(), scale, steps)
    return seeker.best or Steepest(0.0, torch.zeros(shape), torch.zeros(shape))


def _starts(
    shape: tuple[int, ...], rng: torch.Generator, around: Tensor | None, pairs: int
) -> list[tuple[Tensor, float]]:
    if around is not None:
        samples = around.double()[torch.randperm(len(around), generator=rng)[:pairs]]
        return [(samples, float(around.double().std().clamp_min(1e-6)))]
    scales = (0.3, 1.0, 10.0)
    return [(scale * torch.randn(pairs, *shape, generator=rng, dtype=torch.float64), scale) for scale in scales]


class _Seeker:
    """Keeps the steepest pair."""

    def __init__(self, f: Callable[[Tensor], Tensor], space: Metric):
        self.f, self.space = f, space
        self.best: Steepest | None = None
        self._memory: dict[str, Tensor] = {}  # where a norm is computed, each call begins at what the last one found

    def quotients(self, x: Tensor, y: Tensor) -> Tensor:
        with warm_starts(self._memory) as self._memory:
            values = self.f(torch.cat([x, y])).reshape(2, len(x))
            rise = (values[0] - values[1]).abs()
            distance = self.space.distance(x, y)
        size = torch.maximum(x.detach().abs().amax(), y.detach().abs().amax()).clamp_min(1e-300)
        apart = (x - y).detach().flatten(1).abs().amax(1) > 1e-6 * size
        return torch.where(apart & (distance > 0), rise / torch.where(distance > 0, distance, 1.0), 0.0)

    def gradient(self, x: Tensor) -> Tensor:
        with torch.enable_grad(), warm_starts(self._memory):
            x = x.detach().requires_grad_()
            total = self.f(x).sum()
            return torch.autograd.grad(total, x)[0] if total.requires_grad else torch.zeros_like(x)

    @torch.no_grad()
    def try_pairs(self, x: Tensor, y: Tensor) -> Tensor:
        slopes = self.quotients(x, y)
        at = int(slopes.argmax())
        if self.best is None or float(slopes[at]) > self.best.slope:
            self.best = Steepest(float(slopes[at]), x[at].clone(), y[at].clone())
        return slopes

    def walk(self, x: Tensor, scale: float, space: Space, rounds: int) -> None:
        """From each point along its steepest direction; on from where the pair was steepest."""
        for _ in range(rounds):
            direction = space.align(self.gradient(x))
            unit = scale / direction.flatten(1).abs().amax().clamp_min(1e-30)
            trials = torch.stack([x + sign * stride * unit * direction for stride in STRIDES for sign in (1, -1)])
            slopes = self.try_pairs(x.expand_as(trials).flatten(0, 1), trials.flatten(0, 1)).unflatten(0, (-1, len(x)))
            x = trials[slopes.argmax(0), torch.arange(len(x))]

    def climb(self, x: Tensor, y: Tensor, scale: float, steps: int) -> None:
        """Ascent of the quotients over both points, with shrinking steps."""
        for step in range(1, steps + 1):
            with torch.enable_grad():
                x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
                slopes = self.quotients(x, y)
                to_x, to_y = torch.autograd.grad(slopes.sum(), (x, y))
            x, y = (_moved(one.detach(), by, scale * 0.5 / step**0.5) for one, by in ((x, to_x), (y, to_y)))
            y = _apart(x, y, CLOSEST * scale)
            self.try_pairs(x, y)


def _moved(x: Tensor, by: Tensor, length: float) -> Tensor:
    size = by.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
    return x + length * by / torch.where(size > 0, size, 1.0)


def _apart(x: Tensor, y: Tensor, least: float) -> Tensor:
    """y moved away from x where it is closer than `least` in every entry."""
    difference = y - x
    size = difference.flatten(1).abs().amax(1).view(-1, *[1] * (x.ndim - 1))
    return torch.where(size < least, x + difference * (least / torch.where(size > 0, size, 1.0)), y)
