"""Freed memory: kept or given back, measured in a process of its own."""

import subprocess
import sys

import pytest

from banach.session import memory
from banach.session.memory import freed_memory

PROBE = """
import sys
from banach.session.memory import freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

with freed_memory(sys.argv[1] == "kept") as so:
    assert so
    before = resident()
    block = bytearray(96 * 2**20)
    del block
    inside = resident() - before
print(inside, resident() - before)
"""


@pytest.mark.skipif(memory._tuner() is None, reason="not the C library that it tunes")
@pytest.mark.parametrize("how", ["kept", "given back"])
def test_what_is_freed_stays_or_goes(how):
    done = subprocess.run([sys.executable, "-c", PROBE, how], capture_output=True, text=True, check=True)
    inside, after = map(float, done.stdout.split())
    assert (inside > 90) == (how == "kept")
    assert after < 10  # afterwards all is given back


def test_another_c_library_changes_nothing(monkeypatch):
    monkeypatch.setattr(memory, "_tuner", lambda: None)
    with freed_memory(True) as so:
        assert not so
