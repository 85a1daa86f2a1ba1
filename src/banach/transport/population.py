"""W1 of the laws behind two samples: a confidence interval from a critic that is Lipschitz by construction.

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

import torch
from torch import Tensor, nn

from banach.models import build_critic, lipschitz_bound, start_at_
from banach.spaces import Metric, space
from banach.transport.confidence import Support, check_confidence, margin, support
from banach.transport.distance import distance
from banach.transport.estimate import Estimate, TransportError
from banach.transport.samples import read

Critic = Callable[[Tensor], Tensor]

PARTS = (0.5, 0.2, 0.3)
"""The shares of each sample that train the critic, select from it, and are read once."""

_BLOCK = 1024
_FEW = 8


@dataclasses.dataclass(frozen=True)
class Parts:
    """A sample in three independent parts: to train on, to select by, and held out."""

    train: Tensor
    select: Tensor
    held_out: Tensor


def parts(x: Tensor, rng: torch.Generator, shares: tuple[float, float, float] = PARTS) -> Parts:
    """Three disjoint parts of the rows of x in a random order, in the given shares.

    >>> [len(one) for one in dataclasses.astuple(parts(torch.zeros(10, 2), torch.Generator().manual_seed(0)))]
    [5, 2, 3]
    """
    n = len(x)
    first, second = round(shares[0] * n), round((shares[0] + shares[1]) * n)
    if min(first, second - first, n - second) < 2:
        raise TransportError(f"{n} samples are too few for three parts (train, select, held out); give at least 10")
    order = torch.randperm(n, generator=rng)
    return Parts(*(x[rows] for rows in order.tensor_split((first, second))))


@torch.no_grad()
def values(critic: Critic, x: Tensor) -> Tensor:
    """f(x_i) in float64, in blocks."""
    return torch.cat([critic(block).double().flatten() for block in x.split(_BLOCK)])


@dataclasses.dataclass(frozen=True)
class Clamp:
    """The interval that a critic's values are clamped to, fixed before the held-out samples are seen."""

    low: float
    high: float

    @property
    def extent(self) -> float:
        return self.high - self.low

    def __call__(self, f: Tensor) -> Tensor:
        return f.clamp(self.low, self.high)


def lower_bound(f_x: Tensor, f_y: Tensor, clamp: Clamp, lipschitz: float, delta: float) -> float:
    """(E_P f - E_Q f)/L with the clamped f, less both margins; at most W1(P, Q) with probability at least 1 - delta.

    `f_x`, `f_y`: the values at independent samples of P and Q which neither f nor the clamp depends on. Each sample has
    delta/2. Never below 0, which always holds.
    """
    f_x, f_y = clamp(f_x), clamp(f_y)
    slack = sum(margin(one, clamp.extent, delta / 2) for one in (f_x, f_y))
    return max(0.0, (math.fsum(f_x.tolist()) / len(f_x) - math.fsum(f_y.tolist()) / len(f_y) - slack) / lipschitz)


def choose_clamp(
    f_x: Tensor, f_y: Tensor, lipschitz: float, delta: float, held_out: tuple[int, int]
) -> tuple[Clamp, float]:
    """The clamp that promises the largest lower bound, by the samples that select, for held-out samples of those sizes.

    Among the intervals between quantiles of the values, from all of them to the middle 80%: to cut rare values costs
    some of the gap and saves range.
    """
    pooled = torch.cat([f_x, f_y])
    best, chosen = -math.inf, Clamp(float(pooled.min()), float(pooled.max()) + 1e-12)
    for cut in (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1):
        low, high = (float(one) for one in torch.quantile(pooled, torch.tensor([cut, 1 - cut], dtype=pooled.dtype)))
        clamp = Clamp(low, max(high, low + 1e-12))
        a, b = clamp(f_x), clamp(f_y)
        slack = sum(
            math.sqrt(2 * float(one.var()) * math.log(4 / delta) / n) + 7 * clamp.extent * math.log(4 / delta) / (3 * n)
            for one, n in zip((a, b), held_out, strict=True)
        )
        promise = (float(a.mean() - b.mean()) - slack) / lipschitz
        if promise > best:
            best, chosen = promise, clamp
    return chosen, best


