"""The laws of metrics and of normed spaces with their duals, checked in float64 by measurement."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from banach.operators import Table
from banach.spaces import (
    SPACES,
    ComputedNorm,
    Metric,
    OverlappingPatches,
    Patches,
    Product,
    Space,
    pair,
    space,
    warm_starts,
)
from banach.specs import SpecError
from banach.testing.ascent import steepest
from banach.testing.laws import LawResult, Ledger

Shape = tuple[int, ...]

GRIDS: tuple[Shape, ...] = ((1,), (2,), (5,), (8,), (9, 7), (4, 6, 5))
SHAPES: tuple[Shape, ...] = (
    *((d,) for d in (1, 2, 3, 5, 8)),
    *((channels, *grid) for channels in (1, 2, 3) for grid in GRIDS),
)
SCALES = (1.0, 1e-30, 1e-10, 1e10, 1e30)
EXACT = 1e-11  # a few hundred roundings of float64
COMPUTED_STEPS = 8  # of ascent, where each is a batch of convex problems
# Spaces of mean-free data do not see constants: beside the norms of other vectors, theirs is rounding.
NOTHING = 1e-9


def check_space(
    of: Metric | str, shapes: Sequence[Shape] | None = None, seed: int = 0, steps: int = 60
) -> list[LawResult]:
    """The laws of a metric, or of a normed space and its dual, each with its worst measured error.

    For u != 0 the gradient g of dual.norm at u has norm(g) = 1 and pair(u, g) = dual.norm(u), *and* no x found by
    ascent of pair(u, x) / norm(x) beats it (`steps` of it from several starts; the first two laws alone do not pin a
    dual); `align(u)` is such a g; the same with space and dual exchanged; at 0, norm and gradient are 0. Then
    homogeneity, the triangle inequality, Hölder's inequality, one number for each sample, dual.dual = the space,
    float32 close to float64, no other value after a warm start, and a spelling that parses back. A norm that is
    computed may miss these by its `tolerance`, and its bounds must be as near to each other and hold. In float64, at
    scales 1e-30 to 1e30, on random, one-hot and constant vectors.

    `shapes`: event shapes, without the batch axis; by default those of `SHAPES` that the space accepts.

    >>> from banach import Lp
    >>> all(law.ok for law in check_space(Lp(3), shapes=[(2, 5)]))
    True
    """
    metric = space(of)
    ledger = Ledger()
    accepted = shapes_of(metric) if shapes is None else tuple(shapes)
    if not accepted:
        ledger.refuse("accepts data", f"{metric!r} refuses all of {SHAPES}; say which shapes it is for")
    rng = torch.Generator().manual_seed(seed)
    for shape in accepted:
        ledger.attempt("accepts data", lambda shape=shape: _check_metric(metric, shape, rng, ledger))
        if isinstance(metric, Space):
            ledger.attempt("has a dual", lambda shape=shape: _check_duality(metric, shape, rng, ledger, steps))
    ledger.attempt("spelling", lambda: _check_spelling(metric, ledger))
    return ledger.results()


def shapes_of(metric: Metric) -> tuple[Shape, ...]:
    """Those of `SHAPES`, and of the shapes that a mask, a matrix or a product asks for, that a space accepts.

    A space refuses a shape by a ValueError, and nothing else.
    """
    return tuple(shape for shape in candidates(metric) if _accepts(metric, shape))


def candidates(part: object) -> tuple[Shape, ...]:
    """`SHAPES`, and those that the sizes written into a space or an operator ask for."""
    return tuple(dict.fromkeys((*SHAPES, *_hints(part))))


def _accepts(metric: Metric, shape: Shape) -> bool:
    probe = torch.zeros(1, *shape, dtype=torch.float64)
    try:
        metric.distance(probe, probe)
    except ValueError:
        return False
    return True


def _hints(part: object) -> Iterator[Shape]:
    """Event shapes that fit the sizes written into a space."""
    if isinstance(part, Table):
        whole = tuple(part.values.shape)
        if whole:
            yield from (whole, whole[:1], *((channels, *whole) for channels in (1, 2, 3)))
    elif isinstance(part, tuple):
        for one in part:
            yield from _hints(one)
    elif dataclasses.is_dataclass(part):
        if isinstance(part, Product):
            counts = [one if isinstance(one, int) else math.prod(one) for one in part.sizes]
            yield from ((sum(counts),), (sum(counts), 5), (sum(counts), 4, 3))
        if isinstance(part, Patches | OverlappingPatches):
            yield from _patched(part.size)
        for field in dataclasses.fields(part):
            yield from _hints(getattr(part, field.name))


def _patched(size: int | Shape) -> Iterator[Shape]:
    """Event shapes of one patch and of several."""
    if isinstance(size, int):
        yield from ((1, 2 * size), (2, size), (3, size, 2 * size), (1, 2 * size, size, size))
    else:
        yield from ((1, *size), (3, *size), (2, *(2 * one for one in size)))


def vectors(shape: Shape, rng: torch.Generator) -> tuple[Tensor, list[str]]:
    """Test vectors (n, *shape) in float64, and what each is: random ones of several kinds, one-hot and constant."""
    n = math.prod(shape)
    gauss = torch.randn(3, n, generator=rng, dtype=torch.float64)
    gauss[1] = gauss[1] * torch.exp(2 * torch.randn(n, generator=rng, dtype=torch.float64))
    gauss[2] = gauss[2].sign() * (torch.rand(n, generator=rng, dtype=torch.float64) < 0.5)
    gauss[2, int(torch.randint(n, (1,), generator=rng))] = 2.0
    one_hot = torch.zeros(1, n, dtype=torch.float64)
    one_hot[0, int(torch.randint(n, (1,), generator=rng))] = -1.5
    alternating = torch.ones(1, n, dtype=torch.float64)
    alternating[0, 1::2] = -1
    x = torch.cat([gauss, one_hot, torch.full((1, n), 0.7, dtype=torch.float64), alternating])
    return x.view(-1, *shape), ["random", "random, wide", "random, sparse", "one-hot", "constant", "alternating"]


def _check_metric(metric: Metric, shape: Shape, rng: torch.Generator, ledger: Ledger) -> None:
    x, _ = vectors(shape, rng)
    y, z = x.roll(1, 0), torch.randn(x.shape, generator=rng, dtype=x.dtype)
    d = metric.distance(x, y)
    where, exact = f"shape {shape}", EXACT + 2 * _slack(metric)
    if d.shape != (len(x),):
        raise TypeError(f"distance returns shape {tuple(d.shape)} for {len(x)} pairs of {shape}")
    size = d.amax().clamp_min(torch.finfo(d.dtype).tiny)
    ledger.note("distance is 0 to itself", metric.distance(x, x.clone()) / size, 0.0, where)
    ledger.note("distance is symmetric", (metric.distance(y, x) - d).abs() / size, exact, where)
    ledger.note("distance is not negative", -d / size, 0.0, where)
    detour = metric.distance(x, z) + metric.distance(z, y)
    ledger.note("distance: triangle inequality", (d - detour).clamp_min(0) / size, exact, where)
    table = metric.pairwise(x, y)
    same = torch.stack([metric.distance(x, one.expand_as(x)) for one in y], 1)
    ledger.note("pairwise is distance", (table - same).abs() / size, exact, where)


def _slack(metric: Metric, dtype: torch.dtype = torch.float64) -> float:
    """How far below its true value a computed norm may lie; 0 for one with a formula."""
    return metric.tolerance(dtype) if isinstance(metric, Space) else 0.0


def _check_duality(of: Space, shape: Shape, rng: torch.Generator, ledger: Ledger, steps: int) -> None:
    for primal, dual, side in ((of, of.dual, ""), (of.dual, of, "dual: ")):
        _check_norm(primal, shape, rng, ledger, side)
        _check_maximiser(primal, dual, shape, rng, ledger, side)
        _check_bound(primal, dual, shape, rng, ledger, side, steps)
    x, names = vectors(shape, rng)
    before, after = of.norm(x), of.dual.dual.norm(x)
    size = torch.where(before > 0, before, 1.0)
    ledger.note("dual.dual is the space", (after - before).abs() / size, 1e-12, [f"{n}, {shape}" for n in names])


def _check_norm(of: Space, shape: Shape, rng: torch.Generator, ledger: Ledger, side: str) -> None:
    """A norm: zero at 0 and flat there, homogeneous, subadditive, one number per sample, alike in float32."""
    x, names = vectors(shape, rng)
    x = of.domain(x)
    size, exact = of.norm(x), EXACT + 2 * _slack(of)
    if size.shape != (len(x),):
        raise TypeError(f"norm returns shape {tuple(size.shape)} for {len(x)} samples of {shape}")
    where = [f"{name}, {shape}" for name in names]
    zero = torch.zeros_like(x[:2]).requires_grad_()
    at_zero = of.norm(zero)
    (slope,) = torch.autograd.grad(at_zero.sum(), zero)
    ledger.note(f"{side}norm is 0 at 0", at_zero.abs(), 0.0, f"shape {shape}")
    ledger.note(f"{side}gradient is 0 at 0", slope.abs(), 0.0, f"shape {shape}")
    real = size > NOTHING * size.amax()
    nonzero = torch.where(real, size, 1.0)
    for scale in SCALES:
        for factor in (scale, -scale):
            error = torch.where(real, (of.norm(factor * x) / scale - size).abs() / nonzero, 0.0)
            ledger.note(f"{side}homogeneous", error, exact, [f"{one}, scale {factor:g}" for one in where])
    positive = (x.flatten(1).abs().amax(1) > 1e-6) & ~real
    ledger.note(f"{side}norm is positive", positive.double(), 0.0, where)
    for y in (x.roll(1, 0), -x.roll(1, 0), -0.999 * x):
        excess = (of.norm(x + y) - size - of.norm(y)).clamp_min(0) / torch.maximum(nonzero, of.norm(y))
        ledger.note(f"{side}triangle inequality", excess, exact, where)
    alone = torch.cat([of.norm(one[None]) for one in x])
    ledger.note(f"{side}each sample by itself", (alone - size).abs() / nonzero, exact, where)
    single, single_exact = of.norm(x.float()).double(), 1e-5 + _slack(of, torch.float32)
    ledger.note(f"{side}float32", torch.where(real, (single - size).abs() / nonzero, 0.0), single_exact, where)
    with warm_starts() as memory:
        of.norm(of.domain(x.roll(2, 0)))
    with warm_starts(memory):
        warm = of.norm(x)
    ledger.note(f"{side}warm start", torch.where(real, (warm - size).abs() / nonzero, 0.0), exact, where)


def _check_maximiser(primal: Space, dual: Space, shape: Shape, rng: torch.Generator, ledger: Ledger, side: str) -> None:
    """The gradient of the dual norm at u is the unit vector along which u is steepest."""
    base, names = vectors(shape, rng)
    exact = EXACT + _slack(primal)
    for scale in SCALES:
        u = (scale * base).requires_grad_()
        steepness = dual.norm(u)
        (g,) = torch.autograd.grad(steepness.sum(), u)
        terms = (u.detach() * g).flatten(1).abs().sum(1)
        seen = steepness.detach() > NOTHING * steepness.detach().amax()
        where = [f"{name}, scale {scale:g}, {shape}" for name, one in zip(names, seen.tolist(), strict=True) if one]
        u, g, steepness, terms = u.detach()[seen], g[seen], steepness.detach()[seen], terms[seen]
        if len(u) == 0:
            continue
        ledger.note(f"{side}maximiser has norm 1", (primal.norm(g) - 1).abs(), exact, where)
        ledger.note(f"{side}maximiser attains", (pair(u, g) - steepness).abs() / terms, EXACT, where)
        outside = (primal.domain(g) - g).flatten(1).abs().amax(1) / g.flatten(1).abs().amax(1)
        ledger.note(f"{side}maximiser lies in the space", outside, EXACT, where)
        x = primal.align(u)
        ledger.note(f"{side}align is a unit vector", (primal.norm(x) - 1).abs(), exact, where)
        ledger.note(f"{side}align attains the dual norm", (pair(u, x) - steepness).abs() / terms, EXACT, where)
    ledger.note(f"{side}align is 0 at 0", primal.align(torch.zeros_like(base)).abs(), 0.0, f"shape {shape}")


def _check_bound(
    primal: Space, dual: Space, shape: Shape, rng: torch.Generator, ledger: Ledger, side: str, steps: int
) -> None:
    """No vector is steeper than the dual norm says: random ones (Hölder's inequality), unit ones, and by ascent."""
    u, names = vectors(shape, rng)
    u = dual.domain(u)
    u.requires_grad_()
    steepness = dual.norm(u)
    (g,) = torch.autograd.grad(steepness.sum(), u)
    u, steepness = u.detach(), steepness.detach()
    seen = steepness > NOTHING * steepness.amax()
    where = [f"{name}, {shape}" for name, one in zip(names, seen.tolist(), strict=True) if one]
    u, g, steepness = u[seen], g[seen], steepness[seen]
    if len(u) == 0:
        return
    slack = 2 * (_slack(primal) + _slack(dual))
    x = primal.domain(torch.randn(16, *shape, generator=rng, dtype=u.dtype))
    paired, bound = u.flatten(1) @ x.flatten(1).T, steepness[:, None] * primal.norm(x)
    ledger.note(f"{side}Hölder's inequality", (paired.abs() / bound - 1).clamp_min(0).amax(1), EXACT + slack, where)
    found = steepest(primal, u, rng, (g,), min(steps, COMPUTED_STEPS) if _slack(primal) else steps)
    ledger.note(f"{side}no vector is steeper", (found / steepness - 1).clamp_min(0), 1e-9 + slack, where)
    if isinstance(dual, ComputedNorm):
        bounds = dual.enclosure(u)
        ledger.note(f"{side}bounds as near as promised", bounds.gap, dual.tolerance(u.dtype), where)
        outside = torch.maximum(bounds.lower - steepness, steepness - bounds.upper) / steepness
        ledger.note(f"{side}norm within its bounds", outside.clamp_min(0), EXACT, where)
        ledger.note(f"{side}no vector above the upper bound", (found / bounds.upper - 1).clamp_min(0), 1e-9, where)


def _check_spelling(metric: Metric, ledger: Ledger) -> None:
    for one, side in ((metric, ""), *(((metric.dual, "dual: "),) if isinstance(metric, Space) else ())):
        text = repr(one)
        try:
            back = SPACES.parse(text)
        except SpecError as error:
            ledger.refuse(f"{side}spelling", f"repr gives {text}, which does not parse: {error}")
            continue
        ledger.note(f"{side}spelling", float(back != one), 0.0, text)
