"""A progress bar for reads that turn out to take over two seconds."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


def progress(
    items: Iterable[T], total: int, label: str, *, after: float = 2.0, console: Console | None = None
) -> Iterator[T]:
    """The same items, with a bar on standard error once `after` seconds have passed; short reads stay silent."""
    start = time.monotonic()
    bar: Progress | None = None
    task = None
    try:
        for done, item in enumerate(items, 1):
            yield item
            if bar is None and time.monotonic() - start >= after:
                columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
                # In a notebook rich needs a package of widgets, and warns without it.
                bar = Progress(*columns, console=console or Console(stderr=True, force_jupyter=False), transient=True)
                bar.start()
                task = bar.add_task(label, total=total)
            if bar is not None and task is not None:
                bar.update(task, completed=done)
    finally:
        if bar is not None:
            bar.stop()
