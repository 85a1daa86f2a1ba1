"""Norms whose dual has no closed form: the dual norm is computed to a stated tolerance, between two proved bounds.

The value of a computed norm at u is the pairing of u with the best unit vector x that was found, and x is its gradient
(Danskin's theorem); the true value lies above, by at most `tolerance` relative to it.
"""

import functools
import math
import warnings
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError
from banach.norms.flows import enclose_by_flows
from banach.norms.quasi_newton import enclose_by_gradients
from banach.norms.splitting import DEPTHS, Enclosure, Known, UpperBound, enclose
from banach.norms.structure import Block, Differences, Form, Leaf, Node, atoms, bind, leaves, off_by
from banach.norms.upper_bounds import split_bound
from banach.norms.warm_starts import Slot, slot
from banach.numerics import at_least_float32
from banach.operators.operator import UNIT, Event
from banach.spaces.metric import SPACES, Space, pair
from banach.specs import SpecError, ours, spell_call

SINGLE, DOUBLE = 1e-3, 1e-7
"""The default tolerance: for float32 and narrower types, and for float64."""

FINEST_SINGLE = 1e-4
"""A finer tolerance than this is computed in float64."""

COARSE = 1e-4
"""From this tolerance on projected gradients are quicker than the splitting, which converges faster in the end."""

STEPS = 2000
SPANNED = 4096


class AccuracyWarning(UserWarning):
    """Warning: a computed norm is less accurate than the tolerance of its space."""


