"""The planar sets against the constants of the papers' code, and the roll against scikit-learn's."""

import math

import numpy as np
import pytest
import torch

from banach.data import DATASETS, DataError, load
from banach.data.toys import eight_gaussians, swiss_roll, twenty_five_gaussians

N = 40_000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_eight_gaussians_lie_on_the_circle_with_the_published_noise():
    points = eight_gaussians(N, rng())
    angles = torch.arange(8) * math.pi / 4
    centres = 1.41443 * torch.stack((angles.cos(), angles.sin()), 1)
    distance, cell = torch.cdist(points, centres).min(1)
    assert distance.max() < 0.1
    assert distance.square().mean().div(2).sqrt().item() == pytest.approx(0.02 / 1.414, rel=0.02)
    shares = torch.bincount(cell, minlength=8) / N
    assert ((shares - 1 / 8).abs() < 5 * math.sqrt(7 / 64 / N)).all()


def test_twenty_five_gaussians_have_equal_cells_of_the_published_noise():
    points = twenty_five_gaussians(N, rng())
    steps = torch.arange(-2, 3) * 0.70721
    distance, cell = torch.cdist(points, torch.cartesian_prod(steps, steps)).min(1)
    assert distance.max() < 0.12
    assert distance.square().mean().div(2).sqrt().item() == pytest.approx(0.05 / 2.828, rel=0.02)
    assert torch.bincount(cell).tolist() == [N // 25] * 25
    assert len(set(cell[:25].tolist())) < 25, "the cells come in order: the points were not shuffled"


def test_swiss_roll_has_the_distribution_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    stats = pytest.importorskip("scipy.stats")
    theirs = datasets.make_swiss_roll(N, noise=0.25, random_state=1)[0][:, [0, 2]] / 7.5
    ours = swiss_roll(N, rng()).double().numpy()
    for direction in ((1, 0), (0, 1), (0.6, 0.8), (0.6, -0.8)):
        assert stats.ks_2samp(ours @ direction, theirs @ direction).pvalue > 1e-4
    angle, length = np.arctan2(ours[:, 1], ours[:, 0]), 7.5 * np.hypot(ours[:, 0], ours[:, 1])
    t = angle + 2 * np.pi * np.round((length - angle) / (2 * np.pi))
    assert (length - t).std() == pytest.approx(0.252, rel=0.02), "0.25 across, a little more by the angle's error"
    radius = [((points**2).sum(1) ** 0.5) for points in (ours, theirs)]
    assert stats.ks_2samp(*radius).pvalue > 1e-4
    assert stats.ks_2samp(radius[0] * 1.02, radius[1]).pvalue < 1e-4, "the test would miss a wrong constant"


@pytest.mark.parametrize("make", [eight_gaussians, twenty_five_gaussians, swiss_roll])
def test_the_generator_alone_decides(make):
    torch.manual_seed(1)
    first = make(100, rng(5))
    torch.manual_seed(2)
    assert torch.equal(first, make(100, rng(5)))
    assert not torch.equal(first, make(100, rng(6)))


@pytest.mark.parametrize("name", ["8gaussians", "25gaussians", "swissroll"])
def test_they_are_registered_with_options(name):
    data = load(f"{name}:n=500", holdout=0.2)
    assert (data.kind, data.shape, len(data.train), len(data.held_out)) == ("points", (2,), 400, 100)
    assert data.units.method == "none"
    assert torch.equal(data.batch(torch.arange(400)), data.train)
    assert load(f"{name}(n=500)", holdout=0.2).fingerprint == data.fingerprint
    assert load(f"{name}:n=500", seed=1, holdout=0.2).fingerprint != data.fingerprint
    pinned = [load(f"{name}:n=500,seed=3", seed=seed, holdout=0).train.sort(0).values for seed in (0, 1)]
    assert torch.equal(*pinned)
    assert f"{name}:n=2000" in DATASETS.entry(name).examples


@pytest.mark.parametrize("n", ["1", "2.5", "many"])
def test_a_wrong_number_of_points_is_refused(n):
    with pytest.raises(DataError, match=r"8gaussians: n=.* is not a number of points; write for example 8gaussians:n="):
        load(f"8gaussians:n={n}")
