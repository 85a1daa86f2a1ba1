"""Gradients at pictures: exact critics point at reals, the network in the span has the slopes of pixels."""

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from banach.errors import BanachError
from banach.experiments import image_gradients as images
from banach.experiments.critic_fit import Fit
from banach.slopes import gradient


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(10, 1, 6, 6, generator=rng(1)), 2 * torch.rand(10, 1, 6, 6, generator=rng(2)) - 1


def test_a_cone_around_a_real_points_at_it_and_its_opposite_does_not():
    real, fake = pair()
    slopes = gradient(lambda x: -(x - real[3]).flatten(1).norm(dim=1), fake)
    found = images.directions(slopes, real, fake)
    assert min(found["cosine"]) == pytest.approx(1, abs=1e-5)
    assert set(found["real"]) == {3}
    assert max(found["to their mean"]) < 0.999
    assert [one.holds for one in images._checks([found])] == [True, True]
    away = images.directions(-slopes, real, fake)
    assert images._checks([away])[0].holds is False
    middle = images.directions(real.mean(0) - fake, real, fake)
    assert [one.holds for one in images._checks([middle])] == [False, False]


def test_the_network_is_joined_to_its_input():
    network = images.DenselyConnected(3, 2, 4, rng())
    x = torch.randn(5, 3, generator=rng(1))
    first, second, last = (one.detach() * (2 / one.shape[1]) ** 0.5 for one in network.weights)
    y = torch.cat([x, F.relu(x @ first.T)], 1)
    y = torch.cat([y, F.relu(y @ second.T)], 1)
    assert torch.allclose(network(x), (y @ last.T)[:, 0], atol=1e-6)


def test_slopes_in_the_span_are_those_of_pixels():
    real, fake = pair()
    points = torch.cat([real, fake])
    critic = images.InSpan(points, functools.partial(images.DenselyConnected, layers=2, width=8, rng=rng()))
    assert critic.frame.shape == (19, 36)
    slopes = gradient(critic, fake)
    flat = slopes.flatten(1)
    assert torch.allclose(flat @ critic.frame.T @ critic.frame, flat, atol=1e-5)  # nothing outside of the span
    along = F.normalize(flat[0], dim=0).view(1, 1, 6, 6)
    step = (critic(fake[:1] + 1e-3 * along) - critic(fake[:1] - 1e-3 * along)) / 2e-3
    assert float(step.detach()) == pytest.approx(float(flat[0].norm()), rel=1e-2)
    inside = (points.flatten(1) - critic.centre) @ critic.frame.T
    assert torch.allclose(torch.cdist(inside, inside), torch.cdist(points.flatten(1), points.flatten(1)), atol=1e-4)


def test_the_sixth_step_of_a_row_is_the_real_picture():
    real, fake = pair()
    row = images.row_of(fake[0], 0.01 * (real[4] - fake[0]), real[4])
    assert row.shape == (12, 1, 6, 6)
    assert torch.allclose(row[7], real[4], atol=1e-5)
    assert torch.equal(row[0], fake[0])


def test_training_turns_gradients_towards_reals():
    real, fake = pair()
    before = images.solved(real, (2, 16), Fit(1, 1e-3, betas=(0.0, 0.9)), False, 0)
    after = images.solved(real, (2, 16), Fit(120, 5e-3, betas=(0.0, 0.9)), False, 0)
    assert np.mean(after["cosine"]) > np.mean(before["cosine"]) + 0.1
    assert max(after["bounded"]) <= 1.05
    assert len(after["gradients"]) == len(fake)


def test_bundled_pictures_are_one_of_each_class():
    real, name = images.real_pictures(None)
    assert real.shape[0] == 10
    assert -1 <= float(real.min()) < float(real.max()) <= 1
    assert "fashion" in name or "CIFAR-10" in name


def test_own_pictures(tmp_path):
    for at in range(12):
        pixels = np.random.default_rng(at % 11).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{at}.png")
    real, _ = images.real_pictures(str(tmp_path))
    assert real.shape == (10, 3, 32, 32)
    assert torch.cdist(real.flatten(1), real.flatten(1)).fill_diagonal_(1).min() > 0
    for at in range(4, 12):
        (tmp_path / f"{at}.png").unlink()
    with pytest.raises(BanachError, match="holds 4 different pictures"):
        images.real_pictures(str(tmp_path))
