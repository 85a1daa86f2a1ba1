"""What parts of an experiment took, kept beside them: what was made before a stop, or by others, counts in full."""

import json
import os
import time
from pathlib import Path

from banach.errors import BanachError
from banach.files import write_text

SUFFIX = ".took"
"""Of the file beside a part: its seconds, and those of CPU."""

Took = tuple[float, float]


class Clock:
    """Measures from when it is made: seconds, and seconds of CPU of this process and of its children that ended."""

    def __init__(self) -> None:
        self._began = _clocks()

    def since(self) -> Took:
        now = _clocks()
        return now[0] - self._began[0], now[1] - self._began[1]


def _clocks() -> Took:
    return time.perf_counter(), sum(os.times()[:4])


def note(part: Path, took: Took) -> None:
    """Keep what the part at this path took."""
    write_text(part.with_suffix(SUFFIX), json.dumps(took))


def noted(folder: Path) -> Took:
    """What all parts in a folder took together; parts of older versions do not say it, and count nothing."""
    seconds = cpu = 0.0
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        try:
            of = json.loads(path.read_text(encoding="utf-8"))
            seconds, cpu = seconds + float(of[0]), cpu + float(of[1])
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise BanachError(f"{path} is damaged ({error}); remove it, and run the same command again") from None
    return seconds, cpu
