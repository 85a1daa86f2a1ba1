"""The laws of penalties: exact on linear critics, per sample, finite and differentiable where the gradient is zero."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from banach.penalties import PENALTIES, OneSided, Penalty, Power, penalty
from banach.slopes import Gradients
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
STEEPNESS = (0.3, 1.0, 2.5)


def check_penalty(
    of: Penalty | str, spaces: Sequence[Metric | str] = SPACES_TRIED, shape: tuple[int, ...] = SHAPE, seed: int = 0
) -> list[LawResult]:
    """The laws of a penalty, in each of `spaces`, on data of one event shape.

    On the linear critic pair(u, x) with L = dual.norm(u), gradient penalties are exactly shape(L), and those on pairs,
    with a monotone shape, at most that; along the steepest direction their slopes are L. Slopes belong to samples: a
    permutation of reals, fakes and the random points between them permutes them, and leaves the value. Value and
    parameter gradients are finite where the critic is all zero and where its gradient is one-hot, 1e-8 or 1e8 times as
    large; float32 is within 1e-5 of float64.

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


def _check_linear(of: Penalty, metric: Space, shape: tuple[int, ...], rng: torch.Generator, ledger: Ledger) -> None:
    real, fake = _pairs(shape, rng)
    where = f"{metric!r}"
    for steepness in STEEPNESS:
        u = metric.dual.domain(torch.randn(1, *shape, generator=rng, dtype=torch.float64))
        u = steepness * u / metric.dual.norm(u)

        def linear(x: Tensor, u: Tensor = u) -> Tensor:
            return pair(u.to(x.dtype).expand_as(x), x)

        slopes = of.slopes_of(linear, real, fake, metric, rng)
        value, allowed = of(linear, real, fake, metric, rng), of.shape(torch.full((), steepness, dtype=torch.float64))
        if of.needs_dual:
            ledger.note("linear critic: slopes are L", (slopes - steepness).abs() / steepness, 1e-10, where)
            ledger.note("linear critic: shape(L)", (value - allowed).abs() / (1 + allowed), 1e-10, where)
        else:
            ledger.note("linear critic: slopes at most L", (slopes / steepness - 1).clamp_min(0), 1e-10, where)
            if isinstance(of.shape, OneSided | Power):
                ledger.note("linear critic: at most shape(L)", (value - allowed).clamp_min(0), 1e-10, where)
            along = of.slopes_of(linear, fake + _steepest_steps(metric, u), fake, metric, rng)
            ledger.note("linear critic: L along the steepest", (along / steepness - 1).abs().amax(), 1e-9, where)


def _steepest_steps(metric: Space, u: Tensor) -> Tensor:
    """Steps of several lengths in the direction in which pair(u, x) / norm(x) is largest."""
    u = u.clone().requires_grad_()
    (direction,) = torch.autograd.grad(metric.dual.norm(u).sum(), u)
    lengths = torch.linspace(0.5, 2.0, BATCH, dtype=u.dtype)
    return lengths.view(-1, *[1] * (u.ndim - 1)) * direction


class _Smooth:
    """A smooth critic x -> sum softplus(W x) with its weights as a parameter."""

    def __init__(self, weights: Tensor):
        self.weights = weights

    def __call__(self, x: Tensor) -> Tensor:
        return F.softplus(x.flatten(1) @ self.weights.to(x.dtype).T).sum(1)


def _check_samples(of: Penalty, metric: Metric, shape: tuple[int, ...], rng: torch.Generator, ledger: Ledger) -> None:
    real, fake = _pairs(shape, rng)
    size = real[0].numel()
    critic = _Smooth(torch.randn(7, size, generator=rng, dtype=torch.float64) / size**0.5)
    where = f"{metric!r}"
    slopes_at = _frozen(of, critic, real, fake, metric, rng)
    slopes = slopes_at(torch.arange(BATCH), torch.float64)
    if slopes.ndim != 1:
        raise TypeError(f"slopes of shape {tuple(slopes.shape)}; they must be one number for each sample or pair")
    ledger.note("slopes are not negative", -slopes, 0.0, where)
    order = torch.randperm(BATCH, generator=rng)
    permuted = slopes_at(order, torch.float64)
    unsorted = (permuted.sort().values - slopes.sort().values).abs() / (1 + slopes.amax())
    ledger.note("slopes belong to samples", unsorted, 1e-12, where)
    value = of.value(slopes)
    ledger.note("value of permuted samples", (of.value(permuted) - value).abs() / (1 + value), 1e-12, where)
    single = of.value(slopes_at(torch.arange(BATCH), torch.float32)).double()
    ledger.note("float32", (single - value).abs() / (1 + value), 1e-5, where)


def _frozen(
    of: Penalty, critic: _Smooth, real: Tensor, fake: Tensor, metric: Metric, rng: torch.Generator
) -> Callable[[Tensor, torch.dtype], Tensor]:
    """The slopes as a function of the samples' order and type, with the random points drawn once and for all."""
    slopes, state = of.slopes, rng.get_state()
    if isinstance(slopes, Gradients):
        points, there = slopes.points(real, fake, rng), Gradients("reals")
        return lambda order, dtype: there(critic, points[order].to(dtype), points[order].to(dtype), metric, None)

    def at(order: Tensor, dtype: torch.dtype) -> Tensor:
        same = torch.Generator().set_state(state)
        return slopes(critic, real[order].to(dtype), fake[order].to(dtype), metric, same)

    return at


def _check_degenerate(of: Penalty, metric: Space, shape: tuple[int, ...], rng: torch.Generator, ledger: Ledger) -> None:
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
        ("gradient 1e8", 1e8 * weights),
    ):
        w = w.clone().requires_grad_()
        value = of(lambda x, w=w: x.flatten(1) @ w, real, fake, metric, rng)
        (slope,) = torch.autograd.grad(value, w)
        broken = ~torch.cat([value.detach().view(1), slope]).isfinite()
        ledger.note(f"finite at {name}", broken.double(), 0.0, f"{metric!r}")
    dead = torch.zeros(7, size, requires_grad=True)
    value = of(lambda x: F.relu(x.flatten(1) @ dead.T).sum(1), real, fake, metric, rng)
    (slope,) = torch.autograd.grad(value, dead)
    broken = ~torch.cat([value.detach().view(1), slope.flatten()]).isfinite()
    ledger.note("finite at an all-zero critic", broken.double(), 0.0, f"{metric!r}")
