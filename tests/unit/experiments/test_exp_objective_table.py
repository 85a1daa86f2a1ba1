"""objective-table: the rule on scores that are known."""

import math

import pytest
import torch

from banach.experiments.experiment import FAILS, HOLDS, UNDECIDED, Outcome
from banach.experiments.objective_table import OBJECTIVES, PLAIN, beyond, checks_of
from banach.objectives import conditions, objective

PUBLISHED = {"x": 18.35, "exp(x)": 15.64, "-log sigmoid(-x)": 16.47, "x + sqrt(x^2+1)": 16.03, "max(0, x+1)": 16.52,
             "(x+1)^2": 15.90}  # fmt: skip
"""FID on CIFAR-10 of Table 2, from memory."""


def verdict(**changes):
    means = {**PUBLISHED, **{name.replace("_", " "): value for name, value in changes.items()}}
    fid = {name: [value - 0.1, value, value + 0.1] for name, value in means.items()}
    return Outcome({}, {}, checks_of(fid)).verdict


def test_the_published_table_meets_the_rule():
    assert verdict() == HOLDS


@pytest.mark.parametrize("changes", [{"x": 15.0}, {"(x+1)^2": 15.0}, {"max(0,_x+1)": 15.0}, {"-log_sigmoid(-x)": 18.0},
                                     {"exp(x)": math.inf}])  # fmt: skip
def test_each_part_of_the_rule_can_fail(changes):
    assert verdict(**changes) == FAILS


def test_a_single_seed_decides_nothing_by_itself():
    checks = checks_of({name: [value] for name, value in PUBLISHED.items()})
    assert checks[0].holds is None
    assert Outcome({}, {}, checks).verdict == UNDECIDED


def test_differences_are_taken_by_seed():
    """Seeds that differ by far more than objectives do: unpaired, their interval would hold 0."""
    fid = {name: [value + shift for shift in (0, 50, 100)] for name, value in PUBLISHED.items()}
    found = beyond(fid)
    assert found.high - found.low == pytest.approx(0, abs=1e-9)
    assert found.value == pytest.approx((15.64 + 16.47 + 16.03) / 3 - 18.35)


def test_the_six_objectives_are_the_texts():
    found = {name: objective(spec) for name, spec in OBJECTIVES.items()}
    assert len(found) == 6
    f = torch.linspace(-2, 2, 9, dtype=torch.float64)
    by_hand = {"x": f, "exp(x)": f.exp(), "-log sigmoid(-x)": -torch.log(torch.sigmoid(-f)),
               "x + sqrt(x^2+1)": f + (f**2 + 1).sqrt(), "max(0, x+1)": (f + 1).clamp(min=0),
               "(x+1)^2": (f + 1) ** 2}  # fmt: skip
    for name, one in found.items():
        torch.testing.assert_close(one.phi(f), by_hand[name])
        torch.testing.assert_close(one.varphi(f), by_hand[name].flip(0))  # varphi(x) = phi(-x)
        torch.testing.assert_close(one.psi(f), -f)
    assert conditions(found[PLAIN])["all"]
