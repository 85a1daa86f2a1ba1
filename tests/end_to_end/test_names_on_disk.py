"""Names that are no words: bytes that are not UTF-8, blanks, quotes, in data, out, plugin and picture names."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = shlex.split(
    "--model mlp --width 4 --z 2 --batch 8 --n-critic 1 --steps 4 --score-every 0 --score-samples 10 --threads 1 "
    "--extractor pixels"
)
RNG = np.random.default_rng(0)


@pytest.fixture(
    params=[
        pytest.param(b"\xff '\" $y", id="bytes"),
        pytest.param(b" 'x\" $y", id="quotes", marks=pytest.mark.slow),
        pytest.param("写".encode(), id="letters", marks=pytest.mark.slow),
    ]
)
def odd(request, tmp_path, monkeypatch):
    """A part of a name, as the file system has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    return os.fsdecode(request.param)


def from_shell(line: str) -> list[str]:
    """The words that a shell makes of a printed command."""
    show = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(show)} {line}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    return [os.fsdecode(one) for one in done.stdout.split(b"\0")]


def test_a_run_with_odd_names_from_first_to_last(odd, banach):
    data, out, plugin = f"photos{odd}", f"runs{odd}/mine", f"plug{odd}.py"
    Path(data).mkdir()
    for at in range(30):
        Image.fromarray(RNG.integers(0, 256, (6, 6), dtype=np.uint8)).save(f"{data}/{at:02}{odd}.png")
    Path(data, f"bad{odd}.png").write_bytes(b"no picture")
    Path(plugin).write_text("")
    code, _, err = banach("train", "--data", data, *TINY, "--out", out, "--plugin", plugin, "--max-minutes", "1e-6")
    assert code == 75
    (resume,) = re.findall("go on with: banach (.*)", err)
    code, said, err = banach(*from_shell(resume), "--max-minutes", "0")
    assert (code, err) == (0, "")
    assert Path(out, "report.html").is_file()
    assert "1 unreadable file" in Path(out, "log.txt").read_text(encoding="utf-8")
    for command in re.findall("^  banach ((?:sample|evaluate) .*)$", said, re.MULTILINE):
        assert banach(*from_shell(command))[0] == 0, command
    file = f"{out}/generator.safetensors"
    assert banach("sample", file, "--n", "2", "--out", f"fakes{odd}/")[0] == 0
    assert len(list(Path(f"fakes{odd}").iterdir())) == 2
    assert banach("evaluate", file, "--n", "10", "--json")[0] == 0
    assert banach("train", "--data", data, *TINY, "--cache", "always")[0] == 0  # and a default name
    code, said, _ = banach("distance", data, file, "--n", "10", "--no-scores", "--save", f"c{odd}.npz")
    assert code == 0
    (check,) = re.findall("check it with: banach (.*)", said)
    assert banach(*from_shell(check))[0] == 0
