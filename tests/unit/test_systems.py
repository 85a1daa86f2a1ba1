"""What only Unix has is not needed: commands work without it, and no text file is opened in a locale's encoding."""

import ast
import subprocess
import sys
from pathlib import Path

import banach

SOURCE = Path(banach.__file__).parent
UNIX_MODULES = ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog")
UNIX_NAMES = (
    "O_NOFOLLOW", "O_DIRECTORY", "sched_getaffinity", "sysconf", "getuid", "geteuid", "getpgid", "fork", "statvfs",
    "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL",
)  # fmt: skip

WITHOUT_UNIX = f"""
import os, signal, sys, warnings
warnings.simplefilter("ignore")
for name in {UNIX_MODULES}:
    sys.modules[name] = None
import torch
for name in {UNIX_NAMES}:
    for module in (os, signal):
        if name in dir(module):
            delattr(module, name)
import importlib
from banach.cli.__main__ import COMMANDS, main
for name in COMMANDS:
    assert main([name, "--help"]) == 0, name
tiny = "--model mlp --width 4 --z 2 --batch 8 --n-critic 1 --steps 2 --score-samples 20 --threads 1"
assert main(["train", "--data", "8gaussians:n=100", *tiny.split(), "--out", "run"]) == 0
assert main(["sample", "run", "--n", "20", "--out", "a.npz"]) == 0
assert main(["evaluate", "run", "--n", "20", "--json"]) == 0
assert main(["distance", "a.npz:samples", "a.npz:samples", "--no-scores", "--json"]) == 0
assert main(["distance", "a.npz:samples", "a.npz:samples", "--no-scores", "--save", "c.npz"]) == 0
assert main(["verify", "c.npz", "a.npz:samples", "a.npz:samples"]) == 0
print("all")
"""


def test_every_command_works_without_what_only_unix_has(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_UNIX], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("all\n")
    assert "MB at most" not in done.stdout


def by_locale(source: str) -> list[int]:
    """The lines that open a text file without saying in which encoding."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        named = any(one.arg == "encoding" for one in node.keywords)
        reads = node.func.attr == "read_text" and not texts
        opens = node.func.attr == "open" and any(set(one) <= set("rwxat+") for one in texts)
        if (reads or opens) and not named and "/proc" not in ast.unparse(node) and "group" not in ast.unparse(node):
            found.append(node.lineno)
    return found


def test_no_text_file_depends_on_the_locale() -> None:
    wrong = "a.read_text()\na.open('w')"
    assert by_locale(f"{wrong}\na.read_text('utf-8')\na.open('rb')\na.open('w', encoding='x')") == [1, 2]
    found = {str(path): by_locale(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}
