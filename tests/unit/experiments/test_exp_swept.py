"""Experiments whose runs are a sweep: real runs, resumed, failed, judged from a sweep that was run elsewhere."""

import json
import math

import pytest

from banach.cli import reproduce as command
from banach.cli import sweep as sweep_command
from banach.errors import BanachError
from banach.experiments.experiment import Experiment, Outcome, Setting
from banach.experiments.objective_table import best_weight
from banach.experiments.reproduce import Wanted, reproduce
from banach.experiments.short_runs import ONE_SPLIT, SHOWN, TINY, keys
from banach.experiments.swept import SWEEP, Scored, by_data, by_score, standing_of, swept, together
from banach.generator import Generator
from banach.metrics.scores import fid
from banach.runs.folder import RunFolder
from banach.session.reference import data_of

BASE = {**keys(TINY, **ONE_SPLIT), "data": "fashion", "score_samples": 20}


def grid(**more):
    return {"base": {**BASE, **more.pop("base", {})}, "seeds": [0], **more}


def test_runs_are_trained_and_scored_once(tmp_path):
    setting = Setting("tiny", tmp_path)
    (one,) = swept(setting, grid())
    folder = RunFolder(tmp_path / SWEEP / "runs" / "seed-0")
    generator = Generator.load(folder.generator)
    assert one.shown == generator.sample(SHOWN).tolist()
    assert one.values == {"seed": 0}
    reals = data_of(generator, folder.path).train[:]
    for extractor in ("fashion", "pixels"):
        assert one.scores[extractor]["fid"] == pytest.approx(fid(generator.sample(20), reals, extractor), rel=1e-6)
    assert set(one.scores["fashion"]) == {"fid", "is"}
    written = folder.generator.stat().st_mtime_ns
    assert swept(setting, grid()) == [one]
    assert folder.generator.stat().st_mtime_ns == written
    assert standing_of(setting) == (True, "1 done")
    with pytest.raises(BanachError, match="holds a sweep with"):
        swept(setting, grid(base={"steps": 3}))


def test_a_run_that_is_not_finite_is_the_worst(tmp_path):
    bad = {"lr": 1e30, "objective": "exp", "penalty": "maxgp", "steps": 6}
    (one,) = swept(Setting("tiny", tmp_path), grid(base=bad))
    assert one.fault
    assert one.shown == []
    good = Scored({}, "", {"fashion": {"fid": 3.0, "is": 2.0}}, ())
    found = by_score({"a": [one, good]})
    assert found == {"fid (fashion)": {"a": [math.inf, 3.0]}, "is (fashion)": {"a": [-math.inf, 2.0]}}
    assert by_score({"a": [one]}) == {"fid (none)": {"a": [math.inf]}}


def test_a_run_that_cannot_be_run_is_an_error_that_names_it(tmp_path):
    (tmp_path / "gone.npy").write_bytes(b"nothing")
    with pytest.raises(BanachError, match=r"seed-0: failed .*gone"):
        swept(Setting("tiny", tmp_path), grid(base={"data": str(tmp_path / "gone.npy")}))


def of(fid, **values):
    return Scored(values, "", {"fashion": {"fid": fid}}, ())


def test_the_weight_is_the_best_mean_over_seeds():
    runs = [of(1.0, **{"penalty-weight": 1}), of(9.0, **{"penalty-weight": 1}), of(4.0, **{"penalty-weight": 10}),
            of(5.0, **{"penalty-weight": 10})]  # fmt: skip
    assert [one.scores["fashion"]["fid"] for one in best_weight(runs)] == [4.0, 5.0]
    assert best_weight([of(2.0), of(3.0)]) == [of(2.0), of(3.0)]


def test_several_data_sets_are_told_apart():
    runs = [of(1.0, data="a"), of(2.0, data="b"), of(3.0, data="a")]
    assert {name: len(found) for name, found in by_data(runs).items()} == {"a": 2, "b": 1}
    assert list(by_data([of(1.0)])) == [""]
    one = Outcome({"n": 1}, {"x": 1}, (), remarks=("so",))
    assert together({"": one}) is one
    both = together({"a": one, "b": one})
    assert both.remarks == ("a: so", "b: so")
    assert both.numbers == {"a": {"x": 1}, "b": {"x": 1}}


def paper(run):
    return Experiment("one", "A title", "Somewhere", "So.", "At least.", run, {"tiny": 0.1, "small": 1},
                      grid=lambda setting: grid(), judges_sweep=True)  # fmt: skip


def test_a_sweep_that_was_run_elsewhere_is_judged(tmp_path, capsys):
    seen = []

    def run(setting):
        seen.append(swept(setting, grid()))
        return Outcome({}, {}, ())

    def again():
        (ended,) = reproduce(Wanted(("one",), "paper", tmp_path), {"one": paper(run)}, lambda line: None)
        return ended

    assert (again().standing, seen) == ("", [])
    sweep = str(tmp_path / "one" / SWEEP)
    assert sweep_command.main(["create", str(tmp_path / "one" / "grid.yaml"), "--out", sweep]) == 0
    assert (again().standing, seen) == ("1 waiting", [])
    assert sweep_command.main(["run", sweep, "--index", "0"]) == 0
    ended = again()
    assert ended.result is not None
    assert ended.result.verdict == "undecided"
    assert len(seen[0]) == 1
    assert again().before


def test_what_the_command_says_of_a_paper_scale(tmp_path, capsys):
    words = ["norm-grid", "--scale", "paper", "--out", str(tmp_path)]
    assert command.main(words) == 0
    said = capsys.readouterr().out
    assert f"banach sweep create {tmp_path}/norm-grid/grid.yaml --out {tmp_path}/norm-grid/sweep" in said
    assert f"banach sweep run {tmp_path}/norm-grid/sweep; in the end the same command judges it" in said
    assert command.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["grid"].endswith("grid.yaml")
