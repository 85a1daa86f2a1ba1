"""A run says whether it is any good, and what is likely wrong with it."""

import dataclasses

import pytest
import torch
from small_run import DATA

from banach.config.config import Config
from banach.data.load import load
from banach.session import verdict
from banach.session.verdict import Standing, cure, due, lines, spread

BAD = Standing("FID", 80.0, 40.0, 1.0, 0.0, spread=0.9, step=200, train=9000)
SOUND = Config(steps=2000, lr=5e-3, ema=0.99)


def test_better_than_the_gaussian_is_one_line_with_all_three_figures():
    (line,) = lines(dataclasses.replace(BAD, value=14.0), SOUND)
    assert " ".join(line.split()) == (
        "quality FID 14 at step 200; a Gaussian with the data's mean and covariance has 40, held-out data 1"
    )
    assert "held-out" not in next(lines(dataclasses.replace(BAD, floor=None), SOUND))


def test_no_good_has_the_likeliest_cure():
    first, second = lines(BAD, SOUND)
    assert "no good yet: FID 80 at step 200" in first
    assert "likeliest cure: " in second


@pytest.mark.parametrize(
    ("standing", "keys", "told"),
    [
        ({"spread": float("nan")}, {}, "the data are constant"),
        ({"spread": 0.02}, {}, "hardly differ (their spread is 2% of the data's)"),
        ({}, {"ema": 0.999}, "the average still holds the first weights: --ema 0.99"),
        ({}, {"lr": 2e-4}, "the learning rate 0.0002 is for longer runs: --lr 0.005 for 2,000 steps"),
        ({}, {"steps": 400, "ema": 0.95}, "400 steps are few: more --minutes or --steps"),
        ({}, {"steps": 10, "lr": 2e-4}, "10 steps are few: more --minutes or --steps"),
        ({"spread": 3.0}, {}, "too large: --lr 0.00125"),
        ({}, {"steps": 100_000, "ema": 0.999}, "too large: --lr 0.00125"),
        ({"train": 140}, {}, "140 samples are few"),
        ({}, {}, "more --minutes or --steps"),
    ],
)
def test_each_cause_is_told_by_its_sign(standing, keys, told):
    config = dataclasses.replace(SOUND, **keys)
    assert told in cure(dataclasses.replace(BAD, **standing), config)


def test_the_papers_constants_on_a_short_run_are_the_finding_of_the_issue():
    """Defaults for 2 minutes: coloured noise; --lr 0.005 --ema 0.99 show scenes."""
    said = cure(BAD, Config(steps=400))
    assert "--ema" in said
    said = cure(BAD, Config(steps=400, ema=0.95))
    assert "--lr 0.005" in said


def test_nearly_gaussian_data_are_not_told_off():
    """A generator of Gaussian fields cannot beat the Gaussian: an excess that is small beside W1 is good."""
    assert Standing("excess W1", 0.3, 0.0, 0.0, 1.0, 1.0, 10, 500).good
    assert not Standing("excess W1", 1.3, 0.0, 0.0, 1.0, 1.0, 10, 500).good


def test_it_is_judged_at_the_first_scoring_from_a_tenth_on_and_at_the_end():
    for every in (100, 60, 300):
        found, before = [], 0
        for step in [*range(every, 1000, every), 1000]:
            found += [step] if due(step, 1000, before) else []
            before = step
        assert found == [-(-100 // every) * every, 1000], every


def test_spread():
    train = DATA.units.to_model(DATA.train[:])
    assert spread(DATA.train[:], DATA) == pytest.approx(1)
    assert spread(DATA.units.to_data(0.1 * train), DATA) == pytest.approx(0.1, rel=0.1)
    constant = load(torch.full((20, 3), 5.0))
    assert spread(constant.train[:], constant) != spread(constant.train[:], constant)


def test_of_large_pictures_few_samples_are_drawn():
    assert verdict.count(Config(score_samples=10_000), DATA) == 10_000
    large = load(torch.arange(2 * 3 * 128 * 128).remainder(251).view(2, 3, 128, 128).byte(), axes="bchw")
    assert verdict.count(Config(score_samples=10_000), large) == 341
