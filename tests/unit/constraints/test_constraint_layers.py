"""Spectral normalisation and orthogonal layers against singular values by numpy."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from banach import Lp
from banach.constraints import Orthogonal, SpectralNorm
from banach.models import build_critic
from banach.models.lipschitz import GroupSort


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def critic_of(name="mlp", shape=(6,), width=8, seed=0):
    return build_critic(name, shape, width=width, rng=rng(seed))


def matrices(critic):
    """The weights that the critic computes with, as matrices (out, in * k)."""
    found = []
    for one in critic.modules():
        weight = getattr(one, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim > 1:
            found.append(weight.detach().double().flatten(1).numpy())
    return found


def trained(critic, shape=(6,), steps=20, lr=3e-3):
    x = torch.randn(32, *shape, generator=rng(1))
    optimizer = torch.optim.Adam(critic.parameters(), lr, betas=(0.0, 0.9), fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        (critic(x).mean() - critic(x + 1).mean()).backward()
        optimizer.step()
    return critic


def test_spectral_norm_converges_to_norm_one_and_the_bound_to_the_product():
    critic = critic_of()
    SpectralNorm(5).prepare(critic)
    x = torch.randn(4, 6, generator=rng())
    for _ in range(200):
        critic(x)
    norms = [np.linalg.norm(one, 2) for one in matrices(critic.eval())]
    assert norms == pytest.approx([1] * 4, abs=1e-4)
    assert SpectralNorm().bound(critic, Lp(2)) == pytest.approx(1, abs=1e-3)


def test_after_a_step_the_layers_are_not_of_norm_one_and_the_bound_says_so():
    critic = critic_of()
    SpectralNorm().prepare(critic)
    trained(critic, lr=0.1, steps=3)
    bound = SpectralNorm().bound(critic, Lp(2))
    norms = [np.linalg.norm(one, 2) for one in matrices(copy.deepcopy(critic).eval())]
    assert max(norms) > 1 + 1e-3  # so a claim of 1 would be false
    assert bound == pytest.approx(np.prod(norms), rel=1e-6)


def test_a_bound_does_not_iterate_and_leaves_the_modes_alone():
    critic = critic_of()
    SpectralNorm().prepare(critic)
    critic.train()
    critic.score.eval()
    before = {key: value.clone() for key, value in critic.state_dict().items()}
    first = SpectralNorm().bound(critic, Lp(2))
    assert SpectralNorm().bound(critic, Lp(2)) == first
    assert all(torch.equal(value, before[key]) for key, value in critic.state_dict().items())
    assert critic.hidden.training
    assert not critic.score.training


def test_the_first_vectors_are_the_same_in_every_run_and_nothing_is_drawn():
    state = torch.get_rng_state()
    one, two = critic_of(), critic_of()
    SpectralNorm().prepare(one)
    torch.rand(3)
    torch.set_rng_state(state)
    SpectralNorm().prepare(two)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, two.state_dict()[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("map", ["cayley", "householder"])
@pytest.mark.parametrize("shape", [(6,), (20,)])
def test_orthogonal_layers_stay_so_through_training(map, shape):
    critic = critic_of(shape=shape)
    Orthogonal(map).prepare(critic)
    trained(critic, shape)
    for one in matrices(critic):
        values = np.linalg.svd(one, compute_uv=False)
        assert values == pytest.approx(np.ones(len(values)), abs=2e-6)
    assert Orthogonal(map).bound(critic, Lp(2)) == pytest.approx(1, abs=1e-5)


def test_orthogonal_replaces_the_activations_and_loses_no_slope():
    critic = critic_of(shape=(6,))
    Orthogonal(group=0).prepare(critic)
    kinds = [type(one) for one in critic.hidden]
    assert kinds.count(GroupSort) == 3
    assert nn.ReLU not in kinds
    x = torch.randn(16, 6, generator=rng()).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x)
    # The last row has length 1, the square layers and sorting keep it; the first (8, 6) has orthonormal columns.
    assert (slope.norm(dim=1) <= 1 + 1e-5).all()
    square = build_critic("mlp", (8,), width=8, rng=rng())
    Orthogonal().prepare(square)
    x = torch.randn(16, 8, generator=rng()).requires_grad_()
    (slope,) = torch.autograd.grad(square(x).sum(), x)
    assert slope.norm(dim=1).tolist() == pytest.approx([1.0] * 16, abs=1e-5)


@pytest.mark.parametrize(("name", "shape"), [("dcgan4", (2, 8, 8)), ("dcgan", (2, 8, 8)), ("resnet", (2, 12, 12))])
def test_orthogonal_convolutions_are_one_lipschitz_by_themselves(name, shape):
    critic = critic_of(name, shape, width=3)
    Orthogonal().prepare(critic)
    assert not any(isinstance(one, nn.ReLU | nn.LeakyReLU) for one in critic.modules())
    seen = 0
    for one in critic.modules():
        if type(one).__name__ in ("ParametrizedConv", "ParametrizedConvThenPool", "ParametrizedStridedConv"):
            channels = one.weight.shape[1]
            x = torch.eye(channels * 36).view(-1, channels, 6, 6)
            with torch.no_grad():
                columns = (one(x) - one(torch.zeros_like(x))).flatten(1).double().numpy()
            assert np.linalg.norm(columns, 2) <= 1 + 1e-5
            seen += 1
    assert seen


@pytest.mark.parametrize("of", [SpectralNorm(), Orthogonal(), Orthogonal("householder")])
def test_states_and_copies(of):
    one, two = critic_of(), critic_of(seed=1)
    of.prepare(one)
    of.prepare(two)
    trained(one)
    two.load_state_dict(one.state_dict())
    twin = copy.deepcopy(one)
    x = torch.randn(4, 6, generator=rng())
    for critic in (one, two, twin):
        critic.eval()
    assert torch.equal(one(x), two(x))
    assert torch.equal(one(x), twin(x))


def test_preparing_twice_is_preparing_once():
    critic = critic_of()
    Orthogonal().prepare(critic)
    weights = len(list(critic.parameters()))
    Orthogonal().prepare(critic)
    SpectralNorm().prepare(critic)
    assert len(list(critic.parameters())) == weights


@pytest.mark.parametrize("of", [SpectralNorm(), Orthogonal()])
def test_gradient_penalties_differentiate_twice(of):
    critic = critic_of()
    of.prepare(critic)
    critic.eval()
    x = torch.randn(5, 6, generator=rng()).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    (slope.norm(dim=1) - 2).square().mean().backward()
    trains = [one.grad is not None and bool(one.grad.isfinite().all()) for one in critic.parameters() if one.ndim > 1]
    assert trains
    assert all(trains)
