"""The family of WGAN-GP: each method is what it is called, all share the rest, and late collapse is measured."""

import dataclasses
import math

import pytest

from banach.errors import BanachError
from banach.experiments import wgan_gp_family as of
from banach.experiments.pictures import split
from banach.experiments.scorer import Scorer
from banach.experiments.trained import CPU
from banach.training.build import build

SIZES = of.Sizes(8, 8, 8, 2, 1, 32)
OWN = {"penalty", "penalty_weight", "constraint", "objective", "optimizer"}


def test_methods_differ_in_their_own_keys_alone():
    configs = {method: dataclasses.asdict(of.config_of(method, 0, SIZES)) for method in of.METHODS}
    first = configs["GP"]
    for keys in configs.values():
        assert {key for key in keys if keys[key] != first[key]} <= OWN
    assert len({tuple(str(keys[key]) for key in sorted(OWN)) for keys in configs.values()}) == len(configs)
    assert (configs["GP"]["penalty_weight"], configs["R1+R2, logistic"]["penalty_weight"]) == (10.0, 0.05)


def test_late_collapse_is_the_last_over_the_best_after_the_start():
    assert of.late([300.0, 66.7, 330.9], None) == pytest.approx(4.96, abs=0.01)  # StudioGAN's least squares
    assert of.late([10.0, 25.9, 29.5], None) == pytest.approx(1.14, abs=0.01)  # the start is no score of the run
    assert of.late([10.0, 5.0], 7) == math.inf
    assert of.late([10.0, 5.0, math.inf], None) == math.inf


def test_scores_are_those_of_held_out_pictures():
    data = split(None, 8)
    assert (data.shape, len(data.held_out)) == ((1, 8, 8), 2000)
    state = build(of.config_of("GP", 0, SIZES), data, CPU).state
    scorer = Scorer(data, 64)
    before = scorer.fid(state)
    assert before > 1
    assert scorer.fid(state) == before
    for weight in state.average.parameters():
        weight.fill_(math.nan)
    assert scorer.fid(state) == math.inf


def test_points_are_refused():
    with pytest.raises(BanachError, match="holds no pictures"):
        split("8gaussians:n=100", None)
