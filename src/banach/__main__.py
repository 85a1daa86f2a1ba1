"""`python -m banach COMMAND …`: the same as `banach COMMAND …`."""

import sys

from banach.cli.__main__ import command

if __name__ == "__main__":
    sys.exit(command())
