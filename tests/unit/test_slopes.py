import numpy as np
import pytest
import torch

from banach import Discrete, Lp, Sobolev
from banach.slopes import Gradients, Quotients, gradient, interpolate
from banach.specs import SpecError


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def pairs(*shape):
    real, fake = torch.randn(2, *shape, generator=rng(), dtype=torch.float64)
    return real, fake + 1


def quadratic(x):
    return x.flatten(1).square().sum(1) / 2


def test_interpolates_lie_between_with_one_number_for_each_sample():
    real, fake = pairs(6, 2, 3)
    z = interpolate(real, fake, rng(1))
    a = ((z - fake) / (real - fake)).flatten(1)
    np.testing.assert_allclose(a, a[:, :1].expand_as(a), rtol=1e-9)
    np.testing.assert_allclose(a[:, 0], torch.rand(6, generator=rng(1), dtype=torch.float64), rtol=1e-9)
    assert len(set(a[:, 0].tolist())) == 6
    assert torch.equal(interpolate(real, real, rng(1)), real)


def test_gradient_is_that_of_each_sample():
    x, _ = pairs(4, 2, 3)
    torch.testing.assert_close(gradient(quadratic, x), x)
    assert not gradient(quadratic, x).requires_grad
    w = torch.ones((), dtype=torch.float64, requires_grad=True)
    assert gradient(lambda y: w * quadratic(y), x, create_graph=True).requires_grad


def test_gradient_inside_no_grad_and_of_a_column():
    x, _ = pairs(4, 3)
    with torch.no_grad():
        torch.testing.assert_close(gradient(lambda y: quadratic(y)[:, None], x), x)


@pytest.mark.parametrize("space", [Lp(2), Lp(4), Sobolev(-1, 3)], ids=repr)
@pytest.mark.parametrize("at", ["interpolates", "reals", "fakes", "near"])
def test_gradients(space, at):
    """The gradient of |x|^2 / 2 is x: its slopes are the dual norms of the points themselves."""
    real, fake = pairs(5, 3, 4)
    slopes = Gradients(at)(quadratic, real, fake, space, rng(2))
    near = torch.Generator().manual_seed(2)
    points = {
        "interpolates": lambda: interpolate(real, fake, near),
        "reals": lambda: real,
        "fakes": lambda: fake,
        "near": lambda: Gradients("near").points(real, fake, Gradients("near").draw(real, near)),
    }[at]()
    torch.testing.assert_close(slopes, space.dual.norm(points))


def test_near_the_reals():
    """DRAGAN: real + a 0.5 std U(0, 1) in each entry, one a for each sample; the code of pytorch-tvmisc."""
    real = 3 * torch.randn(500, 40, generator=rng(), dtype=torch.float64)
    shift = Gradients("near").points(real, real, Gradients("near").draw(real, rng(1))) - real
    assert float(shift.min()) >= 0
    assert float(shift.max()) <= 1.5 * 1.01
    assert float(shift.mean()) == pytest.approx(0.5 * 3 / 4, rel=0.05)
    largest = shift.amax(1)  # of 40 entries: close to a 0.5 std
    assert float(largest.std()) == pytest.approx(1.5 / 12**0.5, rel=0.1)


def test_no_gradient_reaches_the_points():
    real, fake = (one.requires_grad_() for one in pairs(3, 4))
    w = torch.ones((), dtype=torch.float64, requires_grad=True)
    for slopes in (Gradients(), Gradients("reals"), Gradients("fakes"), Gradients("near"), Quotients()):
        slopes(lambda x: w * quadratic(x), real, fake, Lp(2), rng()).sum().backward()
    assert real.grad is None
    assert fake.grad is None
    assert w.grad is not None


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("space", [Lp(2), Sobolev(-1, 3), Discrete()], ids=repr)
def test_quotients(space, column):
    """|f(x) - f(y)| / d(x, y) for each pair of the batch, also where the critic returns a column (b, 1)."""
    real, fake = pairs(5, 3, 4)

    def f(x):
        return quadratic(x)[:, None] if column else quadratic(x)

    expected = (quadratic(real) - quadratic(fake)).abs() / space.distance(real, fake)
    torch.testing.assert_close(Quotients()(f, real, fake, space, None), expected)


def test_close_pairs_are_left_out():
    real, fake = pairs(4, 3)
    fake[1] = real[1]
    fake[2] = real[2] + 1e-8
    found = Quotients()(quadratic, real, fake, Lp(2), None)
    expected = (quadratic(real) - quadratic(fake)).abs() / Lp(2).distance(real, fake)
    torch.testing.assert_close(found, expected[[0, 3]])
    w = torch.ones((), dtype=torch.float64, requires_grad=True)
    none_left = Quotients()(lambda x: w * quadratic(x), real, real, Lp(2), None)
    assert none_left.tolist() == [0]
    none_left.sum().backward()
    assert w.grad == 0


def test_a_critic_of_several_numbers_is_refused_by_quotients():
    real, fake = pairs(4, 3)
    with pytest.raises(RuntimeError, match="shape"):
        Quotients()(lambda x: x, real, fake, Lp(2), None)


def test_refusals():
    with pytest.raises(SpecError, match="at = 'centre'; choose"):
        Gradients("centre")
    with pytest.raises(SpecError, match="without a dual norm: choose a penalty on pairs"):
        Gradients()(quadratic, *pairs(2, 3), Discrete(), rng())
