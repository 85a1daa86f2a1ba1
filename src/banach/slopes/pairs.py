"""Difference quotients of the critic over pairs of points, in any metric."""

from dataclasses import dataclass

import torch
from torch import Tensor

from banach.slopes.slopes import SLOPES, Critic, Measured, Noise, Slopes, between, quotients, uniform
from banach.spaces import Metric
from banach.specs import spelled


@SLOPES.register(examples=["Quotients()"])
@dataclass(frozen=True, repr=False)
class Quotients(Slopes):
    """|f(x) - f(y)| / distance(x, y) over the real-fake pairs of the batch (Banach WGAN, eq. 12; semi-improved WGAN).

    For any metric. Pairs closer than 1e-6 are left out and counted.
    """

    needs_dual = False

    __repr__ = spelled

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Measured:
        del noise
        slopes, counts = quotients(f(real) - f(fake), space.distance(real, fake))
        return Measured(slopes.abs(), counts)


@SLOPES.register(examples=["Rises()"])
@dataclass(frozen=True, repr=False)
class Rises(Slopes):
    """max(0, f(real) - f(fake)) / distance: only rises from fakes to reals (the compact dual, Lipschitz GANs, eq. 4).

    W1 needs no more of f than f(x) - f(y) <= d(x, y) for x among the reals and y among the fakes. For any metric.
    """

    needs_dual = False

    __repr__ = spelled

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Measured:
        del noise
        slopes, counts = quotients(f(real) - f(fake), space.distance(real, fake))
        return Measured(torch.relu(slopes), counts)


@SLOPES.register(examples=["Midway()"])
@dataclass(frozen=True, repr=False)
class Midway(Slopes):
    """Quotients from the real and from the fake to one random point between them (semi-improved WGAN, variant 2).

    z = a real + (1 - a) fake, a ~ U(0, 1) for each sample: |f(x) - f(z)| / distance(x, z), and then |f(y) - f(z)| /
    distance(y, z). (Distances are taken as they are, not as a share of distance(x, y): right in every metric, and all
    quantities are (b,), which the notebook's broadcast to (b, b) in a current PyTorch.)
    """

    needs_dual = False

    __repr__ = spelled

    def draw(self, real: Tensor, rng: torch.Generator | None) -> Noise:
        return (uniform(real, rng),)

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Measured:
        z = between(real, fake, *noise)
        f_real, f_fake, f_z = f(torch.cat([real, fake, z])).reshape(3, len(real))
        first, first_counts = quotients(f_real - f_z, space.distance(real, z))
        second, second_counts = quotients(f_fake - f_z, space.distance(fake, z))
        return Measured(torch.cat([first, second]).abs(), torch.cat([first_counts, second_counts]))
