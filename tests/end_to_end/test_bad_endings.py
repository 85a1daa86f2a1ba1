"""What can go wrong with a run folder: one or two lines with the remedy, the right exit code, and nothing lost."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from resume_driver import Driver

from banach.config.config import Config, ConfigError
from banach.game import CriticTerms, critic_terms
from banach.report import read_run
from banach.runs import facts
from banach.session.console import Quiet
from banach.session.run import Outcome, run
from banach.training import steps

BASE = {
    "model": "mlp", "g_width": 16, "d_width": 16, "z": 4, "n_critic": 1, "batch": 16, "steps": 20, "log_every": 5,
    "save_every": 5, "sample_every": 20, "score_every": 20, "score_samples": 20, "extractor": "pixels", "threads": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (100, 1, 6, 6), dtype=np.uint8))
    return path


def config(data: Path, out: Path, **changes: Any) -> Config:
    return Config(**{**BASE, "data": str(data), "out": str(out), **changes})


def go(config: Config, **named: Any) -> Outcome:
    outcome = run(config, console=Quiet(), argv=["test"], **named)
    assert len(outcome.message.splitlines()) <= 2, outcome.message
    assert all(len(line) < 400 for line in outcome.message.splitlines())
    return outcome


def stopped_at(config: Config, step: int) -> Outcome:
    """The run, stopped by its own minutes after `step` steps."""

    class Stopping(Quiet):
        def tick(self, done: int, eta_seconds: float) -> None:
            del eta_seconds
            if done == step:
                os.kill(os.getpid(), 15)

    return run(config, console=Stopping(), argv=["test"])


def weights(run_folder: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(run_folder / "checkpoints" / "last.pt", weights_only=True)
    return saved["generator"] | {f"critic.{name}": one for name, one in saved["critic"].items()}


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_cut_checkpoint_falls_back_to_the_previous_and_says_so(data: Path, tmp_path: Path) -> None:
    assert go(config(data, tmp_path / "whole")).code == 0
    halfway = config(data, tmp_path / "cut")
    assert stopped_at(halfway, 12).code == 75
    cut(tmp_path / "cut" / "checkpoints" / "last.pt")
    assert go(halfway).code == 0
    log = (tmp_path / "cut" / "log.txt").read_text()
    assert "last.pt is broken" in log
    assert "from the checkpoint of step 10 instead" in log
    assert (tmp_path / "cut" / "checkpoints" / "last.pt.broken").exists()
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15, 20]


def test_a_cut_checkpoint_with_no_older_one_is_refused_and_kept(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 12).code == 75
    for path in (out / "checkpoints").iterdir():
        if path.name != "last.pt":
            path.unlink()
    cut(out / "checkpoints" / "last.pt")
    before = snapshot(out)
    outcome = go(config(data, out))
    assert outcome.code == 2
    assert "last.pt is broken" in outcome.message
    assert "--fresh" in outcome.message
    assert snapshot(out) == before


def test_all_checkpoints_cut_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 12).code == 75
    for path in (out / "checkpoints").iterdir():
        cut(path)
    before = snapshot(out)
    outcome = go(config(data, out))
    assert (outcome.code, "is broken" in outcome.message) == (2, True)
    assert snapshot(out) == before


def test_missing_checkpoints_are_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 12).code == 75
    for path in (out / "checkpoints").iterdir():
        path.unlink()
    outcome = go(config(data, out))
    assert (outcome.code, "--fresh" in outcome.message) == (2, True)
    assert (out / "metrics.jsonl").read_text()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lr": 1e-3}, ("lr was 0.0002, now 0.001",)),
        ({"space": "Lp(4)", "batch": 8}, ("space was l2, now Lp(4)", "batch was 16, now 8")),
        ({"seed": 1}, ("seed was 0, now 1",)),
        ({"steps": 30}, ("steps was 20, now 30", "--extend")),
        ({"steps": 10}, ("steps was 20, now 10", "--fresh")),
    ],
)
def test_a_changed_config_is_refused_with_both_values(
    data: Path, tmp_path: Path, changes: dict[str, Any], told: tuple[str, ...]
) -> None:
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 7).code == 75
    before = snapshot(out)
    outcome = go(config(data, out, **changes))
    assert outcome.code == 2
    assert all(one in outcome.message for one in told), outcome.message
    assert snapshot(out) == before


def test_machine_keys_may_change(data: Path, tmp_path: Path) -> None:
    assert go(config(data, tmp_path / "whole")).code == 0
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 7).code == 75
    changed = config(data, out, save_every=3, sample_every=4, score_every=0, keep=5, max_minutes=9, device="cpu")
    assert go(changed).code == 0
    assert_same_weights(tmp_path / "whole", out)
    assert "save_every: 3" in (out / "config.yaml").read_text()


def test_changed_data_are_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 7).code == 75
    np.save(data, np.random.default_rng(1).integers(0, 256, (100, 1, 6, 6), dtype=np.uint8))
    outcome = go(config(data, out))
    assert (outcome.code, "has changed since the run began" in outcome.message) == (2, True)


def test_fresh_starts_a_numbered_folder_and_deletes_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert go(config(data, out)).code == 0
    before = snapshot(out)
    again = go(config(data, out, lr=1e-3), fresh=True)
    assert (again.code, again.folder) == (0, tmp_path / "run-2")
    third = go(config(data, out), fresh=True)
    assert (third.code, third.folder) == (0, tmp_path / "run-3")
    assert snapshot(out) == before
    assert_same_weights(out, tmp_path / "run-3")


def test_a_folder_of_other_files_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("cat")
    outcome = go(config(data, tmp_path / "photos"))
    assert (outcome.code, "cat.txt" in outcome.message) == (2, True)
    assert snapshot(tmp_path / "photos") == {"cat.txt": b"cat"}
    outcome = go(config(data, tmp_path / "photos" / "cat.txt"))
    assert (outcome.code, "is a file" in outcome.message) == (2, True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": "nowhere/at/all"}, "nowhere/at/all"),
        ({"data": "fashoin"}, "fashion"),
        ({"space": "Product(2, (Lp(1), Lp(2)), (1, 1))"}, "Product"),
        ({"model": "resnet", "data": "8gaussians:n=50", "z": 2}, "use the model mlp"),
        ({"extractor": "fashoin"}, "fashion"),
        ({"device": "cuda:77"}, "cuda:77"),
        ({"init": "nowhere"}, "nowhere"),
        ({"constraint": "clip(c=-1)"}, "clip"),
    ],
)
def test_wrong_input_leaves_no_folder(data: Path, tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    try:
        outcome = go(Config(**{**BASE, "data": str(data), "out": str(tmp_path / "run"), **changes}))
    except ConfigError as error:  # some are refused before a run is thought of
        outcome = Outcome(2, None, str(error))
    assert (outcome.code, outcome.folder) == (2, None)
    assert told in outcome.message
    assert not (tmp_path / "run").exists()


def test_a_second_writer_is_refused_with_the_holder(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code = (
        "import sys, time, pathlib, banach.runs.lock\n"
        "with banach.runs.lock.Lock(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(100)"
    )
    assert stopped_at(config(data, out), 7).code == 75
    before = snapshot(out)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(out / "run.lock")], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        outcome = go(config(data, out))
        assert (outcome.code, f"process {holder.pid}" in outcome.message) == (2, True)
        assert f"kill {holder.pid}" in outcome.message
        holder.kill()
        holder.wait()
    assert (out / "run.lock").exists()
    assert {name: one for name, one in snapshot(out).items() if name != "run.lock"} == before
    assert go(config(data, out)).code == 0
    assert f"took over the lock that process {holder.pid}" in (out / "log.txt").read_text()


def test_a_run_that_blows_up_stops_before_the_weights_do(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = config(data, tmp_path / "whole"), config(data, tmp_path / "run")
    assert go(whole).code == 0
    calls = 0

    def faulty(*args: Any) -> CriticTerms:
        nonlocal calls
        calls += 1
        terms = critic_terms(*args)
        if calls <= 12:
            return terms
        bad = dataclasses.replace(terms.penalised, value=terms.penalised.value * torch.nan)
        return dataclasses.replace(terms, penalise=lambda: bad)

    with monkeypatch.context() as patch:
        patch.setattr(steps, "critic_terms", faulty)
        outcome = go(out)
    assert outcome.code == 3
    assert outcome.message.startswith("not finite: the critic's penalty at step 12\n")
    assert outcome.message.split("\n")[0] in (tmp_path / "run" / "log.txt").read_text().splitlines()[-1]
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)["step"] == 10
    assert read_run(tmp_path / "run").status == "not finite"
    assert facts.read(tmp_path / "run" / "facts.json").not_finite == "not finite: the critic's penalty at step 12"
    assert go(out).code == 0
    assert facts.read(tmp_path / "run" / "facts.json").not_finite == ""
    assert_same_weights(tmp_path / "whole", tmp_path / "run")


def test_an_old_checkpoint_of_a_newer_format_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 7).code == 75
    last = out / "checkpoints" / "last.pt"
    torch.save(torch.load(last, weights_only=True) | {"format": 99}, last)
    outcome = go(config(data, out))
    assert (outcome.code, "newer banach" in outcome.message) == (2, True)


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("small")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root; the test by file size limit runs everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, leave: int) -> Path:
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    filler.write_bytes(bytes(max(0, free - leave)))
    return filler


def test_a_full_disk_keeps_the_old_checkpoint(data: Path, tmp_path: Path, small_disk: Path) -> None:
    assert go(config(data, tmp_path / "whole")).code == 0
    out = small_disk / "run"
    assert stopped_at(config(data, out), 7).code == 75
    filler = fill(small_disk, 48 * 1024)
    before = weights(out)
    outcome = go(config(data, out))
    assert outcome.code == 75
    assert str(out) in outcome.message
    assert "no space left to write" in outcome.message
    after = weights(out)
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert not [path for path in out.rglob(".*") if path.is_file()]
    filler.unlink()
    assert go(config(data, out)).code == 0
    assert_same_weights(tmp_path / "whole", out)


def test_no_room_at_all_from_the_first_byte(data: Path, small_disk: Path) -> None:
    filler = fill(small_disk, 0)
    outcome = go(config(data, small_disk / "other"))
    filler.unlink()
    assert outcome.code in (2, 75)
    assert str(small_disk) in outcome.message


def test_a_file_size_limit_keeps_the_old_checkpoint(data: Path, tmp_path: Path) -> None:
    assert go(config(data, tmp_path / "whole")).code == 0
    out = tmp_path / "run"
    assert stopped_at(config(data, out), 7).code == 75
    before = weights(out)
    driver = Driver()
    ended = driver.run({**BASE, "data": str(data), "out": str(out)}, largest_file=24 * 1024)
    driver.close()
    assert ended["code"] == 75
    assert f"no space left to write {out / 'checkpoints' / 'last.pt'}" in ended["said"]
    after = weights(out)
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert go(config(data, out)).code == 0
    assert_same_weights(tmp_path / "whole", out)
