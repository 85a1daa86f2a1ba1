import math

import pytest
import torch
from torch import nn

from banach import Lp
from banach.constraints import CONSTRAINTS, Clip, Constraint, Free, Orthogonal, SpectralNorm, constraint
from banach.models import build_critic, lipschitz_bound
from banach.specs import SpecError


def test_clip():
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.5, -0.5, 0.005], [0.01, -0.01, 0.0]]))
        net.bias.copy_(torch.tensor([math.inf, -0.3]))
    Clip(0.01).project_(net)
    assert net.weight.flatten().tolist() == pytest.approx([0.01, -0.01, 0.005, 0.01, -0.01, 0])
    assert net.bias.tolist() == pytest.approx([0.01, -0.01])
    assert net.weight.requires_grad
    assert Clip().c == 0.01  # WGAN's


def test_clip_holds_before_the_first_step():
    critic = build_critic("mlp", (2,), width=4, rng=torch.Generator().manual_seed(0))
    Clip(0.01).prepare(critic)
    assert max(float(one.detach().abs().max()) for one in critic.parameters()) == pytest.approx(0.01)


def test_clip_proves_the_product_of_row_sums_in_sup():
    critic = build_critic("mlp", (5,), width=4, rng=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for one in critic.parameters():
            one.fill_(1.0)
    Clip(0.01).project_(critic)
    # Every row is full of c: by L-inf (5c)(4c)(4c)(4c), by L2 sqrt(20)c 4c 4c 2c; the first layer measured in its dual.
    c = float(torch.tensor(0.01))
    assert Clip(0.01).bound(critic, Lp(math.inf)) == pytest.approx(5 * 4**3 * c**4, rel=1e-7)
    assert Clip(0.01).bound(critic, Lp(1)) == pytest.approx(4**3 * c**4, rel=1e-7)
    assert Clip(0.01).bound(critic, Lp(2)) == pytest.approx(5**0.5 * 4**3 * c**4, rel=1e-7)


def test_papers_constants():
    assert dict(Clip().recommended) == {"optimizer": "rmsprop", "lr": 5e-5, "n_critic": 5, "first_steps": 100}
    assert SpectralNorm().recommended["objective"] == "hinge"
    assert dict(Free().recommended) == {}


def test_free():
    net = nn.Linear(3, 1)
    before = net.weight.clone()
    Free().prepare(net)
    Free().project_(net)
    assert torch.equal(net.weight, before)
    assert Free().bound(net, Lp(2)) == lipschitz_bound(net, Lp(2))


def test_names():
    assert constraint("none") == Free()
    assert constraint("clip") == constraint("Clip(c=0.01)") == constraint("clip:0.01") == Clip()
    assert constraint("spectral-norm") == constraint("spectral_norm") == SpectralNorm(1)
    assert constraint("orthogonal(map='householder', group=0)") == Orthogonal("householder", 0)
    assert repr(Clip(0.1)) == "clip(c=0.1)"
    assert repr(Clip()) == "clip()"
    assert repr(SpectralNorm(3)) == "spectral_norm(steps=3)"
    assert repr(Orthogonal(group=4)) == "orthogonal(group=4)"
    assert repr(Free()) == "none"
    assert constraint(Clip(3)) == Clip(3)


@pytest.mark.parametrize("spec", CONSTRAINTS.examples())
def test_every_example(spec):
    found = constraint(spec)
    assert isinstance(found, Constraint)
    assert constraint(repr(found)) == found


def test_every_entry_names_its_source():
    for entry in CONSTRAINTS.entries():
        assert entry.source, entry.name
        assert entry.source.paper, entry.name


def test_refusals():
    for c in (0, -1, math.inf, math.nan):
        with pytest.raises(SpecError, match="choose a positive number"):
            Clip(c)
    for wrong in ("clips(3)", "wgan-gp", 3):
        with pytest.raises(SpecError, match=r"unknown constraint|is no constraint; for example clip"):
            constraint(wrong)
    for steps in (0, -1, 1.5):
        with pytest.raises(SpecError, match="whole number from 1 on"):
            SpectralNorm(steps)
    for group in (1, -2, 0.5):
        with pytest.raises(SpecError, match="choose 2 or more features"):
            Orthogonal(group=group)
    with pytest.raises(SpecError, match="'cayley' or 'householder'"):
        constraint("orthogonal(map='qr')")
