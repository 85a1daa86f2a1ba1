"""Whether bfloat16 trains as well as float32: `python -m benchmarks.precision_runs`.

The demo, whole, in both precisions and with three seeds; of a seed both run side by side, on one thread each, by the
command itself. Final FID (10,000 samples, `fashion` features) of each, and losses and gaps over each other in
docs/pictures/precision.png. Runs that are there already are used as they are. Writes docs/speed.md; exit code 1 if the
means differ by more than twice the standard error of their difference.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from banach.files import written_between
from banach.report.figures import agg_figure
from banach.runs.records import read_scores
from benchmarks.field import table
from benchmarks.targets import Target, keep

PAGE, PICTURE, RUNS = Path("docs/speed.md"), Path("docs/pictures/precision.png"), Path("runs/precision")
PRECISIONS = ("fp32", "bf16")


def trained(folder: Path, seed: int, steps: int) -> list[Path]:
    """The folders of finished runs with this seed, one for each precision."""
    settings = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = []
    for precision in PRECISIONS:
        out = folder / f"{precision}-{seed}"
        words = ["train", "--preset", "demo", "--precision", precision, "--seed", str(seed), "--steps", str(steps)]
        words += ["--threads", "1", "--out", str(out)]
        command = [sys.executable, "-m", "banach.cli", *words]
        started.append((out, subprocess.Popen(command, stdout=subprocess.DEVNULL, env=settings)))
    ended = [(out, process.wait()) for out, process in started]
    for out, code in ended:
        if code:
            sys.exit(f"the run in {out} ended with code {code}")
    return [out for out, _ in ended]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """A file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def draw(runs: dict[str, list[Path]], picture: Path) -> None:
    """Losses and gaps of all runs over each other, a colour for each precision."""
    figure = agg_figure(figsize=(9, 3.4), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, 2), (("loss_critic", "loss"), ("gap", "gap")), strict=True):
        for colour, (precision, folders) in enumerate(runs.items()):
            for i, folder in enumerate(folders):
                found = [one for one in lines_of(folder / "metrics.jsonl") if name in one]
                x, y = [one["step"] for one in found], [one[name] for one in found]
                axes.plot(x, y, color=f"C{colour}", label=None if i else precision, linewidth=1, alpha=0.6)
        axes.set(xlabel="generator steps", title=f"critic's {title}")
        axes.legend(frameon=False)
    figure.savefig(picture, dpi=110)


def paired_difference(found: dict[str, list[float]]) -> tuple[float, float]:
    """The difference of the means, and the standard error of it."""
    one, two = found.values()
    return statistics.mean(two) - statistics.mean(one), math.sqrt(
        sum(statistics.variance(each) / len(each) for each in (one, two))
    )


def main(argv: list[str] | None = None) -> int:
    """Train, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="seeds (default 3, at least 2)")
    parser.add_argument(
        "--steps", type=int, default=2000, help="generator steps of each run (default 2000, the demo's)"
    )
    parser.add_argument("--runs", type=Path, default=RUNS, help=f"where the runs lie (default {RUNS})")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args(argv)
    runs: dict[str, list[Path]] = {precision: [] for precision in PRECISIONS}
    found: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for seed in range(options.seeds):
        for precision, out in zip(PRECISIONS, trained(options.runs, seed, options.steps), strict=True):
            runs[precision].append(out)
            found[precision].append(read_scores(out / "scores.jsonl")[0][-1]["value"]["fid"])
        print(f"seed {seed}:", *(f"{precision} {values[-1]:.2f}" for precision, values in found.items()), flush=True)
    draw(runs, options.picture)
    difference, error = paired_difference(found)
    rows = {
        precision: [", ".join(f"{one:.2f}" for one in values), f"{statistics.mean(values):.2f}"]
        for precision, values in found.items()
    }
    said = (
        f"The demo, {options.steps:,} steps; FID on `fashion` features, 10,000 samples. The means differ by "
        f"{difference:+.2f}, with a standard error of {error:.2f}."
    )
    text = "\n".join([*table(["final FID, by seed", "mean"], rows), "", *textwrap.wrap(said, 118)])
    print(text)
    written_between(options.page, "precision-runs", text)
    met, row = (
        abs(difference) <= 2 * error,
        f"final FID of the demo in bf16 less that in float32, {options.seeds} seeds",
    )
    keep("precision_runs", [Target(row, "within noise", f"{difference:+.2f} ± {error:.2f}", met)])
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
