"""Lipschitz GANs on objectives: eq. 11, appendix D.1 and Table 1, against formulas by hand and another solver."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from banach import Objective, conditions, objective
from banach.objectives import OBJECTIVES, bounded_below, table_row
from banach.specs import SpecError


@pytest.mark.parametrize(
    ("spec", "missed", "strict"),
    [
        ("wasserstein", set(), False),
        ("exp", set(), True),
        ("logistic", set(), True),
        ("sqrt", set(), True),
        ("hinge", {"phi_increasing", "varphi_decreasing", "all"}, False),
        ("hinge(alpha=0.5)", {"phi_increasing", "varphi_decreasing", "all"}, False),
        ("least_squares", {"phi_increasing", "varphi_decreasing", "all"}, True),
        ("least_squares(a=0, b=1)", {"phi_increasing", "varphi_decreasing", "all"}, True),
    ],
)
def test_which_conditions_hold(spec, missed, strict):
    """Lipschitz GANs, eq. 11: hinge and least squares are not monotone; Wasserstein's optimum is not unique."""
    found = conditions(objective(spec))
    assert {name for name, met in found.items() if not met} - {"strict"} == missed
    assert found["strict"] == strict


def test_conditions_see_what_is_wrong():
    def concave(f):
        return -torch.exp(-f)

    upside_down = Objective(torch.neg, torch.positive)
    assert not conditions(upside_down)["phi_increasing"]
    assert not conditions(upside_down)["varphi_decreasing"]
    assert not conditions(Objective(concave, torch.neg))["phi_convex"]
    assert not conditions(Objective(torch.positive, lambda f: concave(-f)))["varphi_convex"]
    assert not conditions(Objective(torch.positive, lambda f: -2 * f))["balance"]
    assert not conditions(Objective(lambda f: torch.zeros_like(f), torch.neg))["phi_increasing"]
    assert all(conditions(Objective(torch.exp, lambda f: torch.exp(-f))).values())


@pytest.mark.parametrize("spec", ["vanilla", "vanilla_saturating", "relativistic", "exp(psi='varphi')"])
def test_psi_and_pairing_leave_the_conditions(spec):
    assert all(conditions(objective(spec)).values())


PLAIN = [spec for spec in OBJECTIVES.examples() if not objective(spec).own]
RESCALINGS = [(2.0, 0.5, 0.3), (0.5, 3.0, -0.3), (1.0, 1.0, 1.0)]


@pytest.mark.parametrize("spec", PLAIN)
@pytest.mark.parametrize(("inner", "outer", "offset"), RESCALINGS)
def test_rescalings_keep_the_conditions(spec, inner, outer, offset):
    """Appendix D.1. Seen through inner f + offset, [-reach, reach] is kept inside the part's [-20, 20]."""
    before = conditions(objective(spec))
    after = conditions(objective(f"Rescaled({spec}, {inner}, {outer}, {offset})"), reach=(20 - abs(offset)) / inner)
    assert [name for name, met in before.items() if met and not after[name]] == []


PAIRS = [pair for pair in itertools.combinations(PLAIN, 2) if len({objective(spec).paired for spec in pair}) == 1]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_sums_keep_the_conditions(one, other):
    """Appendix D.1, also for parts that balance at different points: the sum balances between them."""
    of = objective(f"Sum(({one}, {other}), (0.3, 2))")
    after, (first, second) = conditions(of), (conditions(objective(spec)) for spec in (one, other))
    assert [name for name in first if first[name] and second[name] and not after[name]] == []
    # Strict convexity and strict monotony are for one part to bring, as long as the other does not spoil them.
    assert after["strict"] == (first["strict"] or second["strict"])


def test_what_is_no_sum_or_rescaling_loses_conditions():
    """Why weights and scales must be positive, and one offset is for both losses."""
    exp, squares = objective("exp"), objective("least_squares")
    minus = Objective(lambda f: exp.phi(f) - 0.1 * squares.phi(f), lambda f: exp.varphi(f) - 0.1 * squares.varphi(f))
    assert not conditions(minus)["phi_convex"]
    turned = Objective(lambda f: exp.phi(-f), lambda f: exp.varphi(-f))
    assert not conditions(turned)["phi_increasing"]
    linear = Objective(lambda f: 2 * f, torch.neg)
    assert not conditions(linear)["balance"]


