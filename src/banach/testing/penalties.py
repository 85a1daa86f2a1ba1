"""The laws of penalties: exact on linear critics, per sample, finite and differentiable where the gradient is zero."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from banach.penalties import (
    PENALTIES,
    AugmentedLagrangian,
    Cost,
    OneSided,
    Penalty,
    Power,
    SoftConstraint,
    SquaredMean,
    Sum,
    penalty,
)
from banach.slopes import Adversarial
from banach.slopes.slopes import Noise
from banach.spaces import Metric, Space, pair, space
from banach.testing.laws import LawResult, Ledger

SPACES_TRIED = (
    "Lp(1)",
    "Lp(1.1)",
    "Lp(2)",
    "Lp(4)",
    "Lp(10)",
    "Lp(inf)",
    "Sobolev(s=-1, p=2)",
    "Sobolev(s=1, p=1.5)",
    "Sobolev(s=-1, p=2, homogeneous=True)",
    "Product(2, (Lp(1), Sobolev(s=-1, p=4)), (1, 2))",
)
BATCH, SHAPE = 6, (3, 4, 5)
HALF = 5e-2
STEEPNESS = (0.3, 1.0, 2.5)


def check_penalty(
    of: SoftConstraint | str,
    spaces: Sequence[Metric | str] = SPACES_TRIED,
    shape: tuple[int, ...] = SHAPE,
    seed: int = 0,
) -> list[LawResult]:
    """The laws of a penalty, in each of `spaces`, on data of one event shape.

    On the linear critic pair(u, x) with L = dual.norm(u), gradient penalties are exactly shape(L), and those on pairs,
    with a monotone shape, at most that; along the steepest direction their slopes are L. A multiplier's penalty is
    quadratic shape(L)^2 in its first step, and moves its multiplier by rate shape(L); a sum is checked by its parts.
    Slopes belong to samples: a joint permutation of the triples (real, fake, draw) permutes them, and leaves the value.
    Value and parameter gradients are finite where the critic is all zero and where its gradient is one-hot, 1e-8 or 1e8
    times as large; float32 is within 1e-5 of float64, and a critic under bfloat16 autocast within 5e-2 (adversarial
    directions: in the median of three draws).

    >>> from banach import Lp
    >>> all(law.ok for law in check_penalty("wgan-gp", [Lp(3)]))
    True
    """
    found = penalty(of)
    ledger = Ledger()
    rng = torch.Generator().manual_seed(seed)
    for metric in map(space, spaces):
        if not isinstance(metric, Space):
            if found.needs_dual:
                continue
            ledger.attempt("a number", lambda m=metric: _check_samples(found, m, shape, rng, ledger))
            continue
        for law, check in (("linear", _check_linear), ("samples", _check_samples), ("finite", _check_degenerate)):
            ledger.attempt(law, lambda check=check, m=metric: check(found, m, shape, rng, ledger))
    text = repr(found)
    ledger.attempt("spelling", lambda: ledger.note("spelling", float(PENALTIES.parse(text) != found), 0.0, text))
    return ledger.results()


def _pairs(shape: tuple[int, ...], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    real, fake = torch.randn(2, BATCH, *shape, generator=rng, dtype=torch.float64)
    return real, fake + 0.5


def _check_linear(
    of: SoftConstraint, metric: Space, shape: tuple[int, ...], rng: torch.Generator, ledger: Ledger
) -> None:
    if isinstance(of, Sum):
        for part in of.parts:
            _check_linear(part, metric, shape, rng, ledger)
    if not isinstance(of, Penalty | AugmentedLagrangian) or not of.bounds_slopes:
        return
    real, fake = _pairs(shape, rng)
    where, exact = f"{metric!r}", 1e-10 + 3 * _slack(metric, torch.float64)
    for steepness in STEEPNESS:
        u = metric.dual.domain(torch.randn(1, *shape, generator=rng, dtype=torch.float64))
        u = steepness * u / metric.dual.norm(u)

        def linear(x: Tensor, u: Tensor = u) -> Tensor:
            return pair(u.to(x.dtype).expand_as(x), x)

        cost = of.cost(linear, real, fake, metric, of.draw(real, rng), {})
        price = of.shape(torch.full((), steepness, dtype=torch.float64))
        allowed = price.square() if isinstance(of, Penalty) and isinstance(of.reduction, SquaredMean) else price
        allowed = of.quadratic * price.square() if isinstance(of, AugmentedLagrangian) else allowed
        if of.needs_dual:
            ledger.note("linear critic: slopes are L", (cost.slopes - steepness).abs() / steepness, exact, where)
            ledger.note("linear critic: shape(L)", (cost.value - allowed).abs() / (1 + allowed), 10 * exact, where)
        else:
            ledger.note("linear critic: slopes at most L", (cost.slopes / steepness - 1).clamp_min(0), exact, where)
            if isinstance(of.shape, OneSided | Power):
                ledger.note("linear critic: at most shape(L)", (cost.value - allowed).clamp_min(0), 10 * exact, where)
            along = of.slopes(linear, fake + _steepest_steps(metric, u), fake, metric, rng)
            ledger.note("linear critic: L along the steepest", (along / steepness - 1).abs().amax(), 10 * exact, where)
        if isinstance(of, AugmentedLagrangian):
            moved = cost.memory["multiplier"] - (of.rate * price).clamp_min(of.least)
            ledger.note("linear critic: the multiplier moves by rate c", moved.abs(), 10 * exact, where)


def _slack(metric: Metric, dtype: torch.dtype) -> float:
    """How far a computed norm or dual norm may be off; 0 for those with a formula."""
    return metric.tolerance(dtype) + metric.dual.tolerance(dtype) if isinstance(metric, Space) else 0.0


def _steepest_steps(metric: Space, u: Tensor) -> Tensor:
    """Steps of several lengths in the direction in which pair(u, x) / norm(x) is largest."""
    lengths = torch.linspace(0.5, 2.0, BATCH, dtype=u.dtype)
    return lengths.view(-1, *[1] * (u.ndim - 1)) * metric.align(u)


def _smooth(size: int, rng: torch.Generator) -> nn.Module:
    """A smooth critic of two layers, in float64."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(size, 7), nn.Softplus(), nn.Linear(7, 1), nn.Flatten(0)).double()
    for weights in critic.parameters():
        weights.data = (
            torch.randn(weights.shape, generator=rng, dtype=torch.float64) / max(1, weights[0].numel()) ** 0.5
        )
    return critic.requires_grad_(False)


