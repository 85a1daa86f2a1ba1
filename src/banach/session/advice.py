"""What of the machine makes a run slower than it need be, as lines with the remedy."""

import os
from collections.abc import Iterator

import torch

from banach.config.config import Config
from banach.session.profile import peak
from banach.training.timing import busy_cores

_SLOWER = 1.1


def advice_on_threads(device: torch.device) -> Iterator[str]:
    """A line where other work is likely to keep this process's threads from finding a core."""
    threads, cores, busy = torch.get_num_threads(), os.cpu_count() or 1, busy_cores()
    if device.type == "cpu" and threads > 1 and busy + threads > cores + 0.5:
        yield (
            f"          other work keeps {min(busy, cores):.1f} of {cores} cores busy; threads that wait for a core "
            f"hold up the others: --threads {max(1, int(cores - busy))} is likely faster now"
        )


def advice_on_precision(config: Config, device: torch.device) -> Iterator[str]:
    """A line where the precision asked for is slower than fp32 on this processor."""
    if device.type == "cpu" and config.precision == "bf16" and (times := slower(device, "bf16")) > _SLOWER:
        yield (
            f"          a convolution in bf16 takes {times:.1f} times as long as in fp32 on this processor: "
            "without --precision the run is faster"
        )


def slower(device: torch.device, precision: str) -> float:
    """How many times as long a 3x3 convolution takes in a precision as in fp32."""
    few = {"batch": 1, "repeats": 2, "sides": (16,)}
    return peak(device, "fp32", **few) / peak(device, precision, **few)
