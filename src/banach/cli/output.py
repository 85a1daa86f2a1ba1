"""What commands write: results on stdout (as text, tables or JSON), progress and errors on stderr.

All of it passes here, or `banach.foreign.visible`: names and texts that came from a file draw nothing on a terminal.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from banach.foreign import visible, visible_json

try:
    import resource
except ModuleNotFoundError:  # not on Windows
    resource = None

_LINES, _LETTERS = 6, 2000


def say(line: str) -> None:
    """A line of the result on stdout."""
    sys.stdout.write(f"{visible(line)}\n")


def say_json(value: Any) -> None:
    """The whole result on stdout, as JSON."""
    plain = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    sys.stdout.write(f"{visible_json(json.dumps(value, indent=2, ensure_ascii=plain))}\n")


def say_error(message: str, before: str = "error: ") -> None:
    """An error on stderr: a few lines, those after the first further in, so that none can pose as another's."""
    lines = [visible(one) for one in message.split("\n")[:_LINES]]
    short = [one if len(one) <= _LETTERS else f"{one[: _LETTERS - 100]} … {one[-50:]}" for one in lines]
    sys.stderr.write(f"{before}{(chr(10) + ' ' * len(before)).join(short)}\n")


def say_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout, as wide as the terminal; the first column is never wrapped."""
    table = Table(title=visible(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):
        table.add_column(column, no_wrap=at == 0, overflow="fold")
    for row in rows:
        table.add_row(*map(visible, row))
    console = Console(width=None if sys.stdout.isatty() else 120, markup=False, highlight=False)
    console.print(table)


def peak_megabytes() -> float | None:
    """The largest memory of this process so far; None where the system does not say."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def peak_said(before: str) -> str:
    """The same in words behind `before`; nothing where the system does not say."""
    peak = peak_megabytes()
    return "" if peak is None else f"{before}{peak:,.0f} MB at most"


@contextmanager
def waiting(task: str) -> Iterator[None]:
    """Inside, a moving sign on stderr says what is being done; silent where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(visible(f"{task} …"))):
        yield


def progress() -> Progress:
    """A progress bar on stderr, gone when it is done; silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Inside, a bar on stderr is told how many are done of how many."""
    with progress() as bar:
        task = bar.add_task(what, total=None)

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield told
