"""`banach distance A B`: W1 of two sample sets in any norm, with an interval, its reasons, and scores."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.console import Console

from banach.cli import matrix, output, population, verify
from banach.cli.distance_options import COMMAND, Options
from banach.cli.scored import check_test, scored
from banach.cli.scored import lines as lines_of_scores
from banach.cli.source import Source
from banach.cli.sources import Two, read_both, told_of
from banach.config import flags, plugins
from banach.metrics.transported import Transported
from banach.spaces import Metric, space
from banach.transport import Estimate, TransportError, distance, save
from banach.transport.certificate import check_place
from banach.transport.distance import mean_length
from banach.transport.solution import Progress


def main(argv: Sequence[str]) -> int:
    options, given = flags.read(COMMAND, argv)
    population.check_target(options, given)
    check_test(options.test, options.permutations, given)
    if options.others:
        matrix.check_sets(options, given)
    for plugin in options.plugin:
        plugins.load(plugin)
    metric = space(options.space)
    _check_save(options)
    if options.others:
        return matrix.compare(options, given, metric)
    a, b, w, v = read_both(_two(options))
    if options.target == "population":
        return _of_the_population(a, b, metric, options)
    began = time.monotonic()
    try:
        found = _measured(a, b, metric, w, v, options)
        minutes = options.max_minutes
        deadline = math.inf if minutes is None else began + 60 * minutes
        scores = scored(a.values, b.values, metric, options, w is not None or v is not None, deadline)
    except MemoryError:
        raise TransportError(f"{len(a.values):,} samples do not fit into memory; compare fewer with --n") from None
    if options.save:
        save(options.save, found, a.values, b.values, w, v)
    seconds = time.monotonic() - began
    check = verify.command(options.save, options.a, options.b, options, given) if options.save else None
    facts = {"a": a.about(), "b": b.about(), **found.as_dict(), "seconds": seconds,
             "memory_mb": output.peak_megabytes(), "mean_norm": _mean_norm(a, b, metric, w, v), **scores.as_dict(),
             "certificate": options.save,
             "check": check}  # fmt: skip
    if options.json:
        output.say_json(facts)
    else:
        for line in _lines(a, b, metric, found, scores, facts):
            output.say(line)
    return 0


def _two(options: Options) -> Two:
    return Two(
        options.a, options.b, options.reading,
        options.weights_a, options.weights_b, options.paired, options.groups,
        ask_of_copies=options.target == "population" and options.ties is None,
    )  # fmt: skip


def _check_save(options: Options) -> None:
    """Raise TransportError if a certificate cannot be written, before anything is computed."""
    if not options.save:
        return
    whole, names = options.save, matrix.names_of(len(options.sets))
    if (there := Path(whole).expanduser()).exists() and not there.is_file():
        raise TransportError(f"--save: {whole!r} is no file; name one, such as cert.npz")
    for place in [whole] if len(names) == 2 else [matrix.file_of(whole, *two) for two in combinations(names, 2)]:
        try:
            check_place(place)
        except TransportError as error:
            raise TransportError(f"--save: {error}") from None


def _of_the_population(a: Source, b: Source, metric: Metric, options: Options) -> int:
    found, guess = population.measure(a, b, metric, options)
    if options.json:
        output.say_json({"a": a.about(), "b": b.about(), "space": repr(metric), **population.facts(found, guess)})
    else:
        for line in population.lines(a, b, metric, found, guess, options):
            output.say(line)
    return 0


def _measured(a: Source, b: Source, metric: Metric, w: Any, v: Any, options: Options) -> Estimate:
    with _progress() as report:
        return distance(
            a.values, b.values, metric, weights_a=w, weights_b=v, rel_gap=options.rel_gap, power=options.power,
            method=options.method, max_minutes=options.max_minutes, report=report,
        )  # fmt: skip


def _mean_norm(a: Source, b: Source, metric: Metric, w: Any, v: Any) -> dict[str, float] | None:
    """E|X| in A and in B, by weight; None in a metric that is no norm."""
    lengths = {"a": mean_length(a.values, metric, w), "b": mean_length(b.values, metric, v)}
    return None if any(map(math.isnan, lengths.values())) else lengths


def _lines(
    a: Source, b: Source, metric: Metric, found: Estimate, scores: Transported, facts: dict[str, Any]
) -> Iterator[str]:
    yield from told_of(a, b, metric)
    what = "W1" if found.power == 1 else f"E d^{found.power:g}"
    marked = "" if found.closed else f"; NOT CLOSED: {found.wanted:g} was requested; the interval is valid, only wider"
    yield f"{what:<10}from {found.lower:.8g} to {found.upper:.8g} (relative gap {found.rel_gap:.2g}{marked})"
    if found.power != 1:
        try:
            low, high = (one ** (1 / found.power) for one in (found.lower, found.upper))
            yield f"          its root, W_{found.power:g}, from {low:.6g} to {high:.6g}"
        except OverflowError:
            yield f"          its root, W_{found.power:g}, is beyond float64"
    yield "encloses  the distance of these two samples (empirical), not that of the distributions behind them"
    yield f"lower     {found.reasons[0]}"
    yield f"upper     {found.reasons[1]}"
    yield from lines_of_scores(scores)
    lengths, apart = facts["mean_norm"], f"two points are {found.scale:.4g} apart"
    norms = f"E|X| is {lengths['a']:.4g} in A, {lengths['b']:.4g} in B; " if lengths else ""
    yield f"scale     {norms}{apart}"
    rounds = f", {found.rounds} round{'s' if found.rounds > 1 else ''}" if found.rounds else ""
    memory = "" if facts["memory_mb"] is None else f", {facts['memory_mb']:,.0f} MB at most"
    yield f"took      {found.seconds:.1f} s by {found.method}{rounds}; {facts['seconds']:.1f} s in all{memory}"
    if facts["certificate"]:
        yield f"proof     {facts['certificate']}; check it with: {facts['check']}"


@contextmanager
def _progress() -> Iterator[Any]:
    """A line on stderr that shows the interval closing; silent where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status("transport …") as status:

        def show(now: Progress) -> None:
            status.update(progress_line(now))

        yield show


def progress_line(now: Progress) -> str:
    """One line of progress: the interval, the gap reached and the gap wanted."""
    gap = (now.upper - now.lower) / now.upper if now.upper else 0.0
    return (
        f"round {now.rounds}  {now.lower:.6g} to {now.upper:.6g}  gap {gap:.2g} of {now.wanted:g} wanted  "
        f"{now.pairs:,} pairs  {now.seconds:.0f} s"
    )
