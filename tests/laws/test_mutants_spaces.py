"""Wrong spaces that the laws must reject, kept beside them; each names the law that finds it.

A law that rejects nothing tests nothing. "maximiser …" means both of: its norm is 1, it attains the dual norm.
"""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from banach import Bessel, Compose, Lp, Matrix, Product, Scale, Sobolev, Space, Weighted, pair
from banach.norms.warm_starts import slot
from banach.numerics import p_norm
from banach.spaces import InfConvolution, Intersection, MeanFree, ModConstants, TotalVariation
from banach.testing import LawError, LawResult, assert_laws, check_space, steepest


@dataclasses.dataclass(frozen=True)
class Claimed(Space):
    """A space that claims another's dual."""

    primal: Space
    claimed: Space

    def norm(self, x: Tensor) -> Tensor:
        return self.primal.norm(x)

    @property
    def dual(self) -> Space:
        return Claimed(self.claimed, self.primal)

    def domain(self, x: Tensor) -> Tensor:
        return self.primal.domain(x)


class Forgetful(Claimed):
    """Its dual does not know where it came from."""

    @property
    def dual(self) -> Space:
        return self.claimed


@dataclasses.dataclass(frozen=True)
class Formula(Space):
    """A norm by formula, with a dual by formula."""

    primal: Callable[[Tensor], Tensor]
    claimed: Callable[[Tensor], Tensor]

    def norm(self, x: Tensor) -> Tensor:
        return self.primal(x)

    @property
    def dual(self) -> Space:
        return Formula(self.claimed, self.primal)


def mean_norm(p: float) -> Callable[[Tensor], Tensor]:
    return lambda x: p_norm(x, p) / x[0].numel() ** (1 / p)


