"""Exact W1 of Fashion-MNIST pixels, against POT on the same machine and data: `python -m benchmarks.transport`.

A and B are disjoint halves of 2 n training pictures, drawn by a seed, in [-1, 1]. Every figure is of a fresh process,
which imports everything first and then counts its seconds and how far its memory rises above that. "dense" is what one
does with POT: the table of distances (for L2 `ot.dist`, for other norms the same kernel as ours), then `ot.emd2`.
The data come from Debian's package dataset-fashion-mnist (apt-get install dataset-fashion-mnist), or from
`banach download fashion-mnist`. Exit code 1 if a target of the issue is missed.

    python -m benchmarks.transport                  n = 10,000 against POT (minutes)
    python -m benchmarks.transport --large          n = 30,000, which POT's table does not fit
    python -m benchmarks.transport --norms          n = 5,000 in six norms, the kernel of both being ours
    python -m benchmarks.transport --growth FILE    seconds and memory from n = 1,000 to 30,000, drawn to FILE
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import ot
import scipy.sparse
import torch
from matplotlib.figure import Figure

from banach import distance
from banach.data import read
from banach.engine.environment import environment
from banach.spaces import space
from banach.transport.ground import Ground

assert scipy.sparse  # imported by both sides, and counted for none

EXACT = 1e-6
NORMS = (
    "Lp(1)", "Lp(inf)", "Lp(1.5)", "Sobolev(s=-1)", "Sobolev(s=1, p=1.5)",
    "Product(2, (Lp(1), Lp(2)), ((392,), (392,)))",
)  # fmt: skip
SIZES = (1000, 2000, 5000, 10_000, 20_000, 30_000)


@dataclass(frozen=True)
class Cost:
    """Seconds in all, of CPU, and in distances alone, MB above the imports, and the interval found."""

    seconds: float
    cpu: float
    distances: float
    megabytes: float
    lower: float
    upper: float
    rounds: int = 0


def samples(n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two disjoint sets of n pictures each, float32 in [-1, 1]."""
    raw = read("fashion-mnist").values
    rows = torch.randperm(len(raw), generator=torch.Generator().manual_seed(seed))
    x, y = raw[rows[:n]], raw[rows[n : 2 * n]]
    return tuple((one.float() / 127.5 - 1).reshape(n, *shape) for one in (x, y))


def peak() -> float:
    """The largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(n: int, spec: str, kernel: bool) -> Cost:
    """Our exact value; with `kernel`, the seconds in distances are counted too."""
    x, y = samples(n, shape_of(spec))
    spent = [0.0]
    if kernel:
        count_distances(spent)
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    found = distance(x, y, spec, rel_gap=EXACT)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert found.rel_gap <= EXACT
    return Cost(seconds, cpu, spent[0], peak() - before, found.lower, found.upper, found.rounds)


def count_distances(spent: list[float]) -> None:
    """Let every block of distances and every exact pair add its seconds to `spent`."""
    blocks, pairs = Ground.blocks, Ground.pairs

    def timed_blocks(self, *args):
        source = blocks(self, *args)
        while True:
            began = time.perf_counter()
            found = next(source, None)
            spent[0] += time.perf_counter() - began
            if found is None:
                return
            yield found

    def timed_pairs(self, i, j):
        began = time.perf_counter()
        found = pairs(self, i, j)
        spent[0] += time.perf_counter() - began
        return found

    Ground.blocks, Ground.pairs = timed_blocks, timed_pairs


def dense(n: int, spec: str, kernel: bool) -> Cost:
    """POT on the whole table: `ot.dist` in float64, or with `kernel` our blocks in single precision."""
    x, y = samples(n, shape_of(spec))
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    if kernel:
        ground = Ground(space(spec), x, y, kept=0)
        table = np.concatenate([low.double().numpy() for _, low in ground.blocks()]) * ground.unit
    else:
        table = ot.dist(x.flatten(1).double().numpy(), y.flatten(1).double().numpy(), metric="euclidean")
    distances = time.perf_counter() - began
    uniform = np.ones(n) / n
    value = float(ot.emd2(uniform, uniform, table, numItermax=2**40))
    return Cost(time.perf_counter() - began, time.process_time() - cpu, distances, peak() - before, value, value)


def shape_of(spec: str) -> tuple[int, ...]:
    """Pictures for norms of pictures, vectors for the others."""
    return (1, 28, 28) if "Sobolev" in spec else (784,)


def fresh(side: str, n: int, spec: str, threads: int, kernel: bool = False) -> Cost:
    """One figure, of a process of its own."""
    words = [sys.executable, "-m", "benchmarks.transport", "--one", side, str(n), spec, str(int(kernel)),
             "--threads", str(threads)]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def against_pot(n: int, threads: int, rounds: int) -> bool:
    """L2 at n, ours and POT's in turn; targets: a quarter of the time, a fifth of the memory."""
    pairs = [(fresh("ours", n, "Lp(2)", threads), fresh("dense", n, "Lp(2)", threads)) for _ in range(rounds)]
    for mine, theirs in pairs:
        for name, one in (("ours", mine), ("POT", theirs)):
            interval = f"W1 {one.lower:.8f} to {one.upper:.8f}" if one is mine else f"W1 {one.upper:.8f}"
            print(f"  {name:<5}{one.seconds:7.2f} s ({one.cpu:.1f} of CPU) {one.megabytes:7.0f} MB   {interval}")
    speed = statistics.median(theirs.seconds / mine.seconds for mine, theirs in pairs)
    memory = statistics.median(theirs.megabytes / mine.megabytes for mine, theirs in pairs)
    print(f"n = {n:,}: {speed:.1f} times faster (at least 4), {memory:.1f} times less memory (at least 5)")
    return speed >= 4 and memory >= 5


