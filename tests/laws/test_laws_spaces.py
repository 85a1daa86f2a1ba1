"""Every registered space and its dual obey the laws; so do combinations of them that nobody registered."""

import itertools
import math

import pytest
import torch

from banach import Lp, parse, space
from banach.spaces import INTENTS, SPACES, Metric, Space
from banach.testing import assert_laws, check_space, shapes_of, steepest
from banach.testing.spaces import GRIDS, vectors

MORE = (
    "Weighted(Scale(((1, 2, 3, 4, 5), (5, 4, 3, 2, 1))), Lp(4))",
    "Weighted(Scale(-3), Sobolev(s=1, p=1.5))",
    "Weighted(Scale((1, 2, 0.5)), MeanFree(3))",
    "Weighted(Matrix(((1, 2), (3, 4))), Lp(inf))",
    "Weighted(Matrix(((0, 1), (-1, 0.5))), Product(1.5, (Lp(1), Lp(2)), (1, 1)))",
    "Weighted(Compose(Bessel(s=2), Scale((1, 2)), Bessel(s=-0.5)), Lp(2))",
    "Sobolev(s=-2, p=10)",
    "Sobolev(s=2, p=2, scale=12.5)",
    "Sobolev(s=1, p=inf, length=3)",
    "Sobolev(s=1, p=1, length=3)",
    "Sobolev(s=-1, p=2, length=0.5, scale=0.1)",
    "Sobolev(s=1, p=2, length=(1, 2))",
    "Sobolev(s=-0.5, p=3, length=1, boundary='even', homogeneous=True)",
    "Sobolev(s=-1, p=1, homogeneous=True)",
    "Sobolev(s=1, p=inf, homogeneous=True)",
    "Product(1, (Sobolev(s=1), Lp(inf)), (1, 1))",
    "Product(3, (Product(1, (Lp(2), Lp(4)), (1, 1)), Lp(1.5)), (2, 1))",
    "Product(1.5, (MeanFree(3), Lp(2)), (1, 1))",
    # One event-shape product accepts one shape only, so there are several.
    "Product(1, (Sobolev(s=-1, p=3), Lp(1)), ((1, 5), (3,)))",
    "Product(inf, (Lp(2), Sobolev(s=1, p=4)), ((4,), (2, 3, 2)))",
    "Product(2, (Sobolev(s=1, homogeneous=True), Lp(1), Lp(4)), ((1, 3, 4), (1,), (2, 2)))",
)

ONE_SHAPE_ONLY = {"Product(1.5, (Sobolev(s=-1), Lp(1)), ((1, 4, 4), (10,)))"}


COMPUTED = ("Intersection", "InfConvolution", "TotalVariation", "Dual", "GradientForm(p=1", "OverlappingPatches")
"""Each norm of these, or of their duals, is a convex problem: few shapes."""

LONG = (  # up to a minute each: test_all_shapes, among the slow tests, has them
    "Intersection(1, Lp(2), Intersection(4, Lp(1), Weighted(Matrix(((2, 1), (0, 1))), Lp(3))))",
    "Intersection(1.5, Lp(4), Sobolev(s=-1, p=1.5))",
    "TotalVariation(weight=0.5, p=3)",
    "TotalVariation(weight=1, p=1)",
    "Dual(TotalVariation(weight=1, p=1))",
    "Intersection(1, Lp(1), Sobolev(s=-1))",
    "Intersection(inf, Lp(2), Weighted(Scale(2), Lp(inf)))",
    "Dual(TotalVariation(weight=0.1))",
    "GradientForm(p=1)",
    "GradientForm(p=1.5, weight=0.5, boundary='even')",
    "OverlappingPatches(2, Lp(3), p=3)",
)

pytestmark = pytest.mark.filterwarnings("ignore::banach.spaces.AccuracyWarning")


def few(metric: Metric) -> list[tuple[int, ...]]:
    """A vector, a series and a picture, as far as the space accepts them."""
    accepted = shapes_of(metric)
    wanted = [(2,), (2, 2), (1, 5), (1, 4, 4)]
    found = [shape for shape in wanted if shape in accepted]
    return found[-2:] if len(found) > 1 else list(accepted[:2])


def sampled(metric: Metric, turn: int) -> list[tuple[int, ...]]:
    """Each size once, with a number of channels that differs from example to example, and one flat shape."""
    accepted = shapes_of(metric)
    by_size = [[shape for shape in accepted if shape[1:] == grid and shape[0] in (1, 2, 3)] for grid in GRIDS]
    flat = [shape for shape in accepted if len(shape) == 1]
    chosen = {shapes[turn % len(shapes)] for shapes in (*by_size, flat) if shapes}
    return sorted(chosen | set(accepted[-3:] if len(chosen) < 3 else ()))


