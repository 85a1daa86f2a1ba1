"""What a run says while it runs: a live line on a terminal, plain lines elsewhere, JSON for machines, or nothing."""

import json
import math
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from banach.foreign import visible
from banach.outlet import Outlet, outlet

PLAIN_SECONDS = 5.0
"""The least time between two plain progress lines."""

_BAR = 12


@dataclass(frozen=True)
class Progress:
    """How far a run is, for people: what the progress line shows. NaN and "" are left out."""

    step: int
    steps: int
    gap: float = math.nan
    gap_held_out: float = math.nan
    slope_mean: float = math.nan
    slope_max: float = math.nan
    bound: float = math.nan
    score: str = ""
    images_per_second: float = math.nan
    eta_seconds: float = math.nan

    def __str__(self) -> str:
        """'12,400/100,000  gap 3.1 (held out 3.3)  slope .98, max 1.4  FID[fashion] 41 @10k  212 img/s  ETA 3 h'.

        The gap is the critic's, of f, and no distance: it may be negative. Where no slopes were measured, the proved
        bound of them stands in their place.
        """
        return "  ".join(filter(None, (f"{self.step:,}/{self.steps:,}", *self._figures())))

    def fitted(self, width: int) -> str:
        """The line in at most `width` letters, with as many of the figures as there is room for."""
        slim = replace(self, images_per_second=math.nan)
        slimmer = replace(slim, slope_mean=math.nan, bound=math.nan)
        for line in map(str, (self, slim, slimmer, replace(slimmer, gap_held_out=math.nan))):
            if len(line) <= width:
                return line
        return line[:width]

    def _figures(self) -> Iterator[str]:
        if not math.isnan(self.gap):
            held = "" if math.isnan(self.gap_held_out) else f" (held out {short(self.gap_held_out)})"
            yield f"gap {short(self.gap)}{held}"
        if not math.isnan(self.slope_mean):
            yield f"slope {short(self.slope_mean)}, max {short(self.slope_max)}"
        elif not math.isnan(self.bound):
            yield f"slope at most {short(self.bound)}"
        yield self.score
        if not math.isnan(self.images_per_second):
            yield f"{short(self.images_per_second)} img/s"
        if not math.isnan(self.eta_seconds):
            yield f"ETA {duration(self.eta_seconds)}"


def duration(seconds: float) -> str:
    """A time in words of one or two units.

    >>> duration(42), duration(600), duration(9000), duration(200000)
    ('42 s', '10 min', '2.5 h', '2.3 d')
    """
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{short(seconds / size)} {unit}"
    return f"{seconds:.0f} s"


def thousands(n: int) -> str:
    """A count in few letters.

    >>> thousands(500), thousands(10_000), thousands(12_400)
    ('500', '10k', '12.4k')
    """
    return f"{n / 1000:g}k" if n >= 1000 else str(n)


def short(x: float) -> str:
    """Two digits that matter, whole numbers whole: 3.1, .98, 212."""
    if abs(x) >= 10:
        return f"{x:,.0f}"
    text = f"{x:.2g}" if abs(x) >= 1e-3 or x == 0 else f"{x:.0e}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


class Console(ABC):
    """Where a run speaks."""

    @abstractmethod
    def say(self, line: str) -> None:
        """One line that stays."""

    @abstractmethod
    def progress(self, standing: Progress) -> None:
        """The newest figures, at every log line."""

    def tick(self, step: int, eta_seconds: float) -> None:  # noqa: B027 - most consoles do nothing at these
        """A step was done; called after each."""

    def busy(self, task: str) -> None:  # noqa: B027
        """Something that is no training step begins; '' when it is over."""

    def event(self, name: str, values: dict[str, Any]) -> None:  # noqa: B027
        """Something for machines: `values` are JSON values."""

    def close(self) -> None:  # noqa: B027
        """The last call."""

    @property
    def lost(self) -> str:
        """Why nobody hears it any more; empty as long as somebody may."""
        return ""


class Quiet(Console):
    """Says nothing."""

    def say(self, line: str) -> None:
        del line

    def progress(self, standing: Progress) -> None:
        del standing


class Plain(Console):
    """Lines, for files and pipes: progress at most every so many seconds."""

    def __init__(self, stream: TextIO | Outlet, seconds: float = PLAIN_SECONDS):
        self._stream = outlet(stream)
        self._seconds = seconds
        self._last = -math.inf

    def say(self, line: str) -> None:
        print(visible(line), file=self._stream, flush=True)

    @property
    def lost(self) -> str:
        return self._stream.lost

    def progress(self, standing: Progress) -> None:
        if time.monotonic() - self._last >= self._seconds or standing.step == standing.steps:
            self._last = time.monotonic()
            self.say(str(standing))


class Machine(Console):
    """One JSON object a line: {"event": "message" | "progress" | …, …}."""

    def __init__(self, stream: TextIO | Outlet):
        self._stream = outlet(stream)

    def say(self, line: str) -> None:
        self.event("message", {"text": line})

    @property
    def lost(self) -> str:
        return self._stream.lost

    def progress(self, standing: Progress) -> None:
        self.event("progress", {key: value for key, value in asdict(standing).items() if value == value})

    def event(self, name: str, values: dict[str, Any]) -> None:
        print(json.dumps({"event": name, **values}), file=self._stream, flush=True)


class Terminal(Console):
    """A bar and a live line below the lines that stay."""

    def __init__(self, stream: TextIO | Outlet):
        self._stream = outlet(stream)
        file: Any = self._stream
        self._console = RichConsole(file=file, highlight=False, soft_wrap=True)
        columns = BarColumn(bar_width=_BAR), TextColumn("{task.fields[line]}", markup=False)
        self._bar = RichProgress(*columns, console=self._console, transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=None, line="", visible=False)
        self._standing = Progress(0, 0)
        self._drawn = 0.0

    def say(self, line: str) -> None:
        self._console.print(visible(line), markup=False)

    @property
    def lost(self) -> str:
        return self._stream.lost

    def progress(self, standing: Progress) -> None:
        self._standing = standing
        self._bar.start()
        self._draw(standing.fitted(self._room))

    def tick(self, step: int, eta_seconds: float) -> None:
        if self._standing.steps and time.monotonic() - self._drawn >= 0.25:
            self._standing = replace(self._standing, step=step, eta_seconds=eta_seconds)
            self._draw(self._standing.fitted(self._room))

    def busy(self, task: str) -> None:
        if self._standing.steps:
            at = replace(Progress(0, 0), step=self._standing.step, steps=self._standing.steps)
            self._draw(f"{at}  {task} …" if task else self._standing.fitted(self._room))
        elif task:
            self.say(f"{task} …")

    def close(self) -> None:
        self._bar.stop()

    @property
    def _room(self) -> int:
        return max(10, self._console.width - _BAR - 2)

    def _draw(self, line: str) -> None:
        self._drawn = time.monotonic()
        steps = self._standing.steps
        self._bar.update(self._task, completed=self._standing.step, total=steps, line=line, visible=True, refresh=True)


def console_for(stream: TextIO | None = None, machine: bool = False) -> Console:
    """The console that suits a stream (default: standard output): live on a terminal, plain lines otherwise."""
    target = outlet(sys.stdout if stream is None else stream)
    if machine:
        return Machine(target)
    return Terminal(target) if target.isatty() else Plain(target)
