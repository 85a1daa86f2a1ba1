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
