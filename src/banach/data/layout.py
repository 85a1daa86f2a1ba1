"""How an array lay, so that samples come back as its rows are: order of axes, shape, type, range."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from banach.data.how import Limits
from banach.data.letters import described, read_letters
from banach.data.metadata import Metadata
from banach.errors import DataError

_WHOLE = 2**53
"""Whole numbers up to here are exact in double precision."""


@dataclass(frozen=True)
class Layout:
    """The letters of an array's axes, its type (numpy's, with the order of bytes), and its samples' shapes.

    `read` is the shape (c, *space) of a sample in the array, `event` that of samples that come back, which is smaller
    where the data were cut (`--crop`). `range` are the values of pictures that became 0 and 255. `whole` says that
    whole numbers are rounded to, which is so where float32 held every one of the data. `metadata` is what the file said
    beyond the numbers, where its format does.
    """

    axes: str
    dtype: str
    read: tuple[int, ...]
    event: tuple[int, ...]
    range: Limits | None = None
    whole: bool = True
    metadata: Metadata | None = None

    @property
    def categories(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """The columns of a table that are categories, and these."""
        columns = () if self.metadata is None else self.metadata.columns
        return tuple((one.name, one.categories) for one in columns if one.categories)

    @property
    def alike(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The axes and the samples' shapes of arrays that are read as this one is, its own samples among them."""
        letters = (self.axes, self.written)
        return tuple(dict.fromkeys((one, event) for event in (self.read, self.event) for one in letters))

    @property
    def written(self) -> str:
        """The letters of samples that came back, as `--axes` takes them."""
        return read_letters(self.axes).of_samples

    @property
    def letters(self) -> str:
        """The same, one after the other: a letter for each axis of samples."""
        return self.written.replace(",", "")

    def back(self, samples: Tensor) -> np.ndarray:
        """Samples (n, *event) in the units of the data (uint8 for pictures) as the array's rows are.

        What was added to their sides (`--pad`) is cut off. Integers are rounded to and kept within their type; where
        `whole` is not so, they come back as float32.
        """
        values = self.cut(samples).detach().cpu().numpy()
        if self.range is not None and samples.dtype == torch.uint8:
            low, high = self.range
            values = low + values.astype(np.float64) * ((high - low) / 255)
        return self._typed(read_letters(self.axes).back(values))

    def cut(self, samples: Tensor) -> Tensor:
        """Samples without what was added to their sides."""
        middle = tuple(middle_of(have, want) for have, want in zip(samples.shape[1:], self.event, strict=True))
        return samples[(slice(None), *middle)]

    def tensor(self, samples: Tensor) -> Tensor:
        """The same as a tensor, in the processor's order of bytes; pictures stay uint8, whatever their range was."""
        pictures = self.range is not None and samples.dtype == torch.uint8
        found = (replace(self, dtype="|u1", range=None) if pictures else self).back(samples)
        return torch.from_numpy(found.astype(found.dtype.newbyteorder("="), copy=False))

    def _typed(self, values: np.ndarray) -> np.ndarray:
        kind = np.dtype(self.dtype)
        if values.dtype == kind:
            return values
        if kind.kind == "b":
            return values >= 0.5
        if kind.kind in "iu":
            if not self.whole:
                return values.astype(np.float32)
            bounds = np.iinfo(kind)
            low, high = max(int(bounds.min), -_WHOLE), min(int(bounds.max), _WHOLE)
            return np.rint(values.astype(np.float64)).clip(low, high).astype(kind)
        most = float(np.finfo(kind).max)
        return values.clip(-most, most).astype(kind) if kind.itemsize == 2 else values.astype(kind)

    def said(self, n: int) -> str:
        """So many samples as they come back, in words: 5 samples, 1 channel, 48x64, float32, axes n,x,y.

        >>> Layout("nxy", "<i2", (1, 48, 64), (1, 48, 64)).said(5)
        '5 samples, 1 channel, 48x64; int16, rounded to whole numbers, axes n,x,y'
        """
        kind = np.dtype(self.dtype)
        typed = kind.name
        if kind.kind in "iu" and not (kind.name == "uint8" and self.range is None):
            typed = f"{kind.name}, rounded to whole numbers" if self.whole else f"float32 (the data: {kind.name})"
        return f"{described(n, self.event)}; {typed}, axes {self.written}"

    @classmethod
    def from_facts(cls, found: Mapping[str, Any] | None) -> Self | None:
        """From the JSON value of one, None from none; KeyError, TypeError, ValueError, DataError where it is none."""
        if found is None:
            return None
        read, event = (tuple(int(one) for one in found[key]) for key in ("read", "event"))
        axes, limits = read_letters(str(found["axes"])), found["range"]
        np.dtype(found["dtype"])
        if len(read) != len(event) or len(event) != 1 + len(axes.space) or np.dtype(found["dtype"]).kind not in "biuf":
            raise DataError(f"axes {axes.letters} for samples of shape {event}")
        bounds = None if limits is None else (float(limits[0]), float(limits[1]))
        metadata = Metadata.from_facts(found.get("metadata"))
        return cls(axes.letters, str(found["dtype"]), read, event, bounds, bool(found["whole"]), metadata)


def stored_type(dtype: np.dtype) -> str:
    """The type as it is noted: what is wider than double precision comes back in that.

    >>> stored_type(np.dtype(">f4")), stored_type(np.dtype("longdouble"))
    ('>f4', '<f8')
    """
    return dtype.str if dtype.itemsize <= 8 else "<f8"


def middle_of(have: int, want: int) -> slice:
    """The middle `want` of so many places."""
    start = max(0, (have - want) // 2)
    return slice(start, start + min(have, want))
