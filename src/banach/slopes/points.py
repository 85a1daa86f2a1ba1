"""Gradients of the critic in the dual norm, at points of several kinds."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach import distributed
from banach.numerics import at_least_float32
from banach.slopes.slopes import SLOPES, Critic, Memory, Noise, Slopes, between, steepness, uniform
from banach.spaces import Metric
from banach.specs import SpecError, spelled


@SLOPES.register(
    examples=["Gradients()", "Gradients(at='reals')", "Gradients(at='fakes')", "Gradients(at='both')"],
)
@dataclass(frozen=True, repr=False)
class Gradients(Slopes):
    """space.dual.norm of the gradient of f at interpolates, reals, fakes, both, or near the reals (Banach WGAN, eq. 8).

    "interpolates": a real + (1 - a) fake, a ~ U(0, 1) (WGAN-GP). "both": reals and then fakes (R3GAN, WGAN-div).
    "near": real + a 0.5 std(reals) U(0, 1) in each entry (DRAGAN). Differentiable in the parameters of f; finite where
    the gradient is 0.
    """

    at: Literal["interpolates", "reals", "fakes", "both", "near"] = "interpolates"

    def __post_init__(self):
        if self.at not in ("interpolates", "reals", "fakes", "both", "near"):
            raise SpecError(f"Gradients: at = {self.at!r}; choose 'interpolates', 'reals', 'fakes', 'both' or 'near'")

    __repr__ = spelled

    def draw(self, real: Tensor, rng: torch.Generator | None) -> Noise:
        match self.at:
            case "interpolates":
                return (uniform(real, rng),)
            case "near":
                entries = uniform(real, rng, *real.shape[1:])
                return entries, uniform(real, rng)
        return ()

    def points(self, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Where the gradient is taken."""
        match self.at:
            case "interpolates":
                return between(real, fake, *noise)
            case "reals":
                return real
            case "fakes":
                return fake
            case "both":
                return torch.cat([real, fake])
        entries, a = noise
        return between(real, real + 0.5 * _deviation(real) * entries.to(real.dtype), a)

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Float[Tensor, " n"]:
        return steepness(f, self.points(real, fake, noise), space)


def _deviation(x: Tensor) -> Tensor:
    """The standard deviation of all entries of the joined batch."""
    if distributed.world() == 1:
        return x.std()
    n = x.numel() * distributed.world()
    mean = distributed.mean(x.mean())
    return (distributed.total((x - mean).square().sum()) / (n - 1)).sqrt()


@SLOPES.register(examples=["Along()", "Along(points=3)"])
@dataclass(frozen=True, repr=False)
class Along(Slopes):
    """The root of the mean square slope at several random points between a real and a fake (SWGAN, Xu et al. 2021).

    sqrt(1/n sum_j |grad f(x_j)|_{B*}^2), x_j = a_j real + (1 - a_j) fake, a_j ~ U(0, 1), one number for each pair.
    """

    points: int = 8

    def __post_init__(self):
        if not isinstance(self.points, int) or self.points < 1:
            raise SpecError(f"Along: points = {self.points!r}; choose a whole number of at least 1")

    __repr__ = spelled

    def draw(self, real: Tensor, rng: torch.Generator | None) -> Noise:
        return (uniform(real, rng, self.points),)

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Float[Tensor, " b"]:
        (a,) = noise
        x = torch.cat([between(real, fake, one) for one in a.unbind(1)])
        table = steepness(f, x, space).view(self.points, len(real))
        # The 2-norm of a column of slopes, safe at zero, where the plain root's derivative is infinite.
        largest = table.detach().amax(0)
        scale = torch.where(largest > 0, largest, torch.ones_like(largest))
        mean = (table / scale).square().mean(0)
        nothing = mean == 0
        return scale * torch.where(nothing, mean, torch.where(nothing, torch.ones_like(mean), mean).sqrt())


@SLOPES.register(examples=["Buffered()", "Buffered(share=0.25)"])
@dataclass(frozen=True, repr=False)
class Buffered(Slopes):
    """Slopes at interpolates, and at the steepest points of the step before: S_max (Lipschitz GANs, appendix C.2).

    The buffer holds the `share` of the joined batch with the largest slopes, over all ranks; its points are measured
    anew, beside the interpolates, in each step. It starts empty, where the paper has random samples and the code
    midpoints. (The code overwrites the first interpolates with it, which makes the penalty depend on the order of the
    batch; here they are added.)
    """

    share: float = 0.125

    def __post_init__(self):
        if not 0 < self.share <= 1:
            raise SpecError(f"Buffered: share = {self.share!r}; choose a part of the batch, above 0 and at most 1")

    __repr__ = spelled

    def draw(self, real: Tensor, rng: torch.Generator | None) -> Noise:
        return (uniform(real, rng),)

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Float[Tensor, " n"]:
        return steepness(f, between(real, fake, *noise), space)

    def remember(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory
    ) -> tuple[Float[Tensor, " n"], Memory]:
        x = between(real, fake, *noise)
        kept = memory.get("steepest")
        if kept is not None and kept.shape[1:] == x.shape[1:]:
            whole = len(kept) - len(kept) % distributed.world()  # a run may go on with another number of processes
            x = torch.cat([x, distributed.share(kept[:whole].to(x))])
        slopes = steepness(f, x, space)
        everywhere, points = distributed.gather(slopes), distributed.gather(x)
        per_rank = max(1, math.ceil(self.share * len(real)))  # as many on each rank, so that none waits for another
        best = everywhere.topk(min(per_rank * distributed.world(), len(points))).indices
        return slopes, {"steepest": points[best]}


@SLOPES.register(examples=["Values()"])
@dataclass(frozen=True, repr=False)
class Values(Slopes):
    """|f| at the reals and then at the fakes: no slope, but what Fisher GAN bounds (Mroueh and Sercu 2017)."""

    needs_dual = False
    steep = False

    __repr__ = spelled

    def measure(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise) -> Float[Tensor, " n"]:
        del space, noise
        values = at_least_float32(f(torch.cat([real, fake])))
        return values.reshape(2 * len(real)).abs()
