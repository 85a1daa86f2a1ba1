"""A run that is killed again and again, also inside a checkpoint write, ends bit for bit as one that was left alone."""

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from resume_driver import Driver

from banach.generator import Generator
from banach.runs.records import KEYS, TIMES

BASE = {
    "space": "Sobolev(s=-1)", "model": "mlp", "g_width": 16, "d_width": 16, "z": 4, "n_critic": 2, "batch": 16,
    "first_steps": 3, "flip": True, "dequantise": True, "steps": 60, "log_every": 4, "save_every": 5,
    "sample_every": 30, "score_every": 30, "score_samples": 20, "extractor": "pixels", "threads": 1, "seed": 3,
}  # fmt: skip
LONG = {"steps": 120}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    np.save(path / "x.npy", np.random.default_rng(0).integers(0, 256, (150, 1, 6, 6), dtype=np.uint8))
    return path


@pytest.fixture(scope="module")
def driver(folder: Path) -> Iterator[Driver]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BANACH_CACHE", str(folder / "cache"))
        one = Driver()
        yield one
        one.close()


def config(folder: Path, out: str, **changes: Any) -> dict[str, Any]:
    return {**BASE, "data": str(folder / "x.npy"), "out": str(folder / out), **changes}


@pytest.fixture(scope="module")
def undisturbed(driver: Driver, folder: Path) -> Path:
    assert driver.run(config(folder, "undisturbed"))["code"] == 0
    return folder / "undisturbed"


def lines(path: Path) -> list[dict[str, Any]]:
    return [
        {key: one for key, one in json.loads(line).items() if key not in TIMES}
        for line in path.read_text().splitlines()
    ]


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """A checkpoint as {path: tensor or number}."""
    if isinstance(value, dict):
        return {key: one for at, part in value.items() for key, one in flat(part, f"{name}/{at}").items()}
    if isinstance(value, list):
        return {key: one for at, part in enumerate(value) for key, one in flat(part, f"{name}/{at}").items()}
    return {name: value}


def assert_same_run(one: Path, other: Path) -> None:
    first, second = (flat(torch.load(run / "checkpoints" / "last.pt", weights_only=True)) for run in (one, other))
    assert first.keys() == second.keys()
    for name, value in first.items():
        if name != "/seconds":
            same = torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name]
            assert same, name
    assert lines(one / "metrics.jsonl") == lines(other / "metrics.jsonl")
    assert lines(one / "scores.jsonl") == lines(other / "scores.jsonl")
    for pictures in (one / "samples", other / "samples"):
        assert {path.name for path in pictures.iterdir()} == {path.name for path in (one / "samples").iterdir()}
    for path in (one / "samples").iterdir():
        assert path.read_bytes() == (other / "samples" / path.name).read_bytes(), path.name
    for name in ("generator.safetensors", "best.safetensors"):
        left, right = (Generator.load(run / name) for run in (one, other))
        assert left.about.step == right.about.step
        assert torch.equal(left.sample(5, seed=1), right.sample(5, seed=1))
    for run in (one, other):
        checkpoints = {path.name for path in (run / "checkpoints").iterdir()}
        newest = {f"step-{first['/step'] - back:09d}.pt" for back in (0, 5)}
        assert checkpoints == {"last.pt", "last.previous.pt"} | newest
        assert not list(run.rglob(".*"))
        assert not (run / "run.lock").exists()


def test_the_undisturbed_run_is_whole(undisturbed: Path) -> None:
    records = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert [one["step"] for one in records] == list(range(4, 61, 4))
    assert all(tuple(one) == tuple(KEYS) for one in records)
    assert [one["step"] for one in lines(undisturbed / "scores.jsonl")] == [30, 60]


def sent_at_random(driver: Driver, run: dict[str, Any], how: int, times: int, rng: random.Random) -> list[int]:
    """Send the signal `times` times at random moments of the training, resuming each time; the exit codes.

    A moment is a number of steps and a random fraction of one, so that the run does not end before, on any machine.
    """
    moments = [{"steps": rng.randrange(9), "after": rng.uniform(0, 0.006)} for _ in range(times)]
    codes = [driver.run(run, send=how, **moment)["code"] for moment in moments]
    assert driver.run(run)["code"] == 0
    return codes


def test_killed_at_random_moments(driver: Driver, folder: Path, undisturbed: Path) -> None:
    codes = sent_at_random(driver, config(folder, "killed"), signal.SIGKILL, 3, random.Random(0))
    assert codes == [-signal.SIGKILL] * 3
    assert_same_run(undisturbed, folder / "killed")


DEATHS = [("half", 7), ("fsync", 40), ("replace", 12), ("link", 3)]
"""The first is in the middle of step 30's checkpoint, when its line of scores is written already."""


def test_killed_inside_checkpoint_writes(driver: Driver, folder: Path, undisturbed: Path) -> None:
    for death in DEATHS:
        assert driver.run(config(folder, "inside"), die=death)["code"] == -signal.SIGKILL, death
    assert driver.run(config(folder, "inside"))["code"] == 0
    assert_same_run(undisturbed, folder / "inside")


