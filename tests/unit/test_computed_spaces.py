"""Dual norms that are computed, against closed forms, linear programmes and other solvers; and what they refuse."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.optimize
import torch

from banach import Lp, Sobolev, parse
from banach.operators import Scale
from banach.slopes import gradient
from banach.spaces import (
    AccuracyWarning,
    Dual,
    InfConvolution,
    Intersection,
    NormOnly,
    TotalVariation,
    Weighted,
    warm_starts,
)
from banach.specs import SpecError

INF = math.inf


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def covectors(*shape, n=6):
    return torch.randn(n, *shape, generator=rng(), dtype=torch.float64)


def test_an_intersection_of_two_multipliers_is_a_multiplier():
    """sqrt(|x|_2^2 + |Bessel(1) x|_2^2) has the multiplier 1 + (1 + 5 xi^2); its dual the inverse of it."""
    space = Intersection(2, Lp(2), Sobolev(s=1))
    u = covectors(2, 9)
    xi = torch.arange(5, dtype=torch.float64) / 4
    coefficients = torch.fft.rfft(u).abs().square() / (2 + 5 * xi.square())
    exact = (coefficients * torch.tensor([1.0, 2, 2, 2, 2]) / 9).flatten(1).sum(1).sqrt()
    torch.testing.assert_close(space.dual.norm(u), exact, rtol=1e-6, atol=0)


def test_the_sum_of_l1_and_linf_is_a_sorted_sum():
    """The K-functional of l^1 and l^inf: inf |v|_1 + t |w|_inf is the sum of the t largest entries."""
    u = covectors(12)
    for t in (1, 3, 7):
        space = InfConvolution(1, Lp(1), Weighted(Scale(t), Lp(INF)))
        exact = u.abs().sort(1, descending=True).values[:, :t].sum(1)
        torch.testing.assert_close(space.norm(u), exact, rtol=1e-6, atol=0)


def flows(u, weight, p):
    """min max(|u - D* z|_q, |z|_inf / weight) over flows z on a line, for p in {1, inf}, by a linear programme."""
    n = len(u)
    D = np.diff(np.eye(n), axis=0)
    assert p == 1  # q = inf
    # variables z (n - 1), t: minimise t with |u - D^T z| <= t in each entry and |z| <= weight t
    A = np.block([
        [-D.T, -np.ones((n, 1))], [D.T, -np.ones((n, 1))],
        [np.eye(n - 1), -weight * np.ones((n - 1, 1))], [-np.eye(n - 1), -weight * np.ones((n - 1, 1))],
    ])  # fmt: skip
    b = np.concatenate([-u, u, np.zeros(2 * (n - 1))])
    c = np.zeros(n)
    c[-1] = 1
    return scipy.optimize.linprog(c, A, b, bounds=[(None, None)] * (n - 1) + [(0, None)]).fun


@pytest.mark.parametrize("weight", [0.2, 1.0, 5.0])
def test_total_variation_against_a_linear_programme(weight):
    space = TotalVariation(weight, p=1)
    u = covectors(1, 9)
    exact = torch.tensor([flows(one.numpy().ravel(), weight, 1) for one in u], dtype=torch.float64)
    torch.testing.assert_close(space.dual.norm(u), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("spec", ["Intersection(inf, Lp(1), Lp(inf))", "Intersection(1, Lp(1), Lp(inf))"])
def test_polyhedral_intersections_against_linear_programmes(spec):
    """max <u, x> over a polytope: x = a - b with a, b >= 0."""
    space, n = parse(spec, "space"), 6
    u = covectors(n)
    eye, ones, zero = np.eye(n), np.ones((1, n)), np.zeros((n, 1))
    for one, found in zip(u.numpy(), space.dual.norm(u).tolist(), strict=True):
        if space.p == INF:  # sum a + b <= 1, each at most 1
            A, b = np.vstack([np.hstack([ones, ones]), np.hstack([eye, eye])]), np.ones(n + 1)
            c = np.concatenate([one, -one])
        else:  # sum a + b + t <= 1, each at most t
            A = np.vstack([np.hstack([ones, ones, [[1.0]]]), np.hstack([eye, eye, zero - 1])])
            b, c = np.concatenate([[1.0], np.zeros(n)]), np.concatenate([one, -one, [0.0]])
        exact = -scipy.optimize.linprog(-c, A, b, bounds=(0, None)).fun
        assert found == pytest.approx(exact, rel=1e-6)


def test_smooth_intersections_against_a_general_solver():
    space = Intersection(1.5, Lp(3), Weighted(Scale((1.0, 2.0, 0.5, 1.5)), Lp(2)))
    for one, found in zip(covectors(4), space.dual.norm(covectors(4)).tolist(), strict=True):

        def ratio(x, u):
            return -u @ x / max(space.norm(torch.tensor(x)[None]).item(), 1e-12)

        best = scipy.optimize.minimize(
            ratio, one.numpy(), (one.numpy(),), method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000},
        )  # fmt: skip
        assert found == pytest.approx(-best.fun, rel=1e-5)


@dataclass(frozen=True)
class Smoothed(NormOnly):
    """sqrt(|x|_2^2 + |x|_4^2): a user's norm, given as a function and nothing else."""

    def norm(self, x):
        return (Lp(2).norm(x).square() + Lp(4).norm(x).square()).clamp_min(1e-300).sqrt() * (
            x.flatten(1).abs().amax(1) > 0
        )


