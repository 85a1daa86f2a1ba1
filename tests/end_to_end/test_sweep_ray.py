"""A sweep over a Ray cluster of two nodes on this machine: a worker is killed, then a node; all runs end as alone.

Ray is not among what the tests install: `pip install 'banach[sweep]'` beside them, then `make test-ray`.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import sweeping
from resume_driver import Driver
from sweeping import COMMAND, THREE, TWELVE

SLOW_MACHINE = {
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_failure_threshold": "100",
    "RAY_gcs_server_request_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_USAGE_STATS_ENABLED": "0",
}
for key, value in SLOW_MACHINE.items():  # Ray reads them as it is imported
    os.environ.setdefault(key, value)

pytest.importorskip("ray")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def node() -> dict[str, int]:
    """A small node. With its ports given, Ray does not give up after the seconds in which its helpers choose some."""
    with contextlib.ExitStack() as held:
        ends = [held.enter_context(socket.socket()) for _ in PORTS]
        for one in ends:
            one.bind(("", 0))
        ports = {name: one.getsockname()[1] for name, one in zip(PORTS, ends, strict=True)}
    return {"num_cpus": 3, "object_store_memory": 100 * 2**20, **ports}


def going(sweep) -> list[int]:
    """The numbers of the runs that are in the middle."""
    return [one.index for one in sweep.runs if one.folder.lock.exists() and 5 <= sweeping.max_step(one) < one.steps]


def await_going(sweep, driver: subprocess.Popen, but: int = -1) -> int:
    ends = time.monotonic() + 900
    while not (found := [one for one in going(sweep) if one != but]):
        assert time.monotonic() < ends
        assert driver.poll() is None, f"the driver ended with {driver.returncode}"
        time.sleep(0.003)
    return found[0]


def test_twelve_runs_on_two_nodes_with_a_worker_and_a_node_killed(banach, tmp_path: Path, monkeypatch) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    one = Driver()
    alone = sweeping.run_alone(one, sweeping.write(tmp_path, TWELVE), tmp_path / "alone")
    one.close()
    assert banach("sweep", "create", "grid.yaml", "--out", "S")[0] == 0
    sweep = sweeping.sweep_in(tmp_path / "S")
    cluster = Cluster(initialize_head=True, head_node_args={**node(), "include_dashboard": False})
    try:
        second = cluster.add_node(**node())
        cluster.wait_for_nodes(timeout=300)
        began = time.monotonic()
        log = (tmp_path / "driver.txt").open("w")
        driver = subprocess.Popen([*COMMAND, "run", "S", "--ray", cluster.address], stdout=log, stderr=log)
        killed = await_going(sweep, driver)
        worker = sweeping.holder(sweep.run(killed))
        sweeping.kill(worker)
        cut = sweeping.max_step(sweep.run(killed))
        await_going(sweep, driver, but=killed)
        cluster.remove_node(second, allow_graceful=False)
        assert driver.wait(timeout=1800) == 0, (tmp_path / "driver.txt").read_text()
    finally:
        cluster.shutdown()
    said = (tmp_path / "driver.txt").read_text()
    assert "2 nodes; each run takes 1 CPUs and 0 GPUs" in said
    assert said.endswith(f"{len(alone)} runs: {len(alone)} done\n")
    assert cut < 60
    assert worker != os.getpid()
    sessions = json.loads(sweep.run(killed).folder.environment.read_text())["earlier"]
    assert len(sessions) >= 2  # the sweep's creation, the session that was killed, and (the newest) the one after it
    sweeping.assert_all_same(tmp_path / "S", alone)
    print(f"12 runs, run {killed} killed at step {cut}, {time.monotonic() - began:.0f} s\n{said}")


def test_ctrl_c_at_the_driver_lets_the_runs_save_and_the_same_command_ends_them(banach, tmp_path: Path, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    one = Driver()
    alone = sweeping.run_alone(one, sweeping.write(tmp_path, THREE), tmp_path / "alone")
    one.close()
    assert banach("sweep", "create", "grid.yaml", "--out", "S")[0] == 0
    sweep = sweeping.sweep_in(tmp_path / "S")
    cluster = Cluster(initialize_head=True, head_node_args={**node(), "include_dashboard": False})
    command = [*COMMAND, "run", "S", "--ray", cluster.address]
    try:
        with (tmp_path / "driver.txt").open("w") as log:
            driver = subprocess.Popen(command, stdout=log, stderr=log)
            stopped = sweep.run(await_going(sweep, driver))
            driver.send_signal(signal.SIGINT)
            assert driver.wait(timeout=900) == 75, (tmp_path / "driver.txt").read_text()
        assert "Ctrl-C: the same command goes on" in (tmp_path / "driver.txt").read_text()
        assert not stopped.folder.lock.exists()
        assert 0 < sweeping.max_step(stopped) < stopped.steps
        again = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        assert again.returncode == 0, again.stderr
    finally:
        cluster.shutdown()
    sweeping.assert_all_same(tmp_path / "S", alone)
