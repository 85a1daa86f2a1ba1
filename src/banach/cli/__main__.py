"""`banach COMMAND …`: finds the command's module by name, runs it, and turns user errors into one line and exit code 2.

Commands are imported when they are called (the one place where that is done): help and typing errors answer at once.
"""

import atexit
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from banach import boot, distributed
from banach.cli.output import say_error
from banach.errors import BanachError
from banach.foreign import visible
from banach.outlet import outlet
from banach.specs import nearest

COMMANDS = {
    "train": "train a GAN, or continue a run (alone: the demo)",
    "sample": "draw samples from a run or a generator file",
    "evaluate": "score a run or a generator file against a data set",
    "distance": "the Wasserstein distance of two sample sets in any norm, with a certificate",
    "verify": "check the certificate of a distance, without any solver",
    "report": "write the report page of a run",
    "reproduce": "repeat an experiment of the source documents, and judge its claim",
    "compare": "compare runs: methods over seeds in one page, with intervals; CSV and LaTeX",
    "sweep": "many runs as one: a grid of keys and seeds, here, by job arrays, or over Ray",
    "list": "list spaces, objectives, penalties, models, data, presets, extractors, benchmark pairs",
    "laws": "test a space, objective, penalty or model against the laws it must obey",
    "download": "fetch a data set (the only command that uses the network)",
}
"""Each command with what it does; `banach.cli.<command>` has `main(argv) -> int`."""

_EXAMPLES = (
    "banach train --data photos/ --size 64 --space shape  your images, a norm that weighs global shape",
    "banach distance a.npy b.npy --space shape            how far apart two sample sets are, proved",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 2 wrong input, and what the command's help names besides."""
    words = list(sys.argv[1:] if argv is None else argv)
    developer = "--traceback" in words or os.environ.get("BANACH_TRACEBACK", "") not in ("", "0")
    words = [word for word in words if word != "--traceback"]
    try:
        return _dispatch(words)
    except SystemExit as asked:  # a help text was printed
        return asked.code if isinstance(asked.code, int) else 0
    except KeyboardInterrupt:
        return _refuse("stopped", boot.INTERRUPTED)
    except Exception as error:  # the last stop of every error: one line for users, all of it for developers
        if developer:
            sys.stderr.writelines(f"{visible(line)}\n" for line in traceback.format_exc().split("\n"))
        return _explain(error)


def command() -> int:
    """`main` as a process of its own: a command does its work to the end, whoever still listens.

    Of several processes each ends at once when its work is done: gloo's threads may outlive the interpreter; the C++
    runtime then aborts a process whose run is finished and saved, about once in ten times, and torchrun takes the run
    for failed.
    """
    before, several = (sys.stdout, sys.stderr), distributed.launched()[1] > 1 and "train" in sys.argv[1:2]
    said, errors = outlet(sys.stdout), outlet(sys.stderr)
    sys.stdout, sys.stderr = said, errors
    try:
        code = main()
        said.flush()
        if said.lost and not said.by_reader and "train" not in sys.argv[1:2]:
            code = _refuse(f"what was to be said on standard output is lost: {said.lost}", code or 2)
    finally:
        if several:
            atexit._run_exitfuncs()  # of plugins
        said.end()
        errors.end()
        sys.stdout, sys.stderr = before
    if several:
        os._exit(code)
    return code


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
        return 0
    name, *rest = words
    if name in ("-V", "--version", "version"):
        sys.stdout.write(f"banach {importlib.import_module('banach').__version__}\n")
        return 0
    if name not in COMMANDS:
        return _refuse(f"unknown command {name!r}; {nearest(name, COMMANDS)}", 2)
    if distributed.launched()[1] > 1 and name != "train":
        return _refuse(f"{name} runs in one process; leave out torchrun (only train runs in several)", 2)
    module = importlib.import_module(f"banach.cli.{name}")
    boot.imported()
    return module.main(rest)


def help_text() -> str:
    """What `banach --help` prints."""
    lines = ["usage: banach COMMAND [--flag value …]", "", "Train Wasserstein GANs in any normed space.", ""]
    lines += ["commands:", *(f"  {name:<10} {summary}" for name, summary in COMMANDS.items()), ""]
    lines += ["`banach COMMAND --help` describes a command; `banach --version` prints the version."]
    lines += ["--traceback (or BANACH_TRACEBACK=1) shows where an error arose.", ""]
    lines += ["examples:", *(f"  {example}" for example in _EXAMPLES), ""]
    return "\n".join(lines)


def _explain(error: Exception) -> int:
    """One or two lines on stderr, and the exit code: 2 for what a user can mend, 1 for a fault of ours."""
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return _refuse(f"{error.strerror or error}{where}", 2)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # the latter is torch's
        return _refuse("this takes more memory than is free; take fewer or smaller samples", 2)
    if isinstance(error, BanachError):
        return _refuse(str(error), 2)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("banach"):
        return _refuse(f"{error.name} is not installed; pip install {error.name.partition('.')[0]}", 2)
    said = " ".join(str(error).split())
    fault = "this is a fault of banach or of a plugin; the same command with --traceback shows where"
    return _refuse(f"{type(error).__name__}: {said}\n{fault}", 1)


def _refuse(message: str, code: int) -> int:
    # Of several processes all have what a user can mend, and the first one tells; a fault may be that of any one.
    if distributed.first_to_tell() if code == 1 else distributed.launched()[0] == 0:
        say_error(message)
    return code


if __name__ == "__main__":
    sys.exit(command())
