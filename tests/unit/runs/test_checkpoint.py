"""Checkpoints: whole or not there, the newest whole one found, damage noticed."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from banach.runs import checkpoint
from banach.runs.checkpoint import FORMAT, Broken, CheckpointError


def content(step: int) -> dict[str, Any]:
    rng = torch.Generator().manual_seed(step)
    return {"step": step, "weights": {"a": torch.randn(50, 20, generator=rng)}, "names": ["x", "y"], "best": 0.5}


def saved(folder: Path, *steps: int, keep: int = 2) -> None:
    for step in steps:
        checkpoint.save(folder, content(step), keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def cut(path: Path) -> None:
    """As a crash would: another file of half the length, not a change inside the same one."""
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    path.write_bytes(half)


def test_save_and_load(tmp_path: Path) -> None:
    saved(tmp_path, 10)
    found, broken = checkpoint.load(tmp_path)
    assert broken == ()
    assert found["format"] == FORMAT
    assert found["step"] == 10
    assert torch.equal(found["weights"]["a"], content(10)["weights"]["a"])


def test_the_previous_one_and_the_newest_steps_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3, 10, keep=2)
    assert names(tmp_path) == ["last.previous.pt", "last.pt", "step-000000003.pt", "step-000000010.pt"]
    assert checkpoint.read(tmp_path / "last.pt")["step"] == 10
    assert checkpoint.read(tmp_path / "last.previous.pt")["step"] == 3


@pytest.mark.parametrize("keep", [1, 3])
def test_keep(tmp_path: Path, keep: int) -> None:
    saved(tmp_path, *range(1, 8), keep=keep)
    assert [name for name in names(tmp_path) if name.startswith("step")] == [
        checkpoint.step_name(step) for step in range(8 - keep, 8)
    ]


def test_saving_the_same_step_twice_leaves_no_litter(tmp_path: Path) -> None:
    saved(tmp_path, 5, 5, 5)
    assert names(tmp_path) == ["last.previous.pt", "last.pt", "step-000000005.pt"]
    assert checkpoint.load(tmp_path)[0]["step"] == 5


def test_files_of_other_people_are_left_alone(tmp_path: Path) -> None:
    for name in ("step-best.pt", "notes.txt", "step-12.pt.bak"):
        (tmp_path / name).write_text("mine")
    saved(tmp_path, 1, 2, 3, keep=1)
    assert {"step-best.pt", "notes.txt", "step-12.pt.bak"} < set(names(tmp_path))


def test_without_hard_links_there_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*paths: Path) -> None:
        raise OSError(1, "not supported")

    monkeypatch.setattr("os.link", refused)
    saved(tmp_path, 1, 2)
    assert names(tmp_path) == ["last.previous.pt", "last.pt", "step-000000001.pt", "step-000000002.pt"]
    assert checkpoint.read(tmp_path / "last.previous.pt")["step"] == 1


def test_a_cut_last_falls_back_to_its_own_step_file(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3)
    cut(tmp_path / "last.pt")
    found, broken = checkpoint.load(tmp_path)
    assert (found["step"], broken) == (3, (tmp_path / "last.pt",))


def test_a_cut_last_and_step_fall_back_to_the_previous(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2, 3)
    cut(tmp_path / "last.pt")
    cut(tmp_path / "step-000000003.pt")
    found, broken = checkpoint.load(tmp_path)
    assert (found["step"], broken) == (2, (tmp_path / "last.pt", tmp_path / "step-000000003.pt"))
    for path in broken:
        checkpoint.set_aside(path)
    assert checkpoint.load(tmp_path)[1] == ()
    assert {"last.pt.broken", "step-000000003.pt.broken"} < set(names(tmp_path))


def test_the_newest_whole_one_is_taken_whatever_is_broken(tmp_path: Path) -> None:
    rng = random.Random(0)
    for round_ in range(20):
        folder = tmp_path / str(round_)
        folder.mkdir()
        saved(folder, 1, 2, 3, 4, keep=3)
        files = {"last.pt": 4, "last.previous.pt": 3, **{checkpoint.step_name(step): step for step in (2, 3, 4)}}
        damaged = rng.sample(sorted(files), rng.randint(1, 4))
        for name in damaged:
            cut(folder / name)
        assert checkpoint.load(folder)[0]["step"] == max(step for name, step in files.items() if name not in damaged)


def test_none_whole_names_the_newest_and_the_remedy_in_two_lines(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2)
    for path in tmp_path.iterdir():
        cut(path)
    before = names(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(tmp_path)
    assert str(tmp_path / "last.pt") in str(caught.value)
    assert "--fresh" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2
    assert names(tmp_path) == before


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert not checkpoint.exists(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        checkpoint.load(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        checkpoint.read(tmp_path / "last.pt")


def test_a_changed_byte_in_the_weights_is_noticed(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    start = whole.index(content(1)["weights"]["a"].numpy().tobytes())
    rng = random.Random(0)
    for _ in range(50):
        at = rng.randrange(start, start + 4000)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(Broken):
            checkpoint.read(path)
    path.write_bytes(whole)
    assert checkpoint.read(path)["step"] == 1


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(Broken):
            checkpoint.read(path)


def test_a_newer_format_is_refused_with_a_sentence_and_not_passed_over(tmp_path: Path) -> None:
    saved(tmp_path, 1, 2)
    torch.save({"format": FORMAT + 1, "step": 9}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"newer banach \(checkpoint format 3, this one reads 2\)\nupdate banach"):
        checkpoint.load(tmp_path)


def test_other_files_of_torch_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="no checkpoint of banach"):
        checkpoint.read(tmp_path / "model.pt")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    torch.save({"format": 1, "thing": torch.nn.Linear(1, 1)}, tmp_path / "last.pt")
    with pytest.raises(Broken):
        checkpoint.read(tmp_path / "last.pt")
