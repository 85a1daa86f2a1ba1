"""Small transport problems solved exactly, in rational numbers, by successive shortest paths."""

from fractions import Fraction

import numpy as np


def exact_transport(cost: np.ndarray, a: list[Fraction], b: list[Fraction]) -> Fraction:
    """min sum P_ij cost_ij over P >= 0 with marginals a, b of one sum; costs are taken as the rationals they are."""
    n, m = len(a), len(b)
    c = [[Fraction(float(cost[i, j])) for j in range(m)] for i in range(n)]
    flow = [[Fraction(0)] * m for _ in range(n)]
    left, need = list(a), list(b)
    total = Fraction(0)
    while sum(left) > 0:
        length, before = _paths(c, flow, left, n, m)
        end = min((j for j in range(m) if need[j] > 0), key=lambda j: length[n + j])
        path, node = [], n + end
        while before[node] is not None:
            path.append((before[node], node))
            node = before[node]
        amount = min(left[node], need[end])
        for tail, head in path:
            if tail >= n:
                amount = min(amount, flow[head][tail - n])
        for tail, head in path:
            if tail < n:
                flow[tail][head - n] += amount
                total += amount * c[tail][head - n]
            else:
                flow[head][tail - n] -= amount
                total -= amount * c[head][tail - n]
        left[node] -= amount
        need[end] -= amount
    return total


def _paths(c, flow, left, n, m):
    """Shortest residual paths from any row with mass left (Bellman-Ford)."""
    length = [Fraction(0) if i < n and left[i] > 0 else None for i in range(n + m)]
    before: list[int | None] = [None] * (n + m)
    changed = True
    while changed:
        changed = False
        for i in range(n):
            for j in range(m):
                for tail, head, price in ((i, n + j, c[i][j]), (n + j, i, -c[i][j])):
                    if length[tail] is None or (tail >= n and flow[i][j] == 0):
                        continue
                    if length[head] is None or length[tail] + price < length[head]:
                        length[head], before[head], changed = length[tail] + price, tail, True
    return length, before
