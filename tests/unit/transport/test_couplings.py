"""Couplings: the north-west corner, repair, and masses shared out within groups."""

import numpy as np
import pytest

from banach.transport.couplings import Plan, misplaced, north_west, repaired, within


@pytest.mark.parametrize("seed", range(20))
def test_north_west_has_the_marginals(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 30, 2)
    a, b = (rng.integers(0, 5, k).astype(float) for k in (n, m))
    a[0] += max(0, b.sum() - a.sum())
    b[-1] += max(0, a.sum() - b.sum())
    plan = north_west(a, b)
    assert (plan.mass > 0).all()
    assert len(plan.mass) <= n + m - 1
    assert (plan.rows(n) == a).all()
    assert (plan.columns(m) == b).all()
    assert (np.diff(plan.i) >= 0).all()
    assert (np.diff(plan.j) >= 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_repair_from_anything(seed):
    rng = np.random.default_rng(seed)
    n, m, k = 9, 7, 25
    a, b = 10 ** rng.uniform(-6, 0, n), 10 ** rng.uniform(-6, 0, m)
    a, b = a / a.sum(), b / b.sum()
    wild = Plan(rng.integers(n, size=k), rng.integers(m, size=k), rng.normal(size=k) * rng.choice([0, 0.1, 1]))
    plan = repaired(wild, a, b)
    assert (plan.mass >= 0).all()
    assert misplaced(plan, a, b) < 1e-15
    assert len(plan.mass) <= k + n + m - 1


def test_repair_leaves_a_good_plan_alone():
    plan = north_west(np.array([2.0, 3.0]), np.array([1.0, 4.0]))
    same = repaired(plan, np.array([2.0, 3.0]), np.array([1.0, 4.0]))
    assert (same.i.tolist(), same.j.tolist(), same.mass.tolist()) == (
        plan.i.tolist(), plan.j.tolist(), plan.mass.tolist()
    )  # fmt: skip


def test_misplaced_mass_counts_each_error_once():
    plan = Plan(np.array([0, 1]), np.array([0, 0]), np.array([0.5, 0.5]))
    assert misplaced(plan, np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0.5


def test_flows_are_shared_out_within_groups():
    group, mass = np.array([1, 0, 1]), np.array([1.0, 2.0, 3.0])
    plan = within(group, mass, np.array([0, 1, 1]), np.array([2.0, 2.5, 1.5]))
    assert plan.rows(3).tolist() == [1.0, 2.0, 3.0]
    assert plan.columns(3).tolist() == [2.0, 2.5, 1.5]
    assert all(group[i] == [0, 1, 1][k] for i, k in zip(plan.i, plan.j, strict=True))


def test_what_many_groups_hold_is_shared_out_whole():
    """Sums up to a group are rounded: what that moves must not add up over the groups (60,000 of them lost 3e-4)."""
    rng = np.random.default_rng(0)
    n = 20_000
    mass = rng.random(3 * n)
    mass /= mass.sum()
    group = rng.permutation(np.repeat(np.arange(n), 3))
    flow_group = rng.permutation(np.repeat(np.arange(n), 5))
    flow = np.bincount(group, mass)[flow_group] / 5
    flow[flow_group == 7] *= 1 - 1e-6  # and what one group lacks is its own loss
    plan = within(group, mass, flow_group, flow)
    assert (group[plan.i] == flow_group[plan.j]).all()
    lost = np.abs(plan.rows(3 * n) - mass)
    assert lost.sum() < 1e-11
    plan = within(group, mass, np.concatenate([flow_group, [n]]), np.concatenate([flow, [0.1]]))
    assert np.abs(plan.rows(3 * n) - mass).sum() < 1e-11
    without = flow_group != 9
    plan = within(group, mass, flow_group[without], flow[without])
    assert np.abs(plan.rows(3 * n) - np.where(group == 9, 0, mass)).sum() < 1e-11
