"""What `banach distance` says beside the distance: floor, excess, energy distance, a p-value, and what they mean."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from banach.cli import output
from banach.spaces import Metric
from banach.transport import Excess, TransportError, energy_distance, excess, permutation_p
from banach.transport.price import OutOfTime
from banach.transport.scores import LEAST, negative_type, samples_tested, verdict

_OVER = "no time left (--max-minutes)"


@dataclass(frozen=True)
class Scored:
    """The scores that were taken, and why others were not, each reason a line."""

    excess: Excess | None = None
    energy: float | None = None
    p_value: float | None = None
    tested: int = 0
    left_out: tuple[str, ...] = ()

    @property
    def sentence(self) -> str | None:
        """What excess and p-value mean together; None where there are neither."""
        if self.excess is not None:
            return verdict(self.excess, self.p_value, self.tested)
        if self.p_value is None:
            return None
        said = "the laws differ" if self.p_value <= 0.05 else "no evidence that the laws differ"
        return f"{said} by a permutation test (p = {self.p_value:.3g})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what was taken, the sentence, and the reasons for what was not."""
        told = {
            "excess": None if self.excess is None else asdict(self.excess), "energy_distance": self.energy,
            "p_value": self.p_value, "samples_tested": self.tested or None, "sentence": self.sentence,
            "left_out": list(self.left_out) or None,
        }  # fmt: skip
        return {key: one for key, one in told.items() if one is not None}

    def lines(self) -> Iterator[str]:
        """What people read."""
        if (found := self.excess) is not None:
            yield f"floor     {found.floor_b:.6g} between two halves of B ({found.n:,} each), {found.floor_a:.6g} of A"
            interval = f"{found.low:.4g} to {found.high:.4g} at {found.confidence:.0%}"
            yield f"excess    {found.value:.4g} ({interval}) over the floors, A against B at halves {found.across:.6g}"
        if self.sentence is not None:
            yield f"so        {self.sentence}"
        if self.energy is not None:
            yield f"energy    {self.energy:.6g}: the energy distance in the same norm, without bias"
        if self.p_value is not None:
            of = f"199 permutations of {self.tested:,} samples each"
            yield f"p         {self.p_value:.3g}: how often a random split of both is as far apart ({of})"
        yield from self.left_out


def scored(x: Tensor, y: Tensor, metric: Metric, options: dict[str, Any], weighted: bool, deadline: float) -> Scored:
    """Floor and excess, the p-value, the energy distance, where they are defined and there is time."""
    reason = _undefined(len(x), len(y), options["power"], weighted)
    if reason:
        if options["test"]:
            raise TransportError("--test is for unweighted samples, at least 8 of each, and power 1; leave it out")
        return Scored(left_out=(f"scores left out: {reason}",))
    if time.monotonic() > deadline and (options["scores"] or options["test"]):
        return Scored(left_out=(f"scores left out: {_OVER}",))
    seed, left_out = options["seed"], []

    def taken(what: str, take: Callable[[], Any]) -> Any:
        try:
            with output.waiting(what):
                return take()
        except OutOfTime:
            left_out.append(f"{what} left out: {_OVER}")
            return None

    found, energy, p_value = None, None, None
    if options["scores"]:
        gap, confidence = min(options["rel_gap"], 1e-3), options["confidence"]
        found = taken("floor and excess", lambda: excess(
            x, y, metric, rel_gap=gap, confidence=confidence, seed=seed, deadline=deadline
        ))  # fmt: skip
        if negative_type(metric):
            energy = taken("energy distance", lambda: energy_distance(x, y, metric, deadline=deadline))
    else:
        left_out.append("scores left out: --no-scores")
    if options["test"]:
        p_value = taken("p-value", lambda: permutation_p(x, y, metric, seed=seed, deadline=deadline))
    tested = 0 if p_value is None else samples_tested(len(x), len(y))
    return Scored(found, energy, p_value, tested, tuple(left_out))


def _undefined(n: int, m: int, power: float, weighted: bool) -> str:
    if weighted:
        return "halves are of unweighted samples, and these have weights"
    if power != 1:
        return f"they are of W1, and --power is {power:g}"
    if min(n, m) < LEAST:
        return f"{min(n, m)} samples are too few to halve, {LEAST} of each are needed"
    return ""
