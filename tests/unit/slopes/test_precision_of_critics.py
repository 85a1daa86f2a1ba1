"""Which norms bear half precision, and how exact a penalty's gradient is in those that do not."""

from copy import deepcopy

import pytest
import torch

from banach import penalty
from banach.game import measured
from banach.models import build_critic
from banach.slopes import Critic, Evaluation, critic_for_penalty, evaluation_of
from banach.spaces import space

PLAIN = ["Lp(2)", "Sobolev(s=-1)", "Sobolev(s=1)", "Sobolev(s=-0.5)"]
HALF_DERIVATIVES = [
    "Lp(1.5)", "Lp(4)", "Lp(inf)", "Sobolev(s=-1.5)", "Sobolev(s=2)", "Sobolev(s=-1, p=4)",
]  # fmt: skip
FULL = ["Lp(1)", "TotalVariation(0.1)", "Lp(1.4)", "Sobolev(s=1, p=1)", "Product(2, (Lp(2), Lp(1)), (1, 2))"]


def critic(width: int = 8) -> torch.nn.Module:
    return build_critic("resnet", (3, 16, 16), width=width, rng=torch.Generator().manual_seed(0))


def half(network: torch.nn.Module) -> Evaluation:
    return Evaluation(network, network, torch.bfloat16)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [(spec, kind) for kind, specs in enumerate((PLAIN, HALF_DERIVATIVES, FULL)) for spec in specs],
)
def test_the_norm_says_what_of_a_critic_is_in_half_precision(spec: str, kind: int) -> None:
    lowered = half(critic())
    seen = critic_for_penalty(lowered, space(spec))
    assert (seen is lowered) == (kind == 0)
    assert (seen == lowered.half_derivatives) == (kind == 1)
    assert (seen == evaluation_of(lowered.function)) == (kind == 2)
    for plain in (lowered.function, evaluation_of(lowered.function)):
        assert critic_for_penalty(plain, space(spec)) is plain


def test_a_penalty_on_values_leaves_the_critic_as_it_is() -> None:
    f = half(critic()).scaled(2.0)
    norm = space("Lp(1)")
    assert measured(f, penalty("pagan"), norm) is f
    assert measured(f, penalty("wgan-gp"), norm) == evaluation_of(f.function).scaled(2.0)


def gradient(f: Critic, network: torch.nn.Module, spec: str, x: torch.Tensor) -> torch.Tensor:
    kind = penalty("wgan-gp")
    a = torch.linspace(0, 1, len(x), dtype=x.dtype)
    cost = kind.cost(evaluation_of(f).scaled(20.0), x, x.flip(0) * 0.5, space(spec), (a,), {}).value
    found = torch.autograd.grad(cost, list(network.parameters()), allow_unused=True)
    return torch.cat([one.flatten().double() for one in found if one is not None])


@pytest.mark.parametrize("spec", ["Lp(4)", "Lp(inf)", "Sobolev(s=-2, p=4)"])
def test_activations_that_open_as_in_single_precision_make_the_penaltys_gradient_exact(spec: str) -> None:
    network = critic(32)
    x = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    lowered, double = half(network), deepcopy(network).double()
    exact = gradient(double, double, spec, x.double())
    errors = [
        (gradient(one, network, spec, x) - exact).norm() / exact.norm() for one in (lowered, lowered.half_derivatives)
    ]
    assert 1e-4 < errors[1] < 1.5e-2
    assert errors[1] < 0.6 * errors[0]


def test_scores_with_half_derivatives_are_those_of_single_precision() -> None:
    network = critic()
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
    lowered = half(network)
    scores = lowered.half_derivatives(x)
    assert torch.equal(scores, network(x))
    assert not torch.equal(lowered(x), scores)
    (slope,) = torch.autograd.grad(scores.sum(), x)
    (exact,) = torch.autograd.grad(network(x).sum(), x)
    assert slope.dtype == torch.float32
    assert 1e-4 < (slope - exact).norm() / exact.norm() < 1e-2


def test_one_scale_and_one_network_whatever_the_precision() -> None:
    network = critic()
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    f = half(network).scaled(4.0)
    assert f.network is f.full_precision.network is f.half_derivatives.network is network
    assert torch.equal(f.full_precision(x), network(x) / 4.0)
    assert torch.equal(f.half_derivatives(x), network(x) / 4.0)
    assert evaluation_of(f) is f
    assert evaluation_of(lambda x: x).network is None
