import math

import numpy as np
import pytest
import scipy.optimize
import torch

import banach
from banach import Bessel, Discrete, Lp, Matrix, Metric, Product, Scale, Sobolev, Weighted, emphasises, pair, space
from banach.spaces import INTENTS, SPACES, MeanFree, ModConstants
from banach.specs import SpecError

EXPONENTS = [1, 1.1, 1.5, 2, 3, 10, math.inf]


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradient(metric, x):
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(metric.norm(x).sum(), x)
    return g


def test_pair_sums_over_all_but_the_batch():
    u, x = random(3, 2, 4), random(3, 2, 4, seed=1)
    np.testing.assert_allclose(pair(u, x), [float((a * b).sum()) for a, b in zip(u, x, strict=True)])


@pytest.mark.parametrize("p", EXPONENTS)
def test_lp(p):
    x = random(3, 2, 4)
    np.testing.assert_allclose(Lp(p).norm(x), [np.linalg.norm(one.numpy().ravel(), p) for one in x])
    assert Lp(p).dual.p == pytest.approx(1 / (1 - 1 / p) if p > 1 else math.inf)
    assert Lp(p).dual.dual == Lp(p)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lp_distances_of_all_pairs(p, dtype):
    """Also of pairs so close that the powers of their differences leave the range of the type."""
    x = random(6, 3, 4, dtype=dtype)
    y = torch.cat([x[:3] * (1 + 1e-5), 1e-7 * x[3:], torch.zeros_like(x[:1])])
    table = Lp(p).pairwise(x, y)
    expected = [[np.linalg.norm((a - b).double().numpy().ravel(), p) for b in y] for a in x]
    np.testing.assert_allclose(table, expected, rtol=1e-4 if dtype == torch.float32 else 1e-9)
    close = random(2, 3, 4, dtype=dtype)
    close[1] = close[0]
    close[1, 0, 0] += 1e-6
    assert float(Lp(p).pairwise(close, close)[0, 1]) == pytest.approx(float(close[1, 0, 0] - close[0, 0, 0]), rel=1e-5)
    assert Lp(p).pairwise(close, close).diagonal().tolist() == [0, 0]


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_lp_distances_at_any_scale(p, scale):
    x, y = random(3, 4, dtype=torch.float32), random(2, 4, seed=1, dtype=torch.float32)
    torch.testing.assert_close(Lp(p).pairwise(scale * x, scale * y) / scale, Lp(p).pairwise(x, y))


def test_distances_of_all_pairs_carry_gradients():
    x = random(3, 4).requires_grad_()
    (g,) = torch.autograd.grad(Lp(3).pairwise(x, x.detach()).sum(), x)
    (h,) = torch.autograd.grad(sum(Lp(3).distance(x, one.expand(3, 4)).sum() for one in x.detach()), x)
    torch.testing.assert_close(g, h)


@pytest.mark.parametrize("spec", ["Sobolev(s=-1, p=3)", "Product(2, (Lp(1), Lp(4)), (1, 2))", "ModConstants(1.5)"])
def test_distances_in_blocks(spec, monkeypatch):
    """`pairwise` of any metric, whatever fits into a block."""
    metric = space(spec)
    x, y = random(5, 3, 4), random(4, 3, 4, seed=1)
    expected = torch.stack([metric.distance(x, one.expand(5, 3, 4)) for one in y], 1)
    torch.testing.assert_close(metric.pairwise(x, y), expected)
    torch.testing.assert_close(Metric.pairwise(metric, x.float(), y.float()), expected.float())


def test_weighted():
    A = Matrix(((2, 1), (0, 1)))
    x = torch.tensor([[1.0, 2.0]])
    assert float(Weighted(A, Lp(1)).norm(x)) == 6
    assert Weighted(A, Lp(1)).dual == Weighted(A.inverse.adjoint, Lp(math.inf))
    assert float(Weighted(A, Lp(1)).dual.norm(torch.tensor([[2.0, 1.0]]))) == 1  # A^-T (2, 1) = (1, 0)
    assert repr(Weighted(A, Lp(1))) == "Weighted(Matrix(values=((2, 1), (0, 1))), Lp(p=1))"
    with pytest.raises(SpecError, match="give an operator and a space"):
        Weighted(Lp(2), Lp(2))


