"""frechet-derivatives: derivatives, frequencies and spectra against closed forms and finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

from banach.experiments.experiment import Setting
from banach.experiments.frechet_derivatives import (
    EXPERIMENT,
    centroid,
    concentration,
    derivatives,
    frequencies,
    power,
    spectrum,
)
from banach.models import build_critic
from banach.operators import Bessel

N = 28


def wave(k: int, across: int = 0) -> torch.Tensor:
    """A cosine of k cycles down and `across` cycles across."""
    at = torch.arange(N, dtype=torch.float64)
    return torch.cos(2 * np.pi * (k * at[:, None] + across * at[None, :]) / N)[None, None]


@pytest.mark.parametrize("k", [0, 1, 5, 14])
def test_the_mean_frequency_of_a_cosine_is_its_own(k):
    assert centroid(wave(k)) == pytest.approx(k, abs=1e-9)
    rings = spectrum(wave(k))
    assert int(np.argmax(rings)) == k
    assert len(rings) == N // 2 + 1


def test_a_cosine_of_both_axes():
    assert centroid(wave(3, 4)) == pytest.approx(5, abs=1e-9)


def test_frequencies_are_folded():
    """Unfolded, a cosine of one cycle would have half its power at n - 1 cycles."""
    unfolded = np.hypot(np.arange(N)[:, None], np.arange(N)[None, :])
    assert (power(wave(1)) * unfolded).sum() == pytest.approx(N / 2)
    assert frequencies(6, 8).max() == 5


def test_smoothed_noise_has_the_mean_frequency_of_its_multiplier():
    noise = torch.randn(400, 1, N, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = {}
    for s in (-1.0, 0.0, 1.0):
        along = frequencies(N, N)
        scaled = 5 * along**2 / (N // 2) ** 2
        expected = (((1 + scaled) ** s) * along).sum() / ((1 + scaled) ** s).sum()
        found[s] = centroid(Bessel(s=s)(noise))
        assert found[s] == pytest.approx(expected, rel=0.01)
    assert found[-1.0] < found[0.0] < found[1.0]


def test_power_sums_to_1_and_is_a_mean_over_channels():
    x = torch.cat([wave(2), 2 * wave(6)], dim=1)
    assert power(x).sum() == pytest.approx(1)
    assert centroid(x) == pytest.approx((2 + 4 * 6) / 5)


def test_derivatives_are_those_of_finite_differences():
    critic = build_critic("dcgan4", (1, 28, 28), width=2, rng=torch.Generator().manual_seed(0)).double()
    rng = torch.Generator().manual_seed(1)
    x, h = (torch.randn(3, 1, 28, 28, generator=rng, dtype=torch.float64) for _ in range(2))
    g, step = derivatives(critic, x), 1e-6
    with torch.no_grad():
        slope = (critic(x + step * h) - critic(x - step * h)) / (2 * step)
    torch.testing.assert_close((g * h).flatten(1).sum(1), slope, rtol=1e-4, atol=1e-6)


def test_the_derivative_of_a_linear_critic_is_its_weight():
    class Linear(nn.Module):
        def forward(self, x):
            return (wave(3).to(x.dtype) * x).flatten(1).sum(1)

    x = torch.randn(2, 1, N, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = derivatives(Linear(), x)
    torch.testing.assert_close(found, wave(3).expand(2, 1, N, N))
    assert not x.requires_grad


def test_concentration_of_one_pixel_and_of_all():
    one = torch.zeros(2, 1, 10, 10)
    one[:, 0, 3, 4] = 2.0
    assert concentration(one) == 1
    assert concentration(torch.ones(2, 1, 10, 10)) == pytest.approx(0.01)


def test_the_users_pictures(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "mine.npy", images)
    found = EXPERIMENT.run(Setting("tiny", tmp_path / "out", (0,), str(tmp_path / "mine.npy")))
    assert set(found.numbers) == {"W^(-1,2)", "L^2", "W^(1,2)", "centroid of reals"}
    assert len(found.numbers["L^2"]["spectrum"][0]) == 9
