"""The job-array script, run by bash with stand-ins for banach and scontrol."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from banach.sweeps.folder import open_sweep
from banach.sweeps.slurm import ranges, script
from banach.sweeps.worker import Orders

RUN = """#!/bin/bash
echo "$@" > "{place}/called"
trap 'echo USR1 >> "{place}/heard"; sleep 0.2; exit 75' USR1
trap 'echo TERM >> "{place}/heard"; exit 75' TERM
{act}
"""
WAIT = 'touch "{place}/runs"; while :; do sleep 0.02; done'

needs_bash = pytest.mark.skipif(os.name == "nt", reason="bash and signals")


@pytest.fixture
def task(sweep, tmp_path, monkeypatch):
    """Starts a task of the array whose run does what is said: the process of bash."""
    tools, place = tmp_path / "the tools", tmp_path
    tools.mkdir()
    monkeypatch.chdir(tmp_path)

    def act(what: str, requeue: str = "exit 0") -> subprocess.Popen:
        (tools / "python").write_text(RUN.format(place=place, act=what.format(place=place)))
        (tools / "scontrol").write_text(f'#!/bin/bash\necho "$@" >> "{place}/asked"\n{requeue}\n')
        for one in tools.iterdir():
            one.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tools / "python"))
        (tmp_path / "job.sh").write_text(script(sweep, range(5), Orders()))
        monkeypatch.undo()
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        environment |= {"SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "44"}
        return subprocess.Popen(["bash", str(tmp_path / "job.sh")], env=environment, cwd="/")

    return act


def await_file(path: Path) -> None:
    ends = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < ends
        time.sleep(0.01)


@needs_bash
@pytest.mark.parametrize("code", [0, 2, 3, 1])
def test_what_has_ended_is_not_queued_again(task, sweep, tmp_path, code):
    assert task(f"exit {code}").wait() == code
    assert (tmp_path / "called").read_text() == f"-m banach sweep run {sweep.path} --index 3\n"
    assert not (tmp_path / "asked").exists()


@needs_bash
def test_what_stopped_by_itself_is_queued_again_by_the_number_of_the_task(task, tmp_path):
    """By its own job number the last task of an array would mean the whole array."""
    task("exit 75").wait()
    assert (tmp_path / "asked").read_text() == "requeue 40_3\n"


@needs_bash
def test_the_signal_before_the_end_reaches_the_run_which_is_queued_again(task, tmp_path):
    process = task(WAIT)
    await_file(tmp_path / "runs")
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == 75
    assert (tmp_path / "heard").read_text() == "USR1\n"
    assert (tmp_path / "asked").read_text() == "requeue 40_3\n"


@needs_bash
def test_two_signals_are_waited_through(task, tmp_path):
    process = task("trap 'echo more >> \"{place}/heard\"' USR1; " + WAIT)
    await_file(tmp_path / "runs")
    heard, ends = tmp_path / "heard", time.monotonic() + 60
    for times in (1, 2):
        process.send_signal(signal.SIGUSR1)
        while (heard.read_text() if heard.exists() else "").count("more") < times and time.monotonic() < ends:
            time.sleep(0.02)
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 75
    assert (tmp_path / "heard").read_text() == "more\nmore\nTERM\n"


@needs_bash
def test_what_the_user_cancelled_is_saved_and_stays_out_of_the_queue(task, tmp_path):
    process = task(WAIT)
    await_file(tmp_path / "runs")
    process.terminate()
    assert process.wait(60) == 75
    assert (tmp_path / "heard").read_text() == "TERM\n"
    assert not (tmp_path / "asked").exists()


@needs_bash
def test_a_signal_while_python_starts_kills_nothing_that_was_begun_and_queues_again(task, tmp_path):
    process = task("trap - USR1; " + WAIT)
    await_file(tmp_path / "runs")
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == 75
    assert (tmp_path / "asked").read_text() == "requeue 40_3\n"


@needs_bash
def test_a_run_that_was_killed_is_no_case_for_the_queue(task, tmp_path):
    assert task("kill -KILL $$").wait(60) == 137
    assert not (tmp_path / "asked").exists()


def test_what_the_script_says(sweep, tmp_path, monkeypatch):
    place = tmp_path / "my runs"
    place.mkdir()
    monkeypatch.chdir(place)
    said = script(sweep, [0, 1, 2, 4], Orders(("my code.py",), True))
    assert said.startswith("#!/bin/bash\n#SBATCH ")
    heads = re.findall(r"^#SBATCH (--\S+)$", said, flags=re.MULTILINE)
    assert heads == [
        "--job-name=sweep-S",
        "--array=0-2,4",
        f"--output={sweep.path}/slurm-%A_%a.txt",
        "--open-mode=append",
        "--signal=B:USR1@120",
        "--requeue",
    ]
    assert f"\ncd -- '{place}' || exit 2\n" in said
    command = f"{sys.executable} -m banach sweep run {sweep.path} --plugin 'my code.py' --retry-failed --index"
    assert f'\n{command} "$SLURM_ARRAY_TASK_ID" &\n' in said
    assert ranges([0, 2, 4]) == "0,2,4"
    assert ranges(range(12)) == "0-11"


def test_a_percent_sign_in_a_path_is_no_field_of_slurms(tmp_path, monkeypatch):
    folder = tmp_path / "at 100%A"
    folder.mkdir()
    (folder / "sweep.json").write_text(
        '{"format": 1, "base": {}, "runs": [{"index": 0, "name": "a", "steps": 1, "values": {}}]}'
    )
    monkeypatch.chdir(tmp_path)
    said = script(open_sweep("at 100%A"), [0], Orders())
    assert f"#SBATCH --output='{tmp_path}/at 100%%A/slurm-%A_%a.txt'\n" in said
    assert " sweep run 'at 100%A' --index" in said
