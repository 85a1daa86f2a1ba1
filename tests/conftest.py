"""Shapes and types of tensors are checked in the tests: every function of the package is wrapped as it is imported."""

import copy
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported, here and in the workers

import pytest
import torch
from jaxtyping import install_import_hook

# Small tensors: a second thread costs more than it brings, and two test processes share two cores.
torch.set_num_threads(1)

install_import_hook("banach", "typechecking.checked")

from banach import spaces, specs  # noqa: E402
from banach.cli.__main__ import main  # noqa: E402
from banach.config import plugins  # noqa: E402
from banach.session import planning, run  # noqa: E402

COMPUTED = ("Intersection", "InfConvolution", "TotalVariation", "Dual", "GradientForm(p=1", "OverlappingPatches")
QUICK = "Intersection(2, Lp(2), Sobolev(s=1))"
"""A call of a norm of these, or of its dual, is a convex problem for each sample. The quick tests run what is written
over all spaces on one of them, and the laws of spaces on some, in a few shapes; `make test-all` runs everything."""

ALIKE = {
    "Lp(1.5)", "Lp(4)", "Lp(10)", "MeanFree(2)", "ModConstants(1.5)", "ModConstants(3)", "ModConstants(inf)",
    "Product(1, (Lp(2), Lp(4)), (2, 1))", "Product(inf, (Sobolev(s=1), Lp(1)), (1, 2))",
    "Weighted(Matrix(((2, 1, 0), (0, 1, 0), (0.5, 0, 1))), Lp(3))",
    "Weighted(Compose(Scale(((1, 2), (4, 0.5))), Bessel(s=-1)), Lp(1.5))",
    "Sobolev(s=-1.5, p=2)", "Sobolev(s=1, p=2)", "Sobolev(s=0.5, p=1.5)", "Sobolev(s=-1, p=1)", "Sobolev(s=-1, p=inf)",
    "Sobolev(s=1, p=3, length=2)", "Sobolev(s=1, p=2, length=1, boundary='even')",
    "Sobolev(s=-1, p=2, homogeneous=True)", "Sobolev(s=1, p=2, symbol='differences')", "GradientForm(p=2, weight=2)",
    "Besov(s=1, p=3, q=2, wavelet='db2')", "Besov(s=-0.5, p=1, q=1, levels=2)", "Patches(2, Lp(1), p=inf)",
}  # fmt: skip
"""Registered examples that run the code of another one with another number. What is written over all spaces, other than
the laws of the spaces themselves, runs on these in `make test-all` alone. What is newly registered is quick."""

OVER_ALL_SPACES = {
    "test_laws_hoelder", "test_laws_lipschitz", "test_laws_penalties", "test_models_bounds", "test_laws_forms",
}  # fmt: skip
OVER_ALL_NORMS = {"test_kernels"}
OVER_MANY_SPACES = OVER_ALL_SPACES | {"test_verify"}


def pytest_collection_modifyitems(items):
    for item in items:
        spec, module = str(getattr(item, "callspec", None) and item.callspec.params.get("spec")), item.path.stem
        slow = module in OVER_ALL_SPACES and spec.startswith(COMPUTED) and spec != QUICK
        slow |= module == "test_laws_penalties" and spec == QUICK
        slow |= module in OVER_MANY_SPACES and spec in ALIKE
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


assert set(spaces.SPACES.examples()) >= {*ALIKE, QUICK}, "these are names of registered examples"


@pytest.fixture(autouse=True)
def _plans_take_little_time(monkeypatch):
    """A candidate of a plan is timed for a moment: these tests ask what is planned, not how well."""
    monkeypatch.setattr(planning, "AT_MOST", 0.05)
    monkeypatch.setattr(run, "TIMED_FOR", 0.05)


@pytest.fixture
def banach(capsys):
    """Runs a command in this process: (exit code, stdout, stderr)."""

    def act(*argv):
        capsys.readouterr()
        code = main([str(word) for word in argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return act