def spectral(s: float, first: float, nyquist: float) -> Callable[[Tensor], Tensor]:
    """|Bessel(s) x|_2 on one axis by the half-spectrum, with given weights of the zero and the Nyquist coefficient."""

    def norm(x: Tensor) -> Tensor:
        n = x.shape[-1]
        weight = torch.full((n // 2 + 1,), 2.0, dtype=x.dtype)
        weight[0] = first
        if n % 2 == 0:
            weight[-1] = nyquist
        xi = torch.arange(n // 2 + 1, dtype=x.dtype) / (n // 2)
        scale = x.detach().abs().flatten(1).amax(1).clamp_min(1e-300).view(-1, 1, 1)
        energy = torch.fft.rfft(x / scale).abs().square() * weight * (1 + 5 * xi**2) ** s / n
        total = energy.flatten(1).sum(1)
        return scale.flatten() * torch.where(total > 0, torch.where(total > 0, total, 1.0).sqrt(), 0.0)

    return norm


def eps_under_the_root(eps: float) -> Callable[[Tensor], Tensor]:
    return lambda x: (x.flatten(1).square().sum(1) + eps).sqrt()


def half_gradient(x: Tensor) -> Tensor:
    """The right value with half its gradient."""
    length = p_norm(x, 2)
    return length.detach() + 0.5 * (length - length.detach())


def straight_through(x: Tensor) -> Tensor:
    """The value of the filtered norm with the gradient of the plain one."""
    filtered, plain = Sobolev(-1).dual.norm(x), p_norm(x, 2)
    return plain + (filtered - plain).detach()


def unscaled(p: float) -> Callable[[Tensor], Tensor]:
    return lambda x: x.flatten(1).abs().pow(p).sum(1).pow(1 / p)


def batch_norm_of_all(x: Tensor) -> Tensor:
    return p_norm(x.reshape(1, -1), 2).expand(len(x))


BOTH = Intersection(2, Lp(2), Lp(math.inf))
TV = TotalVariation(weight=1)


def stopped_early(u: Tensor) -> Tensor:
    """The pairing with the best unit vector that two gradient steps find: a lower bound, with Danskin's gradient."""
    x = u.detach()
    for _ in range(2):
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            value = pair(u.detach(), leaf) / TV.norm(leaf).clamp_min(1e-300)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        x = x + 0.1 * slope * TV.norm(x).view(-1, 1, 1)
    length = TV.norm(x).view(-1, 1, 1)
    return pair(u, x / torch.where(length > 0, length, 1.0))


def remembering(u: Tensor) -> Tensor:
    """The right dual norm, and a thousandth more where another solve left something."""
    place = slot("remembering")
    value = TV.dual.norm(u) * (1 if place.recall("a solve") is None else 1.001)
    place.keep("a solve", torch.ones(1))
    return value


MATRIX = Matrix(((2, 1, 0), (0, 1, 0), (0.5, 0, 1)))
CHANNELS = Compose(Scale((1, 2, 0.5)), Bessel(s=-1))
MASK = Compose(Scale(((1, 2, 3, 4, 5),)), Bessel(s=-1))

MAXIMISER, STEEPER = "maximiser has norm 1", "no vector is steeper"
HOMOGENEOUS = "homogeneous"

MUTANTS = {
    "s not negated": (Claimed(Sobolev(-1, 3), Sobolev(-1, 1.5)), (2, 5), MAXIMISER),
    "s not negated, p = 2": (Claimed(Sobolev(1), Sobolev(1)), (2, 5), MAXIMISER),
    "p for q": (Claimed(Lp(3), Lp(3)), (7,), MAXIMISER),
    # The first two duality laws hold for these: the gradient is a unit vector that attains the claimed value.
    "p for q, p = inf": (Claimed(Lp(math.inf), Lp(math.inf)), (7,), STEEPER),
    "p for q behind a filter, p = inf": (Claimed(Sobolev(-1, math.inf), Sobolev(1, math.inf)), (1, 9, 7), STEEPER),
    "adjoint forgotten, matrix": (
        Claimed(Weighted(MATRIX, Lp(3)), Weighted(MATRIX.inverse, Lp(1.5))),
        (3, 4),
        MAXIMISER,
    ),
    "adjoint forgotten, masked filter": (
        Claimed(Weighted(MASK, Lp(1.5)), Weighted(MASK.inverse, Lp(3))),
        (1, 2, 5),
        MAXIMISER,
    ),
    "inverse forgotten": (Claimed(Weighted(CHANNELS, Lp(1.5)), Weighted(CHANNELS.adjoint, Lp(3))), (3, 5), MAXIMISER),
    "mean for sum": (Formula(mean_norm(3), mean_norm(1.5)), (2, 5), MAXIMISER),
    "mean for sum in the dual only": (Formula(lambda x: p_norm(x, 3), mean_norm(1.5)), (2, 5), MAXIMISER),
    "Nyquist weight 2": (Formula(spectral(-1, 1, 2), spectral(1, 1, 2)), (1, 8), MAXIMISER),
    "zero mode weight 2": (Formula(spectral(-1, 2, 1), spectral(1, 2, 1)), (1, 8), MAXIMISER),
    "half the gradient": (Formula(lambda x: p_norm(x, 2), half_gradient), (5,), MAXIMISER),
    "gradient of another norm": (Formula(Sobolev(-1).norm, straight_through), (2, 5), "maximiser attains"),
    "product with p for q": (
        Claimed(Product(3, (Lp(2), Lp(1)), (1, 2)), Product(3, (Lp(2), Lp(math.inf)), (1, 2))),
        (3, 4),
        MAXIMISER,
    ),
    "product with p for q, p = inf": (
        Claimed(Product(math.inf, (Lp(2), Lp(2)), (1, 2)), Product(math.inf, (Lp(2), Lp(2)), (1, 2))),
        (3, 4),
        STEEPER,
    ),
    "parts in wrong order": (
        Claimed(Product(2, (Lp(1), Lp(4)), (1, 1)), Product(2, (Lp(4 / 3), Lp(math.inf)), (1, 1))),
        (2, 4),
        MAXIMISER,
    ),
    "squared norm": (Formula(lambda x: x.flatten(1).square().sum(1), lambda x: p_norm(x, 2)), (5,), HOMOGENEOUS),
    "eps under the root": (Formula(eps_under_the_root(1e-4), eps_under_the_root(1e-4)), (5,), HOMOGENEOUS),
    "small eps under the root": (Formula(eps_under_the_root(1e-12), eps_under_the_root(1e-12)), (5,), HOMOGENEOUS),
    "eps under the root, at 0": (Formula(eps_under_the_root(1e-12), Lp(2).norm), (5,), "norm is 0 at 0"),
    "powers out of range": (Formula(unscaled(20), unscaled(20 / 19)), (5,), HOMOGENEOUS),
    "root at 0": (Formula(lambda x: x.flatten(1).square().sum(1).sqrt(), Lp(2).norm), (5,), "gradient is 0 at 0"),
    "no triangle inequality": (Formula(unscaled(0.5), lambda x: p_norm(x, math.inf)), (5,), "triangle inequality"),
    "a direction unseen": (
        Formula(lambda x: p_norm(x[:, 1:], 2), lambda x: p_norm(x[:, 1:], 2)),
        (5,),
        "Hölder's inequality",
    ),
    "one percent too small": (Formula(Lp(3).norm, lambda x: 0.99 * Lp(1.5).norm(x)), (5,), MAXIMISER),
    "cell volume forgotten in the dual": (
        Claimed(Sobolev(1, 3, length=2), Weighted(Bessel(s=-1, length=2), Lp(1.5))),
        (1, 8),
        MAXIMISER,
    ),
    "constants seen by the dual": (Claimed(MeanFree(3), Lp(1.5)), (2, 5), "maximiser lies in the space"),
    "mean taken for the best constant": (
        Formula(lambda x: p_norm(x - x.mean(-1, keepdim=True), 3), lambda x: p_norm(x - x.mean(-1, keepdim=True), 1.5)),
        (1, 5),
        MAXIMISER,
    ),
    "samples of the batch coupled": (Formula(batch_norm_of_all, batch_norm_of_all), (5,), "each sample by itself"),
    "one number for the batch": (Formula(lambda x: x.norm(), lambda x: x.norm()), (5,), "has a dual"),
    "the larger of the two duals": (
        Formula(BOTH.norm, lambda u: torch.maximum(Lp(1).norm(u), Lp(math.inf).norm(u))),
        (5,),
        MAXIMISER,
    ),
    "the smaller of the two duals": (Formula(BOTH.norm, Lp(2).norm), (5,), MAXIMISER),
    "the q-norm of the two duals": (
        Formula(Intersection(3, Lp(2), Lp(4)).norm, Intersection(1.5, Lp(2), Lp(4 / 3)).norm),
        (5,),
        MAXIMISER,
    ),
    "infimal convolution with p for q": (
        Claimed(Intersection(1, Lp(2), Lp(1)), InfConvolution(1, Lp(2), Lp(math.inf))),
        (5,),
        MAXIMISER,
    ),
    "stopped after two steps": (Formula(TV.norm, stopped_early), (1, 6), STEEPER),
    "a value that a warm start changes": (Formula(TV.norm, remembering), (1, 6), "warm start"),
    "dual of the dual another space": (Forgetful(Lp(3), Lp(1.6)), (5,), "dual.dual is the space"),
}


@dataclasses.dataclass(frozen=True)
class Steering(Claimed):
    """A right norm and dual, with a direction of steepest ascent of its own."""

    direction: Callable[[Tensor], Tensor]

    def align(self, u: Tensor) -> Tensor:
        return self.direction(u)

    @property
    def dual(self) -> Space:
        return Steering(self.claimed, self.primal, self.direction)


def unit_in_l2(u: Tensor) -> Tensor:
    return u / torch.where((length := p_norm(u, 2)) > 0, length, 1.0).view(-1, *[1] * (u.ndim - 1))


def ones(u: Tensor) -> Tensor:
    """A unit vector of L^inf, whatever u."""
    return torch.ones_like(u)


STEERING = {
    "the gradient itself": (Steering(Lp(3), Lp(1.5), lambda u: u), "align is a unit vector"),
    "the steepest direction of L2": (Steering(Lp(3), Lp(1.5), unit_in_l2), "align is a unit vector"),
    "any unit vector": (Steering(Lp(math.inf), Lp(1), ones), "align attains the dual norm"),
    "not 0 at 0": (Steering(Lp(math.inf), Lp(1), ones), "align is 0 at 0"),
}


@pytest.mark.parametrize("name", STEERING)
def test_wrong_directions_are_rejected(name):
    mutant, law = STEERING[name]
    results = check_space(mutant, [(2, 3)], steps=5)
    assert law in broken(results), "\n".join(map(str, results))


def broken(results: list[LawResult]) -> set[str]:
    return {one.name for one in results if not one.ok} - {"spelling", "dual: spelling"}


LONG = {"a value that a warm start changes"}  # a quarter of a minute


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one in LONG)) for one in MUTANTS])
def test_mutants_are_rejected(name):
    mutant, shape, law = MUTANTS[name]
    results = check_space(mutant, [shape], steps=25)
    assert law in {one.removeprefix("dual: ") for one in broken(results)}, "\n".join(map(str, results))
    with pytest.raises(LawError, match=law):
        assert_laws(results)


