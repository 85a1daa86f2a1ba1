"""Distances from each sample of a batch to each of many points, to be trained through.

A table of b x k distances is cheap to keep; the b x k x n differences behind it are not. So they are taken in blocks,
and once more in the backward pass. A gradient of a gradient is rare here (a critic of distances needs no penalty), and
may cost the whole memory.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from banach.numerics import at_least_float32, p_norm, root
from banach.spaces import Lp, Metric, Product, Weighted

Pairs = Callable[[Tensor, Tensor], Tensor]

_NUMBERS = 2**17
"""How many differences are held at once: about what the second cache of a CPU core holds."""

_WITH_KERNELS = (1.0, 2.0, math.inf)
"""Exponents for which torch's own table is quicker than blocks of powers."""


def distances(space: Metric, x: Float[Tensor, "b *event"], points: Float[Tensor, "k *event"]) -> Float[Tensor, "b k"]:
    """space.distance(x_i, points_k) for all i and k, differentiable twice in x and in the points.

    Norms behind a linear map transform the b + k samples once, not the b k differences. At distance 0 the gradient is
    0. (ValueError where the space refuses the data.)

    >>> distances(Lp(2), torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])
    """
    x, points = at_least_float32(x), at_least_float32(points)
    match space:
        case Weighted(A=A, B=B):
            return distances(B, A(x), A(points))
        case Product(p=p):
            parts = zip(space.parts, space.split(x), space.split(points), strict=True)
            tables = torch.stack([distances(part, mine, theirs) for part, mine, theirs in parts], -1)
            return p_norm(tables.flatten(0, 1), p).view(len(x), len(points))
        case Lp(p=p) if p in _WITH_KERNELS:
            return _table(_Kernel(p), x.flatten(1), points.flatten(1))
        case Lp(p=p):
            return _table(_Powers(p), x.flatten(1), points.flatten(1))
    return _table(_Blocks(_paired(space)), x, points)


def _powers(p: float) -> Pairs:
    return lambda x, points: p_norm((x[:, None] - points).flatten(0, 1), p).view(len(x), len(points))


def _paired(metric: Metric) -> Pairs:
    """All pairs laid out one after the other, for a metric that knows pairs only."""

    def table(x: Tensor, points: Tensor) -> Tensor:
        left = x.repeat_interleave(len(points), 0)
        right = points.repeat(len(x), *[1] * (points.ndim - 1))
        return metric.distance(left, right).view(len(x), len(points))

    return table


class _Kernel:
    """The table for p = 1, 2 or inf, by torch's kernels."""

    def __init__(self, p: float):
        self.p = p

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        return Lp(self.p).pairwise(x, points)

    def backward(self, slope: Tensor, x: Tensor, points: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        derivative = torch.ops.aten._cdist_backward.default
        to_x = derivative(slope.contiguous(), x.contiguous(), points.contiguous(), self.p, table)
        return to_x, derivative(slope.T.contiguous(), points.contiguous(), x.contiguous(), self.p, table.T.contiguous())

    def whole(self, x: Tensor, points: Tensor) -> Tensor:
        return _powers(self.p)(x, points)


class _Powers:
    """The table for any other p, in blocks and in place: torch's kernel takes one slow power at a time."""

    def __init__(self, p: float):
        self.p = p
        self.whole = _powers(p)

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        return torch.cat([self._block(block, points) for block in x.split(_rows(points))])

    def _block(self, x: Tensor, points: Tensor) -> Tensor:
        size = (x[:, None] - points).abs_()
        largest = size.amax(-1)
        safe = torch.where((largest > 0) & largest.isfinite(), largest, 1.0)
        total = _power_(size.div_(safe[..., None]), self.p).sum(-1)
        return safe * root(total.flatten(), self.p).view_as(total)

    def backward(self, slope: Tensor, x: Tensor, points: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        """Of each distance d, sign(x - a) (|x - a| / d)^(p - 1); 0 where d = 0."""
        rows, to_x, to_points = _rows(points), torch.empty_like(x), torch.zeros_like(points)
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


class _Blocks:
    """The table of any distance, in blocks; `whole` takes it at once."""

    def __init__(self, whole: Pairs):
        self.whole = whole

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        return torch.cat([self.whole(block, points) for block in x.split(_rows(points))])

    def backward(self, slope: Tensor, x: Tensor, points: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        del table
        rows, to_x, to_points = _rows(points), [], torch.zeros_like(points)
        points = points.detach().requires_grad_()
        for block, g in zip(x.split(rows), slope.split(rows), strict=True):
            with torch.enable_grad():
                block = block.detach().requires_grad_()
                mine, theirs = torch.autograd.grad(self.whole(block, points), (block, points), g)
            to_x.append(mine)
            to_points += theirs
        return torch.cat(to_x), to_points


def _rows(points: Tensor) -> int:
    return max(1, _NUMBERS // max(1, points.numel()))


class _Table(torch.autograd.Function):
    """A table whose differences are not kept; they are taken again backwards, and whole for a second derivative."""

    @staticmethod
    def forward(ctx: FunctionCtx, how: "_Kernel | _Powers | _Blocks", x: Tensor, points: Tensor) -> Tensor:
        table = how.forward(x, points)
        ctx.save_for_backward(x, points, table)
        ctx.how = how  # pyright: ignore[reportAttributeAccessIssue] - where torch wants what is no tensor
        return table

    @staticmethod
    def backward(ctx, slope: Tensor):
        x, points, table = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return None, *ctx.how.backward(slope, x, points, table)
        wanted = [one for one, needed in zip((x, points), ctx.needs_input_grad[1:], strict=True) if needed]
        found = iter(torch.autograd.grad(ctx.how.whole(x, points), wanted, slope, create_graph=True))
        return None, *(next(found) if needed else None for needed in ctx.needs_input_grad[1:])


def _table(how: "_Kernel | _Powers | _Blocks", x: Tensor, points: Tensor) -> Tensor:
    if torch.is_grad_enabled() and (x.requires_grad or points.requires_grad):
        return _Table.apply(how, x, points)  # pyright: ignore[reportReturnType]
    return how.forward(x, points)