def test_sobolev_is_a_weighted_space_and_prints_as_itself():
    W = Sobolev(-1, 2)
    assert Weighted(Bessel(-1), Lp(2)) == W
    assert repr(W) == "Sobolev(s=-1)"
    assert repr(W.dual) == "Sobolev(s=1)"
    assert repr(Sobolev(1, 4, scale="paper")) == "Sobolev(s=1, p=4, scale='paper')"
    assert repr(Sobolev(1, length=2)) == "Sobolev(s=1, length=2)"
    assert repr(Sobolev(1, length=2).dual).startswith("Weighted(Bessel(s=-1")
    assert repr(Sobolev(1, 3, homogeneous=True)) == "Sobolev(s=1, p=3, homogeneous=True)"


@pytest.mark.parametrize("p", [1.5, 2, 4, 10])
def test_the_maximiser_in_closed_form(p):
    """x = A^-* [sign(h) |h|^(q-1)], h = A^-* u, attains the dual norm (mathematics of the published code)."""
    W, q = Sobolev(-1.5, p), 1 / (1 - 1 / p)
    u = random(2, 3, 8, 8)
    h = Bessel(1.5)(u)
    x = Bessel(1.5)(h.sign() * h.abs() ** (q - 1))
    torch.testing.assert_close(pair(u, x) / W.norm(x), W.dual.norm(u), rtol=1e-12, atol=0)


@pytest.mark.parametrize("p", [1.5, 2, 4])
def test_align_in_closed_form(p):
    """sign(u) |u|^(q-1) / |u|_q^(q-1) for L^p; behind a filter, the filter on both sides."""
    q, u = 1 / (1 - 1 / p), random(2, 3, 8, 8)
    flat = u.sign() * u.abs() ** (q - 1) / Lp(q).norm(u).view(2, 1, 1, 1) ** (q - 1)
    torch.testing.assert_close(Lp(p).align(u), flat)
    torch.testing.assert_close(Sobolev(-1, p).align(u), Bessel(1)(Lp(p).align(Bessel(1)(u))))


@pytest.mark.parametrize("spec", ["Lp(1)", "Sobolev(s=-1)", "Product(2, (Lp(1), Lp(4)), (1, 1))", "MeanFree(3)"])
def test_align_is_a_constant_in_any_mode_and_type(spec):
    metric, u = space(spec), random(3, 2, 4)
    expected = metric.align(u)
    assert not expected.requires_grad
    assert not metric.align(u.clone().requires_grad_()).requires_grad
    with torch.no_grad():
        assert torch.equal(metric.align(u), expected)
    with torch.inference_mode():
        assert torch.equal(metric.align(u + 0), expected)
    assert metric.align(u.bfloat16()).dtype == torch.float32
    u[1] = 0
    assert torch.equal(metric.align(u)[1], torch.zeros(2, 4, dtype=u.dtype))


def test_mean_free_norms_do_not_see_constants():
    x = random(2, 3, 5)
    for p in EXPONENTS:
        torch.testing.assert_close(MeanFree(p).norm(x + 7), MeanFree(p).norm(x))
        torch.testing.assert_close(ModConstants(p).norm(x + 7), ModConstants(p).norm(x))
        for metric in (MeanFree(p), ModConstants(p)):
            np.testing.assert_allclose(gradient(metric, x).sum(-1), 0, atol=1e-9)
    assert MeanFree(2).dual == MeanFree(2)
    torch.testing.assert_close(MeanFree(2).norm(x), ModConstants(2).norm(x))


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 1, 3, 4), (3, 6)])
def test_the_best_constant_against_scipy(p, shape):
    x = random(*shape)
    rows = x.reshape(shape[0], -1, math.prod(shape[2:]) if len(shape) > 2 else shape[1]).numpy()
    expected = []
    for sample in rows:
        parts = [
            scipy.optimize.minimize_scalar(
                lambda k, row=row: np.linalg.norm(row - k, p),
                bounds=(row.min(), row.max()),
                method="bounded",
                options={"xatol": 1e-12},
            ).fun
            for row in sample
        ]
        expected.append(np.linalg.norm(parts, p))
    np.testing.assert_allclose(ModConstants(p).norm(x), expected, rtol=1e-6)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("x", [(0, 0, 0, 1), (0, 0, 1, 1), (0, 1, 1), (1, 1, 1), (-1, 0, 2), (1e-3, 0, 0, 0, 0, 5)])
