"""`banach distance A B C …`: a table of several sample sets, each against each."""

import math
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from banach.cli import output, units, verify
from banach.cli.distance_options import Options
from banach.cli.scored import OVER, made, size_of_test, undefined
from banach.cli.source import Source
from banach.cli.sources import is_drawn, read_alike, taken, told_of_sets
from banach.config.keys import hyphened
from banach.metrics.transported import facts_of_test
from banach.spaces import Metric
from banach.transport import (
    DistanceMatrix,
    Estimate,
    ExcessMatrix,
    PermutationTest,
    TransportError,
    distance_matrix,
    excess_matrix,
    save,
)
from banach.transport.confidence import percent
from banach.transport.permutations import holm
from banach.transport.pricing import OutOfTime

Pair = tuple[int, int]

_FOR_TWO = {
    "weights_a": "weights belong to one set of two; compare two sets at a time",
    "weights_b": "weights belong to one set of two; compare two sets at a time",
}


@dataclass(frozen=True)
class Compared:
    """The results of all pairs: distances, and floors, excesses and tests if they were computed."""

    distances: DistanceMatrix
    excesses: ExcessMatrix | None
    tests: dict[Pair, PermutationTest]
    left_out: tuple[str, ...]
    level: float = 0.05
    """The level of the tests: distributions differ where an adjusted p-value is at most this."""

    @property
    def adjusted(self) -> dict[Pair, float]:
        """Holm's adjusted p-values of all pairs."""
        return dict(zip(self.tests, holm([one.p_value for one in self.tests.values()]), strict=True))


def check_sets(options: Options, given: Collection[str]) -> None:
    """Raise `TransportError` for options that do not apply to more than two sets."""
    count = len(options.sets)
    if options.target == "population":
        raise TransportError(f"--target population compares two sets, and these are {count}; give two at a time")
    for key, why in _FOR_TWO.items():
        if key in given:
            raise TransportError(f"--{hyphened(key)} does not go with {count} sets: {why}")
    if options.save and options.n:
        raise TransportError(
            f"--save does not go with --n for {count} sets: verify would draw others; give smaller files"
        )
    for text in options.sets:
        if options.save and is_drawn(text):
            raise TransportError(
                f"--save does not go with {count} sets of which {text!r} is drawn: verify would draw others; write its "
                "samples first, with `banach sample`"
            )


def compare(options: Options, given: Collection[str], metric: Metric) -> int:
    """Read all sets once, compare each with each, and print the table."""
    began = time.monotonic()
    sources = _read(options)
    names = names_of(len(sources))
    deadline = math.inf if options.max_minutes is None else began + 60 * options.max_minutes
    try:
        found = _compared(sources, names, metric, options, deadline)
    except MemoryError:
        most = max(len(one.values) for one in sources)
        raise TransportError(f"{most:,} samples do not fit into memory; compare fewer with --n") from None
    files = _saved(options.save, names, sources, found.distances)
    texts = dict(zip(names, options.sets, strict=True))
    checks = {}
    for pair, file in files.items():
        first, second = (texts[name] for name in pair.split("-"))
        checks[pair] = verify.command(file, first, second, options, given)
    seconds = time.monotonic() - began
    if options.json:
        sets = {name: one.about() for name, one in zip(names, sources, strict=True)}
        output.say_json({"sets": sets, "space": repr(metric), **_facts(found, names), "seconds": seconds,
                         "memory_mb": output.peak_megabytes(), "certificates": files or None,
                         "checks": checks or None})  # fmt: skip
        return 0
    for line in told_of_sets(zip(names, sources, strict=True), metric):
        output.say(line)
    output.say_table(_title(found, options.power), ("", *names), _rows(found, names))
    for line in _lines(found, names):
        output.say(line)
    output.say(f"took      {seconds:.1f} s in all{output.peak_said(', ')}")
    for file, command in zip(files.values(), checks.values(), strict=True):
        output.say(f"proof     {file}; check it with: {command}")
    return 0


def names_of(count: int) -> list[str]:
    """A, B, C, … for up to 26 sets, else numbers.

    >>> names_of(3)
    ['A', 'B', 'C']
    """
    return [chr(ord("A") + i) if count <= 26 else str(i + 1) for i in range(count)]


def _read(options: Options) -> list[Source]:
    n, seed, read, how = options.n, options.seed, {}, options.reading
    one_by_one = len(options.range) > 1
    keys = [(text, place if one_by_one or is_drawn(text) else 0) for place, text in enumerate(options.sets)]
    with output.waiting("reading all sets"):
        for place, key in enumerate(keys):
            read.setdefault(key, place)  # each set of samples of a generator is drawn by a seed of its own
        sources = read_alike([(text, how.of(place, len(keys))) for (text, _), place in read.items()])
        read = dict(zip(read, sources, strict=True))
        names = names_of(len(keys))
        found = units.checked([(name, read[key]) for name, key in zip(names, keys, strict=True)])
        read = dict(zip(keys, found, strict=True))
    return [taken(read[key], n, seed + place)[0] for place, key in enumerate(keys)]


