"""`banach distance A B --target population`: an interval of W1 of the distributions behind two samples."""

import math
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from banach.cli import output
from banach.cli.distance_options import Options
from banach.cli.source import Source
from banach.cli.sources import told_of
from banach.config.keys import hyphened
from banach.models import MODELS, build_critic, lipschitz_bound
from banach.penalties import gradient_penalty, penalty
from banach.spaces import Metric
from banach.transport import Budget, Estimate, TransportError, population_distance
from banach.transport.confidence import percent
from banach.transport.distance import mean_length
from banach.transport.penalised import Penalised, penalised_estimate

ONLY = {
    "support": "the support of the distributions", "diameter": "the diameter of the distributions' support",
    "paired": "coupled samples", "groups": "samples that depend on each other", "ties": "equal samples",
    "critic": "the critic", "width": "the critic's width", "penalty": "a penalty on the critic",
    "critic_steps": "the critic's training",
}  # fmt: skip
"""Flags that need `--target population`, and what each states."""

_WEIGHTED = "the distribution behind weighted samples is not the one they were drawn from; give unweighted ones"
NEVER = {
    "weights_a": _WEIGHTED,
    "weights_b": _WEIGHTED,
    "power": "the bounds are those of W1; leave it out",
    "save": "certificates are of two samples (--target empirical); a confidence interval has none",
    "method": "no transport problem is solved but for the upper end; leave it out",
    "rel_gap": "a confidence interval is as wide as the samples leave it; leave it out",
    "test": "a p-value goes with --target empirical",
}
"""Flags that `--target population` refuses, and why."""


def check_target(options: Options, given: Collection[str]) -> None:
    """Raise `TransportError` for flags that do not go with the target."""
    population = options.target == "population"
    for key in given:
        shown = f"--{hyphened(key)}"
        if population and key in NEVER and vars(options)[key] is not False:
            raise TransportError(f"{shown} does not go with --target population: {NEVER[key]}")
        if not population and key in ONLY:
            raise TransportError(f"{shown} is {ONLY[key]}: it goes with --target population")
    if population and options.n and (options.groups or options.ties == "copies"):
        raise TransportError(
            "--n draws samples, and so the larger groups more often than others; leave --n out, or give smaller files"
        )


def measure(a: Source, b: Source, metric: Metric, options: Options) -> tuple[Estimate | None, Penalised | None]:
    """The interval of a critic with a proven constant; or, of one without, its estimate."""
    name, minutes = options.critic, options.max_minutes
    shape = tuple(a.values.shape[1:])
    if shape != tuple(b.values.shape[1:]):
        raise TransportError(f"A and B hold samples of different shapes, {shape} and {tuple(b.values.shape[1:])}")
    metric.distance(a.values[:1].double(), b.values[:1].double())  # a norm that these samples do not fit says so
    width, steps, seed = options.width, options.critic_steps, options.seed
    budget = Budget(minutes=minutes or 1.0, steps=steps, most=minutes or math.inf)
    proven = _proven(name, shape, metric)
    if options.penalty is not None and proven:
        raise TransportError(f"--penalty: {name} is 1-Lipschitz by construction and needs none; leave one of both out")
    if not proven and (options.support or options.diameter):
        raise TransportError(f"{name} proves no bound, and so gives no interval; take --critic lipschitz-cones")
    dependent = {"paired": options.paired, "groups_a": a.labels, "groups_b": b.labels, "ties": options.ties}
    with output.waiting(_work(options)):
        if proven:
            return population_distance(
                a.values, b.values, metric, confidence=options.confidence, within=options.support,
                diameter=options.diameter, **dependent, model=name, width=width or 256, budget=budget,
                max_minutes=minutes, seed=seed,
            ), None  # fmt: skip
        cost = partial(gradient_penalty, kind=penalty(options.penalty or "wgan-gp"))
        return None, penalised_estimate(
            a.values, b.values, metric, cost, **dependent, model=name, width=width, budget=budget, seed=seed
        )


def _work(options: Options) -> str:
    """What is computed, for the progress line."""
    minutes, steps = options.max_minutes, options.critic_steps
    if options.support or options.diameter:
        return "bounding W1 of the samples, training a critic" + (f": {minutes:g} minutes" if minutes else "")
    return "training a critic" + (f" for {minutes or 1:g} minutes" if steps is None else "")


def _proven(name: str, shape: tuple[int, ...], metric: Metric) -> bool:
    """Whether critics of this family are 1-Lipschitz by construction in the metric."""
    bound = lipschitz_bound(build_critic(name, shape, width=8, space=metric), metric, shape)
    return MODELS[name].critic_in is not None and bound is not None


def facts(found: Estimate | None, guess: Penalised | None) -> dict[str, Any]:
    """The result for JSON; numbers that are not finite become null."""
    if found is not None:
        told = found.as_dict() | {
            "memory_mb": output.peak_megabytes(),
            "kappa": 1.0,
            "kappa_is": "proven",
            "is_bound": True,
        }
        return {key: None if isinstance(one, float) and not math.isfinite(one) else one for key, one in told.items()}
    assert guess is not None
    return {"value": guess.value, "lower": None, "upper": None, "target": "population", "method": "penalised critic",
            "gap": guess.gap, "kappa": guess.kappa, "kappa_is": "measured", "kappa_points": guess.points,
            "is_bound": False, "seconds": guess.seconds, "memory_mb": output.peak_megabytes()}  # fmt: skip


def lines(
    a: Source, b: Source, metric: Metric, found: Estimate | None, guess: Penalised | None, options: Options
) -> Iterator[str]:
    """The lines of the printed result."""
    yield from told_of(a, b, metric)
    if found is not None:
        yield from _interval_lines(found, options.confidence)
    elif guess is not None:
        yield from _estimate_lines(guess)
    yield "of        the distributions that A and B were drawn from (population), not of these samples"
    sizes = (mean_length(one.values, metric) for one in (a, b))
    if not any(map(math.isnan, lengths := list(sizes))):
        yield f"scale     E|X| is {lengths[0]:.4g} in A, {lengths[1]:.4g} in B"


def _interval_lines(found: Estimate, confidence: float) -> Iterator[str]:
    share = f"at {percent(confidence)} confidence"
    if found.upper == math.inf:
        yield f"W1        at least {found.lower:.6g} {share}; about {found.value:.6g} by the critic"
    else:
        yield f"W1        from {found.lower:.6g} to {found.upper:.6g} {share}; about {found.value:.6g} by the critic"
    yield f"lower     {found.reasons[0]}"
    yield f"upper     {found.reasons[1]}"
    yield "kappa     1, proven: the critic rises by no more than the distance, so its gap is at most W1, not kappa W1"
    differ = f"the distributions differ, by at least {found.lower:.4g} ({share})"
    yield f"so        {differ if found.lower > 0 else f'no evidence that the distributions differ ({share})'}"
    yield f"took      {found.seconds:.1f} s of training{output.peak_said('; ')}"


def _estimate_lines(guess: Penalised) -> Iterator[str]:
    yield f"W1        about {guess.value:.6g}: not a bound"
    yield f"          the critic's gap on held-out samples, {guess.gap:.6g}, over kappa, {guess.kappa:.4g}"
    yield f"kappa     {guess.kappa:.4g}, measured: the largest slope at {guess.points:,} places; a steeper one may lie"
    yield "          elsewhere (then this is too high), and a better critic may exist (then it is too low)"
    yield "bound     none: take --critic lipschitz-cones, whose kappa is proven"
    yield f"took      {guess.seconds:.1f} s of training{output.peak_said('; ')}"
