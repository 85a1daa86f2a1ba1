"""How steep a critic is: its gradients in the dual norm at chosen points, or its difference quotients over pairs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach.numerics import at_least_float32
from banach.spaces import Metric, Space
from banach.specs import Registry, SpecError, spelled

SLOPES = Registry("slopes", bare="build")

Critic = Callable[[Tensor], Tensor]

TOO_CLOSE = 1e-6


def interpolate(
    real: Float[Tensor, "b *event"], fake: Float[Tensor, "b *event"], rng: torch.Generator | None
) -> Float[Tensor, "b *event"]:
    """a real + (1 - a) fake with one a ~ U(0, 1) for each sample (not for each pixel)."""
    a = torch.rand(len(real), generator=rng, dtype=real.dtype, device=rng.device if rng is not None else real.device)
    return torch.lerp(fake, real, a.to(real.device).view(-1, *[1] * (real.ndim - 1)))


def gradient(f: Critic, x: Float[Tensor, "b *event"], create_graph: bool = False) -> Float[Tensor, "b *event"]:
    """The Fréchet derivative of f at each x_i, as a covector in the plain pairing; shape of x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (u,) = torch.autograd.grad(f(x).sum(), x, create_graph=create_graph)
    return u


class Slopes(ABC):
    """A way to measure how steep f is, one number for each sample or pair; in a 1-Lipschitz critic at most 1."""

    needs_dual: bool = True

    @abstractmethod
    def __call__(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None
    ) -> Float[Tensor, " n"]: ...


@SLOPES.register(examples=["Gradients()", "Gradients(at='reals')", "Gradients(at='fakes')"])
@dataclass(frozen=True, repr=False)
class Gradients(Slopes):
    """space.dual.norm of the gradient of f at interpolates, reals, fakes, or near the reals (Banach WGAN, eq. 8).

    "interpolates": a real + (1 - a) fake, a ~ U(0, 1) (WGAN-GP). "near": real + a 0.5 std(reals) U(0, 1) in each entry
    (DRAGAN). Differentiable in the parameters of f; finite where the gradient is 0.
    """

    at: Literal["interpolates", "reals", "fakes", "near"] = "interpolates"

    def __post_init__(self):
        if self.at not in ("interpolates", "reals", "fakes", "near"):
            raise SpecError(f"Gradients: at = {self.at!r}; choose 'interpolates', 'reals', 'fakes' or 'near'")

    __repr__ = spelled

    def points(self, real: Tensor, fake: Tensor, rng: torch.Generator | None) -> Tensor:
        """Where the gradient is taken."""
        match self.at:
            case "interpolates":
                return interpolate(real, fake, rng)
            case "reals":
                return real
            case "fakes":
                return fake
        noise = torch.rand(real.shape, generator=rng, dtype=real.dtype, device=rng.device if rng else real.device)
        return interpolate(real, real + 0.5 * real.std() * noise.to(real.device), rng)

    def __call__(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None
    ) -> Float[Tensor, " n"]:
        if not isinstance(space, Space):
            raise SpecError(f"{space!r} is a metric without a dual norm: choose a penalty on pairs, such as 'pagan'")
        u = gradient(f, self.points(real.detach(), fake.detach(), rng), create_graph=True)
        return space.dual.norm(u)


@SLOPES.register(examples=["Quotients()"])
@dataclass(frozen=True, repr=False)
class Quotients(Slopes):
    """|f(x) - f(y)| / distance(x, y) over the real-fake pairs of the batch (Banach WGAN, eq. 12).

    For any metric. Pairs closer than 1e-6 are left out; if none is left, one slope of 0 stands for them.
    """

    needs_dual = False

    __repr__ = spelled

    def __call__(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None
    ) -> Float[Tensor, " n"]:
        real, fake = real.detach(), fake.detach()
        distance = space.distance(real, fake)
        apart = distance > TOO_CLOSE
        rise = at_least_float32(f(real) - f(fake)).reshape(len(real))  # (b, 1) over (b,) would be all pairs, silently
        quotients = rise.abs() / distance.clamp_min(TOO_CLOSE)
        return quotients[apart] if bool(apart.any()) else quotients[:1] * 0
