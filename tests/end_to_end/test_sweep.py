"""Sweeps of real runs in real processes, some of which are killed: every run ends as it does by itself, to the bit."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sweeping
from resume_driver import Driver
from sweeping import COMMAND, THREE, TWELVE, await_step

from banach.cli.__main__ import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills processes by signals")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BANACH_CACHE", str(tmp_path_factory.mktemp("cache")))
        one = Driver()
        yield one
        one.close()


def test_three_runs_one_of_which_was_killed_and_is_taken_up_again(driver, banach, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = sweeping.run_alone(driver, sweeping.write(tmp_path, THREE), tmp_path / "alone")
    assert banach("sweep", "create", "grid.yaml", "--out", "S")[0] == 0
    killed = sweeping.sweep_in(tmp_path / "S").run(1)
    process = subprocess.Popen([*COMMAND, "run", "S", "--index", "1"], stdout=subprocess.DEVNULL)
    await_step(killed, 10, process)
    code, said, _ = banach("sweep", "run", "S", "--index", "1")
    assert (code, said.count("is being run by process")) == (0, 1)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert sweeping.max_step(killed) < killed.steps
    code, said, errors = banach("sweep", "status", "S")
    assert "3 runs: 1 stopped, 2 waiting" in said
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # the relative x.npy of the grid is found from here too
    code, said, errors = banach("sweep", "run", "../S", "--workers", "2")
    assert code == 0, said + errors
    assert "[1] space-sobolev-s-1: goes on from step" in said
    assert said.count(": done, ") == 3
    assert said.endswith("3 runs: 3 done\n")
    sweeping.assert_all_same(tmp_path / "S", alone)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "S").rglob("*")}
    assert banach("sweep", "run", "../S")[0] == 0
    assert "is finished; it is not run again" in banach("sweep", "run", "../S", "--index", "0")[1]
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "S").rglob("*") if path.is_file()}
    assert after == {path: at for path, at in before.items() if path in after}


def task(script: Path, index: int, tools: Path) -> subprocess.Popen:
    """A task of the job array, as Slurm starts it: bash in a session of its own."""
    environment = {**os.environ, "SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": str(index)}
    environment["PATH"] = f"{tools}:{environment['PATH']}"
    return subprocess.Popen(["bash", str(script)], env=environment, stdout=subprocess.DEVNULL, start_new_session=True)


@pytest.mark.slow
def test_a_job_array_of_twelve_with_one_killed_and_one_out_of_time(driver, banach, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = sweeping.run_alone(driver, sweeping.write(tmp_path, TWELVE), tmp_path / "alone")
    assert banach("sweep", "create", "grid.yaml", "--out", "S")[0] == 0
    sweep, script, tools = sweeping.sweep_in(tmp_path / "S"), tmp_path / "S.sh", tmp_path / "tools"
    said = banach("sweep", "run", "S", "--sbatch")[1]
    assert "\n#SBATCH --array=0-11\n" in said
    script.write_text(said)
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/asked\n')
    (tools / "scontrol").chmod(0o755)

    def to_its_end(index: int) -> int:
        process = task(script, index, tools)
        if index == 4:
            await_step(sweep.run(4), 10, process)
            os.killpg(process.pid, signal.SIGKILL)  # the node is lost: the shell and the run
        if index == 7:
            await_step(sweep.run(7), 10, process)
            process.send_signal(signal.SIGUSR1)  # B: the shell alone
        return process.wait()

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(to_its_end, range(12)))
    assert codes == [{4: -signal.SIGKILL, 7: 75}.get(index, 0) for index in range(12)]
    assert (tmp_path / "asked").read_text() == "requeue 70_7\n"
    states = [one["state"] for one in json.loads(banach("sweep", "status", "S", "--json")[1])["runs"]]
    assert states == [{4: "stopped", 7: "stopped"}.get(index, "done") for index in range(12)]
    cut = [sweeping.max_step(sweep.run(index)) for index in (4, 7)]
    assert max(cut) < 60
    said = banach("sweep", "run", "S", "--sbatch")[1]
    assert "\n#SBATCH --array=4,7\n" in said
    assert [task(script, index, tools).wait() for index in (4, 7)] == [0, 0]
    sweeping.assert_all_same(tmp_path / "S", alone)
    print(f"12 runs, cut at steps {cut}, {time.monotonic() - began:.0f} s")


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_killed_worker_takes_its_run_with_it_saved_and_a_signal_stops_all(driver, banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = sweeping.run_alone(driver, sweeping.write(tmp_path, THREE), tmp_path / "alone")
    assert banach("sweep", "create", "grid.yaml", "--out", "S")[0] == 0
    first = sweeping.sweep_in(tmp_path / "S").run(0)
    worker = subprocess.Popen([*COMMAND, "run", "S"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    await_step(first, 10, worker)
    run = sweeping.holder(first)
    worker.kill()
    worker.wait()
    ends = time.monotonic() + 60
    while is_there(run) and time.monotonic() < ends:  # a run lets its folder go before its process ends
        time.sleep(0.05)
    assert not is_there(run)
    assert not first.folder.lock.exists()
    stopped = sweeping.max_step(first)
    worker = subprocess.Popen([*COMMAND, "run", "S"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    await_step(first, min(stopped + 10, 55), worker)
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=300)
    assert worker.returncode == 75, said
    assert "SIGTERM: the same command goes on" in said
    assert not list((tmp_path / "S").rglob("*.lock"))
    assert main(["sweep", "run", "S"]) == 0
    sweeping.assert_all_same(tmp_path / "S", alone)
