"""A process that imports everything once and forks a child for each request: the two ends that the drivers share."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Forking:
    """This end: starts a driver's file as a script, asks it, and reads its answer, one line of JSON each."""

    def __init__(self, script: str | Path) -> None:
        command = [sys.executable, str(script)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def requests() -> Iterator[dict[str, Any]]:
    """The other end: the requests, after what takes long to import and with no pool of threads before the forks."""
    import tensorboard.summary.writer.record_writer
    import torch
    import torch._dynamo  # every optimizer imports it: once here, not once in each child

    torch.set_num_threads(1)
    del tensorboard
    for line in sys.stdin:
        yield json.loads(line)


def answer(said: Any) -> None:
    """The other end's answer to the request."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
