"""Every example runs as its docstring says, in a process and a folder of its own."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NEEDS = {"lightning_loop": "lightning", "accelerate_loop": "accelerate"}
PRINTS = {
    "plain_loop": r"step  100  gap \d",
    "lightning_loop": r"gap \d",
    "accelerate_loop": r"gap \d",
    "fit_arrays": r"samples mean +-?\d",
}


def run(folder: Path, *words: str) -> str:
    """What a command prints; it must end with code 0."""
    # Warnings of libraries are theirs; one thread is fastest for networks of this size.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


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
    printed = run(tmp_path, sys.executable, str(script))
    assert re.search(PRINTS.get(script.stem, ""), printed), printed
    if script.stem == "plain_loop":
        gaps = [float(one) for one in re.findall(r"gap (\S+)", printed)]
        assert gaps[-1] < 0.7 * gaps[0], "the generator closes the gap that the critic opened"
