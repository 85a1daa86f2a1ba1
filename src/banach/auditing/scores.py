"""The questions about scores: whether samples are scored alone, what values they take, and what is logged of them."""

import math
import numbers as kinds

import torch
from torch import Tensor, nn

from banach.auditing.findings import Finding, capital
from banach.auditing.kept import seed
from banach.auditing.loop import AuditError, Loop, called
from banach.auditing.probe import SEED, Bench, Unseen
from banach.errors import BanachError
from banach.transport import distance

_SQUASHING = ("Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Hardtanh", "Hardsigmoid", "Clamp", "LogSigmoid")
_PASSED = (
    "View",
    "Squeeze",
    "Reshape",
    "UnsafeView",
    "Unsqueeze",
    "Select",
    "Slice",
    "Alias",
    "Expand",
    "Flatten",
    "Mean",
)


def squashed(bench: Bench) -> bool:
    """Whether the loss is bounded for scores of both signs, of reals or of fakes."""
    for name in ("at_real", "at_fake"):
        far = [bench.value(**{name: sign * size}) for sign in (-1, 1) for size in (1e3, 1e6)]
        moved = abs(far[1] - far[3]) > 1e-6
        if moved and all(abs(far[at] - far[at + 1]) < 1e-3 * (1 + abs(far[at])) for at in (0, 2)):
            return True
    return False


def linear(bench: Bench) -> bool:
    """Whether the loss is linear in the scores, as Wasserstein's is."""
    for name in ("at_real", "at_fake"):
        low, middle, high = (bench.value(**{name: one}) for one in (-8.0, 0.0, 8.0))
        if not math.isfinite(low + middle + high):
            return False  # a logarithm of the score
        if abs(high - low) < 1e-6 or abs(high + low - 2 * middle) > 1e-3 * abs(high - low):
            return False
    return True


def batch(loop: Loop, penalised: bool) -> Finding:
    """Whether the score of a sample depends on those that are scored with it."""
    modes: list[tuple[str, bool | None]] = [("as the critic is", None)]
    if isinstance(loop.critic, nn.Module) and not loop.critic.training:
        modes.append(("in training mode", True))
    for said, mode in modes:
        if mode is not None and isinstance(loop.critic, nn.Module):
            loop.critic.train(mode)
        moved = _moved(loop)
        if moved > 1e-4:
            how = (
                "Mean and deviation of a batch couple its samples: the penalty takes the gradient of a sum of scores, "
                "which is then no gradient of each score."
            )
            return Finding(
                "batch",
                "fault" if penalised else "warning",
                f"{capital(said)}: with other samples beside it a sample's score moves by {moved:.3g} of the deviation "
                f"of scores. {how if penalised else ''}".strip(),
                "norm = nn.GroupNorm(1, channels)  # or nn.LayerNorm, or none, for nn.BatchNorm in the critic",
                {"moved": moved},
            )
    return Finding(
        "batch",
        "ok",
        f"With other samples beside it, a sample's score stays the same ({moved:.1g} of the deviation of scores).",
        numbers={"moved": moved},
    )


def _moved(loop: Loop) -> float:
    """How far the scores of half of the batch move when the other half is another, in deviations of scores."""
    real, n = loop.real, len(loop.real) // 2
    other = torch.cat([real[:n], 3 * real[n:].flip(0) + 1])
    with torch.no_grad():
        seed(SEED)
        first = loop.critic(real.clone()).double().reshape(len(real), -1)
        seed(SEED)
        second = loop.critic(other).double().reshape(len(real), -1)
    size = float(torch.cat([first, second]).std()) or 1.0
    return float((first[:n] - second[:n]).abs().max()) / size


def range_of(loop: Loop, is_linear: bool) -> Finding:
    """Whether the critic ends in a function that squashes."""
    with torch.enable_grad():
        scores = loop.critic(loop.real.clone().requires_grad_())
    low, high = float(scores.detach().min()), float(scores.detach().max())
    last = _last(scores)
    numbers = {"lowest": low, "highest": high}
    if not last:
        return Finding(
            "range",
            "ok",
            f"No squashing function at the end; on this batch from {low:.3g} to {high:.3g}.",
            numbers=numbers,
        )
    if is_linear:
        return Finding(
            "range",
            "fault",
            f"The critic ends in a {last}, and the loss is linear in its score: the score is "
            "bounded, its slope dies where it is, and the gap is no distance.",
            "def forward(self, x): return self.last(x)  # the linear layer's output as it is",
            numbers,
        )
    return Finding(
        "range", "ok", f"The critic ends in a {last}; the loss is not linear in the score, so it may.", numbers=numbers
    )


def _last(scores: Tensor) -> str:
    """The squashing function at the end of a graph; "" where there is none."""
    node = scores.grad_fn
    while node is not None:
        name = node.name().split("::")[-1]
        if name.startswith(_SQUASHING):
            return next(one for one in sorted(_SQUASHING, key=len, reverse=True) if name.startswith(one)).lower()
        if not name.startswith(_PASSED) or not node.next_functions:
            return ""
        node = node.next_functions[0][0]
    return ""


