"""The distance of two samples: intervals contain the exact value, whatever the samples, norm and solver."""

import importlib
import math
import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from exact import exact_transport
from scipy.optimize import linear_sum_assignment

from banach import Discrete, Lp, Sobolev, distance, space
from banach.spaces import SPACES
from banach.transport import PAIRS, TransportError

COMPUTED = [spec for spec in SPACES.examples() if spec.startswith(("InfConvolution", "Dual"))]
SPECS = [spec for spec in SPACES.examples() if spec not in COMPUTED]
SPECS.append("Product(inf, (Sobolev(s=1, p=2), Lp(2)), (1, 2))")
columns = importlib.import_module("banach.transport.columns")  # the module, whose function is of that name
SHAPES = ((3, 2, 2), (3, 4), (26,), (3,), (2,))
METHODS = ("simplex", "columns", "sinkhorn")


def shape_for(metric, rng):
    order = [SHAPES[k] for k in rng.permutation(len(SHAPES))]
    for shape in [*order, (1, 3), (2, 3), (1, 4, 4)]:
        try:
            if len(metric.distance(*torch.randn(2, 2, *shape, dtype=torch.float64))) == 2:
                return shape
        except ValueError:
            continue
    raise AssertionError(f"no shape for {metric!r}")


def random_problem(seed):
    """Samples with duplicates and shared points, of whole numbers or not, offset or not, and weights or none."""
    rng = np.random.default_rng(seed)
    metric = space(SPECS[rng.integers(len(SPECS))])
    shape = shape_for(metric, rng)
    n, m = rng.integers(1, 7, 2)
    pool = rng.normal(size=(8, *shape)) if rng.random() < 0.5 else rng.integers(-2, 3, (8, *shape)).astype(float)
    pool = pool * 10.0 ** rng.integers(-3, 4) + rng.choice([0.0, 0.0, 100.0])
    x, y = pool[rng.integers(8, size=n)], pool[rng.integers(8, size=m)]
    weights = [None if rng.random() < 0.4 else 10 ** rng.uniform(-6, 0, k) for k in (n, m)]
    for w in weights:
        if w is not None and len(w) > 1 and rng.random() < 0.3:
            w[0] = 0.0
    if weights[0] is not None and weights[1] is not None:
        weights[1] *= weights[0].sum() / weights[1].sum()
    return metric, x, y, weights


def rational(weights, n):
    given = [Fraction(1)] * n if weights is None else [Fraction(float(w)) for w in weights]
    return [one / sum(given) for one in given]


def check(seed):
    metric, x, y, weights = random_problem(seed)
    i, j = torch.meshgrid(torch.arange(len(x)), torch.arange(len(y)), indexing="ij")
    pairs = torch.from_numpy(x)[i.flatten()], torch.from_numpy(y)[j.flatten()]
    table = metric.distance(*pairs).view(i.shape).numpy()  # of differences: `pairwise` rounds the transforms of offsets
    truth = exact_transport(table, rational(weights[0], len(x)), rational(weights[1], len(y)))
    method = METHODS[seed % 3]
    found = distance(x, y, metric, weights_a=weights[0], weights_b=weights[1], rel_gap=1e-9, method=method)
    assert Fraction(found.lower) <= truth <= Fraction(found.upper), (seed, metric, method, float(truth), found)
    if method != "sinkhorn":
        # With weights over six decades W1 can be a millionth of the distances, which round; and where a norm takes the
        # mean off, the distances can be nothing beside the samples, which round, too (`MeanFree(2)` of one entry).
        off = sum(float(metric.rounding(torch.from_numpy(one)).max()) for one in (x, y))
        width = found.upper - found.lower
        assert found.closed or width < max(1e-12 * table.max(), 4 * off), (seed, metric, method, found.rel_gap)


@pytest.mark.parametrize("spec", [*COMPUTED, "Weighted(Scale(2), InfConvolution(1, Lp(2), Lp(1)))"])
def test_norms_that_are_themselves_computed_are_refused(spec):
    with pytest.raises(TransportError, match="a certificate needs exact distances"):
        distance(np.zeros((2, 1, 4)), np.ones((2, 1, 4)), spec)


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_intervals_contain_the_exact_value(start):
    for seed in range(start, start + 20):
        check(seed)


def test_mass_that_rounding_leaves_on_one_side_only():
    """Weights that are equal but for their last bits: after cancellation there are rows and no columns."""
    check(3238)
    x = np.arange(4.0)[:, None]
    for seed in range(200):
        w = np.random.default_rng(seed).random(4)
        found = distance(x, x[::-1], "Lp(2)", weights_a=w, weights_b=(w / 3)[::-1] * 3)
        assert 0 <= found.lower <= found.upper < 1e-12
        assert found.closed


