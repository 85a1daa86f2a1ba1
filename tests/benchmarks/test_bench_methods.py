"""docs/methods.md is what the registries say, and every entry of theirs names its source."""

from pathlib import Path

import pytest

from banach.files import written_between
from banach.specs import Entry, Source
from benchmarks import __main__ as benchmarks
from benchmarks import methods

ROOT = Path(__file__).parents[2]
ENTRIES = [(kind, entry) for kind, registry in methods.KINDS.items() for entry in registry.entries()]


@pytest.mark.parametrize(("kind", "entry"), ENTRIES, ids=[f"{kind}: {entry.name}" for kind, entry in ENTRIES])
def test_every_entry_names_its_source(kind, entry):
    source = entry.source
    assert source is not None, f"{entry.name}: register it with source=Source(paper, equation, …)"
    assert source.paper
    if source.paper != "this package":
        assert source.equation or source.unverified, f"{entry.name}: where in {source.paper}?"
        assert source.equation or source.checked, f"{entry.name}: neither an equation nor code"
    for text in (source.paper, source.equation, source.defaults, source.checked, source.unverified):
        assert "[M]" not in text


def test_the_page_is_up_to_date(tmp_path):
    page = ROOT / methods.PAGE
    (tmp_path / "methods.md").write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    assert methods.main(["--page", str(tmp_path / "methods.md")]) == 0
    written = (tmp_path / "methods.md").read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8") == written, "run: python -m benchmarks.methods"


def test_rows_say_what_is_unverified_and_keep_to_their_cells():
    source = Source("Doe 2025", "eq. 3", "weight 1", "doe/gentle 1234567 losses.py", "the weight")
    row = methods.line(Entry("gentle", None, ("gentle(c=2)",), "|f| is\nsmall", source))
    assert row == (
        "| **gentle** `gentle(c=2)` | \\|f\\| is small | Doe 2025, eq. 3 | weight 1 "
        "| doe/gentle 1234567 losses.py. **unverified: the weight** |"
    )
    with pytest.raises(ValueError, match="gentle names no source"):
        methods.line(Entry("gentle", None, ("gentle",), ""))


def test_only_the_place_between_the_markers_is_written(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- it -->\nold\n<!-- end of it -->\nafter\n")
    written_between(page, "it", "\nnew\n\n")
    assert page.read_text() == "before\n<!-- it -->\nnew\n<!-- end of it -->\nafter\n"
    with pytest.raises(ValueError, match="has no place for it"):
        written_between(page, "that", "new")
    assert "new" in page.read_text()


def test_benchmarks_are_listed_and_unknown_ones_refused(capsys):
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "def main(argv" in path.read_text()}
    assert set(benchmarks.BENCHMARKS) == modules
    assert benchmarks.main(["no-such"]) == 2
    said = capsys.readouterr().out
    assert all(name in said for name in benchmarks.BENCHMARKS)
