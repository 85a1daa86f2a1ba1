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
from banach.transport.pricing import OutOfTime, chosen, in_time, joined, transform
from banach.transport.solution import Problem, Solution, first_solution, lowered, raised

HALVINGS = 2
"""Passes at each temperature before it is halved."""
ROUNDS = 8
WARM = 0.1
"""The first temperature, in halves of the upper bound: colder ones need more passes than they bring."""
KEPT = 32
"""Number of entries kept of each row of the plan, about."""


def entropic(
    problem: Problem, temperature: float, near: tuple[np.ndarray, np.ndarray] | None = None, passes: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Potentials f (n,), g (m,) of the entropic problem at about `temperature`, in the ground's units.

    From the largest distance down the temperature is halved every other pass, or begun with potentials `near` the
    solution; the last `passes` are at `temperature`.
    """
    ground, dtype = problem.ground, torch.float32
    a, b = (torch.from_numpy(np.log(one / problem.total)).to(dtype) for one in (problem.a, problem.b))
    if near is None:
        f, g = torch.zeros(ground.n, dtype=dtype), torch.zeros(ground.m, dtype=dtype)
        now = max(ground.reach(), temperature)
        steps = [now / 2**k for k in range(math.ceil(math.log2(now / temperature))) for _ in range(HALVINGS)]
    else:
        f, g = (torch.from_numpy(one).to(dtype) for one in near)
        steps = []
    for eps in [*steps, *[temperature] * passes]:
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
    """The interval of the entropic problem at a warm temperature, and at lower ones until it closes.

    Each further round halves the temperature and takes twice as many passes. It ends where the gap wanted is reached,
    the time is over, or a round has closed next to nothing of the gap: it closes only roughly.
    """
    best = first_solution(problem)
    problem.tell(best.lower, best.upper, 0, 0)
    temperature, passes = 0.5 * max(problem.wanted, WARM) * best.upper, 10
    near: tuple[np.ndarray, np.ndarray] | None = None
    for turn in range(1, ROUNDS + 1):
        before = problem.gap(best.lower, best.upper)
        if before <= problem.wanted or not temperature > 0:
            break
        try:
            near = entropic(problem, temperature, near, passes)
            best = lowered(problem, best, _largest(problem, *near, temperature), turn)
            best = raised(problem, best, transform(problem.ground, near[1], deadline=problem.deadline), near[1], turn)
        except OutOfTime:
            break
        problem.tell(best.lower, best.upper, turn, 0)
        if problem.gap(best.lower, best.upper) > 0.97 * before:
            break
        temperature, passes = temperature / 2, 2 * passes
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
