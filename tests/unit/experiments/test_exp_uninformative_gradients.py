"""uninformative-gradients: the optimum from densities against closed forms, and the measures of direction."""

import math

import pytest
import torch

from banach.experiments import uninformative_gradients as experiment
from banach.experiments.plane_pairs import (
    DEVIATION,
    FAKE_MEAN,
    apart_densities,
    gaussian_densities,
    square_densities,
    squares_apart,
    squares_shared,
)


def test_the_optimum_is_the_closed_form():
    real, fake = torch.rand(2, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.01
    least = experiment.optimum("least_squares", real, fake)
    assert torch.allclose(least, (real - fake) / (real + fake), atol=1e-12)
    assert torch.allclose(experiment.optimum("vanilla", real, fake), (real / fake).log(), atol=1e-10)
    fisher = experiment.optimum("fisher", real, fake)
    assert torch.allclose(fisher, 2 * least, atol=1e-12)


def test_where_there_are_no_reals_vanilla_has_no_bound():
    found = experiment.optimum("vanilla", torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    assert found.item() == -40


def test_its_gradient_on_gaussians_against_differentiation():
    x = torch.tensor([[-0.7, 0.1], [-0.9, -0.2], [-1.0, 0.0]], dtype=torch.float64)
    y = x.clone().requires_grad_()
    real, fake = gaussian_densities(y)
    (u,) = torch.autograd.grad((real / fake).log().sum(), y)
    assert torch.allclose(experiment.optimal_gradient("vanilla", "Gaussians", x), u, atol=1e-4)
    assert (u[:, 0] < 0).all()  # to the near Gaussian


@pytest.mark.parametrize("case", experiment.FLAT)
def test_inside_the_squares_there_is_no_gradient(case):
    _, fake = experiment.CASES[case](100, torch.Generator().manual_seed(0))
    inside = experiment._inside(case, fake)
    assert len(inside) > 50
    for spec in experiment.FREE:
        assert experiment.optimal_gradient(spec, case, inside).norm(dim=1).max() <= 1e-9
    # At the edge there is one: a difference over it has the size of the jump.
    edge = torch.tensor([[-0.5, 0.0]])
    assert experiment.optimal_gradient("least_squares", "shared", edge.double() + 1e-9, 1e-3)[0].norm() > 100


def test_the_densities_are_those_of_the_samples():
    side = (torch.arange(400) + 0.5) / 100 - 2
    grid = torch.cartesian_prod(side, side)
    for densities, mass in ((square_densities, (1, 1)), (apart_densities, (1, 0.8)), (gaussian_densities, (1, 1))):
        sums = [float(one.sum()) / 1e4 for one in densities(grid)]
        assert sums == pytest.approx(mass, abs=2e-3)
    real, fake = squares_shared(1000, torch.Generator().manual_seed(0))
    assert (real[:, 0] > 0).sum() == 800
    assert (fake[:, 0] > 0).sum() == 200
    _, fake = squares_apart(1000, torch.Generator().manual_seed(0))
    edge = (fake - torch.tensor([-1.0, 0.0])).abs().amax(1) == 0.5
    assert edge.sum() == 200
    assert len(fake[edge].unique(dim=0)) == 16
    at_mean = gaussian_densities(torch.tensor([FAKE_MEAN]))[1]
    assert float(at_mean) == pytest.approx(1 / (2 * math.pi * DEVIATION**2))


def test_fishers_loss_is_the_normed_gap_of_each_network():
    real, fake = torch.randn(2, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = experiment._loss("fisher", real, fake, 2)
    each = [
        (r.mean() - f.mean()) / ((r.square().mean() + f.square().mean()) / 2).sqrt()
        for r, f in zip(real.view(2, 5), fake.view(2, 5), strict=True)
    ]
    assert torch.allclose(found, -sum(each) / 2)
    assert torch.allclose(experiment._loss("fisher", 7 * real, 7 * fake, 2), found)  # f's size does not matter


def directions(*rows):
    return {"seeds": [{"directions": [list(row)]} for row in rows]}


def test_the_mean_direction():
    assert experiment._agreed({"a": directions((1.0, 0.0)), "b": directions((1.0, 0.0))}) == 1
    assert experiment._agreed({"a": directions((1.0, 0.0), (-1.0, 0.0))}) == 0
    assert experiment._agreed({"a": directions((1.0, 0.0), (0.0, 1.0))}) == pytest.approx(0.5**0.5)


def test_only_fakes_that_the_plan_moves_are_judged():
    u = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    wanted = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert experiment._judged(u, wanted, torch.tensor([True, False]))["cosine"] == 1
    both = experiment._judged(u, wanted, torch.tensor([True, True]))
    assert (both["cosine"], both["share"]) == (0.5, 0.5)
