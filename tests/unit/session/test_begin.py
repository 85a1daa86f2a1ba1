"""The stages of a run: what is made of a folder, and what is left where nothing began in it."""

from pathlib import Path

import pytest

from banach.config.config import Config
from banach.errors import DataError
from banach.runs.folder import FolderError, RunFolder
from banach.session.begin import build_run, resolve
from banach.session.console import Quiet
from banach.session.opening import opened
from banach.session.run import run_in

SMALL = {"data": "8gaussians:n=40", "model": "mlp", "z": 2, "g_width": 4, "d_width": 4, "batch": 8, "steps": 1}
SMALL |= {"score_every": 0, "threads": 1, "score_samples": 8}


def plan(out: Path, **changes):
    return resolve(Config(**{**SMALL, "out": str(out), **changes}), RunFolder(out))


def test_a_folder_is_there_and_locked_inside_and_gone_where_nothing_began(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "deep" / "mine"
    with opened(plan(out), extend=False) as found:
        assert (found.saved, found.notes) == (None, ())
        assert sorted(one.name for one in out.iterdir()) == ["checkpoints", "run.lock", "samples"]
        with pytest.raises(FolderError, match="is being written by"), opened(plan(out), extend=False):
            pass
        assert sorted(one.name for one in out.iterdir()) == ["checkpoints", "run.lock", "samples"]
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    (out / "samples").mkdir(parents=True)
    with pytest.raises(DataError):
        run_in(Config(**{**SMALL, "out": str(out), "data": str(tmp_path / "none.npy")}), RunFolder(out))
    assert [one.name for one in out.iterdir()] == ["samples"]


def test_a_second_command_is_refused_before_it_reads_data(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    with opened(plan(out), extend=False), pytest.raises(FolderError, match="is being written by"):
        run_in(Config(**{**SMALL, "out": str(out), "data": "none.npy"}), RunFolder(out))


def test_a_run_goes_on_from_what_was_saved(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert run_in(Config(**{**SMALL, "out": str(out)}), RunFolder(out)).code == 0
    longer = plan(out, steps=2, decay="linear")
    with pytest.raises(FolderError, match="--extend"), opened(longer, extend=False):
        pass
    with opened(longer, extend=True) as found:
        assert found.saved is not None
        built, notes = build_run(longer, Quiet(), saved=found.saved)
    assert (built.state.step, notes) == (1, ())
    assert (out / "config.yaml").is_file()
    assert (out / "checkpoints").is_dir()
