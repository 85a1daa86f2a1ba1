"""GPU hours of the runs at the papers' scale, from counted arithmetic: `python -m benchmarks.paper_hours`.

Counts the floating-point operations of the convolutions and matrix products of a training step: each critic step with
its double backward, and the generator's step, of every run in the sweeps of `banach reproduce NAME --scale paper`, and
of the papers' presets for pictures. They are counted at batches of 2 and 4 on a CPU; a line through both gives those of
the real batch (what a constraint does to the weights does not grow with it). Operations of activations, norms and
Fourier transforms are not counted. Nothing is timed: hours are operations / (peak x share of it that is reached), an
estimate. Writes docs/paper-runs.md (five minutes).
"""

import argparse
import dataclasses
import functools
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from banach.config.config import Config
from banach.config.reading import presets
from banach.data.load import load
from banach.experiments.catalogue import EXPERIMENTS
from banach.experiments.reproduce import Wanted, reproduce
from banach.files import written_between
from banach.sweeps.grid import read_grid
from banach.training.build import build, recipe_of
from banach.training.steps import EAGER, critic_step, generator_step, local, next_latents

PAGE = Path("docs/paper-runs.md")
OURS = ("demo",)
"""Presets of no paper."""

SIDE = 32
"""The side of CIFAR-10's pictures; configs with others say so in `size`."""

BATCHES = (2, 4)
GPU, PEAK, REACHED = "A100", 156.0, (0.15, 0.35)
"""NVIDIA's peak of an A100 in TF32, in TFLOP/s, without sparsity; and the shares of it that are assumed."""

INCEPTION = 299
"""The side at which pictures are scored."""


@dataclass(frozen=True)
class Line:
    """Operations by the number of samples n: fixed + each n."""

    fixed: float
    each: float

    def at(self, n: int) -> float:
        """Those of n samples."""
        return self.fixed + self.each * n

    @staticmethod
    def through(batches: tuple[int, int], counts: Sequence[int]) -> "Line":
        """The line through the operations counted at two batches."""
        (n, m), (first, second) = batches, counts
        each = (second - first) / (m - n)
        return Line(first - each * n, each)


