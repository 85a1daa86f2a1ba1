"""What Lipschitz GANs prove of an objective, computed: the conditions of their eq. 11, and a row of their Table 1."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from banach.objectives.objective import Objective, Scalar
from banach.specs import Source, SpecError

EQUATION_11 = Source(
    "Zhou et al. 2019 (Lipschitz GANs)",
    "eq. 11",
    unverified="its formula is missing from the text at hand and was restored from memory",
)


def conditions(of: Objective, reach: float = 20.0, points: int = 4001) -> dict[str, bool]:
    """Which conditions of Lipschitz GANs, eq. 11, an objective meets on [-reach, reach], by float64 differentiation.

    phi' > 0, varphi' < 0, phi'' >= 0, varphi'' >= 0, and some a with phi'(a) + varphi'(a) = 0 ("balance"); with
    "strict" (phi or varphi strictly convex everywhere) the optimal critic is unique. The equation itself could not be
    verified (`EQUATION_11`). Of a paired objective, the functions are those of the differences.

    >>> from banach import objective
    >>> conditions(objective("logistic"))["all"], conditions(objective("hinge"))["phi_increasing"]
    (True, False)
    """
    f = torch.linspace(-reach, reach, points, dtype=torch.float64)
    (phi1, phi2), (varphi1, varphi2) = _derivatives(of.phi, f), _derivatives(of.varphi, f)
    balance = phi1 + varphi1
    met = {
        "phi_increasing": bool((phi1 > 0).all()),
        "varphi_decreasing": bool((varphi1 < 0).all()),
        "phi_convex": bool((phi2 >= -1e-12).all()),
        "varphi_convex": bool((varphi2 >= -1e-12).all()),
        "balance": bool((balance.min() <= 1e-12) & (balance.max() >= -1e-12)),
    }
    met["all"] = all(met.values())
    met["strict"] = bool((phi2 > 0).all() or (varphi2 > 0).all())
    return met


@dataclass(frozen=True)
class TableRow:
    """A row of Table 1 of Lipschitz GANs, and the optimum that it was read off.

    `vanishing`: the generator's gradient is 0 at the optimal critic, whatever the samples: psi'(f(fake)) = 0.
    `uninformative`: the critic's gradient at a fake need not say where reals are. `unique`: there is one optimal critic
    (on the samples). None where the optimum is not defined. `slope` is |psi'| at the optimum, `f_real` and `f_fake` are
    its values at the two atoms, infinite where they run off; a paired objective knows their difference alone.
    """

    vanishing: bool | None
    uninformative: bool
    unique: bool
    slope: float | None
    f_real: float | None
    f_fake: float | None


def table_row(of: Objective, lipschitz: Literal["none", "penalty", "bound"] = "none", weight: float = 1.0) -> TableRow:
    """The row of Table 1 of Lipschitz GANs for an objective, computed by stated rules.

    Uninformative = no if and only if the Lipschitz constant k of f is penalised (`lipschitz="penalty"`: weight k^2, as
    in Lipschitz GANs) or bounded ("bound": k <= 1, as in WGAN). Unique = phi or varphi strictly convex (Theorem 1), or
    the objective's own constraint is; never for pairs, whose critic is defined up to a constant. Vanishing: |psi'| at
    the optimum f* of two separated atoms, one real at x = 1 and one fake at x = 0, found numerically: with k =
    |f(1) - f(0)| penalised or bounded, or free ("none"), where f* may run off to infinity, and the limit of |psi'| is
    read off critics of a range growing to 512 (what still falls, or grows, by a tenth at the last doubling has 0, or
    infinity, as its limit). Where several critics are optimal, the one nearest to 0 counts.

    >>> from banach import objective
    >>> table_row(objective("vanilla_saturating")).vanishing, table_row(objective("vanilla")).vanishing
    (True, False)
    """
    if lipschitz not in ("none", "penalty", "bound"):
        raise SpecError(f"lipschitz = {lipschitz!r}; choose none, penalty or bound")
    met = conditions(of)
    free = lipschitz == "none"
    unique = (met["strict"] and not of.paired) or of.own in _STRICTLY_CONVEX
    defined = met["phi_convex"] and met["varphi_convex"] and of.own in _WIDEST and (free or met["balance"])
    if not defined:
        return TableRow(None, free, unique, None, None, None)
    widest = min(_WIDEST[of.own], 1.0 if lipschitz == "bound" else math.inf)
    f_real, f_fake, slope = _optimum(of, widest, free, weight if lipschitz == "penalty" else 0.0)
    return TableRow(slope < 1e-6, free, unique, slope, f_real, f_fake)


def _optimum(of: Objective, widest: float, free: bool, weight: float) -> tuple[float, float, float]:
    """The optimal critic's values at the two atoms, at most `widest` apart, and |psi'| there; or their limits."""
    if math.isinf(widest) and free:
        optima = _free_optima(of)
        f_real, f_fake = (_limit([one[at] for one in optima]) for at in (0, 1))
        return f_real, f_fake, abs(_limit([_generators_slope(of, *one) for one in optima]))
    f_real, f_fake = _restrained_optimum(of, min(widest, 512.0), weight)
    return f_real, f_fake, _generators_slope(of, f_real, f_fake)


_WIDEST = {"": math.inf, "fisher-moment": 2.0, "sobolev-moment": math.inf}
"""How large f(1) - f(0) may be by the objective's own constraint, half the mass on each atom: f^2 has mean 1 (Fisher
GAN), the gradient at the atoms has (Sobolev GAN), which leaves the values free."""

_STRICTLY_CONVEX = {"fisher-moment"}
"""Own constraints that are strictly convex in the values of f."""


def bounded_below(of: Objective) -> bool:
    """Whether phi and varphi are bounded below: an unconstrained critic then cannot lower its loss without limit.

    Reals and fakes apart, a free critic takes any value on either. Decided by the least values of phi and varphi on
    [-R, R], R = 2, 4, …, 512, in float64: at the last doubling they fall no more, or by less than 3/4 of the fall
    before (as 1/R does; a line falls by twice as much, a logarithm by as much). Of a paired objective varphi counts.

    >>> from banach import objective
    >>> bounded_below(objective("logistic")), bounded_below(objective("wasserstein"))
    (True, False)
    """
    return all(_settles(function) for function in ((of.varphi,) if of.paired else (of.phi, of.varphi)))


def _settles(function: Scalar) -> bool:
    # One grid for all ranges, so that the least value of a smaller range is never below that of a larger one.
    ends = torch.cat([torch.linspace(0, 2, 257, dtype=torch.float64)] + [_octave(2.0**k) for k in range(1, 9)])
    values = function(torch.cat([-ends.flip(0), ends]))
    least = [float(values[(len(ends) - n) : (len(ends) + n)].min()) for n in range(257, len(ends) + 1, 64)]
    before, last = (least[-3] - least[-2], least[-2] - least[-1])
    return last <= max(0.75 * before, 1e-9)


def _octave(low: float) -> Tensor:
    return torch.linspace(low, 2 * low, 65, dtype=torch.float64)[1:]


def _generators_slope(of: Objective, f_real: float, f_fake: float) -> float:
    """|psi'| where the generator meets the critic."""
    at = f_fake - f_real if of.paired else f_fake
    return float(_derivative(of.psi, torch.tensor([at], dtype=torch.float64)).abs())