def test_gradients_at_ties_have_sum_zero(p, x):
    """The derivative along constants is 0, also where half the entries lie on the best constant."""
    x = torch.tensor([x], dtype=torch.float64)
    g = gradient(ModConstants(p), x)
    assert float(g.sum()) == pytest.approx(0, abs=1e-9)
    assert float(pair(g, x)) == pytest.approx(float(ModConstants(p).norm(x)), abs=1e-9)
    if len(set(x[0].tolist())) > 1:
        assert float(ModConstants(p).dual.norm(g)) == pytest.approx(1, abs=1e-9)
    else:
        assert not g.any()


@pytest.mark.parametrize("p", [1, 1.1, 4 / 3, 1.5, 2])
def test_many_pixels_at_one_value_in_float32(p):
    x = torch.zeros(1, 1, 32, 32)
    x[0, 0, 3, 4] = 1.0
    g = gradient(ModConstants(p), x)
    assert float(g.sum()) == pytest.approx(0, abs=1e-4)
    assert float(ModConstants(p).norm(x)) == pytest.approx(float(ModConstants(p).norm(x.double())), rel=1e-5)


def test_homogeneous_maps_need_a_mean_free_norm():
    """Their image is mean-free, where the dual of L^3 is L^1.5 modulo constants, and not L^1.5."""
    with pytest.raises(SpecError, match="homogeneous=True"):
        Weighted(Bessel(1, homogeneous=True), Lp(3))
    assert Weighted(Bessel(1, homogeneous=True), MeanFree(3)) == Sobolev(1, 3, homogeneous=True)


def test_domain():
    x = random(2, 3, 4)
    centred = x - x.mean(-1, keepdim=True)
    assert torch.equal(Lp(2).domain(x), x)
    assert torch.equal(Sobolev(1).domain(x), x)
    torch.testing.assert_close(MeanFree(3).domain(x), centred)
    torch.testing.assert_close(Sobolev(1, 3, homogeneous=True).domain(x), centred)
    mask = Scale((((1.0, 2, 3, 4)),) * 3)
    inside = Weighted(mask, MeanFree(3)).domain(x)
    np.testing.assert_allclose(mask(inside).mean(-1), 0, atol=1e-15)
    torch.testing.assert_close(Weighted(mask, MeanFree(3)).norm(inside), Weighted(mask, MeanFree(3)).norm(x))
    mixed = Product(2, (MeanFree(3), Lp(1)), (2, 1)).domain(x)
    torch.testing.assert_close(mixed, torch.cat([centred[:, :2], x[:, 2:]], 1))


@pytest.mark.parametrize("p", [1, 1.5, 2, math.inf])
def test_product_of_channels(p):
    x = random(4, 3, 5)
    parts = np.stack([Lp(1).norm(x[:, :1]).numpy(), Sobolev(-1, 3).norm(x[:, 1:]).numpy()], 1)
    found = Product(p, (Lp(1), Sobolev(-1, 3)), (1, 2)).norm(x)
    np.testing.assert_allclose(found, np.linalg.norm(parts, p, axis=1))


def test_product_of_shapes():
    P = Product(2, (Sobolev(-1), Lp(1)), ((1, 4, 4), (10,)))
    x = random(3, 26)
    image, vector = x[:, :16].view(3, 1, 4, 4), x[:, 16:]
    torch.testing.assert_close(P.norm(x), (Sobolev(-1).norm(image) ** 2 + Lp(1).norm(vector) ** 2).sqrt())
    assert P.dual.sizes == P.sizes
    assert P.dual.parts == (Sobolev(1), Lp(math.inf))


