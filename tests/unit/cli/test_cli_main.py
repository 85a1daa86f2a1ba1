"""The command line's front door: finding commands, help, versions, and what errors look like."""

import atexit
import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

import banach
from banach.cli import __main__ as front
from banach.config.config import ConfigError


def plant(monkeypatch, act):
    """A command `report` that does what a test wants."""
    module = types.ModuleType("banach.cli.report")
    module.main = act  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "banach.cli.report", module)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command_on_a_line_and_fits_a_screen(argv, capsys):
    assert front.main(argv) == 0
    said = capsys.readouterr().out
    for name, summary in front.COMMANDS.items():
        assert f"  {name:<10} {summary}\n" in said
    assert len(said.splitlines()) <= 24
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("name", front.COMMANDS)
def test_every_command_exists_and_its_help_has_examples(name, capsys):
    assert front.main([name, "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert f"usage: banach {name}" in said.out
    assert f"\n  banach {name}" in said.out.split("examples:")[1]


@pytest.mark.parametrize("argv", [["--version"], ["-V"], ["version"]])
def test_version(argv, capsys):
    assert front.main(argv) == 0
    assert capsys.readouterr().out == f"banach {banach.__version__}\n"


def test_an_unknown_command_suggests(capsys):
    assert front.main(["trian", "--steps", "3"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown command 'trian'; did you mean train")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("lr: 0 is too small"), 2, "error: lr: 0 is too small\n"),
        (FileNotFoundError(2, "No such file or directory", "runs/x"), 2, "error: No such file or directory: runs/x\n"),
        (OSError("odd"), 2, "error: odd\n"),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
    ],
)
def test_what_a_user_can_mend_is_one_line(monkeypatch, capsys, error, code, said):
    def act(argv):
        raise error

    plant(monkeypatch, act)
    assert front.main(["report"]) == code
    assert capsys.readouterr().err == said


def test_a_fault_of_ours_is_two_lines_code_1_and_a_traceback_on_request(monkeypatch, capsys):
    def act(argv):
        assert "--traceback" not in argv
        raise RuntimeError("size mismatch\n at line 3")

    plant(monkeypatch, act)
    assert front.main(["report"]) == 1
    plain = capsys.readouterr().err
    assert plain.startswith("error: RuntimeError: size mismatch at line 3\n")
    assert len(plain.splitlines()) == 2
    assert "Traceback" not in plain
    assert front.main(["report", "--traceback"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("BANACH_TRACEBACK", "1")
    assert front.main(["report"]) == 1
    assert "Traceback" in capsys.readouterr().err


def nobody_meant_it(argv):
    raise ValueError("shapes do not match")


def test_a_value_error_of_a_library_is_not_passed_off_as_the_users(monkeypatch):
    plant(monkeypatch, nobody_meant_it)
    assert front.main(["report"]) == 1


def test_a_value_error_in_a_file_of_the_package_is_a_fault_too(monkeypatch, capsys):
    source = Path(front.__file__).with_name("report.py")
    space = {}
    exec(compile("def act(argv):\n    return int('x')", source, "exec"), space)
    plant(monkeypatch, space["act"])
    assert front.main(["report"]) == 1
    assert "this is a fault of banach or of a plugin" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named_with_the_remedy(monkeypatch, capsys):
    plant(monkeypatch, lambda argv: importlib.import_module("nobody_has_this.inside"))
    assert front.main(["report"]) == 2
    assert capsys.readouterr().err == "error: nobody_has_this is not installed; pip install nobody_has_this\n"


def test_what_a_norm_refuses_is_the_users(monkeypatch, capsys):
    plant(monkeypatch, lambda argv: banach.Sobolev(s=1).norm(torch.zeros(2, 3)))
    assert front.main(["report"]) == 2
    assert "spatial axes" in capsys.readouterr().err


def test_the_exit_code_of_a_command_is_passed_on(monkeypatch):
    plant(monkeypatch, lambda argv: 75)
    assert front.main(["report"]) == 75


def test_as_a_process_with_a_closed_pipe_and_a_bad_command():
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = f"{sys.executable} -m banach.cli list spaces | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([sys.executable, "-m", "banach.cli", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("world", "word", "at_once"), [(1, "train", False), (2, "train", True), (2, "list", False)])
def test_a_training_process_of_several_ends_at_once_with_its_code(monkeypatch, world, word, at_once):
    class EndedError(Exception):
        pass

    said = []

    def leave(code):
        said.append(code)
        raise EndedError

    monkeypatch.setattr(front, "main", lambda: 75)
    monkeypatch.setattr(front.distributed, "launched", lambda: (0, world))
    monkeypatch.setattr(sys, "argv", ["banach", word])
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: said.append("plugins"))
    monkeypatch.setattr(os, "_exit", leave)
    if at_once:
        with pytest.raises(EndedError):
            front.command()
    else:
        assert front.command() == 75
    assert said == (["plugins", 75] if at_once else [])
