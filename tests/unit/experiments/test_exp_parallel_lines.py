"""Parallel lines: the closed forms, the clipped critic's first weights, and a kappa that does not transfer."""

import itertools
import math

import numpy as np
import ot
import pytest
import scipy.spatial
import scipy.stats
import torch
from torch import nn

from banach.experiments import parallel_lines as lines


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_networks_begin_as_torch_has_them_and_leave_its_own_generator_alone():
    before = torch.get_rng_state()
    network = lines.relu_network(2, rng(3))
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise([2, 100, 100])]
        layers.append(nn.Linear(100, 1))
    mine = [one for one in network if isinstance(one, nn.Linear)]
    for one, other in zip(mine, layers, strict=True):
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.bias, other.bias)


def test_segments_are_moved_along_the_first_axis():
    x, y = lines.segments(-0.5)(1000, rng())
    assert (x[:, 0] == 0).all()
    assert (y[:, 0] == -0.5).all()
    assert 0 <= y[:, 1].min() <= y[:, 1].max() <= 1
    assert abs(float(np.corrcoef(x[:, 1], y[:, 1])[0, 1])) < 0.1  # not coupled


@pytest.mark.parametrize("theta", [0.0, 0.3, -1.0])
def test_divergences_are_those_of_fine_histograms(theta):
    """On bins of which those of the other segment are others, or the same."""
    p = np.array([0.25] * 4 + [0.0] * 4)
    q = p if theta == 0 else p[::-1]
    kl, js, tv = lines.divergences(theta)
    assert js == pytest.approx(scipy.spatial.distance.jensenshannon(p, q) ** 2)
    assert tv == pytest.approx(np.abs(p - q).sum() / 2)
    assert kl == pytest.approx(scipy.stats.entropy(p, q))


def test_a_moved_grid_is_as_far_as_pot_says():
    assert lines.moved_grid(0.75, 20) < 1e-9
    x = np.stack([np.zeros(20), np.linspace(0, 1, 20)], 1)
    assert ot.emd2([], [], ot.dist(x, x + np.array([0.75, 0.0]), "euclidean")) == pytest.approx(0.75)


def test_kappa_is_fitted_by_least_squares():
    gaps, truths = [2.1, 0.1, 4.0], [1.0, 0.0, 2.0]
    assert lines.fitted(gaps, truths) == pytest.approx(np.linalg.lstsq(np.array([truths]).T, gaps, rcond=None)[0][0])
    assert lines.off([1.1, 5.0, 1.8], truths) == pytest.approx(0.1)


def numbers(gaps: list[float], elsewhere: float) -> dict:
    thetas = [-1.0, 0.0, 0.5, 1.0]
    kappa = lines.fitted(gaps, [abs(one) for one in thetas])
    error = lines.off([one / kappa for one in gaps], [abs(one) for one in thetas])
    seed = {"kappa": kappa, "error": error, "elsewhere": {"Cone(2)": elsewhere}, "proved shares": [0.5]}
    return {
        "c = 0.01": [{**seed, "seed": 0}, {**seed, "seed": 1}],
        "estimates": [{"theta": 1.0, "lower": 0.9, "upper": 1.1}],
        "divergences": {f"{theta:g}": lines.divergences(theta) for theta in thetas},
        "error of the certified W1 of a moved grid": 0.0,
    }


def failed(found: dict) -> list[str]:
    return [one.what for one in lines._checks(found["c = 0.01"], found, [0.01]) if not one.holds]


def test_the_rule_holds_for_a_constant_kappa_and_fails_for_others():
    assert failed(numbers([3.0, 0.0, 1.5, 3.0], 0.05)) == []
    assert [one[:40] for one in failed(numbers([3.0, 0.0, 0.7, 3.0], 0.05))] == [
        "c = 0.01: mean error of gap / kappa on E"
    ]
    assert "worst other pair" in failed(numbers([3.0, 0.0, 1.5, 3.0], -0.3))[0]
    found = numbers([3.0, 0.0, 1.5, 3.0], 0.05)
    found["estimates"][0]["upper"] = 0.95
    found["divergences"]["0.5"] = (math.inf, 0.3, 1.0)
    assert len(failed(found)) == 2
