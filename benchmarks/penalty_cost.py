"""What one gradient penalty costs in norms of fields: `python -m benchmarks.penalty_cost`.

The value and its gradient in the weights of a small convolutional critic, whose own passes are included, on a batch
(32, 1, 32, 32) in float32, in CPU time of one thread: other work on the machine does not count. "In training" begins
where the penalty of another batch ended, as steps of training do; "alone" begins anew.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from banach import gradient_penalty, space
from banach.spaces import warm_starts

NORMS = (
    "Lp(2)",
    "Sobolev(s=-1)",
    "GradientForm(p=2)",
    "Besov(s=-1)",
    "Besov(s=1, p=1.5, q=1, wavelet='db2')",
    "Patches(8, Lp(2))",
    "Patches(4, Sobolev(s=-1))",
    "TotalVariation(weight=0.1)",
    "GradientForm(p=1)",
    "GradientForm(p=1.5)",
    "GradientForm(p=4)",
    "OverlappingPatches(4, Lp(2), stride=2)",
    "OverlappingPatches(8, Lp(2), stride=4)",
)
"""Those up to the patches side by side have a formula for the dual norm; the others compute it."""

Row = tuple[str, float, float]


def measure(spec: str, rounds: int, batch: int = 32, side: int = 32) -> Row:
    """The norm, and milliseconds in training and alone: the least of the rounds."""
    rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2, 2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(16, 32, 5, 2, 2),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * side * side, 1),
        )
    norm = space(spec)
    real, fake, other = torch.randn(3, batch, 1, side, side, generator=rng)

    def step(x: Tensor) -> Callable[[], None]:
        return lambda: gradient_penalty(critic, x, fake, norm, torch.Generator().manual_seed(1)).backward()

    warm, alone = [], []
    for _ in range(rounds):
        with warm_starts({}) as memory:
            step(other)()
        with warm_starts(memory):
            warm.append(_milliseconds(step(real)))
        alone.append(_milliseconds(step(real)))
    return spec, min(warm), min(alone)


def _milliseconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began)


def main(argv: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="penalties of each norm (default 3)")
    parser.add_argument("--norms", nargs="*", default=NORMS, help="specs of norms (default: those of the table)")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    print("| norm | in training | alone |\n|---|---|---|")
    for spec in options.norms:
        name, warm, alone = measure(spec, options.rounds)
        print(f"| `{name}` | {warm:.0f} | {alone:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
