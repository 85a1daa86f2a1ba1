"""The memory of this process: nothing but the standard library, for both sides of a comparison."""

from pathlib import Path


def peak_megabytes() -> float:
    """The most memory that the process has held so far, in MB of 2^20.

    From the program's start on: `getrusage` counts what the *starting* program held before, which hides as much of a
    process that is started by a larger one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM: memory is measured on Linux only")
