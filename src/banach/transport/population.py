"""W1 of the distributions behind two samples: a confidence interval from a critic that is Lipschitz by construction.

A critic f with Lipschitz constant L in the norm, clamped to an interval [low, high] that was fixed beforehand, still
has the constant L, and is bounded; so (E_P f - E_Q f)/L is a lower bound of W1(P, Q), and its expectations are known up
to a margin from samples that neither trained the critic nor chose the interval. The samples are therefore split in
three: one part trains, one selects (checkpoint, low, high), and one is read once.
"""

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from banach.models import build_critic, lipschitz_bound, start_at_
from banach.spaces import Metric, space
from banach.transport.axioms import check_dual, check_metric
from banach.transport.confidence import (
    EACH,
    OUTWARDS,
    Clamp,
    Grouping,
    Support,
    check_confidence,
    choose_clamp,
    lower_bound,
    support,
    upper_from_diameter,
    upper_from_pairs,
)
from banach.transport.dependence import Labels, Ties, Units, units
from banach.transport.distance import distance
from banach.transport.estimate import Estimate, TransportError
from banach.transport.samples import Samples, read
from banach.transport.splits import Parts, parts, prepared

__all__ = ["Budget", "Clamp", "Parts", "Trained", "certified", "choose_clamp", "lower_bound", "parts",
           "population_distance", "train", "upper_from_diameter", "upper_from_pairs", "values"]  # fmt: skip

Critic = Callable[[Tensor], Tensor]

_BLOCK = 1024
_FEW = 8


@torch.no_grad()
def values(critic: Critic, x: Tensor) -> Tensor:
    """f(x_i) in float64, in blocks."""
    return torch.cat([critic(block).double().flatten() for block in x.split(_BLOCK)])


@dataclasses.dataclass(frozen=True)
class Trained:
    """A critic, its Lipschitz constant in the space, and the clamp that was fixed on the samples that select.

    `unit`: how much of the data's units one of the critic's is.
    """

    critic: nn.Module
    lipschitz: float
    clamp: Clamp
    seconds: float = 0.0
    unit: float = 1.0


def certified(
    trained: Trained,
    x: Tensor,
    y: Tensor,
    space: Metric,
    confidence: float = 0.95,
    bound: tuple[float, str] = (math.inf, ""),
    groups: tuple[Grouping, Grouping] = (EACH, EACH),
) -> Estimate:
    """The interval of the population's W1 from held-out samples x of P and y of Q, on which nothing was selected.

    With an upper bound (that itself holds with probability 1 - delta/2; with it the words that say where it is from)
    delta is halved between the two sides. Samples are in the critic's units, bounds in the data's.
    """
    upper, why = bound
    delta = 1 - check_confidence(confidence)
    side = delta / 2 if upper < math.inf else delta
    f = copy.deepcopy(trained.critic).double().eval()  # what is proven of the weights is proven of exact arithmetic
    x, y, unit, clamp = x.double(), y.double(), trained.unit, trained.clamp
    constant = _constant(f, space, tuple(x.shape[1:])) * (1 + OUTWARDS)
    f_x, f_y = values(f, x), values(f, y)
    if not bool(f_x.isfinite().all() & f_y.isfinite().all()):
        raise TransportError("the critic's values on the held-out samples are not finite; rescale the samples")
    lower = unit * max(0.0, lower_bound(f_x, f_y, clamp, constant, side, groups) - _rounding(x, y, space, clamp))
    gap = unit * float(groups[0].means(f_x).mean() - groups[1].means(f_y).mean()) / constant
    lower = min(lower, upper)
    below = (
        f"a critic with Lipschitz constant {constant:.9g} by construction, clamped to [{unit * clamp.low:.4g}, "
        f"{unit * clamp.high:.4g}] before {_counted(x, groups[0])} + {_counted(y, groups[1])} held-out samples were "
        f"read; empirical Bernstein margins, confidence {confidence!r}"
    )
    return Estimate(
        value=min(max(gap, lower), upper),
        lower=lower,
        upper=upper,
        target="population",
        method="critic",
        reasons=(below, why or "none: no bound on the support of the distributions was stated (--support, --diameter)"),
        space=repr(space),
        seconds=trained.seconds,
    )


def _counted(x: Tensor, of: Grouping) -> str:
    """How many samples, and how many independent groups where these are fewer."""
    groups = of.count(x)
    said = f"{len(x):,}" if groups == len(x) else f"{len(x):,} (in {groups:,} independent groups of equal weight)"
    return (
        said if of.doubtful is None else f"{said} ({int(of.doubtful.sum()):,} equal others, counted in the worst way)"
    )


