"""The result of a distance: what it says, and when its gap is closed."""

import json
import math

import pytest

from banach.transport import Estimate, TransportError
from banach.transport.estimate import rel_gap


def test_gap_conventions():
    assert rel_gap(0.9, 1.0) == pytest.approx(0.1)
    assert rel_gap(0.0, 0.0) == 0
    assert rel_gap(-1e-15, 1e-13, scale=1.0) == 0
    assert rel_gap(0.0, 1e-11, scale=1.0) == 1
    assert rel_gap(1.0, math.inf, scale=1.0) == math.inf


def test_an_open_interval_is_marked():
    wide = Estimate(2.0, 1.0, 2.0, "empirical", "columns", ("a", "b"), wanted=0.01)
    assert not wide.closed
    assert "not closed" in repr(wide)
    assert json.loads(json.dumps(wide.as_dict()))["rel_gap"] == 0.5


@pytest.mark.parametrize(("value", "lower", "upper"), [(1.0, 2.0, 3.0), (1.0, 0.0, math.nan), (4.0, 0.0, 3.0)])
def test_what_is_no_interval_is_refused(value, lower, upper):
    with pytest.raises(TransportError, match="does not enclose"):
        Estimate(value, lower, upper, "empirical", "columns", ("a", "b"))
