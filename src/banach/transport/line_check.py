"""Whether potentials on the line are feasible, for all pairs, in O((n + m) log(n + m)) and with its rounding bounded.

This file imports numpy alone, so that a checker of certificates may use it and stay independent of all solvers.
"""

import numpy as np

LONG = np.longdouble
LINE_UNIT = max(float(np.finfo(LONG).eps), 2.0**-63) / 2
"""The unit roundoff of sums of positions."""


def line_violation(x: np.ndarray, y: np.ndarray, f: np.ndarray, g: np.ndarray, length: float = 1.0) -> float:
    """A tight upper bound of f_i + g_j - length |x_i - y_j| over all i and j.

    x, f (n,), y, g (m,) in float64, finite. As -|t| = min(t, -t), the largest is the largest over i of

        f_i + max(max_{y_j <= x_i} (g_j + length y_j) - length x_i, max_{y_j >= x_i} (g_j - length y_j) + length x_i),

    with maxima up to a place, and from it, in the order of y.

    Rounding: let u be the unit roundoff of long double, and x and y less y_0, which changes no difference: off by
    u |x| and u |y|, where these now stand for the differences. float64 is exact in long double, and maxima and
    comparisons round nothing. With S = max|f| + max|g| + length (max|x| + max|y|), each product is off by u length |x|
    or u length |y| more, g + length y by u (|g| + length |y|), the next sum and the last by at most u S each (to first
    order): together less than 5 u S, so that 6 u S, added at the end, also holds the terms of higher order, and the
    result is rounded up. With 64 digits 6 u S is below 2^-61 S, and so below the rounding of potentials in float64.

    >>> line_violation(np.array([0.0, 2.0]), np.array([1.0]), np.array([0.5, 2.0]), np.array([0.5])) - 1.5 < 1e-15
    True
    """
    order = np.argsort(y)
    x, f = (x.astype(LONG) - LONG(y[0])) * LONG(length), f.astype(LONG)
    at = (y[order].astype(LONG) - LONG(y[0])) * LONG(length)
    g = g[order].astype(LONG)
    nothing = np.array([-np.inf], LONG)
    up_to = np.concatenate([nothing, np.maximum.accumulate(g + at)])
    since = np.concatenate([np.maximum.accumulate((g - at)[::-1])[::-1], nothing])
    k = np.searchsorted(at, x)
    found = f + np.maximum(up_to[k] - x, since[k] + x)
    size = sum(np.abs(one).max() for one in (x, at, f, g))
    bound = found.max() + 6 * LINE_UNIT * size
    return float(np.nextafter(np.float64(bound), np.inf))
