"""What the report reads from a run folder, whole or broken."""

import dataclasses
import json
import os
import socket
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from banach.report.run import Curve, ReportError, Score, read_run
from banach.runs import facts, records


def test_a_whole_run_is_read_exactly(run_folder):
    run = read_run(run_folder)
    assert (run.status, run.step, run.steps) == ("finished", 4000, 4000)
    assert run.config["space"] == "Sobolev(s=-1)"
    assert run.environment["packages"]["torch"] == version("torch")
    assert run.metrics["lr"].steps.tolist() == list(range(10, 4001, 10))
    assert run.metrics["lr"].values[99] == pytest.approx(2e-4 * 0.75, rel=1e-12)
    assert [picture.step for picture in run.samples] == list(range(500, 4001, 500))
    assert [picture.step for picture in run.derivatives] == [4000]
    assert run.reals == run_folder / "samples" / "reals.png"
    assert [path.name for path in run.generators] == ["generator.safetensors", "best.safetensors"]
    assert "finished: 4 steps" in run.log_tail[-1]
    assert run.notes == ()


def test_scores_carry_floor_protocol_and_best(run_folder):
    scores = {score.name: score for score in read_run(run_folder).scores}
    assert list(scores) == ["fid", "kid", "is", "precision", "recall"]
    assert scores["fid"].floor == 2.13
    assert scores["fid"].sense == "lower is better"
    assert scores["is"].sense == "higher is better"
    assert "extractor fashion" in scores["fid"].protocol
    assert len(scores["fid"].curve.steps) == 8


@pytest.mark.parametrize(("name", "best"), [("fid", (20, 3.0)), ("precision", (30, 5.0))])
def test_best_looks_in_the_right_direction(name, best):
    score = Score(name, Curve(np.array([10.0, 20, 30]), np.array([4.0, 3, 5])), None, "")
    assert score.best == best


@pytest.mark.parametrize(("floor", "best"), [(4.5, (10, 4.0)), (0.0, (20, 3.0)), (None, None)])
def test_w1_is_best_at_its_floor_and_nowhere_without(floor, best):
    assert Score("w1", Curve(np.array([10.0, 20, 30]), np.array([4.0, 3, 5.5])), floor, "").best == best