def _free_optima(of: Objective) -> list[tuple[float, float]]:
    """f(real) and f(fake) of the best critic with values in [-R, R], R = 2, 4, …, 512; of pairs, with that difference.

    At least two, and then no further than derivatives can be told from 0 in float64 (e^-745 is 0).
    """
    found = []
    for reach in (2.0**k for k in range(1, 10)):
        if of.paired:
            gap, resolved = _minimum(of.varphi, reach)
            f_real, f_fake = gap / 2, -gap / 2
        else:
            (f_real, known_real), (f_fake, known_fake) = _minimum(of.varphi, reach), _minimum(of.phi, reach)
            resolved = known_real and known_fake
        if not resolved and len(found) > 1:
            break
        found.append((f_real, f_fake))
    return found


def _minimum(function: Scalar, reach: float) -> tuple[float, bool]:
    """Where a convex function is least on [-reach, reach], and whether its slope just before is above underflow."""
    at = _zero(lambda f: _derivative(function, f), -reach, reach)
    before = _derivative(function, torch.tensor([at * (1 - 1e-6)], dtype=torch.float64))
    return at, at == 0 or bool(before.abs() > 1e-290)


def _restrained_optimum(of: Objective, widest: float, weight: float) -> tuple[float, float]:
    """f(real) and f(fake) that minimise the critic's loss + weight gap^2, gap = f(real) - f(fake) in [0, widest].

    The best middle for each gap first: what is left is convex in the gap, and its slope is that of the loss alone.
    """

    def loss(middle: Tensor, gap: Tensor) -> Tensor:
        play = of.varphi(gap) if of.paired else of.phi(middle - gap / 2) + of.varphi(middle + gap / 2)
        return play + weight * gap.square()

    def best_middle(gap: Tensor) -> Tensor:
        if of.paired:
            return torch.zeros_like(gap)
        ends = torch.full_like(gap, -512.0), torch.full_like(gap, 512.0)
        return _zeros(lambda middle: _derivative(lambda m: loss(m, gap), middle), *ends)

    def slope(gap: Tensor) -> Tensor:
        middle = best_middle(gap)
        return _derivative(lambda g: loss(middle, g), gap)

    gap = _zero(slope, 0.0, widest)
    middle = float(best_middle(torch.tensor([gap], dtype=torch.float64)))
    return middle + gap / 2, middle - gap / 2