@pytest.mark.slow
@pytest.mark.parametrize("start", [60, *range(1000, 11_000, 500)])
def test_intervals_contain_the_exact_value_in_ten_thousand_problems(start):
    for seed in range(start, start + 500):
        check(seed)


@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(inf)", "Discrete()"])
def test_whole_numbers_in_rationals(spec):
    """Distances of whole points in these metrics are whole: nothing at all is rounded in the truth."""
    rng = np.random.default_rng(1)
    for _ in range(15):
        x, y = rng.integers(-3, 4, (2, 6, 3)).astype(float)
        metric = space(spec)
        table = metric.pairwise(torch.from_numpy(x), torch.from_numpy(y)).numpy()
        truth = exact_transport(table, rational(None, 6), rational(None, 6))
        rows, columns = linear_sum_assignment(table)
        assert truth == Fraction(int(table[rows, columns].sum()), 6)
        found = distance(x, y, metric, rel_gap=1e-9, method="columns")
        assert Fraction(found.lower) <= truth <= Fraction(found.upper)
        assert found.closed


def clusters(d):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, d))
    parts = [rng.choice(20, 1000, p=rng.dirichlet(np.ones(20))) for _ in range(2)]
    return [centres[part] + 1e-3 * rng.normal(size=(1000, d)) for part in parts]


def cube(d):
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, (1000, d)).astype(float), (rng.random((1200, d)) < 0.3).astype(float)


def copies():
    rng = np.random.default_rng(0)
    return np.repeat(rng.normal(size=(30, 10)), 100, 0), np.repeat(rng.normal(size=(30, 10)), 100, 0)


def on_a_line():
    rng = np.random.default_rng(0)
    return rng.normal(size=(1000, 1)), rng.normal(size=(1000, 1)) + 0.5


DEGENERATE = {
    "clusters in the plane": (clusters(2), "Lp(2)"),
    "clusters in 100 dimensions": (clusters(100), "Lp(2)"),
    "clusters, L1.5": (clusters(5), "Lp(1.5)"),
    "cube": (cube(8), "Lp(2)"),
    "cube of 20 sides, L1": (cube(20), "Lp(1)"),
    "cube, L inf": (cube(8), "Lp(inf)"),
    "hundredfold": (copies(), "Lp(2)"),
    "line": (on_a_line(), "Lp(2)"),
    "discrete": (cube(8), "Discrete()"),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_samples_close_within_twelve_rounds(name):
    (x, y), spec = DEGENERATE[name]
    found = distance(x, y, spec, rel_gap=1e-9)
    assert found.rel_gap <= 1e-9
    assert found.rounds <= 12
    assert found.method in ("columns", "closed form", "simplex")


def test_identical_shuffled_sets_are_at_distance_zero():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(500, 3)), 10 ** rng.uniform(-6, 0, 500)
    order = rng.permutation(500)
    for spec in ("Lp(2)", "Discrete()", "Lp(1.5)"):
        for weights in (None, w):
            shuffled = None if weights is None else weights[order]
            found = distance(x, x[order], spec, weights_a=weights, weights_b=shuffled)
            assert (found.lower, found.upper, found.rel_gap, found.closed) == (0.0, 0.0, 0.0, True)


@pytest.mark.parametrize(
    ("spec", "metric"),
    [("Translation(16)", Lp(1.5)), ("MinFunnel(16, funnels=32)", Lp(1)), ("MinFunnel((1, 8, 8), funnels=8)",
     Sobolev(s=-1)), ("Shrink(16)", Lp(math.inf)), ("Lines()", Lp(2)), ("Atoms(3)", Lp(2))],
)  # fmt: skip
@pytest.mark.parametrize("method", METHODS[:2])
def test_pairs_of_known_distance(spec, metric, method):
    rng = torch.Generator().manual_seed(3)
    x, y = PAIRS.parse(spec).draw(400, metric, rng)
    truth = float(metric.distance(x, y).mean())
    found = distance(x, y[torch.randperm(400, generator=rng)], metric, rel_gap=1e-9, method=method)
    assert found.lower <= truth * (1 + 1e-13)
    assert truth * (1 - 1e-13) <= found.upper
    assert found.closed


