"""Several processes: rank, world, and reductions over all ranks that do nothing when a process is alone.

Gradients are averaged by one flat all-reduce around plain modules: a DistributedDataParallel wrapper and a double
backward hurt each other. Every collective raises `Lost` where another process is gone.
"""

import datetime
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as td
from torch import Tensor

from banach.errors import BanachError

T = TypeVar("T")

PATIENCE = datetime.timedelta(hours=6)
"""How long a process waits for another that neither answers nor is gone: longer than any scoring by the first one.
A process that ended is noticed at once, and a machine that is gone by torchrun."""

_JOINING = datetime.timedelta(minutes=10)


class Lost(RuntimeError):
    """Another process of the run has ended or cannot be reached; the message has the place and the backend's error."""

    def __init__(self, said: str, where: str = ""):
        super().__init__(f"another process of this run was lost{where} ({said})")
        self.said = said


class Elsewhere(BanachError):
    """A user's error in another process, with its message."""


@dataclass
class _Launch:
    """What `begin` made: the store in which the processes meet, and whether one of them was found missing."""

    store: Any = None
    lost: bool = False


_LAUNCH = _Launch()


def world() -> int:
    """How many processes train together."""
    return td.get_world_size() if td.is_available() and td.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 when alone."""
    return td.get_rank() if td.is_available() and td.is_initialized() else 0


def launched() -> tuple[int, int]:
    """(rank, world) as torchrun set them for this process, whether or not `begin` was called; (0, 1) without it."""
    return (_number("RANK", 0), _number("WORLD_SIZE", 1)) if _number("WORLD_SIZE", 1) > 1 else (0, 1)


def local_rank() -> int:
    """This process's number on its machine, which is that of its GPU."""
    return _number("LOCAL_RANK", 0)


def restarts_left() -> int:
    """How often torchrun will still start the processes again if one fails."""
    return max(0, _number("TORCHELASTIC_MAX_RESTARTS", 0) - restarts())


def restarts() -> int:
    """How often torchrun has started the processes again."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0)


def launch() -> str:
    """The name of torchrun's job (--rdzv-id) that this process is a part of; "" if there is none."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return "" if name == "none" else name


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else default


def begin() -> None:
    """Join the processes that torchrun (or another launcher that sets its variables) started; nothing when alone.

    Tensors on the CPU go over gloo, those on CUDA devices over NCCL.
    """
    mine, of = launched()
    if of == 1 or td.is_initialized():
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and td.is_nccl_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank() % torch.cuda.device_count())
    with _all():
        store, _, _ = next(iter(td.rendezvous("env://", mine, of, timeout=_JOINING)))
        # torchrun's store outlives a restart, and holds addresses of processes that are gone: each start has its part.
        start = f"banach/{restarts()}/{of}"
        start = f"{start}/{(store.add(start, 1) - 1) // of}"
        _LAUNCH.store, _LAUNCH.lost = td.PrefixStore(start, store), False
        td.init_process_group(backend, store=_LAUNCH.store, rank=mine, world_size=of, timeout=PATIENCE)


def end() -> None:
    """Leave the process group that `begin` joined; without waiting if a process was lost."""
    if td.is_initialized() and _LAUNCH.store is not None and not _LAUNCH.lost:
        td.destroy_process_group()
        _LAUNCH.store = None


def lost() -> bool:
    """Whether another process was found missing."""
    return _LAUNCH.lost


def first_to_tell() -> bool:
    """True in one process only, the first that asks, so that the reason why a run ended is printed once."""
    if _LAUNCH.store is None:
        return launched()[0] == 0
    if rank():
        time.sleep(0.3)  # the first process goes first, if it is there
    try:
        return _LAUNCH.store.add("told", 1) == 1
    except RuntimeError:
        return True


@contextmanager
def _all() -> Iterator[None]:
    """Around every collective: what it raises where a process is gone becomes `Lost`."""
    try:
        yield
    except RuntimeError as error:
        _LAUNCH.lost = True
        raise Lost(_first_sentence(str(error))) from error


def _first_sentence(said: str) -> str:
    """Without the place in a source file before it: 'Read error [10.0.0.2]:33003: Connection reset by peer'."""
    line = re.sub(r"^(\[[^\]]*\]\s*)+", "", (said.strip().splitlines() or [""])[0])
    return line.partition(". ")[0][:120]


