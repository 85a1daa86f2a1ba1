"""What W1 may say as a score: `python -m benchmarks.scores` (minutes; rewrites the tables of docs/scores.md).

1. Real images, the same blurred, their mean, and 100 of them memorised, against other real images: raw W1 and its
   excess, in five norms. The excess must order them.
2. p-values of the permutation test where both samples have the same distribution: they must be uniform
   (Kolmogorov-Smirnov).
3. How often the interval of the excess holds the expected excess, beside that of a bootstrap which solves again.

Exit code 1 if an order is wrong, a p-value's distribution is not uniform, or an interval holds in less than nine cases
of ten.
"""

import argparse
import itertools
import math
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from scipy.ndimage import gaussian_filter
from torch import Tensor

from banach.data import DataError, load
from banach.transport import distance, excess, permutation_p

PAGE = Path("docs/scores.md")
SPACES = ("Lp(2)", "Lp(1)", "Lp(inf)", "Sobolev(s=-1)", "Sobolev(s=1)")
CHAIN = ("real", "blur 0.5", "blur 1", "mean image")
MEMORISED = 100


@dataclass(frozen=True)
class Sets:
    """A reference, and candidates that are compared with it: tensors (n, 1, h, w) in [-1, 1]."""

    reference: Tensor
    candidates: dict[str, Tensor]


@dataclass(frozen=True)
class Row:
    """A candidate in a space: W1, both floors, excess and its interval; means over the seeds."""

    space: str
    name: str
    w1: float
    floor: float
    spread: float
    excess: float
    low: float
    high: float


def sets(images: Tensor, n: int, seed: int) -> Sets:
    """n images as reference and n others as they are and blurred; the mean of the rest, and 100 of it over and over."""
    rng = torch.Generator().manual_seed(seed)
    z = images[torch.randperm(len(images), generator=rng)].float() / 127.5 - 1
    reference, real, rest = z[:n], z[n : 2 * n], z[2 * n :]
    candidates = {"real": real}
    candidates |= {f"blur {s:g}": torch.from_numpy(gaussian_filter(real.numpy(), (0, 0, s, s))) for s in (0.5, 1.0)}
    candidates["mean image"] = rest.mean(0, keepdim=True).repeat(n, 1, 1, 1)
    candidates["100 memorised"] = rest[:MEMORISED][torch.randint(MEMORISED, (n,), generator=rng)]
    return Sets(reference, candidates)


def ordered(values: dict[str, float]) -> bool:
    """real < blur 0.5 < blur 1 < mean image, and real < 100 memorised."""
    chain = [values[name] for name in CHAIN]
    return all(a < b for a, b in itertools.pairwise(chain)) and values["real"] < values["100 memorised"]


def ranking(images: Tensor, n: int, seeds: tuple[int, ...]) -> list[Row]:
    """A row for every space and candidate, n samples of each; means over the seeds."""
    rows = []
    drawn = [sets(images, n, seed) for seed in seeds]
    for spec in SPACES:
        for name in drawn[0].candidates:
            found = [excess(one.candidates[name], one.reference, spec) for one in drawn]
            figures = zip(
                *((one.across, one.floor_b, one.floor_a, one.value, one.low, one.high) for one in found), strict=True
            )
            rows.append(Row(spec, name, *(math.fsum(column) / len(seeds) for column in figures)))
            print(f"{spec} {name}: excess {rows[-1].excess:.4g}", file=sys.stderr, flush=True)
    return rows


def normals(n: int, d: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return shift + scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniformity(images: Tensor, repeats: int) -> list[tuple[str, float, float]]:
    """(what, Kolmogorov-Smirnov distance, its p-value) of p-values where both samples have the same distribution."""
    pictures = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))].float() / 127.5 - 1
    cases = {
        ("normal, 3 entries", "Lp(2)"): lambda k: (normals(40, 3, 2 * k), normals(40, 3, 2 * k + 1)),
        ("normal, 20 entries", "Lp(inf)"): lambda k: (normals(40, 20, 2 * k), normals(40, 20, 2 * k + 1)),
        ("images", "Sobolev(s=-1)"): lambda k: pictures[40 * k % (len(pictures) - 40) :][:40].split(20),
    }
    found = []
    for (what, spec), draw in cases.items():
        rng, p = np.random.default_rng(0), []
        for k in range(repeats):
            # 99 permutations give p in steps of 0.01: a uniform number below a step makes the distribution continuous.
            p.append(permutation_p(*draw(k), spec, permutations=99, seed=k) - rng.uniform(0, 0.01))
        tested = stats.kstest(p, "uniform")
        found.append((f"{what}, {spec}", float(tested.statistic), float(tested.pvalue)))
    return found


