"""Sinkhorn in two precisions: against an independent iteration, and what counts as of use."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from banach.experiments import critic_against_sinkhorn as one
from banach.experiments.experiment import FAILS, HOLDS, Outcome


@pytest.fixture(scope="module")
def costs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30, 2))
    return np.linalg.norm(x[:, None] - y, axis=2)


def reference(costs: np.ndarray, reg: float) -> float:
    """The cost of the entropic plan of equal masses, by 3,000 iterations in the log domain."""
    n, m = costs.shape
    kernel = -costs / costs.max() / reg
    u, v = np.zeros(n), np.zeros(m)
    for _ in range(3000):
        u = -math.log(n) - logsumexp(kernel + v, axis=1)
        v = -math.log(m) - logsumexp(kernel + u[:, None], axis=0)
    return float((np.exp(kernel + u[:, None] + v) * costs).sum())


@pytest.mark.parametrize("solver", one.SOLVERS)
def test_all_solvers_agree_where_the_regularisation_is_large(costs, solver):
    found = one.sinkhorn(costs, 0.1, *one.SOLVERS[solver])
    assert found["cost"] == pytest.approx(reference(costs, 0.1), rel=1e-3)
    assert found["off"] < 1e-3


def test_single_precision_underflows_where_the_log_domain_does_not(costs):
    far = np.concatenate([costs, costs + 5 * costs.max()])  # half of the rows are far from every column
    plain = one.sinkhorn(far, 3e-3, np.float32, "sinkhorn")
    log = one.sinkhorn(far, 3e-3, np.float64, "sinkhorn_log")
    line = {"lower": log["cost"] * 0.999, "upper": log["cost"]}
    assert not one.useful(plain, line)
    assert log["off"] < 0.05


def test_what_is_of_use():
    line = {"lower": 1.0, "upper": 1.01}
    assert one.useful({"cost": 1.05, "off": 0.01}, line)
    assert not one.useful({"cost": 1.07, "off": 0.01}, line)
    assert not one.useful({"cost": 0.94, "off": 0.01}, line)
    assert not one.useful({"cost": 1.0, "off": 0.06}, line)
    assert not one.useful({"cost": "nan", "off": "nan"}, line)


def line(step: int, single: int, double: int, gap: float | None = None):
    """A measurement where each precision is of use down to so many of the regularisations."""
    w1 = 1.0 + step

    def down_to(n: int):
        return [{"cost": w1 if at < n else math.nan, "off": 0.0} for at in range(len(one.REGULARISED))]

    kept = {"single": single, "double": double, "single, log domain": 5, "double, log domain": 5}
    said = {"lower": w1, "upper": w1, "gap": gap or w1 + 1, "per slope": 0.9}
    return {"step": step, **said, "sinkhorn": {name: down_to(n) for name, n in kept.items()}}


def test_the_rule():
    assert one.least_useful(line(0, 2, 4), "single") == 3e-2
    assert one.least_useful(line(0, 0, 4), "single") == math.inf
    good = [[line(step, 2, 4) for step in range(4)]]
    assert Outcome({}, {}, one.checks(good)).verdict == HOLDS
    assert Outcome({}, {}, one.checks([[line(step, 4, 4) for step in range(4)]])).verdict == FAILS
    assert Outcome({}, {}, one.checks([[line(step, 5, 5) for step in range(4)]])).verdict == FAILS
    falling = [[line(step, 2, 4, gap=9.0 - step) for step in range(4)]]
    assert Outcome({}, {}, one.checks(falling)).verdict == FAILS


def test_a_gap_that_falls_as_w1_does_follows_it():
    line = [{"gap": gap, "upper": upper} for gap, upper in ((3.0, 2.0), (2.0, 1.5), (0.5, 1.0), (0.6, 1.2))]
    assert one.followed_by(line) == pytest.approx(1)
    assert one.followed_by([{**at, "gap": -at["gap"]} for at in line]) == pytest.approx(-1)
    assert math.isnan(one.followed_by(line[:2]))
