"""How much of W1 a critic finds under each constraint: `python -m benchmarks.estimates`.

The generator is fixed, G(x) = x + N(0, I) for the reals x of the batch, as for the value surfaces of Gulrajani et al.
2017 (gan_toy.py, FIXED_GENERATOR), and only the critic is trained, with the Wasserstein objective. On fresh samples of
both sides: the gap of f, over the largest slope that f has at many points and, where a Lipschitz bound is proved, over
that bound; each over the exact W1 of the very same samples. Writes docs/estimates.md (of chosen constraints, their
rows) and pictures of f. Exit code 1 if an estimate by a proved bound exceeds W1.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from banach.config.config import Config
from banach.data import Data, load
from banach.experiments import fixed_generator
from banach.experiments.fixed_generator import SETS, TOY, Estimate, Samples, estimate
from banach.files import written_between
from banach.training.build import Built
from benchmarks.field import Constrained, chosen, constraints, read_table, table
from benchmarks.surfaces import draw

PAGE = Path("docs/estimates.md")
PICTURES = Path("docs/pictures")
STEPS = 600
SEEDS = 5
POINTS = 2000
SIZES = {"g_width": 4, "d_width": 64, "batch": 256, "lr": 5e-3, "decay": "linear", "steps": STEPS}
DRAWN = ("clip", "spectral-norm", "wgan-gp", "maxgp", "r1", "lipschitz-cones")


def samples(data: Data, seed: int) -> Samples:
    """Fresh samples of both sides."""
    return fixed_generator.samples(data, seed, POINTS)


def against_noise(data: Data, constrained: Constrained, seed: int) -> Built:
    """A game whose critic has been trained against the fixed generator."""
    return fixed_generator.against_noise(Config(**{**TOY, **SIZES, "seed": seed, **constrained.keys}), data)


Row = dict[str, list[Estimate]]
"""By the name of the data set: one estimate a seed."""


def spread(values: Sequence[float | None]) -> str:
    """mean, and least to largest."""
    known = [one for one in values if one is not None]
    if not known:
        return ""
    return f"{told(sum(known) / len(known))} ({told(min(known))} .. {told(max(known))})"


def told(value: float) -> str:
    """Two decimals, and what is below a tenth by two digits."""
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def heads() -> list[str]:
    """The heads of the table's columns."""
    return [f"{of}: {what}" for of in SETS for what in ("gap", "per slope", "per bound")]


def cells(row: Row) -> list[str]:
    """A row of the table."""
    found = []
    for of in SETS:
        found.append(told(sum(one.gap / one.w1 for one in row[of]) / len(row[of])))
        found += [spread([getattr(one, key) for one in row[of]]) for key in ("per_slope", "per_bound")]
    return found


def write(page: Path, new: Mapping[str, Row]) -> None:
    """Put rows into the page's table, which keeps the other rows that it has."""
    known, rows = read_table(page.read_text(encoding="utf-8"))
    rows = (rows if known == heads() else {}) | {name: cells(row) for name, row in new.items()}
    whole = {one.name: rows[one.name] for one in bounding() if one.name in rows}
    exact = "; ".join(f"{of} {spread([one.w1 for one in next(iter(new.values()))[of]])}" for of in SETS)
    lines = [f"Exact W1 of the samples: {exact}.", "", *table(heads(), whole)]
    written_between(page, "estimates", "\n".join(lines))
    print(f"written: {page}, {len(whole)} of {len(bounding())} rows")


def bounding() -> list[Constrained]:
    """The constraints under which the Wasserstein objective can be played."""
    return [one for one in constraints() if one.bounds]


def measured(ways: Sequence[Constrained], sets: Sequence[str], seeds: int, pictures: Path | None) -> dict[str, Row]:
    """Train and measure every constraint on every set with every seed; draw the first seed's critics."""
    rows: dict[str, Row] = {one.name: {} for one in ways}
    for of in sets:
        data = load(of)
        fresh = [samples(data, seed) for seed in range(seeds)]
        critics = {}
        for way in ways:
            began = time.process_time()
            games = [against_noise(data, way, seed) for seed in range(seeds)]
            found = rows[way.name][of] = [estimate(*one) for one in zip(games, fresh, strict=True)]
            first = games[0]
            f = first.state.critic.forward.scaled(float(first.game.gamma))
            critics[f"{way.name}: {found[0].per_slope:.2f} W1"] = f
            both = f"{spread([one.per_slope for one in found]):<22} {spread([one.per_bound for one in found])}"
            print(f"{of:<12} {way.name:<22} {both} ({time.process_time() - began:.1f} s)", flush=True)
        if pictures is not None:
            shown = {title: one for title, one in critics.items() if title.partition(":")[0] in DRAWN}
            draw(pictures / f"surfaces-{of}.png", shown, fresh[0].real, fresh[0].fake)
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure; write the rows of the page, and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--constraints", nargs="*", default=[], help="only these (names as in the table)")
    parser.add_argument("--sets", nargs="*", default=[], help=f"only these of {', '.join(SETS)}; writes no page")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--page", type=Path, default=PAGE, help=f"page whose rows are written (default {PAGE})")
    parser.add_argument("--pictures", type=Path, help=f"where to draw (default {PICTURES}, if all are measured)")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    began = time.process_time()
    known = {one.name: one for one in bounding()}
    ways = [known[name] for name in chosen(options.constraints, known)]
    pictures = options.pictures or (PICTURES if {one.name for one in ways} >= set(DRAWN) else None)
    rows = measured(ways, chosen(options.sets, dict.fromkeys(SETS)), options.seeds, pictures)
    print(f"{(time.process_time() - began) / 60:.1f} CPU minutes")
    if not options.sets:
        write(options.page, rows)
    bounds = [one.per_bound for row in rows.values() for found in row.values() for one in found]
    passed = all(one is None or one <= 1 + 1e-5 for one in bounds)
    print("no proved bound is broken" if passed else "an estimate by a proved bound is ABOVE W1")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
