"""Numbers over seeds, as text: their mean and their spread."""

import math
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float:
    """The mean, NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """The standard deviation with n - 1, NaN of fewer than two."""
    if len(values) < 2:
        return math.nan
    middle = mean(values)
    return math.sqrt(math.fsum((one - middle) ** 2 for one in values) / (len(values) - 1))


def with_spread(values: Sequence[float], form: str = ".3g") -> str:
    """The mean, and of several values their standard deviation.

    >>> with_spread([1.0, 2.0]), with_spread([0.5]), with_spread([0.25, 0.75], ".0%")
    ('1.5 ± 0.707', '0.5', '50% ± 35%')
    """
    shown = format(mean(values), form)
    return shown if len(values) < 2 else f"{shown} ± {format(deviation(values), form)}"
