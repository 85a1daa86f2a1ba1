"""A training loop of one's own, as an audit is given it: networks, a batch, and the functions that are minimised."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from banach.errors import BanachError
from banach.spaces import Space

Critic = Callable[[Tensor], Tensor]
Term = Callable[[Any, Tensor, Tensor], Tensor]
Latent = int | tuple[int, ...] | Tensor | Callable[[int], Tensor] | None

FEWEST, MOST = 4, 32
"""Samples of a batch that an audit needs, and that it looks at."""


class AuditError(BanachError):
    """What was given for an audit cannot be called as said; the message names it and the remedy."""


def first_line(error: BaseException) -> str:
    """An error's class and the first line of its message, short."""
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {said[:160]}" if said else type(error).__name__


def called(name: str, function: Callable[..., Any], *given: Any) -> Any:
    """What a function of the user's returns; AuditError where it raises."""
    try:
        return function(*given)
    except Exception as error:  # a user's function raises whatever it likes
        shapes = ", ".join(f"a tensor {tuple(one.shape)}" for one in given if isinstance(one, Tensor))
        raise AuditError(f"{name} raised {first_line(error)}; it was given {shapes or 'what was asked for'}") from error


def number(name: str, value: object) -> Tensor:
    """A scalar tensor; AuditError where the function returned something else."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        return value.reshape(())
    shown = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise AuditError(f"{name} returned {shown}; it must return the number that backward() is called on, as a tensor")


@dataclass(frozen=True)
class Loop:
    """What is audited. `terms` are what the critic minimises, added; `real` are at most `MOST` samples, detached."""

    critic: Critic
    generator: Callable[..., Tensor]
    real: Tensor
    terms: tuple[tuple[str, Term], ...]
    generator_loss: Term | None
    latent: Latent
    logged: Any
    space: Space | None

    @property
    def event(self) -> torch.Size:
        """The shape of one sample."""
        return self.real.shape[1:]

    def loss(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """What the critic minimises."""
        found = [number(name, called(name, term, critic, real, fake)) for name, term in self.terms]
        return torch.stack([one.double() for one in found]).sum()

    def generators_loss(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """What the generator minimises."""
        assert self.generator_loss is not None
        return number("generator_loss", called("generator_loss", self.generator_loss, critic, real, fake))

    def latents(self) -> Tensor | int:
        """A batch of what the generator takes: as many as there are reals, or their number."""
        n, latent = len(self.real), self.latent
        if latent is None:
            return n
        if isinstance(latent, Tensor):
            if len(latent) < n:
                raise AuditError(f"latent holds {len(latent)} samples for {n} reals; give at least as many")
            return latent[:n].detach().clone()
        if callable(latent):
            return called("latent", latent, n)
        shape = (latent,) if isinstance(latent, int) else tuple(latent)
        dtype = self.real.dtype if self.real.is_floating_point() else torch.get_default_dtype()
        return torch.randn(n, *shape, device=self.real.device, dtype=dtype)

    def fakes(self) -> Tensor:
        """A batch of the generator's samples, with their graph; AuditError where they are not of the reals' shape."""
        try:
            fake = called("generator", self.generator, self.latents())
        except AuditError as error:
            hint = "say what it takes: latent=64, latent=(64, 1, 1), a batch, or a function of the number of samples"
            raise AuditError(f"{error}; {hint}") from error
        if not isinstance(fake, Tensor) or fake.shape != self.real.shape:
            shown = f"a tensor {tuple(fake.shape)}" if isinstance(fake, Tensor) else type(fake).__name__
            raise AuditError(f"generator returned {shown}, the reals are {tuple(self.real.shape)}: give both alike")
        return fake

    def trailing(self) -> torch.Size:
        """What follows the batch axis in what the critic returns; AuditError where that is no batch of scores."""
        with torch.no_grad():
            found = called("critic", self.critic, self.real.clone())
        if not isinstance(found, Tensor):
            raise AuditError(
                f"critic returned {type(found).__name__}, not one tensor of scores; give critic=lambda x: D(x)[0], and "
                "terms that call the critic they are given"
            )
        if not found.ndim or len(found) != len(self.real):
            raise AuditError(
                f"critic returned shape {tuple(found.shape)} for {len(self.real)} samples; it must return "
                "one score a sample, shape (b,) or (b, 1)"
            )
        return found.shape[1:]

    @property
    def scores(self) -> int:
        """How many scores the critic gives a sample."""
        return math.prod(self.trailing())

    def parameters(self, player: object) -> list[Tensor]:
        """The weights of a network that are trained; none of what is no module."""
        return [one for one in player.parameters() if one.requires_grad] if isinstance(player, nn.Module) else []


def batch_of(real: object) -> Tensor:
    """The reals that are looked at: an even number, detached; AuditError where they are no batch of samples."""
    if not isinstance(real, Tensor):
        raise AuditError(f"real is {type(real).__name__}; give one batch as a tensor, as your loop has it")
    if real.ndim < 2 or len(real) < FEWEST:
        raise AuditError(f"real has shape {tuple(real.shape)}; give a batch (b, …) of at least {FEWEST} samples")
    if not real.is_floating_point() or not bool(real.isfinite().all()):
        raise AuditError(
            f"real is {real.dtype}{'' if real.is_floating_point() else ', no floating-point numbers'}; "
            "give finite floats, scaled as your loop scales them"
        )
    return real.detach()[: min(MOST, len(real) // 2 * 2)].clone()
