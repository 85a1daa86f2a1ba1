"""The pairs of distributions in the plane of Lipschitz GANs' figures: a real one, and a fixed one of fakes.

Constants of ZhimingZhou/LGANs-for-reproduce, code/gan_synthetic4.py (cases 1 to 3). Where one is a mixture, its parts
have exactly their shares of the samples, as far as these divide.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
"""n and a generator to n reals and n fakes, each (n, 2)."""

LEFT, RIGHT = (-1.0, 0.0), (1.0, 0.0)
HALF, INNER = 0.5, 0.25
"""Half the sides of the squares."""

MAIN = 0.8
"""The share of fakes in the inner square (case 1), and of both distributions in the square of their own (case 2)."""

DEVIATION = 0.15
REAL_MEANS, FAKE_MEAN = ((1.0, 0.0), (-1.25, 0.0)), (-0.75, 0.0)
"""The Gaussians of case 3."""


def squares_apart(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Case 1: reals on a square; fakes on another, most in its inner part, the rest on 16 points of its edge."""
    side = torch.linspace(-HALF, HALF, 5)
    lattice = torch.cartesian_prod(side, side)
    edge = lattice[lattice.abs().amax(1) == HALF]
    inside = round(MAIN * n)
    fake = torch.cat([_square(inside, INNER, rng), edge[torch.arange(n - inside) % len(edge)]])
    return _square(n, HALF, rng) + torch.tensor(RIGHT), fake + torch.tensor(LEFT)


def squares_shared(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Case 2: both uniform on the same two squares, four fifths of the reals on the right, of the fakes on the left."""
    many = round(MAIN * n)
    sides = torch.where(torch.arange(n)[:, None] < many, torch.tensor(RIGHT), torch.tensor(LEFT))
    return _square(n, HALF, rng) + sides, _square(n, HALF, rng) - sides


def gaussians(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Case 3: the fakes are one Gaussian, near one of the two Gaussians of the reals."""
    return _placed(torch.randn(n, 4, generator=rng))


def even_gaussians(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Case 3 by scrambled Sobol points, n a power of 2: a sample much nearer to its distribution than a random one."""
    u = torch.quasirandom.SobolEngine(4, scramble=True, seed=seed).draw(n, dtype=torch.float64)
    return _placed(torch.special.ndtri(u.clamp(1e-7, 1 - 1e-7)).float())


def _placed(z: Tensor) -> tuple[Tensor, Tensor]:
    far = torch.arange(len(z))[:, None] < len(z) // 2
    means = torch.where(far, *map(torch.tensor, REAL_MEANS))
    return means + DEVIATION * z[:, :2], torch.tensor(FAKE_MEAN) + DEVIATION * z[:, 2:]


def square_densities(x: Tensor) -> tuple[Tensor, Tensor]:
    """The densities of the reals and of the fakes of case 2 at x (n, 2), in float64."""
    right, left = (_in_square(x, centre) for centre in (RIGHT, LEFT))
    return MAIN * right + (1 - MAIN) * left, (1 - MAIN) * right + MAIN * left


def apart_densities(x: Tensor) -> tuple[Tensor, Tensor]:
    """The densities of case 1 at x (n, 2), in float64, without the masses at the edge of the fakes' square."""
    inner = (_offset(x, LEFT).abs().amax(1) <= INNER).double() / (2 * INNER) ** 2
    return _in_square(x, RIGHT), MAIN * inner


def gaussian_densities(x: Tensor) -> tuple[Tensor, Tensor]:
    """The densities of case 3 at x (n, 2), in float64."""
    far, near = (_normal(x, mean) for mean in REAL_MEANS)
    return (far + near) / 2, _normal(x, FAKE_MEAN)


def _square(n: int, half: float, rng: torch.Generator) -> Tensor:
    return half * (2 * torch.rand(n, 2, generator=rng) - 1)


def _offset(x: Tensor, centre: tuple[float, float]) -> Tensor:
    return x.double() - torch.tensor(centre, dtype=torch.float64)


def _in_square(x: Tensor, centre: tuple[float, float]) -> Tensor:
    return (_offset(x, centre).abs().amax(1) <= HALF).double() / (2 * HALF) ** 2


def _normal(x: Tensor, mean: tuple[float, float]) -> Tensor:
    square = _offset(x, mean).square().sum(1) / DEVIATION**2
    return torch.exp(-square / 2) / (2 * math.pi * DEVIATION**2)
