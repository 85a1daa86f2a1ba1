"""Counting modes: the grid against gan_toy.py's, shares against their closed forms, and generators that collapse."""

import math

import numpy as np
import pytest
import torch

from banach.data.toys import twenty_five_gaussians
from banach.experiments import stacked_digits as of
from banach.experiments.modes import Grid


def test_the_grid_of_five_is_that_of_the_25_gaussians():
    grid = Grid(5)
    theirs = twenty_five_gaussians(5000, torch.Generator().manual_seed(0))
    far = torch.cdist(theirs, grid.centres()).min(1).values
    assert grid.unit == pytest.approx(2.828, abs=1e-3)
    assert far.square().mean().div(2).sqrt().item() == pytest.approx(grid.deviation, rel=0.05)
    assert Grid(10).points(4000, 0).std(0).tolist() == pytest.approx([1.0, 1.0], abs=0.02)


def test_true_samples_cover_all_modes_and_lie_within_three_deviations():
    grid = Grid(10)
    found = grid.counted(grid.points(10_000, 1))
    assert (found["covered"], found["reached"]) == (100, 100)
    assert found["within"] == pytest.approx(1 - math.exp(-4.5), abs=0.005)  # Rayleigh: P(r <= 3) = 1 - exp(-9/2)


def test_a_generator_that_collapsed_is_seen():
    grid = Grid(5)
    one = grid.centres()[7].expand(2500, 2)
    assert grid.counted(one) == {"covered": 1.0, "within": 1.0, "reached": 1.0}
    smeared = 6 * torch.rand(2500, 2, generator=torch.Generator().manual_seed(0)) - 3
    found = grid.counted(smeared)
    assert found["within"] < 0.03
    assert found["reached"] == 25


def test_the_classifier_knows_the_digits_that_it_has_not_seen():
    assert of.digits().accuracy > 0.97
    pictures = of.stacks(300, seed=5)
    rows = np.random.default_rng(5).integers(len(of.digits().images), size=(300, 3))
    labels = of.digits().labels[rows] @ (100, 10, 1)
    assert (of.classes(pictures) == labels).mean() > 0.9
    assert torch.equal(of.to_pictures(pictures / 127.5 - 1), pictures)


def test_counts_of_stacks_have_their_closed_forms():
    assert of.counted(np.arange(1000)) == {"covered": 1000.0, "kl": pytest.approx(0.0, abs=1e-9)}
    assert of.counted(np.zeros(50, dtype=int)) == {"covered": 1.0, "kl": pytest.approx(math.log(1000))}
    drawn = np.random.default_rng(0).integers(1000, size=(200, 1500))
    assert np.mean([of.counted(one)["covered"] for one in drawn]) == pytest.approx(of.expected(1500), rel=0.005)


def test_real_stacks_are_as_many_as_expected():
    assert of.counted(of.classes(of.stacks(2000, seed=1)))["covered"] == pytest.approx(of.expected(2000), rel=0.05)
