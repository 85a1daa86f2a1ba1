"""Every example runs as its docstring says, in a process and a folder of its own."""

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from banach.models import build_critic
from banach.objectives import OBJECTIVES
from banach.penalties import PENALTIES
from banach.spaces import SPACES
from banach.testing import assert_laws, check_space

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NEEDS = {"lightning_loop": "lightning", "accelerate_loop": "accelerate"}
PRINTS = {
    "plain_loop": r"step  100  gap \d",
    "lightning_loop": r"gap \d",
    "accelerate_loop": r"gap \d",
    "fit_arrays": r"samples mean +-?\d",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_how_to_run_it(script):
    text = script.read_text()
    assert len(text.splitlines()) <= 63, "an example is read in one sitting"
    assert f"examples/{script.name}" in text.split('"""')[1]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_runs(script, tmp_path):
    library = NEEDS.get(script.stem)
    if library and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    # Warnings of the libraries themselves are theirs; one thread is fastest for networks of this size.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(PRINTS.get(script.stem, ""), done.stdout), done.stdout
    if script.stem == "plain_loop":
        gaps = [float(one) for one in re.findall(r"gap (\S+)", done.stdout)]
        assert gaps[-1] < 0.7 * gaps[0], "the generator closes the gap that the critic opened"


def test_own_parts_obey_the_laws_and_go_by_name():
    runpy.run_path(str(EXAMPLES / "own_parts.py"))
    assert_laws(check_space(SPACES.parse("Recent(rate=2, p=3)"), shapes=[(1, 5), (2, 8)], steps=20))
    assert OBJECTIVES.parse("half-exp").phi is not None
    assert PENALTIES.parse("steep-fakes").weight == 10
    assert build_critic("series", (2, 12), width=8)
