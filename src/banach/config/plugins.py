"""Users' own Python files, which register spaces, objectives, penalties, models or data sets when they are imported."""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from banach.constraints import CONSTRAINTS
from banach.data import DATASETS
from banach.errors import BanachError
from banach.models import MODELS
from banach.objectives import OBJECTIVES
from banach.operators import OPERATORS
from banach.penalties import PENALTIES
from banach.spaces import SPACES

_LOADED: dict[str, ModuleType] = {}
_BROUGHT: dict[str, dict[str, tuple[str, ...]]] = {}
_KINDS = (SPACES, OPERATORS, OBJECTIVES, PENALTIES, CONSTRAINTS, MODELS, DATASETS)


class PluginError(BanachError):
    """A plugin that is not there or fails to import; the message names it, the line and the cause."""


def load(plugin: str) -> ModuleType:
    """Import a file (`mine.py`) or an installed module (`mypackage.spaces`), once however often it is asked for.

    Raises `PluginError`.
    """
    key = _key(plugin)
    if key not in _LOADED:
        before = {kind.kind: set(kind) for kind in _KINDS}
        _LOADED[key] = _import_file(plugin, Path(key)) if is_file(plugin) else _import_module(plugin)
        _BROUGHT[key] = {kind.kind: tuple(name for name in kind if name not in before[kind.kind]) for kind in _KINDS}
    return _LOADED[key]


def loaded(plugin: str) -> bool:
    """Whether a plugin has been imported here, because a user named it."""
    return _key(plugin) in _LOADED


def brought(plugin: str) -> dict[str, tuple[str, ...]]:
    """The names that a loaded plugin registered, by kind ("space", "objective", …)."""
    return _BROUGHT[_key(plugin)]


def is_file(plugin: str) -> bool:
    """Whether a plugin is a file, and not an installed module."""
    return plugin.endswith(".py") or "/" in plugin


def _key(plugin: str) -> str:
    try:
        return str(Path(plugin).expanduser().resolve()) if is_file(plugin) else plugin
    except (ValueError, OSError, RuntimeError) as error:  # no path at all, an endless link, nobody's home
        raise PluginError(f"plugin {plugin!r}: {error}; give a file, for example --plugin mine.py") from None


def _import_module(plugin: str) -> ModuleType:
    try:
        return importlib.import_module(plugin)
    except ModuleNotFoundError as error:
        if error.name is not None and plugin.split(".")[0] == error.name.split(".")[0]:
            raise PluginError(
                f"plugin {plugin!r}: no such module; give a file, for example --plugin mine.py, or install it"
            ) from None
        raise _failed(plugin, "", error) from error
    except Exception as error:  # whatever a user's module raises is told as one line
        raise _failed(plugin, "", error) from error


def _import_file(plugin: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"plugin {plugin!r}: no such file; check the path (it is taken from the current folder)")
    name = f"banach_plugin_{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin {plugin!r} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while the file is being run
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file raises is told as one line
        del sys.modules[name]
        raise _failed(plugin, str(path), error) from error
    return module


def _failed(plugin: str, path: str, error: BaseException) -> PluginError:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    where = f", line {line}" if line else ""
    said = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return PluginError(f"plugin {plugin!r} fails{where}: {type(error).__name__}: {said}; mend it, then run again")
