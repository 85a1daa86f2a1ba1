"""Five generators of one run: that they are kept, that a stop goes on, and what is judged."""

import pytest

from banach.errors import BanachError
from banach.experiments import snapshot_ensemble as of
from banach.experiments.experiment import Setting

SIZES = of.Sizes(8, 8, 8, 1, 32)


def test_both_runs_share_all_but_the_schedule(tmp_path):
    one, other = (of.config_of("fashion", decay, 3, SIZES, tmp_path) for decay in ("restarts", "linear"))
    assert one.steps == other.steps == 5
    assert (one.restart_every, other.restart_every) == (1, 0)
    assert (one.seed, one.lr, one.size) == (other.seed, other.lr, other.size) == (3, 1e-3, 8)


def test_five_generators_are_kept_and_scored_once(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    setting = Setting("tiny", tmp_path / "out", data=None)
    found = of.one_seed(setting, 0, SIZES)
    assert len(found["members"]) == 5
    assert found["ensemble"].keys() == found["single"].keys() == {"fid", "is"}
    assert all(one["fid"] > 0 for one in found["members"])
    assert [rate for _, rate in found["rates"]] == pytest.approx([1e-3] * 5)  # a period of one step is its start
    trained = tmp_path / "out" / "runs" / "restarts-0" / "checkpoints" / "last.pt"
    before = trained.stat().st_mtime_ns
    assert of.one_seed(setting, 0, SIZES)["members"] == found["members"]
    assert trained.stat().st_mtime_ns == before  # a finished run is not run again


def test_a_run_that_cannot_be_is_an_error(tmp_path):
    with pytest.raises(BanachError, match="nowhere"):
        of.finished(of.config_of("nowhere.npy", "restarts", 0, SIZES, tmp_path / "run"))


def test_the_variation_is_relative():
    assert of.variation([1.0, 3.0]) == pytest.approx(2**0.5 / 2)
    assert of.variation([10.0, 30.0]) == pytest.approx(2**0.5 / 2)