def _compared(sources: list[Source], names: list[str], metric: Metric, options: Options, deadline: float) -> Compared:
    sets, left_out = [one.values for one in sources], []
    reason = undefined(min(map(len, sets)), options, weighted=False)
    with output.counting("pairs") as told:
        found = distance_matrix(
            sets, metric, rel_gap=options.rel_gap, method=options.method, power=options.power,
            max_minutes=options.max_minutes, report=told,
        )  # fmt: skip
    excesses, tests = None, {}
    if reason or not options.scores:
        left_out.append(f"scores left out: {reason or '--no-scores'}")
    else:
        try:
            with output.counting("floors and excesses") as told:
                excesses = excess_matrix(
                    sets, metric, rel_gap=min(options.rel_gap, 1e-3), confidence=options.confidence,
                    seed=options.seed, deadline=deadline, report=told,
                )  # fmt: skip
        except OutOfTime:
            left_out.append(f"floors and excesses left out: {OVER}")
    if options.test:
        try:
            for done, (i, k) in enumerate(found.pairs):
                until = _share(deadline, len(found.pairs) - done)
                tests[i, k] = made(sets[i], sets[k], metric, options, until, f"permutations of {names[i]}, {names[k]}")
        except OutOfTime:  # a family of tests is adjusted as a whole, or not at all
            tests = {}
            left_out.append(f"p-values left out: {OVER}")
    return Compared(found, excesses, tests, tuple(left_out), 1 - options.confidence)


def _share(deadline: float, left: int) -> float:
    now = time.monotonic()
    return deadline if deadline == math.inf else now + max(0.0, deadline - now) / left


def _saved(path: str | None, names: list[str], sources: list[Source], found: DistanceMatrix) -> dict[str, str]:
    """One certificate for each pair, by its name."""
    files = {}
    if path:
        for (i, k), one in found.pairs.items():
            file = file_of(path, names[i], names[k])
            save(file, one, sources[i].values, sources[k].values)
            files[f"{names[i]}-{names[k]}"] = str(file)
    return files


def file_of(path: str, first: str, second: str) -> Path:
    """The certificate of a pair of sets.

    >>> file_of("cert.npz", "A", "B").name
    'cert-A-B.npz'
    """
    whole = Path(path)
    return whole.with_name(f"{whole.stem}-{first}-{second}{whole.suffix or '.npz'}")


def _title(found: Compared, power: float) -> str:
    what = "W1" if power == 1 else f"E d^{power:g}"
    parts = [f"above the diagonal {what}, lower and upper end (empirical)"]
    if found.excesses is not None:
        share = next(iter(found.excesses.excesses.values())).confidence
        parts += [f"on it floors, of two halves of {found.excesses.n:,}", f"below it the excess, at {percent(share)}"]
    return "; ".join(parts)


def _rows(found: Compared, names: list[str]) -> Iterator[list[str]]:
    for i, name in enumerate(names):
        yield [name, *(_cell(found, i, k) for k in range(len(names)))]


def _cell(found: Compared, i: int, k: int) -> str:
    if i < k:
        one: Estimate = found.distances.pairs[i, k]
        return f"{one.lower:.6g} to {one.upper:.6g}{'' if one.closed else ' *'}"
    if found.excesses is None:
        return ""
    if i == k:
        return f"{found.excesses.floors[i]:.6g}"
    beyond = found.excesses.excesses[k, i]
    return f"{beyond.value:.4g} ({beyond.low:.4g} to {beyond.high:.4g})"


def _lines(found: Compared, names: list[str]) -> Iterator[str]:
    if not found.distances.closed:
        yield "*         NOT CLOSED: a smaller relative gap was requested; the interval is valid, only wider"
    adjusted = found.adjusted
    for at, ((i, k), test) in enumerate(found.tests.items()):
        told = f"{test.p_value:.3g}, adjusted {adjusted[i, k]:.3g} ({size_of_test(test)} of {test.samples:,} each)"
        yield f"{'p' if at == 0 else '':<10}{names[i]}, {names[k]}: {told}"
    if found.tests:
        least = min(adjusted.values())
        said = (
            f"some distributions differ (adjusted p = {least:.3g})"
            if least <= found.level
            else "no evidence that any distributions differ"
        )
        yield f"so        {said}: {len(adjusted)} comparisons, adjusted by Holm's method"
    yield from found.left_out


def _facts(found: Compared, names: list[str]) -> dict[str, Any]:
    """For JSON: tables as lists of rows, and pairs by their names."""
    of, excesses = found.distances, found.excesses
    pairs = {}
    for (i, k), one in of.pairs.items():
        pair = {"lower": one.lower, "upper": one.upper, "rel_gap": one.rel_gap, "closed": one.closed,
                "method": one.method, "scale": one.scale, "seconds": one.seconds}  # fmt: skip
        if excesses is not None:
            pair |= {"excess": asdict(excesses.excesses[i, k]), "sentence": excesses.excesses[i, k].sentence}
        if found.tests:
            pair |= {**facts_of_test(found.tests[i, k]), "p_adjusted": found.adjusted[i, k]}
        pairs[f"{names[i]}-{names[k]}"] = pair
    floors = None if excesses is None else dict(zip(names, excesses.floors, strict=True))
    told = {"target": "empirical", "power": next(iter(of.pairs.values())).power, "comparisons": len(of.pairs),
            "closed": of.closed, "lower": of.lower.tolist(), "upper": of.upper.tolist(), "floors": floors,
            "adjusted_by": "Holm" if found.tests else None, "pairs": pairs,
            "left_out": list(found.left_out) or None}  # fmt: skip
    return {key: one for key, one in told.items() if one is not None}
