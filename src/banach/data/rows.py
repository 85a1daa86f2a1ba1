"""Rows of a tensor in an order of their own: a part of a set that lies in a mapped file, never copied as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True)
class Origin:
    """A file of samples, and the SHA-256 of what is in it."""

    path: Path
    sha256: str


@final
class Rows:
    """The samples values[order], copied where they are asked for and only those: what `values[order]` would be as one
    tensor, for data that do not fit into memory.

    `values` is (N, *event), usually a mapped file, whose `origin` is then noted; `order` (n,) says which rows, and in
    which order. Indexing by a
    number, a slice, a mask or a tensor of rows gives a tensor of its own, as do the blocks of `split`.

    >>> part = Rows(torch.arange(10).view(5, 2), torch.tensor([3, 0, 4]))
    >>> part.shape, part[1].tolist(), part[:2].tolist(), part.take(torch.tensor([2]))[0].tolist()
    (torch.Size([3, 2]), [0, 1], [[6, 7], [0, 1]], [8, 9])
    """

    def __init__(self, values: Tensor, order: Int64[Tensor, "n"], origin: Origin | None = None):
        self._values, self.order, self.origin = values, order, origin

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        chosen = self.order[index]
        found = self._values.index_select(0, chosen.reshape(-1))
        return found.reshape(*chosen.shape, *self._values.shape[1:])

    @property
    def shape(self) -> torch.Size:
        """(n, *event), as a tensor has it."""
        return torch.Size((len(self.order), *self._values.shape[1:]))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._values.ndim

    @property
    def dtype(self) -> torch.dtype:
        """The type of the entries."""
        return self._values.dtype

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return self._values.device

    @property
    def nbytes(self) -> int:
        """What the samples would take as one tensor."""
        return self.shape.numel() * self._values.element_size()

    def numel(self) -> int:
        """The number of entries."""
        return self.shape.numel()

    def take(self, rows: Int64[Tensor, "m"]) -> Self:
        """These of the rows, in the order given; no sample is copied."""
        return type(self)(self._values, self.order[rows], self.origin)

    def split(self, size: int) -> Iterator[Tensor]:
        """The samples in blocks of `size`, the last one shorter."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def cpu(self) -> Self:
        """The same rows: a mapped file is the CPU's."""
        return self

    def to(self, device: torch.device | str) -> "Samples":
        """The same rows, as a tensor of their own where that is another device."""
        return self if self.device == torch.device(device) else self[:].to(device)


Samples = Tensor | Rows
"""Samples in memory, or rows of a mapped file: both have len, shape, dtype, nbytes, device, [], split, cpu and to."""


def taken(samples: Samples, rows: Int64[Tensor, "m"]) -> Samples:
    """These of the samples: copied where they are in memory, a view of the file where they are not."""
    return samples.take(rows) if isinstance(samples, Rows) else samples[rows]


def blocks(samples: Samples, entries: int) -> Iterator[Tensor]:
    """The samples in blocks of about so many entries, at least one sample each."""
    each = max(1, samples.numel() // max(1, len(samples)))
    yield from samples.split(max(1, entries // each))
