"""Several processes: rank, world, and reductions over all ranks that do nothing when a process is alone.

Gradients are averaged by one flat all-reduce around plain modules: a DistributedDataParallel wrapper and a double
backward hurt each other.
"""

from collections.abc import Sequence

import torch
import torch.distributed as td
from torch import Tensor


def world() -> int:
    """How many processes train together."""
    return td.get_world_size() if td.is_available() and td.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 when alone."""
    return td.get_rank() if td.is_available() and td.is_initialized() else 0


@torch.no_grad()
def mean_(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over all ranks, in one flat all-reduce."""
    if world() == 1 or not tensors:
        return
    flat = torch.cat([one.reshape(-1) for one in tensors])
    td.all_reduce(flat)
    flat /= world()
    offset = 0
    for one in tensors:
        one.copy_(flat[offset : offset + one.numel()].view_as(one))
        offset += one.numel()


@torch.no_grad()
def maximum(x: Tensor) -> Tensor:
    """The largest value over all ranks, elementwise; carries no gradient."""
    x = x.detach().clone()
    if world() > 1:
        td.all_reduce(x, td.ReduceOp.MAX)
    return x


@torch.no_grad()
def total(x: Tensor) -> Tensor:
    """The sum over all ranks, elementwise; carries no gradient."""
    x = x.detach().clone()
    if world() > 1:
        td.all_reduce(x)
    return x


def barrier() -> None:
    """Wait for all ranks."""
    if world() > 1:
        td.barrier()


def share(rows: Tensor) -> Tensor:
    """This rank's rows of a batch that every rank drew alike: each takes every world-th, as data are dealt out."""
    return rows[rank() :: world()]


@torch.no_grad()
def gather(rows: Tensor) -> Tensor:
    """The rows of all ranks in the order of the joined batch, the inverse of `share`; carries no gradient.

    Every rank must bring as many.
    """
    if world() == 1:
        return rows.detach()
    rows = rows.detach().contiguous()
    parts = [torch.empty_like(rows) for _ in range(world())]
    td.all_gather(parts, rows)
    return torch.stack(parts, 1).flatten(0, 1)


@torch.no_grad()
def mean(x: Tensor) -> Tensor:
    """The mean over all ranks, elementwise; carries no gradient."""
    return total(x) / world()
