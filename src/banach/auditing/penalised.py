"""The questions about the penalty: which slope, where, in which norm, towards what, and does it teach the critic."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from banach.auditing.curves import Curve, fitted
from banach.auditing.findings import Finding, Verdict, capital
from banach.auditing.loop import AuditError
from banach.auditing.norms import AGREES
from banach.auditing.points import Points, place_of
from banach.auditing.probe import Bench, Unseen, derivative, slope_of
from banach.errors import BanachError

NEEDS_PENALTY = ("weights", "points", "samples", "norm", "target", "flat")
DRAWS = 8
_FAR = 2.0
"""A value of the critic at which the penalty must cost what it costs at 0."""


@dataclass(frozen=True)
class Penalised:
    """What is known once the cost of the slope is read off: the bench in a precision that works, and the curve."""

    bench: Bench
    curve: Curve
    precision: float

    def curve_of(self, bench: Bench, direction: Tensor | None = None, **given: float) -> Curve:
        """The curve on another batch, along another direction, or at other values of the critic; Unseen if none."""
        try:
            near = 4 * self.curve.target or 1 / self.curve.scale
            found = fitted(lambda s: bench.value(direction=direction, slope=s, **given), self.precision, near)
        except (AuditError, ValueError) as error:
            raise Unseen(str(error)) from error
        if found is None:
            raise Unseen("the cost of the slope is gone")
        return found


def penalised(bench: Bench) -> Penalised:
    """The cost of the slope, in float64 where the loss takes it; Unseen where there is none or it is no known shape."""
    wide = Bench(bench.loop, bench.real.double(), bench.fake.double(), bench.trailing)
    try:
        wide.value(slope=1.0)
        precision = 1e-3
    except (AuditError, Unseen):
        wide, precision = bench, 1e-2
    if not math.isfinite(wide.value()):
        wide = replace(wide, base=0.5)
    if not math.isfinite(wide.value()):
        raise Unseen("the loss is not finite where the scores are 0, and where they are 1/2")
    if wide.value(slope=1.0) != wide.value(slope=1.0):
        raise Unseen(
            "the loss differs from call to call with the same draws: it counts steps, or draws from a generator "
            "of its own"
        )
    try:
        curve = fitted(lambda s: wide.value(slope=s), precision)
    except ValueError as error:
        raise Unseen(f"the cost of the slope is of no known shape: {error}") from error
    if curve is None:
        raise Unseen("")
    return Penalised(wide, curve, precision)


def slope(of: Penalised, squashed: bool) -> Finding:
    """Whether the function whose slope is penalised is the one in the loss."""
    shape = f"{of.curve.kind} penalty that grows with the power {of.curve.growth:.3g} of the slope"
    away = 0.25 if of.bench.base else _FAR
    far = of.curve_of(of.bench, everywhere=away)
    bent = abs(far.scale / of.curve.scale - 1)
    numbers = {"growth": of.curve.growth, "scale": of.curve.scale, "scale_elsewhere": far.scale}
    if squashed and bent <= AGREES:
        return Finding(
            "slope",
            "fault",
            f"The loss squashes the critic's score (it is bounded for scores of both signs), the {shape} is on the "
            "score before that: the slope of what is trained is not held at anything.",
            "loss = D(fake).mean() - D(real).mean() + weight * penalty  # D itself: no tanh, no sigmoid around it",
            numbers,
        )
    if not squashed and bent > AGREES:
        return Finding(
            "slope",
            "fault",
            f"A {shape}, but of another function than the loss has: where the critic's value is {away:g} more, the "
            f"same slope of it counts {far.scale / of.curve.scale:.3g} times as much.",
            "penalty of the gradient of D(x) itself: torch.autograd.grad(D(x).sum(), x, create_graph=True)[0]",
            numbers,
        )
    return Finding("slope", "ok", f"A {shape} of the function in the loss.", numbers=numbers)


def no_penalty(of: Bench, reason: str) -> Finding:
    """The answer where no cost of the slope was found."""
    parts = parts_differentiated(of)
    if parts:
        return Finding(
            "slope",
            "fault",
            f"The critic's own slope costs nothing, but the loss takes a gradient through {', '.join(parts)}, a part "
            "of the critic: the slope of a part is no slope of the critic.",
            "gradient, = torch.autograd.grad(D(x).sum(), x, create_graph=True)",
        )
    said = reason or (
        "The loss does not depend on the critic's gradient. Clipping, spectral norms, layers that are "
        "1-Lipschitz or differences between points may bound the slope; none of them is looked at here"
    )
    return Finding("slope", "could not tell", _sentence(said))


def parts_differentiated(of: Bench) -> list[str]:
    """Parts of the critic that the loss calls by themselves, and whose input it differentiates."""
    critic = of.loop.critic
    if not isinstance(critic, nn.Module):
        return []
    called: set[str] = set()

    def value(act: Callable[[str, tuple], tuple | None]) -> float | None:
        hooks = [
            part.register_forward_pre_hook(lambda _, x, name=name: act(name, x))
            for name, part in critic.named_modules()
            if part is not critic
        ]
        try:
            return of.value(slope=0.0)
        except BanachError:
            return None
        finally:
            for hook in hooks:
                hook.remove()

    def cut(_: str, x: tuple) -> tuple:
        return tuple(one.detach() if isinstance(one, Tensor) else one for one in x)

    before = value(lambda name, _: called.add(name))
    if before is None or not called or value(cut) == before:
        return []
    return sorted(name for name in called if not any(name.startswith(f"{other}.") for other in called))


def weights(of: Penalised) -> Finding:
    """Whether the derivative that autograd has of the penalty is its derivative."""
    at = 3 * of.curve.target or 8 / of.curve.scale
    rise = slope_of(lambda s: of.bench.value(slope=s), at, 1e-3 * at)
    if not math.isfinite(rise) or not rise:
        raise Unseen("the penalty has no rise where it was expected to have one")
    seen = derivative(of.bench, "slope", at)
    share = seen / rise
    numbers = {"autograd": seen, "measured": rise}
    said = f"The penalty rises by {rise:.4g} for each unit of slope; autograd sees {seen:.4g}"
    if abs(share - 1) <= 0.02:
        return Finding("weights", "ok", f"{said}: the critic learns from it.", numbers=numbers)
    if abs(share) <= 0.02:
        said += ": the penalty is a constant to the critic. create_graph=True is missing, or it is detached"
    else:
        said += ": part of it is detached"
    remedy = (
        "gradient, = torch.autograd.grad(D(x).sum(), x, create_graph=True)  # no .detach(), .data, .item() or "
        "no_grad() after it, and D itself, no copy"
    )
    return Finding("weights", "fault", f"{said}.", remedy, numbers)


def points(of: Penalised) -> Finding:
    """Where the slope is taken."""
    found = _places(of)
    places = {one.place for one in found}
    if places == {"segment"}:
        return _on_segments(of, found)
    if places == {"box"}:
        return Finding(
            "points",
            "fault",
            "Each entry of a sample is interpolated by a weight of its own: the points lie in the box between real and "
            "fake, not on the segment.",
            _interpolation(of),
            {"spread": float(found[0].weights.max() - found[0].weights.min())},
        )
    if places <= {"reals", "fakes", "both"}:
        where = "reals and fakes" if places != {"reals"} and places != {"fakes"} else "".join(places)
        if where == "reals and fakes" or of.curve.kind == "zero-centred":
            return Finding("points", "ok", f"The slope is taken at the {where}, as R1, R2 and others do.")
        return Finding(
            "points",
            "fault",
            f"A slope is asked for at the {where} alone: nothing holds it on the way between real and fake, where it "
            "is what W1 is made of.",
            _interpolation(of),
        )
    return Finding(
        "points",
        "could not tell",
        "The slope is taken neither at the samples nor on segments between them; "
        "noise, augmentation and attacks have such points.",
    )


def _interpolation(of: Penalised) -> str:
    ones = ", 1" * len(of.bench.loop.event)
    return (
        f"t = torch.rand(len(real){ones}, device=real.device)  # uniform, one for each sample\n"
        "x = (t * real + (1 - t) * fake).detach().requires_grad_()"
    )


def _places(of: Penalised) -> list[Points]:
    """Where the penalised calls of several draws lie; Unseen where that cannot be seen."""
    which = _penalised_calls(of)
    found = []
    for draw in range(DRAWS):
        bench = replace(of.bench, draw=of.bench.draw + draw)
        probe = bench.probe(slope=1.0)
        bench.loss(probe)
        at = [one for index, one in enumerate(probe.calls) if index in which]
        seen = [one for one in at if one is not None]
        if len(seen) < len(at) or not seen:
            raise Unseen("the points are inside a transform of torch.func and cannot be read")
        found.append(place_of(torch.cat(seen), bench.real, bench.fake))
    return found


def _penalised_calls(of: Penalised) -> set[int]:
    """Which of the critic's calls the slope is taken at: those whose slope the loss depends on."""
    steep = 4 * of.curve.target or 1 / of.curve.scale
    first = of.bench.probe(slope=0.0)
    flat = float(of.bench.loss(first).detach())
    if len(first.calls) > 2 * len(of.bench.real):
        raise Unseen(f"the critic is called {len(first.calls)} times in one loss")
    changed = {
        at
        for at in range(len(first.calls))
        if abs(of.bench.value(slope=steep, only=at) - flat) > 1e-6 * (1 + abs(flat))
    }
    if not changed:
        raise Unseen("no single call of the critic carries the penalty")
    return changed


