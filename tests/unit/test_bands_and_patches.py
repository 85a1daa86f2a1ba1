"""Besov norms, norms of patches and the gradient form against formulas, linear programmes and general solvers."""

import itertools
import math

import numpy as np
import pytest
import scipy.optimize
import torch

from banach import Lp, Sobolev, Wavelet, gradient_penalty, parse, space
from banach.norms.gram import Gram
from banach.norms.structure import Differences, ForwardDifferences, Leaf, Node, Windows, bind
from banach.norms.upper_bounds import split_bound
from banach.spaces import Besov, GradientForm, GradientNorm, Intersection, OverlappingPatches, Patches, properties
from banach.specs import SpecError

INF = math.inf


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_general_solver(norm, u):
    """max <u, x> / norm(x) by a quasi-Newton method from several starts, with autograd's gradients."""

    def loss(flat):
        x = torch.tensor(flat.reshape(u.shape), requires_grad=True)
        value = -(u * x).sum() / norm(x[None])[0]
        (slope,) = torch.autograd.grad(value, x)
        return float(value.detach()), slope.numpy().ravel()

    starts = [u.numpy().ravel(), *random(1, u.numel(), seed=5).numpy()]
    options = {"maxiter": 5000, "gtol": 1e-10}
    return max(-scipy.optimize.minimize(loss, one, jac=True, method="BFGS", options=options).fun for one in starts)


# Wavelets


def test_haar_bands_of_a_line_by_hand():
    """Averages and halves of differences of neighbours: for four entries three bands."""
    a, b, c, d = 1.0, 4.0, -2.0, 7.0
    x = torch.tensor([[[a, b, c, d]]], dtype=torch.float64)
    coarse, fine = (a + b - c - d) / 2, [(a - b) / math.sqrt(2), (c - d) / math.sqrt(2)]
    found = Wavelet(s=1)(x).flatten().tolist()
    assert found == pytest.approx([(a + b + c + d) / 2, coarse, 2 * fine[0], 2 * fine[1]])
    norm = Besov(s=1, p=1, q=INF).norm(x).item()  # s' = 1 + 1/2 - 1
    assert norm == pytest.approx(max((a + b + c + d) / 2, abs(coarse), math.sqrt(2) * (abs(fine[0]) + abs(fine[1]))))


