"""What float64 loses is bounded: operators, distances, certificates and Lipschitz bounds against 50 digits."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
import torch
from torch import nn

from banach import Bessel, Compose, Lp, Matrix, Scale, Wavelet, distance, space
from banach.models import build_critic, lipschitz_bound
from banach.operators import OPERATORS, linear
from banach.transport import save, verify

mp.mp.dps = 50


def numbers(array):
    """A matrix of exact numbers from float64."""
    return mp.matrix([[mp.mpf(float(one)) for one in row] for row in np.atleast_2d(array)])


def covariance(n, condition, seed):
    r = np.random.default_rng(seed)
    turn = np.linalg.qr(r.normal(size=(n, n)))[0]
    spectrum = condition ** -np.linspace(0, 1, n) * (1 + 0.1 * r.random(n))
    cov = (turn * spectrum) @ turn.T
    return (cov + cov.T) / 2


def nested(array):
    return tuple(map(tuple, array.tolist()))


def exact_map(operator, shape):
    """The matrix of an operator on flattened events of this shape, from its definition."""
    n = math.prod(shape)
    match operator:
        case Compose(maps=maps):
            whole = mp.eye(n)
            for one in reversed(maps):
                whole = exact_map(one, shape) * whole
            return whole
        case Scale(weights=weights, floor=floor, inverted=inverted):
            w = weights.values.numpy()
            w = np.where(w < 0, -1.0, 1.0) * np.maximum(np.abs(w), floor)
            w = w.reshape(-1, *[1] * (len(shape) - 1)) if w.ndim == 1 and len(shape) > 1 else w
            entries = [mp.mpf(float(one)) for one in np.broadcast_to(w, shape).ravel()]
            return mp.diag([1 / one if inverted else one for one in entries])
        case Matrix(values=values, power=power, inverted=inverted, transposed=transposed):
            m = numbers(values.values.numpy())
            if power != 1:
                m = (m + m.T) / 2
                eigenvalues, vectors = mp.eigsy(m)
                s = -mp.mpf(power) if inverted else mp.mpf(power)
                m = vectors * mp.diag([one**s for one in eigenvalues]) * vectors.T
            elif inverted:
                m = m**-1
            m = m.T if transposed else m
            copies = n // m.rows if m.rows != n else 1  # on the channels
            whole = mp.zeros(n)
            for i, j, k in itertools.product(range(m.rows), range(m.rows), range(copies)):
                whole[i * copies + k, j * copies + k] = m[i, j]
            return whole
        case Bessel():
            return exact_filter(operator, shape)
        case Wavelet():
            return exact_wavelet(operator, shape)
    raise AssertionError(operator)


def wavelet_filter(name):
    """Daubechies' low-pass filter, exactly normalised."""
    if name == "haar":
        return [mp.sqrt(mp.mpf(1) / 2)] * 2
    if name == "db2":
        r = mp.sqrt(3)
        return [one / (4 * mp.sqrt(2)) for one in (1 + r, 3 + r, 3 - r, 1 - r)]
    t = mp.sqrt(10)
    r = mp.sqrt(5 + 2 * t)
    wanted = (1 + t + r, 5 + t + 3 * r, 10 - 2 * t + 2 * r, 10 - 2 * t - 2 * r, 5 + t - 3 * r, 1 + t - r)
    return [one / (16 * mp.sqrt(2)) for one in wanted]


