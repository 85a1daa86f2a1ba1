"""A training step against torch-mimicry's, the best-known PyTorch library for this: `python -m benchmarks.step`.

The peer lives in an environment of its own, made once by

    python3 -m venv .venv-peers && .venv-peers/bin/pip install torch numpy setuptools wheel pytest-runner
    .venv-peers/bin/pip install --no-deps --no-build-isolation torch-mimicry==0.1.16

Each side is a process of its own with the same pictures, widths (generator 256, critic 128), batch (64), constants of
Adam and threads; they take their steps in turn, so that what slows the machine for a while slows all. A step is five
of the critic and one of the generator, with everything that belongs to it: data, fakes, penalty, optimizer, and on our
side the moving average, which the peer has not. Ratios are medians over rounds. The peer has no working mixed precision
(`amp` has no effect on its WGAN-GP), so bf16 stands against its float32.

Peak: the best of conv2d 128 -> 128, 3x3, at 16x16 and 32x32 in both memory layouts, same type and threads. Arithmetic
is what a critic step really does, counted by torch.utils.flop_counter, double backward included. Writes docs/speed.md.
Exit code 1 if a target is missed.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from banach.files import written_between
from banach.runs.environment import environment
from benchmarks.field import table
from benchmarks.targets import Target, keep

PAGE, PEER = Path("docs/speed.md"), Path(".venv-peers/bin/python")
WIDTHS, BATCH = (256, 128), 64
FASTER, FASTER_BF16, MEMORY = 2.2, 5.0, 0.8
OURS = {"model": "resnet", "batch": BATCH, "penalty": "wgan-gp", "penalty_weight": 10.0, "drift": 0.0}


class Side:
    """One process that trains a step when it is asked to."""

    def __init__(self, words: list[str], threads: int):
        settings = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [*words, "--threads", str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=settings
        )

    def ask(self, line: str) -> dict[str, Any]:
        """The answer to a line; RuntimeError if the process has ended."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(said)

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()


def ours(data: Path, threads: int, minutes: float = 0, **keys: Any) -> Side:
    """The engine, with these keys of a config."""
    words = [sys.executable, "-m", "benchmarks.peers.ours", "--data", str(data), "--config", yaml.safe_dump(keys)]
    return Side([*words, "--minutes", str(minutes)], threads)


def mimicry(
    python: Path,
    data: Path,
    threads: int,
    widths: tuple[int, int],
    batch: int = BATCH,
    minutes: float = 0,
    seed: int = 0,
) -> Side:
    """torch-mimicry's WGAN-GP in its own environment."""
    if not python.exists():
        raise FileNotFoundError(f"no {python}; make the peer's environment first: see python -m benchmarks.step --help")
    words = [str(python), "benchmarks/peers/mimicry.py", "--data", str(data), "--batch", str(batch)]
    words += ["--width-g", str(widths[0]), "--width-d", str(widths[1]), "--seed", str(seed), "--minutes", str(minutes)]
    return Side(words, threads)


@dataclass(frozen=True)
class Measured:
    """Median seconds of a critic step, a generator step and five to one, and the MB above the imports."""

    critic: float
    generator: float
    whole: float
    megabytes: float


def race(sides: dict[str, Side], rounds: int) -> tuple[dict[str, Measured], dict[str, float]]:
    """Steps in turn, in an order shuffled anew each round, after one that is not counted; ratios to the first."""
    order = random.Random(0)
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name in order.sample(list(sides), len(sides)):
            answers[name].append(sides[name].ask("step"))
        print(f"round {turn}/{rounds}", end="\r", file=sys.stderr, flush=True)
    wholes = {name: [sum(one["critic"]) + one["generator"] for one in found[1:]] for name, found in answers.items()}
    base = wholes[next(iter(sides))]
    measured = {
        name: Measured(
            statistics.median(second for one in found[1:] for second in one["critic"]),
            statistics.median(one["generator"] for one in found[1:]),
            statistics.median(wholes[name]),
            found[-1]["megabytes"],
        )
        for name, found in answers.items()
    }
    ratios = {
        name: statistics.median(theirs / mine for theirs, mine in zip(base, seconds, strict=True))
        for name, seconds in wholes.items()
    }
    return measured, ratios


