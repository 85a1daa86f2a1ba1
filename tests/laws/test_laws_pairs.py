"""Benchmark pairs with known W1: the coupling's cost is the potential's gain, and the potential is 1-Lipschitz."""

import dataclasses
import math

import pytest
import torch

from banach import Lp, Product, Scale, Sobolev, Space, Weighted
from banach.specs import SpecError, parse
from banach.transport import PAIRS, TransportError
from banach.transport.pairs import Atoms, Lines, MinFunnel, Normals, Shrink, Sums, Translation

NORMS = (
    Lp(1), Lp(1.3), Lp(2), Lp(10), Lp(math.inf),
    Sobolev(s=-1), Sobolev(s=1), Sobolev(s=-1.5, p=4), Sobolev(s=1, p=3, length=2),
    Weighted(Scale(3.0), Lp(1)), Weighted(Scale((1, 2, 0.5)), Lp(1)), Product(2, (Lp(1), Lp(math.inf)), (1, 1)),
)  # fmt: skip


def measured(pair, space: Space):
    """(cost of the coupling - gain of the potential, worst |f(a) - f(b)| - |a - b|) in units of the cost."""
    rng = torch.Generator().manual_seed(1)
    x, y = pair.draw(300, space, rng)
    lengths = space.distance(x, y)
    gains = pair.potential(x, space) - pair.potential(y, space)
    pool = torch.cat([x, y, 2 * torch.randn(300, *x.shape[1:], generator=rng, dtype=torch.float64)])
    a, b = pool[torch.randperm(len(pool), generator=rng)], pool
    excess = (pair.potential(a, space) - pair.potential(b, space)).abs() - space.distance(a, b)
    return float((lengths - gains).abs().max() / lengths.mean()), float(excess.max() / lengths.mean())


def accepted():
    for spec in PAIRS.examples():
        for space in NORMS:
            try:
                pair = PAIRS.parse(spec)
                pair.potential(pair.draw(2, space, torch.Generator())[0], space)
                space.norm(pair.draw(2, space, torch.Generator())[0])
            except (TransportError, ValueError):
                continue
            yield spec, space


CASES = list(accepted())


def test_every_pair_is_tried_in_several_norms():
    for spec in PAIRS.examples():
        assert sum(one == spec for one, _ in CASES) >= (2 if spec.startswith("Sums") else 5), spec


# A truth may be a mean over a million draws: two norms of each pair serve here.
FEW = [(spec, space) for spec, space in CASES if space in (Lp(1), Sobolev(s=-1))]


@pytest.mark.parametrize(("spec", "space"), CASES, ids=repr)
def test_primal_is_dual_and_the_potential_is_lipschitz(spec, space):
    gap, excess = measured(PAIRS.parse(spec), space)
    assert gap < 1e-12
    assert excess < 1e-12


@pytest.mark.parametrize(("spec", "space"), FEW, ids=repr)
def test_the_truth_is_the_mean_of_the_draws(spec, space):
    pair = PAIRS.parse(spec)
    truth = pair.truth(space)
    lengths = space.distance(*pair.draw(20_000, space, torch.Generator().manual_seed(7)))
    noise = math.hypot(float(lengths.std()) / math.sqrt(len(lengths)), truth.error)
    assert abs(float(lengths.mean()) - truth.value) <= 5 * noise + 1e-12 * truth.value
    assert truth.error < 1e-3 * truth.value


def test_closed_forms():
    assert Translation(3, theta=2).truth(Lp(2)).value == pytest.approx(2 * Translation(3).truth(Lp(2)).value)
    assert Lines(theta=-0.5).truth(Lp(math.inf)).value == 0.5
    assert Atoms(2, p=0.3, q=0.3).truth(Lp(1)).value == 0
    assert Normals(mu=2, sigma=1).truth(Lp(3)).value == 2
    assert Normals(mu=0, sigma=0).truth(Lp(2)).value == pytest.approx(math.sqrt(2 / math.pi))


@dataclasses.dataclass(frozen=True)
class SteepFunnel(MinFunnel):
    """A mutant: its potential is not 1-Lipschitz."""

    def potential(self, z, space):
        return 1.01 * super().potential(z, space)


@dataclasses.dataclass(frozen=True)
class OtherFunnel(MinFunnel):
    """A mutant: it moves towards a centre that is not the active one."""

    def _lowest(self, z, space):
        centres, offsets = self._centres(space)
        low, which = (space.pairwise(z, centres) + offsets).min(1)
        return low, centres[(which + 1) % len(centres)]


@dataclasses.dataclass(frozen=True)
class Spread(Shrink):
    """A mutant: no optimal coupling, for it moves to the other side of the origin."""

    def draw(self, n, space, rng):
        x, y = super().draw(n, space, rng)
        return x, -y


@pytest.mark.parametrize("pair", [SteepFunnel(4), OtherFunnel(4), Spread(4)], ids=repr)
def test_mutants_are_rejected(pair):
    gap, excess = measured(pair, Lp(2))
    assert max(gap, excess) > 1e-3


@pytest.mark.parametrize("spec", PAIRS.examples())
def test_specs_parse_back(spec):
    pair = PAIRS.parse(spec)
    assert parse(repr(pair), PAIRS) == pair


@pytest.mark.parametrize(
    "spec", ["Translation(0)", "Cone((2, 0))", "MinFunnel(2, funnels=0)", "Atoms(2, p=1.5)", "Normals(sigma=-1)"]
)
def test_nonsense_is_refused(spec):
    with pytest.raises(SpecError):
        PAIRS.parse(spec)


def test_sums_refuse_norms_that_are_no_sums():
    with pytest.raises(TransportError, match="no weighted sum"):
        Sums(3).truth(Lp(2))
