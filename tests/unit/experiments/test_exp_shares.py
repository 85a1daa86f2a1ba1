"""An experiment seed by seed, as a job array has it: the result is that of the whole, whoever ends last."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from banach.cli import reproduce as command
from banach.errors import BanachError
from banach.experiments.catalogue import EXPERIMENTS
from banach.experiments.experiment import Check, Experiment, Outcome
from banach.experiments.reproduce import Ended, Wanted, reproduce
from banach.experiments.results import Result
from banach.runs.lock import Lock

SAME = ("verdict", "checks", "numbers", "settings", "seeds", "tables")


def run(setting):
    values = [setting.part(f"seed={seed}", lambda seed=seed: seed * 0.5) for seed in setting.seeds]
    (setting.folder / "seen.txt").write_text(str(values))
    return Outcome({}, {"values": values}, (Check("sum", sum(values), 1.0),))


def experiment(**more) -> Experiment:
    return Experiment("one", "A", "S, 1", "So.", "So.", run, {"tiny": 0.01}, seeds={"tiny": 3}, **more)


def result(one: Ended) -> Result:
    assert one.result is not None
    return one.result


def of(path, index=None, **more):
    one = experiment(**more)
    return [*reproduce(Wanted(("one",), "tiny", path, index=index), {"one": one}, lambda line: None)]


def test_the_last_seed_to_end_judges_and_the_result_is_that_of_the_whole(tmp_path):
    shares = [of(tmp_path / "shares", index)[0] for index in (2, 0, 1)]
    (whole,) = of(tmp_path / "whole")
    assert [one.share for one in shares] == [2, 0, None]
    assert [one.result is None for one in shares] == [True, True, False]
    found, asked = result(shares[2]).as_dict(), result(whole).as_dict()
    assert {key: found[key] for key in SAME if key in found} == {key: asked[key] for key in SAME if key in asked}
    assert found["numbers"] == {"values": [0.0, 0.5, 1.0]}
    assert (tmp_path / "shares" / "one" / "seeds" / "2" / "seen.txt").read_text() == "[1.0]"  # figures are its own
    assert of(tmp_path / "shares", 1)[0].before


def test_the_seconds_of_all_seeds_count(tmp_path):
    for index in (0, 1):
        of(tmp_path, index)
        (tmp_path / "one" / "parts" / f"seed={index}.took").write_text("[1000.0, 600.0]")
    last = result(*of(tmp_path, 2))
    assert 2000 < last.seconds < 2100
    assert last.cpu_seconds is not None
    assert 1200 <= last.cpu_seconds < 1300


def test_a_seed_that_is_done_is_not_made_again_and_a_damaged_one_is_told(tmp_path):
    of(tmp_path, 0)
    seen = tmp_path / "one" / "seeds" / "0" / "seen.txt"
    seen.unlink()
    assert of(tmp_path, 0)[0].share == 0
    assert not seen.exists()
    (tmp_path / "one" / "parts" / "seed=0.took").write_text("[1.0")
    of(tmp_path, 1)
    with pytest.raises(BanachError, match=r"seed=0\.took is damaged .*; remove it, and run the same command again"):
        of(tmp_path, 2)


def test_two_are_not_at_one_seed_nor_at_a_seed_and_the_whole(tmp_path):
    of(tmp_path, 0)
    with Lock(tmp_path / "one" / "seeds" / "0" / "running.lock"), pytest.raises(BanachError, match="being written"):
        of(tmp_path)
    (tmp_path / "one" / "seeds" / "1").mkdir()
    with Lock(tmp_path / "one" / "seeds" / "1" / "running.lock"), pytest.raises(BanachError, match="being written"):
        of(tmp_path, 1)
    with Lock(tmp_path / "one" / "running.lock"), pytest.raises(BanachError, match="being written"):
        of(tmp_path, 1)


@pytest.mark.parametrize(
    ("index", "more", "said"),
    [(3, {}, "--index 3: one has 3 seeds at scale tiny; 0 to 2"),
     (0, {"together": True}, "one trains all its seeds at once, in one process; leave out --index 0"),
     (0, {"judges_sweep": True}, "one is a sweep at this scale: leave out --index 0, and give it to banach sweep run")],
)  # fmt: skip
def test_what_has_no_such_seed_is_refused(tmp_path, index, more, said):
    with pytest.raises(BanachError) as caught:
        of(tmp_path, index, **more)
    assert str(caught.value) == said
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [(["all", "--index", "0"], "--index is of one experiment, not of all; name one"),
     (["histograms", "--index", "0", "--again"], "--again does not go with --index"),
     (["histograms", "--index", "0", "--workers", "2"], "--workers does not go with --index"),
     (["histograms", "--sbatch", "--index", "0"], "--index does not go with --sbatch"),
     (["stable-critic", "--scale", "paper", "--sbatch"], "trains all its seeds at once"),
     (["norm-grid", "--scale", "paper", "--sbatch"], "norm-grid is a sweep at this scale")],
)  # fmt: skip
def test_what_does_not_go_with_one_seed_is_refused(tmp_path, words, said):
    with pytest.raises(BanachError) as caught:
        command.main([*words, "--out", str(tmp_path / "out")])
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_script_of_an_array_has_a_job_for_each_seed(tmp_path, capsys):
    out = tmp_path / "out"
    assert command.main(["value-surfaces", "--scale", "paper", "--out", str(out), "--sbatch"]) == 0
    said = capsys.readouterr().out
    assert "#SBATCH --array=0-4\n" in said
    line = f' -m banach reproduce value-surfaces --scale paper --out {out} --seeds 5 --index "$SLURM_ARRAY_TASK_ID" &\n'
    assert line in said


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_lets_the_seed_go_and_says_that_it_goes_on(tmp_path, number):
    words = ["reproduce", "mnist-subset", "--scale", "small", "--out", str(tmp_path), "--index", "1"]
    task = subprocess.Popen([sys.executable, "-m", "banach", *words], stderr=subprocess.PIPE, text=True)
    lock, ends = tmp_path / "mnist-subset" / "seeds" / "1" / "running.lock", time.monotonic() + 120
    while not lock.exists():
        assert time.monotonic() < ends
        time.sleep(0.05)
    task.send_signal(number)
    said = task.communicate(timeout=120)[1]
    assert task.returncode == 75
    assert "stopped: what is done is kept in" in said
    assert not lock.exists()


APART = [one.name for one in EXPERIMENTS.values() if not one.together and not one.judges_sweep]


@pytest.mark.slow
@pytest.mark.parametrize("name", APART)
def test_seed_by_seed_every_experiment_finds_the_same(name, tmp_path):
    words = [name, "--scale", "tiny", "--seeds", "2", "--out"]
    for index in "01":
        assert command.main([*words, str(tmp_path / "shares"), "--index", index]) == 0
    assert command.main([*words, str(tmp_path / "whole")]) == 0
    found, whole = (json.loads((tmp_path / at / name / "result.json").read_text()) for at in ("shares", "whole"))
    for key in ("verdict", "checks", "settings", "seeds"):
        assert found[key] == whole[key], key