def _on_segments(of: Penalised, found: list[Points]) -> Finding:
    t = torch.cat([one.weights for one in found])
    low, high = float(t.min()), float(t.max())
    outside = int(((t < -1e-6) | (t > 1 + 1e-6)).sum())
    numbers = {"lowest": low, "highest": high, "outside": float(outside), "drawn": float(len(t))}
    if outside:
        return Finding(
            "points",
            "fault",
            f"The weights of the interpolation run from {low:.2f} to {high:.2f}; {outside} of {len(t)} are outside "
            "[0, 1]: these points are on the line beyond real and fake, not between them.",
            _interpolation(of),
            numbers,
        )
    spread = max(float(one.weights.max() - one.weights.min()) for one in found)
    if spread <= 1e-6:
        middle = len({round(float(one.weights[0]), 6) for one in found}) == 1
        said = f"always {float(t[0]):.3g}" if middle else "one number for the whole batch, drawn anew each time"
        return Finding(
            "points",
            "warning",
            f"The weight of the interpolation is {said}: the slope is seen at few places of a segment.",
            _interpolation(of),
            {**numbers, "spread": spread},
        )
    share = high - low
    said = f"On the segments: one weight a sample, from {low:.2f} to {high:.2f} in {len(t)} draws."
    if share < 0.5:
        return Finding("points", "warning", f"{said} That is a part of each segment only.", _interpolation(of), numbers)
    return Finding("points", "ok", said, numbers=numbers)


