"""What a penalised critic estimates of W1 of the distributions: its gap over its measured slope, kappa. No bound.

By Kantorovich and Rubinstein, E_P f - E_Q f <= kappa W1(P, Q) for a critic f with Lipschitz constant kappa. A penalty
only draws the slopes towards 1, so that kappa is not known; it is measured as the largest slope found. If there is a
steeper place, the quotient may be above W1; if a better critic exists, it may be below W1.
"""

import dataclasses
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from banach.models import build_critic
from banach.models.lipschitz.pairwise import distances
from banach.slopes import interpolate
from banach.slopes.slopes import steepness
from banach.spaces import Metric, Space, space
from banach.transport.axioms import check_metric
from banach.transport.dependence import Labels, Ties, units
from banach.transport.population import Budget, values
from banach.transport.samples import read
from banach.transport.splits import Parts, prepared

Cost = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Metric, torch.Generator], Tensor]
"""The cost of a critic by a penalty, from reals, fakes, the norm and a generator of random numbers."""

BATCH, RATE = 256, 3e-3
ONE_MINUTE = Budget()
_POINTS = 4096


@dataclasses.dataclass(frozen=True)
class Penalised:
    """The estimate of W1 by a critic without a proven Lipschitz constant: neither a lower nor an upper bound.

    `gap` = E_P f - E_Q f on held-out samples, `kappa` the largest slope of f that was found at `points` places (in the
    dual norm at samples and between them, and over pairs of samples).

    >>> Penalised(gap=2.2, kappa=1.1, points=4096, seconds=1.0).value
    2.0
    """

    gap: float
    kappa: float
    points: int
    seconds: float

    @property
    def value(self) -> float:
        """The gap over kappa; 0 for a critic that is flat at all measured places."""
        return self.gap / self.kappa if self.kappa > 0 else 0.0


def penalised_estimate(
    x: Tensor,
    y: Tensor,
    metric: str | Metric,
    cost: Cost,
    *,
    paired: bool = False,
    groups_a: Labels | None = None,
    groups_b: Labels | None = None,
    ties: Ties | None = None,
    model: str = "mlp",
    width: int | None = None,
    budget: Budget = ONE_MINUTE,
    seed: int = 0,
    report: Callable[[float, float], None] | None = None,
) -> Penalised:
    """The estimate of a critic trained to raise E f(x) - E f(y) at a cost such as `banach.gradient_penalty`.

    Data are brought to unit size for the network, and its values back, so that slopes are the data's. The weight of the
    cost is the mean distance of a sample of P and one of Q (Banach WGAN's heuristic; with more, a critic that begins
    with the wrong slope does not turn), so that the best critic is up to 1.5 steep; kappa takes that out. Trained on
    half of the samples, as those of `population_distance` are, and read on the last part; rows that depend on each
    other are named as there.
    """
    began, metric, given = time.perf_counter(), space(metric), read(x, y)
    check_metric(metric, given.x, given.y, between=True)
    rng = torch.Generator().manual_seed(seed)
    of_x, of_y, into = prepared(metric, given, units(given, paired, groups_a, groups_b, ties), rng)
    network = build_critic(model, tuple(given.x.shape[1:]), width=width, rng=rng, space=metric).to(into.dtype)
    f = _in_units(network, of_x.train, of_y.train)
    weight = float(distances(metric, of_x.train[:256], of_y.train[:256]).mean())

    def loss(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        gap = f(a).mean() - f(b).mean()
        return weight * cost(f, a, b, metric, rng) - gap, gap

    _fit(list(network.parameters()), loss, (of_x, of_y), rng, budget, into.told(report))
    network.eval()
    x, y = (one.held_out.to(into.dtype) for one in (of_x, of_y))
    kappa, points = steepest(f, x, y, metric, rng)
    f_x, f_y = (one.groups[2].means(values(f, z)) for one, z in ((of_x, x), (of_y, y)))
    gap = math.fsum(f_x.tolist()) / len(f_x) - math.fsum(f_y.tolist()) / len(f_y)
    return Penalised(into.unit * gap, kappa, points, time.perf_counter() - began)


def _fit(
    weights: list[nn.Parameter],
    loss: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    of: tuple[Parts, Parts],
    rng: torch.Generator,
    budget: Budget,
    report: Callable[[float, float], None] | None,
) -> None:
    """Lower a loss, which gives the gap beside itself, by Adam on the weights."""
    began, (x, y) = time.perf_counter(), of
    batch = min(budget.batch or BATCH, len(x.train), len(y.train))  # of each as many, for what compares pairs
    lr = RATE if budget.lr is None else budget.lr
    optimizer = torch.optim.Adam(weights, lr, betas=(0.5, 0.9))
    done, step = 0.0, 0
    while done < 1:
        done = budget.done(step, time.perf_counter() - began)
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - done)
        a, b = x.batch(batch, rng), y.batch(batch, rng)
        lost, gap = loss(a, b)
        optimizer.zero_grad(set_to_none=True)
        lost.backward()
        optimizer.step()
        step += 1
        if report is not None and step % 50 == 0:
            report(done, float(gap.detach()))


def steepest(
    f: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, metric: Metric, rng: torch.Generator
) -> tuple[float, int]:
    """The largest slope of f at samples, between them and beyond, and over pairs of them; and how many were looked at.

    A lower bound of its Lipschitz constant. In a metric without a dual norm only pairs are looked at.
    """
    n = min(len(x), len(y), _POINTS)
    x, y = x[:n], y[:n]
    pairs = [(x, y), (x, x.roll(1, 0)), (y, y.roll(1, 0)), (x, y.roll(1, 0))]
    found = [_quotients(f, a, b, metric) for a, b in pairs]
    if isinstance(metric, Space):
        beyond = torch.lerp(x, y.roll(2, 0), 1.5)
        places = [x, y, beyond, *(interpolate(x, y.roll(k, 0), rng) for k in range(3))]
        found += [steepness(f, block, metric).detach().flatten() for one in places for block in one.split(256)]
    return float(torch.cat(found).max()), sum(map(len, found))


@torch.no_grad()
def _quotients(f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor, metric: Metric) -> Tensor:
    rise, apart = (values(f, a) - values(f, b)).abs(), metric.distance(a.double(), b.double())
    far = apart > 1e-3 * apart.mean()  # nearer pairs would measure rounding
    return torch.where(far, rise / torch.where(far, apart, 1.0), 0.0)


def _in_units(network: nn.Module, x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """s D((z - c)/s) with c and s of the samples: as steep as D, and D sees numbers of unit size."""
    centre = (x.mean(0) + y.mean(0)) / 2
    size = float(torch.cat([x, y]).sub(centre).std())
    size = size if size > 0 else 1.0
    return lambda z: size * network((z - centre) / size)
