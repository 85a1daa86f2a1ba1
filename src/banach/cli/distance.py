"""`banach distance A B`: W1 of two sample sets in any norm, with an interval, its reasons, and what it may say."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.console import Console

from banach.cli import matrix, output, population, verify
from banach.cli.scored import check_test, scored
from banach.cli.scored import lines as lines_of_scores
from banach.cli.sources import Source, read_both, told_of
from banach.engine import flags, plugins, values
from banach.engine.flags import Command, Flag
from banach.metrics.transported import Transported
from banach.spaces import Metric, space
from banach.transport import Estimate, TransportError, distance, save
from banach.transport.certificate import check_place
from banach.transport.dependence import TIES
from banach.transport.distance import METHODS, mean_length
from banach.transport.permutations import PERMUTATIONS
from banach.transport.solution import Progress

_LAWS = "with --target population"

COMMAND = Command(
    "distance",
    "The Wasserstein-1 distance of two sample sets (or of each two of several) in any norm: an interval that encloses"
    " it, and why that is valid.",
    (
        Flag("a", values.name("fakes.npy"), "samples: npy, npz, safetensors (file:key), a folder of pictures, a data"
             " set's name, a run", positional=True, required=True),
        Flag("b", values.name("reals.npy"), "what A is compared with, the reference", positional=True, required=True),
        Flag("others", values.name("more.npy"), "further sets: each set is compared with each, in a table", (),
             many=True, positional=True, metavar="C"),
        Flag("space", values.name("Sobolev(s=-1)"), "the norm, or any metric; see `banach list spaces`", "l2"),
        Flag("target", values.one_of("empirical", "population"), "W1 of these samples, exactly, or of the laws that"
             " they were drawn from, in a confidence interval", "empirical"),
        Flag("rel_gap", values.number(0.0), "stop when (upper - lower)/upper is at most this", 0.01),
        Flag("method", values.one_of("auto", *METHODS), f"auto, {', '.join(METHODS)}", "auto"),
        Flag("power", values.number(above=0.0), "transport costs distance^POWER", 1.0, metavar="POWER"),
        Flag("max_minutes", values.number(above=0.0), "stop then, scores included; the interval so far holds, marked"
             " (of the laws: at most two thirds for the upper end, the rest for the critic; without it, that has 1)",
             metavar="M"),
        Flag("weights_a", values.name("w.npy"), "file with one weight for each sample of A", metavar="FILE"),
        Flag("weights_b", values.name("w.npy"), "the same for B", metavar="FILE"),
        Flag("n", values.count(1), "at most so many samples of each, drawn by --seed", metavar="N"),
        Flag("axes", values.name("bhwc"), "what the axes of arrays are, as in `banach train`"),
        Flag("scores", values.yes_no, "floor and excess on disjoint halves (four smaller distances more)", True),
        Flag("test", values.yes_no, "a permutation p-value of 'A and B have one law'", False),
        Flag("permutations", values.count(1), "with --test: how many; p is at least 1/(1 + N)", PERMUTATIONS,
             metavar="N"),
        Flag("confidence", values.number(below=1.0, above=0.0), "of the interval of the excess, or of W1 of the laws",
             0.95),
        Flag("seed", values.count(0), "seed of all that is drawn", 0),
        Flag("best", values.yes_no, "of a run, take the generator with the best score, not the newest", False),
        Flag("save", values.name("cert.npz"), "write the certificate, for `banach verify`; of several sets one for each"
             " pair, FILE-A-B.npz", metavar="FILE"),
        Flag("support", values.name("box:0,1"), "where both laws live, as you know it: box:LOW,HIGH for all entries",
             group=_LAWS),
        Flag("diameter", values.number(above=0.0), "or the largest distance within their support, in the norm",
             group=_LAWS),
        Flag("paired", values.yes_no, "row i of A and row i of B were drawn together: they stay together, and their"
             " distance bounds W1", False, _LAWS),
        Flag("groups", values.name("groups.txt"), "file with a label for each sample of A, then of B (--paired: for"
             " each pair; npz: arrays a and b); what has one label is one draw", group=_LAWS, metavar="FILE"),
        Flag("ties", values.one_of(*TIES), "equal samples are independent draws that coincide, or copies of one draw",
             group=_LAWS),
        Flag("critic", values.name("lipschitz-cones"), "the critic; one that is not Lipschitz by construction is"
             " penalised, and bounds nothing", "lipschitz-cones", _LAWS),
        Flag("width", values.count(1), "its width", group=_LAWS, metavar="N"),
        Flag("penalty", values.name("wgan-gp"), "the penalty of such a critic (wgan-gp)", group=_LAWS),
        Flag("critic_steps", values.count(1), "steps of the critic, in place of 1 minute", group=_LAWS,
             metavar="N"),
        Flag("plugin", values.listed(values.name("mine.py")), "Python files that bring spaces or data", (), many=True),
        Flag("json", values.yes_no, "machine-readable output", False),
    ),
    (
        "banach distance fakes.npy reals.npy --space shape",
        "banach distance runs/mine fashion-mnist:split=test --space 'Sobolev(s=-1)' --n 5000 --test",
        "banach distance a.npz:x b.npz:x --space 'Lp(1)' --rel-gap 1e-6 --save cert.npz",
        "banach distance mon.npy tue.npy wed.npy thu.npy --space 'Lp(1)' --test --permutations 1999",
        "banach distance a.npy b.npy --target population --support box:0,1 --confidence 0.99",
    ),
    "The distance is that of the two sample sets, not of the laws behind them: in high dimension two samples of one law"
    " are far apart. So it stands beside its floor, the distance of two halves of B, and the excess over the floors."
    " With --target population it is that of the laws, in a confidence interval: part of the samples trains a critic"
    " that is 1-Lipschitz by construction, part selects, and part is read once.",
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    given = flags.parse(COMMAND, argv)
    options = flags.with_defaults(COMMAND, given)
    population.check_target(options, given)
    check_test(options, given)
    if options["others"]:
        matrix.check_sets(options, given)
    for plugin in options["plugin"]:
        plugins.load(plugin)
    metric = space(options["space"])
    _check_save(options)
    if options["others"]:
        return matrix.compare(options, given, metric)
    a, b, w, v = read_both(options)
    if options["target"] == "population":
        return _of_the_laws(a, b, metric, options)
    began = time.monotonic()
    try:
        found = _measured(a, b, metric, w, v, options)
        minutes = options["max_minutes"]
        deadline = math.inf if minutes is None else began + 60 * minutes
        scores = scored(a.values, b.values, metric, options, w is not None or v is not None, deadline)
    except MemoryError:
        raise TransportError(f"{len(a.values):,} samples do not fit into memory; compare fewer with --n") from None
    if options["save"]:
        save(options["save"], found, a.values, b.values, w, v)
    seconds = time.monotonic() - began
    check = verify.command(options["save"], options["a"], options["b"], given) if options["save"] else None
    facts = {"a": a.about(), "b": b.about(), **found.as_dict(), "seconds": seconds,
             "memory_mb": output.peak_megabytes(), "mean_norm": _mean_norm(a, b, metric, w, v), **scores.as_dict(),
             "certificate": options["save"],
             "check": check}  # fmt: skip
    if options["json"]:
        output.say_json(facts)
    else:
        for line in _lines(a, b, metric, found, scores, facts):
            output.say(line)
    return 0


def _check_save(options: dict[str, Any]) -> None:
    """TransportError where the certificate, or one of them, has no place, before anything is computed."""
    if not options["save"]:
        return
    whole, names = options["save"], matrix.names_of(2 + len(options["others"]))
    if (there := Path(whole).expanduser()).exists() and not there.is_file():
        raise TransportError(f"--save: {whole!r} is no file; name one, such as cert.npz")
    for place in [whole] if len(names) == 2 else [matrix.file_of(whole, *two) for two in combinations(names, 2)]:
        try:
            check_place(place)
        except TransportError as error:
            raise TransportError(f"--save: {error}") from None


def _of_the_laws(a: Source, b: Source, metric: Metric, options: dict[str, Any]) -> int:
    found, guess = population.measure(a, b, metric, options)
    if options["json"]:
        output.say_json({"a": a.about(), "b": b.about(), "space": repr(metric), **population.facts(found, guess)})
    else:
        for line in population.lines(a, b, metric, found, guess, options):
            output.say(line)
    return 0


def _measured(a: Source, b: Source, metric: Metric, w: Any, v: Any, options: dict[str, Any]) -> Estimate:
    with _progress() as report:
        return distance(
            a.values, b.values, metric, weights_a=w, weights_b=v, rel_gap=options["rel_gap"], power=options["power"],
            method=options["method"], max_minutes=options["max_minutes"], report=report,
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
    marked = "" if found.closed else f"; NOT CLOSED: {found.wanted:g} was asked for, the interval holds all the same"
    yield f"{what:<10}from {found.lower:.8g} to {found.upper:.8g} (relative gap {found.rel_gap:.2g}{marked})"
    if found.power != 1:
        try:
            low, high = (one ** (1 / found.power) for one in (found.lower, found.upper))
            yield f"          its root, W_{found.power:g}, from {low:.6g} to {high:.6g}"
        except OverflowError:
            yield f"          its root, W_{found.power:g}, is beyond float64"
    yield "encloses  the distance of these two samples (empirical), not that of the laws behind them"
    yield f"lower     {found.reasons[0]}"
    yield f"upper     {found.reasons[1]}"
    yield from lines_of_scores(scores)
    lengths, apart = facts["mean_norm"], f"two points are {found.scale:.4g} apart"
    norms = f"E|X| is {lengths['a']:.4g} in A, {lengths['b']:.4g} in B; " if lengths else ""
    yield f"scale     {norms}{apart}"
    rounds = f", {found.rounds} round{'s' if found.rounds > 1 else ''}" if found.rounds else ""
    memory = f"{facts['memory_mb']:,.0f} MB at most"
    yield f"took      {found.seconds:.1f} s by {found.method}{rounds}; {facts['seconds']:.1f} s in all, {memory}"
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
    """Where the solver stands, in a line: the gap reached and the gap wanted."""
    gap = (now.upper - now.lower) / now.upper if now.upper else 0.0
    return (
        f"round {now.rounds}  {now.lower:.6g} to {now.upper:.6g}  gap {gap:.2g} of {now.wanted:g} wanted  "
        f"{now.pairs:,} pairs  {now.seconds:.0f} s"
    )
