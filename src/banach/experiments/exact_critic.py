"""The optimal critic of Lipschitz GANs (eq. 10) on finite samples: a convex programme, solved with a proven gap."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.errors import BanachError
from banach.objectives import Objective

_REACH = 40.0
"""Values of f, and k, are sought up to here."""

_STARTS = np.linspace(-6.0, 6.0, 17)
_ROUNDS = 60


@dataclass(frozen=True, eq=False)
class ExactCritic:
    """f at the fakes (n,) and at the reals (m,), its Lipschitz constant k, J there, and a lower bound of all J."""

    fakes: np.ndarray
    reals: np.ndarray
    k: float
    value: float
    lower: float

    def bounding(self, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each fake the real with the steepest rise to it, and that rise as a share of k."""
        rises = (self.reals[None] - self.fakes[:, None]) / d
        return rises.argmax(1), rises.max(1) / self.k


def exact_critic(of: Objective, d: np.ndarray, weight: float, tolerance: float = 1e-5) -> ExactCritic:
    """The minimum of J = mean phi(f_i) + mean varphi(g_j) + weight k^2, where g_j - f_i <= k d_ij.

    `d` (n, m) are the distances from fakes to reals, none of them 0. phi rises and varphi falls, so only rises from a
    fake to a real need a bound: any solution can be made k-Lipschitz on all points without raising J (lower each fake
    to max_j g_j - k d_ij, then raise each real to min_i f_i + k d_ij). Kelley's cutting planes: with tangents in place
    of phi, varphi and k^2 this is a linear programme, whose value is a lower bound and whose solution satisfies the
    constraints; tangents are added there until its J is within `tolerance` max(1, |J|) of the bound.

    BanachError where that is not reached.
    """
    n, m = d.shape
    shares = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m), [weight]])

    def functions(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = (of.phi, z[:n]), (of.varphi, z[n:-1]), (torch.square, z[-1:])
        values, slopes = zip(*(_differentiated(h, t) for h, t in parts), strict=True)
        return np.concatenate(values), np.concatenate(slopes)

    programme = _Programme(d, shares)
    for t in _STARTS:
        at = np.full(n + m + 1, t)
        at[-1] = t - _STARTS[0]
        programme.cut(at, *functions(at))
    best, best_z, lower = np.inf, np.zeros(n + m + 1), -np.inf
    for _ in range(_ROUNDS):
        lower, z = programme.solve()
        z[-1] = max(0.0, ((z[n:-1][None] - z[:n][:, None]) / d).max())
        values, slopes = functions(z)
        if shares @ values < best:
            best, best_z = float(shares @ values), z
        if best - lower <= tolerance * max(1.0, abs(best)):
            return ExactCritic(best_z[:n], best_z[n:-1], float(best_z[-1]), best, lower)
        programme.cut(z, values, slopes)
    raise BanachError(f"the optimal critic of {of!r} was enclosed to {best - lower:.2g} only; ask for no less")


def _differentiated(h: Callable[[Tensor], Tensor], t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """h and h' at t."""
    at = torch.from_numpy(t.copy()).requires_grad_()
    values = h(at)
    (slopes,) = torch.autograd.grad(values.sum(), at)
    return values.detach().numpy(), slopes.numpy()


class _Programme:
    """The linear programme over z = (f, g, k) and e, one number for each of z: least shares.e, e above all tangents."""

    def __init__(self, d: np.ndarray, shares: np.ndarray):
        self.optimize, self.sparse = _scipy()
        n, m = d.shape
        self.size = n + m + 1
        self.costs = np.concatenate([np.zeros(self.size), shares])
        self.bounds = [(-_REACH, _REACH)] * (n + m) + [(0.0, _REACH)] + [(None, None)] * self.size
        row = np.arange(n * m)
        i, j = np.divmod(row, m)
        entries = np.concatenate([-np.ones(n * m), np.ones(n * m), -d.ravel()])
        places = (np.tile(row, 3), np.concatenate([i, n + j, np.full(n * m, n + m)]))
        self.rows = [self.sparse.csr_matrix((entries, places), shape=(n * m, 2 * self.size))]
        self.limits = [np.zeros(n * m)]

    def cut(self, at: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> None:
        """Put e above the tangents at `at`: h + h' (z - at) <= e."""
        tangents = self.sparse.hstack([self.sparse.diags(slopes), -self.sparse.identity(self.size)])
        self.rows.append(tangents.tocsr())
        self.limits.append(slopes * at - values)

    def solve(self) -> tuple[float, np.ndarray]:
        """The least value and a z that has it."""
        found = self.optimize.linprog(
            self.costs, self.sparse.vstack(self.rows), np.concatenate(self.limits), bounds=self.bounds, method="highs"
        )
        if found.status:
            raise BanachError(f"a linear programme for the optimal critic failed: {found.message}")
        return float(found.fun), found.x[: self.size].copy()


def _scipy() -> tuple[Any, Any]:
    import scipy.optimize
    import scipy.sparse

    return scipy.optimize, scipy.sparse
