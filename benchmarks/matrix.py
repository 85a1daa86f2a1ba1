"""Every objective with every Lipschitz constraint, 300 steps each on 8 gaussians in L2: `python -m benchmarks.matrix`.

All pairs have the same small networks, learning rate and steps; each penalty has the weight that its paper has for
points in the plane, or else the one that it is registered with. The score is the exact Euclidean W1 of 1,000 samples to
1,000 held-out points, before and after: a pair that lowers it by 30% "learns". Writes docs/matrix.md; of chosen
constraints, their rows of it. Exit code 1 unless 70% of the pairs run, and every other is refused for a listed reason.
"""

import argparse
import functools
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from banach.config.config import Config
from banach.data import Data, load
from banach.experiments.fixed_generator import TOY
from banach.files import written_between
from banach.game import REASONS, GameError
from banach.metrics.fields import w1
from banach.training.build import build
from banach.training.finite import NotFinite
from banach.training.loop import train
from banach.training.state import State
from benchmarks.field import Constrained, chosen, constraints, objectives, read_table, table

PAGE = Path("docs/matrix.md")
STEPS = 300
_LOOK = 100
LEARNS = 0.30
LEAST_SHARE = 0.70
POINTS = 1000
SIZES = {"g_width": 64, "d_width": 64, "batch": 128, "n_critic": 3, "lr": 1e-3, "decay": "none"}


@dataclass(frozen=True)
class Outcome:
    """What became of a pair: how much of W1 it took away, or the reason for which it was refused, or where it ended."""

    lowered: float | None = None
    reason: str = ""
    ended: int | None = None

    @property
    def runs(self) -> bool:
        return self.lowered is not None

    @property
    def learns(self) -> bool:
        return self.lowered is not None and self.lowered >= LEARNS

    def __str__(self) -> str:
        if self.lowered is None:
            return f"refused: {self.reason}" if self.reason else f"not finite at step {self.ended}"
        return f"W1 lowered by {self.lowered:.0%}{'' if self.learns else ': runs, does not learn'}"

    def cell(self) -> str:
        """The percentage in a table; in brackets where it is below 30."""
        if self.lowered is None:
            return LETTERS[self.reason] if self.reason else f"∞ {self.ended}"
        percent = f"{100 * self.lowered:.0f}".replace("-", "−")
        return percent if self.learns else f"({percent})"


LETTERS = dict(zip(REASONS, "ABCDEFGHIJ", strict=False))


@functools.cache
def data() -> Data:
    """20,000 points of 8 gaussians, 2,000 of them held out."""
    return load("8gaussians:n=20000")


def config_of(objective: str, constrained: Constrained, seed: int) -> Config:
    """The config of a pair."""
    return Config(**{**TOY, **SIZES, "objective": objective, "steps": STEPS, "seed": seed, **constrained.keys})


@torch.no_grad()
def distance(state: State, seed: int) -> float:
    """Exact W1 of fresh samples to held-out points."""
    z = torch.randn(POINTS, state.latents.shape[1], generator=torch.Generator().manual_seed(seed))
    return w1(state.average(z), data().held_out[:POINTS])


@functools.cache
def distance_before(seed: int) -> float:
    """W1 before the first step, which depends on nothing but the seed."""
    return distance(build(config_of("logistic", constraints()[0], seed), data(), torch.device("cpu")).state, seed)


def collapsed() -> float:
    """What a generator that sends everything to the data's mean would lower W1 by."""
    points = data().held_out[:POINTS]
    return 1 - w1(points.mean(0).expand_as(points), points) / distance_before(0)


def outcome(objective: str, constrained: Constrained, seed: int = 0, enough: float = math.inf) -> Outcome:
    """Build the pair and train it; not beyond the look, every 100 steps, at which W1 is lowered by `enough`."""
    try:
        built = build(config_of(objective, constrained, seed), data(), torch.device("cpu"))
    except GameError as error:
        if not error.reason:
            raise
        return Outcome(reason=error.reason)
    lowered = -math.inf
    for until in range(_LOOK if enough < math.inf else STEPS, STEPS + 1, _LOOK):
        try:
            train(built.state, built.game, built.data, until)
        except NotFinite as error:
            return Outcome(ended=error.step)
        lowered = 1 - distance(built.state, seed) / distance_before(seed)
        if lowered >= enough:
            break
    return Outcome(lowered)


Cells = dict[str, dict[str, str]]
"""The table as it is printed: by the name of the constraint, then by the spec of the objective."""


