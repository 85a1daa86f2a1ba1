"""Free memory, as the machine and the control groups tell it."""

import os

import pytest

from banach import memory as machine
from banach.data import DataError, memory


def test_this_machine_has_some_memory():
    free = machine.available()
    assert free is None or 2**20 < free < 2**50


def test_groups_up_to_the_root_are_asked(tmp_path, monkeypatch):
    job = tmp_path / "slurm" / "job7"
    job.mkdir(parents=True)
    for folder, limit in ((job, "max"), (tmp_path / "slurm", str(1 << 30))):
        (folder / "memory.max").write_text(limit + "\n")
        (folder / "memory.current").write_text(str(3 << 28))
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 28}\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    own = tmp_path / "own"
    own.write_text("0::/slurm/job7\n")
    real = machine.Path
    monkeypatch.setattr(machine, "Path", lambda text: own if text == "/proc/self/cgroup" else real(text))
    assert machine._free_in_groups() == [1 << 29]
    monkeypatch.setattr(machine, "_free_in_machine", lambda: 1 << 40)
    assert machine.available() == 1 << 29
    own.write_text("1:name=systemd:/\n")
    assert machine._free_in_groups() == []


def test_without_proc_the_whole_memory_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "Path", lambda text: tmp_path / "none")
    assert machine._free_in_machine() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_what_is_mapped(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    assert [memory.is_mapped("auto", n) for n in (250, 251)] == [False, True]
    assert [memory.is_mapped(cache, n) for cache in ("never", "always") for n in (1, 10**9)] == [False] * 2 + [True] * 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "5")
    assert [memory.is_mapped("auto", n) for n in (50, 51)] == [False, True]
    monkeypatch.setattr(memory, "available", lambda: None)
    assert not memory.is_mapped("auto", 10**15)


def test_a_refusal_names_both_figures_and_the_remedy(monkeypatch):
    monkeypatch.setattr(machine, "available", lambda: 20 << 30)
    memory.require(20 << 30, "this", "do that")
    with pytest.raises(DataError, match=r"^this would take 20.5 GiB of memory and 20 GiB are free; do that$"):
        memory.require(41 << 29, "this", "do that")
    monkeypatch.setattr(machine, "available", lambda: None)
    memory.require(1 << 60, "this", "do that")
