"""Starts training runs in processes of their own, quickly, and kills them on request: see `Driver`.

Run as a script it is the other side: it imports everything once, and forks a child for each request on its stdin.
"""

import contextlib
import os
import resource
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from forking import Forking, answer, requests

STARTED = b"\0"
"""What a child writes when its first lines are said, and after each step."""
CAUGHT = b"\1"
"""What a child writes when a signal has reached its handler: on a busy machine, two sent before that are one."""


class Driver(Forking):
    """A process that starts runs. `run(config, …)` gives how the run's process ended: its exit code, or minus a signal.

    The signal `send` is sent so many `steps` and seconds (`after`) after the first lines were said. `die` = (function,
    n) kills the process by SIGKILL at the n-th call of that function of `os` (or, for "half", in the middle of the n-th
    write of a checkpoint). No file may grow beyond `largest_file` bytes, as if the disk were full.
    """

    def __init__(self) -> None:
        super().__init__(__file__)

    def run(
        self,
        config: dict[str, Any],
        *,
        send: int = 0,
        steps: int = 0,
        after: float = 0.0,
        again: bool = False,
        die: tuple[str, int] | None = None,
        extend: bool = False,
        largest_file: int = 0,
    ) -> dict[str, Any]:
        how = {"send": send, "steps": steps, "after": after, "again": again, "die": die}
        return self.ask({"config": config, "extend": extend, "largest_file": largest_file, **how})


def serve() -> None:
    import banach.session.run

    del banach
    for request in requests():
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            with contextlib.suppress(BaseException):
                child(request, writing)
            os._exit(99)
        os.close(writing)
        began = time.monotonic()
        if request["send"]:
            seen = b""
            while seen.count(STARTED) <= request["steps"]:
                part = os.read(reading, 1)
                seen += part
                if not part:
                    break  # it ended by itself
            time.sleep(request["after"])
            os.kill(pid, request["send"])
            if request["again"]:
                while (part := os.read(reading, 1)) and part != CAUGHT:
                    pass
                os.kill(pid, request["send"])
        _, status = os.waitpid(pid, 0)
        told = os.read(reading, 60_000).replace(STARTED, b"").replace(CAUGHT, b"").decode()
        os.close(reading)
        answer({"code": os.waitstatus_to_exitcode(status), "said": told, "seconds": time.monotonic() - began})


def child(request: dict[str, Any], pipe: int) -> None:
    from banach.config.config import Config
    from banach.session.console import Quiet
    from banach.session.run import run
    from banach.session.signals import Stop

    class Reporting(Quiet):
        def event(self, name: str, values: dict[str, Any]) -> None:
            if name == "start":
                os.write(pipe, STARTED)

        def tick(self, step: int, eta_seconds: float) -> None:
            os.write(pipe, STARTED)

    caught = Stop._caught

    def telling(self: Stop, number: int, frame: FrameType | None) -> None:
        try:
            caught(self, number, frame)
        finally:
            os.write(pipe, CAUGHT)

    Stop._caught = telling  # type: ignore[method-assign]
    if request["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], request["largest_file"]))
    if request["die"]:
        arm(*request["die"])
    outcome = run(Config(**request["config"]), console=Reporting(), extend=request["extend"], argv=["test"])
    os.write(pipe, outcome.message.encode())
    os._exit(outcome.code)


def arm(function: str, n: int) -> None:
    """Make this process kill itself at the n-th call of `function`."""
    calls = 0

    def kill_at_nth() -> bool:
        nonlocal calls
        calls += 1
        return calls == n

    if function == "half":
        whole = Path.write_bytes

        def half(self: Path, content: Any) -> int:
            if "last.pt" not in self.name or not kill_at_nth():
                return whole(self, content)
            whole(self, bytes(content)[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        Path.write_bytes = half  # type: ignore[method-assign]
        return
    real = getattr(os, function)

    def fatal(*args: Any, **named: Any) -> Any:
        if kill_at_nth():
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **named)

    setattr(os, function, fatal)


if __name__ == "__main__":
    serve()
