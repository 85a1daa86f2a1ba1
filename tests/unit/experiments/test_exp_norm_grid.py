"""norm-grid: the rule on scores that are known, the user's own data, the sweep of the published runs."""

import json

import numpy as np
import pytest

from banach.experiments import norm_grid
from banach.experiments.correlation import Interval
from banach.experiments.experiment import FAILS, HOLDS, UNDECIDED, Setting
from banach.experiments.reproduce import Wanted, reproduce
from banach.experiments.swept import write_grid
from banach.sweeps.grid import read_grid

KNOWN = {"norm-grid": norm_grid.EXPERIMENT}
POINTS = {norm_grid.spec(point): point for point in norm_grid.FEW.all}


def verdict_of(tmp_path, fid_of, seeds=3, fault=lambda s, p: ""):
    """The verdict where the parts on disk hold FIDs by (s, p, seed), and inception scores that fall as they rise."""
    folder = tmp_path / "norm-grid"
    (folder / "parts").mkdir(parents=True)
    setting = Setting("tiny", folder, tuple(range(seeds)))
    for one in read_grid(write_grid(setting, norm_grid.grid(setting))).runs:
        s, p = POINTS[one.values["space"]]
        fid = fid_of(s, p, one.values["seed"])
        scores = {"fashion": {"fid": fid, "is": 10 - fid / 100}, "pixels": {"fid": fid}}
        part = {"fault": fault(s, p), "scores": scores, "shown": [[[[0, 1], [2, 3]]]] * 8}
        (folder / "parts" / f"{one.name}.json").write_text(json.dumps(part))
    before = len(list((folder / "parts").iterdir()))
    assert before == seeds * len(norm_grid.FEW.all)
    (ended,) = reproduce(Wanted(("norm-grid",), "tiny", tmp_path, seeds=seeds), KNOWN, lambda line: None)
    assert len(list((folder / "parts").iterdir())) == before + 1  # asked.json: no run was begun
    return ended.result


def claimed(s, p, seed):
    return 50 + 10 * s - 2 * p + 0.1 * seed


def test_the_claim_holds_where_low_s_and_high_p_score_best(tmp_path):
    result = verdict_of(tmp_path, claimed)
    assert result.verdict == HOLDS
    assert all("yes" in remark for remark in result.found["remarks"][:2])


@pytest.mark.parametrize("way", [lambda s, p, k: 100 - claimed(s, p, k), lambda s, p, k: 50 + 10 * s + 2 * p + k / 10,
                                 lambda s, p, k: 50 - 10 * s - 2 * p + k / 10])  # fmt: skip
def test_it_fails_where_either_goes_the_other_way(tmp_path, way):
    result = verdict_of(tmp_path, way)
    assert result.verdict == FAILS
    assert any("no, the opposite" in remark for remark in result.found["remarks"])


def test_it_fails_where_seeds_differ_more_than_norms(tmp_path):
    result = verdict_of(tmp_path, lambda s, p, seed: 50 + 0.1 * s - 0.1 * p + 10 * seed)
    assert result.verdict == FAILS
    assert all("not shown" in remark for remark in result.found["remarks"][:2])


def test_one_seed_decides_nothing(tmp_path):
    assert verdict_of(tmp_path, claimed, seeds=1).verdict == UNDECIDED


def test_a_run_that_failed_counts_as_the_worst(tmp_path):
    result = verdict_of(tmp_path, claimed, fault=lambda s, p: "not finite: loss at step 3" if p == 4 else "")
    assert result.verdict == FAILS
    assert "3 runs ended in a number that was not finite" in result.found["remarks"][2]
    assert result.found["numbers"]["scores"]["fid (fashion)"]["Sobolev(s=0, p=4)"] == ["inf"] * 3


def test_directions_and_answers():
    assert [norm_grid.better_up(axis, name) for axis in "sp" for name in ("fid", "is")] == [True, False, False, True]
    assert norm_grid.answer("p", "fid (fashion)", Interval(-0.9, -1.0, -0.5)) == "yes"
    assert norm_grid.answer("p", "is (fashion)", Interval(-0.9, -1.0, -0.5)) == "no, the opposite"


def test_every_point_is_run_once():
    assert len(norm_grid.SOME.all) == len(set(norm_grid.SOME.all)) == 5 + 4 + 4
    assert {(-1.0, 2), (0, 2.0), (1.0, 4.0)} <= set(norm_grid.SOME.all)


def test_the_users_pictures(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    np.save(tmp_path / "mine.npy", images)
    wanted = Wanted(("norm-grid",), "tiny", tmp_path / "out", data=str(tmp_path / "mine.npy"))
    (ended,) = reproduce(wanted, KNOWN, lambda line: None)
    assert set(ended.result.found["numbers"]["scores"]) == {"fid (pixels)"}
    assert ended.result.found["settings"]["base"]["data"] == str(tmp_path / "mine.npy")


def test_the_sweep_of_the_users_data(tmp_path):
    (tmp_path / "photos").mkdir()
    found = norm_grid.grid(Setting("paper", tmp_path, (0, 1), str(tmp_path / "photos")))
    assert found["cases"] == [{"data": str(tmp_path / "photos"), "size": 32}]
    assert found["seeds"] == [0, 1]
