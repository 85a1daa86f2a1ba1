"""The table of targets is made of what benchmarks have found on this machine, and fails where one is missed."""

from pathlib import Path

import pytest

from benchmarks import processes, targets
from benchmarks.targets import Target


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page with a place for the table; what benchmarks find is kept beside it."""
    monkeypatch.setattr(targets, "KEPT", tmp_path / "kept")
    path = tmp_path / "page.md"
    path.write_text("<!-- targets -->\n<!-- end of targets -->\n")
    return path


def test_what_is_kept_is_used_and_a_miss_fails(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets.keep("step", [Target("speed", "2.2 times", "2.31 times", True), Target("share", "reported", "68%", None)])
    words = ["--page", str(page), "--only", "step"]
    assert targets.main(words) == 0
    assert "| speed | 2.2 times | 2.31 times | met |" in page.read_text()
    assert "| share | reported | 68% | reported |" in capsys.readouterr().out
    targets.keep("processes", [Target("images", "1.8 times", "1.70 times", False)])
    assert targets.main([*words, "processes"]) == 1
    assert "**missed**" in page.read_text()


def test_what_another_machine_has_found_is_measured_anew(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets.keep("processes", [Target("images", "1.8 times", "1.70 times", False)])
    monkeypatch.setattr(targets, "machine", lambda: "another")
    assert targets.kept("processes") is None

    def main(argv: list[str]) -> int:
        targets.keep("processes", [Target("images", "1.8 times", "1.90 times", True)])
        return 0

    monkeypatch.setattr(processes, "main", main)
    words = ["--page", str(page), "--only", "processes"]
    assert targets.main(words) == 0
    assert "1.90 times" in page.read_text()
    monkeypatch.setattr(processes, "main", lambda argv: pytest.fail("run again"))
    assert targets.main(words) == 0
