"""Solving (sum_j rho_j K_j* K_j) x = r for the maps K_j of a form, with weights rho of each sample's own.

Where one orthogonal transform makes all K_j* K_j diagonal (none for masks, Fourier for periodic filters, cosine for
reflecting ones and differences of neighbours) this is a division; else an inverse for small data, and conjugate
gradients for large.
"""

import functools
import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import (
    Differences,
    Event,
    Form,
    ForwardDifferences,
    Image,
    Leaf,
    Windows,
    bind,
    leaves,
)
from banach.operators import Bessel, Compose, Operator, Scale
from banach.operators.bessel import multiplier
from banach.operators.linear import scale_weights

Basis = Literal["entries", "fourier", "cosine"]
Solve = Callable[[Tensor], Tensor]

SMALL = 256
"""Data of up to this many entries get a dense inverse."""

CG_STEPS, CG_ERROR = 50, 1e-4


class Gram:
    """The maps K_j* K_j of a form's leaves on data of one shape and type."""

    def __init__(self, form: Form, event: Event, like: Tensor):
        self.form, self.event, self.leaves = form, event, bind(form, event)
        self.dtype, self.device = like.dtype, like.device
        self.basis: Basis | None = _basis(form, event)

    def solver(self, rho: Float[Tensor, "b leaves"]) -> Solve:
        """The map r -> x, for (b, *event)."""
        if self.basis is not None:
            return self._by_division(rho, self.basis)
        return self._by_inverse(rho) if math.prod(self.event) <= SMALL else self._by_conjugate_gradients(rho)

    def _by_division(self, rho: Tensor, basis: Basis) -> Solve:
        total = torch.zeros((), dtype=self.dtype, device=self.device)
        for j, symbol in enumerate(_symbols(self.form, self.event, basis)):
            total = total + rho[:, j].view(-1, *[1] * len(self.event)) * symbol.to(rho)
        if basis == "entries":
            return lambda r: r / total
        axes = tuple(range(2, len(self.event) + 1))
        if basis == "fourier":
            return lambda r: torch.fft.irfftn(torch.fft.rfftn(r, dim=axes) / total, s=self.event[1:], dim=axes)
        matrices = [_cosines(n).to(rho) for n in self.event[1:]]
        return lambda r: _along(_along(r, matrices) / total, [one.T for one in matrices])

    def _by_inverse(self, rho: Tensor) -> Solve:
        grams = _dense(self.form, self.event).to(rho)
        inverse = torch.linalg.inv(torch.einsum("bj,jmn->bmn", rho, grams))
        return lambda r: (inverse @ r.flatten(1)[:, :, None]).view_as(r)

    def _by_conjugate_gradients(self, rho: Tensor) -> Solve:
        def gram(x: Tensor) -> Tensor:
            parts = [rho[:, j, None] * one.image(x) for j, one in enumerate(self.leaves)]
            return torch.stack([one.back(z) for one, z in zip(self.leaves, parts, strict=True)]).sum(0)

        last: list[Tensor] = []  # the solution for the last r is near the next

        def solve(r: Tensor) -> Tensor:
            x = _conjugate_gradients(gram, r, last[0] if last else torch.zeros_like(r))
            last[:] = [x]
            return x

        return solve


def _conjugate_gradients(gram: Solve, r: Tensor, x: Tensor) -> Tensor:
    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).flatten(1).sum(1).view(-1, *[1] * (a.ndim - 1))

    rest = r - gram(x)
    direction, size = rest, dot(rest, rest)
    enough = CG_ERROR**2 * dot(r, r)
    for _ in range(CG_STEPS):
        if bool((size <= enough).all()):
            break
        image = gram(direction)
        curvature = dot(direction, image)
        step = torch.where(curvature > 0, size / torch.where(curvature > 0, curvature, 1.0), 0.0)
        x, rest = x + step * direction, rest - step * image
        new = dot(rest, rest)
        direction = rest + torch.where(size > 0, new / torch.where(size > 0, size, 1.0), 0.0) * direction
        size = new
    return x


@functools.lru_cache(maxsize=128)
def _basis(form: Form, event: Event) -> Basis | None:
    order: list[Basis] = ["entries", "fourier", "cosine"] if 2 <= len(event) <= 4 else ["entries"]
    return next((basis for basis in order if _symbols(form, event, basis)), None)