@pytest.fixture(scope="module")
def undisturbed_and_long(driver: Driver, folder: Path) -> Path:
    assert driver.run(config(folder, "long-undisturbed", **LONG))["code"] == 0
    return folder / "long-undisturbed"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_ten_times_at_random_and_inside_checkpoint_writes(
    driver: Driver, folder: Path, undisturbed_and_long: Path, seed: int
) -> None:
    rng = random.Random(seed)
    run = config(folder, f"ten-{seed}", **LONG)
    for _ in range(10):
        if rng.random() < 0.5:
            function, most = rng.choice((("half", 2), ("fsync", 15), ("replace", 8), ("link", 4), ("unlink", 8)))
            ended = driver.run(run, die=(function, rng.randint(1, most)))
        else:
            ended = driver.run(run, send=signal.SIGKILL, steps=rng.randrange(9), after=rng.uniform(0, 0.006))
        assert ended["code"] == -signal.SIGKILL
    assert driver.run(run)["code"] == 0
    assert_same_run(undisturbed_and_long, folder / f"ten-{seed}")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_a_signal_saves_says_how_to_go_on_and_exits_75(
    driver: Driver, folder: Path, undisturbed: Path, name: str
) -> None:
    number, rng = getattr(signal, name), random.Random(name)
    ended = driver.run(config(folder, name), send=number, steps=rng.randrange(1, 20), after=rng.uniform(0, 0.006))
    assert ended["code"] == 75
    assert "saved at step" in ended["said"]
    assert f"banach train --out {folder / name}" in ended["said"]
    assert ("Ctrl-C" if name == "SIGINT" else name) in ended["said"]
    assert not (folder / name / "run.lock").exists()
    if name in ("SIGINT", "SIGTERM"):
        assert driver.run(config(folder, name), send=number, steps=rng.randrange(1, 20))["code"] == 75
        assert driver.run(config(folder, name))["code"] == 0
        assert_same_run(undisturbed, folder / name)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ten_signals(driver: Driver, folder: Path, undisturbed_and_long: Path, number: int) -> None:
    run = config(folder, f"ten-signals-{number}", **LONG)
    assert sent_at_random(driver, run, number, 10, random.Random(number)) == [75] * 10
    assert_same_run(undisturbed_and_long, folder / f"ten-signals-{number}")


def test_a_second_ctrl_c_stops_at_once_and_loses_nothing(driver: Driver, folder: Path) -> None:
    # Step 25, the first that is not one of the first, would take minutes.
    endless = config(folder, "impatient", first_steps=1, n_critic=1_000_000)
    ended = driver.run(endless, send=signal.SIGINT, steps=25, after=0.05, again=True)
    assert ended["code"] == 75
    assert "at once" in ended["said"]
    assert torch.load(folder / "impatient" / "checkpoints" / "last.pt", weights_only=True)["step"] == 25
    assert not (folder / "impatient" / "run.lock").exists()


def test_two_ctrl_c_before_the_first_checkpoint_are_no_harm(driver: Driver, folder: Path, undisturbed: Path) -> None:
    assert driver.run(config(folder, "early"), send=signal.SIGINT, again=True)["code"] == 75
    assert driver.run(config(folder, "early"))["code"] == 0
    assert_same_run(undisturbed, folder / "early")


def test_max_minutes_stops_and_the_same_command_goes_on(driver: Driver, folder: Path, undisturbed: Path) -> None:
    ended = driver.run(config(folder, "minutes", max_minutes=1e-4))
    assert ended["code"] == 75
    assert "minutes are over" in ended["said"]
    assert driver.run(config(folder, "minutes"))["code"] == 0
    assert_same_run(undisturbed, folder / "minutes")


def test_a_finished_run_says_so_and_extends(driver: Driver, folder: Path, undisturbed: Path) -> None:
    before = (undisturbed / "metrics.jsonl").read_bytes()
    again = driver.run(config(folder, "undisturbed"))
    assert (again["code"], "is finished: 60 steps" in again["said"]) == (0, True)
    refused = driver.run(config(folder, "undisturbed", steps=70))
    assert (refused["code"], "--extend" in refused["said"]) == (2, True)
    assert (undisturbed / "metrics.jsonl").read_bytes() == before


def test_extended_without_decay_equals_a_longer_run(driver: Driver, folder: Path) -> None:
    short, long = (config(folder, name, decay="none", steps=steps) for name, steps in (("short", 20), ("long", 40)))
    assert driver.run(long)["code"] == 0
    assert driver.run(short)["code"] == 0
    assert driver.run({**short, "steps": 40}, extend=True)["code"] == 0
    assert lines(folder / "short" / "metrics.jsonl") == lines(folder / "long" / "metrics.jsonl")
    one, other = (
        torch.load(folder / name / "checkpoints" / "last.pt", weights_only=True) for name in ("short", "long")
    )
    for name in ("generator", "critic", "average"):
        assert all(torch.equal(value, other[name][key]) for key, value in one[name].items())