def lowered(cell: str) -> int | None:
    """The percentage in a cell; None where the pair does not run."""
    number = cell.strip("()").replace("−", "-")
    return int(number) if number.lstrip("-").isdigit() else None


def learns(cell: str) -> bool:
    """Whether the pair of a cell lowers W1 by 30%."""
    return lowered(cell) is not None and not cell.startswith("(")


def counts(cells: Cells) -> tuple[int, int, int]:
    """How many pairs there are, run, and learn."""
    every = [cell for row in cells.values() for cell in row.values()]
    return len(every), sum(lowered(one) is not None for one in every), sum(learns(one) for one in every)


def read(text: str) -> Cells:
    """The table of a page; empty where it has none as yet."""
    heads, rows = read_table(text)
    return {name: dict(zip((one.strip("`") for one in heads), row, strict=True)) for name, row in rows.items()}


def markdown(cells: Cells, seconds: float) -> str:
    """The table, with its sums and its legend, as Markdown."""
    specs = list(next(iter(cells.values())))
    n, run, learn = counts(cells)
    every = [lowered(cell) or 0 for row in cells.values() for cell in row.values()]
    collapse = round(100 * collapsed())
    used = {cell for row in cells.values() for cell in row.values()}
    lines = [
        f"{n} pairs, {seconds:.1f} s of one CPU thread each: {run} run ({run / n:.1%}), {learn} of them learn.",
        f"A generator that sends everything to the data's mean would have {collapse};",
        f"{sum(one > collapse for one in every)} pairs have more.",
        "",
        *table([f"`{spec}`" for spec in specs], {name: list(row.values()) for name, row in cells.items()}, "---:"),
        "",
        *(
            f"- {LETTERS[key]}: refused when the game is built: {REASONS[key]}."
            for key in REASONS
            if LETTERS[key] in used
        ),
    ]
    return "\n".join(lines)


def measured(ways: Sequence[Constrained], specs: Sequence[str], seed: int = 0) -> dict[str, dict[str, Outcome]]:
    """The outcome of every pair; each is printed as it comes."""
    outcomes: dict[str, dict[str, Outcome]] = {}
    for way in ways:
        for spec in specs:
            began = time.process_time()
            found = outcomes.setdefault(way.name, {})[spec] = outcome(spec, way, seed)
            print(f"{way.name:<22} {spec:<42} {found}  ({time.process_time() - began:.1f} s)", flush=True)
    return outcomes


def write(page: Path, new: dict[str, dict[str, Outcome]], seconds: float) -> None:
    """Put whole rows into the page's table, which keeps the other rows that it has."""
    cells = read(page.read_text(encoding="utf-8"))
    cells |= {name: {spec: one.cell() for spec, one in row.items()} for name, row in new.items()}
    whole = {one.name: cells[one.name] for one in constraints() if list(cells.get(one.name, ())) == list(objectives())}
    written_between(page, "matrix", markdown(whole, seconds))
    written_between(page, "reasons", "\n".join(f"- *{key}*: {sentence}." for key, sentence in REASONS.items()))
    print(f"written: {page}, {len(whole)} of {len(constraints())} rows")


def main(argv: list[str] | None = None) -> int:
    """Run the pairs, and write the page when all of them were run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", nargs="*", default=[], help="only these (specs as in the table)")
    parser.add_argument("--constraints", nargs="*", default=[], help="only these (names as in the table)")
    parser.add_argument("--penalty-weight", type=float, help="in place of the papers' (needs a choice of pairs)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, default=PAGE, help=f"page whose rows are written (default {PAGE})")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    began = time.process_time()
    known = {one.name: one for one in constraints()}
    if options.penalty_weight is not None:
        weight = {"penalty_weight": options.penalty_weight}
        known = {name: replace(one, keys={**one.keys, **weight}) for name, one in known.items()}
    pairs = [known[name] for name in chosen(options.constraints, known)]
    outcomes = measured(pairs, chosen(options.objectives, dict.fromkeys(objectives())), options.seed)
    found = [one for row in outcomes.values() for one in row.values()]
    running, seconds = sum(one.runs for one in found), time.process_time() - began
    print(
        f"{len(found)} pairs: {running} run, {sum(one.learns for one in found)} learn; {seconds / 60:.1f} CPU minutes"
    )
    if not options.objectives and options.penalty_weight is None:
        write(options.page, outcomes, seconds / len(found))
    passed = running >= LEAST_SHARE * len(found) and all(one.runs or one.reason for one in found)
    print("all targets met" if passed else "a target is MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
