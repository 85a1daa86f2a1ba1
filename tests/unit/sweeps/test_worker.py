"""A worker: takes what is free, goes on where it can, and passes signals on. The runs here are shell scripts."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from banach.cli import sweep as command
from banach.sweeps import worker
from banach.sweeps.folder import open_sweep
from banach.sweeps.grid import SweepError
from banach.sweeps.standing import note_end, standing
from banach.sweeps.worker import Orders, Worker, run_command, scored

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the runs are shell scripts")

PYTHON = """#!/bin/bash
# -m banach sweep run S … --index N
cd "$5/runs/run-${@: -1}" || exit 9
echo "${@:6:$#-7}" >> flags
done_() { mkdir -p checkpoints; touch checkpoints/step-000000020.pt; echo '{"code": 0, "message": ""}' > ended.json; }
saved() { mkdir -p checkpoints; touch checkpoints/step-0000000$1.pt; }
fail() { echo "{\\"code\\": $1, \\"message\\": \\"$2\\"}" > ended.json; exit $1; }
source ./act
"""


@pytest.fixture
def works(sweep, tmp_path, monkeypatch):
    """Runs a worker over runs that do what is said of each; (exit code, lines)."""
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    monkeypatch.setattr(worker.sys, "executable", str(python))

    def act(acts: dict[int, str], orders: Orders = Orders(), hands: int = 1) -> tuple[int, list[str]]:  # noqa: B008
        for one in sweep.runs:
            (one.folder.path / "act").write_text(acts.get(one.index, "done_") + "\n")
        lines: list[str] = []
        return Worker(sweep, orders, lines.append, hands).work(), lines

    return act


def begun(sweep, index: int) -> int:
    """How often a run's process was begun."""
    flags = sweep.run(index).folder.path / "flags"
    return len(flags.read_text().splitlines()) if flags.exists() else 0


@pytest.mark.parametrize("hands", [1, 3])
def test_all_are_run_once(works, sweep, hands):
    code, lines = works({}, hands=hands)
    assert code == 0
    assert [begun(sweep, index) for index in range(5)] == [1] * 5
    assert sorted(lines) == sorted(f"[{at}] run-{at}: {word}" for at in range(5) for word in ("begins", "done"))
    assert works({}, hands=hands) == (0, [])
    assert not list(sweep.path.rglob("*.lock"))


def test_what_fails_is_noted_and_stops_no_other(works, sweep):
    code, lines = works({1: "fail 2 'data: no such file'", 3: "fail 3 'not finite'"})
    assert code == 3
    assert "[1] run-1: failed: data: no such file" in lines
    assert [standing(one).state for one in sweep.runs] == ["done", "failed", "done", "failed", "done"]
    assert works({}) == (0, [])  # left alone
    assert works({1: "done_", 3: "fail 3 again"}, Orders(("mine.py",), True))[0] == 3
    assert (sweep.run(1).folder.path / "flags").read_text().splitlines()[-1] == "--plugin mine.py --retry-failed"
    assert standing(sweep.run(3)).message == "again"
    assert [begun(sweep, index) for index in range(5)] == [1, 2, 1, 2, 1]


def test_what_is_held_is_left_alone(works, sweep, lock_of, saved):
    lock_of(sweep.run(0).folder.lock)
    lock_of(sweep.run(1).claim)
    lock_of(sweep.run(2).folder.lock, pid=2**22 + 1)  # lost
    saved(sweep.run(2), 10)
    code, lines = works({})
    assert code == 0
    assert [begun(sweep, index) for index in range(5)] == [0, 0, 1, 1, 1]
    assert "[2] run-2: goes on from step 10" in lines


def test_a_killed_process_is_followed_by_another_as_long_as_it_gets_further(works, sweep):
    on = "n=$(wc -l < flags); saved 0$n; [ $n -gt 3 ] && done_ || kill -KILL $$"
    code, lines = works({0: on, 1: "kill -SEGV $$", 2: "[ $(wc -l < flags) -gt 1 ] && done_ || kill -KILL $$"})
    assert [begun(sweep, index) for index in range(3)] == [4, 2, 2]
    assert "[0] run-0: killed by SIGKILL at step 3; taken up again" in lines
    assert standing(sweep.run(0)).state == standing(sweep.run(2)).state == "done"
    assert code == 128 + signal.SIGSEGV
    assert "killed by SIGSEGV at step 0, 2 times without getting further" in standing(sweep.run(1)).message


