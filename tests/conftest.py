"""Shapes and types of tensors are checked in the tests: every function of the package is wrapped as it is imported."""

import copy

import pytest
import torch
from jaxtyping import install_import_hook

# Small tensors: a second thread costs more than it brings, and two test processes share two cores.
torch.set_num_threads(1)

install_import_hook("banach", "typechecking.checked")

from banach import specs  # noqa: E402
from banach.cli.__main__ import main  # noqa: E402
from banach.config import plugins  # noqa: E402

COMPUTED = ("Intersection", "InfConvolution", "TotalVariation", "Dual")
QUICK = "Intersection(2, Lp(2), Sobolev(s=1))"
"""A call of a norm of these, or of its dual, is a convex problem for each sample. The quick tests run what is written
over all spaces on one of them, and the laws of spaces on all, in a few shapes; `make test-all` runs everything."""

OVER_ALL_SPACES = ("test_laws_hoelder", "test_laws_lipschitz", "test_laws_penalties", "test_models_bounds")
OVER_ALL_NORMS = ("test_kernels",)


def pytest_collection_modifyitems(items):
    for item in items:
        spec, module = str(getattr(item, "callspec", None) and item.callspec.params.get("spec")), item.path.stem
        slow = module in OVER_ALL_SPACES and spec.startswith(COMPUTED) and spec != QUICK
        if slow or (module in OVER_ALL_NORMS and spec.startswith(("InfConvolution", "Dual"))):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _no_plugin_outlives_its_test():
    """What a test registers, itself or by a plugin, is gone after it: the laws run over the package's own names."""
    tables = [registry._entries for registry in specs._REGISTRIES.values()] + [plugins._LOADED, plugins._BROUGHT]
    before = [copy.copy(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


@pytest.fixture
def banach(capsys):
    """Runs a command in this process: (exit code, stdout, stderr)."""

    def act(*argv):
        capsys.readouterr()
        code = main([str(word) for word in argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return act