def exact_level(masses, name):
    """The matrix of one level on one axis, averages first, and the number of entries that each average stands for."""
    n = len(masses)
    one = mp.zeros(n)
    averages = (n + 1) // 2
    for k in range(n // 2):
        if name == "haar":
            a, b = mp.mpf(masses[2 * k]), mp.mpf(masses[2 * k + 1])
            one[k, 2 * k], one[k, 2 * k + 1] = mp.sqrt(a / (a + b)), mp.sqrt(b / (a + b))
            one[averages + k, 2 * k], one[averages + k, 2 * k + 1] = mp.sqrt(b / (a + b)), -mp.sqrt(a / (a + b))
        else:
            h = wavelet_filter(name)
            for i, tap in enumerate(h):
                one[k, (2 * k + i) % n] += tap
                one[averages + k, (2 * k + i) % n] += (-1) ** i * h[len(h) - 1 - i]
    if n % 2:
        one[averages - 1, n - 1] = 1
    return one, [sum(masses[2 * k : 2 * k + 2]) for k in range(averages)]


def exact_wavelet(wavelet, shape):
    """Levels one after the other, each along every axis on the corner of averages, then the weights of the bands."""
    spatial = shape[1:]
    places = list(itertools.product(*map(range, spatial)))
    whole, sizes, masses = mp.eye(len(places)), list(spatial), [[1] * n for n in spatial]
    level_of, levels = dict.fromkeys(places, 0), 0
    while levels < wavelet.levels and max(sizes) > 1:
        if wavelet.wavelet != "haar" and any(n % 2 for n in sizes if n > 1):
            break
        levels += 1
        before = list(sizes)
        for axis, n in enumerate(before):
            step, masses[axis] = exact_level(masses[axis], wavelet.wavelet) if n > 1 else (mp.eye(1), masses[axis])
            along = mp.eye(len(places))
            for (i, to), (j, source) in itertools.product(enumerate(places), enumerate(places)):
                inside = all(a < b and c < b for a, c, b in zip(to, source, before, strict=True))
                same = all(a == c for k, (a, c) in enumerate(zip(to, source, strict=True)) if k != axis)
                if inside:
                    along[i, j] = step[to[axis], source[axis]] if same else 0
            whole = along * whole
            sizes[axis] = (n + 1) // 2
        for one in places:
            if all(a < b for a, b in zip(one, before, strict=True)) and any(
                a >= b for a, b in zip(one, sizes, strict=True)
            ):
                level_of[one] = levels
    power = mp.mpf(wavelet.s) + len(spatial) * (mp.mpf(1) / 2 - 1 / mp.mpf(wavelet.p))
    weights = [mp.mpf(2) ** ((levels - level_of[one]) * power) if level_of[one] else mp.mpf(1) for one in places]
    one = whole.T * mp.diag(weights) if wavelet.transposed else mp.diag(weights) * whole
    n = len(places)
    found = mp.zeros(math.prod(shape))
    for channel in range(shape[0]):
        found[channel * n : (channel + 1) * n, channel * n : (channel + 1) * n] = one
    return found


def exact_filter(bessel, shape):
    """Cosine sums: the kernel of a real even multiplier, mirrored where the boundary is even."""
    spatial = shape[1:]
    mirrored = 2 if bessel.boundary == "even" else 1
    lengths = bessel.length if isinstance(bessel.length, tuple) else (bessel.length,) * len(spatial)
    differences = bessel.symbol == "differences"
    scale = bessel.scale if bessel.scale is not None else "code" if bessel.length is None and not differences else 1
    c = {"code": 5, "paper": 25}[scale] if isinstance(scale, str) else mp.mpf(scale)
    sizes = [mirrored * k for k in spatial]
    total = math.prod(sizes)
    symbol = {}
    for at in itertools.product(*map(range, sizes)):
        squared = mp.mpf(0)
        for k, size, length in zip(at, sizes, lengths, strict=True):
            k = min(k, size - k)
            if differences:
                xi = 2 * mp.sin(mp.pi * k / size) * (1 if length is None else mp.mpf(size) / (mirrored * length))
            else:
                xi = mp.mpf(k) / max(size // 2, 1) if length is None else 2 * mp.pi * k / (mirrored * length)
            squared += c * xi**2
        base = squared if bessel.homogeneous else 1 + squared
        symbol[at] = mp.mpf(0) if base == 0 else base ** (mp.mpf(bessel.s) / 2)
        if bessel.cell:
            symbol[at] *= math.prod(mp.mpf(l) / k for l, k in zip(lengths, spatial, strict=True)) ** mp.mpf(bessel.cell)

    kernel = {
        at: sum(w * mp.cos(2 * mp.pi * sum(mp.mpf(k * a) / size for k, a, size in zip(f, at, sizes, strict=True)))
                for f, w in symbol.items()) / total
        for at in itertools.product(*map(range, sizes))
    }  # fmt: skip
    places = list(itertools.product(*map(range, spatial)))
    one = mp.zeros(len(places))
    for (i, to), (j, source) in itertools.product(enumerate(places), enumerate(places)):
        images = itertools.product(
            *([a, 2 * k - 1 - a] if mirrored == 2 else [a] for a, k in zip(source, spatial, strict=True))
        )
        one[i, j] = sum(
            kernel[tuple((t - a) % k for t, a, k in zip(to, image, sizes, strict=True))] for image in images
        )
    whole = mp.zeros(math.prod(shape))
    for channel in range(shape[0]):
        whole[
            channel * len(places) : (channel + 1) * len(places), channel * len(places) : (channel + 1) * len(places)
        ] = one
    return whole


ILL = [
    *(Matrix(nested(covariance(4, 10.0**c, c)), power=power) for c in (3, 7, 10) for power in (-0.5, 0.5)),
    Matrix(nested(covariance(4, 1e5, 1)), power=-1.5), Matrix(nested(covariance(4, 1e4, 2)), power=2.5),
    *(Matrix(nested(covariance(4, 10.0**c, c) + 0.1)).inverse for c in (3, 7, 10)),
    Bessel(s=-9), Bessel(s=9), Bessel(s=-6, boundary="even"), Bessel(s=3, length=0.1), Bessel(s=2, homogeneous=True),
    Compose(Scale((1e6, 1e-6)), Bessel(s=-3)), Compose(Bessel(s=4), Scale((1e3, 1.0))), Scale((1e-9, 1e9)).inverse,
    Wavelet(s=9), Wavelet(s=-9, p=1.5).inverse, Wavelet(s=-6, wavelet="db3"), Bessel(s=9, symbol="differences"),
]  # fmt: skip
OPERATORS_TRIED = [
    one for spec in OPERATORS.examples() for one in (OPERATORS.parse(spec), OPERATORS.parse(spec).inverse)
]


def shape_of(operator):
    for shape in ((2, 6), (2, 2, 3), (4,), (3,), (2,), (2, 1, 5), (3, 4)):
        try:
            operator(torch.zeros(1, *shape, dtype=torch.float64))
        except ValueError:
            continue
        return shape
    raise AssertionError(operator)


def data(shape, seed):
    """Normal numbers; the same with a part far larger than the rest, along a constant and along a wave."""
    r = np.random.default_rng(seed)
    x = r.normal(size=(4, *shape))
    x[1] += 1e9
    x[2] += 1e9 * np.cos(np.pi * np.arange(shape[-1]))
    x[3] *= 10.0 ** r.uniform(-12, 12, shape)
    return torch.from_numpy(x)


@pytest.fixture
def in_float64(monkeypatch):
    """Inverses and powers of small matrices as those of large ones are computed."""
    cached = linear._matrix, linear.matrix_rounding
    monkeypatch.setattr(linear, "EXACT", 0)
    for one in cached:
        one.cache_clear()
    yield
    for one in cached:
        one.cache_clear()


@pytest.mark.parametrize("operator", [one for one in [*OPERATORS_TRIED, *ILL] if isinstance(one, Matrix)], ids=repr)
@pytest.mark.usefixtures("in_float64")
def test_a_large_matrix_is_off_by_no_more_than_it_says(operator):
    test_an_operator_is_off_by_no_more_than_it_says(operator)


def test_a_small_matrix_is_as_exact_as_its_entries():
    for condition in (1e4, 1e10):
        for operator in (matrix := Matrix(nested(covariance(4, condition, 0)), power=-0.5), matrix.inverse):
            assert operator.rounding((4,)).absolute < 1e-14 * operator.rounding((4,)).gain
            assert operator.rounding((4,)).relative == 0


@pytest.mark.parametrize("operator", [*OPERATORS_TRIED, *ILL], ids=repr)
def test_an_operator_is_off_by_no_more_than_it_says(operator):
    shape = shape_of(operator)
    x, exact = data(shape, 0), exact_map(operator, shape)
    off = torch.full((4,), 1e-3, dtype=torch.float64)  # as if x were known to so much only, and were so far off
    y, most = operator.with_error(x, torch.zeros(4, dtype=torch.float64))
    moved = x + 1e-3 * torch.ones_like(x) / math.prod(shape) ** 0.5
    _, with_off = operator.with_error(x, off)
    for k in range(4):
        found = numbers(y[k].numpy().ravel()).T
        error = mp.norm(exact * numbers(x[k].numpy().ravel()).T - found)
        assert error <= mp.mpf(float(most[k]))
        assert math.isfinite(float(most[k]))
        assert mp.norm(exact * numbers(moved[k].numpy().ravel()).T - found) <= mp.mpf(float(with_off[k])) * (1 + 1e-6)


def test_bounds_of_operators_are_not_far_above_what_is_lost():
    """No bound is more than a few thousand times the worst that was seen: they are derived, not guessed."""
    for operator in OPERATORS_TRIED:
        shape = shape_of(operator)
        x = torch.from_numpy(np.random.default_rng(0).normal(size=(8, *shape)))
        y, most = operator.with_error(x, torch.zeros(8, dtype=torch.float64))
        assert float((most / y.flatten(1).norm(dim=1)).max()) < 1e-12, operator


class Doubled(Scale):
    """A map of somebody who says nothing of its rounding."""

    rounding = OPERATORS.parse("Scale(2)").__class__.__mro__[1].rounding


def test_a_map_that_says_nothing_is_measured():
    operator = Doubled((3.0, 4.0))
    found = operator.rounding((2,))
    assert found.gain >= 4
    assert 0 < found.absolute < 1e-12


def truth_in_pairs(metric_matrix, p, x, y):
    """W1 of equally many samples in |M (x - y)|_p, over all permutations."""
    n = len(x)
    table = [[None] * n for _ in range(n)]
    for i, j in itertools.product(range(n), range(n)):
        difference = metric_matrix * (numbers(x[i].ravel()).T - numbers(y[j].ravel()).T)
        table[i][j] = mp.norm(difference, p)
    return min(sum(table[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(n))) / n


def holds(x, y, spec, truth, tmp_path, **options):
    """The interval encloses the truth, and its own certificate proves it."""
    found = distance(x, y, spec, rel_gap=1e-12, **options)
    assert mp.mpf(found.lower) <= truth <= mp.mpf(found.upper), (spec, float(truth), found.lower, found.upper)
    save(tmp_path / "cert.npz", found, x, y)
    verdict = verify(tmp_path / "cert.npz", x, y)
    assert (verdict.lower, verdict.upper) == (found.lower, found.upper)
    return found


def check_mahalanobis(condition, p, tmp_path, sharp):
    for seed in range(3):
        cov, r = covariance(3, condition, seed), np.random.default_rng(seed)
        x, y = (r.multivariate_normal(np.zeros(3), cov, 3) for _ in range(2))
        matrix = Matrix(nested(cov), power=-0.5)
        spec = f"Weighted({matrix!r}, Lp({float(p)}))"
        found = holds(x, y, spec, truth_in_pairs(exact_map(matrix, (3,)), p, x, y), tmp_path)
        assert found.rel_gap < 1e-12 + sharp


@pytest.mark.parametrize("p", [1, 2, mp.inf], ids=["1", "2", "inf"])
@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6, 1e8, 1e10])
def test_mahalanobis_norms_of_any_condition(condition, p, tmp_path):
    check_mahalanobis(condition, p, tmp_path, 1e-14 * condition**0.5)


@pytest.mark.parametrize("s", [-9, -4, 4])
@pytest.mark.parametrize("size", [1.0, 1e6, 1e12])
def test_sobolev_norms_that_weigh_least_what_differs(s, size, tmp_path):
    """Samples far apart from each other, and each near its partner, from which it differs where the norm is blind."""
    r, shape = np.random.default_rng(0), (1, 8)
    wave = np.cos(np.pi * np.arange(8)) if s < 0 else np.ones(8)
    other = np.ones(8) if s < 0 else np.cos(np.pi * np.arange(8))
    x = size * r.normal(size=(3, 1, 1)) * other + r.normal(size=(3, *shape))
    y = x + wave * (1 + 0.1 * r.random((3, 1, 1)))
    truth = truth_in_pairs(exact_map(Bessel(s=s), shape), 2, x, y)
    found = holds(x, y, f"Sobolev(s={s})", truth, tmp_path)
    assert found.upper - found.lower < 1e-12 * (size * 11 ** (abs(s) / 2) + found.upper)


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e12, 1e200])
def test_critics_with_values_large_beside_the_distances(scale, tmp_path):
    for seed in range(10):
        r = np.random.default_rng(seed)
        x, y = np.sort(r.normal(size=(2, 60, 1)), 1)
        # In exact numbers: on a line the sorted plan is the best.
        truth = sum(abs(mp.mpf(float(a)) - mp.mpf(float(b))) for a, b in zip(x[:, 0], y[:, 0], strict=True)) / 60
        for offset in (0.0, 1e12):
            holds(
                x,
                y,
                "Lp(2)",
                truth,
                tmp_path,
                method="columns",
                critic=lambda z, o=offset: scale * torch.sin(9 * z[:, 0]) + o,
            )


