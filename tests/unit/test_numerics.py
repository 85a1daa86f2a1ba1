import copy
import math

import numpy as np
import pytest
import torch

from banach.numerics import Exponent, at_least_float32, conjugate, magnitude, p_norm, root

EXPONENTS = [1, 1.1, 1.5, 2, 3, 4, 10, math.inf]


def gradient(x, p):
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(p_norm(x, p).sum(), x)
    return g


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("shape", [(3, 7), (2, 2, 3, 4), (5, 1)])
def test_against_numpy(p, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [np.linalg.norm(one.ravel(), p) for one in x.numpy()]
    np.testing.assert_allclose(p_norm(x, p).numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-8, 1e8, 1e30, 1e37])
def test_any_scale_in_float32(p, scale):
    x = torch.tensor([[3.0, -4.0, 0.5]])
    expected = np.linalg.norm(x[0].double().numpy(), p)
    assert float(p_norm(scale * x, p) / scale) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient(scale * x, p), gradient(x, p), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_any_scale_in_float64(p, scale):
    x = torch.tensor([[3.0, -4.0, 0.5]], dtype=torch.float64)
    assert float(p_norm(scale * x, p) / scale) == pytest.approx(np.linalg.norm(x[0].numpy(), p), rel=1e-12)


@pytest.mark.parametrize("p", EXPONENTS)
def test_zero_has_norm_and_gradient_zero(p):
    zero = torch.zeros(2, 3, 2)
    assert torch.equal(p_norm(zero, p), torch.zeros(2))
    assert torch.equal(gradient(zero, p), zero)


@pytest.mark.parametrize("p", EXPONENTS)
def test_one_hot(p):
    x = torch.tensor([[0.0, -2.0, 0.0]])
    assert float(p_norm(x, p)) == 2
    assert torch.equal(gradient(x, p), torch.tensor([[0.0, -1.0, 0.0]]))


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(p, bad):
    """A gradient that is not a number must not look like a gradient of length 0."""
    norm = p_norm(torch.tensor([[bad, 1.0], [3.0, 0.0]]), p)
    assert norm[0] == math.inf if bad == math.inf else norm[0].isnan()
    assert norm[1] == 3


@pytest.mark.parametrize("p", EXPONENTS)
def test_first_derivatives_are_right(p):
    x = torch.tensor([[0.3, -1.2, 0.7], [2.0, 0.1, -0.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: p_norm(y, p), x)


@pytest.mark.parametrize("p", [1.5, 2, 3, 10])
def test_second_derivatives_are_right_away_from_zero(p):
    x = torch.tensor([[0.3, -1.2, 0.7]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda y: p_norm(y, p), x)


def test_half_precision_is_measured_in_float32():
    x = torch.full((1, 4096), 16.0, dtype=torch.float16)
    assert p_norm(x, 2).dtype == torch.float32
    assert float(p_norm(x, 2)) == 1024
    assert at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert at_least_float32(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_no_entries_are_refused():
    with pytest.raises(ValueError, match="no entries"):
        p_norm(torch.zeros(2, 0), 2)


def test_magnitude_carries_no_gradient():
    x = torch.tensor([[[1.0, -3.0]], [[0.0, 0.0]]], requires_grad=True)
    found = magnitude(x)
    assert found.shape == (2, 1, 1)
    assert found.flatten().tolist() == [3, 1]
    assert not found.requires_grad


def test_root_is_flat_at_zero():
    total = torch.tensor([0.0, 8.0, math.nan], requires_grad=True)
    found = root(total, 3)
    (slope,) = torch.autograd.grad(found[:2].sum(), total)
    assert found[0] == 0
    assert found[1] == 2
    assert found[2].isnan()
    assert slope[0] == 0
    assert slope[1] == pytest.approx(1 / 12)


@pytest.mark.parametrize(("p", "q"), [(1, math.inf), (2, 2), (math.inf, 1), (4, 4 / 3), (1.5, 3)])
def test_conjugate(p, q):
    assert conjugate(p) == q


@pytest.mark.parametrize("p", [1, 1.0, 2, math.inf])
def test_exponents(p):
    assert Exponent(p, "here") == float(p)
    assert Exponent(p).dual == conjugate(p)
    assert Exponent(p).dual.dual == p


def test_the_conjugate_of_a_conjugate_is_exact():
    for p in np.random.default_rng(0).uniform(1, 20, 200).tolist():
        assert Exponent(p).dual.dual == p
        assert copy.deepcopy(Exponent(p).dual).dual == p
        assert type(Exponent(p).dual) is Exponent


@pytest.mark.parametrize("p", [0.5, 0, -1, math.nan, True, None, "2"])
def test_refused_exponents(p):
    with pytest.raises(ValueError, match=r"here: p = .* choose a number from 1 to inf"):
        Exponent(p, "here")