def test_a_process_that_does_not_begin_its_run_has_failed(works, sweep):
    code, _ = works({0: "exit 1"})
    assert code == 1
    assert standing(sweep.run(0)).message == "its process ended with code 1 before the run began"


def test_what_was_begun_by_hand_meanwhile_is_left_alone(works, sweep):
    code, lines = works({0: "exit 0"})
    assert code == 0
    assert begun(sweep, 0) == 1
    assert "[0] run-0: begun by another process just now; left alone" in lines
    assert standing(sweep.run(0)).state == "waiting"


def test_side_by_side_each_writes_a_file(works, sweep):
    code, _ = works({0: "echo heard; exit 2"}, hands=2)
    assert code == 2
    assert sweep.run(0).output.read_text() == "heard\n"
    assert standing(sweep.run(0)).message.endswith(f"; see {sweep.run(0).output}")


def test_a_run_that_stops_by_itself_is_not_taken_again(works, sweep):
    code, lines = works({0: "saved 05; exit 75"})
    assert code == 75
    assert begun(sweep, 0) == 1
    assert "[0] run-0: stopped at step 5 of 20; the same command goes on" in lines
    assert standing(sweep.run(4)).state == "done"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP"])
def test_a_signal_is_passed_on_once_and_no_other_run_begins(works, sweep, name):
    waits = f"trap 'echo {name} >> caught; saved 07; exit 75' {name}; touch waits; while :; do sleep 0.02; done"
    waiting = [sweep.run(at).folder.path / "waits" for at in (0, 1)]

    def send() -> None:
        ends = time.monotonic() + 60
        while not all(map(Path.exists, waiting)) and time.monotonic() < ends:
            time.sleep(0.01)
        os.kill(os.getpid(), getattr(signal, name))

    before = [signal.getsignal(number) for number in worker.STOPPING]
    sender = threading.Thread(target=send)
    sender.start()
    code, lines = works({0: waits, 1: waits}, hands=2)
    sender.join()
    assert code == 75
    assert (sweep.run(0).folder.path / "caught").read_text() == f"{name}\n"
    assert [begun(sweep, index) for index in range(5)] == [1, 1, 0, 0, 0]
    assert lines[-1] == f"{'Ctrl-C' if name == 'SIGINT' else name}: the same command goes on"
    assert standing(sweep.run(0)).state == "stopped"
    assert [signal.getsignal(number) for number in worker.STOPPING] == before


def test_the_process_hears_of_the_end_of_its_worker_by_standard_input(works, sweep):
    """A pipe that only the worker holds: what reads it sees its end when the worker is gone."""
    code, _ = works({0: 'echo "$BANACH_SWEEP_WORKER" > parent; [ -p /dev/stdin ] && done_'})
    assert code == 0
    assert (sweep.run(0).folder.path / "parent").read_text() == f"{os.getpid()}\n"


def test_the_first_score_is_shown(sweep):
    sweep.run(0).folder.scores.write_text('{"step": 5, "value": {"fid": 4.25, "kid": 1}}\n')
    assert scored(standing(sweep.run(0))) == ", fid 4.25"
    assert scored(standing(sweep.run(1))) == ""


def test_a_failure_noted_by_hand_is_kept(works, sweep):
    note_end(sweep.run(0), 3, "noted")
    code, lines = works({})
    assert code == 0
    assert not any("run-0" in one for one in lines)


def test_a_folder_whose_name_begins_like_a_flag_is_run(works, sweep, tmp_path, monkeypatch):
    sweep.path.rename(tmp_path / "-S")
    monkeypatch.chdir(tmp_path)
    found = open_sweep("./-S")
    words = run_command(found, Orders())
    assert words[1:] == ["-m", "banach", "sweep", "run", "./-S"]
    with pytest.raises(SweepError, match="no run 9"):  # it is read as a folder, not as a flag
        command.main([*words[4:], "--index", "9"])


def test_a_run_whose_folder_is_gone_stops_no_other(works, sweep):
    gone = sweep.run(1).folder.path
    code, lines = works({0: f"rm -r {gone}; done_"})
    assert code == 2
    assert f"[1] run-1: cannot be run: its folder {gone} is gone; put it back" in lines
    assert [standing(sweep.run(at)).state for at in (0, 2, 3, 4)] == ["done"] * 4
    assert not gone.exists()
