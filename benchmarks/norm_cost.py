"""What a training step costs in other norms than L2: `python -m benchmarks.norm_cost`.

A step is the engine's own: five critic steps with a gradient penalty, one generator step, one of the moving average, of
the 32x32 residual networks on colour images. The same networks play every game in turn, in an order shuffled anew each
round, and each time stands against that of L2 in the same round: what slows the machine down for a while slows both.
"L2 again" shows how far the ratios can be trusted. Exit code 1 if a norm costs more than the limit.
"""

import argparse
import random
import statistics
import sys
import time
from dataclasses import dataclass

import torch

from banach import Lp, Metric, Sobolev, space
from banach.config.config import Config
from banach.data import load
from banach.game import Game
from banach.runs.environment import environment
from banach.session.memory import freed_memory
from banach.training.build import build
from banach.training.loop import train
from benchmarks.targets import Target, keep

LIMIT = 1.05
LIMIT_COMPUTED = 2.0
BASE = "L2"


@dataclass(frozen=True)
class Cost:
    """Seconds of a step in one norm, and their ratio to L2 in the same round: medians over the rounds."""

    name: str
    seconds: float
    ratio: float
    quartiles: tuple[float, float]


COMPUTED = {
    "L2 + Sobolev": "Intersection(2, Lp(2), Sobolev(s=1))",
    "L1 + Sobolev": "Intersection(1, Lp(1), Sobolev(s=-1))",
    "L2 or 2 Linf": "Intersection(inf, Lp(2), Weighted(Scale(2), Lp(inf)))",
    "TV 0.1": "TotalVariation(weight=0.1)",
    "TV 1": "TotalVariation(weight=1)",
}
"""Norms whose dual has no formula; at the tolerance of float32, 1e-3."""


CLOSED = {
    "L1": "Lp(1)",
    "L4": "Lp(4)",
    "Linf": "Lp(inf)",
    "even boundary": "Sobolev(s=-1, boundary='even')",
    "mean-free": "MeanFree(2)",
    "two channels": "Product(2, (Lp(2), Sobolev(s=1)), (1, 2))",
    "weighted": "Weighted(Scale(2), Lp(1.5))",
}
"""Norms of other kinds than W^(s,p) whose dual has a formula."""


def games(computed: bool = False) -> dict[str, Game]:
    """L2 twice, and W^(s,p) for s in -1, 0, 1 and p in 1.5, 2, 4 with others, or the norms with a computed dual.

    Penalty weight 10 and critic scale 1 in all.
    """
    norms: dict[str, Metric] = {BASE: Lp(2), "L2 again": Lp(2)}
    if computed:
        norms |= {name: space(spec) for name, spec in COMPUTED.items()}
    else:
        norms |= {name: space(spec) for name, spec in CLOSED.items()}
        norms |= {f"s={s:>2} p={p:<3}": Sobolev(s=s, p=p) for s in (-1, 0, 1) for p in (1.5, 2, 4)}
    return {name: Game(norm, weight=10.0, gamma=1.0) for name, norm in norms.items()}


def measure(rounds: int, width: int, batch: int, precision: str, computed: bool = False, seed: int = 0) -> list[Cost]:
    """Time `rounds` steps of every game, after one that is not counted."""
    rng = torch.Generator().manual_seed(seed)
    data = load(torch.randint(256, (2048, 3, 32, 32), generator=rng, dtype=torch.uint8))
    # The learning rate is so small that the networks stay what they are: every game works on the same numbers.
    config = Config(
        model="resnet",
        g_width=width,
        d_width=width,
        batch=batch,
        lr=1e-12,
        precision=precision,
        decay="none",
    )
    built = build(config, data, torch.device("cpu"))
    playing, order = games(computed), random.Random(seed)
    times: dict[str, list[float]] = {name: [] for name in playing}
    memories: dict[str, dict[str, torch.Tensor]] = {name: {} for name in playing}  # each game's own warm starts
    for turn in range(rounds + 1):
        names = list(playing)
        order.shuffle(names)
        for name in names:
            began = time.perf_counter()
            built.state.memory = memories[name]
            train(built.state, playing[name], built.data, built.state.step + 1)
            memories[name] = built.state.memory
            if turn:
                times[name].append(time.perf_counter() - began)
        print(f"round {turn}/{rounds}", end="\r", file=sys.stderr, flush=True)
    return [_cost(name, seconds, times[BASE]) for name, seconds in times.items()]


def _cost(name: str, seconds: list[float], base: list[float]) -> Cost:
    ratios = [mine / plain for mine, plain in zip(seconds, base, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    return Cost(name, statistics.median(seconds), statistics.median(ratios), (low, high))


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="steps of each norm (default 9)")
    parser.add_argument("--width", type=int, default=64, help="width of both networks (default 64)")
    parser.add_argument("--batch", type=int, default=64, help="batch (default 64)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--computed", action="store_true", help="norms whose dual is computed, in place of Sobolev's")
    parser.add_argument("--limit", type=float, help=f"largest ratio that passes (default {LIMIT}; computed: 2)")
    options = parser.parse_args(argv)
    limit = options.limit or (LIMIT_COMPUTED if options.computed else LIMIT)
    torch.set_num_threads(options.threads)
    with freed_memory(kept=True):  # as a run does it
        costs = measure(options.rounds, options.width, options.batch, options.precision, options.computed)
    about = environment(0, torch.device("cpu"), [])
    print(f"{about['processor']}, {options.threads} threads, torch {about['packages']['torch']}, {options.precision}")
    print(f"32x32x3, resnet width {options.width}, batch {options.batch}: 5 critic steps and 1 of the generator\n")
    print(f"{'norm':<14}{'s/step':>8}{'ratio':>8}   quartiles")
    for cost in costs:
        low, high = cost.quartiles
        print(f"{cost.name:<14}{cost.seconds:>8.3f}{cost.ratio:>8.3f}   {low:.3f} .. {high:.3f}")
    worst = max(costs, key=lambda cost: cost.ratio)
    passed = worst.ratio <= limit
    if not options.computed and options.precision == "fp32":
        row = f"any closed-form space against L2, ResNet 32x32, width {options.width}"
        keep("norm_cost", [Target(row, f"at most {limit:g}", f"{worst.ratio:.3f} ({worst.name.strip()})", passed)])
    print(f"\nlargest ratio {worst.ratio:.3f} ({worst.name}): {'within' if passed else 'ABOVE'} {limit:g}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
