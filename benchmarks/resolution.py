"""A generator of functions trained at 32x32, drawn at 32, 64 and 128: `python -m benchmarks.resolution --minutes 5`.

The data are a periodic Gaussian random field on the unit square with the spectrum (1 + |k|^2 / 9)^-2 for |k| <= 10 and
nothing beyond, given at 32x32. Model `spectral`, periodic, in a Sobolev norm with length 1. At each size the radial
power spectrum of 2,000 samples is held against the true one: the mean of |log ratio| over the shells |k| = 1, ..., 10,
and the share of the energy beyond the band, where there should be none. The first is also given of fresh real
fields, which is its floor, and of the generator after its first step. At 64 and 128 the error is to be at most 1.5
times that at 32. Writes resolution.json and the generator into the folder `--out`.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from banach.config.config import Config
from banach.config.reading import build as build_config
from banach.data import load
from banach.generator import Generator
from banach.session.fit import fit
from banach.training.build import build
from banach.training.loop import train

BAND = 10
SIZES = (32, 64, 128)
SAMPLES = 2000
ALLOWED = 1.5
PROBE_STEPS = 10


def spectrum(k: Tensor) -> Tensor:
    """The variance of each Fourier coefficient at frequency |k|, before it is scaled to fields of variance 1."""
    return torch.where(k <= BAND, (1 + k.square() / 9) ** -2, 0.0)


def frequencies(n: int) -> Tensor:
    """|k| of the coefficients of an n x n field, in waves along an axis."""
    k = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
    return (k[:, None].square() + k[None].square()).sqrt()


def fields(n: int, size: int, seed: int) -> Tensor:
    """n fields (n, 1, size, size) of the law, from white noise on that grid."""
    rng = torch.Generator().manual_seed(seed)
    of = spectrum(frequencies(size))
    noise = torch.fft.fft2(torch.randn(n, size, size, generator=rng, dtype=torch.float64)) / size
    return torch.fft.ifft2(noise * (of / of.sum()).sqrt()).real.mul(size**2).float().unsqueeze(1)


def radial_power(x: Tensor) -> tuple[Tensor, float]:
    """The mean power of a coefficient on the shells |k| = 1, ..., 10, and the share of the energy beyond the band."""
    size = x.shape[-1]
    power = (torch.fft.fft2(x.double()).abs().square() / size**4).mean((0, 1))
    k = frequencies(size)
    shells = torch.stack([power[(k > at - 0.5) & (k <= at + 0.5) & (k <= BAND)].mean() for at in range(1, BAND + 1)])
    return shells, float(power[k > BAND].sum() / power.sum())


def error(x: Tensor) -> tuple[float, float]:
    """Mean |log ratio| of the radial power spectrum to the true one, and the share of the energy beyond the band."""
    found, beyond = radial_power(x)
    of, k = spectrum(frequencies(x.shape[-1])), frequencies(x.shape[-1])
    true = of / of.sum()
    expected = torch.stack([true[(k > at - 0.5) & (k <= at + 0.5) & (k <= BAND)].mean() for at in range(1, BAND + 1)])
    return float((found / expected).log().abs().mean()), beyond


def keys(space: str, seed: int, **more: object) -> dict[str, object]:
    """The keys of the run."""
    return {
        "model": "spectral", "padding": "periodic", "space": space, "seed": seed, "z": 320, "g_width": 16,
        "d_width": 24, "batch": 32, "n_critic": 2, "lr": 1e-3, "ema": 0.99, "normalise": "none", "drift": "auto",
        "critic_start": "slope", **more,
    }  # fmt: skip


def steps_in(config: Config, data: Tensor, minutes: float) -> int:
    """How many steps fit, by the time of a few."""
    loaded = load(data, normalise="none")
    built = build(config, loaded, torch.device("cpu"))
    train(built.state, built.game, loaded, 2)
    began = time.process_time()
    train(built.state, built.game, loaded, 2 + PROBE_STEPS)
    return max(50, int(60 * minutes * PROBE_STEPS / (time.process_time() - began)))


def trained(options: argparse.Namespace) -> tuple[Generator, int]:
    """The generator after so many minutes of this processor's time, and its steps."""
    data = fields(options.fields, SIZES[0], seed=1)
    of = keys(options.space, options.seed)
    steps = options.steps or steps_in(build_config({**of, "data": "array", "steps": 10}), data, options.minutes)
    return fit(data, steps=steps, progress=False, **of), steps  # pyright: ignore[reportArgumentType] - keys of many types


def first(options: argparse.Namespace) -> Generator:
    """The generator as it starts, after one step."""
    data = fields(64, SIZES[0], seed=1)
    return fit(data, steps=1, progress=False, **keys(options.space, options.seed))  # pyright: ignore[reportArgumentType] - keys of many types


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="minutes of processor time for the training")
    parser.add_argument("--steps", type=int, default=0, help="steps of the training, in place of --minutes")
    parser.add_argument("--space", default="Sobolev(s=-0.5, length=1)")
    parser.add_argument("--fields", type=int, default=4000, help="fields to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/resolution")
    options = parser.parse_args(argv)
    began = time.process_time()
    generator, steps = trained(options)
    at_first = error(first(options).draw(SAMPLES, seed=0))[0]
    minutes = (time.process_time() - began) / 60
    print(f"{steps:,} steps in {options.space}, {minutes:.1f} minutes of processor time; error at first {at_first:.3f}")
    found = {}
    for size in SIZES:
        of, beyond = error(generator.draw(SAMPLES, seed=0, size=size))
        floor, _ = error(fields(SAMPLES, size, seed=2))
        found[size] = {
            "error": of,
            "beyond": beyond,
            "floor": floor,
            "ratio": of / found[32]["error"] if found else 1.0,
        }
        print(f"{size:>4}: error {of:.3f} (floor {floor:.3f}), {100 * beyond:.2f}% of the energy beyond the band")
    holds = all(one["ratio"] <= ALLOWED for one in found.values())
    print(f"at most {ALLOWED} times the error at {SIZES[0]}: {'yes' if holds else 'no'}")
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    facts = {"steps": steps, "minutes": minutes, "space": options.space, "seed": options.seed}
    facts |= {"error at first": at_first, "sizes": found}
    (out / "resolution.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    generator.save(out / "generator.safetensors")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
