"""Experiments side by side: processes of their own, their faults, a signal that stops them all."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from banach.cli import reproduce as command
from banach.experiments.side_by_side import OUTPUT, run_beside

SHORT = ["histograms", "losses", "--scale", "tiny"]
POSIX = pytest.mark.skipif(os.name == "nt", reason="the processes are shell scripts")


def test_results_are_those_of_one_after_the_other(tmp_path, capsys):
    assert command.main([*SHORT, "--out", str(tmp_path / "one")]) == 0
    assert command.main([*SHORT, "--out", str(tmp_path / "two"), "--workers", "2"]) == 0
    said = capsys.readouterr()
    assert said.out.count("histograms: the claim holds") == 2
    assert "losses: begins; what it says is in" in said.err
    for name in SHORT[:2]:
        one, two = (json.loads((tmp_path / at / name / "result.json").read_text()) for at in ("one", "two"))
        for key in ("verdict", "checks", "numbers", "settings", "seeds"):
            assert one[key] == two[key]
        assert not (tmp_path / "one" / name / OUTPUT).exists()
    assert all(name in (tmp_path / "two" / "index.html").read_text() for name in SHORT[:2])
    assert command.main([*SHORT, "--out", str(tmp_path / "two"), "--workers", "2"]) == 0
    assert capsys.readouterr().out.count("(done before)") == 2


def test_a_fault_is_told_by_its_last_line_and_ends_no_other(tmp_path):
    words = [("bad", tmp_path / "bad", ["no-such-command"]), ("good", tmp_path / "good", ["list", "spaces"])]
    found = dict(run_beside(words, 2, lambda line: None))
    assert found["good"] == ""
    assert "no-such-command" in found["bad"]
    assert (tmp_path / "good" / OUTPUT).read_text()


def python(tmp_path, monkeypatch, script):
    """A script in place of this Python."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


@POSIX
def test_a_process_that_says_nothing_is_told_by_its_code(tmp_path, monkeypatch):
    python(tmp_path, monkeypatch, "exit 3")
    assert dict(run_beside([("one", tmp_path, [])], 1, lambda line: None)) == {"one": "its process ended with code 3"}


@POSIX
def test_a_signal_stops_all_and_none_is_begun_after(tmp_path, monkeypatch):
    python(tmp_path, monkeypatch, "trap 'exit 75' INT\necho begun\nsleep 60 &\nwait")
    begun: list[str] = []
    words = [(name, tmp_path / name, []) for name in ("a", "b", "c")]
    before, since = signal.getsignal(signal.SIGINT), time.monotonic()
    threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(run_beside(words, 2, begun.append))
    assert time.monotonic() - since < 30
    assert [(tmp_path / name / OUTPUT).read_text() for name in ("a", "b")] == ["begun\n"] * 2
    assert not (tmp_path / "c" / OUTPUT).exists() or not (tmp_path / "c" / OUTPUT).read_text()
    assert signal.getsignal(signal.SIGINT) is before


@POSIX
def test_each_has_its_share_of_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    script = python(tmp_path, monkeypatch, 'echo "threads $OMP_NUM_THREADS"')
    list(run_beside([(name, tmp_path / name, []) for name in "ab"], 2, lambda line: None))
    assert (tmp_path / "a" / OUTPUT).read_text() == "threads 4\n"
    assert subprocess.run([str(script)], env={}, capture_output=True, check=True).stdout == b"threads \n"


@POSIX
def test_a_folder_that_cannot_be_made_is_a_fault_and_ends_no_other(tmp_path, monkeypatch):
    python(tmp_path, monkeypatch, "exit 0")
    (tmp_path / "file").touch()
    words = [("bad", tmp_path / "file" / "bad", []), ("good", tmp_path / "good", [])]
    found = dict(run_beside(words, 1, lambda line: None))
    assert found["good"] == ""
    assert "NotADirectoryError" in found["bad"]
