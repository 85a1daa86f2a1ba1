"""`banach train` through the front door: from start to finish, continued, extended, begun anew, for machines."""

import json
import shlex

import pytest
import torch
import yaml

from banach.cli import train
from banach.config import reading
from banach.config.reading import read_config
from banach.generator import Generator
from banach.runs import checkpoint

TINY = shlex.split(
    "--data 8gaussians:n=400 --model mlp --width 8 --z 2 --batch 16 --n-critic 1 --steps 4 --log-every 1 "
    "--save-every 2 --score-every 0 --score-samples 50 --threads 1"
)


@pytest.fixture
def no_report(monkeypatch):
    """Half of the time of a tiny run is its report page."""
    monkeypatch.setattr(train, "write_report", lambda folder, defaults: None)


def weights(folder) -> dict[str, torch.Tensor]:
    return Generator.load(folder / "generator.safetensors").network.state_dict()


def test_a_run_from_start_to_finish(banach, tmp_path):
    out = tmp_path / "run"
    code, said, err = banach("train", *TINY, "--out", out)
    assert (code, err) == (0, "")
    for line in (
        "data      8gaussians",
        "space     Lp(p=2)",
        "lambda",
        "gamma",
        "networks",
        "device    cpu",
        f"folder    {out}",
    ):
        assert line in said
    assert f"report    {out / 'report.html'}" in said
    assert f"banach sample {out}" in said
    names = {one.name for one in out.iterdir()}
    assert names >= {
        "config.yaml", "environment.json", "facts.json", "metrics.jsonl", "log.txt", "tensorboard", "checkpoints",
        "samples", "generator.safetensors", "report.html",
    }  # fmt: skip
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3, 4]
    stored = yaml.safe_load((out / "config.yaml").read_text())
    assert (stored["steps"], stored["out"], stored["g_width"]) == (4, str(out), 8)


def test_the_same_command_again_says_that_it_is_finished(banach, tmp_path, no_report):
    argv = ("train", *TINY, "--out", tmp_path / "run")
    assert banach(*argv)[0] == 0
    before = weights(tmp_path / "run")
    code, said, err = banach(*argv)
    assert (code, err) == (0, "")
    assert "is finished: 4 steps" in said
    assert all(torch.equal(before[key], after) for key, after in weights(tmp_path / "run").items())


def test_extend_needs_its_flag_and_only_the_folder_besides(banach, tmp_path, no_report):
    out = tmp_path / "run"
    assert banach("train", *TINY, "--decay", "none", "--out", out)[0] == 0
    code, _, err = banach("train", "--out", out, "--steps", "6")
    assert code == 2
    assert "--extend" in err
    code, said, err = banach("train", "--out", out, "--steps", "6", "--extend")
    assert (code, err) == (0, "")
    assert "going on from step 4" in said
    straight = tmp_path / "straight"
    assert banach("train", *TINY, "--decay", "none", "--out", straight, "--steps", "6")[0] == 0
    assert all(torch.equal(weights(straight)[key], after) for key, after in weights(out).items())


def test_fresh_takes_a_numbered_folder_and_leaves_the_old_one(banach, tmp_path, no_report):
    out = tmp_path / "run"
    assert banach("train", *TINY, "--out", out)[0] == 0
    before = checkpoint.load(out / "checkpoints")[0]["step"]
    code, said, _ = banach("train", *TINY, "--seed", 1, "--out", out, "--fresh")
    assert code == 0
    assert f"folder    {tmp_path / 'run-2'}" in said
    assert checkpoint.load(out / "checkpoints")[0]["step"] == before
    assert yaml.safe_load((tmp_path / "run-2" / "config.yaml").read_text())["seed"] == 1


def test_print_config_reads_back_and_trains_nothing(banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, err = banach("train", *TINY, "--space", "outliers", "--print-config")
    assert (code, err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "again.yaml").write_text(said)
    assert banach("train", "--config", "again.yaml", "--print-config")[1] == said
    assert yaml.safe_load(said)["space"] == "outliers"


def test_dry_run_checks_and_tells_and_writes_nothing(banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, err = banach("train", *TINY, "--dry-run")
    assert (code, err) == (0, "")
    assert "space     Lp(p=2)" in said
    assert "nothing was trained" in said
    assert list(tmp_path.iterdir()) == []
    assert banach("train", *TINY, "--space", "shape", "--dry-run")[0] == 2  # Sobolev norms need a grid


@pytest.mark.parametrize("name", reading.presets())
def test_every_preset_is_a_game(banach, name):
    """Where its data have to be fetched, on the pictures that ship with the package."""
    away = read_config(["--preset", name]).data.startswith(("cifar10", "celeba"))
    code, said, err = banach(
        "train", "--preset", name, *(("--data", "fashion", "--size", "none") if away else ()), "--dry-run"
    )
    assert (code, err) == (0, "")
    assert "nothing was trained" in said
    assert ("constraint clip(c=0.01)" in said) == (name == "wgan-toy")


def test_json_is_one_object_a_line(banach, tmp_path, no_report):
    code, said, err = banach("train", *TINY, "--out", tmp_path / "run", "--json")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in said.splitlines()]
    assert events[-1]["event"] == "end"
    assert events[-1]["code"] == 0
    assert {"start", "progress"} <= {one["event"] for one in events}


def test_without_out_the_folder_is_named_after_what_is_trained(banach, tmp_path, monkeypatch, no_report):
    monkeypatch.chdir(tmp_path)
    assert banach("train", *TINY, "--space", "outliers")[0] == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "generator.safetensors").is_file()
    assert "is finished" in banach("train", *TINY, "--space", "outliers")[1]