def _check_samples(
    of: SoftConstraint, metric: Metric, shape: tuple[int, ...], rng: torch.Generator, ledger: Ledger
) -> None:
    real, fake = _pairs(shape, rng)
    critic = _smooth(real[0].numel(), rng)
    where = f"{metric!r}"
    exact, single_exact = 1e-12 + 10 * _slack(metric, torch.float64), 1e-5 + 20 * _slack(metric, torch.float32)
    noise = of.draw(real, rng)

    def cost(order: Tensor, dtype: torch.dtype = torch.float64, autocast: bool = False) -> Cost:
        f = _smooth_as(critic, dtype, autocast)
        return of.cost(f, real[order].to(dtype), fake[order].to(dtype), metric, permuted(noise, order), {})

    plain = torch.arange(BATCH)
    value, slopes, *_ = cost(plain)
    if slopes.ndim != 1:
        raise TypeError(f"slopes of shape {tuple(slopes.shape)}; they must be one number for each sample or pair")
    ledger.note("slopes are not negative", -slopes, 0.0, where)
    reordered = cost(torch.randperm(BATCH, generator=rng))
    size = 1 + (slopes.amax() if len(slopes) else 0.0)
    unsorted = (reordered.slopes.sort().values - slopes.sort().values).abs() / size
    ledger.note("slopes belong to samples", unsorted, exact, where)
    ledger.note("value of permuted samples", (reordered.value - value).abs() / (1 + value.abs()), exact, where)
    single = cost(plain, torch.float32).value.double()
    ledger.note("float32", (single - value).abs() / (1 + value.abs()), single_exact, where)
    errors = [_half_error(cost)]
    # A direction that hangs on the sign of f(x) - f(y) turns where these are one to bfloat16: the median of three.
    if isinstance(of, Penalty) and isinstance(of.slopes, Adversarial) and errors[0] > HALF:
        for _ in range(2):
            noise = of.draw(real, rng)
            errors.append(_half_error(cost))
    ledger.note("bfloat16 autocast", torch.stack(errors).median(), HALF, where)


