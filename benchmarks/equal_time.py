"""FID after equal wall time, against torch-mimicry's WGAN-GP: `python -m benchmarks.equal_time`.

Both train on the bundled pictures of clothes, padded to 32x32 in colour, at width 64, each for the same minutes and on
the same threads; learning rates fall to 0 over that time. The peer trains as its README says (batch 64, five critic
steps, Adam 2e-4); ours as the demo does (Banach WGAN in W^(-1,2) with its critic started at the scale of gamma, two
critic steps, learning rate 5e-3), in bfloat16, at the same widths. FID: the `fashion` features, 10,000 samples against
all pictures. The two sides take turns by the clock, step by step, or train at the same time with half of the threads
each (`--at-once`, half of the hours). Writes docs/speed.md; exit code 1 if the ratio is above a half.
"""

import argparse
import statistics
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from banach.data import read
from banach.files import written_between
from banach.metrics.scores import fid
from banach.runs.environment import environment
from benchmarks.field import table
from benchmarks.step import PEER, Side, mimicry, ours
from benchmarks.targets import Target, keep

PAGE = Path("docs/speed.md")
WIDTH, SAMPLES, BOUND = 64, 10_000, 0.5
DEMO: dict[str, Any] = {
    "space": "Sobolev(s=-1)",
    "critic_start": "gamma",
    "model": "dcgan4",
    "g_width": WIDTH,
    "d_width": WIDTH,
    "batch": 64,
    "n_critic": 2,
    "lr": 5e-3,
    "ema": 0.99,
    "precision": "bf16",
}


def seconds(side: Side) -> float:
    """What one step of a side took."""
    told = side.ask("step")
    return sum(told["critic"]) + told["generator"]


def in_turns(sides: dict[str, Side], minutes: float) -> dict[str, int]:
    """Train each side for its minutes, in turns by the clock; their generator steps."""
    steps, spent = dict.fromkeys(sides, 0), dict.fromkeys(sides, 0.0)
    while left := [name for name in sides if spent[name] < 60 * minutes]:
        name = min(left, key=lambda one: spent[one])
        spent[name] += seconds(sides[name])
        steps[name] += 1
    return steps


def at_once(sides: dict[str, Side], minutes: float) -> dict[str, int]:
    """Train both sides for the minutes, at the same time; their generator steps."""

    def alone(name: str) -> int:
        return in_turns({name: sides[name]}, minutes)[name]

    with ThreadPoolExecutor() as pool:
        return dict(zip(sides, pool.map(alone, sides), strict=True))


def sampled(sides: dict[str, Side], folder: Path) -> dict[str, np.ndarray]:
    """Samples of each side as it is."""
    found = {}
    for name, side in sides.items():
        path = folder / f"{name}.npy"
        side.ask(f"sample {path} {SAMPLES}")
        found[name] = np.load(path)
    return found


def cut(samples: np.ndarray) -> torch.Tensor:
    """32x32 samples in colour as grey 28x28 pictures, without the margin that the data were padded by."""
    inner = torch.from_numpy(samples)[:, :, 2:-2, 2:-2].float()
    return inner.mean(1, keepdim=True).round().byte()


def both(data: Path, peer: Path, threads: int, minutes: float, seed: int) -> dict[str, Side]:
    """The two sides, each at its first weights."""
    return {
        "banach": ours(data, threads, minutes, seed=seed, **DEMO),
        "torch-mimicry": mimicry(peer, data, threads, (WIDTH, WIDTH), minutes=minutes, seed=seed),
    }


def said_of(together: bool, threads: int) -> str:
    """How the sides shared the machine."""
    many = "1 thread" if threads == 1 else f"{threads} threads"
    return f"at the same time, {many} each" if together else f"in turns on {many}"


def main(argv: list[str] | None = None) -> int:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="training time of each side (default 20)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--peer", type=Path, default=PEER, help=f"the peer's Python (default {PEER})")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--at-once", action="store_true", help="both at the same time, with half of the threads each")
    options = parser.parse_args(argv)
    together = options.at_once
    threads = max(1, options.threads // 2) if together else options.threads
    real = read("fashion").values
    found: dict[str, list[float]] = {"banach": [], "torch-mimicry": []}
    steps: dict[str, list[int]] = {"banach": [], "torch-mimicry": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "data.npy", F.pad(real, (2, 2, 2, 2)).repeat(1, 3, 1, 1).numpy())
        for seed in range(options.seeds):
            sides = both(folder / "data.npy", options.peer, threads, options.minutes, seed)
            try:
                for side, n in (at_once if together else in_turns)(sides, options.minutes).items():
                    steps[side].append(n)
                for side, samples in sampled(sides, folder).items():
                    found[side].append(fid(cut(samples), real))
            finally:
                for side in sides.values():
                    side.close()
            print(f"seed {seed}:", *(f"{side} {values[-1]:.1f}" for side, values in found.items()), flush=True)
    ratio = statistics.mean(found["banach"]) / statistics.mean(found["torch-mimicry"])
    rows = {
        side: [
            f"{statistics.mean(steps[side]):,.0f}",
            ", ".join(f"{one:.1f}" for one in values),
            f"{statistics.mean(values):.1f}",
        ]
        for side, values in found.items()
    }
    about = environment(0, torch.device("cpu"), [])
    said = (
        f"{options.minutes:g} minutes of training each, {said_of(together, threads)}; width {WIDTH}, FID on "
        f"`fashion` features, {SAMPLES:,} samples. Ratio of the means {ratio:.2f}, target at most {BOUND}. "
        f"{about['processor']}, torch {about['packages']['torch']}."
    )
    text = "\n".join([*table(["generator steps", "FID, by seed", "mean"], rows), "", *textwrap.wrap(said, 118)])
    print(text)
    written_between(options.page, "equal-time", text)
    row = f"FID against torch-mimicry's WGAN-GP after {options.minutes:g} minutes, {options.seeds} seeds"
    keep("equal_time", [Target(row, f"at most {BOUND} of it", f"{ratio:.2f}", ratio <= BOUND)])
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