_DISTANCE_LINE = (
    'w1 = banach.distance(real, fake, "{space}")  # an interval; or the gap over the largest slope, as an estimate'
)


def logged(bench: Bench) -> Finding:
    """Whether the logged number is a distance of samples, or a number of the critic."""
    given, loop = bench.loop.logged, bench.loop
    line = _DISTANCE_LINE.format(space="Lp(2)" if loop.space is None else loop.space)
    if given is None:
        return Finding("logged", "could not tell", "logged was not given: a number, or logged(critic, real, fake).")
    if callable(given):
        return _of_function(bench, line)
    value = _number(given)
    if not math.isfinite(value) or value < 0:
        return Finding(
            "logged",
            "fault",
            f"{value:.5g} is no distance: distances are finite and not negative.",
            line,
            {"logged": value},
        )
    with torch.no_grad():
        gap = float(loop.critic(bench.real.clone()).double().mean() - loop.critic(bench.fake.clone()).double().mean())
    if math.isclose(value, abs(gap), rel_tol=1e-3):
        return Finding(
            "logged",
            "fault",
            f"{value:.5g} is the critic's gap on this batch: it doubles with a critic of twice the slope.",
            line,
            {"logged": value, "gap": gap},
        )
    return Finding(
        "logged",
        "could not tell",
        f"{value:.5g} is one number; the critic's gap on this batch is {gap:.5g}. "
        "Give logged(critic, real, fake), the function that makes it.",
        numbers={"logged": value, "gap": gap},
    )


def _number(value: object) -> float:
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value.detach())
    if isinstance(value, kinds.Real):
        return float(value)
    raise AuditError(
        f"logged is {type(value).__name__}; give a number, or a function logged(critic, real, fake) of one"
    )


def _of_function(bench: Bench, line: str) -> Finding:
    loop = bench.loop

    def value(scale: float, shift: float = 0.0, fake: Tensor | None = None, steep: float | None = None) -> float:
        probe = bench.probe(
            at_real=1.0 * scale, at_fake=-0.5 * scale, everywhere=shift, slope=scale if steep is None else steep
        )
        return float(_evaluated(bench, probe, bench.fake if fake is None else fake))

    one, two, shifted = value(1.0), value(2.0), value(1.0, 3.0)
    numbers = {"at_slope_1": one, "at_slope_2": two, "shifted": shifted}
    near = 1e-4 * (abs(one) + 1e-9)
    if abs(shifted - one) > near:
        return Finding(
            "logged",
            "fault",
            f"It goes from {one:.4g} to {shifted:.4g} where 3 is added to the critic, which "
            "changes no loss: it is no distance.",
            line,
            numbers,
        )
    if abs(two - one) <= near and abs(value(1.0, steep=2.0) - one) > near:
        return Finding(
            "logged",
            "ok",
            "It is the same for twice the critic: the critic's gap over its slope. That is an "
            "estimate of a distance, no bound of it.",
            numbers=numbers,
        )
    if abs(two - one) > near:
        return Finding(
            "logged",
            "fault",
            f"It goes from {one:.4g} to {two:.4g} for twice the critic: it is a number of the "
            "critic. A distance is one of the samples alone.",
            line,
            numbers,
        )
    return _of_samples(bench, one, value(1.0, fake=bench.real), line, loop)


def _evaluated(bench: Bench, probe: object, fake: Tensor) -> float:
    loop = bench.loop

    def term(critic: object, real: Tensor, _: Tensor) -> Tensor:
        return torch.tensor(_number(called("logged", loop.logged, critic, real, fake.clone())), dtype=torch.float64)

    return float(bench.minimised(term, probe))  # pyright: ignore[reportArgumentType]


def _of_samples(bench: Bench, found: float, of_equals: float, line: str, loop: Loop) -> Finding:
    """The answer for a number that does not depend on the critic."""
    numbers = {"logged": found, "of_equal_samples": of_equals}
    if found < 0 or abs(of_equals) > 0.02 * abs(found) + 1e-12:
        return Finding(
            "logged",
            "fault",
            f"It does not depend on the critic, but between equal samples it is {of_equals:.4g}, "
            f"and {found:.4g} between these: it is no distance.",
            line,
            numbers,
        )
    space = "Lp(2)" if loop.space is None else loop.space
    try:
        exact = distance(bench.real, bench.fake, space).value
    except BanachError as error:
        raise Unseen(f"it is 0 between equal samples, as a distance is, but W1 was not computed: {error}") from error
    numbers["w1"] = exact
    ratio = found / exact if exact else math.nan
    said = f"{found:.5g}, and 0 between equal samples; W1 of this batch in {space!r} is {exact:.5g}"
    if abs(ratio - 1) <= 0.02:
        return Finding(
            "logged", "ok", f"{said}. It grows smaller with more samples: compare equal numbers.", numbers=numbers
        )
    return Finding("logged", "warning", f"{said}: it is another distance, or another multiple.", line, numbers)
