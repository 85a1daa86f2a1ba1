"""Asymmetric and growing penalties: what counts as within the ball, and the rule."""

import pytest

from banach.data import load
from banach.experiments import asymmetric_and_growing_penalty as one
from banach.experiments.experiment import FAILS, HOLDS, Outcome
from banach.experiments.fixed_generator import samples


def critic(high: float, share: float, last: float | None = None):
    """A training whose slopes are high at 19 of 20 measurements."""
    record = [{"high": high, "mean": 1.0}] * 19 + [{"high": last or high, "mean": 1.0}]
    return [{"record": record, "per slope": share}]


def found(**more):
    ways = {way: critic(1.5, 0.7) for way in one.WAYS}
    ways |= {one.LINEAR: critic(1.0, 0.75), one.ASYMMETRIC: critic(1.05, 0.72), one.GROWING: critic(1.5, 0.7, 1.2)}
    return dict.fromkeys(one.SETS, ways | more)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, HOLDS),
        ({one.LINEAR: critic(1.2, 0.75)}, FAILS),
        ({one.LINEAR: critic(1.0, 0.6)}, FAILS),
        ({one.ASYMMETRIC: critic(1.0, 0.75, 1.3)}, HOLDS),
        ({one.GROWING: critic(1.5, 0.7, 1.6)}, FAILS),
        ({one.GROWING: critic(1.0, 0.6)}, FAILS),
    ],
)
def test_the_rule(more, verdict):
    assert Outcome({}, {}, one.checks(found(**more))).verdict == verdict


def test_the_share_of_the_training_within_the_ball():
    assert one.inside(critic(1.0, 0.7, 1.3)[0]) == pytest.approx(0.95)
    assert one.inside(critic(1.11, 0.7)[0]) == 0


def test_training_is_recorded_and_the_same_twice():
    of = one.Constants(8, 20, 5e-3, "linear", 32, 50)
    first, again = (one.trained("8gaussians:n=4000", one.LINEAR, of, 0) for _ in range(2))
    assert first == again
    assert len(first["record"]) == 2
    assert first["w1"] == samples(load("8gaussians:n=4000"), 0, 50).w1
