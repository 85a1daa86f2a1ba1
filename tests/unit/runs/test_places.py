"""Relative paths of a run, found again from anywhere."""

import ast
import json
from pathlib import Path

import pytest

from banach.config.reading import located
from banach.runs.folder import RunFolder
from banach.runs.places import found, found_in_spec


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with photos and a run, and a folder elsewhere, in which one stands."""
    for one in ("project/photos", "project/runs/mine", "elsewhere"):
        (tmp_path / one).mkdir(parents=True)
    noted = {"folder": str(tmp_path / "project")}
    (tmp_path / "project" / "runs" / "mine" / "environment.json").write_text(json.dumps(noted))
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "project"


def test_by_where_the_run_lies(project: Path) -> None:
    run = RunFolder(project / "runs" / "mine")
    run.environment.unlink()
    assert found("photos", run, "runs/mine") == str(project / "photos")
    moved = project.rename(project.with_name("moved"))
    assert found("photos", RunFolder(moved / "runs" / "mine"), "runs/mine") == str(moved / "photos")
    (moved / "x.npz").write_text("")
    assert found("x.npz:key", RunFolder(moved / "runs" / "mine"), "runs/mine") == str(moved / "x.npz:key")


def test_by_where_it_was_begun(project: Path) -> None:
    away = (project / "runs" / "mine").rename(project.parent / "away")
    assert found("photos", RunFolder(away), "runs/mine") == str(project / "photos")
    assert found("photos", RunFolder(away), "/abs/runs/mine") == str(project / "photos")


def test_from_where_one_stands_it_stays_as_it_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(project / "runs" / "mine")
    assert found("nowhere", run, "runs/mine") == "nowhere"
    assert found(str(project / "photos"), run, "runs/mine") == str(project / "photos")
    assert found("", run, "runs/mine") == ""
    run.environment.write_text("[")
    assert found("photos", run, "elsewhere/mine") == "photos"
    monkeypatch.chdir(project)
    assert found("photos", RunFolder(Path("runs/mine")), "runs/mine") == "photos"


def test_files_inside_a_spec(project: Path) -> None:
    run = RunFolder(project / "runs" / "mine")
    (project / "mask.npy").write_text("")
    (project / "even").mkdir()
    spec = """Weighted(Compose(Scale('mask.npy', floor=0.1), Scale("gone.png")), Sobolev(s=-1, boundary='even'))"""
    expected = spec.replace("mask.npy", str(project / "mask.npy"))
    assert found_in_spec(spec, run, "runs/mine") == expected
    given = {"out": "runs/mine", "space": spec, "penalty": "wgan-gp", "score_w1": spec}
    assert located(given, run) == {**given, "space": expected, "score_w1": expected}
    odd = project.rename(project.with_name("""it's "mine" """))
    there = found_in_spec("Scale('mask.npy')", RunFolder(odd / "runs" / "mine"), "runs/mine")
    assert ast.literal_eval(there.removeprefix("Scale")) == str(odd / "mask.npy")
