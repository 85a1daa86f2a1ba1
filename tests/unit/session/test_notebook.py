"""Progress in a notebook, by a stand-in for the display of its kernel."""

import math
from typing import Any

import pytest

from banach.session import notebook, watching
from banach.session.console import Progress
from banach.session.notebook import Notebook
from banach.session.watching import console_of_caller


class Handle:
    """What IPython's display gives back: it keeps what is shown in its place."""

    def __init__(self, bundle: dict[str, str]):
        self.shown = [bundle]

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """The outputs of a cell."""
    handles: list[Handle] = []

    def display(bundle: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        handles.append(Handle(bundle))
        return handles[-1]

    monkeypatch.setattr(notebook, "_display", lambda: display)
    monkeypatch.setattr(notebook, "_PACE", 0.0)
    return handles


def test_one_line_is_drawn_anew_in_its_place(cell: list[Handle], capsys: pytest.CaptureFixture[str]) -> None:
    console = Notebook()
    console.tick(1, math.nan)
    console.say("data      <b>")
    console.progress(Progress(5, 10, gap=-2.0, score="FID[<i>] 3"))
    console.tick(6, 30.0)
    console.busy("scoring 10 samples")
    console.busy("")
    console.progress(Progress(10, 10))
    console.close()
    assert capsys.readouterr().out == "data      <b>\n"
    (handle,) = cell
    texts = [one["text/plain"] for one in handle.shown]
    assert texts[0] == "5/10  gap -2  FID[<i>] 3"
    assert texts[1].startswith("6/10")
    assert texts[2] == "6/10  scoring 10 samples …"
    assert texts[-1] == "10/10"
    assert '<progress value="5" max="10">' in handle.shown[0]["text/html"]
    assert "FID[&lt;i&gt;]" in handle.shown[0]["text/html"]


def test_a_kernel_gets_the_notebooks_display(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not isinstance(console_of_caller(), Notebook)
    monkeypatch.setattr(watching, "in_notebook", lambda: True)
    assert isinstance(console_of_caller(), Notebook)
