"""ReLU and LeakyReLU: PyTorch's numbers to the bit, without the pass of zeros, and in every transform of functions."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

from banach.convolution import of_inputs_only
from banach.models import build_critic
from banach.models.activations import LeakyReLU, ReLU

KINDS = {"relu": (ReLU, nn.ReLU), "leaky": (lambda **of: LeakyReLU(0.2, **of), lambda **of: nn.LeakyReLU(0.2, **of))}

NEW_IN_TORCH = pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")
"""Forward-mode derivatives of torch use what torch itself is giving up."""


def network(kind, inplace):
    torch.manual_seed(0)
    parts = nn.Linear(3, 5), kind(inplace=inplace), nn.Linear(5, 4), kind(inplace=inplace), nn.Linear(4, 1)
    return nn.Sequential(*parts, nn.Flatten(0)).double()


def points():
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


@pytest.fixture(params=[(name, inplace) for name in KINDS for inplace in (False, True)], ids=str)
def pair(request):
    name, inplace = request.param
    return tuple(network(kind, inplace) for kind in KINDS[name])


def of_each(pair, function):
    return [function(one) for one in pair]


def penalty(critic, x):
    scores = critic(x).sum()
    with of_inputs_only():
        (slope,) = torch.autograd.grad(scores, x, create_graph=True)
    return (slope.norm(dim=1) - 1).square().mean()


def test_scores_and_gradients_are_pytorchs_to_the_bit(pair):
    x = points()
    mine, theirs = of_each(pair, lambda one: [one(x), *torch.autograd.grad(one(x).square().sum(), one.parameters())])
    assert all(torch.equal(one, two) for one, two in zip(mine, theirs, strict=True))


def test_penalties_gradients_are_pytorchs_to_the_bit_and_nothing_where_they_are_zero(pair):
    x = points()
    mine, theirs = of_each(pair, lambda one: torch.autograd.grad(penalty(one, x), one.parameters(), allow_unused=True))
    for one, two in zip(mine, theirs, strict=True):
        if one is None:
            assert two is None or not two.any()  # a bias
        else:
            assert torch.equal(one, two)
    assert sum(one is not None for one in mine) == 3


def test_derivatives_by_finite_differences(pair):
    mine, _ = pair
    assert torch.autograd.gradcheck(mine, points())
    assert torch.autograd.gradgradcheck(lambda x: mine(x).square(), points())


@NEW_IN_TORCH
@pytest.mark.parametrize("transform", ["vmap", "vmap of grad", "jacrev", "hessian", "jvp", "flat"])
def test_every_transform_of_functions(pair, transform):
    x = points().detach()

    def one_sample(network):
        return lambda z: network(z[None])[0]

    results = {
        "vmap": lambda one: torch.func.vmap(one_sample(one))(x),
        "vmap of grad": lambda one: torch.func.vmap(torch.func.grad(one_sample(one)))(x),
        "jacrev": lambda one: torch.func.jacrev(one)(x),
        "hessian": lambda one: torch.func.hessian(lambda z: one(z).square().sum())(x),
        "flat": lambda one: torch.func.hessian(lambda z: one(z).sum())(x),
        "jvp": lambda one: torch.func.jvp(one, (x,), (2 * x + 1,))[1],
    }
    torch.testing.assert_close(*of_each(pair, results[transform]), rtol=1e-13, atol=1e-13)


@NEW_IN_TORCH
def test_forward_mode(pair):
    x = points()

    def slope(network):
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(network(forward_ad.make_dual(x, torch.ones_like(x)))).tangent

    torch.testing.assert_close(*of_each(pair, slope))


class Products(TorchDispatchMode):
    """Counts convolutions and matrix products, forward and backward."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in ("convolution", "mm", "addmm"):
            self.calls += 1
        if name == "convolution_backward":
            self.calls += sum(args[-1][:2])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("model", ["resnet", "dcgan4", "mlp"])
def test_the_penaltys_gradient_does_not_pass_through_the_scores(monkeypatch, model):
    """Each product with a weight comes four times: in the score, in its slope, and in the slope's two derivatives; a
    pass of zeros would add two for each, but for the first layers' in the picture."""
    critic = build_critic(model, (3, 32, 32), width=4, rng=torch.Generator().manual_seed(0))
    layers = sum(one.dim() > 1 for one in critic.parameters())
    x = torch.randn(2, 3, 32, 32).requires_grad_()
    with Products() as lean:
        penalty(critic, x).backward()
    assert lean.calls <= 4 * layers
    plain = copy.deepcopy(critic)
    monkeypatch.setattr(ReLU, "forward", nn.ReLU.forward)
    monkeypatch.setattr(LeakyReLU, "forward", nn.LeakyReLU.forward)
    with Products() as wasteful:
        penalty(plain, x).backward()
    assert wasteful.calls >= 5 * layers


def test_compiled_as_one_graph_and_with_a_negative_slope_they_are_torchs():
    x = points()
    network = nn.Sequential(nn.Linear(3, 5), ReLU(inplace=True), nn.Linear(5, 1), LeakyReLU(0.2)).double()
    torch.testing.assert_close(torch.compile(network, backend="eager", fullgraph=True)(x), network(x))
    mine, theirs = (torch.autograd.grad(one(x).sum(), x)[0] for one in (LeakyReLU(-0.1), nn.LeakyReLU(-0.1)))
    assert torch.equal(mine, theirs)
