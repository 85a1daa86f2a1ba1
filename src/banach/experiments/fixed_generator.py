"""A critic against a generator that is fixed, G(x) = x + N(0, I), as for the value surfaces of gan_toy.py.

Only the critic is trained, and what it says of W1 is measured on fresh samples of both sides.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from banach import transport
from banach.config.config import Config
from banach.data.dataset import Data
from banach.models import start_at_
from banach.session.hooks import proved_bound
from banach.slopes import interpolate
from banach.slopes.slopes import steepness
from banach.spaces import Lp
from banach.streams import stream
from banach.training.build import Built, build
from banach.training.steps import critic_step, next_reals, set_rates

SETS = ("8gaussians", "25gaussians", "swissroll")
REACH = 3.0
"""Half the side of the square that surfaces are drawn on."""

TOY: dict[str, Any] = {
    "model": "mlp",
    "z": 2,
    "penalty": "none",
    "drift": 0.0,
    "beta1": 0.5,
    "beta2": 0.9,
    "ema": 0.0,
}
"""Constants of gan_toy.py but for sizes and rates, and no constraint as yet."""

_FIRST = 1024
"""Samples of both sides from which a Lipschitz critic starts."""

EUCLIDEAN = Lp(2)


@dataclass(frozen=True)
class Samples:
    """Fresh samples of both sides, and the exact transport between them."""

    real: Tensor
    fake: Tensor
    exact: transport.Estimate

    @property
    def w1(self) -> float:
        return self.exact.value

    @property
    def potentials(self) -> tuple[Tensor, Tensor]:
        """Kantorovich's potentials (n,), (m,): the values of an optimal critic at the reals and at the fakes."""
        found = self.exact.certificate
        assert found is not None
        return torch.from_numpy(found.f), -torch.from_numpy(found.g)


@dataclass(frozen=True)
class Estimate:
    """Of one critic: the gap on fresh samples, its largest measured slope, its proved bound, and W1 of the samples."""

    gap: float
    slope: float
    bound: float | None
    w1: float

    @property
    def per_slope(self) -> float:
        """The estimate by the largest measured slope, in units of W1."""
        return self.gap / self.slope / self.w1 if self.slope > 0 else math.nan

    @property
    def per_bound(self) -> float | None:
        """The estimate by the proved bound, in units of W1: at most 1."""
        return None if self.bound is None else self.gap / self.bound / self.w1


@dataclass(frozen=True)
class KantorovichCritic:
    """f(z) = min_j |z - y_j| - g_j of exact potentials g: 1-Lipschitz, and optimal for the samples they belong to."""

    fake: Tensor
    values: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return (EUCLIDEAN.pairwise(z.double(), self.fake.double()) + self.values).amin(1)


def kantorovich_critic(of: Samples) -> KantorovichCritic:
    """The optimal critic of samples, extended to the plane."""
    return KantorovichCritic(of.fake, of.potentials[1])


@dataclass(frozen=True)
class MeanCritic:
    """The mean of critics, up to their levels: of the optimal ones of samples, estimating that of the distributions."""

    critics: tuple[KantorovichCritic, ...]

    def __call__(self, z: Tensor) -> Tensor:
        return torch.stack([one(z) for one in self.critics]).mean(0)


def optimal_critic(data: Data, n: int, times: int) -> MeanCritic:
    """The mean of the optimal critics of `times` samples of n training points, and as many of the fixed generator."""
    rng = torch.Generator().manual_seed(0)
    return MeanCritic(tuple(kantorovich_critic(transported(*drawn(data, n, rng))) for _ in range(times)))


def drawn(data: Data, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """n training points, and the fixed generator's samples from as many others."""
    rows = torch.randperm(len(data.train), generator=rng)[: 2 * n]
    return data.batch(rows[:n]), noisy(data.batch(rows[n:]), rng)


def noisy(real: Tensor, rng: torch.Generator) -> Tensor:
    """The fixed generator."""
    return real + torch.randn(real.shape, generator=rng)


def transported(real: Tensor, fake: Tensor) -> Samples:
    """Two samples with the exact transport between them."""
    return Samples(real, fake, transport.distance(real, fake, EUCLIDEAN, rel_gap=1e-9))


def points(data: Data, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """n held-out reals, and the fixed generator's samples from as many other held-out reals."""
    part = data.held_out[:].roll(seed * n, 0)
    real, other = part[:n], part[n : 2 * n]
    return real, noisy(other, stream("cpu", seed, "fresh noise"))


def samples(data: Data, seed: int, n: int) -> Samples:
    """The same with the exact transport between them."""
    return transported(*points(data, seed, n))


def against_noise(config: Config, data: Data, each_step: Callable[[Built], None] | None = None) -> Built:
    """A game whose critic has been trained against the fixed generator; `each_step` is shown it after every step."""
    built = build(config, data, torch.device("cpu"))
    state, noise = built.state, stream("cpu", config.seed, "fixed generator")
    first = data.batch(torch.arange(_FIRST))
    start_at_(state.critic.network, first, noisy(first, noise), noise)  # the generator is never used
    while state.step < config.steps:
        set_rates(state)
        real = next_reals(state, data)
        critic_step(state, built.game, real, noisy(real, noise))
        state.step += 1
        if each_step is not None:
            each_step(built)
    return built


def estimate(built: Built, on: Samples) -> Estimate:
    """What the critic says of the samples; its slopes are taken at them, between them, and all over the plane."""
    built.state.critic.network.eval()  # or a power iteration would go on with every pass
    f = built.state.critic.forward.scaled(float(built.game.gamma))
    rng = torch.Generator().manual_seed(0)
    anywhere = REACH * (2 * torch.rand(8 * len(on.real), 2, generator=rng) - 1)
    places = torch.cat([on.real, on.fake, *(interpolate(on.real, on.fake, rng) for _ in range(4)), anywhere])
    with torch.no_grad():
        gap = f(on.real).double().mean() - f(on.fake).double().mean()
    slope = steepness(f, places, built.game.space).detach().amax()
    return Estimate(float(gap), float(slope), proved_bound(built.state, built.game), on.w1)


def explained(f: Callable[[Tensor], Tensor], at: Tensor, best: Tensor) -> float:
    """The share r^2 of an optimal critic's variance that f explains, up to scale and level; `best` are its values.

    0 where f goes down as the optimal critic goes up, is flat, or not finite.
    """
    with torch.no_grad():
        values = f(at).double()
    if not (values.isfinite().all() and values.std() > 0):
        return 0.0
    r = float(torch.corrcoef(torch.stack([values, best.double()]))[0, 1])
    return max(r, 0.0) ** 2


def slopes_between(built: Built, on: Samples) -> Tensor:
    """The slopes of the critic at one fresh interpolate of each pair of samples."""
    f = built.state.critic.forward.scaled(float(built.game.gamma))
    places = interpolate(on.real, on.fake, torch.Generator().manual_seed(1))
    return steepness(f, places, built.game.space).detach()
