"""The bar appears for long reads only, and never changes what is read."""

import io

import pytest
from rich.console import Console

from banach.data.progress import progress


def console():
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def test_short_reads_are_silent():
    shown = console()
    assert list(progress(range(5), 5, "reading", console=shown)) == [0, 1, 2, 3, 4]
    assert shown.file.getvalue() == ""


def test_long_reads_show_how_far_they_are():
    shown = console()
    assert list(progress(range(5), 5, "reading", after=0, console=shown)) == [0, 1, 2, 3, 4]
    assert "reading" in shown.file.getvalue()
    assert "/5" in shown.file.getvalue()


def test_the_bar_goes_when_reading_fails():
    shown = console()

    def broken():
        yield 1
        raise OSError

    with pytest.raises(OSError):
        list(progress(broken(), 5, "reading", after=0, console=shown))
    assert not shown._live_stack