def in_norms(n: int, threads: int) -> bool:
    """The same kernel on both sides: time outside distances at most a quarter, in all never longer."""
    good = True
    print(f"{'n = ' + format(n, ','):<46}{'ours':>9}{'outside':>9}{'dense':>9}{'outside':>9}{'ratio':>7}")
    for spec in NORMS:
        mine, theirs = fresh("ours", n, spec, threads, True), fresh("dense", n, spec, threads, True)
        outside, other = mine.seconds - mine.distances, theirs.seconds - theirs.distances
        good &= outside <= other / 4 and mine.seconds <= theirs.seconds
        print(f"{spec:<46}{mine.seconds:>8.1f}s{outside:>8.1f}s{theirs.seconds:>8.1f}s{other:>8.1f}s"
              f"{outside / other:>7.2f}")  # fmt: skip
    return good


def growth(path: str, threads: int, most: int) -> bool:
    """Seconds and memory of both against n."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    mine = {n: fresh("ours", n, "Lp(2)", threads) for n in SIZES if n <= most}
    theirs = {n: fresh("dense", n, "Lp(2)", threads) for n in SIZES if n <= min(most, 10_000)}
    for n, found in mine.items():
        other = f"   POT {theirs[n].seconds:8.2f} s {theirs[n].megabytes:8.0f} MB" if n in theirs else ""
        print(f"n = {n:>6,}: {found.seconds:8.2f} s {found.megabytes:8.0f} MB{other}")
    for axes, unit, value in zip(figure.subplots(1, 2), ("seconds", "MB"), ("seconds", "megabytes"), strict=True):
        for name, side in (("banach", mine), ("POT, whole table", theirs)):
            axes.loglog(list(side), [getattr(one, value) for one in side.values()], "o-", label=name)
        axes.set(xlabel="n, samples on each side", ylabel=unit, title="exact W1, Fashion-MNIST pixels, L2")
        axes.legend()
    figure.savefig(path)
    return True


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and compare with the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000, help="samples on each side against POT (default 10000)")
    parser.add_argument("--rounds", type=int, default=3, help="paired runs against POT (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--large", action="store_true", help="n = 30,000, ours alone: at most 87 s and 3 GiB")
    parser.add_argument("--norms", action="store_true", help="n = 5,000 in six norms")
    parser.add_argument("--growth", metavar="FILE", help="against n; the picture goes to FILE")
    parser.add_argument("--most", type=int, default=30_000, help="the largest n of --growth (default 30000)")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    if options.one:
        side, n, spec, kernel = options.one
        print(json.dumps(vars({"ours": ours, "dense": dense}[side](int(n), spec, kernel == "1"))))
        return 0
    about = environment(0, torch.device("cpu"), [])
    print(f"{about['processor']}, {options.threads} threads, torch {about['packages']['torch']}, POT {ot.__version__}")
    if options.large:
        found = fresh("ours", 30_000, "Lp(2)", options.threads)
        print(
            f"n = 30,000: {found.seconds:.1f} s, {found.megabytes:,.0f} MB, W1 {found.lower:.8f} to {found.upper:.8f}"
        )
        return 0 if found.seconds <= 87 and found.megabytes <= 3072 else 1
    if options.norms:
        return 0 if in_norms(5000, options.threads) else 1
    if options.growth:
        return 0 if growth(options.growth, options.threads, options.most) else 1
    return 0 if against_pot(options.n, options.threads, options.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