def _rounding(x: Tensor, y: Tensor, space: Metric, clamp: Clamp) -> float:
    """What float64 may do to both means: by the distances that a critic is made of, its range, and the norm's maps."""
    reach = max(float(space.distance(one, y[:1].expand_as(one)).max()) for one in (x, y))
    lost = 4 * max(float(space.rounding(one).max()) for one in (x, y))
    return (x[0].numel() + 64) * 2.0**-50 * 2 * reach + OUTWARDS * clamp.extent + lost


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long a critic trains (`steps`, or where None `minutes`), with which batch and rate of Adam, falling to 0.

    After `most` minutes training ends also short of its steps.

    Where batch or rate are None they are 512 and 0.01 for samples of up to 8 numbers, 256 and 0.03 for larger ones,
    whose steps are dear and whose cones have far to go (docs/distance.md was measured so).
    """

    minutes: float = 1.0
    steps: int | None = None
    batch: int | None = None
    lr: float | None = None
    checks: int = 20
    """Number of evaluations on the selecting part during training."""
    most: float = math.inf

    def done(self, steps: int, seconds: float) -> float:
        """The share of the training that is done after these steps and seconds, 1 at its end.

        >>> Budget(minutes=2).done(7, 60), Budget(steps=4).done(3, 60), Budget(steps=4, most=1).done(3, 60)
        (0.5, 0.75, 1.0)
        """
        if seconds >= 60 * self.most:
            return 1.0
        return min(1.0, steps / self.steps if self.steps else seconds / (60 * self.minutes))

    def batch_and_rate(self, entries: int) -> tuple[int, float]:
        """Batch size and learning rate, for samples of this many numbers.

        >>> Budget().batch_and_rate(784), Budget(lr=1.0).batch_and_rate(2)
        ((256, 0.03), (512, 1.0))
        """
        batch, lr = (512, 1e-2) if entries <= _FEW else (256, 3e-2)
        return self.batch or batch, lr if self.lr is None else self.lr


def train(
    critic: nn.Module,
    space: Metric,
    of: tuple[Parts, Parts],
    rng: torch.Generator,
    budget: Budget = Budget(),
    confidence: float = 0.95,
    report: Callable[[float, float], None] | None = None,
) -> Trained:
    """Raise E f(x) - E f(y) over the training parts by Adam, and keep the critic that is best on the selecting part.

    The critic's constant L is proven anew from its weights at each check (`lipschitz_bound`), and divided out; a critic
    of which none is proven is refused (TransportError). `report` is told the share done and the gap so far.
    """
    began, delta, (x, y) = time.perf_counter(), 1 - check_confidence(confidence), of
    best, found, done, judged, step = -math.inf, None, 0.0, 0, 0
    batch, lr = budget.batch_and_rate(x.train[0].numel())
    optimizer = torch.optim.Adam(critic.parameters(), lr, betas=(0.9, 0.99))
    while done < 1:
        done = budget.done(step, time.perf_counter() - began)
        if done * budget.checks >= judged or done >= 1:
            judged += 1
            promise, clamp, constant, gap = _judged(critic, space, x, y, delta)
            if report is not None:
                report(done, gap)
            if promise > best or found is None:
                best, found = promise, (copy.deepcopy(critic.state_dict()), clamp, constant)
        if done < 1:
            _step(critic, optimizer, lr * (1 - done), x.batch(batch, rng), y.batch(batch, rng))
            step += 1
    assert found is not None
    weights, clamp, constant = found
    critic.load_state_dict(weights)
    return Trained(critic, constant, clamp, time.perf_counter() - began)


def _step(critic: nn.Module, optimizer: torch.optim.Optimizer, lr: float, a: Tensor, b: Tensor) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    (critic(b).mean() - critic(a).mean()).backward()
    optimizer.step()


def _judged(critic: nn.Module, space: Metric, x: Parts, y: Parts, delta: float) -> tuple[float, Clamp, float, float]:
    """The lower bound that the selecting part promises for the held-out part, its clamp, the constant, and the gap."""
    constant = _constant(critic, space, tuple(x.select.shape[1:]))
    f_x, f_y = values(critic, x.select), values(critic, y.select)
    held_out = (x.groups[2].count(x.held_out), y.groups[2].count(y.held_out))
    clamp, promise = choose_clamp(f_x, f_y, constant, delta, held_out, (x.groups[1], y.groups[1]))
    return promise, clamp, constant, float(f_x.mean() - f_y.mean()) / constant


def _constant(critic: nn.Module, space: Metric, shape: tuple[int, ...]) -> float:
    """The critic's proven constant; `TransportError` if there is none."""
    constant = lipschitz_bound(critic, space, shape)
    if constant is None or not constant > 0:
        raise TransportError(
            f"no Lipschitz constant of {type(critic).__name__} is proven in {space!r}: "
            "choose a critic that is Lipschitz by construction, such as lipschitz-cones"
        )
    return constant


