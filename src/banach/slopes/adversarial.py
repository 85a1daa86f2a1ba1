"""Quotients towards the direction in which the critic changes most (adversarial Lipschitz regularisation)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from banach.slopes.slopes import SLOPES, Critic, Measured, Noise, Slopes, column, gradient, normed, quotients, uniform
from banach.spaces import Metric
from banach.specs import SpecError, spelled


@SLOPES.register(examples=["Adversarial()", "Adversarial(least=0.01, most=1, probe=1)"])
@dataclass(frozen=True, repr=False)
class Adversarial(Slopes):
    """|f(x) - f(x + r)| / norm(r) at reals and fakes, r along the space's steepest ascent (ALP, Terjek 2020, eq. 13).

    r = eps align(u), eps ~ U(least, most): u is the gradient of |f(x) - f(x + probe d)| in d, at d ~ U(-1/2, 1/2) in
    each entry, scaled to norm 1, and align(u) the unit vector of the space along which u is steepest; in L^2 that is
    the code's power step. No gradient goes through r. (The published code clips x + r to [-1, 1], the range of its
    images; nothing is clipped here.)
    """

    least: float = 0.1
    most: float = 10.0
    probe: float = 10.0

    def __post_init__(self):
        if not 0 < self.least <= self.most < float("inf") or not 0 < self.probe < float("inf"):
            raise SpecError(f"{spelled(self)}: choose 0 < least <= most, and a positive probe")

    __repr__ = spelled

    def draw(self, real: Tensor, rng: torch.Generator | None) -> Noise:
        entries = uniform(real, rng, 2, *real.shape[1:])
        return entries, uniform(real, rng, 2)

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Measured:
        norm = normed(space)
        entries, lengths = noise
        x = torch.cat([real, fake])
        d = norm.domain(torch.cat(entries.unbind(1)).to(x.dtype) - 0.5)
        with torch.no_grad():
            level, length = f(x), norm.norm(d)
        d = (d / column(torch.where(length > 0, length, 1.0), d)).to(x.dtype)
        u = gradient(lambda y: (f(y) - level).abs(), x + self.probe * d)
        r = norm.align(u).to(x.dtype)
        eps = self.least + (self.most - self.least) * torch.cat(lengths.unbind(1)).to(x.dtype)
        r = column(eps, x) * r
        there, here = f(torch.cat([x + r, x])).reshape(2, len(x))
        slopes, counts = quotients(there - here, norm.norm(r))  # r = 0, where f is flat, is not a direction
        return Measured(slopes.abs(), counts)
