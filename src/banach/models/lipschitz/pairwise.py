"""Distances from each sample of a batch to each of many points, differentiable in both (`banach.spaces.all_pairs`)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms import Form, Node
from banach.numerics import at_least_float32, p_norm
from banach.spaces import Lp, Metric
from banach.spaces.all_pairs import WholeTable, powers_whole, rows_at_once, table

_WITH_KERNELS = (1.0, 2.0, math.inf)
"""Exponents for which torch's own table is quicker than blocks of powers."""


def distances(space: Metric, x: Float[Tensor, "b *event"], points: Float[Tensor, "k *event"]) -> Float[Tensor, "b k"]:
    """space.distance(x_i, points_k) for all i and k, differentiable twice in x and in the points.

    Norms behind a linear map transform the b + k samples once, not the b k differences. At distance 0 the gradient is
    0. (BanachError where the space refuses the data.)

    >>> distances(Lp(2), torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])
    """
    x, points = at_least_float32(x), at_least_float32(points)
    form = space.form()
    return table(_Blocks(_paired(space)), x, points) if form is None else _of_form(form, x, points)


def _of_form(form: Form, x: Tensor, points: Tensor) -> Tensor:
    if isinstance(form, Node):
        tables = torch.stack([_of_form(part, x, points) for part in form.parts], -1)
        return p_norm(tables.flatten(0, 1), form.p).view(len(x), len(points))
    for one in form.maps:
        x, points = one(x), one(points)
    if form.p in _WITH_KERNELS:
        return table(_Kernel(form.p), x.flatten(1), points.flatten(1))
    return Lp(form.p).pairwise(x, points)


def _paired(metric: Metric) -> WholeTable:
    """All pairs laid out one after the other, for a metric that knows pairs only."""

    def laid_out(x: Tensor, points: Tensor) -> Tensor:
        left = x.repeat_interleave(len(points), 0)
        right = points.repeat(len(x), *[1] * (points.ndim - 1))
        return metric.distance(left, right).view(len(x), len(points))

    return laid_out


class _Kernel:
    """The table for p = 1, 2 or inf, by torch's kernels."""

    def __init__(self, p: float):
        self.p = p
        self.whole = powers_whole(p)

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        return Lp(self.p).pairwise(x, points)

    def backward(self, slope: Tensor, x: Tensor, points: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        derivative = torch.ops.aten._cdist_backward.default
        to_x = derivative(slope.contiguous(), x.contiguous(), points.contiguous(), self.p, table)
        return to_x, derivative(slope.T.contiguous(), points.contiguous(), x.contiguous(), self.p, table.T.contiguous())


class _Blocks:
    """The table of any distance, in blocks; `whole` takes it at once."""

    def __init__(self, whole: WholeTable):
        self.whole = whole

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        return torch.cat([self.whole(block, points) for block in x.split(rows_at_once(points))])

    def backward(self, slope: Tensor, x: Tensor, points: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
        del table
        rows, to_x, to_points = rows_at_once(points), [], torch.zeros_like(points)
        points = points.detach().requires_grad_()
        for block, g in zip(x.split(rows), slope.split(rows), strict=True):
            with torch.enable_grad():
                block = block.detach().requires_grad_()
                mine, theirs = torch.autograd.grad(self.whole(block, points), (block, points), g)
            to_x.append(mine)
            to_points += theirs
        return torch.cat(to_x), to_points
