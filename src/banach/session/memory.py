"""`--keep-memory`: whether what a step has freed is kept for the next one, or given back to the system at once.

glibc by itself does something between: blocks of 32 MiB and more are given back and asked for anew, and the system
hands out every page empty, which with wide networks on a CPU is a tenth of a step; smaller ones stay, with the heap
between them. All kept is the quickest, all given back takes the least memory.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of malloc.h
_LARGEST, _MAPPED, _DYNAMIC, _SMALL = 2**31 - 1, 65_536, 2**25, 2**20


@contextmanager
def freed_memory(kept: bool) -> Iterator[bool]:
    """Inside, freed memory stays with the process, or each block of 1 MiB and more goes back to the system.

    Yields whether it is so: where the C library is not glibc nothing changes.
    """
    tune = _tuner()
    if tune is None:
        yield False
        return
    if kept:
        tune.mallopt(_MMAP_MAX, 0)
        tune.mallopt(_TRIM_THRESHOLD, _LARGEST)
    else:
        tune.mallopt(_MMAP_THRESHOLD, _SMALL)
    try:
        yield True
    finally:
        tune.mallopt(_MMAP_MAX, _MAPPED)
        tune.mallopt(_MMAP_THRESHOLD, _DYNAMIC)  # the largest that glibc comes to by itself
        tune.mallopt(_TRIM_THRESHOLD, 2 * _DYNAMIC)
        tune.malloc_trim(0)


def _tuner() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if library.gnu_get_libc_version and library.mallopt and library.malloc_trim else None
    except (OSError, AttributeError):  # another C library (musl)
        return None