def upper_from_diameter(empirical: float, n: int, m: int, diameter: float, delta: float) -> float:
    """W1(P_n, Q_m) + D sqrt(ln(1/delta)/2 (1/n + 1/m)): at least W1(P, Q) with probability at least 1 - delta.

    E W1(P_n, Q_m) >= W1(P, Q) by convexity, and one sample moves it by at most D/n or D/m (McDiarmid).
    """
    return empirical + diameter * math.sqrt(math.log(1 / delta) / 2 * (1 / n + 1 / m))


def upper_from_pairs(distances: Tensor, diameter: float, delta: float) -> float:
    """The mean distance of coupled samples plus its margin: at least W1(P, Q) with probability at least 1 - delta."""
    return math.fsum(distances.double().tolist()) / len(distances) + margin(distances, diameter, delta)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A critic, its Lipschitz constant in the space, and the clamp that was fixed on the samples that select."""

    critic: nn.Module
    lipschitz: float
    clamp: Clamp
    seconds: float = 0.0


def certified(
    trained: Trained,
    x: Tensor,
    y: Tensor,
    space: Metric,
    confidence: float = 0.95,
    upper: float = math.inf,
    why: str = "",
) -> Estimate:
    """The interval of the population's W1 from held-out samples x of P and y of Q, which nothing was chosen by.

    With an upper bound (that itself holds with probability 1 - delta/2) delta is halved between the two sides.
    """
    delta = 1 - check_confidence(confidence)
    side = delta / 2 if upper < math.inf else delta
    f = copy.deepcopy(trained.critic).double().eval()  # what is proven of the weights is proven of exact arithmetic
    lipschitz = _constant(f, space, tuple(x.shape[1:]))  # of f: weights normalised in float32 have another
    f_x, f_y = values(f, x.double()), values(f, y.double())
    lower = lower_bound(f_x, f_y, trained.clamp, lipschitz, side)
    gap = float(f_x.mean() - f_y.mean()) / lipschitz
    lower = min(lower, upper)
    below = (
        f"a critic with Lipschitz constant {lipschitz:.9g} by construction, clamped to "
        f"[{trained.clamp.low:.4g}, {trained.clamp.high:.4g}] before {len(x):,} + {len(y):,} held-out samples were "
        f"read; empirical Bernstein margins, confidence {confidence:g}"
    )
    return Estimate(
        value=min(max(gap, lower), upper),
        lower=lower,
        upper=upper,
        target="population",
        method="critic",
        reasons=(below, why or "none: no bound on the support of the laws was stated (--support, --diameter)"),
        space=repr(space),
        seconds=trained.seconds,
    )


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
    """How often on the way the critic is judged by the part that selects."""
    most: float = math.inf

    def done(self, steps: int, seconds: float) -> float:
        """The share of the training that is done after so many steps and seconds, 1 at its end.

        >>> Budget(minutes=2).done(7, 60), Budget(steps=4).done(3, 60), Budget(steps=4, most=1).done(3, 60)
        (0.5, 0.75, 1.0)
        """
        if seconds >= 60 * self.most:
            return 1.0
        return min(1.0, steps / self.steps if self.steps else seconds / (60 * self.minutes))

    def batch_and_rate(self, entries: int) -> tuple[int, float]:
        """Both, for samples of so many numbers.

        >>> Budget().batch_and_rate(784), Budget(lr=1.0).batch_and_rate(2)
        ((256, 0.03), (512, 1.0))
        """
        batch, lr = (512, 1e-2) if entries <= _FEW else (256, 3e-2)
        return self.batch or batch, lr if self.lr is None else self.lr


def train(
    critic: nn.Module,
    space: Metric,
    x: Parts,
    y: Parts,
    rng: torch.Generator,
    budget: Budget = Budget(),
    confidence: float = 0.95,
    report: Callable[[float, float], None] | None = None,
) -> Trained:
    """Raise E f(x) - E f(y) over the training parts by Adam, and keep the best critic by the part that selects.

    The critic's constant L is proven anew from its weights at each check (`lipschitz_bound`), and divided out; a critic
    of which none is proven is refused (TransportError). `report` is told the share done and the gap so far.
    """
    began, delta = time.perf_counter(), 1 - check_confidence(confidence)
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
            _step(critic, optimizer, lr * (1 - done), x.train, y.train, batch, rng)
            step += 1
    assert found is not None
    weights, clamp, constant = found
    critic.load_state_dict(weights)
    return Trained(critic, constant, clamp, time.perf_counter() - began)


def _step(
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    lr: float,
    x: Tensor,
    y: Tensor,
    batch: int,
    rng: torch.Generator,
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
    a, b = (one[torch.randint(len(one), (min(batch, len(one)),), generator=rng)] for one in (x, y))
    optimizer.zero_grad(set_to_none=True)
    (critic(b).mean() - critic(a).mean()).backward()
    optimizer.step()


def _judged(critic: nn.Module, space: Metric, x: Parts, y: Parts, delta: float) -> tuple[float, Clamp, float, float]:
    """The lower bound that the selecting part promises for the held-out part, its clamp, the constant, and the gap."""
    constant = _constant(critic, space, tuple(x.select.shape[1:]))
    f_x, f_y = values(critic, x.select), values(critic, y.select)
    clamp, promise = choose_clamp(f_x, f_y, constant, delta, (len(x.held_out), len(y.held_out)))
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
    model: str = "lipschitz-cones",
    width: int = 256,
    budget: Budget = Budget(),
    max_minutes: float | None = None,
    seed: int = 0,
    report: Callable[[float, float], None] | None = None,
) -> Estimate:
    """W1 of the laws P and Q that x (n, *event) and y (m, *event) are independent samples of, in a confidence interval.

    The lower end is a critic's, Lipschitz by construction, on samples that it has not seen. The upper end needs what
    the samples cannot tell: the diameter of the laws' common support, from `within` ("box:0,1") or as a number
    `diameter`; then it is W1 of the samples plus D sqrt(ln(1/delta)/2 (1/n + 1/m)), or, for samples `paired` row by
    row, the mean distance of the pairs plus its margin, if that is less. Without it there is no upper end. Within
    `max_minutes` the samples' own W1 is bounded as well as two thirds of them allow, and the critic trains for what is
    left, whatever the budget says. Raises `TransportError`.

    >>> rng = torch.Generator().manual_seed(0)
    >>> x = torch.randn(400, 2, generator=rng)
    >>> found = population_distance(x, torch.randn(400, 2, generator=rng) + 3, width=16, budget=Budget(steps=20))
    >>> found.target, found.lower < 3 * 2**0.5, found.upper
    ('population', True, inf)
    """
    began, metric, given = time.perf_counter(), space(metric), read(x, y)
    x, y = given.x, given.y
    if max_minutes is not None and not 0 < max_minutes < math.inf:
        raise TransportError(f"max_minutes = {max_minutes!r}; give a positive number of minutes, or leave it out")
    if paired and len(x) != len(y):
        raise TransportError(f"{len(x)} and {len(y)} samples cannot be paired row by row; give as many of each")
    rng = torch.Generator().manual_seed(seed)
    shape = tuple(x.shape[1:])
    known = support(within, diameter, metric, shape)
    if known is not None:
        known.check(metric, x, y)
    of_x, of_y = parts(x.float(), rng), parts(y.float(), rng)
    critic = build_critic(model, shape, width=width, rng=rng, space=metric)
    start_at_(critic, of_x.train, of_y.train, rng)
    _constant(critic, metric, shape)  # refused at once if there is none
    upper, why = math.inf, ""
    if known is not None:
        # A solver that is out of time may take as long again to bound what it has.
        upper, why = _upper(x, y, metric, known, (1 - confidence) / 2, paired, max_minutes and max_minutes / 3)
    if max_minutes is not None:
        left = max(max_minutes - (time.perf_counter() - began) / 60, 1e-9)
        budget = dataclasses.replace(budget, minutes=left, most=left)
    trained = train(critic, metric, of_x, of_y, rng, budget, confidence, report)
    return certified(trained, of_x.held_out, of_y.held_out, metric, confidence, upper, why)


def _upper(
    x: Tensor, y: Tensor, metric: Metric, known: Support, delta: float, paired: bool, max_minutes: float | None
) -> tuple[float, str]:
    """The smaller of the bounds from the samples' own W1 and from a known coupling, which share delta."""
    share = delta / 2 if paired else delta
    empirical = distance(x, y, metric, max_minutes=max_minutes).upper
    bound = upper_from_diameter(empirical, len(x), len(y), known.diameter, share)
    why = f"W1 of the samples, {empirical:.4g}, and {known.said}, {known.diameter:.4g}; confidence {1 - 2 * delta:g}"
    if paired:
        together = upper_from_pairs(metric.distance(x.double(), y.double()), known.diameter, share)
        if together < bound:
            return together, f"the mean distance of the given pairs, and {known.said}, {known.diameter:.4g}"
    return bound, why
