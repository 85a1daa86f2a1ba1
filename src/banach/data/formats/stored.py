"""What the reader of a format hands over: an array that is read block by block, its axes, and what goes with it."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from banach.data import memory
from banach.data.cache import cache_folder
from banach.data.metadata import Metadata
from banach.data.progress import progress
from banach.errors import DataError

_BLOCK = 1 << 24  # bytes read at a time


@dataclass(frozen=True, eq=False)
class Opened:
    """An array in an open file: its shape and type, and `block(start, stop)`, entries of its first axis.

    `axes` are its letters where the file says them, `options` the readings where it leaves more than one, `missing`
    says what NaN are in this file and what to do about them.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    block: Callable[[int, int], np.ndarray]
    metadata: Metadata
    axes: str = ""
    options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = "fill or remove them"


@dataclass(frozen=True, eq=False)
class Stored:
    """An array, whole: in memory, or mapped. What came with it; letters and readings are "" and () where none did."""

    array: np.ndarray
    axes: str = ""
    options: tuple[str, ...] = ()
    metadata: Metadata | None = None
    notes: tuple[str, ...] = ()


def taken(opened: Opened, name: str, cache: str) -> Stored:
    """All of an open array, in memory or, where memory is short (`banach.data.memory.CACHES`), in a nameless file of
    the cache folder, mapped; read in blocks. `DataError` where values are missing."""
    size = math.prod(opened.shape) * opened.dtype.itemsize
    each = size // max(1, opened.shape[0]) if opened.shape else 0
    if size and opened.dtype.kind in "biufc" and memory.is_mapped(cache, size):
        folder = cache_folder() / "decoded"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:  # the mapping outlives it, and takes it along
            array = np.memmap(file, opened.dtype, "w+", shape=opened.shape)
    else:
        memory.require(size, f"{name} {opened.shape}", "take a part of it, or --cache always")
        array = np.empty(opened.shape, opened.dtype)
    rows = max(1, _BLOCK // max(1, each))
    gaps = 0
    for start in progress(range(0, len(array), rows), -(-len(array) // rows), "reading") if opened.shape else ():
        block = opened.block(start, min(start + rows, len(array)))
        gaps += int(np.isnan(block).sum()) if opened.dtype.kind == "f" else 0
        array[start : start + len(block)] = block
    if gaps:
        raise DataError(f"{name}: {gaps:,} of {array.size:,} values are missing (NaN); {opened.missing}")
    return Stored(array, opened.axes, opened.options, opened.metadata, opened.notes)
