"""Several experiments at once, each in a process of its own with its share of the cores."""

import os
import queue
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from banach.sweeps.worker import Stopped

OUTPUT = "output.txt"
"""In an experiment's folder: what its process wrote."""


def run_beside(
    words: Sequence[tuple[str, Path, Sequence[str]]], workers: int, tell: Callable[[str], None]
) -> Iterator[tuple[str, str]]:
    """Run each (name, folder, words of `banach`), `workers` at a time; (name, fault or "") of each as it ends.

    Raises KeyboardInterrupt where a signal to stop came; it was passed on to the processes, and they have ended.
    """
    ended: queue.Queue[tuple[str, int | None, str]] = queue.Queue()
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    stopped = Stopped()

    def take(name: str, folder: Path, of: Sequence[str]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tell(f"{name}: begins; what it says is in {folder / OUTPUT}")
            with (folder / OUTPUT).open("ab") as output:
                code = stopped.run([sys.executable, "-m", "banach", *of], output, {"OMP_NUM_THREADS": threads})
            ended.put((name, code, _last_line(folder / OUTPUT)))
        except Exception as error:  # whoever waits for the end is told of it
            ended.put((name, None, f"{type(error).__name__}: {error}"))

    with stopped, ThreadPoolExecutor(workers) as pool:
        for one in words:
            pool.submit(take, *one)
        for _ in words:
            name, code, said = ended.get()
            if stopped.reason:
                pool.shutdown(wait=True, cancel_futures=True)
                raise KeyboardInterrupt
            yield name, "" if code == 0 else said or f"its process ended with code {code}"


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