def test_init_starts_from_a_run_and_from_a_file(banach, tmp_path, no_report):
    first = tmp_path / "first"
    assert banach("train", *TINY, "--out", first)[0] == 0
    raw = checkpoint.load(first / "checkpoints")[0]["generator"]  # a file holds the average, a run both
    for source, start in ((first, raw), (first / "generator.safetensors", weights(first))):
        out = tmp_path / f"from-{source.name}"
        code, said, _ = banach("train", *TINY, "--lr", "1e-12", "--ema", 0, "--init", source, "--out", out)
        assert code == 0
        assert f"from {source}" in said
        end = weights(out)
        assert all(torch.allclose(start[key], end[key], atol=1e-6) for key in start)


def test_report_and_sample_of_the_run(banach, tmp_path):
    out = tmp_path / "run"
    assert banach("train", *TINY, "--out", out)[0] == 0
    (out / "report.html").unlink()
    code, said, err = banach("report", out)
    assert (code, said, err) == (0, f"written: {out / 'report.html'}\n", "")
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert banach("sample", out, "--n", "20")[0] == 0
    assert (out / "samples-seed0-n20.png").is_file()
    (tmp_path / "empty").mkdir()
    code, _, err = banach("report", tmp_path / "empty")
    assert code == 2
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    "more",
    [
        "--space InfConvolution(2,Lp(1),Lp(2))",  # W1 is then scored in L^2, for it needs exact distances
        pytest.param(
            "--space TotalVariation() --model dcgan --data fashion --width 4 --penalty-weight 10 --critic-scale 1",
            marks=pytest.mark.slow,
        ),
        "--penalty ct-gan --constraint spectral-norm",
        "--penalty ct-gan --constraint orthogonal",
    ],
)
def test_what_goes_together_trains_to_the_end(banach, no_report, tmp_path, more):
    code, _, err = banach("train", *TINY, *more.split(), "--out", tmp_path / "run")
    assert code == 0, err


def test_a_constraint_says_what_it_was_published_with(banach, no_report, tmp_path):
    _, out, err = banach("train", *TINY, "--constraint", "clip", "--penalty", "none", "--out", tmp_path / "a")
    assert "clip was published with --optimizer rmsprop --lr 5e-05 --n-critic 5 --first-steps 100" in out + err
    paper = ["--optimizer", "rmsprop", "--lr", "5e-5", "--n-critic", "5", "--first-steps", "100", "--steps", "1"]
    told = banach("train", *TINY, "--constraint", "clip", "--penalty", "none", *paper, "--out", tmp_path / "b")
    assert "published with" not in told[1] + told[2]


PLANNED = shlex.split(
    "--data 8gaussians:n=400 --width 8 --z 2 --batch 16 --threads 1 --minutes 0.02 --score-every 0 --score-samples 50 "
    "--log-every 1 --sample-every 1000 --save-every 1000"
)


def test_a_planned_run_and_what_comes_after_it(banach, tmp_path, no_report, monkeypatch):
    monkeypatch.setattr("banach.session.planning.seconds_of", lambda *given: 0.1)
    out = tmp_path / "run"
    code, said, err = banach("train", *PLANNED, "--out", out)
    assert (code, err) == (0, "")
    assert "plan      for 0.02 minutes: --minutes changes the time; with --steps or --preset nothing is planned" in said
    assert "quality   " in said
    stored = yaml.safe_load((out / "config.yaml").read_text())
    assert (stored["steps"], stored["model"], stored["minutes"], stored["lr"]) == (10, "mlp", 0.02, 0.005)
    (longer,) = [line for line in said.splitlines() if "--minutes 0.08" in line]
    assert f"--out {out}-0.08min" in longer
    again = read_config(shlex.split(longer)[2:])
    assert (again.minutes, again.g_width, again.batch, again.data) == (0.08, 8, 16, "8gaussians:n=400")
    assert "is finished" in banach("train", *PLANNED, "--out", out)[1]
    assert "is finished" in banach("train", "--out", out)[1]


def test_the_printed_config_of_a_planned_run_plans_it_again(banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, err = banach("train", *PLANNED, "--print-config")
    assert (code, err) == (0, "")
    found = yaml.safe_load(said)
    assert not {"steps", "lr", "ema", "model"} & found.keys()
    assert (found["g_width"], found["minutes"]) == (8, 0.02)
    (tmp_path / "again.yaml").write_text(said)
    assert reading.read_request(["--config", "again.yaml"]).config == reading.read_request(PLANNED).config
    assert banach("train", "--config", "again.yaml", "--print-config")[1] == said


def test_dry_run_tells_the_time_of_the_whole_run(banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("banach.session.run.step_seconds", lambda built, limit: 1.5)
    said = banach("train", *TINY, "--steps", "2400", "--dry-run")[1]
    assert "time      about 60 min: 2,400 steps of 1.5 s" in said
    events = [json.loads(line) for line in banach("train", *TINY, "--dry-run", "--json")[1].splitlines()]
    assert {"event": "time", "seconds": 6.0, "seconds_per_step": 1.5} in events
