"""The cost of a training step as the work grows, drawn: `python -m benchmarks.growth`.

From width 32, batch 16 and 32x32 colour pictures, each is multiplied alone: batch and width by 2, 4, 8, the side to 16,
64, 128. A step is five of the critic and one of the generator, medians after one that is not counted; torch-mimicry,
whose networks are for one size, stands beside batch and width (its environment: `python -m benchmarks.step --help`).
Processes, 1 and 2 of one thread each, share a batch of 64 at width 64 (`python -m benchmarks.processes` says more).
Draws docs/pictures/growth.png and writes docs/speed.md.
"""

import argparse
import statistics
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from banach.files import written_between
from banach.report.figures import agg_figure
from banach.runs.environment import environment
from benchmarks import processes
from benchmarks.field import table
from benchmarks.step import OURS, PEER, Side, mimicry, ours

PAGE, PICTURE = Path("docs/speed.md"), Path("docs/pictures/growth.png")
BASE = {"batch": 16, "width": 32, "side": 32}
GROWTH = {"batch": (16, 32, 64, 128), "width": (32, 64, 128, 256), "side": (16, 32, 64, 128)}
POWERS = {"batch": 1, "width": 2, "side": 2, "processes": -1}
TEAM = {"g_width": 64, "d_width": 64, "batch": 64, "lr": 1e-12}
NAMES = ("banach", "banach, bf16", "torch-mimicry")


def sides(work: dict[str, int], data: Path, threads: int, peer: Path) -> Iterator[tuple[str, Side]]:
    """What trains on this much work, one after the other."""
    keys = OURS | {"batch": work["batch"], "g_width": work["width"], "d_width": work["width"]}
    yield "banach", ours(data, threads, **keys)
    yield "banach, bf16", ours(data, threads, precision="bf16", **keys)
    if work["side"] == BASE["side"]:
        widths = work["width"], work["width"]
        yield "torch-mimicry", mimicry(peer, data, threads, widths, batch=work["batch"])


def seconds(work: dict[str, int], threads: int, peer: Path, rounds: int) -> dict[str, float]:
    """Median seconds of a step, by name."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        data, shape = Path(folder, "pictures.npy"), (512, 3, work["side"], work["side"])
        np.save(data, np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8))
        for name, side in sides(work, data, threads, peer):
            try:
                answers = [side.ask("step") for _ in range(rounds + 1)][1:]
            finally:
                side.close()
            found[name] = statistics.median(sum(one["critic"]) + one["generator"] for one in answers)
    return found


def draw(found: dict[str, dict[int, dict[str, float]]], picture: Path) -> None:
    """One panel for each way of growing, in logarithms, with the line of equal growth."""
    figure = agg_figure(figsize=(14, 4), dpi=80, layout="constrained")
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter  # after agg_figure, which imports it

    for axes, (what, by_size) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        for name in NAMES:
            points = {size: one[name] for size, one in by_size.items() if name in one}
            if points:
                axes.loglog(list(points), list(points.values()), "o-", label=name)
        sizes = list(by_size)
        power = POWERS[what]
        first = by_size[sizes[0]]["banach"]
        axes.loglog(sizes, [first * (one / sizes[0]) ** power for one in sizes], "k:", label=f"{what}^{power}")
        axes.set(xlabel=what, ylabel="seconds, 5 critic steps + 1", xticks=sizes, xticklabels=sizes)
        axes.xaxis.set_minor_locator(NullLocator())
        for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.legend()
    figure.savefig(picture)


def main(argv: list[str] | None = None) -> int:
    """Measure, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="steps of each side (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--peer", type=Path, default=PEER, help=f"the peer's Python (default {PEER})")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args(argv)
    found: dict[str, dict[int, dict[str, float]]] = {}
    rows: dict[str, list[str]] = {}
    base = seconds(BASE, options.threads, options.peer, options.rounds)
    for what, sizes in GROWTH.items():
        found[what] = {}
        for size in sizes:
            work = BASE | {what: size}
            one = base if work == BASE else seconds(work, options.threads, options.peer, options.rounds)
            found[what][size] = one
            rows[f"{what} {size}"] = [f"{one[name]:.2f}" if name in one else "" for name in NAMES]
            print(f"{what} {size}", *rows[f"{what} {size}"], flush=True)
    names = processes.ALONE, processes.TOGETHER
    times, _ = processes.measure(options.rounds, 2, TEAM, names)
    alone, together = (times[name] for name in names)
    found["processes"] = {n: {"banach": statistics.median(times)} for n, times in ((1, alone), (2, together))}
    for n, one in found["processes"].items():
        rows[f"processes {n}"] = [f"{one['banach']:.2f}", "", ""]
    draw(found, options.picture)
    about = environment(0, torch.device("cpu"), [])
    said = (
        f"Seconds; from batch {BASE['batch']}, width {BASE['width']}, {BASE['side']}x{BASE['side']}x3, one grows at a "
        f"time; processes of one thread at batch 64 and width 64. {about['processor']}, {options.threads} threads, "
        f"torch {about['packages']['torch']}."
    )
    text = "\n".join([*table(NAMES, rows), "", *textwrap.wrap(said, 118)])
    print(text)
    written_between(options.page, "growth", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