@pytest.mark.parametrize("wavelet", ["haar", "db2", "db3"])
@pytest.mark.parametrize("size", [(8,), (12, 8), (4, 4, 8)])
def test_the_transform_is_orthogonal_and_p_q_2_is_l2(wavelet, size):
    x = random(3, 2, *size)
    W = Wavelet(wavelet=wavelet)
    n = 2 * math.prod(size)
    matrix = W(torch.eye(n, dtype=torch.float64).view(n, 2, *size)).flatten(1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(Besov(s=0, wavelet=wavelet).norm(x), Lp(2).norm(x), rtol=1e-14, atol=0)


@pytest.mark.parametrize("size", [(7,), (5, 1), (28, 12), (3, 5, 6)])
def test_haar_takes_any_size_and_constants_have_no_details(size):
    y = Wavelet(wavelet="haar", levels=9)(torch.ones(1, 1, *size, dtype=torch.float64)).flatten()
    assert y[0].item() == pytest.approx(math.sqrt(math.prod(size)))
    assert float(y[1:].abs().max()) < 1e-14


@pytest.mark.parametrize(("wavelet", "moments"), [("haar", 1), ("db2", 2), ("db3", 3)])
def test_details_of_polynomials_vanish(wavelet, moments):
    """As many powers as a wavelet has vanishing moments, away from the border, and not one more."""
    t = torch.arange(32, dtype=torch.float64)
    for power in range(moments + 1):
        details = Wavelet(wavelet=wavelet, levels=1)((t / 32).pow(power).view(1, 1, -1)).flatten()[16:-3]
        assert (float(details.abs().max()) < 1e-13) == (power < moments)


@pytest.mark.parametrize(("s", "p", "q"), [(-1, 2, 2), (0.5, 1.5, 3), (1, 3, 1.5)])
def test_the_dual_of_besov_against_a_general_solver(s, p, q):
    of = Besov(s, p, q)
    for u in random(1, 1, 2, 3):
        assert float(of.dual.norm(u[None])) == pytest.approx(by_general_solver(of.norm, u), rel=1e-6)


def test_besov_is_near_sobolev_at_all_resolutions():
    """With p = q = 2 and a smooth wavelet the two norms are equivalent: the ratio stays in a band as grids grow."""
    for s in (-1, 1):
        spreads = []
        for n in (16, 32, 64):
            k = 2 * math.pi * torch.minimum(torch.arange(n), n - torch.arange(n)).double()
            x = random(60, 1, n, seed=n)
            x = torch.fft.ifft(torch.fft.fft(x) * (1 + k**2) ** -0.4).real  # not of fine scales alone
            ratio = Besov(s, wavelet="db3", levels=10).norm(x) / Sobolev(s, length=1, scale=1 / 40).norm(x)
            spreads.append(float(ratio.max() / ratio.min()))
        assert max(spreads) < 4


def test_levels_and_sizes():
    assert Wavelet().steps((1, 28, 28)) == 5
    assert Wavelet(levels=2).steps((1, 28, 28)) == 2
    assert Wavelet(wavelet="db2").steps((1, 28, 28)) == 2
    assert Wavelet(wavelet="db2", levels=9).steps((1, 32, 8)) == 5
    with pytest.raises(ValueError, match=r"halves even sizes only, and one of \(7,\) is odd; take wavelet='haar'"):
        Besov(s=1, wavelet="db2").norm(torch.zeros(1, 1, 7))
    with pytest.raises(ValueError, match="say what the axes are"):
        Besov(s=1).norm(torch.zeros(1, 7))


# Patches


def test_patches_by_hand():
    x = torch.tensor([[[[3.0, 4, 0], [0, 0, 5], [1, 0, 0], [0, 0, 0]]]], dtype=torch.float64)
    lengths = [[3 + 4, 0 + 5], [1, 0]]  # of patches of 2x2 of the first two columns, of 2x1 of the third
    assert Patches((2, 1), Lp(1)).norm(x).item() == pytest.approx((3 + 4 + 5 + 1) / 6)
    assert Patches((2, 2), Lp(2)).norm(x[..., :2]).item() == pytest.approx((5 + 1) / 2)
    assert Patches(2, Lp(1), p=INF).norm(x[..., :2]).item() == max(lengths[0][0], lengths[1][0])


@pytest.mark.parametrize("size", [2, (2, 3)])
def test_patches_are_samples_for_the_inner_norm(size):
    of, x = Patches(size, Sobolev(s=-1), p=3), random(4, 2, 4, 6)
    h, w = size if isinstance(size, tuple) else (size, size)
    corners = list(itertools.product(range(0, 4, h), range(0, 6, w)))
    lengths = torch.stack([Sobolev(s=-1).norm(x[:, :, i : i + h, j : j + w]) for i, j in corners], 1)
    torch.testing.assert_close(of.norm(x), lengths.pow(3).mean(1).pow(1 / 3))
    assert torch.equal(of.joined(of.cut(x), (2, 4, 6)), x)


@pytest.mark.parametrize(("p", "B"), [(3, "Sobolev(s=-1)"), (1.5, "Lp(4)")])
def test_the_dual_of_patches_against_a_general_solver(p, B):
    of = Patches(2, space(B), p)
    for u in random(1, 1, 2, 4):
        assert float(of.dual.norm(u[None])) == pytest.approx(by_general_solver(of.norm, u), rel=1e-6)


def test_the_dual_of_a_mean_is_the_largest_patch_and_that_of_the_largest_a_sum():
    u = random(3, 1, 2, 6)
    each = torch.stack([Lp(2).norm(u[..., i : i + 2]) for i in (0, 2, 4)], 1)
    torch.testing.assert_close(Patches(2, Lp(2)).dual.norm(u), 3 * each.amax(1))
    torch.testing.assert_close(Patches(2, Lp(2), p=INF).dual.norm(u), each.sum(1))


def overlapping_by_programme(u, size, stride, p):
    """min over u = sum of windows' parts of (number) q-mean of |part|_q, in L^1 (p = 1) or L^inf, in one axis."""
    n = len(u)
    starts = range(0, n, stride)
    N = len(starts)
    x = np.eye(n)
    places = [[(a + i) % n for i in range(size)] for a in starts]
    if p == 1:  # max <u, x> with sum over windows of |x|_1 <= N: x = a - b
        cover = sum(x[where].sum(0) for where in places)
        budget = [np.concatenate([cover, cover])]
        return -scipy.optimize.linprog(-np.concatenate([u, -u]), budget, [N], bounds=(0, None)).fun
    return float(np.abs(u).sum())  # p = inf: the largest entry of all


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (4, 2)])
@pytest.mark.parametrize("p", [1, INF])
def test_overlapping_patches_against_linear_programmes(size, stride, p):
    of = OverlappingPatches(size, Lp(p), stride, p)
    for u in random(3, 1, 8):
        assert float(of.dual.norm(u[None])) == pytest.approx(
            overlapping_by_programme(u.numpy().ravel(), size, stride, p), rel=1e-6
        )


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_dual_of_overlapping_patches_between_solvers(p):
    """Below by ascent; above by every split into parts that is tried: the computed value lies between, near both."""
    of = OverlappingPatches(3, Lp(2), stride=1, p=p)
    u = random(2, 1, 6)
    found = of.dual.enclosure(u)
    for one, lower, upper in zip(u, found.lower.tolist(), found.upper.tolist(), strict=True):
        assert lower * (1 - 1e-14) <= upper <= lower * (1 + 2e-7)
        reached = by_general_solver(of.norm, one)
        assert upper * (1 - 1e-3) <= reached <= upper * (1 + 1e-9)


