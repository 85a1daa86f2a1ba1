"""Benchmarks train at length: shapes are checked in the unit tests, and not again here."""

import pytest
from jaxtyping import config


@pytest.fixture(autouse=True)
def _shapes_unchecked():
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
