"""What is done with data that would not fit into memory."""

import os

from banach.errors import DataError
from banach.memory import available, shortage

CACHES = ("auto", "always", "never")
"""When decoded data go to a file that is mapped: beyond SHARE of free memory, always, or never."""

SHARE = 0.25
"""Data are held in memory up to this share of what is free: splitting takes them twice, and others want memory too."""


def is_mapped(cache: str, needed: int) -> bool:
    """Whether data of so many bytes go to a mapped file, by `cache`, one of CACHES; raises `DataError` for another."""
    if cache not in CACHES:
        raise DataError(f"cache {cache!r} is not known; known: {', '.join(CACHES)}")
    free = available() if cache == "auto" else None
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # torchrun's, on this machine: each holds its own
    return cache == "always" or (free is not None and processes * needed > SHARE * free)


def require(needed: int, what: str, remedy: str) -> None:
    """Refuse `what` if it takes more bytes than are free."""
    if lacking := shortage(needed, what, remedy):
        raise DataError(lacking)
