"""The gradient of the penalty in bfloat16 is near that in float64, and the benchmark sees where one is not."""

import pytest
import torch

from banach import Space, space
from banach.models import build_critic
from benchmarks import precision


@pytest.mark.parametrize("spec", ["Lp(2)", "Lp(4)", "Sobolev(s=-1)"])
def test_the_penaltys_gradient_in_bfloat16(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    critic = build_critic("resnet", (1, 16, 16), width=16, rng=rng)
    real, fake = torch.rand(2, 64, 1, 16, 16, generator=rng) * 2 - 1
    norm = space(spec)
    assert isinstance(norm, Space)
    found = precision.error(critic, real, fake, norm, 8.0, 0)
    assert 1e-4 < found < precision.limit(spec)
    monkeypatch.setattr(precision, "forward_of", lambda network, kind: lambda x: 1.05 * network(x))
    assert precision.error(critic, real, fake, norm, 8.0, 0) > precision.limit(spec)


@pytest.mark.parametrize("spec", ["Lp(1)", "Lp(1.1)", "Sobolev(s=1, p=1)", "Intersection(2, Lp(2), Lp(1))"])
def test_where_few_entries_rule_the_dual_norm_the_penalty_is_in_single_precision(spec: str) -> None:
    rng = torch.Generator().manual_seed(0)
    critic = build_critic("resnet", (1, 16, 16), width=16, rng=rng)
    real, fake = torch.rand(2, 16, 1, 16, 16, generator=rng) * 2 - 1
    norm = space(spec)
    assert isinstance(norm, Space)
    assert precision.error(critic, real, fake, norm, 8.0, 0) < precision.limit(spec)


def test_the_limit_is_wider_where_one_entry_is_the_norm() -> None:
    assert precision.limit("Lp(1)") == 5e-2
    assert precision.limit("Lp(1.5)") == precision.limit("Lp(2)") == 2e-2
