"""The benchmark of the first minutes: its data are what it says, and its three ways differ as they should."""

import numpy as np
import pytest
import torch

from banach.config.config import Config
from banach.data.load import load
from benchmarks import first_hour
from benchmarks.first_hour import config_of, fields, judged, main, people, row, series, shapes


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_data_are_what_the_benchmark_says():
    photographs = shapes(rng(), n=4)
    assert (photographs.shape, photographs.dtype) == ((4, 3, 64, 64), np.uint8)
    kelvin = fields(rng(), n=50)
    assert kelvin.shape == (50, 1, 48, 48)
    assert (kelvin.mean(), kelvin.std()) == (pytest.approx(280, abs=2), pytest.approx(15, abs=0.1))
    assert series(rng(), n=3).shape == (3, 2, 64)
    scales = people(rng()).std(0)
    assert len(scales) == 7
    assert scales.max() / scales.min() > 1e6


def test_the_three_ways(monkeypatch):
    monkeypatch.setattr(first_hour, "step_seconds", lambda built, limit: 0.5)
    data, planned = load(people(rng(), n=60)), {"steps": 40, "lr": 0.004, "threads": 1}
    given = {"data": "people.npy", "space": "l2"}
    plan, demo, papers = (config_of(way, given, data, 5, planned) for way in first_hour.WAYS)
    assert (plan.steps, plan.lr, plan.threads) == (40, 0.004, 1)
    assert (demo.lr, demo.ema, demo.g_width, demo.threads, demo.model) == (0.005, 0.99, 32, 1, "mlp")
    assert demo.steps == pytest.approx(0.85 * 300 / 0.5, rel=0.05)
    assert (papers.lr, papers.n_critic, papers.steps) == (Config().lr, 5, Config().steps)
    assert papers.max_minutes == pytest.approx(0.85 * 5)


def test_scores_and_rows():
    data = load(people(rng(), n=200))
    assert judged(data.train[:100], data) < judged(torch.zeros(100, 7), data)
    one = {"score": 2.0, "gaussian": 4.0, "deviation": 1.0, "steps": 1000, "networks": "mlp"}
    assert row([one, {**one, "score": 1.0}]) == ["2, 1", "4", "0.38", "1.00, 1.00", "1,000, 1,000", "mlp"]


def test_an_unknown_kind_is_refused(capsys):
    assert main(["--kinds", "cats"]) == 2
    assert "'cats' is neither one of clothes" in capsys.readouterr().out