@functools.lru_cache(maxsize=128)
def _symbols(form: Form, event: Event, basis: Basis) -> tuple[Tensor, ...]:
    """The eigenvalues of K* K in a basis, for each leaf, in float64; empty where one of them is not diagonal there."""
    with torch.inference_mode(False), torch.device("cpu"):
        found = [_symbol_of(leaf.maps, event, basis) for leaf in leaves(form)]
    return tuple(one for one in found if one is not None) if all(one is not None for one in found) else ()


def _symbol_of(maps: tuple[Operator | Image, ...], event: Event, basis: Basis) -> Tensor | None:
    total = torch.ones((), dtype=torch.float64)
    for one in maps:
        factor = _factor(one, event, basis)
        if factor is None:
            return None
        total = total * factor
    return total


def _factor(one: Operator | Image, event: Event, basis: Basis) -> Tensor | None:
    match one:
        case Compose(maps=maps):
            return _symbol_of(maps, event, basis)
        case Scale():
            return _of_scale(one, event, basis)
        case Bessel(homogeneous=False, boundary="periodic") if basis == "fourier":
            return multiplier(one, event[1:], torch.float64, torch.device("cpu")).square()
        case Bessel(homogeneous=False, boundary="even") if basis == "cosine":
            # The mirrored signal of length 2 n has the frequencies of n cosines, each twice.
            mirrored = multiplier(one, event[1:], torch.float64, torch.device("cpu"))
            return mirrored[tuple(slice(n) for n in event[1:])].square()
        case Differences(weight=weight) | ForwardDifferences(weight=weight, boundary="even") if basis == "cosine":
            return weight**2 * _steps([2 - 2 * torch.cos(math.pi * _count(n) / n) for n in event[1:]])
        case ForwardDifferences(weight=weight, boundary="periodic") if basis == "fourier":
            each = [2 - 2 * torch.cos(2 * math.pi * _count(n) / n) for n in event[1:]]
            return weight**2 * _steps([*each[:-1], each[-1][: event[-1] // 2 + 1]])
        case Windows():
            return _of_windows(one.cover(event), basis)
    return None


def _of_scale(scale: Scale, event: Event, basis: Basis) -> Tensor | None:
    w = scale_weights(scale, torch.float64, torch.device("cpu")).square()
    if w.ndim == 1 and len(event) > 1:
        return w.view(-1, *[1] * (len(event) - 1))  # weights of channels are the same in every basis
    return w if w.ndim == 0 or basis == "entries" else None


def _of_windows(cover: Tensor, basis: Basis) -> Tensor | None:
    uniform = bool((cover == cover.flatten()[0]).all())
    return cover.flatten()[0] if uniform else cover if basis == "entries" else None


def _count(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64)


def _steps(axes: list[Tensor]) -> Tensor:
    """The sum of one number for each place along each axis, on the grid of all axes."""
    total = torch.zeros((), dtype=torch.float64)
    for one in axes:
        total = total[..., None] + one
    return total


@functools.lru_cache(maxsize=64)
def diagonal(leaf: Leaf, event: Event) -> Tensor | None:
    """K* K of a leaf where it is diagonal in the entries and has an inverse; else None."""
    found = _symbols(leaf, event, "entries")
    return found[0] if found and bool((found[0] > 0).all()) else None


@functools.lru_cache(maxsize=64)
def _cosines(n: int) -> Tensor:
    """The orthogonal cosine transform of length n (type II) as a matrix."""
    with torch.inference_mode(False), torch.device("cpu"):
        k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
        matrix = math.sqrt(2 / n) * torch.cos(math.pi * (i + 0.5) * k / n)
        matrix[0] /= math.sqrt(2)
        return matrix


def _along(x: Tensor, matrices: list[Tensor]) -> Tensor:
    """A matrix applied along each spatial axis."""
    for axis, matrix in enumerate(matrices, start=2):
        x = torch.movedim(torch.movedim(x, axis, -1) @ matrix.T, -1, axis)
    return x


@functools.lru_cache(maxsize=32)
def _dense(form: Form, event: Event) -> Tensor:
    """(leaves, n, n): K* K of each leaf in float64."""
    n = math.prod(event)
    with torch.inference_mode(False), torch.device("cpu"):
        units = torch.eye(n, dtype=torch.float64).view(n, *event)
        images = [one.image(units) for one in bind(form, event)]
        return torch.stack([y @ y.T for y in images])