def _zero(slope: Callable[[Tensor], Tensor], low: float, high: float) -> float:
    ends = torch.tensor([[low], [high]], dtype=torch.float64)
    return float(_zeros(slope, ends[0], ends[1]))


def _zeros(slope: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """The zero of an increasing function, in each of several intervals; the end it points to where there is none.

    Of an interval of zeros, the point nearest to 0. `slope` acts on each entry, and takes one more axis in front.
    """
    first = _last(lambda x: slope(x) < 0, low, high)
    last = -_last(lambda x: slope(-x) > 0, -high, -low)
    return torch.zeros_like(low).clamp(first, torch.maximum(first, last))


def _last(holds: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """The last point of each interval up to which something holds; `low` if it does nowhere, `high` if everywhere."""
    steps = torch.linspace(0, 1, 33, dtype=low.dtype)
    for _ in range(9):
        x = low + (high - low) * steps.view(-1, *[1] * low.dim())
        held = holds(x).sum(0, keepdim=True)
        low, high = (x.gather(0, at.clamp(0, len(steps) - 1))[0] for at in (held - 1, held))
    return low


def _limit(values: list[float]) -> float:
    """Where a sequence goes over doublings of the range: its last value, 0, or infinity with its sign."""
    *_, before, last = values
    if abs(last) > 1.1 * abs(before):
        return math.copysign(math.inf, last)
    return 0.0 if 1.1 * abs(last) < abs(before) else last


def _derivatives(function: Scalar, f: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivative at each point; zero where autograd finds none."""
    return _derivative(function, f), _derivative(lambda x: _derivative(function, x, create_graph=True), f)


def _derivative(function: Scalar, f: Tensor, create_graph: bool = False) -> Tensor:
    with torch.enable_grad():
        f = f if create_graph else f.detach().requires_grad_()
        total = function(f).sum()
        if not total.requires_grad:
            return torch.zeros_like(f)
        (found,) = torch.autograd.grad(total, f, create_graph=create_graph, allow_unused=True)
    return torch.zeros_like(f) if found is None else found