def population_distance(
    x: Tensor,
    y: Tensor,
    metric: str | Metric = "Lp(2)",
    *,
    confidence: float = 0.95,
    within: str | None = None,
    diameter: float | None = None,
    paired: bool = False,
    groups_a: Labels | None = None,
    groups_b: Labels | None = None,
    ties: Ties | None = None,
    model: str = "lipschitz-cones",
    width: int = 256,
    budget: Budget = Budget(),
    max_minutes: float | None = None,
    seed: int = 0,
    report: Callable[[float, float], None] | None = None,
) -> Estimate:
    """W1 of the distributions P and Q that x (n, *event) and y (m, *event) are samples of, in a confidence interval.

    The lower end is a critic's, Lipschitz by construction, on samples that it has not seen. The upper end needs the
    diameter of the common support, from `within` ("box:0,1") or as a number `diameter`: W1 of the samples plus
    D sqrt(ln(1/delta)/2 (1/n + 1/m)), or of `paired` samples the mean distance plus its margin, if that is less.

    Rows are independent but for what is said: `paired` rows i of x and y, rows of one label (`groups_a`, `groups_b`; a
    label means the same in both), equal rows where `ties` is "copies", not "independent". Such rows go to one part, and
    P is that of a row drawn from a group drawn at random. With `ties` open, 1% of equal rows may count at their worst.

    `max_minutes` bounds the upper end (two thirds at most) and then the training. `TransportError` for what is refused.

    >>> rng = torch.Generator().manual_seed(0)
    >>> x = torch.randn(400, 2, generator=rng)
    >>> found = population_distance(x, torch.randn(400, 2, generator=rng) + 3, width=16, budget=Budget(steps=20))
    >>> found.target, found.lower < 3 * 2**0.5, found.upper
    ('population', True, inf)
    """
    began, metric, given = time.perf_counter(), space(metric), read(x, y)
    delta = 1 - check_confidence(confidence)
    _check_minutes(max_minutes)
    check_metric(metric, given.x, given.y, between=True)
    check_dual(metric, given.x, given.y)
    together = units(given, paired, groups_a, groups_b, ties)
    rng, shape = torch.Generator().manual_seed(seed), tuple(given.x.shape[1:])
    if (known := support(within, diameter, metric, shape, given.x.dtype)) is not None:
        known.check(metric, given.x, given.y)
    of_x, of_y, into = prepared(metric, given, together, rng)
    critic = build_critic(model, shape, width=width, rng=rng, space=metric).to(into.dtype)
    start_at_(critic, of_x.train, of_y.train, rng)
    _constant(critic, metric, shape)  # refused at once if there is none
    # A solver that is out of time may take as long again to bound what it has.
    bound = _upper(given, together, metric, known, delta / 2, paired, max_minutes and max_minutes / 3)
    if max_minutes is not None:
        left = max(max_minutes - (time.perf_counter() - began) / 60, 1e-9)
        budget = dataclasses.replace(budget, minutes=left, most=left)
    trained = train(critic, metric, (of_x, of_y), rng, budget, confidence, into.told(report))
    trained, groups = dataclasses.replace(trained, unit=into.unit), (of_x.groups[2], of_y.groups[2])
    found = certified(trained, of_x.held_out, of_y.held_out, metric, confidence, bound, groups)
    return dataclasses.replace(found, reasons=(found.reasons[0] + together.said, found.reasons[1]))


def _check_minutes(max_minutes: float | None) -> None:
    if max_minutes is not None and not 0 < max_minutes < math.inf:
        raise TransportError(f"max_minutes = {max_minutes!r}; give a positive number of minutes, or leave it out")


def _upper(
    given: Samples,
    of: Units,
    metric: Metric,
    known: Support | None,
    delta: float,
    paired: bool,
    max_minutes: float | None,
) -> tuple[float, str]:
    """The smaller of the bounds from the samples' own W1 and from a known coupling, which share delta.

    None, and no words, where no support is known.
    """
    if known is None:
        return math.inf, ""
    share = delta / 2 if paired else delta
    sides = {"weights_a": of.weights(of.a), "weights_b": of.weights(of.b)}
    weights: dict[str, Any] = {name: one for name, one in sides.items() if one is not None}
    empirical = distance(given.x, given.y, metric, **weights, max_minutes=max_minutes).upper
    (n, doubt), (m, other) = of.counts(of.a), of.counts(of.b)
    # If they are copies, the doubtful ones are not drawn; without them W1 of the samples may be so much more.
    lost = known.diameter * (doubt / n + other / m)
    bound = upper_from_diameter(empirical + lost, n - doubt, m - other, known.diameter, share, of.shared)
    why = f"W1 of the samples, {empirical:.4g}, and {known.said}, {known.diameter:.4g}; confidence {1 - 2 * delta:.15g}"
    if paired:
        sides = given.x.double(), given.y.double()
        lengths = metric.distance(*sides) + sum(metric.rounding(one - sides[1][:1]) for one in sides)
        together = upper_from_pairs(lengths, known.diameter, share, of.grouping())
        if together < bound:
            return together, f"the mean distance of the given pairs, and {known.said}, {known.diameter:.4g}"
    return bound, why
