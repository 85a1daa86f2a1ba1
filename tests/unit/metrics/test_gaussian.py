"""The Gaussian that a generator has to beat."""

import torch

from banach.metrics import gaussian
from banach.metrics.gaussian import gaussian_like


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_mean_and_covariance_are_the_datas() -> None:
    x = torch.randn(500, 2, 3, generator=rng()) @ torch.tensor([[1.0, 2, 0], [0, 1, 0], [0, 0, 5]]) + 100
    y = gaussian_like(x, 20_000, rng())
    assert y.shape == (20_000, 2, 3)
    assert torch.allclose(y.mean(0), x.mean(0), atol=0.1)
    assert torch.allclose(torch.cov(y.flatten(1).T), torch.cov(x.flatten(1).T), atol=1)


def test_pictures_are_pictures_and_the_cost_is_bounded(monkeypatch) -> None:
    x = torch.randint(0, 256, (50, 3, 8, 8), generator=rng(), dtype=torch.uint8)
    y = gaussian_like(x, 7, rng())
    assert (y.dtype, y.shape) == (torch.uint8, (7, 3, 8, 8))
    monkeypatch.setattr(gaussian, "ROWS", 10)
    flat = gaussian_like(x, 200, rng()).flatten(1).double()
    assert torch.linalg.matrix_rank(torch.cov(flat.T), rtol=0.05) < 40