EXTREMES = {
    "nodata of float32": np.array([[-3.4e38, 0.0], [1.0, 2.0], [-3.4e38, 5.0]], dtype=np.float32),
    "the smallest of float32": np.array([[1e-38, 0.0], [1e-44, 2e-40], [3e-39, 0.0]], dtype=np.float32),
    "unix seconds": np.array([[1.7e9, 0.1], [1.7e9 + 1.5, 0.2], [1.7e9 + 3.25, 0.7]]),
    "far offset": np.array([[1e15, 0.0], [1e15 + 1, 1e-3], [1e15 + 7, 2.0]]),
    "all scales": np.array([[1e100, 1e-100], [1.0, 1e-3], [-1e50, 7.0]]),
    "large": np.array([[1e290, 0.0], [-3e290, 1.0], [2e290, 5e289]]),
    "small": np.array([[1e-260, 0.0], [-3e-260, 1e-280], [2e-260, 5e-261]]),
    "whole": np.array([[2**53, 0], [2**53 - 1, 1], [2**52 + 1, 3]]),
}  # fmt: skip


@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(2)", "Lp(inf)"])
@pytest.mark.parametrize("name", EXTREMES)
def test_numbers_near_the_ends_of_their_type(name, spec, tmp_path):
    x = EXTREMES[name]
    y = np.ascontiguousarray(x[::-1, ::-1]) if "offset" not in name and "unix" not in name else x + x.dtype.type(0.25)
    p = {"Lp(1)": 1, "Lp(2)": 2, "Lp(inf)": mp.inf}[spec]
    for a, b in ((x, y), (torch.from_numpy(x), torch.from_numpy(y))):
        found = holds(a, b, spec, truth_in_pairs(mp.eye(2), p, x.astype(float), y.astype(float)), tmp_path)
        assert found.rel_gap < 1e-12


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("condition", [1e4, 1e8, 1e10])
def test_mahalanobis_norms_of_large_matrices(condition, tmp_path):
    check_mahalanobis(condition, 2, tmp_path, 1e-13 * condition)


