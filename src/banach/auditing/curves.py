"""What a penalty costs as a function of the slope: its shape, its target and its scale, read off numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from banach.auditing.loop import AuditError

Cost = Callable[[float], float]
Kind = Literal["two-sided", "one-sided", "zero-centred"]

_LARGEST = 4.0**15
_RISEN = 30.0


@dataclass(frozen=True)
class Curve:
    """The cost of slopes s: (scale^m s^m - scale^m target^m)^2 and the like, where it is read off.

    `growth` is its power for large s; `scale` is proportional to the norm of the direction; `target` is the s at which
    it is least, or beyond which it grows (0: zero-centred).
    """

    kind: Kind
    growth: float
    scale: float
    target: float


def fitted(cost: Cost, precision: float = 1e-3, start: float = 1.0) -> Curve | None:
    """The curve of a cost; None where it does not depend on the slope. AuditError where it is of no known shape.

    Steep slopes are looked for from `start`, upwards and downwards.
    """
    at_zero = cost(0.0)
    base = _risen(cost, at_zero, start)
    if base is None:
        return None
    s = [base * factor for factor in (1.0, 2.0, 4.0, 8.0)]
    y = [cost(one) - at_zero for one in s]
    if not all(math.isfinite(one) for one in y):
        raise AuditError("the loss is not finite for steep critics")
    for power in (1, 2):
        found = _squares(cost, s, y, power, precision)
        if found is not None:
            return found
    orders = [math.log2(y[at + 1] / y[at]) if y[at] > 0 < y[at + 1] else math.nan for at in range(3)]
    if not abs(orders[2] - orders[1]) < 10 * precision:
        raise AuditError("it grows with the slope in a way that is no power")
    order = orders[2]
    first = base / 8
    if abs(cost(first) - at_zero - y[3] * (first / s[3]) ** order) > 0.1 * y[3] * (first / s[3]) ** order:
        raise AuditError(f"it grows with the power {order:.3g} of the slope, from a slope that was not read off")
    return Curve("zero-centred", order, (y[3] / s[3] ** order) ** (1 / order), 0.0)


def _risen(cost: Cost, at_zero: float, start: float) -> float | None:
    """A slope well beyond the target: eight times the first at which the cost has clearly left its least value."""
    seen = [at_zero]

    def risen(s: float) -> bool:
        seen.append(cost(s))
        lowest = min(seen)
        return seen[-1] - lowest > _RISEN * (at_zero - lowest) + 1e-3 * (1 + abs(at_zero))

    s = start
    if risen(s):
        while s > start / _LARGEST and risen(s / 4):
            s /= 4
        return 8 * s
    while s < start * _LARGEST:
        s *= 4
        if risen(s):
            return 8 * s
    return None


def _squares(cost: Cost, s: Sequence[float], y: Sequence[float], power: int, precision: float) -> Curve | None:
    """The curve where the cost is a polynomial of degree two in s^power beyond the target, or of degree one in s."""
    unit = s[0] ** power
    t = [one**power / unit for one in s]
    a, b, c = np.linalg.solve(np.vander(t[:3], 3), np.array(y[:3]))
    if abs(a * t[3] ** 2 + b * t[3] + c - y[3]) > precision * abs(y[3]):
        return None
    if abs(a) * t[3] ** 2 < precision * abs(y[3]):  # it grows like the slope itself
        if power != 1 or b <= 0:
            return None
        target = max(0.0, -c / b) * s[0]
        if target and cost(target / 2) - cost(0.0) < -0.1 * b * target / unit:  # |s - t|: y is s - 2t
            return Curve("two-sided", 1.0, b / unit, target / 2)
        return Curve("one-sided" if target > 0 else "zero-centred", 1.0, b / unit, target)
    if a < 0:
        return None
    least = -b / (2 * a)
    scale = (math.sqrt(a) / unit) ** (1 / power)
    if least < (1e-3**power if precision < 1e-2 else 1e-3):
        return Curve("zero-centred", 2.0 * power, scale, 0.0)
    target = s[0] * least ** (1 / power)
    bent = cost(target / 2) - cost(target) > 1e-2 * a * least**2
    return Curve("two-sided" if bent else "one-sided", 2.0 * power, scale, target)
