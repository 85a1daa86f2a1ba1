"""Projections onto the cones |y|_p <= s, 1 <= p <= inf: the steps of the splitting solver."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from banach.numerics import conjugate, p_norm

ROUNDS = 40  # of Newton's method; it stops when nothing changes any more


def onto_cone(
    c: Float[Tensor, "b m"],
    g: Float[Tensor, " b"],
    p: float,
    weight: Float[Tensor, " b"],
    guess: Float[Tensor, " b"] | None = None,
) -> tuple[Float[Tensor, "b m"], Float[Tensor, " b"], Float[Tensor, " b"]]:
    """The (y, s) with |y|_p <= s for which |y - c|^2 + weight (s - g)^2 is least, and a guess for the next, near one.

    At the solution y + k grad|y|_p = c and s = g + k / weight with some k >= 0, the multiplier: one equation in k
    (in s for p = inf), convex and decreasing for p in {1, 2, inf}, so that Newton's method finds it from anywhere.
    """
    apex = p_norm(c, conjugate(p)) <= -weight * g  # the polar cone, whose nearest point is 0
    if p == 2:
        y, s, guess = _onto_2(c, g, weight)
    elif p == 1:
        y, s, guess = _onto_1(c, g, weight, guess)
    elif p == math.inf:
        y, s, guess = _onto_inf(c, g, weight, guess)
    else:
        y, s, guess = _onto_p(c, g, p, weight, guess)
    if bool(apex.any()):
        y, s = torch.where(apex[:, None], 0.0, y), torch.where(apex, 0.0, s)
    return y, s, guess


def _onto_2(c: Tensor, g: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    length = p_norm(c, 2)
    k = ((length - g) / (1 + 1 / weight)).clamp_min(0)
    share = torch.where(length > 0, (length - k).clamp_min(0) / torch.where(length > 0, length, 1.0), 0.0)
    return c * share[:, None], g + k / weight, k


def _onto_1(c: Tensor, g: Tensor, weight: Tensor, guess: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    size, k = c.abs(), torch.zeros_like(g) if guess is None else guess
    for _ in range(ROUNDS):  # sum of (size - k)+ = g + k / weight
        above = size > k[:, None]
        total, count = torch.where(above, size, 0.0).sum(1), above.sum(1)
        new = ((total - g) / (count + 1 / weight)).clamp_min(0)
        if torch.equal(new, k):
            break
        k = new
    return c - torch.minimum(torch.maximum(c, -k[:, None]), k[:, None]), g + k / weight, k


def _onto_inf(c: Tensor, g: Tensor, weight: Tensor, guess: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    size, s = c.abs(), torch.maximum(g, torch.zeros_like(g)) if guess is None else guess
    for _ in range(ROUNDS):  # sum of (size - s)+ = weight (s - g)
        above = size > s[:, None]
        total, count = torch.where(above, size, 0.0).sum(1), above.sum(1)
        new = torch.maximum((total + weight * g) / (count + weight), g)
        if torch.equal(new, s):
            break
        s = new
    s = s.clamp_min(0)
    return torch.minimum(torch.maximum(c, -s[:, None]), s[:, None]), s, s


def _onto_p(c: Tensor, g: Tensor, p: float, weight: Tensor, guess: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """With mu = k s^(1-p): y_i + mu y_i^(p-1) = |c_i| gives s = |y|_p and k; both sides of k = weight (s - g) then are
    monotone in log mu, which Newton's method finds between brackets that it tightens."""
    size = c.abs()
    inside = p_norm(size, p) <= g
    t = _first_guess(size, g, p, weight) if guess is None else guess
    low, high = torch.full_like(t, -math.inf), torch.full_like(t, math.inf)
    limits = torch.finfo(c.dtype)
    y, s = size, g
    for _ in range(ROUNDS):
        y = _shrunk(size, t, p)
        s = p_norm(y, p).clamp_min(limits.tiny)
        taken = size - y  # mu y^(p-1)
        slope = -((y / s[:, None]) ** (p - 1) * _safe(taken * y, y + (p - 1) * taken)).sum(1)
        k = torch.exp((t + (p - 1) * s.log()).clamp(max=0.9 * math.log(limits.max)))
        rest = k - weight * (s - g)
        low, high = torch.where(rest < 0, t, low), torch.where(rest < 0, high, t)
        step = rest / (k * (1 + (p - 1) * slope / s) - weight * slope).clamp_min(limits.tiny)
        new = t - step.clamp(-4 * max(1, p - 1), 4 * max(1, p - 1))
        middle = (low + high) / 2
        new = torch.where(((new > low) & (new < high)) | ~middle.isfinite(), new, middle)
        if bool(((new - t).abs() <= limits.eps**0.75 * (1 + t.abs())).logical_or(inside).all()):
            break
        t = new
    y = torch.where(inside[:, None], size, y)
    return c.sign() * y, torch.where(inside, g, s), t


def _first_guess(size: Tensor, g: Tensor, p: float, weight: Tensor) -> Tensor:
    length = p_norm(size, p)
    k = ((length - g) / (1 + 1 / weight)).clamp_min(torch.finfo(size.dtype).tiny)
    return (
        k.log() + (1 - p) * torch.maximum(g + k / weight, length * 1e-3).clamp_min(torch.finfo(size.dtype).tiny).log()
    )


def _safe(top: Tensor, bottom: Tensor) -> Tensor:
    return torch.where(bottom > 0, top / torch.where(bottom > 0, bottom, 1.0), 0.0)


def _shrunk(size: Tensor, t: Tensor, p: float) -> Tensor:
    """The y >= 0 with y + exp(t) y^(p-1) = size, elementwise.

    In w = y (p >= 2), or w = y^(p-1) (p < 2), this is alpha w + beta w^r = size with r >= 1. Near min(size / alpha,
    (size / beta)^(1/r)), which is at most twice too large, it is A e + B e^r = 1 with max(A, B) = 1: convex, and
    Newton's method comes down to the root e from 1 without fail. Logarithms keep every power in range.
    """
    r = max(p - 1, 1 / (p - 1))
    positive = size > 0
    log_size = torch.where(positive, size, 1.0).log()
    log_alpha, log_beta = (torch.zeros_like(t), t) if p >= 2 else (t, torch.zeros_like(t))
    by_alpha, by_beta = log_size - log_alpha[:, None], (log_size - log_beta[:, None]) / r
    log_w = torch.minimum(by_alpha, by_beta)
    A, B = (log_w - by_alpha).exp(), (r * (log_w - by_beta)).exp()
    e = torch.ones_like(size)
    for _ in range(8 if size.dtype == torch.float64 else 6):
        power = B * e ** (r - 1)
        e = e - (A * e + power * e - 1) / (A + r * power)
    w = (log_w + e.log()).exp()
    return torch.where(positive, w if p >= 2 else w ** (1 / (p - 1)), 0.0)
