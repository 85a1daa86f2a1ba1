"""Reads, measures, scores and draws a folder that does not fit into the memory this process may have; prints figures.

Called with the folder and the bytes that it may take beyond what its imports took. The limit is the kernel's, on
memory that is the process's own (RLIMIT_DATA); pages of a mapped file are not: they are given back on demand.
"""

import json
import resource
import sys
from pathlib import Path

import torch

from banach.config.config import Config
from banach.data import load
from banach.metrics.scores import evaluate
from banach.training.build import build_game


def own() -> int:
    """Bytes of the process's own memory, taken or promised."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmData"].split()[0]) * 1024


def main(folder: str, allowed: int) -> None:
    torch.set_num_threads(1)
    # What the libraries take once, at their first use, is no part of it.
    evaluate(*(torch.zeros(20, 3, 128, 128, dtype=torch.uint8) for _ in range(3)), extractor="pixels", names=("fid",))
    load(torch.arange(4 * 192).to(torch.uint8).reshape(4, 3, 8, 8), axes="bchw")
    limit = own() + allowed
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    data = load(folder, size=128, cache="always")
    again = load(folder, size=128, cache="always")
    _, facts = build_game(Config(space="l2"), data)
    for at in range(20):
        data.batch(torch.randint(len(data.train), (64,), generator=torch.Generator().manual_seed(at)))
    fakes = data.train[:64]
    scores = evaluate(fakes, data.train, data.held_out, extractor="pixels", names=("fid",))
    try:
        copied = bool(data.train[:].numel())
    except (RuntimeError, MemoryError):
        copied = False
    figures = {
        "bytes": data.train.nbytes + data.held_out.nbytes,
        "same": data.fingerprint == again.fingerprint,
        "notes": data.notes + again.notes,
        "lam": facts["lam"],
        "fid": scores.value["fid"],
        "copied": copied,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
