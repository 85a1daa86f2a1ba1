"""`banach train` in several processes: as one, exactly resumable, ended together, and told of once."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes_driver import Team

from banach.runs.records import TIMES

BASE = {
    "space": "Sobolev(s=-1)", "model": "mlp", "width": 16, "z": 4, "n-critic": 2, "batch": 16, "flip": "true",
    "dequantise": "true", "steps": 40, "log-every": 4, "save-every": 5, "sample-every": 40, "score-every": 40,
    "score-samples": 20, "extractor": "pixels", "threads": 1, "seed": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    np.save(path / "x.npy", np.random.default_rng(0).integers(0, 256, (150, 1, 6, 6), dtype=np.uint8))
    return path


@pytest.fixture(scope="module")
def team(folder: Path) -> Iterator[Team]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BANACH_CACHE", str(folder / "cache"))
        one = Team()
        yield one
        one.close()


def words(folder: Path, out: str, *more: object) -> list[object]:
    base = [word for key, value in BASE.items() for word in (f"--{key}", value)]
    return ["train", "--data", folder / "x.npy", *base, *more, "--out", folder / out]


@pytest.fixture(scope="module")
def undisturbed(team: Team, folder: Path) -> Path:
    ended = team.run(words(folder, "undisturbed"))
    assert [one["code"] for one in ended] == [0, 0], ended
    assert "2 processes" in ended[0]["out"]
    assert ended[1] == {"code": 0, "out": "", "err": ""}
    return folder / "undisturbed"


def checkpoint(run: Path) -> dict[str, Any]:
    """The newest checkpoint as {path: tensor or number}, without the clock."""

    def flat(value: Any, name: str) -> dict[str, Any]:
        if isinstance(value, dict | list):
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            return {key: one for at, part in parts for key, one in flat(part, f"{name}/{at}").items()}
        return {name: value}

    found = flat(torch.load(run / "checkpoints" / "last.pt", weights_only=True), "")
    del found["/seconds"]
    return found


def metrics(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: one for key, one in json.loads(line).items() if key not in TIMES} for line in lines]


def assert_same(one: Path, other: Path) -> None:
    first, second = checkpoint(one), checkpoint(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name], name
    assert metrics(one) == metrics(other)
    assert (one / "samples" / "fakes-000000040.png").read_bytes() == (
        other / "samples" / "fakes-000000040.png"
    ).read_bytes()
    assert not (other / "run.lock").exists()


def assert_close(one: Path, other: Path) -> None:
    first, second = checkpoint(one), checkpoint(other)
    for name, value in first.items():
        if name.startswith(("/generator/", "/critic/", "/average/")):
            torch.testing.assert_close(value, second[name], rtol=1e-3, atol=1e-5, msg=name)
        elif name.startswith(("/sampler/", "/streams/", "/images", "/latents")):
            assert torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name], name
    for mine, theirs in zip(metrics(one), metrics(other), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5)


def test_two_processes_train_as_one(team: Team, folder: Path, undisturbed: Path) -> None:
    assert [one["code"] for one in team.run(words(folder, "alone"), 1)] == [0]
    assert_close(undisturbed, folder / "alone")


def test_asked_to_stop_on_any_process_and_gone_on_from(team: Team, folder: Path, undisturbed: Path) -> None:
    first, second = team.run(words(folder, "stopped"), do="SIGTERM", rank=1, step=17)
    assert (first["code"], second["code"]) == (75, 75)
    assert "asked to stop: saved at step 18 of 40" in first["err"]
    assert "go on with: torchrun" in first["err"]
    assert second["err"] == ""
    first, second = team.run(words(folder, "stopped"), do="SIGINT", rank=0, step=30)
    assert (first["code"], second["code"]) == (75, 75)
    assert "Ctrl-C: saved at step 31" in first["err"]
    assert [one["code"] for one in team.run(words(folder, "stopped"))] == [0, 0]
    assert_same(undisturbed, folder / "stopped")


def test_what_is_asked_to_stop_is_not_started_again(team: Team, folder: Path) -> None:
    """torchrun --max-restarts takes every exit code but 0 for a failure."""
    ended = team.run(words(folder, "minutes", "--max-minutes", 1e-4), restarts=2)
    assert [one["code"] for one in ended] == [0, 0]
    assert "minutes are over: saved at step" in ended[0]["err"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_process_ends_the_run_and_is_told_of_once(
    team: Team, folder: Path, undisturbed: Path, rank: int
) -> None:
    ended = team.run(words(folder, f"lost-{rank}"), do="SIGKILL", rank=rank, step=13)
    dead, left = ended[rank], ended[1 - rank]
    assert (dead["code"], dead["err"]) == (-signal.SIGKILL, "")
    assert left["code"] == 75
    # The first process is also where the others meet, when torchrun is not: what c10d says of that comes before.
    assert re.search(
        r"(^|\n)error: another process of this run was lost at step 13 \(.*\)\n"
        r" +go on with: torchrun … -m banach.cli train --out \S+, from the last checkpoint\n$",
        left["err"],
    )
    assert left["err"].count("error:") == 1
    again = team.run(words(folder, f"lost-{rank}"))
    assert [one["code"] for one in again] == [0, 0]
    assert "going on from step 10" in again[0]["out"]
    assert ("took over the lock" in again[0]["out"]) == (rank == 0)
    assert_same(undisturbed, folder / f"lost-{rank}")


def changing_number(team: Team, folder: Path, out: str, *more: object) -> None:
    """A run of two processes, then of four, then of one."""
    team.run(words(folder, out, *more), do="SIGTERM", rank=0, step=9)
    ended = team.run(words(folder, out, *more), 4, do="SIGTERM", rank=3, step=12)
    assert [one["code"] for one in ended] == [75] * 4, ended
    assert "4 processes, and 2 before: the same data in the same order, but not bit for bit" in ended[0]["out"]
    ended = team.run(words(folder, out, *more), 1)
    assert ended[0]["code"] == 0, ended
    assert "1 processes, and 4 before" in ended[0]["out"]


def test_a_run_goes_on_in_another_number_of_processes(team: Team, folder: Path, undisturbed: Path) -> None:
    changing_number(team, folder, "changed")
    assert_close(undisturbed, folder / "changed")


def test_what_is_not_finite_on_one_process_ends_all(team: Team, folder: Path) -> None:
    first, second = team.run(words(folder, "nan"), do="nan", rank=1, step=7)
    assert (first["code"], second["code"]) == (3, 3)
    assert "not finite: the critic's play at step 7" in first["err"]
    assert second["err"] == ""
    assert torch.load(folder / "nan" / "checkpoints" / "last.pt", weights_only=True)["step"] == 5


def test_a_users_error_is_told_once(team: Team, folder: Path) -> None:
    for more, said in (
        (("--batch", 15), "batch: 15 rows cannot be dealt out evenly to 2 processes; take --batch 14 or 16"),
        (("--device", "cuda:1"), "device: cuda:1 is one device for 2 processes; take auto, cuda or cpu"),
        (("--bacth", 16), "unknown flag --bacth"),
        (("--data", "nowhere.npy"), "nowhere.npy"),
    ):
        first, second = team.run([*words(folder, "wrong"), *more])
        assert (first["code"], second["code"]) == (2, 2)
        assert first["err"].count("error:") == 1
        assert said in first["err"]
        assert (second["out"], second["err"]) == ("", "")
    assert not (folder / "wrong").exists()


def test_an_error_of_another_process_is_told_by_the_first_with_its_place(team: Team, folder: Path) -> None:
    first, second = team.run(words(folder, "elsewhere"), do="no data", rank=1)
    assert (first["code"], second["code"]) == (2, 2)
    assert re.search(r"error: no file or folder x.npy\n +\(process 1 of 2, on \S+\)\n$", first["err"])
    assert second["err"] == ""


def test_help_and_config_are_printed_once_and_other_commands_refused(team: Team, folder: Path) -> None:
    for argv, code, said in (
        (["train", "--help"], 0, "usage"),
        (["train", "--print-config"], 0, "data: fashion"),
        (words(folder, "dry", "--dry-run"), 0, "dry run"),
        (["list", "spaces"], 2, "list runs in one process"),
    ):
        first, second = team.run(argv)
        assert (first["code"], second["code"]) == (code, code)
        assert said in first["out"] + first["err"]
        assert (second["out"], second["err"]) == ("", "")


KILLER = """
import os, signal, threading, time
from pathlib import Path

