"""A generator of functions: one function at every resolution, convolutions, first weights, any size."""

import math

import pytest
import torch

from banach.models import ModelError, build_generator
from banach.models.described import AnySize
from banach.models.spectral import MODES, SpectralGenerator, modes_of, on_grid, on_places

SHAPES = [(2, 32), (1, 12, 16), (3, 9, 7), (1, 6, 8, 12)]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, dtype=torch.float64, generator=rng(seed))


def generator(shape, padding: str | tuple[str, ...] = "periodic", z=40, width=6, output="linear"):
    found = build_generator("spectral", shape, z=z, width=width, output=output, rng=rng(), padding=padding).double()
    assert isinstance(found, SpectralGenerator)
    assert isinstance(found, AnySize)
    return found


def times(shape, factor):
    return tuple(factor * one for one in shape[1:])


def coefficients(x):
    axes = tuple(range(2, x.dim()))
    return torch.fft.fftn(x, dim=axes) / math.prod(x.shape[2:])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_finer_grid_has_the_same_values_at_the_places_of_the_coarse_one(shape):
    network, z = generator(shape), normal(3, 40)
    coarse = network(z)
    assert torch.equal(coarse, network(z, shape[1:]))
    for factor in (2, 3, 4):
        fine = network(z, times(shape, factor))
        assert fine.shape == (3, shape[0], *times(shape, factor))
        torch.testing.assert_close(fine[(..., *[slice(None, None, factor)] * (len(shape) - 1))], coarse)


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_without_periods_places_are_centres_of_cells(shape, padding):
    network, z = generator(shape, padding), normal(3, 40)
    coarse, fine = network(z), network(z, times(shape, 3))
    torch.testing.assert_close(fine[(..., *[slice(1, None, 3)] * (len(shape) - 1))], coarse)
    jump = (coarse[..., 0] - coarse[..., -1]).abs().mean()
    assert jump > 0.2 * coarse.std(), "it is not periodic"


def test_with_a_period_the_ends_meet():
    network = generator((1, 32, 32))
    x = network(normal(20, 40), (256, 256))
    step, across = (x[..., 1:] - x[..., :-1]).abs().mean(), (x[..., 0] - x[..., -1]).abs().mean()
    assert across < 1.5 * step


def test_one_axis_may_be_periodic_alone():
    x = generator((1, 32, 32), ("periodic", "zero"))(normal(20, 40), (256, 256))
    ends = [(x.select(axis, 0) - x.select(axis, -1)).abs().mean() for axis in (2, 3)]
    assert ends[0] < 0.3 * ends[1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_where_the_last_map_is_linear_the_low_modes_are_those_of_the_coarse_samples(shape):
    network, z = generator(shape), normal(3, 40)
    with torch.no_grad():
        network.back.weight.zero_()
    coarse, fine = coefficients(network(z)), coefficients(network(z, times(shape, 2)))
    for axis, n in enumerate(shape[1:], 2):  # what both grids have, less the coarse one's last frequency
        k = (n - 1) // 2
        at = torch.arange(-k, k + 1)
        coarse, fine = coarse.index_select(axis, at % n), fine.index_select(axis, at % (2 * n))
    torch.testing.assert_close(fine, coarse, rtol=1e-9, atol=1e-12)


def test_else_low_modes_agree_as_far_as_the_coarse_grid_resolves_the_last_map():
    network, z = generator((1, 32, 32)), normal(30, 40)
    coarse, fine = coefficients(network(z)), coefficients(network(z, (64, 64)))
    at = torch.arange(-8, 9)
    coarse, fine = (c.index_select(2, at % c.shape[2]).index_select(3, at % c.shape[3]) for c in (coarse, fine))
    apart = ((fine - coarse).abs().square().sum() / coarse.abs().square().sum()).sqrt()
    assert 0 < apart < 0.02


@pytest.mark.parametrize("size", [(4, 4), (12, 20), (1, 7)])
def test_any_size_also_less_than_the_modes_need(size):
    network, z = generator((1, 12, 16)), normal(2, 40)
    fine = network(z, (60, 140))
    x = network(z, size)
    assert x.shape == (2, 1, *size)
    torch.testing.assert_close(fine[:, :, :: 60 // size[0], :: 140 // size[1]], x)


@pytest.mark.parametrize("modes", [(3,), (2, 3), (1, 2, 2)])
def test_waves_and_coefficients_are_those_of_fourier(modes):
    sizes = tuple(3 * k + 1 for k in modes)
    c = coefficients(normal(2, 3, *sizes))  # of a real field
    for axis, (k, n) in enumerate(zip(modes, sizes, strict=True), 2):
        at = torch.arange(0 if axis == len(modes) + 1 else -k, k + 1)
        c = c.index_select(axis, at % n)
    field = on_grid(c, sizes)
    torch.testing.assert_close(modes_of(field, modes), c)
    torch.testing.assert_close(modes_of(on_grid(c, tuple(2 * n for n in sizes)), modes), c)
    torch.testing.assert_close(field, on_places(c, sizes, ("periodic",) * len(modes)))
    whole = coefficients(field)
    for axis, n in enumerate(sizes, 2):
        k = modes[axis - 2]
        at = torch.arange(-k, k + 1) % n
        whole = whole.index_select(axis, at)
    assert whole.abs().square().sum() == pytest.approx(float(coefficients(field).abs().square().sum()), rel=1e-12)


def test_layers_are_convolutions():
    """They commute with shifts of the inner grid."""
    network = generator((1, 12, 12))
    h = normal(2, 6, *network.inner)
    for block in network.blocks:
        torch.testing.assert_close(block(h.roll((3, 5), (2, 3))), block(h).roll((3, 5), (2, 3)))


def test_the_first_field_has_the_variance_1_and_all_numbers_of_z():
    for z in (1, 30, 200):
        network = build_generator("spectral", (1, 16, 16), z=z, width=64, output="linear", rng=rng())
        assert isinstance(network, SpectralGenerator)
        assert {*range(min(z, 113))} <= {*network.places.flatten().tolist()} <= {*range(z + 1)}
        noise = torch.nn.functional.pad(torch.randn(200, z, generator=rng()), (0, 1))[:, network.places]
        c = torch.view_as_complex(noise)[:, None] * torch.view_as_complex(network.source)
        assert float(on_grid(c, (24, 24)).detach().square().mean()) == pytest.approx(1, rel=0.5)


def test_modes_are_few_and_those_of_the_grid():
    assert generator((1, 128)).modes == (MODES[1],)
    assert generator((1, 64, 8)).modes == (MODES[2], 3)
    assert generator((1, 5, 2, 1)).modes == (2, 0, 0)
    assert generator((1, 5, 2, 1))(normal(2, 40)).shape == (2, 1, 5, 2, 1)


def test_outputs_and_refusals():
    x = generator((1, 8, 8), output="tanh")(100 * normal(4, 40), (16, 16))
    assert x.abs().max() <= 1
    with pytest.raises(ModelError, match="plain vectors have none; use the model mlp"):
        build_generator("spectral", (5,), z=4)
    with pytest.raises(ModelError, match=r"'tanhh'"):
        generator((1, 8, 8), output="tanhh")
