"""One writer at a time."""

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from banach.runs.folder import FolderError
from banach.runs.lock import Lock, LockLost

DEAD = 2**22 + 1  # beyond the largest process number that Linux gives


def held_by(path: Path, host: str, pid: int, age: float) -> None:
    path.write_text(json.dumps({"host": host, "pid": pid, "token": "x"}))
    os.utime(path, (time.time() - age, time.time() - age))


def test_held_and_released(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with Lock(path) as lock:
        holder = json.loads(path.read_text())
        assert (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())
        assert lock.taken_over == ""
        lock.check()
    assert list(tmp_path.iterdir()) == []


def test_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Lock(tmp_path / "run.lock"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_let_go_where_ctrl_c_comes_before_it_is_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: threading.Thread) -> None:
        assert (tmp_path / "lock").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", stopped)
    with pytest.raises(KeyboardInterrupt):
        Lock(tmp_path / "lock").__enter__()
    assert not (tmp_path / "lock").exists()


def test_a_second_one_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with Lock(tmp_path / "run.lock"):
        with pytest.raises(FolderError, match=f"process {os.getpid()} on {socket.gethostname()}"):
            Lock(tmp_path / "run.lock").__enter__()
        assert (tmp_path / "run.lock").exists()


def test_a_live_process_on_this_host_is_respected(tmp_path: Path) -> None:
    held_by(tmp_path / "run.lock", socket.gethostname(), os.getppid(), age=10)
    with pytest.raises(FolderError, match=rf"last heard of 10 s ago\nwait for it or stop it \(kill {os.getppid()}\)"):
        Lock(tmp_path / "run.lock").__enter__()


def test_a_dead_process_on_this_host_is_not(tmp_path: Path) -> None:
    held_by(tmp_path / "run.lock", socket.gethostname(), DEAD, age=1)
    with Lock(tmp_path / "run.lock") as lock:
        assert f"took over the lock that process {DEAD}" in lock.taken_over


def test_what_torchrun_started_again_elsewhere_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.lock"
    path.write_text(json.dumps({"host": "elsewhere", "pid": DEAD, "token": "x", "launch": "job 7"}))
    for job, count, taken in (("job 7", "0", False), ("job 8", "1", False), ("none", "1", False), ("job 7", "1", True)):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", job)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        if taken:
            with Lock(path) as lock:
                assert f"took over the lock that process {DEAD} on elsewhere" in lock.taken_over
        else:
            with pytest.raises(FolderError, match="elsewhere"):
                Lock(path).__enter__()


def test_another_host_counts_as_alive_until_its_heartbeat_is_old(tmp_path: Path) -> None:
    held_by(tmp_path / "run.lock", "elsewhere", DEAD, age=100)
    with pytest.raises(FolderError, match=f"process {DEAD} on elsewhere"):
        Lock(tmp_path / "run.lock").__enter__()
    held_by(tmp_path / "run.lock", "elsewhere", DEAD, age=130)
    with Lock(tmp_path / "run.lock") as lock:
        assert "elsewhere" in lock.taken_over


def test_the_heartbeat_keeps_it_fresh(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with Lock(path, heartbeat=0.02):
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 20
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert time.time() - path.stat().st_mtime < 10


def test_one_that_was_taken_over_notices_and_leaves_the_new_lock(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with Lock(path) as lock:
        held_by(path, "elsewhere", 7, age=0)
        with pytest.raises(LockLost, match="taken over by process 7 on elsewhere"):
            lock.check()
    assert json.loads(path.read_text())["host"] == "elsewhere"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}'])
def test_a_lock_that_says_nothing_holds_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.lock").write_text(content)
    with Lock(tmp_path / "run.lock"):
        pass


def test_a_guard_left_behind_does_not_block_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banach.runs.lock._GUARD_SECONDS", 0.1)
    (tmp_path / ".run.lock.guard").write_text("")
    with Lock(tmp_path / "run.lock"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_that_come_at_once_one_gets_it(tmp_path: Path, stale: bool) -> None:
    path = tmp_path / "run.lock"
    for _ in range(5):
        if stale:
            held_by(path, socket.gethostname(), DEAD, age=1)
        gate, done = threading.Barrier(6), threading.Barrier(6)
        found: list[str] = []

        def attempt(gate: threading.Barrier = gate, done: threading.Barrier = done, found: list[str] = found) -> None:
            lock = Lock(path)
            gate.wait()
            try:
                lock.__enter__()
            except FolderError:
                found.append("refused")
                done.wait()
                return
            found.append("held")
            done.wait()  # nobody lets go before all have tried
            lock.__exit__(None, None, None)

        threads = [threading.Thread(target=attempt) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert sorted(found) == ["held", *["refused"] * 5]
        assert list(tmp_path.iterdir()) == []
