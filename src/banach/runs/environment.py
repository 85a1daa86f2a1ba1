"""Where a run was computed: versions, machine, seed, threads, command line, source revision."""

import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from banach import distributed
from banach.files import write_text
from banach.foreign import SMALL, read_bytes, read_json

PACKAGES = ("banach", "torch", "torchvision", "numpy", "scipy", "pot", "torch-fidelity", "safetensors", "tensorboard")


def environment(seed: int, device: torch.device, argv: Sequence[str]) -> dict[str, Any]:
    """What one needs to know to repeat a run on another machine, as JSON values.

    Bit-exact repetition needs the same versions, the same kind of processor and the same number of threads.
    """
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": list(argv),
        "folder": str(Path.cwd()),
        "seed": seed,
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        "threads": torch.get_num_threads(),
        "processes": distributed.world(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "commit": _commit(),
    }


def record(path: Path, now: dict[str, Any]) -> None:
    """Write `now` to `path`; what stood there moves into its list `earlier`, so that every session is told of."""
    try:
        before = read_json(read_bytes(path, 16 * SMALL))
        earlier = [*before.pop("earlier", []), before]
    except (OSError, ValueError, TypeError, AttributeError):
        earlier = []
    write_text(path, json.dumps({**now, "earlier": earlier}, indent=1) + "\n")


def command_line() -> list[str]:
    """The command of this process."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]


def package_version() -> str:
    """This package's version."""
    return _version("banach") or "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _commit() -> str:
    """The revision of this package's source, with '+' where it was changed since; '' where there is none."""
    root = Path(__file__).parent
    try:
        revision = _git(root, "rev-parse", "--short=12", "HEAD")
        inside = _git(root, "ls-files", "--error-unmatch", Path(__file__).name)
        return revision + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "") if inside else ""
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