@pytest.mark.parametrize("name", [name for name, (_, _, law) in MUTANTS.items() if law == STEEPER])
def test_only_the_ascent_finds_these(name):
    """At a covector without ties their gradient is a unit vector and attains them: it is only not the steepest."""
    mutant, shape, _ = MUTANTS[name]
    u = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    claimed = mutant.dual.norm(u)
    (g,) = torch.autograd.grad(claimed.sum(), u)
    torch.testing.assert_close(mutant.norm(g), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(pair(u, g), claimed)
    found = steepest(mutant, u.detach(), torch.Generator().manual_seed(0), (g,), steps=25)
    assert (found > 1.1 * claimed).all()


@pytest.mark.parametrize(
    "right",
    [
        (Lp(3), Lp(1.5)),
        (Weighted(MATRIX, Lp(3)), Weighted(MATRIX.inverse.adjoint, Lp(1.5))),
        (MeanFree(3), ModConstants(1.5)),
        (Product(2, (Lp(1), Lp(4)), (1, 2)), Product(2, (Lp(math.inf), Lp(4 / 3)), (1, 2))),
    ],
    ids=repr,
)
def test_the_same_ways_of_writing_are_accepted_when_right(right):
    assert broken(check_space(Claimed(*right), [(3, 4)])) == set()


@pytest.mark.parametrize("shape", [(1, 5), (1, 8)])
def test_the_spectral_formula_is_accepted_when_right(shape):
    assert broken(check_space(Formula(spectral(-1, 1, 1), spectral(1, 1, 1)), [shape])) == set()
    assert (broken(check_space(Formula(spectral(-1, 1, 2), spectral(1, 1, 2)), [shape])) == set()) == (shape == (1, 5))


@dataclasses.dataclass(frozen=True)
class ByMatrixProducts(Space):
    """Distances by |x|^2 + |y|^2 - 2 x.y, which lose all digits between close points."""

    def norm(self, x: Tensor) -> Tensor:
        return p_norm(x, 2)

    @property
    def dual(self) -> Space:
        return self

    def pairwise(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = x.flatten(1) + 1e6, y.flatten(1) + 1e6
        squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
        return squares.clamp_min(0).sqrt()


def test_distances_by_matrix_products_are_rejected():
    assert "pairwise is distance" in broken(check_space(ByMatrixProducts(), [(5,)]))


def test_a_space_that_breaks_is_reported_not_raised():
    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("out of ideas\nsecond line")

    results = check_space(Formula(fails, fails), [(5,)])
    assert [str(one) for one in results if one.name == "accepts data"] == [
        "BROKEN accepts data: inf, allowed 0  (RuntimeError: out of ideas)"
    ]