def test_one_window_at_every_place_is_a_multiple_of_l2():
    """p = 2: each entry is seen by `size` windows of as many as there are entries."""
    x = random(3, 2, 8)
    torch.testing.assert_close(OverlappingPatches(4, Lp(2), p=2).norm(x), Lp(2).norm(x) * math.sqrt(4 / 8))
    torch.testing.assert_close(OverlappingPatches(4, Lp(2), p=2).dual.norm(x), Lp(2).norm(x) / math.sqrt(4 / 8))
    tiles = OverlappingPatches(2, Lp(2), stride=2)
    torch.testing.assert_close(tiles.norm(x), Patches(2, Lp(2)).norm(x))
    torch.testing.assert_close(tiles.dual.norm(x), Patches(2, Lp(2)).dual.norm(x), rtol=1e-6, atol=0)


# The gradient form


def slopes(x, weight, boundary):
    """|grad x| in each entry, in NumPy."""
    parts = []
    for axis in range(2, x.ndim):
        following = np.roll(x, -1, axis)
        if boundary == "even":
            following = np.concatenate([np.delete(x, 0, axis), np.take(x, [-1], axis)], axis)
        parts.append((following - x) ** 2)
    return weight * np.sqrt(sum(parts))


@pytest.mark.parametrize("boundary", ["periodic", "even"])
@pytest.mark.parametrize("size", [(6,), (5, 4), (3, 4, 2)])
@pytest.mark.parametrize("p", [1, 1.5, 2, 4, INF])
def test_the_gradient_form_by_numpy(p, size, boundary):
    x = random(3, 2, *size)
    both = np.concatenate([x.flatten(1).numpy(), slopes(x.numpy(), 0.7, boundary).reshape(3, -1)], 1)
    of = GradientForm(p, weight=0.7, boundary=boundary)
    np.testing.assert_allclose(of.norm(x), np.linalg.norm(both, p, axis=1), rtol=1e-12)


@pytest.mark.parametrize("boundary", ["periodic", "even"])
@pytest.mark.parametrize("size", [(8,), (5,), (4, 3)])
def test_for_p_2_it_is_sobolev_with_the_symbol_of_differences(boundary, size):
    """One formula for the dual, by a linear system; computed as other p are, the same."""
    u = random(3, 1, *size)
    of, computed = GradientForm(2, 1.5, boundary), GradientNorm(2, 1.5, boundary)
    n = math.prod(size)
    D = ForwardDifferences(1.5, boundary)(torch.eye(n, dtype=torch.float64).view(n, 1, *size)).flatten(1).T
    gram = torch.eye(n, dtype=torch.float64) + D.T @ D
    exact = (u.flatten(1) @ torch.linalg.inv(gram) * u.flatten(1)).sum(1).sqrt()
    torch.testing.assert_close(of.dual.norm(u), exact, rtol=1e-12, atol=0)
    torch.testing.assert_close(computed.dual.norm(u), exact, rtol=1e-7, atol=0)
    torch.testing.assert_close(computed.norm(u), of.norm(u), rtol=1e-12, atol=0)
    assert repr(GradientForm(2)) == "Sobolev(s=1, symbol='differences')"


