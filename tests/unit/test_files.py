"""Atomic writing."""

import ast
import errno
import os
from pathlib import Path

import pytest

import banach
from banach.errors import BanachError
from banach.files import DiskFull, refuse_device, remove_leftovers, staged, staged_folder, write_bytes, write_text


def test_a_file_appears_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    assert (tmp_path / "a.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with staged(tmp_path / "a.txt") as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_names_the_file_and_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    write_text(tmp_path / "a.txt", "old")

    def full(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=rf"no space left to write {tmp_path / 'a.txt'}; free some") as caught:
        write_bytes(tmp_path / "a.txt", b"new")
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_other_errors_of_the_system_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "nowhere" / "a.txt", "x")


def test_the_order_is_write_sync_rename_sync_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = []
    replace, sync = os.replace, os.fsync

    def replacing(one: Path, other: Path) -> None:
        events.append(f"rename to {Path(other).name}")
        replace(one, other)

    def syncing(descriptor: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name.split('.')[0] or 'temporary'}")
        sync(descriptor)

    monkeypatch.setattr(os, "replace", replacing)
    monkeypatch.setattr(os, "fsync", syncing)
    write_text(tmp_path / "a.txt", "x")
    assert events == ["sync temporary", "rename to a.txt", f"sync {tmp_path.name}"]


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".last.pt.123.tmp", ".fakes.png.9.part", "last.pt", ".keep", "x.tmp"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".keep", "last.pt", "x.tmp"]


def test_nobody_can_foresee_where_is_written(tmp_path: Path) -> None:
    with staged(tmp_path / "a.txt") as one, staged(tmp_path / "a.txt") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a.txt").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with staged_folder(tmp_path / "new") as one:
        (one / "a").write_text("a")
        assert list((tmp_path / "new").iterdir()) == []
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]
    with pytest.raises(OSError, match="not empty"), staged_folder(tmp_path / "new") as one:
        (one / "b").write_text("b")

    def fail(error: BaseException) -> None:
        with staged_folder(tmp_path / "other") as temporary:
            (temporary / "b").write_text("b")
            raise error

    with pytest.raises(DiskFull, match="no space left to write"):
        fail(OSError(errno.ENOSPC, "full"))
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "new"]


def test_what_is_no_text_is_written_as_its_escape(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "ä \udcff")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "ä \\udcff"


STREAMS = {"banach/runs/records.py"}
"""What grows line by line (TensorBoard's events) cannot be written whole."""


def written(source: str) -> list[int]:
    """The lines that write a file under its own name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, receiver = node.func.attr, ast.unparse(node.func.value)
            mode = next((one.value for one in node.args if isinstance(one, ast.Constant)), "")
            opened = name == "open" and isinstance(mode, str) and set(mode) & set("wx")
            if (name in ("write_text", "write_bytes") or opened) and receiver != "temporary":
                found.append(node.lineno)
    return found


def test_everything_that_writes_a_file_whole_does_it_here() -> None:
    assert written("path.write_text('x')\ntemporary.write_text('x')\nwrite_text(path, 'x')\npath.open('wb')") == [1, 4]
    root = Path(banach.__file__).parents[1]
    where = {str(path.relative_to(root)): written(path.read_text(encoding="utf-8")) for path in root.rglob("*.py")}
    assert {path for path, lines in where.items() if lines} == STREAMS


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices that are files")
def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(BanachError, match=r"is a device or a pipe.*; name a file"):
            write_text(path, "x")
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    for device in ("/dev/null", "/dev/stdout", "/dev/fd/1"):  # a file may be behind the last two
        with pytest.raises(BanachError, match="name a file"):
            refuse_device(Path(device))
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "link"}
