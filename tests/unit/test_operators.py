import math

import numpy as np
import pytest
import scipy.fft
import torch

from banach import Bessel, Compose, Matrix, Scale
from banach.operators import OPERATORS, Table
from banach.specs import SpecError


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filtered(x, s, c=5.0):
    """The published filter by full complex transforms, for data (b, channels, h, w)."""
    h, w = x.shape[-2:]
    k, l = np.arange(w), np.arange(h)
    X = np.minimum(k, w - k) / max(w // 2, 1)
    Y = np.minimum(l, h - l) / max(h // 2, 1)
    weight = (1 + c * (X[None, :] ** 2 + Y[:, None] ** 2)) ** (s / 2)
    y = np.fft.ifft2(weight * np.fft.fft2(np.asarray(x)))
    assert np.abs(y.imag).max() <= 1e-12 * np.abs(y).max()
    return y.real


@pytest.mark.parametrize("s", [-1.5, -1, 0, 0.5, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 8), (9, 7), (8, 8), (1, 6), (6, 1)])
@pytest.mark.parametrize(("scale", "c"), [(None, 5), ("code", 5), ("paper", 25), (12.5, 12.5)])
def test_the_published_filter(s, size, scale, c):
    x = random(2, 3, *size)
    np.testing.assert_allclose(Bessel(s, scale)(x), filtered(x, s, c), atol=1e-12)


@pytest.mark.parametrize("s", [-1, 0.5, 2])
@pytest.mark.parametrize("size", [(5,), (8,), (6, 5), (3, 4, 5)])
def test_even_boundary_is_the_cosine_transform(s, size):
    x = random(2, 2, *size)
    axes = tuple(range(2, 2 + len(size)))
    squared = sum(
        np.reshape((np.arange(n) / n) ** 2, [-1 if a == axis else 1 for a in range(len(size))])
        for axis, n in enumerate(size)
    )
    coefficients = scipy.fft.dctn(x.numpy(), type=2, axes=axes, norm="ortho")
    expected = scipy.fft.idctn((1 + 5 * squared) ** (s / 2) * coefficients, type=2, axes=axes, norm="ortho")
    A = Bessel(s, boundary="even")
    np.testing.assert_allclose(A(x), expected, atol=1e-12)
    np.testing.assert_allclose(A.l2_norm(x), np.sqrt((expected**2).reshape(2, -1).sum(1)), rtol=1e-12)


@pytest.mark.parametrize("size", [(5,), (8,), (6, 5), (5, 6), (4, 6, 5), (4, 5, 6), (1,), (2,), (1, 1, 2)])
@pytest.mark.parametrize("homogeneous", [False, True])
@pytest.mark.parametrize("boundary", ["periodic", "even"])
def test_parseval(size, homogeneous, boundary):
    """The norm by coefficients is that of the filtered data: weight 2, but 1 at DC and, for even sizes, at Nyquist."""
    A = Bessel(s=1.5, boundary=boundary, homogeneous=homogeneous)
    x = random(3, 2, *size)
    np.testing.assert_allclose(A.l2_norm(x), A(x).flatten(1).norm(dim=1), rtol=1e-12)


def test_in_one_and_three_axes_against_complex_transforms():
    for size in ((7,), (4, 6, 5)):
        x = random(1, 2, *size)
        axes = tuple(range(2, 2 + len(size)))
        grids = np.meshgrid(*(np.minimum(np.arange(n), n - np.arange(n)) / (n // 2) for n in size), indexing="ij")
        weight = (1 + 5 * sum(g**2 for g in grids)) ** -0.75
        expected = np.fft.ifftn(weight * np.fft.fftn(x.numpy(), axes=axes), axes=axes).real
        np.testing.assert_allclose(Bessel(-1.5)(x), expected, atol=1e-13)


def test_homogeneous_drops_the_zero_mode():
    A = Bessel(s=-1, homogeneous=True)
    x = random(2, 2, 6, 4)
    np.testing.assert_allclose(A(x).mean((2, 3)), 0, atol=1e-15)
    np.testing.assert_allclose(A(x + 100), A(x), atol=1e-12)
    np.testing.assert_allclose(A.inverse(A(x)), x - x.mean((2, 3), keepdim=True), atol=1e-13)
    assert torch.equal(A.domain(x), x - x.mean((2, 3), keepdim=True))
    wave = torch.cos(2 * math.pi * torch.arange(8, dtype=torch.float64) / 8).view(1, 1, 8)
    torch.testing.assert_close(Bessel(s=-1, homogeneous=True, length=1)(wave), wave / (2 * math.pi))


def test_frequencies_with_length():
    """A wave is an eigenvector: with frequency 2 pi k / length it is multiplied by (1 + xi^2)^(s/2)."""
    n, length, k = 16, 3.0, 2
    t = (torch.arange(n, dtype=torch.float64) + 0.5) * length / n
    xi = 2 * math.pi * k / length
    wave = torch.sin(xi * t).view(1, 1, n)
    torch.testing.assert_close(Bessel(s=3, length=length)(wave), (1 + xi**2) ** 1.5 * wave)
    half = torch.cos(xi / 4 * t).view(1, 1, n)  # half the spacing of frequencies when mirrored
    image = Bessel(s=1, length=length, boundary="even")(half)
    torch.testing.assert_close(image, (1 + (xi / 4) ** 2) ** 0.5 * half)
    torch.testing.assert_close(Bessel(s=1, length=length, scale=0.5)(wave), (1 + 0.5 * xi**2) ** 0.5 * wave)


def test_a_length_for_each_axis():
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    x[0, 0] = torch.cos(2 * math.pi * torch.arange(8, dtype=torch.float64) / 8)[:, None]
    A = Bessel(s=2, length=(4, 1))
    torch.testing.assert_close(A(x), (1 + (2 * math.pi / 4) ** 2) * x)
    with pytest.raises(ValueError, match=r"2 lengths \(4, 1\) for 1 spatial axes"):
        A(x[0])


@pytest.mark.parametrize("shape", [(2, 5), (1, 1, 2, 2, 2, 2)])
def test_data_without_a_grid_are_refused(shape):
    with pytest.raises(ValueError, match="1, 2 or 3 spatial axes"):
        Bessel(s=1)(torch.zeros(shape))


def test_types():
    assert Bessel(s=1)(torch.zeros(1, 1, 4, dtype=torch.float16)).dtype == torch.float32
    assert Bessel(s=1)(random(1, 1, 4)).dtype == torch.float64
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(Bessel(s=-1)(x), Bessel(s=-1)(x.double()).float(), rtol=1e-5, atol=1e-6)
    assert float(Bessel(s=1).l2_norm(torch.full((1, 1, 2), 1e-30))) == pytest.approx(2**0.5 * 1e-30)


def test_scale():
    x = random(2, 3, 4, 5)
    assert torch.equal(Scale(3)(x), 3 * x)
    weights = torch.tensor([1, 2, 0.5], dtype=torch.float64)
    assert torch.equal(Scale((1, 2, 0.5))(x), x * weights.view(3, 1, 1))
    assert torch.equal(Scale((1, 2, 0.5))(x[:, :, 0, 0]), x[:, :, 0, 0] * weights)
    mask = random(4, 5, seed=1)
    assert torch.equal(Scale(mask)(x), x * mask)
    whole = random(3, 4, 5, seed=1)
    assert torch.equal(Scale(whole)(x), x * whole)
    torch.testing.assert_close(Scale(whole).inverse(Scale(whole)(x)), x)
    assert Scale(whole).inverse.inverse == Scale(whole)
    assert Scale(whole).adjoint == Scale(whole)
    for weights, shape in (((1, 2), (1, 3, 4)), (((1, 2),), (1, 5)), (((1, 2), (3, 4)), (1, 1, 4, 4))):
        with pytest.raises(ValueError, match="do not fit data"):
            Scale(weights)(torch.zeros(shape))


def test_scale_floor_keeps_signs():
    assert Scale((-2, -0.01, 0.0, 0.5), floor=0.1)(torch.ones(1, 4)).tolist() == [pytest.approx([-2, -0.1, 0.1, 0.5])]
    with pytest.raises(SpecError, match="floor = -1"):
        Scale(1, floor=-1)


def test_matrix():
    values = random(6, 6).numpy() + 3 * np.eye(6)
    A, x = Matrix(values), random(2, 6, seed=1)
    np.testing.assert_allclose(A(x), x.numpy() @ values.T, rtol=1e-13)
    np.testing.assert_allclose(A(x.view(2, 1, 2, 3)).flatten(1), x.numpy() @ values.T, rtol=1e-13)
    np.testing.assert_allclose(A.adjoint(x), x.numpy() @ values, rtol=1e-13)
    np.testing.assert_allclose(A.inverse(x), np.linalg.solve(values, x.numpy().T).T, rtol=1e-11)
    np.testing.assert_allclose(A.inverse.adjoint(x), np.linalg.solve(values.T, x.numpy().T).T, rtol=1e-11)
    channels = random(2, 6, 4, 5, seed=2)
    np.testing.assert_allclose(A(channels), np.einsum("ij,bjhw->bihw", values, channels), rtol=1e-12)
    with pytest.raises(ValueError, match="size 6 fits neither"):
        A(random(2, 5))


def test_mahalanobis():
    """Weighted(Matrix(A), Lp(2)) with A^T A = C^-1 is the Mahalanobis norm of the covariance C."""
    half = random(4, 4).numpy() + 2 * np.eye(4)
    C = half @ half.T
    A = np.linalg.cholesky(np.linalg.inv(C)).T
    x = random(3, 4, seed=1).numpy()
    expected = np.sqrt(np.einsum("bi,ij,bj->b", x, np.linalg.inv(C), x))
    np.testing.assert_allclose(Matrix(A).l2_norm(torch.from_numpy(x)), expected, rtol=1e-12)
    by_power = Matrix(C, power=-0.5)
    np.testing.assert_allclose(by_power.l2_norm(torch.from_numpy(x)), expected, rtol=1e-11)
    np.testing.assert_allclose(by_power.inverse(by_power(torch.from_numpy(x))), x, rtol=1e-10)


def test_powers_of_matrices():
    C, x = ((2.0, 1.0), (1.0, 3.0)), random(3, 2)
    root = Matrix(C, power=0.5)
    np.testing.assert_allclose(root(root(x)), Matrix(C)(x), rtol=1e-13)
    with pytest.raises(SpecError, match=r"power = -0\.5 needs a symmetric, positive definite matrix"):
        Matrix(((1, 2), (2, 1)), power=-0.5)
    with pytest.raises(SpecError, match="needs a symmetric"):
        Matrix(((1, 2), (0, 1)), power=2)
    with pytest.raises(SpecError, match="power = nan"):
        Matrix(C, power=math.nan)


def test_compose_is_the_last_first():
    A, B = Matrix(((2, 1), (0, 1))), Scale((1, 3))
    x = random(2, 2)
    assert torch.equal(Compose(A, B)(x), A(B(x)))
    assert Compose(A, B).inverse == Compose(B.inverse, A.inverse)
    assert Compose(A, B).adjoint == Compose(B.adjoint, A.adjoint)
    for wrong in ((), (3,)):
        with pytest.raises(SpecError, match="give operators"):
            Compose(*wrong)


def test_operators_hash_by_content():
    assert hash(Bessel(s=1)) == hash(Bessel(s=1.0))
    assert Scale(random(2, 2)) == Scale(random(2, 2))
    assert Scale(random(2, 2)) != Scale(random(2, 2, seed=1))
    table = Table((1, 2), "here")
    assert table == Table([1.0, 2.0], "here")
    assert table != (1, 2)
    assert table != Table(((1, 2),), "here")


@pytest.mark.parametrize("outer", [torch.inference_mode, torch.no_grad, lambda: torch.device("meta")])
@pytest.mark.parametrize("make", [lambda s: Bessel(s), lambda s: Scale(s), lambda s: Matrix(((s, 1), (0, s)))])
def test_first_use_may_be_in_inference_mode_or_on_another_default_device(make, outer):
    """What is kept from a first use while sampling must take part in training afterwards."""
    x = random(2, 2, 4)
    s = {"inference_mode": 1.25, "no_grad": 1.375}.get(getattr(outer, "__name__", ""), 1.4375)
    with outer():
        A = make(s)
        A(x), A.inverse(x), A.l2_norm(x)
    x.requires_grad_()
    (A(x).square().sum() + A.inverse(x).square().sum() + A.l2_norm(x).sum()).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("spec", OPERATORS.examples())
def test_operators_keep_their_parameters_constant(spec):
    """The caches hand out tensors: using one must not change the next result."""
    A = OPERATORS.parse(spec)
    x = random(2, 3 if ", 0.5)" in spec else 2, 4 if "db" in spec else 5)  # Daubechies wavelets halve even sizes only
    first = A(x).clone()
    A(x).mul_(2)
    A.inverse(x).add_(1)
    assert torch.equal(A(x), first)
