"""The folder of a sweep: made whole or not at all, kept where it is the same, refused where it is another."""

import json

import numpy as np
import pytest

from banach.config.reading import read_file
from banach.errors import BanachError
from banach.sweeps import folder
from banach.sweeps.folder import Sweep, create, open_sweep
from banach.sweeps.grid import SweepError, read_grid

GRID = "base: {data: x.npy, model: mlp, steps: 10}\ngrid: {space: [l2, \"Weighted(Scale('mask.npy'), Lp(2))\"]}\n"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a sweep of a grid in the working folder: (the sweep, whether it was made now)."""
    monkeypatch.chdir(tmp_path)
    np.save("mask.npy", np.ones((4, 4)))
    np.save("x.npy", np.ones((20, 1, 4, 4)))

    def act(text: str = GRID, out: str = "S") -> tuple[Sweep, bool]:
        (tmp_path / "grid.yaml").write_text(text)
        return create(read_grid("grid.yaml"), tmp_path.__class__(out), ["banach", "sweep"])

    return act


def test_each_run_has_a_folder_with_its_whole_config(made, tmp_path):
    sweep, new = made()
    assert new
    assert {one.name for one in (tmp_path / "S").iterdir()} == {"grid.yaml", "runs", "sweep.json"}
    assert (tmp_path / "S" / "grid.yaml").read_text() == GRID
    assert [(one.index, one.name, one.steps) for one in sweep.runs] == [
        (0, "space-l2", 10),
        (1, "space-weighted-scale-mask.npy-lp-2", 10),
    ]
    first = read_file(sweep.runs[0].folder.config)
    assert (first.space, first.data, first.out) == ("l2", "x.npy", "S/runs/space-l2")
    assert open_sweep("S") == sweep == open_sweep(str(tmp_path / "S")).__class__(**vars(sweep))


def test_relative_paths_lead_to_the_same_files_from_any_folder(made, tmp_path, monkeypatch):
    made()
    away = tmp_path / "away" / "further"
    away.mkdir(parents=True)
    monkeypatch.chdir(away)
    one = read_file(open_sweep("../../S").run(1).folder.config)
    assert one.data == str(tmp_path / "x.npy")
    assert repr(str(tmp_path / "mask.npy")) in one.space


def test_and_when_all_has_moved(made, tmp_path, monkeypatch):
    made()
    there = tmp_path / "there"
    there.mkdir()
    for name in ("S", "x.npy", "mask.npy"):
        (tmp_path / name).rename(there / name)
    monkeypatch.chdir(tmp_path / "..")
    assert read_file(open_sweep(there / "S").run(0).folder.config).data == str(there / "x.npy")


def test_the_same_grid_keeps_what_is_there(made, tmp_path):
    made()
    (tmp_path / "S" / "runs" / "space-l2" / "mine").touch()
    times = {one: one.stat().st_mtime_ns for one in (tmp_path / "S").rglob("*")}
    sweep, new = made(GRID.replace("steps: 10", "steps: 1e1") + "# a remark\n")
    assert not new
    assert len(sweep.runs) == 2
    assert {one: one.stat().st_mtime_ns for one in (tmp_path / "S").rglob("*")} == times


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GRID.replace("10", "20"), "holds a sweep with other values of steps"),
        (GRID.replace("10", "10, lr: 1e-3"), "holds a sweep with other values of lr"),
        (GRID + "seeds: [0, 1]\n", r"holds a sweep with other runs \(2 there, 4 now\)"),
        (GRID.replace("[l2", "[Lp(3)"), r"other runs \(2 there, 2 now\)"),
    ],
)
def test_another_grid_is_refused_and_nothing_is_changed(made, tmp_path, text, said):
    made()
    before = {one: one.read_bytes() for one in (tmp_path / "S").rglob("*") if one.is_file()}
    with pytest.raises(SweepError, match=said + "; nothing was changed\nchoose another --out"):
        made(text)
    assert {one: one.read_bytes() for one in (tmp_path / "S").rglob("*") if one.is_file()} == before


def test_other_files_are_left_alone(made, tmp_path):
    (tmp_path / "T").mkdir()
    assert made(out="T")[1]  # an empty folder will do
    (tmp_path / "U").mkdir()
    (tmp_path / "U" / "mine").touch()
    with pytest.raises(SweepError, match="U is there and holds no sweep; choose another --out"):
        made(out="U")
    (tmp_path / "V").touch()
    with pytest.raises(SweepError, match="V is there and holds no sweep"):
        made(out="V")
    with pytest.raises(SweepError, match="cannot make V/W: "):
        made(out="V/W")


def test_no_sweep_says_how_to_make_one(tmp_path):
    with pytest.raises(SweepError, match=r"holds no sweep \(no sweep.json\); make one: banach sweep create"):
        open_sweep(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SweepError, match="is a file; give the folder of a sweep"):
        open_sweep(tmp_path / "file")


RUN = {"index": 0, "name": "a", "steps": 3, "values": {}}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b"\xff", b"{" * 10_000, {"format": 2, "base": {}, "runs": [RUN]},
        {"format": 1, "base": {}, "runs": []},
        {"format": 1, "base": [], "runs": [RUN]}, {"format": 1, "base": {}, "runs": [RUN, {**RUN, "index": 1}]},
        *({"format": 1, "base": {}, "runs": [{**RUN, **one}]} for one in (
            {"name": "../a"}, {"name": "a/b"}, {"name": ".."}, {"name": ""}, {"name": 3}, {"name": "a\n"}, {"steps": 0},
            {"steps": "3"}, {"steps": 2**60}, {"index": 1}, {"values": 3},
        )),
    ],
)  # fmt: skip
def test_a_strangers_sweep_leads_nowhere_else(tmp_path, content):
    whole = {"format": 1, "base": {}, "runs": [RUN]}
    (tmp_path / "sweep.json").write_text(json.dumps(whole))
    assert open_sweep(tmp_path).run(0).name == "a"
    with pytest.raises(BanachError, match="has no run 1; its runs are 0 to 0"):
        open_sweep(tmp_path).run(1)
    (tmp_path / "sweep.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(SweepError, match=r"sweep\.json cannot be read: "):
        open_sweep(tmp_path)


def test_of_two_that_make_it_at_once_one_makes_it_and_the_other_keeps_it(made, tmp_path, monkeypatch):
    write = folder.write_text

    def meanwhile(path, text):
        if path.name == "sweep.json":
            monkeypatch.setattr(folder, "write_text", write)
            assert made()[1]  # the other one is faster
        write(path, text)

    monkeypatch.setattr(folder, "write_text", meanwhile)
    sweep, new = made()
    assert not new
    assert [one.name for one in sweep.runs] == ["space-l2", "space-weighted-scale-mask.npy-lp-2"]
    assert {one.name for one in tmp_path.iterdir()} == {"S", "grid.yaml", "mask.npy", "x.npy"}