@torch.no_grad()
def reduce_(means: Sequence[Tensor], maxima: Sequence[Tensor] = ()) -> None:
    """Replace each of `means` by its mean over all ranks, and each of `maxima` by its largest value.

    One flat all-reduce, in the number format of the largest tensor. `maxima` are 0-dimensional: each rank has a place
    of its own for them in the sum.
    """
    tensors = [*means, *maxima]
    if world() == 1 or not tensors:
        return
    largest = max(tensors, key=Tensor.numel)
    sizes = [one.numel() for one in means]
    flat = torch.empty(sum(sizes) + world() * len(maxima), dtype=largest.dtype, device=largest.device)
    views = [part.view_as(one) for part, one in zip(flat[: sum(sizes)].split(sizes), means, strict=True)]
    torch._foreach_copy_(views, list(means))
    places = flat[sum(sizes) :].view(world(), len(maxima)).zero_()
    for i, one in enumerate(maxima):
        places[rank(), i] = one
    with _all():
        td.all_reduce(flat)
    flat[: sum(sizes)] /= world()
    torch._foreach_copy_(list(means), views)
    for one, value in zip(maxima, places.amax(0), strict=True):
        one.copy_(value)


def mean_(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over all ranks, in one flat all-reduce."""
    reduce_(tensors)


@torch.no_grad()
def maximum(x: Tensor) -> Tensor:
    """The largest value over all ranks, elementwise; carries no gradient."""
    x = x.detach().clone()
    if world() > 1:
        with _all():
            td.all_reduce(x, td.ReduceOp.MAX)
    return x


@torch.no_grad()
def total(x: Tensor) -> Tensor:
    """The sum over all ranks, elementwise; carries no gradient."""
    x = x.detach().clone()
    if world() > 1:
        with _all():
            td.all_reduce(x)
    return x


def barrier() -> None:
    """Wait for all ranks."""
    if world() > 1:
        with _all():
            td.barrier()


def share(rows: Tensor) -> Tensor:
    """This rank's rows of a batch that every rank drew alike: each takes every world-th, as data are distributed."""
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
    with _all():
        td.all_gather(parts, rows)
    return torch.stack(parts, 1).flatten(0, 1)


@torch.no_grad()
def mean(x: Tensor) -> Tensor:
    """The mean over all ranks, elementwise; carries no gradient."""
    return total(x) / world()


@torch.no_grad()
def copy_first_(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by the first rank's."""
    if world() > 1:
        with _all():
            for one in tensors:
                whole = one.contiguous()
                td.broadcast(whole, 0)
                one.copy_(whole)


def from_first(make: Callable[[], T]) -> T:
    """The result of `make`, which only the first rank calls, on all ranks.

    An error there ends the others too: with `Elsewhere`, or with the same exit code.
    """
    if world() == 1:
        return make()
    if rank() == 0:
        try:
            value = make()
        except (Exception, SystemExit) as error:
            _send((None, error.code if isinstance(error, SystemExit) else str(error)))
            raise
        _send((value, _FINE))
        return value
    value, ended = _send(None)
    if ended == _FINE:
        return value
    raise Elsewhere(ended) if isinstance(ended, str) else SystemExit(ended)


_FINE = "\0"


def _send(value: Any) -> Any:
    """The first rank's value, on all ranks."""
    held = [value]
    with _all():
        td.broadcast_object_list(held, 0)
    return held[0]


@contextmanager
def together() -> Iterator[None]:
    """An error inside, on any rank, ends the block on all: on those without one of their own as `Elsewhere`.

    No other collective may stand inside.
    """
    if world() == 1:
        yield
        return
    mine = None
    try:
        yield
    except Exception as error:
        mine = error
    errors = of_each("" if mine is None else str(mine) or type(mine).__name__)
    if mine is not None:
        raise mine
    for number, (host, said) in enumerate(errors):
        if said:
            raise Elsewhere(f"{said}\n(process {number} of {world()}, on {host})")


def of_each(text: str) -> list[tuple[str, str]]:
    """(host, text) of every rank, in their order."""
    found: list[Any] = [(socket.gethostname(), text)]
    if world() > 1:
        found = [None] * world()
        with _all():
            td.all_gather_object(found, (socket.gethostname(), text))
    return found


def agree(what: str, text: str) -> None:
    """Raises `Elsewhere` on all ranks where one of them has another `text` than the first."""
    found = of_each(text)
    for number, (host, other) in enumerate(found):
        if other != found[0][1]:
            raise Elsewhere(
                f"{what} differ: process {number} on {host} has others than process 0 on {found[0][0]}\n"
                "copy the same to all machines, or read them from a shared disk"
            )
