"""What the demo reached: `python -m benchmarks.demo_figures [runs/demo]`, after `make demo`.

FID of the run's generator (10,000 samples, extractor `fashion`) beside its floor, that of a Gaussian with the data's
mean and covariance, and the run's own at a tenth of its steps; and the share of each class among the samples. Exit code
1 unless FID is at most half of the Gaussian's and half of that at a tenth, and every class has at least 3%.
"""

import argparse
import sys
from pathlib import Path

import torch

from banach.data import load
from banach.generator import Generator
from banach.metrics import class_shares, gaussian_baseline
from banach.metrics.scores import fid
from banach.runs.records import read_scores

SAMPLES = 10_000
LEAST_SHARE = 0.03


def scored(folder: Path) -> tuple[dict, dict]:
    """The scorings at a tenth of the steps (or the first after it) and at the last step."""
    scorings, _ = read_scores(folder / "scores.jsonl")
    last = scorings[-1]
    return next(one for one in scorings if one["step"] >= last["step"] / 10), last


def main(argv: list[str] | None = None) -> int:
    """Print the figures, and compare them with their targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="runs/demo", type=Path)
    folder = parser.parse_args(argv).run
    early, last = scored(folder)
    data = load("fashion")
    reals = data.train
    gaussian = fid(gaussian_baseline(reals, SAMPLES, torch.Generator().manual_seed(0)), reals)
    shares = class_shares(Generator.load(folder / "generator.safetensors").draw(SAMPLES, seed=0)).tolist()
    value, matched, floor, tenth = (
        last["value"]["fid"], last["matched"]["fid"], last["floor"]["fid"], early["value"]["fid"]
    )  # fmt: skip
    print(f"{last['step']} steps, {last['minutes']:.1f} minutes of training")
    print(f"FID {value:.2f} (10,000 samples); with as many as are held out {matched:.2f}, floor {floor:.2f}")
    print(f"Gaussian {gaussian:.2f}: ratio {value / gaussian:.3f}")
    print(f"at step {early['step']}: {tenth:.2f}: ratio {value / tenth:.3f}")
    print("shares: " + ", ".join(f"{name} {share:.1%}" for name, share in zip(data.class_names, shares, strict=True)))
    met = value <= gaussian / 2 and value <= tenth / 2 and min(shares) >= LEAST_SHARE
    print("all targets met" if met else "a target is MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
