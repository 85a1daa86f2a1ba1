"""gamma and lambda from data: the scale of a critic's output, and the weight of its penalty, in a given space."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from banach.errors import BanachError
from banach.spaces import Space


@dataclass(frozen=True)
class Scales:
    """gamma = E dual.norm(X) and lam = E norm(X), with their standard errors over n samples."""

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
        primal, dual = space.norm(block).double().cpu(), space.dual.norm(block).double().cpu()
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