class NormOnly(Space):
    """A space given by its norm alone: convex, |t x| = |t| |x|, positive but at 0, and differentiable by autograd.

    Derive from it and give `norm`; the dual is computed. `tol` is the relative accuracy of the dual norm; None means
    1e-3 in float32, 1e-7 in float64. Where the norm has edges (sums of absolute values, maxima), say how it is made by
    overriding `composition`; else accuracy is found only where the dual norm's maximiser lies on none of them.
    """

    tol: float | None = None

    @property
    def dual(self) -> Space:
        return Dual(self)

    def composition(self) -> Node | None:
        """The norm as nested p-norms (`Node`) of spaces with known duals and of `Leaf`s; None where it is not."""
        return None

    def at_least(self) -> tuple[Space, ...]:
        """Spaces with known duals whose norm is never larger than this one; needed for data of over 4096 entries."""
        return ()

    def form(self) -> Form | None:
        inner = self._inner()
        return None if inner is None or any(leaf.grouped for leaf in leaves(inner)) else inner

    def _inner(self) -> Form | None:
        """The form that the solver works on, groups of entries among it."""
        composition = self.composition()
        return None if composition is None else expanded(composition)

    @property
    def mapped(self) -> bool:
        inner = self._inner()
        return inner is not None and any(not isinstance(one, Block) for leaf in leaves(inner) for one in leaf.maps)

    def rounding(self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
        inner = self._inner()
        if inner is None:
            return super().rounding(x, off)
        return off_by(inner, x, torch.zeros(len(x), dtype=torch.float64) if off is None else off)

    def roundoff(self, event: Event) -> float:
        inner = self._inner()
        terms = math.prod(event) if inner is None else sum(one.size for one in bind(inner, event))
        return (terms + 64) * UNIT


def expanded(composition: Any) -> Form | None:
    """A composition in which every space is replaced by its own form; None where one has none."""
    if isinstance(composition, Leaf):
        return composition
    if isinstance(composition, Space):
        return composition.form()
    parts = [expanded(part) for part in composition.parts]
    if any(part is None for part in parts):
        return None
    return Node(composition.p, tuple(parts))


class ComputedNorm(Space):
    """A space whose norm is the dual norm of another space, computed by iteration."""

    @property
    @abstractmethod
    def dual(self) -> NormOnly: ...

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        return pair(at_least_float32(x), self.enclosure(x).maximiser)

    def enclosure(self, x: Float[Tensor, "b *event"]) -> Enclosure:
        """Proved bounds of the norm at each x, and the unit vector of `dual` that attains the lower one."""
        return dual_norm(self.dual, x, self.tolerance(x.dtype))

    def tolerance(self, dtype: torch.dtype) -> float:
        if self.dual.tol is not None:
            return self.dual.tol
        return DOUBLE if dtype == torch.float64 else SINGLE


@SPACES.register(
    examples=["Dual(TotalVariation(weight=1, p=1))", "Dual(TotalVariation(weight=0.1))"],
    source=ours("duality: max <u, x> over norm(x) <= 1"),
)
@dataclass(frozen=True, repr=False)
class Dual(ComputedNorm):
    """The dual of a space that is given by its norm alone; its norm is computed to the tolerance of that space."""

    of: NormOnly

    def __post_init__(self):
        if not isinstance(self.of, NormOnly):
            raise SpecError(f"Dual({self.of!r}): that space knows its dual; write {self.of.dual!r}")

    def __repr__(self) -> str:
        return spell_call("Dual", (self.of,))

    @property
    def dual(self) -> NormOnly:
        return self.of

    @property
    def emphasis(self) -> str:
        return f"what pairs with data that are small in {self.of!r}"


def check_tolerance(tol: float | None, name: str) -> None:
    """SpecError, which names the space, unless `tol` is None or a relative accuracy."""
    if tol is not None and not (isinstance(tol, int | float) and 1e-12 <= tol < 1):
        raise SpecError(f"{name}: tol = {tol!r}; choose a relative accuracy such as 1e-3, or None")


def dual_norm(of: NormOnly, u: Float[Tensor, "b *event"], tolerance: float) -> Enclosure:
    """The enclosure of max <u, x> over of.norm(x) <= 1 at each u, in the units and the type of u; a constant.

    At u = 0 it is [0, 0] with the maximiser 0; where u is not finite it is not a number.
    """
    with torch.inference_mode(False), torch.no_grad(), torch.autocast(u.device.type, enabled=False):
        u = at_least_float32(u.detach()).clone()
        of.norm(torch.zeros_like(u[:1]))  # refuses data of the wrong shape, also where nothing has to be solved
        work = u.double() if tolerance < FINEST_SINGLE else u
        largest = work.abs().flatten(1).amax(1)
        finite = largest.isfinite()
        rows = torch.nonzero(finite & (largest > 0))[:, 0]
        unit = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent)
        lower = torch.where(finite, 0.0, math.nan).to(work)
        upper, best = lower.clone(), torch.where(_column(finite, work), 0.0, math.nan).to(work).expand_as(work).clone()
        weights = work.new_ones(len(u), 0)
        steps = 0
        if len(rows):
            place = slot(f"{of!r} {tuple(u.shape[1:])} {str(work.dtype).removeprefix('torch.')}")
            found = _solved(of, work[rows] / _column(unit[rows], work), tolerance, place)
            lower[rows], upper[rows] = found.lower * unit[rows], found.upper * unit[rows]
            best[rows], steps = found.maximiser, found.steps
            if not bool((found.gap <= tolerance).all()):
                warnings.warn(
                    f"the dual norm of {of!r} is not known to tol={tolerance:g} after {STEPS} steps; give a larger tol",
                    AccuracyWarning,
                    stacklevel=2,
                )
        return Enclosure(lower.to(u), upper.to(u), best.to(u), weights, steps)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))


def _solved(of: NormOnly, u: Tensor, tolerance: float, place: Slot) -> Enclosure:
    """The enclosures at every u: finite, not 0, its largest entry near 1."""
    near = _remembered(place, u)
    composition = of.composition()
    form = None if composition is None else expanded(composition)
    if isinstance(form, Node) and composition is not None:
        found = _by_form(composition, form, u, tolerance, place, near)
    else:
        starts = [u, *(one.align(u) for one in of.at_least())] + ([] if near is None else [near[0]])
        found = _by_gradients(of, u, starts, tolerance)
    place.keep("maximisers", found.maximiser)
    place.keep("duals", u.new_zeros(len(u), 0) if found.duals is None else found.duals)
    return found