def convolution_peak(dtype: torch.dtype) -> float:
    """The best rate of a forward convolution, in floating-point operations a second."""
    best = 0.0
    for side in (16, 32):
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(BATCH, 128, side, side, dtype=dtype).contiguous(memory_format=layout)
            w = torch.randn(128, 128, 3, 3, dtype=dtype).contiguous(memory_format=layout)
            work, seconds = 2 * 9 * 128 * 128 * BATCH * side * side, []
            with torch.no_grad():
                for _ in range(12):
                    began = time.perf_counter()
                    torch.conv2d(x, w, padding=1)
                    seconds.append(time.perf_counter() - began)
            best = max(best, work / statistics.median(seconds[2:]))
    return best


def targets(measured: dict[str, Measured], ratios: dict[str, float], share: float) -> list[Target]:
    """What was wanted of it and what was found."""
    memory = measured["torch-mimicry"].megabytes
    kept, lean = (measured[name].megabytes / memory for name in ("banach", "banach, lean"))
    float32, bf16, slower = (ratios[name] for name in ("banach", "banach, bf16", "banach, lean"))
    again = f"{kept:.2f} ({lean:.2f} with --no-keep-memory, {slower:.2f} times as fast)"
    return [
        Target("5 critic steps + 1, against torch-mimicry, float32", f"{FASTER} times", f"{float32:.2f} times",
               float32 >= FASTER),
        Target("the same in bf16", f"{FASTER_BF16:g} times", f"{bf16:.2f} times", bf16 >= FASTER_BF16),
        Target("share of the convolution peak, critic step, float32", "reported, aim 80%", f"{share:.0%}", None),
        Target("peak memory against torch-mimicry's, float32", f"at most {MEMORY}", again, kept <= MEMORY),
    ]  # fmt: skip


def report(
    measured: dict[str, Measured],
    ratios: dict[str, float],
    arithmetic: dict[str, float],
    threads: int,
    rates: tuple[float, float],
) -> str:
    """The table and its sentences; `rates` are the peaks in float32 and in bfloat16."""
    single, half = rates
    peaks = {"banach": single, "banach, lean": single, "banach, bf16": half}
    memory = measured["torch-mimicry"].megabytes
    rows = {}
    for name, one in measured.items():
        share = f"{arithmetic['critic'] / one.critic / peaks[name]:.0%}" if name in peaks else ""
        cells = [f"{one.critic:.2f}", f"{one.generator:.2f}", f"{one.whole:.2f}", f"{ratios[name]:.2f}"]
        rows[name] = [*cells, share, f"{one.megabytes:,.0f}", f"{one.megabytes / memory:.2f}"]
    heads = ["critic step, s", "generator step, s", "5 + 1, s", "times as fast", "share of peak", "MB", "memory"]
    about = environment(0, torch.device("cpu"), [])
    said = (
        f"32x32x3, widths {WIDTHS[0]} and {WIDTHS[1]}, batch {BATCH}. Targets: {FASTER} times as fast in float32, "
        f"{FASTER_BF16:g} in bf16, at most {MEMORY} of the memory. A critic step of ours is "
        f"{arithmetic['critic'] / 1e9:.0f} GFLOP, one of the generator {arithmetic['generator'] / 1e9:.0f}; peak "
        f"{single / 1e9:.0f} GFLOP/s, in bf16 {half / 1e9:.0f}. {about['processor']}, "
        f"{threads} threads, torch {about['packages']['torch']}, torch-mimicry 0.1.16."
    )
    return "\n".join([*table(heads, rows), "", *textwrap.wrap(said, 118)])


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and compare with the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="steps of each side (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--peer", type=Path, default=PEER, help=f"the peer's Python (default {PEER})")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "pictures.npy")
        np.save(data, np.random.default_rng(0).integers(256, size=(2048, 3, 32, 32), dtype=np.uint8))
        keys = OURS | {"g_width": WIDTHS[0], "d_width": WIDTHS[1]}
        sides = {"torch-mimicry": mimicry(options.peer, data, options.threads, WIDTHS)}
        sides |= {
            "banach": ours(data, options.threads, **keys),
            "banach, lean": ours(data, options.threads, keep_memory=False, **keys),
            "banach, bf16": ours(data, options.threads, precision="bf16", **keys),
        }
        try:
            measured, ratios = race(sides, options.rounds)
            arithmetic = sides["banach"].ask("arithmetic")
        finally:
            for side in sides.values():
                side.close()
    rates = convolution_peak(torch.float32), convolution_peak(torch.bfloat16)
    text = report(measured, ratios, arithmetic, options.threads, rates)
    print(text)
    written_between(options.page, "peers", text)
    found = targets(measured, ratios, arithmetic["critic"] / measured["banach"].critic / rates[0])
    keep("step", found)
    return 0 if all(one.met is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
