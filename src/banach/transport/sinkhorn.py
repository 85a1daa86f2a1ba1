"""Entropic transport in the log domain, its temperature falling: potentials near the best ones, in blocks.

Sums of exponentials are taken relative to their largest term, and both potentials are updated at once and averaged
(Feydy et al. 2019, algorithm 3.4, whose averaged symmetric iterations cost one pass over the distances), so that single
precision serves at any temperature. What comes out bounds nothing by itself; `sinkhorn` turns it into feasible
potentials by the c-transform, and into a plan by keeping the largest entries and repairing the marginals.
"""

import math

import numpy as np
import torch
from torch import Tensor

from banach.transport.couplings import Plan
from banach.transport.ground import Ground
from banach.transport.price import OutOfTime, chosen, in_time, joined, transform
from banach.transport.solution import Problem, Solution, first_solution, lowered, raised

HALVINGS = 2
"""Passes at each temperature before it is halved."""
KEPT = 32
"""Entries kept of each row of the plan, about."""


def entropic(problem: Problem, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Potentials f (n,), g (m,) of the entropic problem at about `temperature`, in the ground's units.

    From the largest distance down the temperature is halved every other pass; the last ten passes are at `temperature`.
    """
    ground, dtype = problem.ground, torch.float32
    a, b = (torch.from_numpy(np.log(one / problem.total)).to(dtype) for one in (problem.a, problem.b))
    f, g = torch.zeros(ground.n, dtype=dtype), torch.zeros(ground.m, dtype=dtype)
    now = max(ground.reach(), temperature)
    steps = [now / 2**k for k in range(math.ceil(math.log2(now / temperature))) for _ in range(HALVINGS)]
    for eps in [*steps, *[temperature] * 10]:
        new_f, new_g = _softened(ground, f, g, a, b, eps, problem.deadline)
        f, g = (f + new_f) / 2, (g + new_g) / 2
    return f.double().numpy(), g.double().numpy()


def _softened(
    ground: Ground, f: Tensor, g: Tensor, a: Tensor, b: Tensor, eps: float, deadline: float
) -> tuple[Tensor, Tensor]:
    """-eps log sum_j exp(log b_j + (g_j - d_ij)/eps) for all i, and the same for all j with f; one pass."""
    out_f = torch.empty_like(f)
    out_g = torch.full_like(g, -math.inf)
    for rows, low in ground.blocks(f.dtype):
        in_time(deadline)
        scaled = low.div_(-eps)
        out_f[rows] = -eps * torch.logsumexp(scaled + (g / eps + b), 1)
        part = torch.logsumexp(scaled.add_((f[rows] / eps + a[rows])[:, None]), 0)
        out_g = torch.logaddexp(out_g, part)
    return out_f, -eps * out_g


def sinkhorn(problem: Problem) -> Solution:
    """The interval of the entropic problem at a temperature of half the gap wanted; it closes only roughly."""
    best = first_solution(problem)
    problem.tell(best.lower, best.upper, 0, 0)
    ground = problem.ground
    temperature = max(0.5 * problem.wanted, 1e-4) * best.upper
    if not temperature > 0:
        return best
    try:
        f, g = entropic(problem, temperature)
        best = lowered(problem, best, _largest(problem, f, g, temperature), 1)
        feasible = transform(ground, g, deadline=problem.deadline)
        best = raised(problem, best, feasible, g, 1)
    except OutOfTime:
        return best
    problem.tell(best.lower, best.upper, 1, 0)
    return best


def _largest(problem: Problem, f: np.ndarray, g: np.ndarray, temperature: float) -> Plan:
    """The largest entries of the plan a_i b_j exp((f_i + g_j - d_ij)/eps)."""
    found = []
    side = torch.from_numpy(g).float()
    for rows, low in problem.ground.blocks(torch.float32):
        in_time(problem.deadline)
        spare = low.sub_(side).sub_(torch.from_numpy(f[rows]).float()[:, None])
        spare.sub_(temperature * torch.from_numpy(np.log(problem.b)).float())
        at = chosen(spare, spare.amin(0), KEPT, math.inf)
        r, j = np.divmod(at, problem.ground.m)
        found.append((r + rows.start, j, spare.view(-1)[torch.from_numpy(at)].double().numpy()))
    i, j, spare = joined(found)
    with np.errstate(over="ignore"):
        mass = problem.a[i] / problem.total * np.exp(np.minimum(-spare / temperature, 50.0))
    return Plan(i, j, mass)