def act():
    while not Path({path!r}).exists():
        time.sleep(0.002)
    os.kill(os.getpid(), signal.SIGKILL)

if os.environ.get("RANK") == "1" and os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0":
    threading.Thread(target=act, daemon=True).start()
"""


@pytest.mark.slow
def test_torchrun_starts_it_again_from_the_last_checkpoint(folder: Path, team: Team, undisturbed: Path) -> None:
    run = folder / "restarted"
    (folder / "killer.py").write_text(KILLER.format(path=str(run / "checkpoints" / "step-000000015.pt")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", "-m", "banach.cli", *map(str, words(folder, "restarted"))]
    command += ["--plugin", str(folder / "killer.py")]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "another process of this run was lost" in ended.stderr
    assert "torchrun starts all of them again, from the last checkpoint" in ended.stderr
    assert len(re.findall("going on from step (15|20|25|30|35)\n", ended.stdout)) == 1
    assert_same(undisturbed, run)


STATEFUL = {
    "batch statistics": ("--model", "dcgan"),
    "residual": ("--model", "resnet", "--width", 8),
    "buffer": ("--penalty", "maxgp-buffer"),
    "lazy multiplier": ("--penalty", "maxal", "--penalty-schedule", "lazy:every=3"),
    "growing": ("--penalty-schedule", "growing"),
    "spectral norm": ("--constraint", "spectral-norm", "--penalty", "none"),
    "scales of each batch": ("--critic-scale", "batch", "--penalty-weight", "batch"),
    "computed norm": ("--space", "TotalVariation(weight=0.1)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEFUL)
def test_whatever_a_run_remembers_is_gone_on_from(team: Team, folder: Path, name: str) -> None:
    np.save(folder / "grid.npy", np.random.default_rng(0).integers(0, 256, (150, 1, 8, 8), dtype=np.uint8))
    more = *STATEFUL[name], "--data", folder / "grid.npy", "--steps", 12, "--save-every", 100
    whole, cut = f"whole {name}", f"cut {name}"
    assert [one["code"] for one in team.run([*words(folder, whole), *more])] == [0, 0]
    assert [one["code"] for one in team.run([*words(folder, cut), *more], do="SIGTERM", rank=1, step=5)] == [75, 75]
    assert [one["code"] for one in team.run([*words(folder, cut), *more])] == [0, 0]
    first, second = checkpoint(folder / whole), checkpoint(folder / cut)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]) if isinstance(value, torch.Tensor) else value == second[key], key
    assert metrics(folder / whole) == metrics(folder / cut)


@pytest.mark.slow
def test_so_does_one_that_remembers_samples(team: Team, folder: Path) -> None:
    """The steepest points of the step before: 2 of the batch in two processes, and 4, one of each, in four."""
    changing_number(team, folder, "changed-buffer", "--penalty", "maxgp-buffer")
    changing_number(team, folder, "changed-lazy", "--penalty", "maxal", "--penalty-schedule", "lazy:every=2")
