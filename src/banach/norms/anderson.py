"""Anderson acceleration of a fixed-point iteration, for each sample of a batch separately, with a safeguard."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from banach.numerics import p_norm

GROWTH = 2.0
"""An accelerated step longer than this multiple of the last plain one is undone."""


class Anderson:
    """Extrapolates h -> h + step(h), where plain steps never grow, from the last `depth` differences.

    The next state is plain - sum_i c_i (differences of plain states)_i with the c for which the same combination of
    the steps is shortest (Anderson 1965, as written by Walker and Ni 2011). A step that is longer than a plain one
    could be means that the extrapolation before it led away: back to the plain state before it, and all is forgotten.
    With depth 0 it is the plain iteration.
    """

    def __init__(self, depth: int):
        self.depth, self.turn = depth, 0
        self.last: tuple[Tensor, Tensor] | None = None

    def restart(self) -> None:
        """Clear the history, after a change of the iteration."""
        self.last, self.turn = None, 0

    def keep(self, left: Tensor) -> None:
        """Keep these samples only."""
        if self.last is not None and self.depth:
            self.last = self.last[0][left], self.last[1][left]
            self.steps, self.plains, self.gram = self.steps[left], self.plains[left], self.gram[left]
            self.used, self.back, self.allowed = self.used[left], self.back[left], self.allowed[left]

    def _begin(self, step: Tensor, plain: Tensor, length: Tensor) -> Tensor:
        b, m = step.shape
        self.steps, self.plains = step.new_zeros(2, b, self.depth, m)
        self.gram = step.new_zeros(b, self.depth, self.depth)
        self.used = torch.zeros(b, self.depth, dtype=torch.bool, device=step.device)
        self.back, self.allowed, self.last = plain, GROWTH * length, (step, plain)
        return plain

    def next(self, h: Float[Tensor, "b m"], step: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
        """The state after h, from which the plain iteration would go to h + step."""
        plain = h + step
        if self.depth == 0:
            return plain
        length = p_norm(step, 2)
        if self.last is None:
            return self._begin(step, plain, length)
        led_away = length > self.allowed
        column = led_away[:, None]
        place = self.turn % self.depth
        self.turn += 1
        torch.sub(step, self.last[0], out=self.steps[:, place])
        torch.sub(plain, self.last[1], out=self.plains[:, place])
        self.used[:, place] = True
        self.used &= ~column
        guess = self._shortest(place, step, plain)
        after = torch.where(column, self.back, guess) if bool(led_away.any()) else guess
        self.back = torch.where(column, self.back, plain) if bool(led_away.any()) else plain
        self.allowed, self.last = torch.where(led_away, math.inf, GROWTH * length), (step, plain)
        return after

    def _shortest(self, place: int, step: Tensor, plain: Tensor) -> Tensor:
        """`plain` less the combination of differences that makes the step shortest; `plain` where that overflows."""
        self.gram[:, place] = self.gram[:, :, place] = (self.steps @ self.steps[:, place, :, None])[:, :, 0]
        gram = torch.where(self.used[:, :, None] & self.used[:, None], self.gram, 0.0)
        along = torch.where(self.used, (self.steps @ step[:, :, None])[:, :, 0], 0.0)
        size = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None]
        small = (1e-10 if gram.dtype == torch.float64 else 1e-5) * size + torch.finfo(gram.dtype).tiny
        factors = torch.linalg.solve_ex(gram + torch.diag_embed(small.expand(-1, self.depth)), along).result
        guess = plain - (factors[:, None] @ self.plains)[:, 0]
        finite = guess.sum(1, keepdim=True).isfinite()
        return guess if bool(finite.all()) else torch.where(finite, guess, plain)