def test_it_agrees_with_sobolev_where_waves_are_long_and_up_to_the_symbol_elsewhere():
    n = 64
    t = torch.arange(n, dtype=torch.float64)
    for k in (1, 2, 8, 32):
        wave = torch.cos(2 * math.pi * k * t / n).view(1, 1, -1)
        spectral, differences = Sobolev(1, length=n).norm(wave), Sobolev(1, length=n, symbol="differences").norm(wave)
        xi, step = 2 * math.pi * k / n, 2 * math.sin(math.pi * k / n)
        assert float(differences / spectral) == pytest.approx(math.sqrt((1 + step**2) / (1 + xi**2)))
        assert float(differences) == pytest.approx(float(GradientForm(2).norm(wave)))
    code = GradientForm(2, weight=math.sqrt(5) / math.pi)
    slow = torch.cos(2 * math.pi * t / n).view(1, 1, -1)
    assert float(code.norm(slow) / Sobolev(1).norm(slow)) == pytest.approx(1, abs=1e-4)


def by_programme(u, weight, periodic):
    """p = 1 in one axis: max <u, x> with |x|_1 + weight |D x|_1 <= 1, as a linear programme."""
    n = len(u)
    D = weight * (np.eye(n)[[(i + 1) % n for i in range(n)]] - np.eye(n))
    if not periodic:
        D[-1] = 0
    eye, zero = np.eye(n), np.zeros((n, n))
    A = np.block([[eye, -eye, zero], [-eye, -eye, zero], [D, zero, -eye], [-D, zero, -eye]])
    A = np.vstack([A, np.concatenate([np.zeros(n), np.ones(2 * n)])])
    b = np.zeros(4 * n + 1)
    b[-1] = 1
    return -scipy.optimize.linprog(np.concatenate([-u, np.zeros(2 * n)]), A, b, bounds=(None, None)).fun


@pytest.mark.parametrize("boundary", ["periodic", "even"])
def test_the_dual_of_the_gradient_form_against_a_linear_programme(boundary):
    of = GradientForm(1, 0.6, boundary)
    u = random(3, 1, 7)
    exact = [by_programme(one.numpy().ravel(), 0.6, boundary == "periodic") for one in u]
    np.testing.assert_allclose(of.dual.norm(u), exact, rtol=1e-6)


@pytest.mark.parametrize("p", [1.5, 4])
def test_the_dual_of_the_gradient_form_against_a_general_solver(p):
    of = GradientForm(p, 2.0)
    for u in random(1, 1, 2, 3):
        assert float(of.dual.norm(u[None])) == pytest.approx(by_general_solver(of.norm, u), rel=1e-6)


def test_bounds_of_duals_that_cancel_still_hold():
    """Duals that went far and cancel under K* give an upper bound that is large or right, and never too small."""
    of = OverlappingPatches(3, Lp(1), stride=2)
    u = random(4, 1, 8)
    exact = torch.tensor([overlapping_by_programme(one.numpy().ravel(), 3, 2, 1) for one in u], dtype=torch.float64)
    form = of.composition()
    bound = bind(form, (1, 8))
    matrix = torch.stack([bound[0].back(one[None]).flatten() for one in torch.eye(12, dtype=torch.float64)], 1)
    far = {
        "cancels": random(4, 4, seed=2) @ torch.linalg.svd(matrix).Vh[8:],
        "does not": bound[0].image(random(4, 1, 8)),
    }
    for direction in far.values():
        for size in (0, 1, 1e6, 1e11, 1e15, 1e40):
            found = split_bound(form, [1], bound, [size * direction], u)
            assert (found >= exact * (1 - 1e-12)).all()


# What all have in common


