"""What `banach distance` says beside the distance: floor, excess, energy distance, a p-value, and what they mean."""

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from torch import Tensor

from banach.cli import output
from banach.cli.distance_options import Options
from banach.metrics.titles import title
from banach.metrics.transported import Transported
from banach.spaces import Metric
from banach.spaces.properties import negative_type
from banach.transport import PermutationTest, TransportError, energy_distance, excess, permutation_test
from banach.transport.confidence import percent
from banach.transport.permutations import LEAST
from banach.transport.pricing import OutOfTime

OVER = "no time left (--max-minutes)"


def lines(of: Transported) -> Iterator[str]:
    """What `banach distance` prints of them."""
    if (found := of.excess) is not None:
        yield f"floor     {found.floor_b:.6g} between two halves of B ({found.n:,} each), {found.floor_a:.6g} of A"
        interval = f"{found.low:.4g} to {found.high:.4g} at {percent(found.confidence)}"
        yield f"excess    {found.value:.4g} ({interval}) over the floors, A against B at halves {found.across:.6g}"
    if of.sentence is not None:
        yield f"so        {of.sentence}"
    if of.energy is not None:
        yield f"energy    {of.energy:.6g}: the energy distance in the same norm, without bias"
    if of.test is not None:
        made = f"{size_of_test(of.test)} of {of.test.samples:,} samples each"
        yield f"p         {of.test.p_value:.3g}: how often a random split of both is as far apart ({made})"
    yield from of.left_out


def table(found: Transported) -> Iterator[str]:
    """What `banach evaluate` prints of them: a small table, the sentence, and the protocol in a line."""
    w1, beyond = title("w1", found.protocol), title("excess", found.protocol)
    width = max(12, len(beyond))
    if (of := found.excess) is not None:
        interval = f"{of.low:.4g} to {of.high:.4g} at {of.confidence:.0%}"
        yield f"{w1:{width}}  {of.across:>15.4g}  half of the samples to half of the reference; best at the floor"
        yield f"{'floor':{width}}  {of.floor_b:>15.4g}  half of the reference to its other half"
        yield f"{'spread':{width}}  {of.floor_a:>15.4g}  half of the samples to their other half"
        yield f"{beyond:{width}}  {of.value:>15.4g}  {interval}; W1 less the mean of floor and spread, 0 is best"
    energy = "none: the norm is not of negative type"
    if found.energy is not None:
        energy = f"{found.energy:>15.4g}  energy distance in the same norm, unbiased"
    yield f"{'energy':{width}}  {energy}"
    if found.sentence is not None:
        yield f"{found.sentence[0].upper()}{found.sentence[1:]}."
    yield "; ".join(f"{key.replace('_', ' ')} {one}" for key, one in found.protocol.items())


def size_of_test(test: PermutationTest) -> str:
    """How many permutations were made, and why not more."""
    if test.permutations == test.wanted:
        return f"{test.permutations:,} permutations"
    return f"{test.permutations:,} permutations, all for which there was time, of {test.wanted:,}"


def check_test(test: bool, permutations: int, given: Collection[str]) -> None:
    """`TransportError` for a number of permutations without a test."""
    if "permutations" in given and not test:
        raise TransportError(f"--permutations {permutations} is of a p-value: it goes with --test")


def scored(x: Tensor, y: Tensor, metric: Metric, options: Options, weighted: bool, deadline: float) -> Transported:
    """Floor and excess, the p-value, the energy distance, where they are defined and there is time."""
    reason = undefined(min(len(x), len(y)), options, weighted)
    if reason:
        return Transported(left_out=(f"scores left out: {reason}",))
    if time.monotonic() > deadline and (options.scores or options.test):
        return Transported(left_out=(f"scores left out: {OVER}",))
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
    return Transported(found, energy, test, left_out=tuple(left_out), level=1 - options.confidence)


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
