"""The questions about the size of the slope: in which norm it is taken, and which slope is asked for."""

import math

from banach.auditing.findings import Finding, capital
from banach.auditing.norms import Match, candidates, matching, mean_square
from banach.auditing.penalised import Penalised
from banach.auditing.probe import directions


def measured_in(of: Penalised) -> Match | None:
    """The norm that fits along all directions."""
    along = directions(of.bench.real)
    curves = [of.curve_of(of.bench, one) for one in along]
    return matching(curves, along, candidates(of.bench.loop.event, of.bench.loop.space))


def norm(of: Penalised, match: Match | None) -> Finding:
    """Which norm of the gradient it is."""
    space = of.bench.loop.space
    if match is None:
        tried = "the l^1, l^2 and l^inf norms" if space is None else f"the dual norm of {space!r}, l^1, l^2 and l^inf"
        return Finding(
            "norm",
            "could not tell",
            f"None of those that were tried: {tried}, whole or along some axes; say which with space=….",
        )
    numbers = {"weight": match.weight, "target": match.target}
    if not match.measure.whole:
        return Finding(
            "norm",
            "fault",
            f"{match.measure.name[0].upper()}{match.measure.name[1:]}.",
            "norm = gradient.flatten(1).norm(dim=1)  # one number for each sample",
            numbers,
        )
    found = match.measure.distance
    if space is not None and found != space:
        return Finding(
            "norm",
            "fault",
            f"{capital(match.measure.name)}, which belongs to distances in {found!r}; you said {space!r}.",
            f'penalty = banach.gradient_penalty(D, real, fake, banach.space("{space!r}"))',
            numbers,
        )
    return Finding("norm", "ok", f"{capital(match.measure.name)}: distances are those in {found!r}.", numbers=numbers)


def target(of: Penalised, match: Match) -> Finding:
    """Which slope is asked for, and how that changes with the resolution."""
    t, event = match.target, of.bench.loop.event
    numbers = {"target": t, "weight": match.weight}
    if not t:
        return Finding(
            "target",
            "ok",
            "0: a zero-centred penalty. It asks for no slope, so what the critic's gap is worth in "
            "units of distance is not fixed.",
            numbers=numbers,
        )
    order = _order(of, match)
    numbers = {**numbers, "order": order}
    if math.isnan(order):
        said = f"{t:.4g}; the loss does not take this batch at twice the resolution, so another was not tried"
        return Finding("target", "ok" if abs(t - 1) <= 0.02 else "warning", f"{said}.", numbers=numbers)
    if abs(order + 0.5) <= 0.05 and any(abs(t / one - 1) <= 0.02 for one in mean_square(event)):
        return Finding(
            "target",
            "ok",
            f"{t:.4g}, and it falls like the root of the number of entries: slope 1 in the "
            "mean-square norm, at every resolution.",
            numbers=numbers,
        )
    if abs(order) > 0.05:
        return Finding(
            "target",
            "fault",
            f"{t:.4g} for {math.prod(event)} entries, and with n entries it goes like n^{order:.2g}: it is neither "
            "constant (l^2) nor like n^-0.5 (mean square), so another resolution is another problem.",
            "target = 1  # l^2; or 1 / math.sqrt(x[0].numel()) for the mean-square norm, both of the sum of squares",
            numbers,
        )
    if abs(t - 1) > 0.02:
        return Finding(
            "target",
            "warning",
            f"{t:.4g} at every resolution: the critic's gap is {t:.4g} times a distance.",
            f"divide what you log by {t:.4g}, or ask for slope 1",
            numbers,
        )
    return Finding("target", "ok", "1 at every resolution.", numbers=numbers)


def _order(of: Penalised, match: Match) -> float:
    """The power of the number of entries with which the target goes; nan where the loss takes one resolution only."""
    fine = of.bench.refined()
    along = directions(fine.real)[0]
    try:
        found = of.curve_of(fine, along).target * float(match.measure.groups(along.double())[0])
    except Exception:  # spaces and losses of one shape raise whatever they like
        return math.nan
    if not found > 0:
        return math.nan
    return math.log(found / match.target) / math.log(fine.real[0].numel() / of.bench.real[0].numel())
