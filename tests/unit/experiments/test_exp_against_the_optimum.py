"""The least W1 of free atoms: closed forms on the line, SciPy's minimiser for medians, and rounds that only gain."""

import numpy as np
import pytest
import scipy.optimize
import torch

from banach.experiments import against_the_optimum as of


def blocks(k: int, m: int) -> np.ndarray:
    """k blocks of m points on a line, in any order; the least W1 has an atom at the median of each block."""
    rng = np.random.default_rng(3)
    points = np.sort(rng.normal(size=k * m))
    return np.stack([points, np.zeros(k * m)], 1)


def test_on_the_line_the_least_w1_is_that_of_the_blocks_medians():
    points = blocks(4, 5)
    start = points[[0, 3, 11, 17]]
    atoms, value = of.alternated(start, points[np.random.default_rng(0).permutation(20)], 20)
    medians = points[:, 0].reshape(4, 5)[:, 2]
    assert np.sort(atoms[:, 0]) == pytest.approx(medians, abs=1e-6)
    assert value == pytest.approx(np.abs(points[:, 0].reshape(4, 5) - medians[:, None]).mean(), abs=1e-9)
    means = points[:, 0].reshape(4, 5).mean(1)  # a k-means step is another thing, and worse
    assert np.abs(points[:, 0].reshape(4, 5) - means[:, None]).mean() > value + 1e-4


def test_medians_are_those_that_scipy_finds():
    rng = np.random.default_rng(1)
    points, plan = rng.normal(size=(12, 2)), rng.random((3, 12))
    found = of.medians(plan, points, rng.normal(size=(3, 2)))
    for at in range(3):

        def cost(a: np.ndarray, weights: np.ndarray = plan[at]) -> float:
            return float(weights @ np.linalg.norm(points - a, axis=1))

        best = scipy.optimize.minimize(cost, points.mean(0), method="Nelder-Mead", options={"xatol": 1e-9})
        assert cost(found[at]) <= best.fun + 1e-7


def test_a_median_may_be_one_of_the_points():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    plan = np.array([[5.0, 1.0, 1.0]])
    assert of.medians(plan, points, np.array([[0.5, 0.5]]), rounds=3) == pytest.approx(np.zeros((1, 2)), abs=1e-12)


def test_no_round_loses_and_the_plan_is_one():
    rng = np.random.default_rng(2)
    points, atoms = rng.normal(size=(24, 2)), rng.normal(size=(6, 2))
    value, plan = of.w1(atoms, points)
    assert plan.sum(1) == pytest.approx(np.full(6, 1 / 6))
    assert plan.sum(0) == pytest.approx(np.full(24, 1 / 24))
    assert (plan * np.linalg.norm(atoms[:, None] - points, axis=-1)).sum() == pytest.approx(value)
    assert of.alternated(atoms, points, 5)[1] < value
    best, values = of.least(points, [atoms, points[:6]], 5)
    assert of.w1(best, points)[0] == pytest.approx(min(values))


def test_the_exact_critic_goes_down_to_a_local_least_w1():
    sizes = of.Sizes(points=32, atoms=4, steps=100, starts=2, rounds=10, width=8)
    found = of.exact_run(0, sizes)
    lowest = of.least_run(0, sizes, {"here": found["atoms"]})
    assert of.left_of(found["w1"], lowest["from"]["here"]) < 0.1  # a hundred steps come so near
    assert lowest["value"] == min(lowest["from"].values())
    assert of.left_of([3.0, 2.0], 1.0) == 0.5


def test_atoms_come_equally_often():
    atoms = of.Atoms(of.begun(3, 0))
    made = atoms(torch.zeros(6, 1))
    assert torch.equal(made[:3], made[3:])
    assert torch.equal(made[:3], of.begun(3, 0))