def solved_again(x: Tensor, y: Tensor, resamples: int, seed: int) -> tuple[float, float]:
    """The interval of a bootstrap that solves for resampled points: what `excess` does not do."""
    halves = [half for one in (x, y) for half in one.chunk(2)]
    rng = torch.Generator().manual_seed(seed)

    def value(parts: list[Tensor]) -> float:
        pairs = ((0, 2, 0.25), (0, 3, 0.25), (1, 2, 0.25), (1, 3, 0.25), (0, 1, -0.5), (2, 3, -0.5))
        return sum(w * distance(parts[i], parts[k], rel_gap=1e-4).value for i, k, w in pairs)

    again = [
        value([half[torch.randint(len(half), (len(half),), generator=rng)] for half in halves])
        for _ in range(resamples)
    ]
    low, high = np.quantile(again, [0.025, 0.975])
    return float(low), float(high)


DISTRIBUTIONS = {
    "one distribution": {},
    "moved by 0.3": {"shift": 0.3},
    "drawn together by 0.7": {"scale": 0.7},
    "a point": {"scale": 0.0},
}


def coverage(repeats: int, few: int, resamples: int = 40) -> list[tuple[str, float, float, float]]:
    """(what, expected excess, how often the interval holds it, how often one that solves again does)."""
    rows = []
    for what, how in DISTRIBUTIONS.items():
        draws = [(normals(60, 5, 2 * k, **how), normals(60, 5, 2 * k + 1)) for k in range(repeats)]
        found = [excess(*draw, resamples=1000) for draw in draws]
        expected = math.fsum(one.value for one in found) / repeats
        held = sum(one.low <= expected <= one.high for one in found) / repeats
        again = [solved_again(*draw, resamples, k) for k, draw in enumerate(draws[:few])]
        rows.append((what, expected, held, sum(low <= expected <= high for low, high in again) / few))
    return rows


def table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(one) + " |" for one in (heads, ["---"] * len(heads), *rows))


def ranking_table(rows: list[Row]) -> str:
    heads = ["norm", "candidate", "W1", "floor", "spread", "**excess**", "95% interval"]
    texts = []
    for row in rows:
        best = min(one.w1 for one in rows if one.space == row.space)
        raw = f"{row.w1:.4g}" + (" (least)" if row.w1 == best else "")
        interval = f"{row.low:.3g} to {row.high:.3g}"
        texts.append([f"`{row.space}`", row.name, raw, f"{row.floor:.4g}", f"{row.spread:.4g}", f"**{row.excess:.3g}**",
                      interval])  # fmt: skip
    return table(heads, texts)


def written(page: Path, name: str, text: str) -> None:
    """Put the text between the page's markers of this name."""
    old = page.read_text(encoding="utf-8")
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    new, count = re.subn(pattern, lambda found: f"{found[1]}{text}\n{found[2]}", old, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{page} has no place marked {name}")
    page.write_text(new, encoding="utf-8")


def clothes() -> tuple[Tensor, str]:
    """All 70,000 images of Fashion-MNIST where they are installed, else the bundled 10,000."""
    try:
        data = load("fashion-mnist:split=all")
    except DataError:
        data = load("fashion")
    images = torch.cat([data.train, data.held_out])
    return images, f"{len(images):,} images of Fashion-MNIST"


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write the page's tables, and compare with what must hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="samples of each (default 2000: halves of 1000)")
    parser.add_argument("--seeds", type=int, default=2, help="draws of the images (default 2)")
    parser.add_argument("--repeats", type=int, default=200, help="of the p-values and intervals (default 200)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    began = time.process_time()
    images, source = clothes()
    rows = ranking(images, options.n, tuple(range(options.seeds)))
    right = [ordered({row.name: row.excess for row in rows if row.space == spec}) for spec in SPACES]
    tests = uniformity(images, options.repeats)
    covered = coverage(options.repeats, max(1, options.repeats // 5))
    spent = time.process_time() - began
    parts = {
        "ranking": f"{source}; {options.n:,} of each, halves of {options.n // 2:,}; means of {options.seeds} draws.\n\n"
        + ranking_table(rows),
        "uniformity": table(
            ["both samples", f"KS distance of {options.repeats} p-values", "its p-value"],
            [[what, f"{statistic:.3f}", f"{p:.2f}"] for what, statistic, p in tests],
        ),
        "coverage": table(
            ["the other distribution", "expected excess", "interval of `excess` holds it", "solved again"],
            [[what, f"{expected:.3f}", f"{held:.0%}", f"{again:.0%}"] for what, expected, held, again in covered],
        ),
    }
    for name, text in parts.items():
        print(f"\n{text}")
        written(options.page, name, text)
    failed = right.count(False) + sum(p < 0.01 for _, _, p in tests) + sum(held < 0.9 for _, _, held, _ in covered)
    print(f"\norder right in {sum(right)} of {len(right)} norms; {spent:.0f} s of CPU; {failed} targets missed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
