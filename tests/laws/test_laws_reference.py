"""Dual norms against solvers that know nothing of duality: linear programmes, and smooth convex minimisation."""

import math

import numpy as np
import pytest
import scipy.optimize
import torch

from banach import Space, pair
from banach.spaces import SPACES, Weighted
from banach.testing.spaces import vectors

SHAPES = ((1, 5), (1, 4, 3), (3, 2), (3,), (3, 2, 2), (1, 2, 2))


def matrix_of(space, shape):
    """The matrix of A where the norm is |A x|_p, by its action on unit vectors."""
    n = math.prod(shape)
    units = torch.eye(n, dtype=torch.float64).view(n, *shape)
    images = space.A(units) if isinstance(space, Weighted) else units
    return images.reshape(n, n).T.numpy()


def by_linear_programme(A, u, p):
    """max u.x subject to |A x|_p <= 1, for p = 1 or inf."""
    n = len(u)
    if p == math.inf:
        constraints, bounds = np.vstack([A, -A]), np.ones(2 * n)
        found = scipy.optimize.linprog(-u, A_ub=constraints, b_ub=bounds, bounds=(None, None))
    else:  # |A x| <= t in each entry, sum t <= 1
        eye = np.eye(n)
        constraints = np.block([[A, -eye], [-A, -eye], [np.zeros((1, n)), np.ones((1, n))]])
        bounds = np.concatenate([np.zeros(2 * n), [1.0]])
        found = scipy.optimize.linprog(
            np.concatenate([-u, np.zeros(n)]), A_ub=constraints, b_ub=bounds, bounds=(None, None)
        )
    assert found.success
    return -found.fun


def by_minimisation(A, u, p):
    """1 / min |A x|_p over u.x = 1, for 1 < p < inf."""
    start = u / (u @ u)
    basis = scipy.linalg.null_space(u[None])

    def power(z):
        y = A @ (start + basis @ z)
        return (np.abs(y) ** p).sum(), basis.T @ (A.T @ (p * np.sign(y) * np.abs(y) ** (p - 1)))

    found = scipy.optimize.minimize(
        power, np.zeros(basis.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 2000}
    )
    return found.fun ** (-1 / p)


def exponent_of(space):
    return space.B.p if isinstance(space, Weighted) else space.p


CASES = [
    spec
    for spec in (
        *SPACES.examples(),
        "Sobolev(s=1, p=1, boundary='even')",
        "Sobolev(s=1, p=inf, length=3)",
        "Weighted(Matrix(((1, 2, 0), (3, 4, 1), (0, 1, 1))), Lp(1))",
        "Weighted(Compose(Scale((1, 2, 0.5)), Bessel(s=-1)), Lp(inf))",
    )
    if spec.startswith(("Lp", "Sobolev", "Weighted")) and "homogeneous" not in spec
]


@pytest.mark.parametrize("spec", CASES)
def test_dual_norms(spec):
    space = SPACES.parse(spec)
    p = exponent_of(space)
    tried = 0
    for shape in SHAPES:
        u, _ = vectors(shape, torch.Generator().manual_seed(1))
        try:
            A = matrix_of(space, shape)
        except ValueError:
            continue
        tried += 1
        solve = by_linear_programme if p in (1, math.inf) else by_minimisation
        expected = [solve(A, one.numpy().ravel(), p) for one in u[:4]]
        np.testing.assert_allclose(space.dual.norm(u[:4]), expected, rtol=1e-5)
    assert tried >= 2


@pytest.mark.parametrize("p", [1, 1.5, 3, math.inf])
def test_duals_of_mean_free_spaces(p):
    """By Lagrange's multiplier: the constraint that x has mean 0 frees a constant in u."""
    space = SPACES.parse(f"MeanFree({'inf' if p == math.inf else p})")
    u, _ = vectors((1, 5), torch.Generator().manual_seed(1))
    basis = scipy.linalg.null_space(np.ones((1, 5)))
    for one in u[:4]:
        v = one.numpy().ravel()
        best = 0.0
        if p in (1, math.inf):
            extra = np.ones((1, 5))
            A = np.eye(5)
            if p == math.inf:
                found = scipy.optimize.linprog(-v, A_eq=extra, b_eq=[0], bounds=(-1, 1))
            else:
                rows = np.block([[A, -A], [-A, -A], [np.zeros((1, 5)), np.ones((1, 5))]])
                found = scipy.optimize.linprog(
                    np.concatenate([-v, np.zeros(5)]),
                    A_ub=rows,
                    b_ub=[*np.zeros(10), 1.0],
                    A_eq=np.hstack([extra, np.zeros((1, 5))]),
                    b_eq=[0],
                    bounds=(None, None),
                )
            best = -found.fun
        else:
            best = by_minimisation(basis, basis.T @ v, p)
        assert float(space.dual.norm(one[None])) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("spec", [spec for spec in SPACES.examples() if spec.startswith("Product")])
def test_duals_of_products(spec):
    """By definition: over unit vectors of the parts, put together with weights of p-norm 1."""
    space = SPACES.parse(spec)
    assert isinstance(space, Space)
    shape = (26,) if "(10,)" in spec else (3, 4, 3)
    rng = torch.Generator().manual_seed(2)
    u = torch.randn(1, *shape, generator=rng, dtype=torch.float64)
    norms = torch.stack([part.dual.norm(block) for part, block in zip(space.parts, space.split(u), strict=True)], 1)
    p = space.p
    angles = np.linspace(0, np.pi / 2, 20001)
    weights = np.stack([np.cos(angles), np.sin(angles)], 1)
    weights = weights / np.linalg.norm(weights, p, axis=1, keepdims=True)
    assert float(space.dual.norm(u)) == pytest.approx(float((weights @ norms[0].numpy()).max()), rel=1e-6)
    x = torch.randn(100, *shape, generator=rng, dtype=torch.float64)
    assert (pair(u.expand_as(x), x) <= space.norm(x) * space.dual.norm(u) * (1 + 1e-12)).all()