IMAGES = [ForwardDifferences(0.7), ForwardDifferences(2.0, "even"), Windows(3), Windows(4, 2, -1)]
TRAINED = ["Besov(s=-1, p=3)", "Patches(2, Lp(2))", "OverlappingPatches(2, Lp(2))", "GradientForm(p=1)"]


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("event", [(2, 8), (1, 4, 6), (1, 4, 4, 6)])
def test_images_are_transposed_and_their_grams_solved(image, event):
    x, y = random(2, *event), image(random(2, *event))
    z = random(*y.shape, seed=1)
    torch.testing.assert_close((z * image(x)).flatten(1).sum(1), (image.transposed(z, event) * x).flatten(1).sum(1))
    solved = Gram(Node(1.0, (Leaf(1.0), Leaf(1.0, (image,)))), event, x).solver(x.new_tensor([[0.5, 2.0]] * 2))(x)
    torch.testing.assert_close(0.5 * solved + 2 * image.transposed(image(solved), event), x)


def test_norms_of_groups_give_no_form_that_would_be_taken_for_p_norms():
    for spec in ("GradientForm(p=3)", "OverlappingPatches(2, Lp(2))"):
        of = space(spec)
        assert of.form() is None
        assert Intersection(1, Lp(2), of).form() is None
        assert properties.coordinates(of) is None
        x = random(4, 1, 6, 6)
        assert float(of.rounding(x).max()) < 1e-13 * float(of.norm(x).min())
    assert float(GradientForm(3).rounding(random(1, 1, 6, 6))) > 0
    assert isinstance(space("GradientForm(p=3)").composition().parts[1].maps[0], ForwardDifferences)
    assert not isinstance(space("GradientForm(p=3)").composition().parts[1].maps[0], Differences)


def test_a_group_inside_an_intersection_is_solved():
    of = Intersection(1, Lp(2), GradientForm(p=1), tol=1e-4)
    (u,) = random(1, 1, 2, 3)
    found = of.dual.enclosure(u[None])
    assert float(found.gap.max()) <= 1e-4
    assert by_general_solver(of.norm, u) <= float(found.upper) * (1 + 1e-9)


@pytest.mark.parametrize("spec", TRAINED)
def test_a_penalty_trains(spec):
    torch.manual_seed(0)
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 8), torch.nn.Softplus(), torch.nn.Linear(8, 1))
    x, y = torch.randn(2, 4, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    value = gradient_penalty(critic, x, y, space(spec), torch.Generator().manual_seed(2))
    value.backward()
    assert float(value.detach()) > 0
    assert all(one.grad.isfinite().all() for one in critic.parameters() if one.grad is not None)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("Besov(s=inf)", "Besov: s = inf is no order"),
        ("Besov(s=1, p=0.5)", "p = 0.5 is no norm's exponent"),
        ("Besov(s=1, wavelet='db9')", "wavelet = 'db9'; choose one of haar, db2, db3"),
        ("Besov(s=1, levels=0)", "levels = 0; choose a whole number from 1 to 30"),
        ("Patches(0, Lp(2))", "size = 0; choose a whole number"),
        ("Patches(2, 3)", "3 is no space"),
        ("Patches(2, Lp(2), count=7)", "count = 7; choose a number from -1 to 1"),
        ("OverlappingPatches(2, Lp(2), stride=3)", "some entries are in no patch"),
        ("OverlappingPatches(2, Lp(4))", "overlapping patches are measured by Lp(2), or by Lp(1)"),
        ("OverlappingPatches(2, Lp(2), tol=5)", "tol = 5; choose a relative accuracy"),
        ("GradientForm(p=1, weight=0)", "weight = 0; choose a positive number"),
        ("GradientForm(p=1, boundary='zero')", "choose 'periodic' or 'even'"),
        ("Sobolev(s=1, symbol='sine')", "symbol = 'sine'; choose 'spectral' or 'differences'"),
        ("Sobolev(s=1, symbol='differences', scale='code')", "scale = 'code'; choose a number"),
    ],
)
def test_refusals(spec, said):
    with pytest.raises(SpecError) as refused:
        parse(spec, "space")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "shape", "said"),
    [
        ("Patches(4, Lp(2))", (1, 6, 8), "each axis has to be a multiple"),
        ("Patches((2, 2), Lp(2))", (1, 4), "give one size for each"),
        ("OverlappingPatches(4, Lp(2))", (1, 3), "4 or longer"),
        ("OverlappingPatches(4, Lp(2), stride=2)", (1, 5), "a multiple of 2"),
        ("GradientForm(p=1)", (5,), "say what the axes are"),
    ],
)
def test_data_that_do_not_fit_are_refused(spec, shape, said):
    with pytest.raises(ValueError, match=said):
        space(spec).norm(torch.zeros(2, *shape))
