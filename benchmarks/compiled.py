"""What compiling the steps brings: `python -m benchmarks.compiled`.

A generator step with its five critic steps on 8 Gaussians, WGAN-GP in L2 and in l^4, networks of three hidden layers;
plain and compiled runs of the same networks take turns, and each time of one stands against that of the other beside
it. Also the largest difference of the weights after twenty steps from one start. `--model resnet` measures a
convolution network instead, which `--compile` leaves plain.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.config.config import Config
from banach.data import load
from banach.runs.environment import environment
from banach.training import compiled
from banach.training.build import Built, build
from banach.training.loop import train
from banach.training.steps import EAGER, Steps


@dataclass(frozen=True)
class Row:
    """Milliseconds of a step in both forms, their ratio (plain over compiled, paired), and what compiling cost."""

    name: str
    plain: float
    compiled: float
    ratio: float
    apart: float
    seconds: float


def start(config: Config) -> Built:
    """The run before its first step, on planar points or on random pictures."""
    if config.model != "mlp":
        rng = torch.Generator().manual_seed(0)
        return build(config, load(torch.randint(256, (512, 3, 32, 32), generator=rng, dtype=torch.uint8)), CPU)
    return build(config, load("8gaussians"), CPU)


CPU = torch.device("cpu")


def measure(name: str, config: Config, rounds: int, each: int) -> Row:
    """Time both forms in turns of `each` steps, after some that are not counted.

    One thread's CPU time is its work, whatever else the machine does; more threads are timed by the wall clock.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    plain, other = start(config), start(config)
    began = time.perf_counter()
    steps = compiled.Compiled(other.state, other.game)
    forms: list[tuple[Built, Steps]] = [(plain, EAGER), (other, steps.as_steps())]
    for built, form in forms:
        train(built.state, built.game, built.data, 20 if config.model == "mlp" else 2, steps=form)
    seconds = time.perf_counter() - began
    apart = max(_apart(*pair) for pair in zip(_weights(plain), _weights(other), strict=True))
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for (built, form), found in zip(forms, times, strict=True):
            began = clock()
            train(built.state, built.game, built.data, built.state.step + each, steps=form)
            found.append((clock() - began) / each * 1e3)
    ratio = statistics.median(one / two for one, two in zip(*times, strict=True))
    return Row(name, *(statistics.median(one) for one in times), ratio, apart, seconds)


def _weights(built: Built) -> list[Tensor]:
    return [*built.state.generator.network.state_dict().values(), *built.state.critic.network.state_dict().values()]


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mlp", "resnet"), default="mlp")
    parser.add_argument("--width", type=int, help="width of both networks (default 100 and 512 for mlp, 32 for resnet)")
    parser.add_argument("--batch", type=int, default=64, help="batch (default 64)")
    parser.add_argument("--rounds", type=int, default=41, help="turns of each form (default 41)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    mlp = options.model == "mlp"
    widths = [options.width] if options.width else ([100, 512] if mlp else [32])
    about = environment(0, CPU, [])
    where = f"{about['processor']}, {options.threads} threads, torch {about['packages']['torch']}"
    print(f"{where}; batch {options.batch}, one generator step with its five critic steps\n")
    print(f"| {options.model} | plain, ms | compiled, ms | plain / compiled | weights apart | compiled in, s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for width in widths:
        for space in ("Lp(2)", "Lp(4)") if mlp else ("Lp(2)",):
            config = _config(options.model, space, width, options.batch)
            row = measure(f"width {width}, {space}", config, options.rounds if mlp else 5, 10 if mlp else 1)
            print(
                f"| {row.name} | {row.plain:.2f} | {row.compiled:.2f} | {row.ratio:.2f} "
                f"| {row.apart:.1e} | {row.seconds:.0f} |",
                flush=True,
            )
    return 0


def _config(model: str, space: str, width: int, batch: int) -> Config:
    return Config(
        data="8gaussians", model=model, space=space, z=16, g_width=width, d_width=width, batch=batch, decay="none"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