@pytest.mark.parametrize("power", [0.5, 2.0, 30.0])
def test_powers_of_distances_in_ill_conditioned_norms(power, tmp_path):
    cov, r = covariance(3, 1e6, 0), np.random.default_rng(0)
    x, y = (r.multivariate_normal(np.zeros(3), cov, 3) for _ in range(2))
    matrix = Matrix(nested(cov), power=-0.5)
    exact = exact_map(matrix, (3,))
    table = [[mp.norm(exact * (numbers(a).T - numbers(b).T), 2) ** mp.mpf(power) for b in y] for a in x]
    truth = min(sum(table[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(3))) / 3
    holds(x, y, f"Weighted({matrix!r}, Lp(2))", truth, tmp_path, power=power)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("condition", [1e2, 1e6, 1e8, 1e10])
def test_lipschitz_bounds_in_norms_of_any_condition(condition):
    for seed in range(4):
        cov, r = covariance(3, condition, seed), np.random.default_rng(seed)
        metric = space(f"Weighted({Matrix(nested(cov), power=-0.5)!r}, Lp(2))")
        steep = np.linalg.eigh(cov)[1][:, 0] + 1e-3 * condition**-0.5 * r.normal(size=3)
        critic = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Flatten(0)).double()
        critic[0].weight.data.copy_(torch.from_numpy(steep)[None])
        w = numbers(steep)
        exact = mp.sqrt((w * numbers(cov) * w.T)[0])  # the dual norm of w, sqrt(w C w)
        assert exact <= mp.mpf(lipschitz_bound(critic, metric, (3,))) <= exact * (1 + 1e-13 * condition + 1e-8)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("model", ["lipschitz-cones", "lipschitz-orthogonal", "lipschitz-sort"])
def test_critics_that_are_lipschitz_by_construction_say_what_their_norm_loses(model):
    metric = space(f"Weighted({Matrix(nested(covariance(3, 1e10, 0)), power=-0.5)!r}, Lp(2))")

    def bound(of):
        rng = torch.Generator().manual_seed(0)
        return lipschitz_bound(build_critic(model, (3,), width=8, rng=rng, space=of).double(), of)

    assert 1e-7 < bound(metric) / bound(Lp(2)) - 1 < 1e-3