def _by_form(
    composition: Node, form: Node, u: Tensor, tolerance: float, place: Slot, near: tuple[Tensor, Tensor] | None
) -> Enclosure:
    """By the solver made for the form, and by the splitting what that leaves open."""
    spaces = list(atoms(composition))
    counts = [len(list(leaves(expanded(one)))) for one in spaces]  # pyright: ignore[reportArgumentType]
    upper = functools.partial(split_bound, composition, counts, bind(form, tuple(u.shape[1:])))
    match form:
        case Node(p=1, parts=(Leaf(p=2, maps=()), Leaf(p=1, maps=(Differences() as one,)))) if tolerance >= COARSE:
            found = enclose_by_flows(one, u, tolerance, STEPS, near)
            depths = DEPTHS
        case _:
            starts = [u, *(one.align(u) for one in spaces if isinstance(one, Space))]
            weights = place.recall("weights")
            weights = None if weights is None else weights.to(u)
            found = enclose(form, u, Known(starts, weights, near), upper, tolerance, STEPS)
            depths = DEPTHS[1:]  # the acceleration can get stuck where cones meet: less of it then arrives
            if found.steps:
                place.keep("weights", found.weights.log().mean(0).exp())
    for depth in depths:
        _again(found, form, u, upper, tolerance, depth)
    return found


def _again(found: Enclosure, form: Node, u: Tensor, upper: UpperBound, tolerance: float, depth: int) -> None:
    """Another attempt at the samples whose bounds are still too far apart, from where they stand."""
    rows = torch.nonzero(found.gap > tolerance)[:, 0]
    if not len(rows):
        return
    again = enclose(form, u[rows], Known([found.maximiser[rows]]), upper, tolerance, STEPS, depth)
    better = again.lower > found.lower[rows]
    found.maximiser[rows] = torch.where(_column(better, u), again.maximiser, found.maximiser[rows])
    found.lower[rows] = torch.maximum(again.lower, found.lower[rows])
    found.upper[rows] = torch.minimum(again.upper, found.upper[rows])
    found.steps += again.steps


def _remembered(place: Slot, u: Tensor) -> tuple[Tensor, Tensor] | None:
    """For each u the best of the unit vectors that another solve ended with, and its duals."""
    maximisers, duals = place.recall("maximisers"), place.recall("duals")
    if maximisers is None or duals is None:
        return None
    maximisers, duals = maximisers.to(u), duals.to(u)
    best = (u.flatten(1) @ maximisers.flatten(1).T).argmax(1)
    return maximisers[best], duals[best]


def _by_gradients(of: NormOnly, u: Tensor, starts: list[Tensor], tolerance: float) -> Enclosure:
    lengths = torch.stack([of.norm(one) for one in starts])
    ratios = torch.stack([pair(u, one) for one in starts]) / torch.where(lengths > 0, lengths, math.inf)
    best, pick = ratios.argmax(0), torch.arange(len(u), device=u.device)
    start = torch.stack(starts)[best, pick] / _column(lengths[best, pick], u)
    lower, upper, maximiser, steps = enclose_by_gradients(of.norm, u, start, _remainder(of, u), tolerance, STEPS)
    return Enclosure(lower, upper, maximiser, u.new_ones(len(u), 0), steps)


def _remainder(of: NormOnly, u: Tensor) -> Any:
    """A rough upper bound of the dual norm, for what the solver leaves of u."""
    if known := of.at_least():
        return lambda r: torch.stack([one.dual.norm(r) for one in known]).amin(0)
    n = u[0].numel()
    if n > SPANNED:
        raise BanachError(
            f"{of!r}: to bound the dual norm of data with {n:,} entries, let at_least() name a space whose norm is "
            f"never larger (up to {SPANNED:,} entries nothing is needed)"
        )
    inverse = _spanning(of, tuple(u.shape[1:])).to(u)
    return lambda r: (r.flatten(1) @ inverse).abs().sum(1)


@functools.lru_cache(maxsize=8)
def _spanning(of: NormOnly, event: tuple[int, ...]) -> Tensor:
    """The inverse of a matrix whose rows are gradients g_i of the norm, each of dual norm 1, that span all covectors.

    r = sum c_i g_i then has dual norm at most sum |c_i|, and c = r @ inverse.
    """
    n = math.prod(event)
    with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"):
        rng = torch.Generator().manual_seed(0)
        turned = torch.linalg.qr(torch.randn(n, n, generator=rng, dtype=torch.float64)).Q
        for points in (torch.eye(n, dtype=torch.float64), turned):
            x = points.view(n, *event).requires_grad_()
            (g,) = torch.autograd.grad(of.norm(x).sum(), x)
            inverse, info = torch.linalg.inv_ex(g.flatten(1))
            if int(info) == 0 and bool(inverse.isfinite().all()) and float(inverse.abs().amax()) < 1e6:
                return inverse
    raise BanachError(f"{of!r}: its gradients do not span the data, so it is not a norm on them")
