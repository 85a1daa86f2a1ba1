"""gamma and lambda from data: the scale of a critic's output, and the weight of its penalty, in a given space."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.errors import BanachError
from banach.spaces import Space
from banach.spaces.properties import cell_volume

DRIFT = 1e-5
"""The weight of E D(real)^2 in Banach WGAN's code."""

DRIFT_SHARE = 0.2
"""drift gamma^2 lambda, the drift beside the game: that of 1e-5 for 3x32x32 pictures in L^2 (gamma = lambda = 27)."""


@dataclass(frozen=True)
class Scales:
    """gamma = E dual.norm(X) and lam = E norm(X), with their standard errors over n samples.

    In a norm of functions (`length=`) X is a covector by the integral, and gamma is as many times the cell volume: both
    are then the same at every resolution.
    """

    gamma: float
    lam: float
    gamma_error: float
    lam_error: float
    n: int

    def __str__(self) -> str:
        return (
            f"lambda {self.lam:.4g} +- {self.lam_error:.1g}, gamma {self.gamma:.4g} +- {self.gamma_error:.1g} "
            f"({self.n:,} samples)"
        )


def as_covectors(space: Space, x: Tensor) -> Tensor:
    """dual.norm of samples (b, *event), times the cell volume where the norm is one of functions."""
    return cell_volume(space, tuple(x.shape[1:])) * space.dual.norm(x)


@torch.no_grad()
def scales(space: Space, data: Tensor | Iterable[Tensor], batch: int = 1024) -> Scales:
    """The heuristics of Banach WGAN, section 3.2: lambda = E norm(X), gamma = E dual.norm(X), over the given data.

    `data`: one tensor (n, *event), or batches of them, in the units the critic sees. With lambda = E norm(X) and a
    generator of zeros the optimal critic has slope 1.5: c = 1 + E norm(X) / (2 lambda). (The published code takes gamma
    from the primal filter, E |Lambda^{+s} X|_q; this is the paper's.)

    >>> from banach import Lp
    >>> scales(Lp(2), torch.ones(8, 4)).gamma
    2.0
    """
    sums = torch.zeros(4, dtype=torch.float64)
    n = 0
    for block in data.split(batch) if isinstance(data, Tensor) else data:
        primal, dual = space.norm(block).double().cpu(), as_covectors(space, block).double().cpu()
        sums += torch.stack([primal.sum(), primal.square().sum(), dual.sum(), dual.square().sum()])
        n += len(block)
    if n == 0:
        raise BanachError("scales of no data: give at least one sample")
    lam, lam2, gamma, gamma2 = (sums / n).tolist()
    if not (math.isfinite(lam) and math.isfinite(gamma) and lam > 0 and gamma > 0):
        raise BanachError(f"scales in {space!r}: lambda = {lam}, gamma = {gamma}; is the data all zero, or not finite?")
    pairs = ((gamma, gamma2), (lam, lam2))
    errors = [math.sqrt(max(second - first**2, 0) / max(n - 1, 1)) for first, second in pairs]
    return Scales(gamma, lam, errors[0], errors[1], n)


def drift_for(gamma: float, lam: float) -> float:
    """The weight of E D(real)^2 that outweighs the game nowhere: `DRIFT`, or less where gamma is large.

    f = D / gamma is 1-Lipschitz, so that its values, and the game, are as large as lam = E norm(X), and the drift is as
    large as drift gamma^2 lam^2. Where a norm weighs frequencies very unequally gamma is large: with gamma = 45,000 the
    published weight would be 40,000 times what it is for pictures in L^2, and hold the critic at 0.

    >>> drift_for(27.0, 27.0), f"{drift_for(45_000.0, 0.42):.1e}"
    (1e-05, '2.4e-10')
    """
    return min(DRIFT, DRIFT_SHARE / (gamma**2 * lam))