TABLE_1 = {
    # Lipschitz GANs, Table 1: vanishing, uninformative, unique. Its vanilla GAN is the saturating one.
    ("vanilla_saturating", "none"): (True, True, True),
    ("least_squares(a=0, b=1)", "none"): (False, True, True),
    ("least_squares(a=0, b=1, psi='varphi')", "none"): (False, True, True),
    ("fisher", "none"): (False, True, True),
    ("wasserstein", "bound"): (False, False, False),
    ("exp", "penalty"): (False, False, True),
    ("logistic", "penalty"): (False, False, True),
    ("sqrt", "penalty"): (False, False, True),
    ("vanilla", "penalty"): (False, False, True),
    # Not in the table.
    ("vanilla_saturating", "penalty"): (False, False, True),
    ("vanilla", "none"): (False, True, True),
    ("wasserstein", "none"): (False, True, False),
    ("wasserstein", "penalty"): (False, False, False),
    ("hinge", "none"): (False, True, False),
    ("relativistic", "none"): (False, True, False),
    ("relativistic", "penalty"): (False, False, False),
    ("sobolev", "none"): (False, True, False),
    ("sobolev", "bound"): (False, False, False),
    ("Sum((wasserstein, exp))", "penalty"): (False, False, True),
}


@pytest.mark.parametrize(("spec", "lipschitz"), TABLE_1)
def test_rows_of_table_1(spec, lipschitz):
    row = table_row(objective(spec), lipschitz)
    assert (row.vanishing, row.uninformative, row.unique) == TABLE_1[spec, lipschitz]


def energy(of, f_real, f_fake, weight):
    f = torch.tensor([[f_real], [f_fake]], dtype=torch.float64)
    return float(of.critic_loss(f[0], f[1])) + weight * (f_real - f_fake) ** 2


@pytest.mark.parametrize("spec", OBJECTIVES.examples())
def test_the_optimum_of_two_atoms(spec):
    """No critic found by Nelder and Mead, from several starts, is better than the optimum by more than rounding."""
    of = objective(spec)
    widest = 2.0 if spec == "fisher" else math.inf
    for lipschitz, weight, bound in (("penalty", 1.0, widest), ("bound", 0.0, 1.0)):
        row = table_row(of, lipschitz)
        assert -1e-12 <= row.f_real - row.f_fake <= bound + 1e-9
        found = energy(of, row.f_real, row.f_fake, weight)

        def cost(at, bound=bound, weight=weight):
            gap = float(np.clip(at[1], 0, bound))
            return energy(of, at[0] + gap / 2, at[0] - gap / 2, weight)

        for start in ((0.0, 0.3), (1.0, 0.9), (-0.5, 0.1)):
            other = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13}).fun
            assert found <= other + 1e-9


