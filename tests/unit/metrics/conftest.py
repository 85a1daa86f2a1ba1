import pytest
import torch
from jaxtyping import config

from banach.data.bundled import fashion
from banach.metrics.features import extractor


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def clothes():
    """The 10,000 bundled images and their labels."""
    raw = fashion()
    return raw.values, raw.labels


@pytest.fixture(scope="session")
def activations(clothes):
    """Features and logits of the bundled images."""
    return extractor("fashion").activations(clothes[0])


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def shapes_unchecked():
    """For what a user without a checker of shapes gets to read."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
