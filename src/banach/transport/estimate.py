"""Estimates of a Wasserstein distance: an interval, which distance it encloses, and why each end is valid."""

import dataclasses
import math
from typing import Any, Literal

import numpy as np

from banach.errors import BanachError

Target = Literal["empirical", "population"]

NOTHING = 1e-12
"""A distance below this share of the mean pooled distance is rounding: the relative gap is then 0."""


class TransportError(BanachError):
    """Samples, weights or options between which no distance can be computed; the message names the remedy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Certificate:
    """The proof of an empirical distance's interval: potentials for its lower end, a plan for its upper end.

    `f` (n,) and `g` (m,) with f_i + g_j <= d(x_i, y_j)^power for all i, j, so that E f + E g is a lower bound; and a
    coupling of the two samples that moves `mass` from x_i to y_j, for each entry of `i`, `j` and `mass`, whose cost is
    an upper bound. Masses sum to 1. All in the order of the samples as they were given, in the data's units.
    """

    f: np.ndarray
    g: np.ndarray
    i: np.ndarray
    j: np.ndarray
    mass: np.ndarray


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A Wasserstein distance with an interval that encloses it: `lower <= W <= upper`, and `value`, which is `upper`.

    `target` says which distance that is: "empirical", between the two (weighted) samples, or "population", between the
    distributions that they were drawn from. The two differ: in 128 dimensions W1 of two samples of 4,096 can be
    eighteen times that of their distributions. With `power` r other than 1 all numbers are E d^r under the best
    coupling, not its r-th root.

    >>> from banach.transport import Estimate
    >>> found = Estimate(1.0, 0.992, 1.0, "empirical", "simplex", ("potentials", "a coupling"))
    >>> found
    Estimate(1 in [0.992, 1], empirical, simplex)
    >>> round(found.rel_gap, 6), found.closed
    (0.008, True)
    """

    value: float
    lower: float
    upper: float
    target: Target
    method: str
    reasons: tuple[str, str]
    """Why the lower end is valid, and why the upper end is."""
    space: str = ""
    power: float = 1.0
    scale: float = math.nan
    """The mean distance between two points of the pooled samples, E d^power."""
    wanted: float = 0.01
    """The requested relative gap."""
    rounds: int = 0
    seconds: float = 0.0
    certificate: Certificate | None = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self):
        if not self.lower <= self.value <= self.upper:
            raise TransportError(f"an interval from {self.lower} to {self.upper} does not enclose {self.value}")

    def __repr__(self) -> str:
        marked = "" if self.closed else ", not closed"
        interval = f"[{self.lower:.6g}, {self.upper:.6g}]"
        return f"Estimate({self.value:.6g} in {interval}, {self.target}, {self.method}{marked})"

    @property
    def rel_gap(self) -> float:
        """(upper - lower)/upper; 0 where upper is at most 1e-12 of the mean pooled distance."""
        return rel_gap(self.lower, self.upper, self.scale)

    @property
    def closed(self) -> bool:
        """Whether the requested relative gap was reached; if not, the interval is wider, and still valid."""
        return self.rel_gap <= self.wanted

    def as_dict(self) -> dict[str, Any]:
        """All but the certificate, for JSON."""
        fields = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.name != "certificate"}
        return fields | {"rel_gap": self.rel_gap, "closed": self.closed}


def rel_gap(lower: float, upper: float, scale: float = math.nan) -> float:
    """(upper - lower)/upper, 0 where `upper` is at most 1e-12 `scale`; a scale that is not known is taken as 0."""
    if upper <= (NOTHING * scale if scale > 0 else 0.0):
        return 0.0
    return (upper - lower) / upper if upper < math.inf else math.inf
