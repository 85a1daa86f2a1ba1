"""The base class of measures of steepness, and what all of them use: draws for all ranks, gradients, quotients."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from banach import distributed
from banach.convolution import of_inputs_only
from banach.numerics import at_least_float32
from banach.slopes.precision import Critic, evaluation_of
from banach.spaces import Metric, Space
from banach.specs import Registry, SpecError

SLOPES = Registry("slopes", bare="build")

Noise = tuple[Any, ...]
"""The draws of a measure: tensors, each with one row for each sample of the batch, and tuples of such."""

Memory = dict[str, Tensor]
"""State carried from one critic step to the next: multipliers, buffers, starts. Part of a run's state."""

TOO_CLOSE = 1e-6


def unprefixed(memory: Memory, name: str) -> Memory:
    """The entries of a memory that belong to `name`, under their own keys."""
    return {key.removeprefix(f"{name}."): one for key, one in memory.items() if key.startswith(f"{name}.")}


def prefixed(memory: Memory, name: str) -> Memory:
    """A part's memory with its keys in the whole memory: the inverse of `unprefixed`."""
    return {f"{name}.{key}": one for key, one in memory.items()}


def uniform(real: Tensor, rng: torch.Generator | None, *event: int) -> Float[Tensor, "b *draws"]:
    """U(0, 1) numbers of shape (b, *event): drawn for the joined batch of all ranks, of which each takes its rows.

    So the numbers of a sample do not depend on how many processes share the batch (given one `rng` for all).
    """
    device = rng.device if rng is not None else real.device
    drawn = torch.rand(len(real) * distributed.world(), *event, generator=rng, dtype=real.dtype, device=device)
    return distributed.share(drawn).to(real.device)


def column(values: Float[Tensor, " b"], like: Float[Tensor, "b *event"]) -> Float[Tensor, "b *ones"]:
    """One number a sample, shaped to multiply `like`: (b, 1) against (b,) would be all pairs, silently."""
    return values.view(-1, *[1] * (like.ndim - 1))


def between(
    real: Float[Tensor, "b *event"], fake: Float[Tensor, "b *event"], a: Float[Tensor, " b"]
) -> Float[Tensor, "b *event"]:
    """a real + (1 - a) fake, one a for each sample."""
    return torch.lerp(fake, real, column(a, real).to(real.dtype))


def interpolate(
    real: Float[Tensor, "b *event"], fake: Float[Tensor, "b *event"], rng: torch.Generator | None
) -> Float[Tensor, "b *event"]:
    """a real + (1 - a) fake with one a ~ U(0, 1) for each sample (not for each pixel)."""
    return between(real, fake, uniform(real, rng))


def gradient(f: Critic, x: Float[Tensor, "b *event"], create_graph: bool = False) -> Float[Tensor, "b *event"]:
    """The Fréchet derivative of f at each x_i, as a covector in the plain pairing; shape of x.

    Where f is an `Evaluation` in float16, with a scaler, the derivative is taken of scale f, so that nothing of it
    falls below the smallest half-precision number on its way, and divided by the scale in the precision of x.
    """
    scale = evaluation_of(f).loss_scale(x)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        total = f(x).sum()
        with of_inputs_only():
            if scale is None:
                (u,) = torch.autograd.grad(total, x, create_graph=create_graph)
                return u
            (u,) = torch.autograd.grad(total * scale, x, create_graph=create_graph)
        return u / scale


def steepness(f: Critic, x: Float[Tensor, "b *event"], space: Metric) -> Float[Tensor, " b"]:
    """space.dual.norm of the derivative of f at each x_i, differentiable in the parameters of f."""
    return normed(space).dual.norm(gradient(f, x, create_graph=True))


def normed(space: Metric) -> Space:
    """The space itself; SpecError where it has no dual norm."""
    if not isinstance(space, Space):
        raise SpecError(f"{space!r} is a metric without a dual norm: choose a penalty on pairs, such as 'pagan'")
    return space


@dataclass(frozen=True)
class Measured:
    """Slopes (n,), and which of them count: those of pairs too close to measure do not."""

    slopes: Float[Tensor, " n"]
    counts: Float[Tensor, " n"]


def quotients(rise: Tensor, distance: Float[Tensor, " b"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """rise / distance, and which count: where the distance is at least 1e-6. The rest are 0 and carry no gradient."""
    apart = distance > TOO_CLOSE
    rise = at_least_float32(rise).reshape(len(distance))  # (b, 1) over (b,) would be all pairs, silently
    return torch.where(apart, rise / distance.clamp_min(TOO_CLOSE), torch.zeros_like(rise)), apart.to(rise.dtype)


class Slopes(ABC):
    """A way to measure how steep f is, one number for each sample or pair; in a 1-Lipschitz critic at most 1.

    `draw` makes what is random, one row a sample, and `measure` is a pure function of it, so that a permutation of the
    triples (real, fake, draw) permutes the slopes. `needs_dual`: whether the space must have a dual norm. `steep`:
    whether the numbers are slopes of f, and not something else that is to be bounded.
    """

    needs_dual: bool = True
    steep: bool = True

    def draw(self, real: Float[Tensor, "b *event"], rng: torch.Generator | None) -> Noise:
        """The random draws of the measure; none by default."""
        del real, rng
        return ()

    @abstractmethod
    def measure(
        self,
        f: Critic,
        real: Float[Tensor, "b *event"],
        fake: Float[Tensor, "b *event"],
        space: Metric,
        noise: Noise,
    ) -> Float[Tensor, " n"] | Measured:
        """The slopes, differentiable in the parameters of f; finite, with a finite derivative, where they are 0."""

    def remember(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory
    ) -> tuple[Float[Tensor, " n"] | Measured, Memory]:
        """`measure`, and the memory for the next step, empty for most."""
        del memory
        return self.measure(f, real, fake, space, noise), {}

    def __call__(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None
    ) -> Float[Tensor, " n"]:
        """The slopes that count, with fresh draws; reals and fakes are data, no gradient reaches them."""
        found = self.measure(f, real.detach(), fake.detach(), space, self.draw(real, rng))
        if isinstance(found, Tensor):
            return found
        return found.slopes[found.counts > 0] if bool((found.counts > 0).any()) else found.slopes[:1] * 0
