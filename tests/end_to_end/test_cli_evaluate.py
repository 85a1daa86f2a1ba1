"""`banach evaluate`: scores beside their floors, of a run and of a file, for people and machines."""

import json
import shlex
import shutil

import numpy as np
import pytest

from banach.cli import train
from banach.cli.__main__ import main
from banach.runs.records import EVALUATIONS, SCORED, read_scores

TINY = shlex.split(
    "--model mlp --width 8 --z 2 --batch 16 --n-critic 1 --steps 2 --score-every 0 --score-samples 50 --threads 1"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "write_report", lambda folder, defaults: None)
        assert main(["train", "--data", "8gaussians:n=400", *TINY, "--out", str(folder / "points")]) == 0
        assert main(["train", "--data", "fashion", "--classes", "1", *TINY, "--out", str(folder / "images")]) == 0
    return folder


def evaluate(capsys, *argv) -> dict:
    capsys.readouterr()
    assert main(["evaluate", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_images_are_scored_by_fid_beside_its_floor(runs, capsys):
    found = evaluate(capsys, runs / "images", "--n", "100")
    assert found["value"]["fid"] > 10 * found["floor"]["fid"]
    assert set(found["value"]) >= {"fid", "kid", "is", "precision", "recall"}
    assert found["protocol"]["fakes"] == 100
    assert found["data"] == "fashion"
    assert main(["evaluate", str(runs / "images"), "--n", "100"]) == 0
    said = capsys.readouterr().out
    assert "FID[fashion]" in said
    assert "lower is better" in said
    assert "extractor fashion" in said
    assert f"kept in {runs / 'images' / 'evaluations.jsonl'}" in said


def test_what_is_found_is_kept_in_the_run(runs, tmp_path, capsys):
    folder = shutil.copytree(runs / "images", tmp_path / "run")
    (folder / "evaluations.jsonl").unlink(missing_ok=True)
    found = evaluate(capsys, folder, "--n", "60")
    evaluate(capsys, folder / "generator.safetensors", "--n", "40", "--extractor", "pixels")
    lines, broken = read_scores(folder / "evaluations.jsonl")
    assert broken == 0
    assert [list(line) for line in lines] == [list(EVALUATIONS)] * 2
    assert {key: lines[0][key] for key in ("value", "floor", "protocol")} == {
        key: found[key] for key in ("value", "floor", "protocol")
    }
    assert lines[0]["command"] == ["banach", "evaluate", str(folder), "--n", "60", "--json"]
    assert (lines[1]["step"], lines[1]["protocol"]["extractor"], lines[1]["protocol"]["fakes"]) == (2, "pixels", 40)
    scored, _ = read_scores(folder / "scores.jsonl")
    assert set(SCORED) <= scored[0].keys() & lines[0].keys() & found.keys()  # one set of names
    assert main(["report", str(folder)]) == 0
    assert "FID[pixels]" in (folder / "report.html").read_text()


def test_what_cannot_be_kept_is_told_all_the_same(runs, tmp_path, capsys):
    folder = shutil.copytree(runs / "points", tmp_path / "run")
    (folder / "evaluations.jsonl").mkdir()
    assert main(["evaluate", str(folder), "--n", "60"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("not kept: ")
    assert "excess W1[Lp(p=2)]" in captured.out
    alone = shutil.copy(folder / "generator.safetensors", tmp_path / "alone.safetensors")
    assert main(["evaluate", str(alone), "--n", "60"]) == 0
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["alone.safetensors"]


def test_a_file_alone_gives_the_same_scores_and_a_seed_others(runs, capsys):
    of_run = evaluate(capsys, runs / "images", "--n", "60")
    of_file = evaluate(capsys, runs / "images" / "generator.safetensors", "--n", "60")
    assert of_file["value"] == of_run["value"]
    other = evaluate(capsys, runs / "images", "--n", "60", "--seed", "1")
    assert other["value"]["fid"] != of_run["value"]["fid"]


def test_other_data_are_read_as_the_first_were(runs, tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (200, 1, 28, 28), np.uint8)
    np.save(tmp_path / "noise.npy", images)
    # The stored choice of classes is for the data of the run; noise has none.
    assert main(["evaluate", str(runs / "images"), "--data", str(tmp_path / "noise.npy"), "--n", "60"]) == 0
    assert "against noise.npy" in capsys.readouterr().out


def test_points_are_scored_by_exact_transport(runs, capsys):
    found = evaluate(capsys, runs / "points", "--n", "100")
    assert found["value"]["w1"] > found["floor"]["w1"] >= 0


def test_w1_against_held_out_data_with_its_excess_and_a_test(runs, capsys):
    found = evaluate(capsys, runs / "points", "--n", "60", "--w1", "lp:p=1", "--test")["transport"]
    of = found["excess"]
    assert of["low"] < of["value"] < of["high"]
    assert of["value"] == pytest.approx(of["across"] - (of["floor_a"] + of["floor_b"]) / 2)
    assert found["p_value"] <= 0.05  # two steps of training
    assert found["protocol"]["samples_in_each_half"] == 20  # of the 40 held out
    assert main(["evaluate", str(runs / "points"), "--n", "60", "--w1", "lp:p=1", "--w1-samples", "30"]) == 0
    said = capsys.readouterr().out
    assert "the two differ" in said.lower()
    assert "samples in each half 15" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--data", "nowhere/x"], "check the path"),
        (["--data", "8gaussians:n=400"], "holds samples of shape 2, the generator makes 1x28x28"),
        (["--extractor", "fashon"], "did you mean fashion"),
        (["--n", "3"], "the least is 10"),
        (["--fid"], "unknown flag --fid"),
        (["--test"], "add for example --w1 shape"),
        (["--w1", "shpe"], "or an intent: l2, shape"),
        (["--w1", "Product(2, (Lp(1), Lp(2)), (1, 2))", "--n", "20"], "needs 3 channels"),
    ],
)
def test_refusals(runs, capsys, argv, said):
    assert main(["evaluate", str(runs / "images"), *argv]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) <= 2


def test_what_is_no_run(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err
