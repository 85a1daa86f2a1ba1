import math

import pytest
import torch

from banach import Lp
from banach.constraints import CONSTRAINTS, Clip, Constraint, Free, constraint
from banach.specs import SpecError


def test_clip():
    net = torch.nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.5, -0.5, 0.005], [0.01, -0.01, 0.0]]))
        net.bias.copy_(torch.tensor([math.inf, -0.3]))
    Clip(0.01).prepare(net)
    Clip(0.01).project_(net)
    assert net.weight.flatten().tolist() == pytest.approx([0.01, -0.01, 0.005, 0.01, -0.01, 0])
    assert net.bias.tolist() == pytest.approx([0.01, -0.01])
    assert net.weight.requires_grad
    assert Clip().c == 0.01  # WGAN's
    assert Clip().bound(net, Lp(2)) is None  # Lipschitz, but nobody says how much


def test_free():
    net = torch.nn.Linear(3, 2)
    before = net.weight.clone()
    Free().project_(net)
    assert torch.equal(net.weight, before)
    assert Free().bound(net, Lp(2)) is None


def test_names():
    assert constraint("none") == Free()
    assert constraint("clip") == constraint("Clip(c=0.01)") == constraint("clip:0.01") == Clip()
    assert repr(Clip(0.1)) == "clip(c=0.1)"
    assert repr(Clip()) == "clip()"
    assert repr(Free()) == "none"
    assert constraint(Clip(3)) == Clip(3)


@pytest.mark.parametrize("spec", CONSTRAINTS.examples())
def test_every_example(spec):
    found = constraint(spec)
    assert isinstance(found, Constraint)
    assert constraint(repr(found)) == found


def test_refusals():
    for c in (0, -1, math.inf, math.nan):
        with pytest.raises(SpecError, match="choose a positive number"):
            Clip(c)
    for wrong in ("clips(3)", "wgan-gp", 3):
        with pytest.raises(SpecError, match=r"unknown constraint|is no constraint; for example clip"):
            constraint(wrong)
