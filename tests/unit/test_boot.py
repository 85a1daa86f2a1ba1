"""What a process that is the command does before all else: run as processes, without torch, which takes seconds."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import banach
from banach.boot import is_command

SOURCE = Path(banach.__file__).parents[1]
INTERRUPTING = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"


@pytest.fixture
def planted(tmp_path: Path):
    """Runs an interpreter for which torch is a file of the test."""

    def act(torch: str, *words: str, **options) -> subprocess.CompletedProcess[str]:
        (tmp_path / "torch.py").write_text(torch)
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"}
        return subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, text=True, check=False, **options
        )

    return act


@pytest.mark.parametrize("module", ["banach", "banach.cli"])
def test_ctrl_c_while_importing_is_one_line(planted, module: str) -> None:
    done = planted(INTERRUPTING, "-m", module, "train")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nerror: stopped\n")


def test_the_installed_script_does_so_too(planted, tmp_path: Path) -> None:
    (tmp_path / "banach").write_text("from banach.cli.__main__ import command\ncommand()\n")
    done = planted(INTERRUPTING, str(tmp_path / "banach"), "--help")
    assert (done.returncode, done.stderr) == (130, "\nerror: stopped\n")


def test_a_program_that_imports_the_package_keeps_its_own_ways(planted, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("try:\n    import banach\nexcept KeyboardInterrupt:\n    print('mine')\n")
    assert planted(INTERRUPTING, str(tmp_path / "mine.py"), "-m", "banach").stdout == "mine\n"


def test_ctrl_c_that_is_ignored_stays_ignored(planted) -> None:
    look = "import os, signal\nprint(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, flush=True)\nos._exit(3)\n"
    done = planted(look, "-m", "banach", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert (done.returncode, done.stdout) == (3, "True\n")


def test_no_file_gets_the_number_of_a_closed_stream(planted) -> None:
    look = "import os\nos.write(1, os.readlink('/proc/self/fd/2').encode())\nos._exit(3)\n"
    done = planted(look, "-m", "banach", preexec_fn=lambda: os.close(2))
    assert (done.returncode, done.stdout) == (3, os.devnull)


@pytest.mark.parametrize(
    ("interpreter", "program", "is_it"),
    [
        (["python", "-m", "banach"], "-m", True),
        (["python", "-u", "-m", "banach.cli", "train"], "-m", True),
        (["python", "-m", "pytest"], "-m", False),
        (["python", "-m", "pytest", "-m", "banach"], "-m", False),
        (["python", "/usr/bin/banach", "train"], "/usr/bin/banach", True),
        (["python", "C:\\Scripts\\banach.exe"], "C:\\Scripts\\banach.exe", True),
        (["python", "mine.py"], "mine.py", False),
        (["python"], "", False),
    ],
)
def test_what_is_the_command(interpreter: list[str], program: str, is_it: bool) -> None:
    assert is_command(interpreter, program) is is_it
