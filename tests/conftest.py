"""Shapes and types of tensors are checked in the tests: every function of the package is wrapped as it is imported."""

import copy

import pytest
import torch
from jaxtyping import install_import_hook

# Small tensors: a second thread costs more than it brings, and two test processes share two cores.
torch.set_num_threads(1)

install_import_hook("banach", "typechecking.checked")

from banach import specs  # noqa: E402
from banach.engine import plugins  # noqa: E402


@pytest.fixture(autouse=True)
def _no_plugin_outlives_its_test():
    """What a test registers, itself or by a plugin, is gone after it: the laws run over the package's own names."""
    tables = [registry._entries for registry in specs._REGISTRIES.values()] + [plugins._LOADED, plugins._BROUGHT]
    before = [copy.copy(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)
