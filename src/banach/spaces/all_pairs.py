"""Tables of distances from b samples to k points, differentiable in both.

A table of b x k distances is cheap to keep; the b x k x n differences behind it are not. So they are taken in blocks,
and once more in the backward pass. A gradient of a gradient is rare here (a critic of distances needs no penalty), and
may cost the whole memory.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from banach.numerics import p_norm, root

WholeTable = Callable[[Tensor, Tensor], Tensor]

NUMBERS = 2**17
"""Number of differences held at once: about the size of a CPU core's second-level cache."""


class How(Protocol):
    """A way to compute the table (b, k) of samples (b, …) and points (k, …), and its gradient."""

    whole: WholeTable
    """The whole table at once, by operations that autograd differentiates."""

    def forward(self, x: Tensor, points: Tensor) -> Tensor: ...

    def backward(self, slope: Tensor, x: Tensor, points: Tensor, table: Tensor) -> tuple[Tensor, Tensor]: ...


def powers_whole(p: float) -> WholeTable:
    """The p-norm of every difference, with all differences in memory."""
    return lambda x, points: p_norm((x[:, None] - points).flatten(0, 1), p).view(len(x), len(points))


class Powers:
    """p-norms, 1 < p < inf, of the differences of rows (b, n) and (k, n), in blocks and in place.

    Each difference is divided by its own largest entry, so that no power leaves the range of the type, whatever p is;
    torch's kernel divides by nothing, and takes one slow power at a time.
    """

    def __init__(self, p: float):
        self.p = p
        self.whole = powers_whole(p)

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        parts = points.split(rows_at_once(points[:1]))  # that one sample's differences stay in the cache, too
        found = [[self._block(block, part) for part in parts] for block in x.split(rows_at_once(parts[0]))]
        return torch.cat([torch.cat(row, 1) for row in found])

    def _block(self, x: Tensor, points: Tensor) -> Tensor:
        size = (x[:, None] - points).abs_()
        largest = size.amax(-1)
        safe = torch.where((largest > 0) & largest.isfinite(), largest, 1.0)
        total = _power_(size.div_(safe[..., None]), self.p).sum(-1)
        return safe * root(total.flatten(), self.p).view_as(total)

    def backward(self, slope: Tensor, x: Tensor, points: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Of each distance d, sign(x - a) (|x - a| / d)^(p - 1); 0 where d = 0."""
        rows, to_x, to_points = rows_at_once(points), torch.empty_like(x), torch.zeros_like(points)
        safe = torch.where(table > 0, table, 1.0)
        for i in range(0, len(x), rows):
            block = slice(i, i + rows)
            difference = x[block, None] - points
            sizes = difference.abs().div_(safe[block, :, None])
            slopes = _power_(sizes, self.p - 1).mul_(difference.sign_()).mul_(slope[block, :, None])
            to_x[block] = slopes.sum(1)
            to_points -= slopes.sum(0)
        return to_x, to_points


def _power_(x: Tensor, p: float) -> Tensor:
    """x^p for x >= 0, in its place where that is quicker: products where p allows them."""
    match p:
        case 0.5:
            return x.sqrt_()
        case 1.5:
            return x.sqrt().mul_(x)
        case 2 | 4 | 8:
            for _ in range(int(p).bit_length() - 1):
                x.square_()
            return x
        case 3:
            return x.square().mul_(x)
    return x.pow_(p)


def rows_at_once(points: Tensor) -> int:
    """The number of samples that are compared with all points at once."""
    return max(1, NUMBERS // max(1, points.numel()))


class _Table(torch.autograd.Function):
    """A table whose differences are not kept; they are taken again backwards, and whole for a second derivative."""

    @staticmethod
    def forward(ctx: FunctionCtx, how: How, x: Tensor, points: Tensor) -> Tensor:
        found = how.forward(x, points)
        ctx.save_for_backward(x, points, found)
        ctx.how = how  # pyright: ignore[reportAttributeAccessIssue] - where torch wants what is no tensor
        return found

    @staticmethod
    def backward(ctx, slope: Tensor):
        x, points, found = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return None, *ctx.how.backward(slope, x, points, found)
        wanted = [one for one, needed in zip((x, points), ctx.needs_input_grad[1:], strict=True) if needed]
        slopes = iter(torch.autograd.grad(ctx.how.whole(x, points), wanted, slope, create_graph=True))
        return None, *(next(slopes) if needed else None for needed in ctx.needs_input_grad[1:])


def table(how: How, x: Tensor, points: Tensor) -> Tensor:
    """The table (b, k), differentiable twice in the samples and in the points."""
    if torch.is_grad_enabled() and (x.requires_grad or points.requires_grad):
        return _Table.apply(how, x, points)  # pyright: ignore[reportReturnType]
    return how.forward(x, points)
