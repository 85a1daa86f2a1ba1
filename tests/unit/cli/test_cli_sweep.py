"""`banach sweep`: what it says, and what it refuses."""

import json
import os
import sys

import pytest

from banach.cli import sweep as command
from banach.session.run import Outcome
from banach.sweeps import one
from banach.sweeps.folder import open_sweep
from banach.sweeps.standing import note_end, standing

GRID = (
    "base: {data: 8gaussians:n=100, model: mlp, width: 4, z: 2, batch: 8, n-critic: 1, steps: 2, score-samples: 20, "
    "threads: 1}\ngrid: {lr: [1e-3, 1e-4]}\n"
)


@pytest.fixture
def made(banach, tmp_path, monkeypatch):
    """A sweep of two runs in S."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(GRID)
    assert banach("sweep", "create", "grid.yaml", "--out", "S")[0] == 0
    return open_sweep("S")


def test_create_says_how_many_runs_and_what_next(banach, made):
    code, said, _ = banach("sweep", "create", "grid.yaml", "--out", "S")
    assert code == 0
    assert said.splitlines() == [
        "2 runs in S, which is there already and was kept as it is: lr (2)",
        "    0  lr-1e-3",
        "    1  lr-1e-4",
        "next: banach sweep run S",
    ]
    told = json.loads(banach("sweep", "create", "grid.yaml", "--out", "T", "--json")[1])
    assert told == {
        "folder": "T",
        "made": True,
        "runs": [{"index": at, "name": f"lr-1e-{at + 3}", "values": {"lr": f"1e-{at + 3}"}} for at in range(2)],
    }


def test_of_many_runs_some_are_shown(banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(f"base: {{steps: 2}}\nseeds: {list(range(50))}\n")
    lines = banach("sweep", "create", "grid.yaml", "--out", "S")[1].splitlines()
    assert lines[0] == "50 runs in S: seed (50)"
    assert lines[-2] == "  …  and 30 more"
    assert len(lines) == 23


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "action is missing"),
        ("stauts S", "'stauts' is none of create, run, status"),
        ("run", "place is missing"),
        ("create grid.yaml", "--out is missing"),
        ("create no.yaml --out T", "no such file"),
        ("create grid.yaml --out grid.yaml", "grid.yaml is there and holds no sweep"),
        ("create grid.yaml --out T --index 1", "--index is of sweep run, not of sweep create"),
        ("status S --retry-failed", "--retry-failed is of sweep run, not of sweep status"),
        ("run S --out T", "--out is of sweep create, not of sweep run"),
        ("run nowhere", "nowhere holds no sweep"),
        ("run S --index 2", "has no run 2; its runs are 0 to 1"),
        ("run S --index -1", "'-1' is too small"),
        ("run S --workers 0", "'0' is too small"),
        ("run S --index 1 --workers 2", "--index and --workers are two ways to run a sweep"),
        ("run S --sbatch --ray auto", "--ray and --sbatch are two ways"),
        ("run S --plugin no.py", "no such file"),
        ("run S --gpus 1", "--gpus is of --ray, which is not given"),
        ("run S --index 0 --cpus 4", "--cpus is of --ray, which is not given"),
    ],
)
def test_what_is_refused(banach, made, line, said):
    code, out, errors = banach("sweep", *line.split())
    assert (code, out) == (2, "")
    assert errors.startswith("error: ")
    assert said in errors
    assert len(errors.splitlines()) <= 2


def test_one_run_and_what_is_said_of_it_then(banach, made):
    code, said, _ = banach("sweep", "run", "S", "--index", "1")
    assert code == 0
    assert "finished: 2 steps" in said
    assert made.run(1).folder.report.is_file()
    assert not list(made.path.rglob("*.lock"))
    assert banach("sweep", "run", "S", "--index", "1")[:2] == (0, "lr-1e-4 is finished; it is not run again\n")
    code, said, _ = banach("sweep", "status", "S")
    assert "S: 2 runs: 1 done, 1 waiting" in said
    told = json.loads(banach("sweep", "status", "S", "--json")[1])
    assert told["counts"] == {"done": 1, "running": 0, "stopped": 0, "failed": 0, "waiting": 1}
    assert [(one["index"], one["state"], one["step"], one["steps"]) for one in told["runs"]] == [
        (0, "waiting", 0, 2),
        (1, "done", 2, 2),
    ]
    assert told["runs"][1]["scores"].keys() >= {"excess"}
    assert told["runs"][0]["values"] == {"lr": "1e-3"}
    assert "\n#SBATCH --array=0\n" in banach("sweep", "run", "S", "--sbatch")[1]


def test_what_another_has_is_left_alone_in_one_line(banach, made, tmp_path):
    made.run(0).claim.write_text(json.dumps({"host": os.uname().nodename, "pid": os.getppid(), "token": "x"}))
    code, said, errors = banach("sweep", "run", "S", "--index", "0")
    assert (code, errors) == (0, "")
    assert said.startswith(f"lr-1e-3 is being run by process {os.getppid()} on ")
    assert said.endswith("; left alone\n")
    assert "by process" in banach("sweep", "status", "S")[1]


def test_wrong_input_is_noted_with_its_message_and_tried_again_on_request(banach, made, monkeypatch):
    config = made.run(0).folder.config
    config.write_text(config.read_text().replace("8gaussians:n=100", "gone.npy"))
    code, _, errors = banach("sweep", "run", "S", "--index", "0")
    assert code == 2
    assert "gone.npy" in errors
    assert "gone.npy" in standing(made.run(0)).message
    code, _, errors = banach("sweep", "run", "S", "--index", "0")
    assert code == 2
    assert errors.startswith("error: lr-1e-3 has failed: ")
    assert "--retry-failed tries it again" in errors
    assert "gone.npy" in banach("sweep", "status", "S")[1]
    config.write_text(config.read_text().replace("gone.npy", "8gaussians:n=100"))
    assert banach("sweep", "run", "S", "--index", "0", "--retry-failed")[0] == 0
    assert standing(made.run(0)).state == "done"


def test_a_fault_is_noted_and_told(banach, made, monkeypatch):
    def breaks(*_, **__):
        raise RuntimeError("odd\nthing")

    monkeypatch.setattr(one, "train", breaks)
    code, _, errors = banach("sweep", "run", "S", "--index", "0")
    assert code == 1
    assert "RuntimeError: odd thing" in errors
    assert standing(made.run(0)).message == "RuntimeError: odd thing"
    assert not made.run(0).claim.exists()


@pytest.mark.parametrize(("code", "noted"), [(75, False), (3, True), (0, True)])
def test_every_end_has_its_code(banach, made, monkeypatch, code, noted):
    monkeypatch.setattr(one, "train", lambda config, console: Outcome(code, made.run(0).folder.path, "so it ended"))
    found, said, errors = banach("sweep", "run", "S", "--index", "0")
    assert found == code
    assert "so it ended" in said + errors
    assert made.run(0).ended.exists() == noted


def test_nothing_left_to_queue(banach, made):
    for run in made.runs:
        note_end(run, 3, "not finite")
    code, out, errors = banach("sweep", "run", "S", "--sbatch")
    assert (code, out) == (2, "")
    assert "no run is left to queue (2 runs: 2 failed); --retry-failed" in errors
    assert "--array=0-1\n" in banach("sweep", "run", "S", "--sbatch", "--retry-failed")[1]


def test_all_that_is_left_says_what_failed_and_how_to_try_again(banach, made):
    for run in made.runs:
        note_end(run, 3, "not finite")
    code, said, _ = banach("sweep", "run", "S")
    assert code == 0  # nothing was free
    assert said.splitlines() == [
        "S: 2 runs: 2 failed",
        "S: 2 runs: 2 failed",
        "2 runs failed (banach sweep status S says why); to try again: banach sweep run S --retry-failed",
    ]
    code, said, errors = banach("sweep", "run", "S", "--json")
    assert json.loads(said)["counts"]["failed"] == 2
    assert errors.startswith("S: 2 runs: 2 failed\n")


def test_without_ray_it_says_how_to_get_it(banach, made, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, errors = banach("sweep", "run", "S", "--ray", "auto")
    assert code == 2
    assert errors == "error: ray: Ray is not installed here; pip install 'banach[sweep]'\n"


def test_the_worker_that_started_it_is_watched(banach, made, monkeypatch):
    watched = []
    monkeypatch.setenv(one.WORKED, "1")
    monkeypatch.setattr(command, "stop_without_worker", lambda: watched.append(True))
    made.run(0).claim.write_text(json.dumps({"host": os.uname().nodename, "pid": os.getppid(), "token": "x"}))
    assert banach("sweep", "run", "S", "--index", "0")[0] == 0  # the claim is the worker's
    assert watched == [True]
    assert standing(made.run(0)).state == "done"