@pytest.mark.parametrize(
    ("spec", "lipschitz", "f_real", "f_fake", "slope"),
    [
        ("wasserstein", "penalty", 0.25, -0.25, 1.0),  # k = W1 / (2 weight), after Lemma 15
        ("wasserstein", "bound", 0.5, -0.5, 1.0),
        ("wasserstein", "none", math.inf, -math.inf, 1.0),
        ("least_squares", "none", 1.0, -1.0, 1.0),
        ("least_squares", "penalty", 1 / 3, -1 / 3, 1.0),
        ("least_squares(a=0, b=1, psi='varphi')", "none", 1.0, 0.0, 2.0),
        ("least_squares(a=0, b=1, psi='varphi')", "penalty", 2 / 3, 1 / 3, 4 / 3),
        ("hinge(alpha=0.5)", "none", 0.5, -0.5, 1.0),
        ("fisher", "none", 1.0, -1.0, 1.0),
        ("exp(psi='varphi')", "none", math.inf, -math.inf, math.inf),
        ("exp(psi='varphi')", "bound", 0.5, -0.5, math.exp(0.5)),
        ("sqrt(psi='varphi')", "none", math.inf, -math.inf, 2.0),
        ("vanilla", "none", math.inf, -math.inf, 1.0),
        ("vanilla", "bound", 0.5, -0.5, 1 / (1 + math.exp(-0.5))),
        ("vanilla_saturating", "none", math.inf, -math.inf, 0.0),
        ("vanilla_saturating", "bound", 0.5, -0.5, 1 / (1 + math.exp(0.5))),
        ("relativistic", "bound", 0.5, -0.5, 1 / (1 + math.exp(-1))),
        ("relativistic(hinge)", "none", 0.5, -0.5, 1.0),
        ("Rescaled(vanilla_saturating, inner=4)", "none", math.inf, -math.inf, 0.0),
        ("Rescaled(least_squares, offset=0.25)", "none", 0.75, -1.25, 1.0),
    ],
)
def test_optima_in_closed_form(spec, lipschitz, f_real, f_fake, slope):
    row = table_row(objective(spec), lipschitz)
    assert row.f_real == pytest.approx(f_real, abs=1e-8)
    assert row.f_fake == pytest.approx(f_fake, abs=1e-8)
    assert row.slope == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_a_weaker_penalty_allows_a_steeper_critic():
    """k = W1 / (2 weight) for the Wasserstein objective (after Lemma 15)."""
    for weight in (0.01, 0.1, 10.0):
        row = table_row(objective("wasserstein"), "penalty", weight)
        assert row.f_real - row.f_fake == pytest.approx(1 / (2 * weight), rel=1e-8)


def test_gradients_that_vanish_slowly():
    """psi = -phi of sqrt: its slope falls like 1 / f^2 only, and vanishes all the same."""
    sqrt = objective("sqrt")
    assert table_row(Objective(sqrt.phi, sqrt.varphi, lambda f: -sqrt.phi(f))).vanishing is True
    assert table_row(Objective(torch.exp, lambda f: torch.exp(-f), lambda f: torch.zeros_like(f))).vanishing is True


@pytest.mark.parametrize(
    ("of", "lipschitz"),
    [
        (Objective(lambda f: -torch.exp(-f), torch.neg), "none"),  # not convex
        (Objective(torch.positive, lambda f: -2 * f), "penalty"),  # never balanced: f runs off on both atoms
        (Objective(torch.positive, torch.neg, own="elsewhere"), "none"),
    ],
)
def test_no_row_without_an_optimum(of, lipschitz):
    row = table_row(of, lipschitz)
    assert (row.vanishing, row.slope, row.f_real, row.f_fake) == (None, None, None, None)
    assert row.uninformative == (lipschitz == "none")


def test_table_rows_refuse():
    with pytest.raises(SpecError, match="choose none, penalty or bound"):
        table_row(objective("exp"), "soft")


@pytest.mark.parametrize("spec", [one for one in OBJECTIVES.examples() if not objective(one).own])
def test_losses_with_a_lower_bound(spec):
    """Of those that are registered, the linear one alone has none."""
    assert bounded_below(objective(spec)) == (spec != "wasserstein")


def falling(f):
    """-log(1 + |f|) has no lower bound, and falls ever more slowly."""
    return -torch.log1p(f.abs())


@pytest.mark.parametrize(
    ("of", "bounded"),
    [
        (Objective(torch.exp, torch.neg), False),
        (Objective(torch.positive, lambda f: torch.exp(-f)), False),
        (Objective(falling, lambda f: torch.exp(-f)), False),
        (Objective(torch.exp, torch.neg, paired=True), False),
        (Objective(torch.positive, lambda f: torch.exp(-f), paired=True), True),
        (Objective(torch.sigmoid, lambda f: 1e4 * (f - 0.3).square() - 5), True),
        (Objective(lambda f: 1 / (1 + f.abs()), lambda f: 0.01 * f.abs() - 3), True),
        (objective("relativistic(wasserstein)"), False),
        (objective("Sum((exp, wasserstein), (1, 0.001))"), False),
        (objective("Sum((least_squares, wasserstein), (1, 100))"), True),
    ],
)
def test_which_losses_can_fall_for_ever(of, bounded):
    """Slowly or steeply, on fakes or on reals: e^f + 0.001 f falls with f; (f + 1)^2 + 100 f does not."""
    assert bounded_below(of) == bounded
