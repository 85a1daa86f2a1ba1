"""What `banach distance` says beside the distance: floor, excess, energy distance, a p-value, and what they mean."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from banach.cli import output
from banach.cli.distance_options import Options
from banach.spaces import Metric
from banach.transport import Excess, PermutationTest, TransportError, energy_distance, excess, permutation_test
from banach.transport.confidence import percent
from banach.transport.permutations import LEAST
from banach.transport.price import OutOfTime
from banach.transport.scores import negative_type, verdict

OVER = "no time left (--max-minutes)"


@dataclass(frozen=True)
class Scored:
    """The scores that were taken, and why others were not, each reason a line."""

    excess: Excess | None = None
    energy: float | None = None
    test: PermutationTest | None = None
    left_out: tuple[str, ...] = ()
    level: float = 0.05
    """A p-value of at most so much says that the laws differ."""

    @property
    def sentence(self) -> str | None:
        """What excess and p-value mean together; None where there are neither."""
        p = None if self.test is None else self.test.p_value
        if self.excess is not None:
            return verdict(self.excess, p, self.test.samples if self.test else 0)
        if p is None:
            return None
        said = "the laws differ" if p <= self.level else "no evidence that the laws differ"
        return f"{said} by a permutation test (p = {p:.3g})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what was taken, the sentence, and the reasons for what was not."""
        told = {
            "excess": None if self.excess is None else asdict(self.excess), "energy_distance": self.energy,
            **(facts_of_test(self.test) if self.test else {}), "sentence": self.sentence,
            "left_out": list(self.left_out) or None,
        }  # fmt: skip
        return {key: one for key, one in told.items() if one is not None}

    def lines(self) -> Iterator[str]:
        """What people read."""
        if (found := self.excess) is not None:
            yield f"floor     {found.floor_b:.6g} between two halves of B ({found.n:,} each), {found.floor_a:.6g} of A"
            interval = f"{found.low:.4g} to {found.high:.4g} at {percent(found.confidence)}"
            yield f"excess    {found.value:.4g} ({interval}) over the floors, A against B at halves {found.across:.6g}"
        if self.sentence is not None:
            yield f"so        {self.sentence}"
        if self.energy is not None:
            yield f"energy    {self.energy:.6g}: the energy distance in the same norm, without bias"
        if self.test is not None:
            of = f"{size_of_test(self.test)} of {self.test.samples:,} samples each"
            yield f"p         {self.test.p_value:.3g}: how often a random split of both is as far apart ({of})"
        yield from self.left_out


def facts_of_test(test: PermutationTest) -> dict[str, Any]:
    """For JSON."""
    counts = {"permutations": test.permutations, "permutations_wanted": test.wanted, "samples_tested": test.samples}
    return {"p_value": test.p_value, **counts}


def size_of_test(test: PermutationTest) -> str:
    """How many permutations were made, and why not more."""
    if test.permutations == test.wanted:
        return f"{test.permutations:,} permutations"
    return f"{test.permutations:,} permutations, all for which there was time, of {test.wanted:,}"


def check_test(test: bool, permutations: int, given: Collection[str]) -> None:
    """`TransportError` for a number of permutations without a test."""
    if "permutations" in given and not test:
        raise TransportError(f"--permutations {permutations} is of a p-value: it goes with --test")


def scored(x: Tensor, y: Tensor, metric: Metric, options: Options, weighted: bool, deadline: float) -> Scored:
    """Floor and excess, the p-value, the energy distance, where they are defined and there is time."""
    reason = undefined(min(len(x), len(y)), options, weighted)
    if reason:
        return Scored(left_out=(f"scores left out: {reason}",))
    if time.monotonic() > deadline and (options.scores or options.test):
        return Scored(left_out=(f"scores left out: {OVER}",))
    seed, left_out = options.seed, []

    def taken(what: str, take: Callable[[], Any]) -> Any:
        try:
            with output.waiting(what):
                return take()
        except OutOfTime:
            left_out.append(f"{what} left out: {OVER}")
            return None

    found, energy, test = None, None, None
    if options.scores:
        gap, confidence = min(options.rel_gap, 1e-3), options.confidence
        found = taken("floor and excess", lambda: excess(
            x, y, metric, rel_gap=gap, confidence=confidence, seed=seed, deadline=deadline
        ))  # fmt: skip
        if negative_type(metric):
            energy = taken("energy distance", lambda: energy_distance(x, y, metric, deadline=deadline))
    else:
        left_out.append("scores left out: --no-scores")
    if options.test:
        try:
            test = made(x, y, metric, options, deadline, "permutations")
        except OutOfTime:
            left_out.append(f"p-value left out: {OVER}")
    return Scored(found, energy, test, tuple(left_out), 1 - options.confidence)


def made(x: Tensor, y: Tensor, metric: Metric, options: Options, deadline: float, what: str) -> PermutationTest:
    """The permutation test, with a bar on stderr that says how long it will take."""
    wanted = options.permutations
    with output.counting(what) as told:
        return permutation_test(
            x, y, metric, permutations=wanted, seed=options.seed, deadline=deadline,
            report=lambda done: told(done, wanted),
        )  # fmt: skip


def undefined(n: int, options: Options, weighted: bool) -> str:
    """Why there are no scores, '' where there are; `TransportError` where a test was asked for and there is none."""
    reason = ""
    if weighted:
        reason = "halves are of unweighted samples, and these have weights"
    elif options.power != 1:
        reason = f"they are of W1, and --power is {options.power:g}"
    elif n < LEAST:
        reason = f"{n} samples are too few to halve, {LEAST} of each are needed"
    if reason and options.test:
        raise TransportError("--test is for unweighted samples, at least 8 of each, and power 1; leave it out")
    return reason
