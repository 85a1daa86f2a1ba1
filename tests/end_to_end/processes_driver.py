"""Runs `banach train` in several processes at once, quickly: see `Team`.

Run as a script it is the other side: it imports everything once, and forks the processes of each request on its stdin.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forking import Forking, answer, requests


class Team(Forking):
    """A process that starts runs of `world` processes, with the variables that torchrun would set.

    `run` gives for each rank how it ended (its exit code, or minus a signal) and what it wrote. At the beginning of
    generator step `step` the process `rank` does what `do` says: a signal's name, which it sends itself, "nan", which
    makes its batch not a number, or "no data", which lets its data be missing (at any step).
    """

    def __init__(self) -> None:
        super().__init__(__file__)

    def run(
        self, argv: Sequence[object], world: int = 2, *, do: str = "", rank: int = 0, step: int = 0, restarts: int = 0
    ) -> list[dict[str, Any]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        request = {"argv": [str(word) for word in argv], "world": world, "do": do, "rank": rank, "step": step}
        return self.ask({**request, "port": port, "restarts": restarts})


def serve() -> None:
    import banach.cli.__main__
    import banach.cli.train

    del banach
    for request in requests():
        running = [fork(request, rank) for rank in range(request["world"])]
        ended = []
        for pid, outputs in running:
            _, status = os.waitpid(pid, 0)
            said = [os.pread(one, 1_000_000, 0).decode() for one in outputs]
            for one in outputs:
                os.close(one)
            ended.append({"code": os.waitstatus_to_exitcode(status), "out": said[0], "err": said[1]})
        answer(ended)


def fork(request: dict[str, Any], rank: int) -> tuple[int, list[int]]:
    outputs = [os.memfd_create(name) for name in ("out", "err")]
    pid = os.fork()
    if pid == 0:
        for standard, one in zip((1, 2), outputs, strict=True):
            os.dup2(one, standard)
        with contextlib.suppress(BaseException):
            child(request, rank)
        os._exit(99)
    return pid, outputs


def child(request: dict[str, Any], rank: int) -> None:
    from banach.cli.__main__ import main

    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": request["world"], "MASTER_PORT": request["port"]}
    places["TORCHELASTIC_MAX_RESTARTS"] = request["restarts"]
    os.environ.update({name: str(one) for name, one in places.items()}, MASTER_ADDR="127.0.0.1")
    if request["do"] and rank == request["rank"]:
        arm(request["do"], request["step"])
    code = main(request["argv"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def arm(do: str, step: int) -> None:
    import banach.session.begin
    from banach.errors import DataError
    from banach.training.steps import EAGER

    if do == "no data":

        def missing(config: Any) -> Any:
            raise DataError(f"no file or folder {Path(config.data).name}")

        banach.session.begin.load_data = missing
        return
    reals, acted = EAGER.reals, []

    def acting(state: Any, data: Any) -> Any:
        batch = reals(state, data)
        if state.step == step and not acted:
            acted.append(step)
            if do == "nan":
                return batch * float("nan")
            os.kill(os.getpid(), getattr(signal, do))
        return batch

    object.__setattr__(EAGER, "reals", acting)  # of this process alone


if __name__ == "__main__":
    serve()
