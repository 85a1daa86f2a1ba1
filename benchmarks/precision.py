"""How exact the penalty's gradient is in bfloat16: `python -m benchmarks.precision`.

The gradient of WGAN-GP's penalty in the weights of the 32x32 residual critic, its networks under bfloat16 autocast, in
several norms, against the same in float64: |g - g64| / |g64| over all weights together, the median over batches of
Fashion-MNIST and noise, at the first weights and after some steps of training. Exit code 1 if an error is above the
limit: 2e-2, and 5e-2 in L^1, whose dual norm is one entry of the gradient. Below p = 1.5 a run takes the penalty in
float32; `--everywhere` shows what half precision would make of it.
"""

import argparse
import statistics
import sys
from copy import deepcopy

import torch
from torch import Tensor, nn

from banach import Space, penalty
from banach.config.config import Config
from banach.data import Data, load
from banach.game import measured
from banach.runs.environment import environment
from banach.slopes import Evaluation, evaluation_of
from banach.training.build import build
from banach.training.loop import train
from banach.training.player import forward_of
from benchmarks.targets import Target, keep

CPU = torch.device("cpu")
SPACES = (
    "Lp(2)",
    "Lp(1)",
    "Lp(1.5)",
    "Lp(4)",
    "Sobolev(s=-1)",
    "Sobolev(s=1)",
    "Sobolev(s=-1.5, p=4)",
    "Sobolev(s=1, p=1)",
)
LIMIT, LIMIT_1 = 2e-2, 5e-2


def limit(spec: str) -> float:
    """The largest relative error that passes: more where the dual norm is the largest entry alone."""
    return LIMIT_1 if spec in ("Lp(1)", "Sobolev(s=1, p=1)") else LIMIT


def gradient(
    f: Evaluation, network: nn.Module, real: Tensor, fake: Tensor, norm: Space, seed: int, everywhere: bool = False
) -> Tensor:
    """The gradient of WGAN-GP's penalty in all weights, as one vector in float64.

    `everywhere`: with f as it is, also where a run takes the penalty without half precision.
    """
    rng = torch.Generator().manual_seed(seed)
    a = torch.rand(len(real), generator=rng, dtype=torch.float64).to(real.dtype)
    kind = penalty("wgan-gp")
    seen = f if everywhere else measured(f, kind, norm)
    cost = kind.cost(seen, real, fake, norm, (a,), {}).value
    found = torch.autograd.grad(cost, list(network.parameters()), allow_unused=True)
    return torch.cat([one.flatten().double() for one in found if one is not None])


def error(
    network: nn.Module, real: Tensor, fake: Tensor, norm: Space, gamma: float, seed: int, everywhere: bool = False
) -> float:
    """|g - g64| / |g64| of a critic under bfloat16 autocast."""
    lowered = evaluation_of(forward_of(network, "bf16")).scaled(gamma)
    half = gradient(lowered, network, real, fake, norm, seed, everywhere)
    double = deepcopy(network).double()
    exact = gradient(evaluation_of(double).scaled(gamma), double, real.double(), fake.double(), norm, seed)
    return float((half - exact).norm() / exact.norm())


def errors(
    data: Data, norms: list[str], width: int, batch: int, repeats: int, trained: int, everywhere: bool = False
) -> dict[str, tuple[float, float]]:
    """By space: the median error at the first weights, and after `trained` generator steps of one critic step each."""
    found = {}
    for spec in norms:
        keys = {"data": "fashion", "model": "resnet", "z": 16, "g_width": 16, "d_width": width, "batch": batch}
        built = build(Config(**keys, space=spec, n_critic=1, decay="none"), data, CPU)  # pyright: ignore
        state, norm, gamma = built.state, built.game.space, built.game.gamma
        assert isinstance(norm, Space)
        assert isinstance(gamma, int | float)
        medians = []
        for until in (0, trained):
            train(state, built.game, data, until)
            each = []
            for i in range(repeats):
                real = data.batch(torch.arange(i * batch, (i + 1) * batch))
                z = torch.randn(batch, 16, generator=torch.Generator().manual_seed(i))
                with torch.no_grad():
                    fake = state.average(z)
                each.append(error(state.critic.network, real, fake, norm, gamma, i, everywhere))
            medians.append(statistics.median(each))
        found[spec] = (medians[0], medians[1])
        print(row(spec, *found[spec]), flush=True)
    return found


def targets(found: dict[str, tuple[float, float]]) -> list[Target]:
    """The largest errors at the first weights, for p > 1 and for p = 1."""
    rows = []
    for name, bound in (("p > 1", LIMIT), ("p = 1", LIMIT_1)):
        firsts = [first for spec, (first, _) in found.items() if limit(spec) == bound]
        if firsts:
            what = f"bf16 penalty gradient against float64, relative, {name}"
            rows.append(Target(what, f"at most {bound:g}", f"{max(firsts):.2e}", max(firsts) <= bound))
    return rows


def row(spec: str, first: float, later: float) -> str:
    """A line of the table."""
    return f"| `{spec}` | {first:.1e} | {later:.1e} |"


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--norms", nargs="+", default=list(SPACES), help="the norms (default: eight of them)")
    parser.add_argument("--width", type=int, default=64, help="width of the critic (default 64)")
    parser.add_argument("--batch", type=int, default=64, help="batch (default 64)")
    parser.add_argument("--repeats", type=int, default=1, help="batches in a median (default 1)")
    parser.add_argument("--trained", type=int, default=5, help="steps before the second column (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--everywhere", action="store_true", help="half precision also where a run takes float32")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    about = environment(0, CPU, [])
    print(f"{about['processor']}, torch {about['packages']['torch']}; 32x32, critic width {options.width}\n")
    print(f"| norm | first weights | after {options.trained} steps |\n| --- | --- | --- |")
    data, sizes = load("fashion", size=32), (options.width, options.batch, options.repeats, options.trained)
    found = errors(data, options.norms, *sizes, everywhere=options.everywhere)
    above = [spec for spec, (first, _) in found.items() if first > limit(spec)]
    print(f"\nabove the limit at the first weights: {', '.join(above) or 'none'}")
    if tuple(options.norms) == SPACES and not options.everywhere:  # a part of the list would say less than the row does
        keep("precision", targets(found))
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
