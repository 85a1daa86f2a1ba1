"""What a training says in a notebook: one line with a bar in the cell's output, by the notebook's own display."""

import html
import sys
import time
from dataclasses import replace
from typing import Any

from rich.console import Console as RichConsole

from banach.foreign import visible
from banach.session.console import Console, Progress

_PACE = 0.5
"""The least seconds between two drawings: each is a message to the browser, and is kept in the notebook's file."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook (Jupyter, Colab, Databricks)."""
    return RichConsole().is_jupyter


class Notebook(Console):
    """A bar and a line that are drawn anew in their place, under the lines that stay."""

    def __init__(self) -> None:
        self._standing = Progress(0, 0)
        self._shown: Any = None
        self._drawn = 0.0

    def say(self, line: str) -> None:
        sys.stdout.write(f"{visible(line)}\n")
        sys.stdout.flush()

    def progress(self, standing: Progress) -> None:
        self._standing = standing
        self._draw(str(standing))

    def tick(self, step: int, eta_seconds: float) -> None:
        if self._standing.steps and time.monotonic() - self._drawn >= _PACE:
            self._standing = replace(self._standing, step=step, eta_seconds=eta_seconds)
            self._draw(str(self._standing))

    def busy(self, task: str) -> None:
        if self._standing.steps:
            at = Progress(self._standing.step, self._standing.steps)
            self._draw(f"{at}  {task} …" if task else str(self._standing))

    def _draw(self, line: str) -> None:
        self._drawn = time.monotonic()
        bar = f'<progress value="{self._standing.step}" max="{self._standing.steps}"></progress>'
        bundle = {
            "text/plain": visible(line),
            "text/html": f"<div>{bar} <code>{html.escape(visible(line))}</code></div>",
        }
        if self._shown is None:
            self._shown = _display()(bundle, raw=True, display_id=True)
        else:
            self._shown.update(bundle, raw=True)


def _display() -> Any:
    """IPython's display; it is there wherever `in_notebook` says so."""
    from IPython.display import display  # pyright: ignore[reportMissingImports]

    return display
