"""Experiments on a loss: the critic's place is taken by a function whose values and slope are chosen.

A probe is D(x) = values(x) + slope <direction, x - x°>, x° being x without its graph: its values and its gradient are
set apart from each other, the same at every point. What the loss does with either is then seen from numbers alone.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from banach.auditing.kept import seed
from banach.auditing.loop import Critic, Loop
from banach.errors import BanachError

Given = float | Tensor
SEED = 20


class Unseen(BanachError):
    """An experiment that cannot be made; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A critic whose values at reals and fakes, and whose gradient, are given; it keeps the points it was called at.

    `slope` times `direction` is its gradient, of unit l^2 norm for slope 1; `odd` is the slope of every second row, and
    `only` the one call that has any slope.
    """

    real: Tensor
    fake: Tensor
    direction: Tensor
    trailing: torch.Size
    functional: Tensor
    slope: Given = 0.0
    at_real: Given = 0.0
    at_fake: Given = 0.0
    everywhere: Given = 0.0
    odd: Given | None = None
    only: int | None = None
    calls: list[Tensor | None] = field(default_factory=list)

    def __call__(self, x: Tensor, *rest: Any, **named: Any) -> Tensor:
        del rest, named  # conditions
        at = len(self.calls)
        self.calls.append(_seen(x))
        if x.ndim != self.real.ndim or x.shape[1:] != self.direction.shape:
            raise Unseen(f"the critic is called with shape {tuple(x.shape)}, not with batches of samples")
        rise = ((x - x.detach()) * self.direction.to(x)).flatten(1).sum(1)
        slope = self.slope if self.only in (None, at) else 0.0 * self.slope
        if self.odd is not None:
            rows = torch.arange(len(x), device=x.device) % 2
            slope = (1 - rows) * slope + rows * self.odd
        values = self.everywhere + self.at_real * _among(x, self.real, self.functional)
        values = values + self.at_fake * _among(x, self.fake, self.functional)
        ones = [1] * len(self.trailing)
        scores = (values + slope * rise).view(-1, *ones).expand(len(x), *self.trailing)
        return scores / math.prod(self.trailing)


def _seen(x: Tensor) -> Tensor | None:
    """A point as numbers; None inside a transform of torch.func, where there are none."""
    try:
        return torch.from_numpy(x.detach().cpu().numpy()).clone()
    except RuntimeError:
        return None


@functools.cache
def _functional(event: torch.Size) -> Tensor:
    """A random functional by which rows are compared; made outside torch.func's transforms, which forbid draws."""
    return torch.randn(event, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)


def _among(x: Tensor, y: Tensor, functional: Tensor) -> Tensor:
    """Which rows of x are rows of y, as numbers 0 and 1."""
    mine, theirs = ((one.detach().cpu().double() * functional).flatten(1).sum(1) for one in (x, y))
    apart = (mine[:, None] - theirs[None]).abs()
    return (apart <= 1e-12 * (1 + theirs.abs())).any(1).to(x)


@contextmanager
def standing_in(critic: Critic, probe: Critic) -> Iterator[Critic]:
    """What to hand to a loss so that the probe is called; a module keeps its identity, so closures meet it too."""
    if not isinstance(critic, nn.Module):
        yield probe
        return
    own, had = vars(critic), "forward" in vars(critic)
    before = own.get("forward")
    own["forward"] = probe
    try:
        yield critic
    finally:
        if had:
            own["forward"] = before
        else:
            del own["forward"]


@dataclass(frozen=True)
class Bench:
    """The loss on one batch with fixed draws, as a function of what stands in the critic's place."""

    loop: Loop
    real: Tensor
    fake: Tensor
    trailing: torch.Size
    draw: int = SEED
    base: float = 0.0
    """The critic's value where nothing else is said: 1/2 for losses that take probabilities."""

    def probe(self, direction: Tensor | None = None, **given: Any) -> Probe:
        """A probe for this batch; its direction is random if none is given."""
        chosen = directions(self.real)[0] if direction is None else direction
        everywhere = given.pop("everywhere", 0.0) + self.base
        return Probe(
            self.real, self.fake, chosen, self.trailing, _functional(chosen.shape), everywhere=everywhere, **given
        )

    def minimised(self, term: Callable[[Critic, Tensor, Tensor], Tensor], probe: Critic) -> Tensor:
        """A loss of the loop with the probe in the critic's place."""
        seed(self.draw)
        with standing_in(self.loop.critic, probe) as critic:
            return term(critic, self.real.clone(), self.fake.clone())

    def loss(self, probe: Critic) -> Tensor:
        """What the critic minimises, with the probe in its place; Unseen where it is not called."""
        found = self.minimised(self.loop.loss, probe)
        if isinstance(probe, Probe) and not probe.calls:
            raise Unseen("the loss does not call the critic that it is given")
        return found

    def value(self, **given: Any) -> float:
        """The loss of a probe."""
        return float(self.loss(self.probe(**given)).detach())

    def half(self) -> "Bench":
        """The same on half of the batch."""
        n = len(self.real) // 2
        return replace(self, real=self.real[:n], fake=self.fake[:n])

    def refined(self) -> "Bench":
        """The same on the batch with every entry repeated: along all spatial axes, or along the only axis."""
        axes = range(1, 2) if self.real.ndim == 2 else range(2, self.real.ndim)
        real, fake = self.real, self.fake
        for axis in axes:
            real, fake = (one.repeat_interleave(2, axis) for one in (real, fake))
        return replace(self, real=real, fake=fake)


def directions(real: Tensor) -> list[Tensor]:
    """Covectors of unit l^2 norm that the usual norms tell apart: dense, sparse, flat, uneven, and a patch."""
    rng = torch.Generator().manual_seed(SEED)
    event = real.shape[1:]
    dense = torch.randn(event, generator=rng, dtype=torch.float64)
    sparse = torch.zeros(event, dtype=torch.float64)
    sparse.view(-1)[sparse.numel() // 3] = 1.0
    uneven = dense * torch.linspace(0.1, 3.0, dense.numel(), dtype=torch.float64).view(event).exp()
    patch = torch.zeros(event, dtype=torch.float64)
    patch[tuple(slice(0, (size + 1) // 2) for size in event)] = 1.0
    found = [dense, sparse, torch.ones(event, dtype=torch.float64), uneven, patch]
    return [(one / one.norm()).to(real.device, real.dtype) for one in found]


def slope_of(term: Callable[[float], float], at: float, step: float) -> float:
    """The derivative of a function of a number, by its rise over two steps."""
    return (term(at + step) - term(at - step)) / (2 * step)


def derivative(bench: Bench, name: str, at: float, **given: Any) -> float:
    """What autograd says the derivative of the loss is, by one of the probe's numbers; 0 where no graph leads to it."""
    leaf = torch.tensor(at, dtype=bench.real.dtype, device=bench.real.device, requires_grad=True)
    loss = bench.loss(bench.probe(**{**given, name: leaf}))
    if not loss.requires_grad:
        return 0.0
    (found,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    return 0.0 if found is None else float(found)
