"""Points in the plane with the constants of igul222/improved_wgan_training, `gan_toy.py`.

The papers draw fresh points for ever; here a set has `n` points, drawn once by its seed.
"""

import math

import torch
from jaxtyping import Float32
from torch import Tensor

from banach.data.dataset import DATASETS, Raw
from banach.data.memory import require
from banach.errors import DataError

_N = 100_000


def eight_gaussians(n: int, rng: torch.Generator) -> Float32[Tensor, "n 2"]:
    """Eight centres 2 (cos, sin) at multiples of 45 degrees, drawn evenly, noise 0.02, all divided by 1.414."""
    angle = torch.randint(8, (n,), generator=rng) * (math.pi / 4)
    centres = 2 * torch.stack((angle.cos(), angle.sin()), 1)
    return (centres + 0.02 * torch.randn(n, 2, generator=rng)) / 1.414


def twenty_five_gaussians(n: int, rng: torch.Generator) -> Float32[Tensor, "n 2"]:
    """The grid (2 i, 2 j), i and j from -2 to 2, each equally often, noise 0.05, all divided by 2.828; shuffled."""
    cell = torch.arange(n) % 25
    centres = 2.0 * torch.stack((cell // 5 - 2, cell % 5 - 2), 1)
    points = (centres + 0.05 * torch.randn(n, 2, generator=rng)) / 2.828
    return points[torch.randperm(n, generator=rng)]


def swiss_roll(n: int, rng: torch.Generator) -> Float32[Tensor, "n 2"]:
    """t (cos t, sin t), t uniform on [1.5 pi, 4.5 pi], noise 0.25, all / 7.5: scikit-learn's roll, axes 0 and 2."""
    t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=rng))
    roll = torch.stack((t * t.cos(), t * t.sin()), 1)
    return (roll + 0.25 * torch.randn(n, 2, generator=rng)) / 7.5


def _points(name: str, points: Tensor) -> Raw:
    return Raw(name, points, notes=(f"{len(points):,} points in the plane",), normalise="none")


def _rng(name: str, n: int, seed: int) -> torch.Generator:
    if not isinstance(n, int) or n < 2:
        raise DataError(f"{name}: n={n!r} is not a number of points; write for example {name}:n=50000")
    require(32 * n, f"{name}:n={n}", "take fewer points")
    return torch.Generator().manual_seed(seed)


@DATASETS.register(name="8gaussians", examples=("8gaussians", "8gaussians:n=2000"))
def _eight(n: int = _N, seed: int = 0) -> Raw:
    """eight tight Gaussians on a circle in the plane"""
    return _points("8gaussians", eight_gaussians(n, _rng("8gaussians", n, seed)))


@DATASETS.register(name="25gaussians", examples=("25gaussians", "25gaussians:n=2000"))
def _twenty_five(n: int = _N, seed: int = 0) -> Raw:
    """twenty-five tight Gaussians on a grid in the plane"""
    return _points("25gaussians", twenty_five_gaussians(n, _rng("25gaussians", n, seed)))


@DATASETS.register(name="swissroll", examples=("swissroll", "swissroll:n=2000"))
def _roll(n: int = _N, seed: int = 0) -> Raw:
    """a spiral in the plane"""
    return _points("swissroll", swiss_roll(n, _rng("swissroll", n, seed)))