def test_single_precision_gives_the_interval_of_double_precision():
    """Enough numbers for the working precision to be single: 1,200 points on each side, 1,600 coordinates."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(1200, 1600, generator=rng), torch.randn(1200, 1600, generator=rng) * 1.1
    found = distance(x, y, "Lp(2)", rel_gap=1e-9)
    rows, columns = linear_sum_assignment(table := Lp(2).pairwise(x.double(), y.double()).numpy())
    truth = math.fsum(table[rows, columns]) / 1200
    assert found.rel_gap <= 1e-9
    assert found.lower <= truth * (1 + 1e-13)
    assert truth * (1 - 1e-13) <= found.upper


@pytest.mark.parametrize("power", [0.5, 2.0])
@pytest.mark.parametrize("method", METHODS)
def test_powers_of_the_distance(power, method):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 60, 3))
    y[:20] = x[:20]
    rows, columns = linear_sum_assignment(
        table := Lp(2).pairwise(torch.from_numpy(x), torch.from_numpy(y)).numpy() ** power
    )
    truth = table[rows, columns].mean()
    found = distance(x, y, "Lp(2)", power=power, rel_gap=1e-9, method=method)
    assert found.lower <= truth * (1 + 1e-12)
    assert truth * (1 - 1e-12) <= found.upper
    assert found.closed or method == "sinkhorn"


def test_sinkhorn_comes_close_in_single_precision():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 5)) + 1e4, rng.normal(size=(300, 5)) + 1e4 + 1
    rough, exact = distance(x, y, method="sinkhorn"), distance(x, y, rel_gap=1e-9)
    assert rough.lower <= exact.upper
    assert exact.lower <= rough.upper
    assert rough.rel_gap < 0.1


def test_a_good_critic_saves_rounds():
    pair, metric = PAIRS.parse("MinFunnel(16, funnels=32)"), Lp(2)
    rng = torch.Generator().manual_seed(3)
    x, y = pair.draw(1000, metric, rng)
    y = y[torch.randperm(1000, generator=rng)]
    plain = distance(x, y, metric, rel_gap=1e-6)
    seeded = distance(x, y, metric, rel_gap=1e-6, critic=lambda z: pair.potential(z, metric))
    assert seeded.closed
    assert seeded.rounds < plain.rounds
    assert abs(seeded.value - plain.value) < 2e-6 * plain.value
    with pytest.raises(TransportError, match="one finite number"):
        distance(x, y, metric, critic=lambda z: z)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize(("spec", "scale"), [("Lp(2)", 1.0), ("Lp(2)", 1e-5), ("Lp(1)", 300.0)])
def test_large_problems_begin_with_the_prices_of_fewer_points(spec, scale, power, monkeypatch):
    """The same distance, whatever they are, with weights and other numbers on both sides; here 400 points are many."""
    rng = np.random.default_rng(0)
    x, y = scale * rng.normal(size=(600, 3)), scale * (rng.normal(size=(500, 3)) + 0.5)
    w = rng.random(600)
    options = {"weights_a": w, "rel_gap": 1e-9, "method": "columns", "power": power}
    plain = distance(x, y, spec, **options)
    seen = []
    fewer = columns._from_fewer
    monkeypatch.setattr(columns, "_MANY", 400)
    monkeypatch.setattr(columns, "_from_fewer", lambda problem: seen.append(problem.ground.n) or fewer(problem))
    found = distance(x, y, spec, **options)
    assert seen == [600]
    assert found.closed
    assert found.lower <= plain.upper
    assert plain.lower <= found.upper


def test_prices_of_fewer_points_save_rounds(monkeypatch):
    pair, rng = PAIRS.parse("MinFunnel(16, funnels=32)"), torch.Generator().manual_seed(0)
    x, y = pair.draw(1500, Lp(2), rng)
    y = y[torch.randperm(1500, generator=rng)]
    first = {}
    for many in (8000, 1000):
        monkeypatch.setattr(columns, "_MANY", many)
        gaps = []
        distance(x, y, rel_gap=1e-9, report=lambda now, gaps=gaps: gaps.append((now.upper - now.lower) / now.upper))
        first[many] = gaps[1]
    assert first[1000] < first[8000]


def test_a_wrong_critic_costs_rounds_only():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 5)), rng.normal(size=(400, 5))
    found = distance(x, y, critic=lambda z: 1e3 * torch.sin(50 * z[:, 0]), rel_gap=1e-9)
    assert found.closed
    assert found.value == pytest.approx(distance(x, y, rel_gap=1e-9).value, rel=1e-8)


def test_out_of_time_the_interval_so_far_comes_back_marked():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6000, 30)), rng.normal(size=(6000, 30)) + 1
    began = time.monotonic()
    found = distance(x, y, rel_gap=1e-9, max_minutes=1e-3)
    assert time.monotonic() - began < 20
    assert not found.closed
    assert 0 < found.lower <= 6.8 <= found.upper < 20  # sqrt(30) = 5.5 between the distributions


def test_metrics_without_coordinates():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 2, 3)), rng.normal(size=(300, 2, 3))
    found = distance(x, y, "ModConstants(3)", rel_gap=1e-9, method="columns")
    table = space("ModConstants(3)").pairwise(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    truth = table[linear_sum_assignment(table)].mean()
    assert found.closed
    assert found.lower <= truth * (1 + 1e-12)
    assert truth <= found.upper * (1 + 1e-12)


def test_types_of_arrays_mix_and_one_axis_is_one_coordinate():
    x, y = np.arange(5, dtype=np.uint8), torch.arange(5, dtype=torch.float64) + 1
    assert distance(x, y, Lp(2)).value == pytest.approx(1.0)
    assert distance(torch.zeros(3, dtype=torch.bfloat16), np.ones(4)).value == pytest.approx(1.0)
    assert distance(np.zeros((2, 3)), -np.zeros((4, 3))).upper == 0.0


BAD = {
    "empty": ((np.empty((0, 2)), np.ones((3, 2))), {}, "A is empty"),
    "no numbers": ((np.ones((3, 2)), np.ones((3, 0))), {}, "B is empty"),
    "NaN": ((np.ones((3, 2)), np.array([[1, 1], [np.nan, 1]])), {}, "B holds NaN or infinite entries.*sample 1"),
    "infinite": ((np.array([[np.inf]]), np.ones((3, 1))), {}, "A holds NaN or infinite"),
    "shapes": ((np.ones((3, 2)), np.ones((3, 4))), {}, "different shapes, 2 and 4"),
    "complex": ((np.ones((3, 2), complex), np.ones((3, 2))), {}, "real numbers"),
    "negative": ((np.ones((2, 2)),) * 2, {"weights_a": np.array([2.0, -1])}, "weight 1 of A is -1"),
    "zero sum": ((np.ones((2, 2)),) * 2, {"weights_b": np.zeros(2)}, "B sum to zero"),
    "NaN weight": ((np.ones((2, 2)),) * 2, {"weights_b": np.array([1, np.nan])}, "weight 1 of B is nan"),
    "count": ((np.ones((2, 2)),) * 2, {"weights_a": np.ones(3)}, "one weight a sample"),
    "unequal": ((np.ones((2, 2)),) * 2, {"weights_a": np.ones(2), "weights_b": np.ones(2) / 2}, "unequal mass.*POT"),
    "gap": ((np.ones((2, 2)),) * 2, {"rel_gap": -1}, "rel_gap = -1"),
    "power": ((np.ones((2, 2)),) * 2, {"power": 0}, "power = 0"),
    "time": ((np.ones((2, 2)),) * 2, {"max_minutes": 0}, "max_minutes = 0"),
    "method": ((np.ones((2, 2)),) * 2, {"method": "magic"}, "'magic' is none of auto, simplex"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_a_sentence(name):
    args, options, said = BAD[name]
    with pytest.raises(TransportError, match=said):
        distance(*args, **options)


def test_discrete_is_total_variation():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), 2)
    points = np.arange(6.0)[:, None]
    found = distance(points, points, Discrete(), weights_a=p, weights_b=q)
    assert found.lower <= np.abs(p - q).sum() / 2 * (1 + 1e-13)
    assert np.abs(p - q).sum() / 2 <= found.upper * (1 + 1e-13)
    assert found.rel_gap < 1e-12


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_every_power_of_the_trivial_metric_is_itself(power):
    """Points in both samples stay where they are, also above power 1."""
    x, y = torch.tensor([[0.0], [1.0], [2.0], [2.0]]), torch.tensor([[2.0], [1.0], [5.0], [5.0]])
    found = distance(x, y, "discrete", power=power)
    assert found.lower == pytest.approx(0.5, abs=1e-12)
    assert found.upper == pytest.approx(0.5, abs=1e-12)


def test_sinkhorn_goes_on_until_the_gap_wanted_is_reached():
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(120, 20, generator=rng), torch.randn(120, 20, generator=rng) + 0.3
    rough = distance(x, y, "Lp(1)", rel_gap=0.1, method="sinkhorn")
    fine = distance(x, y, "Lp(1)", rel_gap=0.01, method="sinkhorn")
    exact = distance(x, y, "Lp(1)", rel_gap=1e-9)
    assert rough.rel_gap <= 0.1
    assert fine.rel_gap <= 0.01
    assert fine.rounds > rough.rounds
    assert fine.lower <= exact.upper
    assert fine.upper >= exact.lower
