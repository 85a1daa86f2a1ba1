"""The Gaussian with the data's mean and covariance: what a generator has to beat to have learned more than these."""

import torch
from torch import Tensor

from banach.data.rows import Samples, taken

ROWS = 2048
"""Samples at most whose mean and covariance are taken: the cost stays bounded, whatever the shape."""


def gaussian_like(train: Samples, n: int, rng: torch.Generator) -> Tensor:
    """n samples of the Gaussian with the mean and the covariance of (at most `ROWS` of) `train`, in its shape and type.

    For uint8 they are rounded and clamped. They are combinations of the samples, so no (d, d) matrix is made.

    >>> x = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> y = gaussian_like(x, 1000, torch.Generator().manual_seed(0))
    >>> torch.allclose(y[:, 1] - y[:, 0], torch.ones(1000), atol=1e-5)
    True
    """
    part = taken(train, torch.randperm(len(train), generator=rng)[:ROWS])[:].cpu().flatten(1).float()
    mean = part.double().mean(0).float()
    noise = torch.randn(n, len(part), generator=rng)
    found = torch.addmm(mean, noise, part - mean, alpha=(max(1, len(part) - 1)) ** -0.5).view(n, *train.shape[1:])
    return found.round_().clamp_(0, 255).byte() if train.dtype == torch.uint8 else found
