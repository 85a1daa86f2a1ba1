"""Reads a file that does not fit into the memory this process may have, twice; prints figures.

Called with the file, its axes, and the bytes that it may take beyond what its imports took: `read_in_little_memory.py`
says how the limit is set.
"""

import json
import resource
import sys
from pathlib import Path

import torch

from banach.data import load


def own() -> int:
    """Bytes of the process's own memory, taken or promised."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmData"].split()[0]) * 1024


def main(file: str, small: str, axes: str, allowed: int) -> None:
    torch.set_num_threads(1)
    load(small, axes=axes)  # what the libraries take once, at their first use, is no part of it
    limit = own() + allowed
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    data = load(file, axes=axes, cache="always")
    again = load(file, axes=axes, cache="always")
    for at in range(20):
        data.batch(torch.randint(len(data.train), (64,), generator=torch.Generator().manual_seed(at)))
    try:
        copied = bool(data.train[:].numel())
    except (RuntimeError, MemoryError):
        copied = False
    figures = {
        "bytes": data.train.nbytes + data.held_out.nbytes,
        "same": data.fingerprint == again.fingerprint,
        "notes": data.notes + again.notes,
        "copied": copied,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
