"""Dual norms of norms that are known only as functions, by a quasi-Newton method with an enclosure at every check.

The maximiser of <u, x> at norm 1 is, up to its length, where N(x)^2 / 2 - <u, x> is least: convex, and the BFGS method
with a bisecting line search finds that from values and gradients, batch-wise; for norms with edges too, if slowly.
Every x gives the lower bound <u, x> / N(x). Every gradient g of N has dual norm 1; so, when weights w >= 0 make sum
w_i g_i nearly u, the dual norm of u is at most sum w_i and a bound of what is left.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from banach.numerics import p_norm

Norm = Callable[[Tensor], Tensor]

HISTORY = 30  # pairs (step, change of the gradient) that are kept, the m of L-BFGS
BUNDLE = 40  # gradients that the upper bound combines
HALVINGS = 12
CHECK_EVERY = 5


def enclose_by_gradients(
    norm: Norm,
    u: Float[Tensor, "b *event"],
    start: Float[Tensor, "b *event"],
    remainder: Norm,
    tolerance: float,
    steps: int,
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"], Float[Tensor, "b *event"], int]:
    """Lower and upper bounds of the dual norm at every u (finite, not 0), the unit vector of the lower, and the steps.

    `start`: of norm 1 with <u, start> > 0. `remainder(r)`: any upper bound of the dual norm of r.
    """
    search = _Search(norm, u, start, remainder)
    for step in range(1, steps + 1):
        search.advance()
        if step % CHECK_EVERY == 0 or step == steps:
            search.bound()
            if bool(((search.upper - search.lower) <= tolerance * search.upper).all()):
                break
    return search.lower, search.upper, search.best.view_as(u), step


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)


class _Search:
    """All samples at once, each with a line search of its own: rows of numbers, in units in which |start|_2 = 1."""

    def __init__(self, norm: Norm, u: Tensor, start: Tensor, remainder: Norm):
        event = u.shape[1:]
        self.norm_of: Norm = lambda x: norm(x.view(-1, *event))
        self.remainder: Norm = lambda r: remainder(r.view(-1, *event))
        flat = start.flatten(1)
        self.length = p_norm(flat, 2)  # what 1 means, for vectors x
        self.lower = _dot(u.flatten(1), flat)  # and for <u, x>
        self.unit = self.lower.clone()
        self.u = u.flatten(1)
        self.upper = torch.full_like(self.lower, math.inf)
        self.best = flat.clone()
        self.x = flat / self.length[:, None]
        self.gradients: list[Tensor] = []
        self.history: list[tuple[Tensor, Tensor, Tensor]] = []
        self.value, self.slope = self.evaluate(self.x)
        self.stretch = torch.ones_like(self.value)

    def evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """N^2 / 2 - <u, x> and its gradient, in our units; what was seen of N is kept for the bounds."""
        with torch.enable_grad():
            point = (x * self.length[:, None]).detach().requires_grad_()
            size = self.norm_of(point)
            (g,) = torch.autograd.grad(size.sum(), point)
        size, point = size.detach(), point.detach()
        paired = _dot(self.u, point)
        ratio = torch.where(size > 0, paired / torch.where(size > 0, size, 1.0), 0.0)
        better = ratio > self.lower
        self.lower = torch.where(better, ratio, self.lower)
        self.best = torch.where(better[:, None], point / size[:, None], self.best)
        self.gradients = [*self.gradients[1 - BUNDLE :], g]
        value = size.square() / 2 - paired / self.unit
        return value, (size[:, None] * g - self.u / self.unit[:, None]) * self.length[:, None]

    def advance(self) -> None:
        """One step along the quasi-Newton direction."""
        direction = self._direction()
        fall = _dot(self.slope, direction)
        direction = torch.where((fall < 0)[:, None], direction, -self.slope)
        fall = _dot(self.slope, direction)
        t = torch.ones_like(fall)
        low, high = torch.zeros_like(t), torch.full_like(t, math.inf)
        rounding = 4 * torch.finfo(t.dtype).eps * self.value.abs()
        x, value, slope = self.x, self.value, self.slope
        for _ in range(HALVINGS):
            x = self.x + t[:, None] * direction
            value, slope = self.evaluate(x)
            low_enough = value <= self.value + 1e-4 * t * fall + rounding
            flat_enough = _dot(slope, direction) >= 0.9 * fall
            high, low = torch.where(low_enough, high, t), torch.where(low_enough & ~flat_enough, t, low)
            fine = low_enough & flat_enough
            if bool(fine.all()):
                break
            t = torch.where(fine, t, torch.where(high.isinf(), 2 * t, (low + high) / 2))
        taken = (value <= self.value + rounding)[:, None]
        step = torch.where(taken, x - self.x, 0.0)
        change = torch.where(taken, slope - self.slope, 0.0)
        self.x, self.slope = self.x + step, self.slope + change
        self.value = torch.where(taken[:, 0], value, self.value)
        self._remember(step, change)

    def _remember(self, step: Tensor, change: Tensor) -> None:
        product = _dot(step, change)
        curved = product > 1e-12 * p_norm(step, 2) * p_norm(change, 2)
        inverse = torch.where(curved, 1 / torch.where(curved, product, 1.0), 0.0)
        self.history = [*self.history[1 - HISTORY :], (step, change, inverse)]
        self.stretch = torch.where(curved, product / _dot(change, change).clamp_min(1e-300), self.stretch)

    def _direction(self) -> Tensor:
        """-H slope, where H follows from the pairs (Nocedal's two loops)."""
        q, factors = self.slope, []
        if not self.history:
            return -q / p_norm(q, 2).clamp_min(torch.finfo(q.dtype).tiny)[:, None] * 0.1
        for step, change, inverse in reversed(self.history):
            factors.append(inverse * _dot(step, q))
            q = q - factors[-1][:, None] * change
        q = q * self.stretch[:, None]
        for (step, change, inverse), factor in zip(self.history, reversed(factors), strict=True):
            q = q + (factor - inverse * _dot(change, q))[:, None] * step
        return -q

    def bound(self) -> None:
        """Upper bounds from the gradient at x alone, and from a combination of the last gradients."""
        last = torch.stack(self.gradients, 1)
        for w in (None, _combination(last, self.u / self.lower[:, None])):
            g = last[:, -1] if w is None else (w[:, :, None] * last).sum(1)
            total = torch.ones_like(self.lower) if w is None else w.sum(1)
            upper = self.lower * total + self.remainder(self.u - self.lower[:, None] * g)
            self.upper = torch.minimum(self.upper, torch.where(upper.isnan(), math.inf, upper))


def _combination(g: Float[Tensor, "b k n"], u: Float[Tensor, "b n"]) -> Float[Tensor, "b k"]:
    """Weights w >= 0 for which |u - sum w_i g_i|_2 is least, by an interior-point method of a fixed number of steps."""
    k = g.shape[1]
    gram = g @ g.transpose(1, 2)
    right = (g @ u[:, :, None])[:, :, 0]
    eye = torch.eye(k, dtype=g.dtype, device=g.device)
    size = gram.diagonal(dim1=1, dim2=2).amax(1)[:, None]
    gram, right = gram / size[:, :, None], right / size
    gram = gram + (1e-13 if g.dtype == torch.float64 else 1e-6) * eye
    w, z = torch.full_like(right, 1 / k), torch.full_like(right, 1.0)
    for _ in range(25):  # gram w - right = z, w z = mu -> 0, w and z positive
        mu = 0.1 * (w * z).mean(1, keepdim=True)
        rest = right + mu / w - (gram @ w[:, :, None])[:, :, 0]
        dw = torch.linalg.solve(gram + torch.diag_embed(z / w), rest)
        dz = mu / w - z - z / w * dw
        room = torch.stack([torch.where(one < 0, -at / one, math.inf).amin(1) for one, at in ((dw, w), (dz, z))], 1)
        t = (0.99 * room.amin(1, keepdim=True)).clamp_max(1.0)
        w, z = w + t * dw, z + t * dz
        floor = torch.finfo(g.dtype).tiny * 1e10
        w, z = w.clamp_min(floor), z.clamp_min(floor)
    return torch.where(w.isfinite(), w, 0.0)