@pytest.mark.parametrize(
    ("turn", "spec"), [pytest.param(turn, one, id=one) for turn, one in enumerate(SPACES.examples()) if one not in LONG]
)
def test_registered_spaces(turn, spec):
    metric = SPACES.parse(spec)
    shapes = few(metric) if spec.startswith(COMPUTED) else sampled(metric, turn)
    assert spec.startswith(COMPUTED) or len(shapes) >= 3 or spec in ONE_SHAPE_ONLY
    assert_laws(check_space(metric, shapes, seed=turn, steps=12))


@pytest.mark.parametrize(("turn", "spec"), enumerate(MORE), ids=MORE)
def test_combinations(turn, spec):
    metric = SPACES.parse(spec)
    assert_laws(check_space(metric, sampled(metric, turn)[-4:], seed=turn, steps=12))


@pytest.mark.slow
@pytest.mark.parametrize("spec", [*SPACES.examples(), *MORE])
def test_all_shapes(spec):
    if spec.startswith(COMPUTED):
        assert_laws(check_space(spec, few(SPACES.parse(spec)), seed=1, steps=25))
    else:
        assert_laws(check_space(spec, seed=1, steps=60))


@pytest.mark.parametrize("name", INTENTS)
def test_intents(name):
    assert repr(space(name)) == repr(parse(INTENTS[name], "space"))


def test_which_shapes_are_refused():
    """A shape is left out because the space says so in a sentence, not because something broke."""
    refused = {(d,) for d in (1, 2, 3, 5, 8)}
    for spec in SPACES.examples():
        if spec.startswith("Sobolev"):
            assert refused.isdisjoint(shapes_of(SPACES.parse(spec)))
    with pytest.raises(ValueError, match="channels, \\*spatial"):
        space("Sobolev(s=-1)").distance(torch.zeros(1, 5), torch.zeros(1, 5))
    assert shapes_of(space("Product(1.5, (Sobolev(s=-1), Lp(1)), ((1, 4, 4), (10,)))")) == ((26,),)


@pytest.mark.parametrize("spec", SPACES.examples())
def test_dual_of_the_dual_is_the_original(spec):
    metric = SPACES.parse(spec)
    if isinstance(metric, Space):
        assert metric.dual.dual == metric
        assert repr(metric.dual.dual) == repr(metric)


def test_exponents_are_not_conjugated_twice():
    """p/(p-1) twice misses a large part of random p in floating point."""
    exponents = (1 + 10 * torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).tolist()
    twice = [q / (q - 1) for q in (p / (p - 1) for p in exponents)]
    assert sum(a != b for a, b in zip(exponents, twice, strict=True)) > 200
    assert all(Lp(p).dual.dual.p == p for p in exponents)


@pytest.mark.parametrize("entry", SPACES.entries(), ids=lambda entry: entry.name)
def test_every_registered_space_has_an_example(entry):
    assert any(example.startswith(entry.name) for example in entry.examples)
    assert entry.summary


@pytest.mark.parametrize("spec", ["Lp(1.5)", "Lp(4)", "Sobolev(s=-1.5, p=2)", "Sobolev(s=1, p=4, scale='paper')"])
@pytest.mark.parametrize("shape", [(5,), (2, 8), (1, 9, 7)])
def test_the_ascent_is_strong(spec, shape):
    """Told nothing of the maximiser, it comes close to the dual norm: a wrong dual norm would be found out."""
    metric = SPACES.parse(spec)
    if shape not in shapes_of(metric):
        shape = (1, *shape)
    rng = torch.Generator().manual_seed(3)
    u, _ = vectors(shape, rng)
    reached = steepest(metric, u, rng, steps=60) / metric.dual.norm(u)
    assert float(reached.min()) > 0.97
    assert float(reached.max()) <= 1 + 1e-12


@pytest.mark.parametrize("p", [1.0, math.inf])
def test_the_ascent_is_strong_along_edges(p):
    rng = torch.Generator().manual_seed(3)
    u, _ = vectors((30,), rng)
    reached = steepest(Lp(p), u, rng, steps=60) / Lp(p).dual.norm(u)
    assert float(reached.min()) > 0.999


def test_the_sample_covers_all_sizes():
    seen = set(itertools.chain(*(sampled(SPACES.parse(spec), i) for i, spec in enumerate(SPACES.examples()))))
    assert {shape[1:] for shape in seen if len(shape) > 1} >= set(GRIDS)
    assert {shape[0] for shape in seen if len(shape) > 1} >= {1, 2, 3}
