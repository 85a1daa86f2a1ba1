"""Images per second of several processes of one thread against one process of one thread, on the same joined batch.

    python -m benchmarks.processes [--rounds N] [--width W] [--batch B] [--processes P]

A round is three steps (of 5 critic steps and 1 of the generator) of the ResNet on random 32x32x3 images, by one process
that is alone, by several together, and by as many independent ones, each on a share of the batch: what the machine
allows. Each waits while others have their turn. Figures are medians over the rounds of the ratio within a round. Exit
code 1 if that of the processes together is below the limit.
"""

import argparse
import multiprocessing
import os
import random
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch

from banach import distributed
from banach.config.config import Config
from banach.data import load
from banach.runs.environment import environment
from banach.session.memory import freed_memory
from banach.training.build import build
from banach.training.loop import train
from benchmarks.targets import Target, keep

LIMIT = 1.8
_REPEATED = 20
_STEPS = 3
"""Steps of a round: those of a run follow each other too."""

ALONE, TOGETHER, APART = "alone", "together", "apart"


def work(team: str, number: int, size: int, port: int, pipe: Connection, options: dict[str, Any]) -> None:
    """One process of a team: trains as many steps as the pipe says, and answers with the seconds; 0 ends it."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # Linux: a core each, as threads of benchmarks are pinned
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    if team == TOGETHER:
        places = {"RANK": number, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in places.items()})
        distributed.begin()
    if team == APART:
        options = {**options, "batch": options["batch"] // size}
    rng = torch.Generator().manual_seed(0)
    data = load(torch.randint(256, (2048, 3, 32, 32), generator=rng, dtype=torch.uint8))
    config = Config(**options, model="resnet", penalty_weight=10, critic_scale=1, decay="none")
    built = build(config, data, torch.device("cpu"))
    pipe.send(None)
    pipe.recv()  # all are ready
    pipe.send(_reductions(built.state.critic.network) if team == TOGETHER else None)
    with freed_memory(kept=True):  # as a run does it
        while steps := pipe.recv():
            began = time.perf_counter()
            train(built.state, built.game, built.data, built.state.step + steps)
            pipe.send(time.perf_counter() - began)
    distributed.end()


def _reductions(critic: torch.nn.Module) -> tuple[float, float]:
    """Milliseconds of the all-reduce of a critic's gradients, and of the one number that says whether to stop."""
    gradients = [torch.zeros_like(one) for one in critic.parameters()]
    flag = torch.zeros((), dtype=torch.uint8)
    found = []
    for act in (lambda: distributed.reduce_(gradients), lambda: distributed.maximum(flag)):
        times = []
        for _ in range(_REPEATED):
            distributed.barrier()
            began = time.perf_counter()
            act()
            times.append(1000 * (time.perf_counter() - began))
        found.append(statistics.median(times))
    return found[0], found[1]


def measure(
    rounds: int, processes: int, options: dict[str, Any], names: Sequence[str] = (ALONE, TOGETHER, APART)
) -> tuple[dict[str, list[float]], tuple[float, float]]:
    """Seconds of one step of each team, for each round after one that is not counted; milliseconds of reductions."""
    teams = {team: _start(team, 1 if team == ALONE else processes, options) for team in names}
    for pipe in (pipe for pipes in teams.values() for pipe in pipes):
        pipe.recv()
    reductions = {team: _all_told(pipes, None) for team, pipes in teams.items()}[TOGETHER][0]
    times: dict[str, list[float]] = {team: [] for team in teams}
    order = random.Random(0)
    for turn in range(rounds + 1):
        for team in order.sample(sorted(teams), len(teams)):
            seconds = max(_all_told(teams[team], _STEPS)) / _STEPS
            if turn:
                times[team].append(seconds)
        print(f"round {turn}/{rounds}", end="\r", file=sys.stderr, flush=True)
    for pipe in (pipe for pipes in teams.values() for pipe in pipes):
        pipe.send(0)
    return times, reductions


def _all_told(pipes: list[Connection], what: Any) -> list[Any]:
    """What the processes of a team answer to this."""
    for pipe in pipes:
        pipe.send(what)
    return [pipe.recv() for pipe in pipes]


def _start(team: str, size: int, options: dict[str, Any]) -> list[Connection]:
    """Pipes to the processes of a team."""
    context = multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = []
    for number in range(size):
        ours, theirs = context.Pipe()
        context.Process(target=work, args=(team, number, size, port, theirs, options), daemon=True).start()
        theirs.close()  # so that a process that failed is an end of file here
        pipes.append(ours)
    return pipes


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=27, help="rounds that count (27; medians of 9 scatter by 0.04)")
    parser.add_argument("--processes", type=int, default=2, help="processes beside the one (default 2)")
    parser.add_argument("--width", type=int, default=64, help="width of both networks (default 64)")
    parser.add_argument("--batch", type=int, default=64, help="batch, of all processes together (default 64)")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"least ratio that passes (default {LIMIT})")
    given = parser.parse_args(argv)
    if given.batch % given.processes:
        parser.error(f"--batch {given.batch} does not divide among {given.processes} processes")
    options = {"g_width": given.width, "d_width": given.width, "batch": given.batch, "lr": 1e-12}
    times, reductions = measure(given.rounds, given.processes, options)
    about = environment(0, torch.device("cpu"), [])
    images = given.batch * Config().n_critic
    print(f"{about['processor']}, {about['cores']} cores, torch {about['packages']['torch']}, 1 thread a process")
    print(f"32x32x3, resnet width {given.width}, batch {given.batch}: 5 critic steps and 1 of the generator\n")
    names = {ALONE: "1 process", TOGETHER: f"{given.processes} together", APART: f"{given.processes} apart"}
    ratios = {}
    for team, name in names.items():
        seconds = statistics.median(times[team])
        ratios[team] = [one / many for one, many in zip(times[ALONE], times[team], strict=True)]
        print(f"{name:<14}{seconds:>8.3f} s/step {images / seconds:>8.1f} images/s"
              f"{statistics.median(ratios[team]):>7.2f} times")  # fmt: skip
    print(f"all-reduce: {reductions[0]:.2f} ms for the critic's gradients, {reductions[1]:.2f} ms for the stop")
    ratio, least, most = (act(ratios[TOGETHER]) for act in (statistics.median, min, max))
    passed = ratio >= given.limit
    print(f"\nratio {ratio:.2f} (from {least:.2f} to {most:.2f}): {'at least' if passed else 'BELOW'} {given.limit:g}")
    row = f"images per second of {given.processes} processes with a thread each, against 1"
    keep("processes", [Target(row, f"{given.limit:g} times", f"{ratio:.2f} times", passed)])
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