def samples(of: Penalised) -> Finding:
    """Whether the penalty is a mean over samples, each with its own slope."""
    half = of.curve_of(of.bench.half())
    moved = half.target / of.curve.target if of.curve.target else 1.0
    heavier = (of.curve.scale / half.scale) ** of.curve.growth
    numbers = {"weight_ratio": heavier, "target_ratio": moved}
    if abs(moved - 1) > 3 * AGREES:
        return Finding(
            "samples",
            "fault",
            f"On half of the batch the slope that is asked for is {moved:.3g} times that on the whole: the norm is "
            "taken of the gradient of the whole batch, or of the gradient of a mean.",
            _flattened(),
            numbers,
        )
    mixed = _mixed(of)
    if mixed:
        return Finding("samples", "fault", mixed, _flattened(), numbers)
    if abs(heavier - 2) < 0.1:
        return Finding(
            "samples",
            "warning",
            "One slope a sample, but their costs are added: on half of the batch the penalty weighs half.",
            "penalty = (norm - 1).square().mean()",
            numbers,
        )
    return Finding(
        "samples", "ok", "One slope a sample; their costs are averaged, or the largest is taken.", numbers=numbers
    )


def _flattened() -> str:
    return (
        "gradient, = torch.autograd.grad(D(x).sum(), x, create_graph=True)  # of the sum, not of the mean\n"
        "penalty = (gradient.flatten(1).norm(dim=1) - 1).square().mean()  # mean last, over samples"
    )


def _mixed(of: Penalised) -> str:
    """What is wrong where samples have two different slopes; "" where the cost is that of the mean or the largest."""
    low = of.curve.target or 1 / of.curve.scale
    high = 5 * low

    def cost(s: float, odd: float | None = None) -> float:
        return of.bench.value(slope=s, odd=odd)

    found, each = cost(low, high), (cost(low) + cost(high)) / 2
    near = 0.01 * abs(cost(high) - cost(low))
    if abs(found - each) <= near or abs(found - cost(high)) <= near:
        return ""
    if abs(found - cost((low + high) / 2)) <= near:
        return "The cost is that of the mean slope: steep samples are paid for by flat ones."
    if abs(found - cost(math.sqrt((low**2 + high**2) / 2))) <= near:
        return "The cost is that of one norm over the whole batch: steep samples are paid for by flat ones."
    raise Unseen("the costs of the samples are put together in a way that is no mean, maximum or norm")


def flat(of: Penalised) -> Finding:
    """Whether the penalty has a finite gradient where the critic's slope is 0."""
    found = derivative(of.bench, "slope", 0.0)
    verdict: Verdict = "ok" if math.isfinite(found) else "fault"
    if verdict == "ok":
        return Finding(
            "flat",
            "ok",
            f"Where the slope is 0, the penalty's derivative is {found:.3g}.",
            numbers={"derivative": found},
        )
    return Finding(
        "flat",
        "fault",
        "Where the slope of one sample is 0, the penalty's gradient is not finite: the root of a sum of "
        "squares has no derivative there. One such sample ends the training.",
        "norm = gradient.flatten(1).norm(dim=1)  # or (gradient.square().flatten(1).sum(1) + 1e-12).sqrt()",
        {"derivative": found},
    )


def _sentence(said: str) -> str:
    said = capital(said.strip())
    return said if said.endswith(".") else f"{said}."