@dataclass(frozen=True)
class Work:
    """Operations of one critic step and of one generator step, by the batch, and of one sample of the generator."""

    critic: Line
    generator: Line
    sample: float

    def steps(self, config: Config) -> float:
        """Those of all steps of a run."""
        recipe = recipe_of(config)
        critics = recipe.critic_steps_before(config.steps) * self.critic.at(recipe.batch)
        return critics + config.steps * self.generator.at(recipe.g_batch)

    def scores(self, config: Config) -> float:
        """Those of a run's scorings: samples of the generator, seen by Inception."""
        looks = -(-config.steps // config.score_every) if config.score_every else 1
        return looks * config.score_samples * (self.sample + inception())


@dataclass(frozen=True)
class Row:
    """A sweep, or one run of a preset: operations of all steps and of all scorings."""

    name: str
    runs: int
    steps: tuple[int, ...]
    a_step: tuple[float, ...]
    training: float
    scoring: float

    def hours(self, peak: float, reached: float) -> float:
        """Of one GPU with a peak in TFLOP/s, of which a share is reached."""
        return (self.training + self.scoring) / (peak * 1e12 * reached) / 3600


class Operations(TorchDispatchMode):
    """Counts, while it is entered, the operations of convolutions and matrix products: two for a multiply-add.

    The formulas are those of torch's FlopCounterMode, which itself follows modules too and therefore stops at
    `autograd.grad` (pytorch/pytorch issue 131753).
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=found)
        return found


def samples_for(config: Config) -> torch.Tensor:
    """A few random samples of the shape that a config's data have: pictures, or points of the plane."""
    rng = torch.Generator().manual_seed(0)
    if config.model == "mlp":
        return torch.randn(20, 2, generator=rng)
    height, width = (config.size, config.size) if isinstance(config.size, int) else config.size or (SIDE, SIDE)
    return torch.randint(0, 256, (20, 3, height, width), generator=rng).byte()


def counted_at(config: Config, n: int) -> tuple[int, int, int]:
    """Operations of a critic step, of a generator step, and of n samples, at a batch of n."""
    images = samples_for(config)
    few = dataclasses.replace(config, batch=n, g_batch=n, device="cpu", critic_start="plain")
    built = build(few, load(images, axes="bchw" if images.dim() == 4 else None), torch.device("cpu"))
    state, game, data = built.state, built.game, built.data
    with state.streams.borrowed(0):
        with Operations() as critic:
            real = EAGER.reals(state, data)
            critic_step(state, game, real, EAGER.fakes(state, next_latents(state, local(n))))
        with Operations() as generator:
            generator_step(state, game, real)
    with Operations() as sample, torch.no_grad():
        state.average(state.latents[:n])
    return critic.total, generator.total, sample.total


def work(config: Config) -> Work:
    """The operations of a config's steps, from two small batches."""
    critic, generator, sample = (
        Line.through(BATCHES, of) for of in zip(*(counted_at(config, n) for n in BATCHES), strict=True)
    )
    return Work(critic, generator, sample.each)


@functools.cache
def _work_of(kind: Config) -> Work:
    return work(kind)


def kind_of(config: Config) -> Config:
    """A config with the same operations a step: what differs in seeds, norms, numbers and lengths is made equal."""
    return Config(
        model=config.model, z=config.z, g_width=config.g_width, d_width=config.d_width, size=config.size or SIDE,
        objective=config.objective, penalty=config.penalty, constraint=config.constraint, optimizer=config.optimizer,
        penalty_weight=1.0, critic_scale=1.0, drift=1e-5 if config.drift else 0.0, space="l2",
    )  # fmt: skip


@functools.cache
def inception() -> float:
    """Operations of Inception v3 for one picture of 299x299, counted without a number computed."""
    from torchvision.models import inception_v3

    with torch.device("meta"):
        network: nn.Module = inception_v3(weights=None, init_weights=False).eval()
        with Operations() as counter, torch.no_grad():
            network(torch.empty(1, 3, INCEPTION, INCEPTION))
    return float(counter.total)


def sweeps(folder: Path) -> dict[str, list[Config]]:
    """The configs of every experiment's sweep, as `banach reproduce NAME --scale paper` writes it."""
    found = {}
    for name, experiment in EXPERIMENTS.items():
        if experiment.grid is not None:
            (ended,) = reproduce(Wanted((name,), "paper", folder), EXPERIMENTS, lambda line: None)
            if ended.grid is not None:
                found[name] = [one.config for one in read_grid(ended.grid).runs]
    return found


def papers(folder: Path) -> dict[str, list[Config]]:
    """The config of each preset of a paper that trains on pictures, by one run of it.

    Steps on points of the plane are so small that a GPU does little but start them, whatever they count.
    """
    found = {}
    for name in presets():
        if name not in OURS:
            path = folder / f"{name}.yaml"
            path.write_text(yaml.safe_dump({"preset": name, "seeds": [0]}), encoding="utf-8")
            configs = [one.config for one in read_grid(path).runs]
            if configs[0].model != "mlp":
                found[name] = configs
    return found


def row(name: str, configs: Sequence[Config]) -> Row:
    """The operations of a sweep's runs."""
    works = [_work_of(kind_of(one)) for one in configs]
    training = [found.steps(one) for found, one in zip(works, configs, strict=True)]
    return Row(
        name,
        len(configs),
        tuple(sorted({one.steps for one in configs})),
        tuple(sorted(all_of / one.steps for all_of, one in zip(training, configs, strict=True))),
        sum(training),
        sum(found.scores(one) for found, one in zip(works, configs, strict=True)),
    )


def _between(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def _rounded(value: float) -> str:
    return f"{float(f'{value:.3g}'):,g}"


def hours(value: float) -> str:
    """In two digits."""
    return f"{float(f'{value:.2g}'):,.{0 if value >= 9.95 else 1}f}"


def table(rows: Sequence[Row], peak: float, reached: tuple[float, float]) -> str:
    """As Markdown; TFLOP and PFLOP are 10^12 and 10^15 operations."""
    lines = [
        "| | runs | steps | TFLOP a step | a run's steps, PFLOP | all steps, PFLOP | all scores, PFLOP | hours, all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        step = _between([_rounded(of / 1e12) for of in one.a_step])
        steps = _between([f"{n:,}" for n in one.steps])
        least, most = (hours(one.hours(peak, share)) for share in reversed(reached))
        cells = (
            one.name, f"{one.runs}", steps, step, _rounded(one.training / one.runs / 1e15),
            f"{one.training / 1e15:,.0f}", f"{one.scoring / 1e15:,.0f}", f"{least} to {most}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Count, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", default=GPU, help=f"the GPU's name in the text (default {GPU})")
    parser.add_argument("--peak", type=float, default=PEAK, help=f"its peak in TFLOP/s (default {PEAK:g})")
    parser.add_argument("--reached", type=float, nargs=2, default=REACHED, metavar=("LEAST", "MOST"),
                        help="shares of the peak that are assumed")  # fmt: skip
    parser.add_argument("--markdown", type=Path, default=PAGE, help=f"the page to write (default {PAGE})")
    options = parser.parse_args(argv)
    least, most = options.reached
    with tempfile.TemporaryDirectory() as folder:
        found = {**sweeps(Path(folder)), **papers(Path(folder))}
    rows = []
    for name, configs in found.items():
        rows.append(row(name, configs))
        print(f"{name}: {rows[-1].training / 1e15:,.1f} PFLOP in {len(configs)} runs", flush=True)
    said = (
        f"An estimate from counted arithmetic; nothing here was measured on a GPU. Hours of one {options.gpu} at"
        f" {least:.0%} to {most:.0%} of its {options.peak:g} TFLOP/s, all runs one after the other. Rows with one run"
        f" are presets. Scores are counted as samples seen by Inception v3, {inception() / 1e9:.1f} GFLOP each."
    )
    text = "\n".join([table(rows, options.peak, (least, most)), "", *textwrap.wrap(said, 118)])
    print(f"\n{text}")
    written_between(options.markdown, "paper hours", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