def _half_error(cost: Callable[[Tensor, torch.dtype, bool], Cost]) -> Tensor:
    """How far the penalty of a critic in bfloat16 is from that in float64, of 1 and its size."""
    plain = torch.arange(BATCH)
    value, half = cost(plain, torch.float64, False).value, cost(plain, torch.float32, True).value
    if half.dtype != torch.float32:
        raise TypeError(f"a critic in bfloat16 gives a penalty in {half.dtype}; it must be float32")
    return (half.double() - value).abs() / (1 + value.abs())


class _Cast(nn.Module):
    """The critic in another type, or under autocast."""

    def __init__(self, critic: nn.Module, autocast: bool):
        super().__init__()
        self.critic, self.autocast = critic, autocast

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            return self.critic(x)


def _smooth_as(critic: nn.Module, dtype: torch.dtype, autocast: bool) -> nn.Module:
    return _Cast(copy.deepcopy(critic).to(dtype), autocast)


def permuted(noise: Noise, order: Tensor) -> Noise:
    """What a penalty drew, with its rows in another order."""
    return tuple(one[order] if isinstance(one, Tensor) else permuted(one, order) for one in noise)


def _check_degenerate(
    of: SoftConstraint, metric: Space, shape: tuple[int, ...], rng: torch.Generator, ledger: Ledger
) -> None:
    """Value and parameter gradients are finite in float32, whatever the critic's gradient."""
    real, fake = (one.float() for one in _pairs(shape, rng))
    size = real[0].numel()
    weights = torch.randn(size, generator=rng) / size
    one_hot = torch.zeros(size)
    one_hot[size // 2] = 1.0
    for name, w in (
        ("zero gradient", torch.zeros(size)),
        ("one-hot gradient", one_hot),
        ("gradient 1e-8", 1e-8 * weights),
        ("gradient 1e8", 1e8 * weights if of.growth <= 2 else 1e3 * weights),
    ):
        critic = nn.Sequential(nn.Flatten(), nn.Identity(), nn.Linear(size, 1, bias=False), nn.Flatten(0))
        critic[2].weight.data = w[None].clone()
        ledger.note(f"finite at {name}", _not_finite(of, critic, real, fake, metric, rng), 0.0, f"{metric!r}")
    dead = nn.Sequential(nn.Flatten(), nn.Linear(size, 7, bias=False), nn.ReLU(), nn.Linear(7, 1), nn.Flatten(0))
    for one in dead.parameters():
        one.data.zero_()
    ledger.note("finite at an all-zero critic", _not_finite(of, dead, real, fake, metric, rng), 0.0, f"{metric!r}")


def _not_finite(
    of: SoftConstraint, critic: nn.Module, real: Tensor, fake: Tensor, metric: Space, rng: torch.Generator
) -> Tensor:
    """1 where the value or an entry of its gradient in the weights is not finite, else 0."""
    value = of(critic, real, fake, metric, rng)
    slopes = torch.autograd.grad(value, list(critic.parameters()), allow_unused=True)
    flat = torch.cat([value.detach().view(1), *(one.flatten() for one in slopes if one is not None)])
    return (~flat.isfinite()).double()
