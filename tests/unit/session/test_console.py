"""What a run says."""

import io
import json
import math
from dataclasses import replace

import pytest

from banach.session.console import Machine, Plain, Progress, Quiet, Terminal, console_for, duration, short, thousands

FULL = Progress(
    12_400, 100_000, gap=3.1, gap_held_out=3.3, slope_mean=0.98, slope_max=1.4, score="FID[fashion] 41 @10k",
    images_per_second=212.4, eta_seconds=3 * 3600,
)  # fmt: skip


def test_a_proved_bound_stands_where_no_slopes_were_measured():
    proved = replace(FULL, slope_mean=math.nan, slope_max=math.nan, bound=1.000000001)
    assert "  slope at most 1  " in str(proved)
    assert "at most" not in str(replace(FULL, bound=31.0))
    assert len(proved.fitted(40)) <= 40


def test_the_progress_line_of_the_design() -> None:
    expected = "12,400/100,000  gap 3.1 (held out 3.3)  slope .98, max 1.4  FID[fashion] 41 @10k  212 img/s  ETA 3 h"
    assert str(FULL) == expected


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (101, str(FULL)),
        (90, "12,400/100,000  gap 3.1 (held out 3.3)  slope .98, max 1.4  FID[fashion] 41 @10k  ETA 3 h"),
        (75, "12,400/100,000  gap 3.1 (held out 3.3)  FID[fashion] 41 @10k  ETA 3 h"),
        (60, "12,400/100,000  gap 3.1  FID[fashion] 41 @10k  ETA 3 h"),
        (20, "12,400/100,000  gap "),
    ],
)
def test_a_narrow_terminal_gets_what_fits(width: int, line: str) -> None:
    assert FULL.fitted(width) == line


def test_what_is_not_known_is_left_out() -> None:
    assert str(Progress(3, 10)) == "3/10"
    assert str(Progress(3, 10, gap=-0.5)) == "3/10  gap -.5"


@pytest.mark.parametrize(
    ("x", "text"),
    [(0, "0"), (0.98, ".98"), (-0.041, "-.041"), (1.44, "1.4"), (9.97, "10"), (212.4, "212"), (12345.6, "12,346"),
     (1.5e-7, "1e-07"), (-3.06, "-3.1"), (math.inf, "inf")],
)  # fmt: skip
def test_short_numbers(x: float, text: str) -> None:
    assert short(x) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (42, "42 s"), (89, "89 s"), (91, "1.5 min"), (7200, "2 h"), (1e6, "12 d")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_thousands() -> None:
    assert [thousands(n) for n in (0, 999, 1000, 12_400)] == ["0", "999", "1k", "12.4k"]


def test_no_figure_of_the_line_is_called_a_distance() -> None:
    """The critic's gap may be negative."""
    assert str(replace(FULL, gap=-7.0)).split("  ")[1] == "gap -7 (held out 3.3)"
    assert "w1" not in str(FULL).lower()


def test_plain_lines_come_at_their_pace_and_at_the_end() -> None:
    stream = io.StringIO()
    console = Plain(stream)
    console.say("[red]first[/red]")
    for step in range(1, 11):
        console.tick(step, 1.0)
        console.progress(Progress(step, 10))
    assert stream.getvalue().splitlines() == ["[red]first[/red]", "1/10", "10/10"]


def test_machine_lines_are_json_without_nan() -> None:
    stream = io.StringIO()
    console = Machine(stream)
    console.say("hello")
    console.progress(Progress(1, 2, gap=0.5))
    console.event("metrics", {"step": 1, "gap": None})
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert found == [
        {"event": "message", "text": "hello"},
        {"event": "progress", "step": 1, "steps": 2, "gap": 0.5, "score": ""},
        {"event": "metrics", "step": 1, "gap": None},
    ]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_live_line_and_lines_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    screen = Screen()
    console = console_for(screen)
    assert isinstance(console, Terminal)
    console.say("data [1, 28, 28]")
    console.tick(1, math.nan)
    console.progress(FULL)
    console.busy("scoring 10 samples")
    console.busy("")
    console.close()
    shown = screen.getvalue()
    assert "data [1, 28, 28]\n" in shown
    assert "12,400/100,000" in shown
    assert "gap 3.1 (held out 3.3)  slope .98, max 1.4" in shown
    assert "scoring 10 samples …" in shown


def test_the_console_suits_the_stream() -> None:
    assert isinstance(console_for(io.StringIO()), Plain)
    assert isinstance(console_for(io.StringIO(), machine=True), Machine)
    quiet = Quiet()
    quiet.say("x")
    quiet.progress(FULL)
    quiet.tick(1, 0.0)
    quiet.busy("x")
    quiet.event("x", {})
    quiet.close()