def test_a_norm_given_as_a_function():
    """Its dual is that of the intersection it is; found by gradients alone."""
    u = covectors(3, 5)
    same = Intersection(2, Lp(2), Lp(4)).dual.norm(u)
    torch.testing.assert_close(Smoothed().dual.norm(u), same, rtol=1e-5, atol=0)
    assert Smoothed().dual == Dual(Smoothed())
    assert Smoothed().dual.dual == Smoothed()


SPECS = [
    "Intersection(2, Lp(2), Sobolev(s=1))",
    "Intersection(1, Lp(1), Sobolev(s=-1))",
    "TotalVariation(weight=0.1)",
    "TotalVariation(weight=0.5, p=3)",
]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounds_enclose_and_are_as_near_as_stated(spec, dtype):
    space = parse(spec, "space")
    u = covectors(1, 8, 8).to(dtype)
    found = space.dual.enclosure(u)
    assert (found.gap <= space.dual.tolerance(dtype)).all()
    assert space.dual.tolerance(dtype) == {torch.float32: 1e-3, torch.float64: 1e-7}[dtype]
    exact = space.dual.norm(u.double())
    slack = 1e-5 if dtype == torch.float32 else 1e-12
    assert (found.lower <= exact * (1 + slack)).all()
    assert (found.upper >= exact * (1 - slack)).all()
    torch.testing.assert_close(space.norm(found.maximiser), torch.ones(6, dtype=dtype), rtol=1e-5, atol=0)


@pytest.mark.parametrize("spec", SPECS)
def test_zero_and_scales(spec):
    space = parse(spec, "space")
    u = covectors(1, 4, 4)
    u[2] = 0
    u.requires_grad_()
    value = space.dual.norm(u)
    (slope,) = torch.autograd.grad(value.sum(), u)
    assert value[2] == 0
    assert (slope[2] == 0).all()
    assert slope.isfinite().all()
    for scale in (1e-30, 1e30):
        torch.testing.assert_close(space.dual.norm(scale * u) / scale, value, rtol=1e-6, atol=0)
    broken = u.detach().clone()
    broken[0, 0, 0, 0] = math.nan
    found = space.dual.norm(broken)
    assert found[0].isnan()
    assert found[1:].isfinite().all()


def test_a_penalty_in_a_computed_norm_trains():
    """Double backward through the computed dual norm is Danskin's: the gradient of the slope is that of pair(u, x)."""
    space = TotalVariation(weight=0.1)
    torch.manual_seed(0)
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 8), torch.nn.Softplus(), torch.nn.Linear(8, 1))
    critic.double()
    x = torch.randn(4, 1, 6, 6, generator=rng(), dtype=torch.float64)
    cost = (space.dual.norm(gradient(critic, x, create_graph=True)) - 1).square().mean()
    found = torch.autograd.grad(cost, list(critic.parameters()), allow_unused=True)
    weight, step = critic[1].weight, 1e-5

    def at(shift):
        with torch.no_grad():
            weight[0, 0] += shift
        value = (space.dual.norm(gradient(critic, x)) - 1).square().mean().item()
        with torch.no_grad():
            weight[0, 0] -= shift
        return value

    assert found[0][0, 0].item() == pytest.approx((at(step) - at(-step)) / (2 * step), rel=1e-2, abs=1e-6)


def test_a_warm_start_is_not_longer_and_changes_nothing_else():
    space = TotalVariation(weight=1, tol=1e-3)
    u = covectors(1, 8, 8)
    cold = space.dual.enclosure(u)
    with warm_starts({}) as memory:
        space.dual.enclosure(u)
    assert memory
    before = {name: one.clone() for name, one in memory.items()}
    with warm_starts(memory) as after:
        warm = space.dual.enclosure(u)
    assert warm.steps < cold.steps
    torch.testing.assert_close(warm.lower, cold.lower, rtol=2e-3, atol=0)
    assert all(torch.equal(before[name], one) for name, one in memory.items()), "what is given stays as it is"
    assert after.keys() == memory.keys()
    with warm_starts(memory):
        assert torch.equal(space.dual.enclosure(u).lower, warm.lower), "the same memory gives the same numbers"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("Intersection(0.5, Lp(2), Lp(1))", "p = 0.5"),
        ("Intersection(2, Lp(2), MeanFree(2))", "ignores a part of the data"),
        ("Intersection(2, Lp(2), 3)", "3 is no space"),
        ("Intersection(2, Lp(2), Lp(1), tol=2)", "tol = 2; choose a relative accuracy"),
        ("InfConvolution(1, Lp(2), TotalVariation())", "is itself computed; give a space with a formula"),
        ("TotalVariation(weight=0)", "weight = 0; choose a positive number"),
        ("Dual(Lp(2))", "that space knows its dual"),
    ],
)
def test_refusals(spec, said):
    with pytest.raises(SpecError, match=said.replace("(", r"\(").replace(".", r"\.")):
        parse(spec, "space")


def test_data_without_neighbours_are_refused():
    for shape in ((5,), (2, 1), (1, 1, 1)):
        with pytest.raises(ValueError, match="neighbours"):
            TotalVariation().norm(torch.zeros(2, *shape))


def test_too_fine_a_tolerance_is_told(monkeypatch):
    monkeypatch.setattr("banach.spaces.computed.STEPS", 3)
    with pytest.warns(AccuracyWarning, match="is not known to tol=1e-12"):
        TotalVariation(weight=1, p=1, tol=1e-12).dual.norm(covectors(1, 9))