def test_figures_of_two_extractors_are_two_scores(run_folder):
    lines = [
        {"step": at, "value": {"fid": 10.0 * at}, "protocol": {"extractor": "pixels" if at < 3 else "fashion"}}
        for at in (1, 2, 3)
    ]
    (run_folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    newest, other = read_run(run_folder).scores
    assert (newest.about["extractor"], newest.curve.values.tolist()) == ("fashion", [30])
    assert (other.about["extractor"], other.curve.values.tolist()) == ("pixels", [10, 20])


def test_the_names_of_scores_are_those_of_every_version(run_folder):
    former = {"step": 1, "scores": {"fid": 3.0}, "floors": {"fid": 1.0}, "matched": {"fid": 4.0}, "protocol": {}}
    now = {"step": 2, "value": {"fid": 2.0}, "floor": {"fid": 1.5}, "matched": {"fid": 2.5}, "protocol": {}}
    (run_folder / "scores.jsonl").write_text(f"{json.dumps(former)}\n{json.dumps(now)}\n")
    (score,) = read_run(run_folder).scores
    assert (score.curve.values.tolist(), score.floor, score.matched) == ([3, 2], 1.5, 2.5)


def test_evaluations_are_read_as_far_as_they_go(run_folder):
    whole = {
        "step": 40, "date": "2026-11-30 10:00:00", "command": ["banach", "evaluate", "r"], "data": "fashion",
        "generator": "best.safetensors", "value": {"fid": 2.0}, "floor": {"fid": 1.5}, "matched": {},
        "protocol": {"fakes": 50},
        "transport": {"excess": {"value": 1, "low": 0, "high": 2}, "protocol": {"metric": "m"}},
    }  # fmt: skip
    text = f'{json.dumps(whole)}\n{{"step": 2, "transport": 3, "value": [1], "command": "x"}}\nnonsense\n'
    (run_folder / "evaluations.jsonl").write_text(text)
    run = read_run(run_folder)
    one, other = run.evaluations
    assert (one.samples, one.scores[0].floor, one.excess, one.norm) == (50, 1.5, {"value": 1, "low": 0, "high": 2}, "m")
    assert (other.scores, other.command, other.excess, other.samples) == ((), (), {}, 0)
    assert run.notes == ("1 line of evaluations.jsonl could not be read and left out",)
    assert run.step == 4000  # scoring again is no progress


def test_the_newest_scoring_sets_floor_protocol_and_matched_value(run_folder):
    lines = [
        {
            "step": 9,
            "scores": {"fid": 2.0, "kid": None},
            "floors": {"fid": 1.0},
            "matched": {"fid": 2.5},
            "protocol": "b",
        },
        {"step": 5, "scores": {"fid": 3.0}, "floors": {"fid": 1.5}, "matched": {"fid": 3.5}, "protocol": "a"},
        {"step": 7, "scores": [1]},
    ]
    (run_folder / "scores.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (score,) = read_run(run_folder).scores
    assert (score.name, score.floor, score.protocol, score.matched) == ("fid", 1.0, "b", 2.5)
    assert (score.curve.steps.tolist(), score.curve.values.tolist()) == ([5, 9], [3, 2])


def test_a_folder_as_a_run_wrote_it_is_read_whole(trained):
    run = read_run(trained)
    assert (run.status, run.step, run.steps, run.notes) == ("finished", 4, 4, ())
    assert set(run.metrics) <= set(records.KEYS)
    assert run.metrics["images"].steps.tolist() == [2, 4]
    assert [picture.step for picture in run.samples] == [0, 2, 4]
    assert run.reals == trained / "samples" / "reals.png"
    assert {score.name: score.curve.steps.tolist() for score in run.scores}["fid"] == [2, 4]
    assert "pixels" in run.scores[0].protocol
    assert run.environment["command"] == ["banach", "train", "--out", "runs/demo"]


def test_what_the_run_is_comes_from_its_facts_and_its_log_may_say_anything(trained):
    known = facts.read(trained / "facts.json")
    saved = torch.load(trained / "checkpoints" / "last.pt", weights_only=True)
    assert (known.lam, known.lam_error) == (saved["facts"]["lam"], saved["facts"]["lam_error"])
    size = sum(one.numel() for one in saved["generator"].values())
    (trained / "log.txt").write_text(
        "2026-11-22 00:58:30  data      another\n2026-11-22 00:58:30  game      lambda 7, gamma 8\nnot finite\n"
    )
    run = read_run(trained)
    assert run.told["data"] == "fashion: 9,000 to train on, 1,000 held out, shape (1, 28, 28)"
    assert run.told["lambda"] == f"{known.lam:.4g} ± {known.lam_error:.1g} (from the data)"
    assert run.told["gamma"] == f"{saved['facts']['gamma']:.4g} ± {saved['facts']['gamma_error']:.1g} (from the data)"
    assert run.told["networks"].startswith(f"mlp: generator {size:,} parameters, critic ")
    (trained / "log.txt").unlink()
    assert read_run(trained).told == run.told


def test_a_run_that_was_not_finite_says_so(make_run):
    folder = make_run("burst", done=2000)
    assert read_run(folder).status == "stopped"
    known = facts.read(folder / "facts.json")
    facts.write(folder / "facts.json", dataclasses.replace(known, not_finite="the critic's penalty at step 2000"))
    assert read_run(folder).status == "not finite"


LOG = """\
2026-11-22 00:58:30  data      fashion: 9,000 to train on, 1,000 held out, shape (1, 28, 28)
2026-11-22 00:58:30            10,000 grey images 28x28
2026-11-22 00:58:30  game      wasserstein, penalty wgan-gp, lambda 21.69 +- 0.03 (from the data), gamma 25.8, drift 0
2026-11-22 00:58:30  networks  resnet: generator 111,265 parameters, critic 16,721
2026-11-22 01:03:13  stopped: the penalty is not finite at step 2001
"""


def test_of_a_run_from_before_facts_were_written_the_log_is_read(make_run):
    folder = make_run("old", done=2000)
    (folder / "facts.json").unlink()
    (folder / "log.txt").write_text(LOG)
    run = read_run(folder)
    assert (run.status, run.notes) == ("not finite", ())
    assert run.told == {
        "data": "fashion: 9,000 to train on, 1,000 held out, shape (1, 28, 28)",
        "networks": "resnet: generator 111,265 parameters, critic 16,721",
        "lambda": "21.69 ± 0.03 (from the data)",
        "gamma": "25.8",
    }
    (folder / "log.txt").write_text("".join(LOG.splitlines(keepends=True)[:-1]))
    assert read_run(folder).status == "stopped"


def test_broken_facts_are_a_note_and_the_log_is_not_asked(run_folder):
    (run_folder / "facts.json").write_text("{")
    run = read_run(run_folder)
    assert run.told == {}
    assert run.notes[0].startswith("facts.json cannot be read (it is no JSON")


def test_a_cut_last_line_is_left_out_and_said(run_folder):
    path = run_folder / "metrics.jsonl"
    path.write_text(path.read_text()[:-30])
    run = read_run(run_folder)
    assert run.metrics["gap"].steps[-1] == 3990
    assert run.notes == ("1 line of metrics.jsonl could not be read and left out",)


def test_a_step_logged_twice_counts_once_with_its_last_line(run_folder):
    lines = [{"step": 2, "gap": 1.0}, {"step": 1, "gap": 5.0}, {"step": 2, "gap": 7.0}]
    (run_folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    gap = read_run(run_folder).metrics["gap"]
    assert gap.steps.tolist() == [1, 2]
    assert gap.values.tolist() == [5.0, 7.0]


def test_values_that_are_no_finite_numbers_make_no_points(run_folder):
    text = '{"step": 1, "gap": NaN, "slope_max": Infinity, "ok": true, "name": "x"}\n{"step": 2, "gap": 1}\n[3]\n7\n'
    (run_folder / "metrics.jsonl").write_text(text)
    run = read_run(run_folder)
    assert list(run.metrics) == ["gap"]
    assert run.metrics["gap"].steps.tolist() == [2]
    assert "2 lines" in run.notes[0]


def lock(folder: Path, host: str = "elsewhere", pid: int = 1, age: float = 0.0) -> None:
    path = folder / "run.lock"
    path.write_text(json.dumps({"host": host, "pid": pid, "token": "t"}))
    os.utime(path, (time.time() - age, time.time() - age))


def test_a_run_is_under_way_while_its_lock_is_alive(make_run):
    folder = make_run("half", done=2000)
    assert read_run(folder).status == "stopped"
    lock(folder)
    assert read_run(folder).status == "running"
    lock(folder, age=3600)
    assert read_run(folder).status == "stopped"
    lock(folder, socket.gethostname(), os.getpid())
    assert read_run(folder).status == "running"
    gone = subprocess.Popen(["true"])
    gone.wait()
    lock(folder, socket.gethostname(), gone.pid)
    assert read_run(folder).status == "stopped"
    (folder / "run.lock").write_text("{")
    assert read_run(folder).status == "stopped"


def test_a_finished_run_is_finished_while_its_process_still_ends(run_folder):
    lock(run_folder)
    assert read_run(run_folder).status == "finished"


def test_missing_parts_are_empty(tmp_path):
    (tmp_path / "config.yaml").write_text("steps: 10\n")
    run = read_run(tmp_path)
    assert (run.status, run.step, run.metrics, run.scores, run.samples, run.reals) == (
        "not started",
        0,
        {},
        (),
        (),
        None,
    )
    assert run.notes == ("environment.json is missing",)


def test_a_broken_config_is_a_note_not_a_crash(run_folder):
    (run_folder / "config.yaml").write_text("a: [1\nb: }")
    run = read_run(run_folder)
    assert run.config == {}
    assert run.notes[0].startswith("config.yaml cannot be read")


def test_a_checkpoint_bears_witness_of_the_step(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000700.pt").write_bytes(b"")
    assert read_run(tmp_path).step == 700


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir()])
def test_no_run_folder_is_refused_in_one_line(tmp_path, make):
    folder: Path = tmp_path / "nothing"
    make(folder)
    with pytest.raises(ReportError, match="run folder") as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)
