import pytest
import torch

from banach.metrics import cache
from banach.metrics.cache import cache_folder, cached, content_hash


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(0.1, dtype=torch.float64)}


def test_a_result_is_computed_once_and_comes_back_exactly(tmp_path):
    compute = Counted()
    first, second = (cached({"x": 1}, compute, tmp_path / "new" / "folder") for _ in range(2))
    assert compute.calls == 1
    assert torch.equal(first["a"], second["a"])
    assert second["b"].dtype == torch.float64
    assert second["b"] == first["b"]


def test_every_part_of_the_key_counts(tmp_path):
    compute = Counted()
    for key in ({"x": 1}, {"x": 2}, {"x": 1, "y": 0}, {"x": "1"}):
        cached(key, compute, tmp_path)
    assert compute.calls == 4


@pytest.mark.parametrize("spoil", ["cut", "flipped", "emptied", "other"])
def test_a_spoiled_file_is_computed_again_and_mended(tmp_path, spoil):
    compute = Counted()
    cached({"x": 1}, compute, tmp_path)
    (file,) = tmp_path.glob("*.scores")
    raw = file.read_bytes()
    spoiled = {
        "cut": raw[: len(raw) // 2],
        "flipped": raw[:-1] + bytes([raw[-1] ^ 1]),
        "emptied": b"",
        "other": b"x" * 999,
    }
    file.write_bytes(spoiled[spoil])
    assert cached({"x": 1}, compute, tmp_path)["a"].shape == (3, 2)
    assert compute.calls == 2
    assert file.read_bytes() == raw
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_a_folder_that_cannot_be_made_costs_time_only(tmp_path):
    (tmp_path / "file").write_text("in the way")
    compute = Counted()
    for _ in range(2):
        cached({"x": 1}, compute, tmp_path / "file" / "cache")
    assert compute.calls == 2


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.Path, "replace", full)
    cached({"x": 1}, Counted(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_files_go_when_the_folder_is_full(tmp_path, monkeypatch):
    compute = Counted()
    cached({"x": 0}, compute, tmp_path)
    (oldest,) = tmp_path.glob("*.scores")
    import os

    os.utime(oldest, (1, 1))
    monkeypatch.setattr(cache, "LIMIT", oldest.stat().st_size + 1)
    cached({"x": 1}, compute, tmp_path)
    assert not oldest.exists()
    assert len(list(tmp_path.glob("*.scores"))) == 1


def test_content_hash_sees_entries_shape_and_type():
    x = torch.arange(6, dtype=torch.uint8)
    hashes = [content_hash(one) for one in (x, x.view(2, 3), x.flip(0), x.to(torch.int8))]
    assert len(set(hashes)) == 4
    assert content_hash(x.view(2, 3).T) == content_hash(x.view(2, 3).T.contiguous())


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("BANACH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "banach"
