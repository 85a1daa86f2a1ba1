"""What a process that is the command `banach` does before all else: the first import of the package.

`banach` and `python -m banach` import the package, and with it torch, for seconds before a line of the command runs.
Ctrl-C ends them meanwhile with one line. Standard streams that were closed lead nowhere: else the next file that is
opened would get their number, and what libraries write on standard error with it. A program that imports the package
is left alone. It imports next to nothing itself.
"""

import os
import signal
import sys

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

_MODULES = ("banach", "banach.cli", "banach.cli.__main__", "banach.__main__")
_SCRIPTS = ("banach", "banach-script")


def is_command(interpreter: list[str], program: str) -> bool:
    """Whether the command line of an interpreter runs the command: as a module, or by its script.

    >>> is_command(["python", "-u", "-m", "banach.cli", "train"], "-m"), is_command(["python", "x.py"], "x.py")
    (True, False)
    """
    if program == "-m":  # as long as the module is being found
        return interpreter[interpreter.index("-m") + 1 :][:1] in [[one] for one in _MODULES]
    return program.replace("\\", "/").rpartition("/")[2].removesuffix(".exe").removesuffix(".py") in _SCRIPTS


def imported() -> None:
    """All that the command needs has been imported: from now on Ctrl-C is a KeyboardInterrupt."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: object) -> None:
    del number, frame
    try:
        os.write(2, b"\nerror: stopped\n")
    finally:
        os._exit(INTERRUPTED)  # in the middle of an import nothing is open yet


def _open_closed() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one


if is_command(sys.orig_argv, sys.argv[0] if sys.argv else ""):
    _open_closed()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, _end)
