"""Means between two log lines."""

import pytest
import torch

from banach.training.averages import Averages


def test_means_and_maxima() -> None:
    averages = Averages()
    assert averages.means() == {}
    for gap, slope in ((1.0, 0.5), (2.0, 3.0), (6.0, 2.5)):
        averages.add({"gap": torch.tensor(gap, requires_grad=True), "slope_max": torch.tensor(slope)})
    assert averages.means() == {"gap": 3.0, "slope_max": 3.0}
    averages.clear()
    assert averages.means() == {}
    averages.add({"gap": torch.tensor(-1.0), "slope_max": torch.tensor(-2.0)})
    assert averages.means() == {"gap": -1.0, "slope_max": -2.0}


def test_many_small_values_are_summed_in_float64() -> None:
    averages = Averages()
    for _ in range(1000):
        averages.add({"x": torch.tensor(16777217.0 / 2**24, dtype=torch.float64)})
    assert averages.means()["x"] == pytest.approx(16777217 / 2**24, abs=1e-15)


def test_saved_in_the_middle() -> None:
    one, other = Averages(), Averages()
    for value in (1.0, 2.0):
        one.add({"x": torch.tensor(value)})
    saved = one.state_dict()
    other.load_state_dict(
        {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in saved.items()}
    )
    for averages in (one, other):
        averages.add({"x": torch.tensor(7.0)})
    assert one.means() == other.means() == {"x": 10 / 3}
