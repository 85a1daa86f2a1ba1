"""The cache of decoded data: used when it fits, made anew when it does not, never half there, shared by processes."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from banach.data import DataError, cache, dataset, images, load, memory, read
from banach.data.rows import Rows


@pytest.fixture(autouse=True)
def decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    where = tmp_path / "pictures"
    (where / "more").mkdir(parents=True)
    for at in range(12):
        name = f"more/{at}.png" if at % 2 else f"{at}.png"
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(where / name)
    (where / "3.png").write_bytes(b"no picture")
    (where / "5.png").write_bytes((where / "0.png").read_bytes()[:100])
    (where / "labels.csv").write_text("")
    return where


def said(data):
    """The line on the cache, and all the others."""
    about = [note for note in data.notes if " the cache " in note]
    return (about[0].split(" the cache")[0] if about else ""), [note for note in data.notes if note not in about]


def same(data, other):
    assert data.fingerprint == other.fingerprint
    assert torch.equal(data.train[:], other.train[:])
    assert torch.equal(data.held_out[:], other.held_out[:])
    assert said(data)[1] == said(other)[1]


@pytest.mark.parametrize("options", [{"size": 8}, {"size": (4, 6), "fit": "pad"}, {}, {"axes": "hw"}], ids=str)
def test_the_same_data_from_memory_from_a_new_cache_and_from_an_old_one(folder, decoded, options):
    plain = load(str(folder), **options, cache="never", holdout=0.3, seed=4)
    assert not decoded.exists()
    assert isinstance(plain.train, torch.Tensor)
    assert any("skipped 2 unreadable files" in note for note in plain.notes)
    for verb in ("decoded into", "read from"):
        found = load(str(folder), **options, cache="always", holdout=0.3, seed=4)
        assert isinstance(found.train, Rows)
        same(found, plain)
        assert said(found)[0] == verb
        rows = torch.tensor([5, 0, 5])
        assert torch.equal(found.batch(rows), plain.batch(rows))
    same(load(str(folder), **options, holdout=0.3, seed=4), plain)
    assert sorted(one.suffix for one in decoded.iterdir()) == [".bin", ".hash", ".json", ".lock"]
    (folder / "plain").write_text("")
    assert {one.stat().st_mode for one in decoded.glob("*.bin")} == {(folder / "plain").stat().st_mode}, (
        "for all, by umask"
    )
    assert len(list(decoded.glob("*.bin"))) == 1


def test_auto_takes_the_cache_where_memory_is_short_or_a_cache_is_there(folder, decoded, monkeypatch):
    assert said(load(str(folder), size=8))[0] == ""
    bytes_ = 13 * 3 * 8 * 8  # one of these will turn out to be broken
    monkeypatch.setattr(memory, "available", lambda: int(bytes_ / memory.SHARE) + 1)
    assert said(load(str(folder), size=8))[0] == ""
    monkeypatch.setattr(memory, "available", lambda: int(bytes_ / memory.SHARE) - 1)
    assert said(load(str(folder), size=8))[0] == "decoded into"
    monkeypatch.setattr(memory, "available", lambda: None)
    assert said(load(str(folder), size=8))[0] == "read from"
    assert said(load(str(folder), size=8, cache="never"))[0] == ""
    with pytest.raises(DataError, match="cache 'sometimes' is not known; known: auto, always, never"):
        load(str(folder), size=6, cache="sometimes")


def test_the_spelling_of_the_folder_does_not_matter_but_the_folder_does(folder, tmp_path, monkeypatch):
    load(str(folder), size=8, cache="always")
    monkeypatch.chdir(tmp_path)
    assert said(load("pictures", size=8))[0] == "read from"
    assert "skipped 2 unreadable files: 3.png" in " ".join(load("./pictures", size=8).notes)
    shutil.copytree(folder, tmp_path / "twin")
    assert said(load("twin", size=8, cache="always"))[0] == "decoded into"


def test_what_changes_the_pictures_makes_the_cache_anew_and_removes_the_old_one(folder, decoded):
    def again():
        return said(load(str(folder), size=8, cache="always"))[0]

    def repaint(name):
        Image.fromarray(np.full((9, 7, 3), 7, np.uint8)).save(folder / name)

    def touch():
        os.utime(folder / "0.png", ns=(1, 1))

    assert again() == "decoded into"
    for change in (lambda: repaint("0.png"), lambda: repaint("new.png"), (folder / "2.png").unlink, touch):
        change()
        assert again() == "decoded into"
        assert again() == "read from"
        assert len(list(decoded.glob("*.bin"))) == len(list(decoded.glob("*.json"))) == 1
        same(load(str(folder), size=8), load(str(folder), size=8, cache="never"))
    for other in ({"size": 6}, {"size": 8, "fit": "pad"}, {"size": 8, "axes": "hw"}):
        assert said(load(str(folder), **other, cache="always"))[0] == "decoded into"
    assert len(list(decoded.glob("*.bin"))) == 4


@pytest.mark.parametrize("harm", ["short", "long", "flipped", "no json", "half json", "other json", "no file"])
def test_a_damaged_cache_is_made_anew(folder, decoded, harm):
    plain = load(str(folder), size=8, cache="always")
    kept = plain.train[:].clone()
    (file,), (about,) = decoded.glob("*.bin"), decoded.glob("*.json")
    content = file.read_bytes()
    changed = {"short": content[:-1], "long": content + b"x", "flipped": content[:5] + b"\xff\x00" + content[7:]}
    if harm in changed:
        file.unlink()
        file.write_bytes(changed[harm])
    elif harm == "no file":
        file.unlink()
    elif harm == "no json":
        about.unlink()
    else:
        about.write_text({"half json": about.read_text()[:50], "other json": "[1, 2]"}[harm])
    found = load(str(folder), size=8, cache="auto" if harm == "long" else "always")
    assert said(found)[0] == ("" if harm == "long" else "decoded into")
    assert torch.equal(found.train[:], kept)
    assert torch.equal(plain.train[:], kept), "a run that has the old file mapped goes on with it"


class Stopped(BaseException):
    """As a key press would come."""


@pytest.mark.parametrize("error", [Stopped(), KeyboardInterrupt()], ids=["stopped", "interrupted"])
def test_an_interrupted_decode_leaves_nothing(folder, decoded, monkeypatch, error):
    decode = images.decode

    def interrupted(what, *rest):
        if what.path.name == "9.png":
            raise error
        return decode(what, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(images, "decode", interrupted)
        with pytest.raises(type(error)):
            load(str(folder), size=8, cache="always")
    assert [one.suffix for one in decoded.iterdir()] == [".lock"]
    for name in ("{}-dead.abc.part", ".{}-dead.bin.abc.tmp"):  # as versions before this one named it, and as this one
        (decoded / name.format(next(decoded.glob("*.lock")).stem)).write_text("of a process that was killed")
    assert said(load(str(folder), size=8, cache="always"))[0] == "decoded into"
    assert {one.suffix for one in decoded.iterdir()} == {".lock", ".bin", ".json", ".hash"}


def test_without_a_picture_that_can_be_read_nothing_is_kept(tmp_path, decoded):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no picture in .* can be read"):
        load(str(tmp_path / "none"), size=8, cache="always")
    assert not list(decoded.glob("*.bin")) if decoded.exists() else True


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(folder, decoded):
    decoded.mkdir(parents=True)
    decoded.chmod(0o500)
    with pytest.raises(DataError, match=r"the cache folder .*decoded cannot be written \(.*\); set BANACH_CACHE"):
        load(str(folder), size=8, cache="always")


def test_a_file_in_the_place_of_the_folder_is_named(folder, decoded):
    decoded.parent.write_text("")
    with pytest.raises(DataError, match=r"the cache folder .*decoded cannot be written \(.*\); set BANACH_CACHE"):
        load(str(folder), size=8, cache="always")


def test_a_cache_that_is_there_needs_no_writing(folder, decoded, monkeypatch):
    load(str(folder), size=8, cache="always")

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("staged", "write_bytes", "write_text"):
        monkeypatch.setattr(cache, name, refuse)
    monkeypatch.setattr(cache.FileLock, "acquire", refuse)
    assert said(load(str(folder), size=8, cache="always"))[0] == "read from"


def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder, decoded, monkeypatch):
    usage = shutil.disk_usage(folder)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(DataError, match=r"the disk of .* is full \(.* GiB are needed and 9.31e-09 GiB are free\)"):
            load(str(folder), size=8, cache="always")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"the disk of the cache folder .* is full"):
            load(str(folder), size=8, cache="always")
    assert [one.suffix for one in decoded.iterdir()] == [".lock"]


def test_of_several_threads_one_decodes(folder, decoded, monkeypatch):
    calls, decode = [], images.decode

    def counted(path, *rest):
        calls.append(path)
        return decode(path, *rest)

    monkeypatch.setattr(images, "decode", counted)
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(load(str(folder), size=8, cache="always"))) for _ in range(4)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len({one.fingerprint for one in found}) == 1
    assert len(found) == 4
    assert len(calls) == 13, "each picture with a readable header once"


@pytest.mark.slow
def test_of_several_processes_one_decodes(folder):
    program = f"from banach.data import load; print(*load({str(folder)!r}, size=6, cache='always').notes)"
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ends = [one.communicate(timeout=120) for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], ends
    assert sum(("decoded into" in out) for out, _ in ends) == 1
    assert sum(("read from" in out) for out, _ in ends) == 2
    same(load(str(folder), size=6, cache="always"), load(str(folder), size=6, cache="never"))


def test_where_files_cannot_be_locked_two_decode_and_none_is_harmed(folder, decoded, monkeypatch):
    def cannot(*_, **__):
        raise NotImplementedError("no locks here")

    monkeypatch.setattr(cache.FileLock, "acquire", cannot)
    load(str(folder), size=8, cache="always")
    (file,) = decoded.glob("*.bin")
    file.with_suffix(".x.part").write_text("of another process")
    file.unlink()
    assert said(load(str(folder), size=8, cache="always"))[0] == "decoded into"
    assert said(load(str(folder), size=8, cache="always"))[0] == "read from"
    assert file.with_suffix(".x.part").exists()


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (np.random.default_rng(0).normal(5, 3, (40, 6)), {}),
        (np.random.default_rng(0).normal(5, 3, (40, 8, 8, 2)).astype(np.float32), {"axes": "bhwc"}),
        (np.random.default_rng(0).integers(0, 9, (40, 5)), {"normalise": "minmax"}),
        (np.random.default_rng(0).integers(0, 256, (40, 9, 7, 3), dtype=np.uint8), {}),
        (np.random.default_rng(0).integers(0, 256, (40, 9, 7, 3), dtype=np.uint8), {"size": 4}),
    ],
    ids=["float64", "axes", "integers", "images", "images resized"],
)
def test_arrays_are_brought_into_the_cache_and_are_the_same(tmp_path, decoded, array, options, monkeypatch):
    np.save(tmp_path / "x.npy", array)
    monkeypatch.setattr("banach.data.arrays._BLOCK", 100)
    plain = load(tmp_path / "x.npy", **options, cache="never")
    for verb in ("decoded into", "read from"):
        found = load(tmp_path / "x.npy", **options, cache="always")
        assert isinstance(found.train, Rows)
        same(found, plain)
        assert said(found)[0] == verb
        assert torch.equal(found.batch(torch.arange(9)), plain.batch(torch.arange(9)))
    np.save(tmp_path / "x.npy", array[:-1])
    assert said(load(tmp_path / "x.npy", **options, cache="always"))[0] == "decoded into"


def test_an_array_that_is_refused_leaves_nothing(tmp_path, decoded):
    broken = np.zeros((40, 6))
    broken[3, 2] = np.nan
    np.save(tmp_path / "nan.npy", broken)
    lost = np.random.default_rng(0).normal(1e9, 1, (40, 6))
    np.save(tmp_path / "lost.npy", lost)
    for name, reason in (("nan", "1 NaN"), ("lost", "which float32 cannot hold")):
        with pytest.raises(DataError, match=reason):
            load(tmp_path / f"{name}.npy", cache="always")
    assert not list(decoded.glob("*.bin"))


def test_a_fingerprint_is_taken_once_for_each_split_and_content(folder, decoded, monkeypatch):
    taken, take = [], dataset.fingerprint

    def counted(*parts):
        taken.append(1)
        return take(*parts)

    monkeypatch.setattr(dataset, "fingerprint", counted)

    def of(**options):
        before = len(taken)
        found = load(str(folder), size=8, cache="always", **options).fingerprint
        assert found == load(str(folder), size=8, cache="never", **options).fingerprint
        return len(taken) - before == 2

    assert [of(), of(), of(seed=1), of(holdout=0.5), of(seed=1), of()] == [True, False, True, True, False, False]
    for file in decoded.glob("*.hash"):
        file.write_text("damaged")
    assert [of(), of()] == [True, False]
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(folder / "0.png")
    assert [of(), of()] == [True, False]
    assert len(list(decoded.glob("*.hash"))) == 1, "those of the old content are gone"


def test_the_key_counts_sizes_and_times(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    files = [tmp_path / "a", tmp_path / "b"]
    first = cache.key_of({"of": 1}, tmp_path, files)
    assert first == cache.key_of({"of": 1}, tmp_path, files)
    assert first.source != cache.key_of({"of": 2}, tmp_path, files).source
    others = [files[:1], files[::-1]]
    assert all(cache.key_of({"of": 1}, tmp_path, other).content != first.content for other in others)
    os.utime(files[0], ns=(5, 5))
    assert cache.key_of({"of": 1}, tmp_path, files).content != first.content
    missing = cache.key_of({"of": 1}, tmp_path, [Path(tmp_path, "none")])
    assert missing.content != first.content


def test_the_json_tells_what_the_file_holds(folder, decoded):
    raw = read(str(folder), size=8, cache="always")
    (about,) = decoded.glob("*.json")
    told = json.loads(about.read_text())
    assert told["shape"] == list(raw.values.shape) == [12, 3, 8, 8]
    assert (told["dtype"], told["format"]) == ("uint8", cache.FORMAT)
    assert [name for name, _ in told["notes"]["bad"]] == ["3.png", "5.png"]
    entries = np.fromfile(about.with_suffix(".bin"), np.uint8).reshape(told["shape"])
    assert np.array_equal(entries, raw.values[:].numpy())
