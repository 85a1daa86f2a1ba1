"""Masses of any size: no solver is handed what ends its process, and every interval holds."""

import subprocess
import sys

import pytest

CHILD = """
import math, sys
import numpy as np
from banach import distance
from banach.transport import TransportError

def weights(kind, n, r):
    if kind == 0:  # histograms that agree but for their tails
        return (np.exp(-400 * (np.arange(n) - n / 2 - d) ** 2) for d in (0.01, -0.01))
    if kind == 1:  # masses over all decades
        return (10.0 ** r.uniform(-320, 0, n) for _ in range(2))
    if kind == 2:  # all of them tiny
        return (1e-300 * r.random(n) for _ in range(2))
    w = r.random(n)  # equal but for their last bits
    return w, w * (1 + 1e-15 * r.normal(size=n))

for seed in range(int(sys.argv[1]), int(sys.argv[2])):
    r = np.random.default_rng(seed)
    n = int(r.integers(2, 40))
    x = np.arange(float(n)) * 10.0 ** r.integers(-9, 10)
    w, v = weights(seed % 4, n, r)
    if not (w.sum() > 0 and v.sum() > 0):
        continue
    w, v = w / w.sum(), v / v.sum()
    method = ("simplex", "columns", "sinkhorn")[seed % 3]
    try:
        found = distance(x, x, weights_a=w, weights_b=v, method=method, rel_gap=1e-9)
    except TransportError as error:
        assert "unequal mass" in str(error), error
        continue
    steps = np.diff(x)
    truth = math.fsum(np.abs(np.cumsum(w / math.fsum(w)) - np.cumsum(v / math.fsum(v)))[:-1] * steps)
    rounding = 1e-14 * n * x[-1]
    assert found.lower <= truth + rounding and truth - rounding <= found.upper, (seed, truth, found)
"""


def run(start, stop):
    """A range of problems in a process of their own, which a native crash would end."""
    command = [sys.executable, "-W", "error", "-c", CHILD, str(start), str(stop)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_histograms_of_any_masses_end_no_process():
    run(0, 32)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(32, 1000, 121))
def test_many_histograms_of_any_masses_end_no_process(start):
    run(start, start + 121)
