"""Couplings as lists of moves (i, j, mass): the north-west corner, and the repair of marginals."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Plan:
    """Mass that goes from row i to column j, for each entry; rows and columns may occur many times."""

    i: np.ndarray
    j: np.ndarray
    mass: np.ndarray

    def rows(self, n: int) -> np.ndarray:
        """What leaves each row."""
        return np.bincount(self.i, self.mass, n)

    def columns(self, m: int) -> np.ndarray:
        """What arrives at each column."""
        return np.bincount(self.j, self.mass, m)

    def joined(self, other: "Plan") -> "Plan":
        """Both, one after the other."""
        pairs = ((self.i, other.i), (self.j, other.j), (self.mass, other.mass))
        return Plan(*(np.concatenate(pair) for pair in pairs))


NO_MOVES = Plan(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def north_west(a: np.ndarray, b: np.ndarray) -> Plan:
    """The coupling that fills the table of moves from its upper left corner: at most n + m - 1 moves, none negative.

    Its marginals are a and b to rounding where both have one sum; if not, as much as both have is moved.

    >>> plan = north_west(np.array([2.0, 1.0]), np.array([1.0, 2.0]))
    >>> plan.i.tolist(), plan.j.tolist(), plan.mass.tolist()
    ([0, 0, 1], [0, 1, 1], [1.0, 1.0, 1.0])
    """
    rows, columns = np.flatnonzero(a > 0), np.flatnonzero(b > 0)
    if not len(rows) or not len(columns):
        return NO_MOVES
    plan = _corner(np.cumsum(a[rows]), np.cumsum(b[columns]))
    return Plan(rows[plan.i], columns[plan.j], plan.mass)


def _corner(left: np.ndarray, right: np.ndarray) -> Plan:
    """The north-west corner from the sums of masses up to each row and each column, none empty."""
    ends = np.union1d(left, right)
    ends = ends[ends <= min(left[-1], right[-1])]
    return Plan(np.searchsorted(left, ends), np.searchsorted(right, ends), np.diff(ends, prepend=0.0))


def repaired(plan: Plan, a: np.ndarray, b: np.ndarray) -> Plan:
    """A plan near `plan` with marginals a and b to rounding, and at most n + m - 1 moves more.

    Rows that give too much are scaled down, then columns that get too much; what is missing is moved by the north-west
    corner (Altschuler, Weed, Rigollet 2017, algorithm 2, with a sparse last step).

    >>> plan = repaired(Plan(np.array([0, 1]), np.array([0, 0]), np.array([2.0, 1.0])), np.ones(2), np.ones(2))
    >>> plan.rows(2).tolist(), plan.columns(2).tolist()
    ([1.0, 1.0], [1.0, 1.0])
    """
    keep = plan.mass > 0
    i, j, mass = plan.i[keep], plan.j[keep], plan.mass[keep]
    mass = mass * _shrink(np.bincount(i, mass, len(a)), a)[i]
    mass = mass * _shrink(np.bincount(j, mass, len(b)), b)[j]
    left = np.maximum(a - np.bincount(i, mass, len(a)), 0.0)
    right = np.maximum(b - np.bincount(j, mass, len(b)), 0.0)
    return Plan(i, j, mass).joined(north_west(left, right))


def _shrink(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.divide(wanted, found, out=np.ones(len(found)), where=found > wanted)


def misplaced(plan: Plan, a: np.ndarray, b: np.ndarray) -> float:
    """(|row errors|_1 + |column errors|_1)/2: the mass that must still be moved before the marginals are a and b."""
    rows, columns = np.abs(plan.rows(len(a)) - a), np.abs(plan.columns(len(b)) - b)
    return (math.fsum(rows) + math.fsum(columns)) / 2


def within(group: np.ndarray, mass: np.ndarray, flow_group: np.ndarray, flow: np.ndarray) -> Plan:
    """Flows shared out to the members of their groups: a plan from members to flows, by the north-west corner in each.

    `group` and `mass` are the members' (n,), `flow_group` and `flow` the flows' (k,); each group has as much mass in
    its members as in its flows. Moves between different groups, which only rounding makes, are dropped.
    """
    members, flows = np.argsort(group, kind="stable"), np.argsort(flow_group, kind="stable")
    if not len(members) or not len(flows):
        return NO_MOVES
    groups = np.arange(max(group.max(), flow_group.max()) + 2)
    left, right = (np.concatenate([[0.0], np.cumsum(one)]) for one in (mass[members], flow[flows]))
    begins, flows_begin = (
        sums[np.searchsorted(of, groups)] for sums, of in ((left, group[members]), (right, flow_group[flows]))
    )
    # Where a group ends for its members it ends for its flows: else what rounding makes of one group moves all others.
    of, widths, flow_widths = flow_group[flows], np.diff(begins), np.diff(flows_begin)
    ratio = np.divide(widths, flow_widths, out=np.zeros(len(widths)), where=flow_widths > 0)
    within_it = begins[of] + (right[1:] - flows_begin[of]) * ratio[of]
    last = (right[1:] == flows_begin[of + 1]) & (flow_widths[of] > 0)
    right = np.where(last, begins[of + 1], np.minimum(within_it, begins[of + 1]))
    plan = _corner(left[1:], np.maximum.accumulate(right))
    i, j = members[plan.i], flows[plan.j]
    own = group[i] == flow_group[j]
    return Plan(i[own], j[own], plan.mass[own])