@pytest.mark.parametrize(
    ("sizes", "shape", "said"),
    [
        ((1, 2), (2, 4, 5), "needs 3 channels; the data are \\(2, 4, 5\\)"),
        (((1, 4), (2,)), (2, 5), "needs 6 entries, flat as \\(b, n\\)"),
        (((1, 4), (2,)), (2, 6, 1), "flat as"),
    ],
)
def test_product_refuses_other_data(sizes, shape, said):
    with pytest.raises(ValueError, match=said):
        Product(2, (Lp(1), Lp(2)), sizes).norm(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool])
def test_discrete(dtype):
    x = torch.tensor([[[0, 1]], [[1, 1]], [[0, 0]]]).to(dtype)
    y = torch.tensor([[[0, 1]], [[1, 0]], [[1, 1]]]).to(dtype)
    assert Discrete().distance(x, y).tolist() == [0, 1, 1]
    assert Discrete().pairwise(x, y).tolist() == [[0, 1, 1], [1, 1, 0], [1, 1, 1]]
    assert Discrete().distance(x, y).is_floating_point()


@pytest.mark.parametrize(("name", "spec"), INTENTS.items())
def test_intents(name, spec):
    assert space(name) == space(spec) == space(f" {name.upper()} ")


def test_space():
    assert space(Lp(3)) == Lp(3)
    assert space("sobolev:s=-1") == Sobolev(-1)
    for wrong in ("wasserstein", "Bessel(s=1)", "OneSided"):
        with pytest.raises(SpecError, match="unknown space"):
            space(wrong)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("Lp(2)", "every entry of the data alike"),
        ("Lp(4)", "the largest differences most"),
        ("Lp(1)", "many small differences"),
        ("Sobolev(s=-1)", "low frequencies: global shape"),
        ("Sobolev(s=1)", "high frequencies: edges"),
        ("Sobolev(s=0, p=4)", "the largest differences most"),
        ("Sobolev(s=-1, p=4)", "global shape; of these, the largest differences most"),
        ("Product(2, (Lp(1), Sobolev(s=1)), (1, 2))", "each part in its own norm: many small .*; high frequencies"),
        ("Weighted(Scale(2), Lp(4))", r"as Scale\(weights=2\) weighs them; of these, the largest"),
        ("Discrete()", "whether two samples are equal"),
    ],
)
def test_what_a_space_emphasises(spec, words):
    assert __import__("re").search(words, emphasises(space(spec)))


def test_a_class_of_ones_own_says_what_it_emphasises_and_inherits_nothing_when_it_measures_otherwise():
    class Named(Lp):
        """L^p by another name."""

    class Doubled(Lp):
        def norm(self, x):
            return 2 * super().norm(x)

    class Said(Doubled):
        emphasis = "twice as much"

        def norm(self, x):
            return super().norm(x)

    assert emphasises(Named(2)) == emphasises(Lp(2))
    assert emphasises(Doubled(2)) == "what Doubled(p=2) weighs"
    assert emphasises(Product(2, (Doubled(2), Said(2)), (1, 1))) == (
        "each part in its own norm: what Doubled(p=2) weighs; twice as much"
    )


@pytest.mark.parametrize("spec", SPACES.examples())
def test_every_example_emphasises_something(spec):
    said = emphasises(space(spec))
    assert said
    assert "\n" not in said


@pytest.mark.parametrize("wrong", [torch.zeros(3), torch.zeros(2, 2, dtype=torch.int64)])
def test_shapes_and_types_are_checked_in_tests(wrong):
    """The annotations are enforced here (not for users): a norm takes batches of floating point numbers."""
    from jaxtyping import TypeCheckError

    with pytest.raises(TypeCheckError):
        banach.spaces.MeanFree(2).norm(wrong)
    with pytest.raises(TypeCheckError):
        pair(torch.zeros(3, 2), torch.zeros(4, 2))
