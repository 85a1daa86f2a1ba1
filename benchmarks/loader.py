"""What the loader alone delivers against what a training step consumes: `python -m benchmarks.loader [--write]`.

The loader is all that lies between the data set and the critic: the next row numbers, their samples, model units and
augmentation, as the training loop itself calls it (`banach.training.steps.next_reals`). A step is the loop's whole
step: its critic steps, each on a fresh batch, and one of the generator. Medians; every set once in memory, once in a
mapped file that the operating system holds in its page cache (a file beyond memory is as quick as its disk). Exit code
1 if the loader of a set in memory is less than LEAST times as quick as the step.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from banach.config.config import Config
from banach.config.reading import preset_values
from banach.data import Data, load
from banach.data.bundled import fashion
from banach.data.toys import eight_gaussians
from banach.files import written_between
from banach.runs.environment import environment
from banach.training.build import Built, build
from banach.training.compiled import compiled_steps
from banach.training.loop import train
from banach.training.steps import EAGER, next_reals
from benchmarks.field import table
from benchmarks.targets import Target, keep

LEAST = 20
PAGE = Path(__file__).parents[1] / "docs" / "data.md"
SAMPLES = 10_000


@dataclass(frozen=True)
class Case:
    """A data set, as an array, and the training that reads it."""

    samples: Callable[[], np.ndarray]
    config: dict[str, Any]
    axes: str
    steps: int
    loads: int
    normalise: str | None = None


def _images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SAMPLES, *shape), dtype=np.uint8)


def _fields() -> np.ndarray:
    return np.random.default_rng(0).normal(5, 2, (SAMPLES, 2, 64, 64)).astype(np.float32)


def _points() -> np.ndarray:
    return eight_gaussians(100_000, torch.Generator().manual_seed(0)).numpy()


WIDE = {"model": "resnet", "g_width": 64, "d_width": 64, "batch": 64}
NARROW = {"g_width": 64, "d_width": 64}

CASES = {
    "3x32x32 pictures, resnet 64, batch 64": Case(lambda: _images(3, 32, 32), WIDE | {"flip": True}, "bchw", 4, 300),
    "3x64x64 pictures, resnet 64, batch 64": Case(lambda: _images(3, 64, 64), WIDE | {"flip": True}, "bchw", 2, 200),
    "2x64x64 fields, resnet 64, batch 64": Case(_fields, WIDE, "bchw", 2, 200),
    "1x28x28 pictures, preset demo": Case(lambda: fashion().values[:].numpy(), preset_values("demo"), "bchw", 30, 500),
    "points, preset toy": Case(_points, preset_values("toy"), "bd", 300, 3000, "none"),
    "points, the same with width 64": Case(_points, preset_values("toy") | NARROW, "bd", 300, 3000, "none"),
    "points, width 64, compiled": Case(
        _points, preset_values("toy") | NARROW | {"compile": True}, "bd", 300, 3000, "none"
    ),
}


@dataclass(frozen=True)
class Found:
    """Medians: seconds in which the loader makes a batch, and a step; and the batches that a step takes."""

    load: float
    step: float
    batches: int
    batch: int

    @property
    def ratio(self) -> float:
        return self.step / (self.batches * self.load)


def config_of(case: Case) -> Config:
    """The case's training, with a learning rate so small that every step works on the same numbers."""
    return Config(**{**case.config, "lr": 1e-12, "g_lr": 0.0, "decay": "none", "first_steps": 0})


def measure(case: Case, data: Data) -> Found:
    """The loader's batches and the whole steps, each timed alone, after some that are not counted."""
    config = config_of(case)
    built: Built = build(config, data, torch.device("cpu"))
    arithmetic = EAGER
    if config.compile:
        arithmetic, why = compiled_steps(built.state, built.game, data.shape)
        if arithmetic is EAGER:
            raise RuntimeError(f"nothing is compiled here: {why}")
    loads = [_timed(lambda: next_reals(built.state, built.data)) for _ in range(case.loads + case.loads // 10)]
    steps = [
        _timed(lambda: train(built.state, built.game, built.data, built.state.step + 1, steps=arithmetic))
        for _ in range(case.steps + 1 + case.steps // 10)
    ]
    middle = (statistics.median(one[-n:]) for one, n in ((loads, case.loads), (steps, case.steps)))
    return Found(*middle, config.n_critic, config.batch)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--cases", nargs="*", default=[], help="only those whose name holds one of these words")
    parser.add_argument("--write", action="store_true", help=f"put the table into docs/{PAGE.name}")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    chosen = {
        name: case for name, case in CASES.items() if not options.cases or any(word in name for word in options.cases)
    }
    rows: dict[str, list[str]] = {}
    slowest = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BANACH_CACHE"] = folder
        for name, case in chosen.items():
            file = Path(folder, "samples.npy")
            np.save(file, case.samples())
            for place, cache in (("in memory", "never"), ("mapped", "always")):
                print(f"{name}, {place}", file=sys.stderr, flush=True)
                found = measure(case, load(file, axes=case.axes, normalise=case.normalise, cache=cache))
                rows[f"{name}, {place}"] = [
                    f"{found.batch / found.load:,.0f}",
                    f"{found.batches * found.batch / found.step:,.0f}",
                    f"{1e6 * found.load:,.0f}",
                    f"{1e3 * found.step:,.1f}",
                    f"{found.ratio:,.0f}",
                ]
                slowest = min(slowest, found.ratio if place == "in memory" else slowest)
    heads = ["samples/s of the loader", "samples/s a step takes", "µs a batch", "ms a step", "ratio"]
    about = environment(0, torch.device("cpu"), [])
    machine = f"{about['processor']}, {options.threads} threads, torch {about['packages']['torch']}"
    text = "\n".join([f"{machine}; `python -m benchmarks.loader --write`.\n", *table(heads, rows, "---:")])
    print(text)
    if options.write:
        written_between(PAGE, "loader", text)
    print(f"\nsmallest ratio in memory {slowest:.1f}: {'at least' if slowest >= LEAST else 'BELOW'} {LEAST}")
    if not options.cases:
        row = "what the loader alone delivers against what a step takes, in memory"
        keep("loader", [Target(row, f"{LEAST} times", f"{slowest:.0f} times or more", slowest >= LEAST)])
    return 0 if slowest >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
