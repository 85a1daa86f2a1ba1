"""One root of errors: what a user can cause is a `BanachError`, and nothing else is."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import banach
from banach.errors import BanachError

NOT_THE_USERS = {
    "banach.distributed.Lost",  # another process has died
    "banach.files.DiskFull",  # an OSError, which says what the system says
    "banach.session.fit.Interrupted",  # a KeyboardInterrupt
    "banach.training.finite.NotFinite",  # an end of a run, with an exit code of its own
    "banach.testing.laws.LawError",  # a law that does not hold: an AssertionError, for test suites
    "banach.transport.pricing.OutOfTime",  # never leaves the solver
}
"""The other exceptions of the package, each with the reason."""

SOURCE = Path(banach.__file__).parent


def exceptions():
    """Every exception class that a module of the package defines."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        name = ".".join(("banach", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        for _, one in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            error = issubclass(one, BaseException) and not issubclass(one, Warning)
            if error and one.__module__.startswith("banach."):
                found[f"{one.__module__}.{one.__name__}"] = one
    return found


def test_every_exception_is_a_users_or_named_as_another():
    found = exceptions()
    assert len(found) > 20
    assert {name for name, one in found.items() if not issubclass(one, BanachError)} == NOT_THE_USERS


def test_the_root_is_a_value_error_so_that_what_callers_caught_before_is_caught():
    assert BanachError.__bases__ == (ValueError,)
    assert banach.BanachError is BanachError


@pytest.mark.parametrize(
    ("module", "name"), [("data", "DataError"), ("models", "ModelError"), ("report", "ReportError")]
)
def test_packages_still_name_their_errors(module, name):
    assert issubclass(getattr(importlib.import_module(f"banach.{module}"), name), BanachError)


def plain(source: str) -> list[int]:
    """The lines that raise a ValueError without saying whose it is."""
    raised = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)]
    calls = [(node.lineno, node.exc.func if isinstance(node.exc, ast.Call) else node.exc) for node in raised]
    return [line for line, name in calls if isinstance(name, ast.Name) and name.id in ("ValueError", "Exception")]


def test_no_plain_value_error_is_raised():
    assert plain("def f():\n    raise ValueError('x')\n") == [2]
    assert plain("raise BanachError('x') from None") == []
    where = {path.relative_to(SOURCE): plain(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
    assert {path: lines for path, lines in where.items() if lines} == {}
