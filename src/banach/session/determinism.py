"""`--deterministic`: only algorithms that give the same bits every time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
"""cuBLAS reads it when it starts, and repeats its results with ":4096:8" or ":16:8" only (CUDA's documentation)."""


@contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Inside, PyTorch uses deterministic algorithms only, and raises where there is none; settings are restored.

    With `on` false nothing changes. The environment's `CUBLAS_WORKSPACE_CONFIG` is set if it is not yet, and stays: it
    counts only for a process that has not used cuBLAS before. On a CPU all algorithms used here are deterministic.
    """
    if not on:
        yield
        return
    os.environ.setdefault(CUBLAS, ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
