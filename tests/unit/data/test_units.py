"""The map between data and model units: exact for pixels, fitted per channel for arrays."""

import math

import pytest
import torch

from banach.data import DataError, Units, fit_units

PIXELS = Units("pixels")
EVERY = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


def field(n=400, seed=0):
    """Three channels of very different centre and size, on a 5x4 grid."""
    x = torch.randn(n, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    return x * torch.tensor([1.0, 1e-5, 30]).reshape(1, 3, 1, 1) + torch.tensor([0.0, 1e-3, 101325]).reshape(1, 3, 1, 1)


def test_every_pixel_value_survives_the_round_trip():
    model = PIXELS.to_model(EVERY)
    assert torch.equal(model, EVERY.float() / 127.5 - 1)
    assert (model.min(), model.max()) == (-1, 1)
    assert torch.equal(PIXELS.to_data(model), EVERY)
    assert torch.equal(PIXELS.to_data(model + 0.49 / 127.5), EVERY), "to_data must round, not cut"
    assert PIXELS.to_data(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]
    assert PIXELS.output == "tanh"


def test_standard_and_minmax_fit_each_channel():
    x = field()
    units = fit_units(x, "standard")
    model = units.to_model(x).double()
    assert model.mean((0, 2, 3)).abs().max() < 1e-3
    assert (model.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-3
    assert units.output == "linear"
    model = fit_units(x, "minmax").to_model(x)
    assert model.amin((0, 2, 3)).tolist() == pytest.approx([-1] * 3, abs=1e-3)
    assert model.amax((0, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-3)
    assert torch.equal(fit_units(x, "none").to_model(x), x)


@pytest.mark.parametrize("method", ["standard", "minmax", "none"])
def test_data_come_back_in_their_units(method):
    x = field()
    units = fit_units(x, method)
    fresh = field(seed=1)  # the fit is an affine map, not a property of the batch
    for one in (x, fresh):
        error = (units.to_data(units.to_model(one)) - one).abs()
        assert (error <= 1e-6 * (one.abs() + units.scale.reshape(1, 3, 1, 1))).all()


def test_vectors_are_fitted_feature_by_feature():
    x = torch.tensor([[0.0, 10.0], [2.0, 30.0]])
    units = fit_units(x, "standard")
    assert units.to_model(x).tolist() == [[-1, -1], [1, 1]]


def test_large_means_do_not_cancel_in_the_deviation():
    x = 4096 + torch.linspace(-1, 1, 10_000)[:, None]
    assert fit_units(x, "standard").scale.item() == pytest.approx(1 / math.sqrt(3), rel=1e-3)


@pytest.mark.parametrize("method", ["standard", "minmax"])
def test_a_constant_channel_comes_back_exactly(method):
    x = torch.stack((torch.linspace(0, 1, 50), torch.full((50,), 0.1)), 1)
    units = fit_units(x, method)
    model = units.to_model(x)
    assert torch.isfinite(model).all()
    assert (model[:, 1] == 0).all()
    assert (units.to_data(torch.randn(50, 2))[:, 1] == x[0, 1]).all()


@pytest.mark.parametrize("units", [PIXELS, fit_units(field(), "standard"), fit_units(field(), "none")])
def test_state_goes_round(units, tmp_path):
    torch.save(units.state_dict(), tmp_path / "units.pt")
    back = Units.from_state(torch.load(tmp_path / "units.pt", weights_only=True))
    assert back.method == units.method
    x = EVERY if units is PIXELS else field()
    assert torch.equal(back.to_model(x), units.to_model(x))


def test_units_move_with_the_data():
    units = fit_units(field(), "standard").to("meta")
    assert units.shift.device.type == "meta"
    assert PIXELS.to("meta") is PIXELS


def test_a_wrong_method_is_refused():
    with pytest.raises(DataError, match="normalise 'zscore' is not known; known: standard, minmax, none"):
        fit_units(field(), "zscore")
    with pytest.raises(DataError, match="units 'zscore' are not known; known: pixels"):
        Units.from_state({"method": "zscore"})
    with pytest.raises(DataError, match="units 'standard' need a shift"):
        Units("standard")


def test_channels_beyond_float32_are_refused():
    with pytest.raises(DataError, match=r"values up to 2e\+37 leave no room in float32; rescale"):
        fit_units(torch.tensor([[0.0], [2e37]]), "standard")
    with pytest.raises(DataError, match=r"channel 0 varies by .* only, too little for float32; rescale"):
        fit_units(torch.tensor([[0.0], [1e-40]]), "standard")


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("method", ["standard", "minmax", "none"])
def test_model_units_are_the_written_formula_bit_for_bit(method, constant):
    x = field()
    if constant:
        x[:, 1] = 7
    units = fit_units(x, method)
    shift, scale = (one.reshape(1, 3, 1, 1) for one in (units.shift, units.scale))
    before = x.clone()
    assert torch.equal(units.to_model(x), (x - shift) * (scale != 0) / torch.where(scale == 0, 1, scale))
    assert torch.equal(x, before)
    y = x.clone().requires_grad_()
    (u,) = torch.autograd.grad(units.to_model(y).sum(), y)
    assert torch.allclose(u, (1 / torch.where(scale == 0, math.inf, scale)).expand_as(u))
