"""A folder of 147 MB decoded, in a process that may take less than that for all it does with it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ALLOWED = 112 << 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_a_folder_beyond_memory_is_read_measured_and_scored(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    for name, value in {"OMP_NUM_THREADS": 1, "MALLOC_ARENA_MAX": 2, "MALLOC_MMAP_THRESHOLD_": 1 << 20}.items():
        monkeypatch.setenv(name, str(value))  # what is given back is given back at once, so that the limit is sharp
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for at in range(3000):
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(folder / f"{at}.png")
    program = Path(__file__).with_name("read_in_little_memory.py")
    end = subprocess.run(
        [sys.executable, str(program), str(folder), str(ALLOWED)], capture_output=True, text=True, timeout=300
    )
    assert end.returncode == 0, end.stderr
    found = json.loads(end.stdout)
    assert found["bytes"] == 3000 * 3 * 128 * 128 > ALLOWED
    assert found["same"]
    assert ["decoded into" in " ".join(found["notes"]), "read from the cache" in " ".join(found["notes"])] == [True] * 2
    assert found["lam"] > 0
    assert not found["copied"], "with a copy of the set the limit is met: it would have been met before"
