"""The shape of the source: layers, cycles, sizes, imports, read from the files."""

import ast
import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import banach

SOURCE = Path(__file__).parents[1] / "src" / "banach"

LAYERS = (
    ("errors",),
    ("boot", "files", "outlet"),
    ("numerics", "specs", "foreign", "memory", "distributed", "convolution"),
    ("tables", "foreign_yaml", "streams", "templates", "sizes"),
    ("operators", "objectives", "runs"),
    ("norms",),
    ("spaces",),
    ("slopes", "scales", "models", "data"),
    ("penalties", "constraints", "transport", "generator"),
    ("game", "metrics", "testing", "auditing"),
    ("config",),
    ("training",),
    ("session", "report"),
    ("sweeps",),
    ("experiments",),
    ("cli",),
    ("__main__",),
)
"""From the bottom up: a file imports from lower layers and from its own package only (docs/decisions.md)."""

OPTIONAL = {
    "torchvision",
    "torch_fidelity",
    "matplotlib",
    "tensorboard",
    "ray",
    "onnx",
    "onnxruntime",
    "ot",
    "sklearn",
    "scipy",
    "mpmath",
    "PIL",
    "IPython",
    "mlxtend",
    "xarray",
    "zarr",
    "netCDF4",
    "h5py",
    "tifffile",
    "pandas",
    "pyarrow",
    "anndata",
}
"""Third-party libraries that may be imported late, inside a function, because they are heavy or optional."""

LATE_PARTS = {"torch": ("torch.utils.tensorboard",)}
"""Late imports of parts of other libraries that are such imports in disguise."""

AT_ONCE = {
    "boot", "errors", "files", "memory", "foreign", "numerics", "specs", "distributed", "convolution", "tables",
    "sizes",
    "norms", "operators", "objectives", "spaces", "slopes", "scales", "models", "penalties", "transport",
}  # fmt: skip
"""The parts of the package that `import banach` loads; all others wait until they are used."""

FORBIDDEN_NAMES = {"utils.py", "base.py", "helpers.py", "util.py", "misc.py", "common.py", "manager.py"}

FILES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """The modules of this package that a file imports, `from package import module` resolved to the module."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            submodules = {f"{node.module}.{one.name}" for one in node.names} & MODULES.keys()
            found |= submodules | ({node.module} if len(submodules) < len(node.names) else set())
    return {one for one in found if one == "banach" or one.startswith("banach.")}


def part(module: str) -> str:
    """The part of the package a module belongs to: banach.models.resnet -> models."""
    return module.split(".")[1] if "." in module else ""


LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def ids(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def over(files: list[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """One test of a check that is made of each of the files; the check's message names the file."""

    def wrap(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            for path in files:
                check(path)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return wrap


BELOW_THE_ROOT = [path for path in FILES if path != SOURCE / "__init__.py"]


@over(BELOW_THE_ROOT)
def test_a_file_imports_from_lower_layers_and_its_own_package_only(path):
    own = part(name_of(path))
    assert own in LEVEL, f"{own} has no layer: give it one in LAYERS"
    for module in imported(path):
        assert module != "banach", f"{ids(path)} imports the package itself: import the module that defines the name"
        assert part(module) in LEVEL, f"{ids(path)} imports {module}, which does not exist"
        lower = LEVEL[part(module)] < LEVEL[own]
        assert lower or part(module) == own, f"{ids(path)} (layer {LEVEL[own]}) imports {module}"


def test_the_package_itself_does_not_import_the_command_line():
    assert "cli" not in {part(module) for module in imported(SOURCE / "__init__.py")}


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one import cycle, or []."""
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name not in done:
            for other in sorted(graph[name]):
                if found := visit(other, (*trail, name)):
                    return found
            done.add(name)
        return []

    return next((found for name in graph if (found := visit(name, ()))), [])


def test_there_are_no_import_cycles():
    assert cycle({name: imported(path) & MODULES.keys() for name, path in MODULES.items()}) == []


def test_cycles_are_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"a"}}) == ["a", "a"]


def test_imports_are_found_wherever_they_stand(tmp_path):
    path = tmp_path / "one.py"
    path.write_text(
        "import torch\nfrom banach import numerics, specs\nimport banach.spaces as s\n"
        "def f():\n    from banach.config.config import Config\n    import matplotlib.figure\n    return Config\n"
    )
    assert imported(path) == {"banach.numerics", "banach.specs", "banach.spaces", "banach.config.config"}
    assert late(path) == [("banach.config.config", "f", 5), ("matplotlib.figure", "f", 6)]


@over(FILES)
def test_imports_are_absolute_and_annotations_real(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{ids(path)}:{node.lineno} relative import"
            assert node.module != "__future__", f"{ids(path)}:{node.lineno} jaxtyping needs real annotations"


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def located(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The functions of a file, each as module:function or module:Class.function, those inside others included."""

    def visit(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for one in ast.iter_child_nodes(node):
            named = isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{module}:{inside}{one.name}", one
            yield from visit(one, f"{inside}{one.name}." if named else inside)

    module = name_of(path).removeprefix("banach").removeprefix(".")
    return visit(tree(path), "")


def late(path: Path) -> list[tuple[str, str, int]]:
    """(module, function, line) of each import inside a function."""
    found = []
    for function in functions(path):
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                found += [(one.name, function.name, node.lineno) for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                found.append((node.module or "", function.name, node.lineno))
    return found


@over(FILES)
def test_only_heavy_third_party_libraries_are_imported_late(path):
    for module, function, line in late(path):
        root = module.split(".")[0]
        allowed = root in OPTIONAL or module.startswith(LATE_PARTS.get(root, ("\0",)))
        assert allowed, f"{ids(path)}:{line} {function} imports {module} late"


@over(FILES)
def test_heavy_libraries_stand_behind_one_function_each(path):
    behind: dict[str, set[str]] = {}
    for module, function, _ in late(path):
        behind.setdefault(module.split(".")[0], set()).add(function)
    for library, names in behind.items():
        assert len(names) == 1, f"{ids(path)}: {library} is imported in {', '.join(sorted(names))}"


@over(FILES)
def test_modules_stay_under_400_lines_and_functions_under_60(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400, f"{ids(path)}: make it a package"
    for function in functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length < 60, f"{ids(path)}:{function.lineno} {function.name} has {length} lines"


def test_no_file_is_named_for_being_a_drawer():
    assert not {path.name for path in FILES} & FORBIDDEN_NAMES


@over(FILES)
def test_no_hasattr(path):
    called = {
        node.func.id for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "hasattr" not in called, ids(path)


READ_WITH_A_DEFAULT = [*["banach.data.decode"] * 3, "banach.models.bounds.gate"]
"""Modules that read an attribute which only some objects have, all of them of other libraries; once for each time."""


def test_attributes_are_declared_and_not_read_with_a_default():
    """An object of this package says what it has: by its class, or by a protocol."""
    found = [
        name_of(path)
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id == "getattr" and len(node.args) == 3
    ]
    assert found == READ_WITH_A_DEFAULT


PARAMETERS = 7
"""The most that a function takes, `self` and `cls` aside; what the user calls with keywords is listed."""

WIDE = {
    "auditing.audit:audit",
    "data.load:load", "session.fit:fit", "metrics.transported:transported", "transport.distance:distance",
    "transport.matrix:excess_matrix", "transport.penalised:penalised_estimate",
    "transport.permutations:permutation_test", "transport.population:population_distance", "transport.scores:excess",
}  # fmt: skip
"""Functions of more parameters: of the public ones users name those that they want. The list is to shrink."""


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of what a function takes, `self` and `cls` aside."""
    given = function.args
    return [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs) if one.arg not in ("self", "cls")]


@over(FILES)
def test_functions_take_few_parameters(path):
    for where, function in located(path):
        taken = parameters(function)
        assert len(taken) <= PARAMETERS or where in WIDE, f"{where}, line {function.lineno}: {len(taken)} parameters"


def branches(function: ast.AST) -> int:
    """McCabe's number: 1, and 1 for each place where the way through the function forks."""
    forks = (ast.If, ast.For, ast.While, ast.IfExp, ast.ExceptHandler, ast.comprehension, ast.match_case, ast.Assert)
    found = 1 + sum(isinstance(node, forks) for node in ast.walk(function))
    return found + sum(len(node.values) - 1 for node in ast.walk(function) if isinstance(node, ast.BoolOp))


FORKED = 15
"""The most forks of a function; the list of what has more is to shrink."""

MORE_FORKS = {"cli.sources:_array", "cli.sources:read_both", "data.load:_named"}


@over(FILES)
def test_functions_fork_seldom(path):
    for where, function in located(path):
        found = branches(function)
        assert found <= FORKED or where in MORE_FORKS, f"{where}, line {function.lineno}: {found} forks"


def test_no_exception_from_the_limits_is_left_over():
    """Each names one function, and one that needs it."""
    found = {where: function for path in FILES for where, function in located(path)}
    assert found.keys() >= WIDE | MORE_FORKS
    assert {where for where in WIDE if len(parameters(found[where])) <= PARAMETERS} == set()
    assert {where for where in MORE_FORKS if branches(found[where]) <= FORKED} == set()


def test_functions_are_located_by_module_class_and_function(tmp_path, monkeypatch):
    path = SOURCE / "one.py"
    monkeypatch.setitem(
        globals(),
        "tree",
        lambda _: ast.parse("class A:\n  def f(self):\n    if 1:\n      def g(): ...\nasync def f(): ..."),
    )
    assert [where for where, _ in located(path)] == ["one:A.f", "one:A.f.g", "one:f"]


def loaded_by(code: str) -> set[str]:
    """The modules that some code imports beyond those that torch and numpy import, in a process of its own."""
    program = f"import sys, torch, numpy; before = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_the_mathematics_only():
    found = loaded_by("import banach; banach.Sobolev(s=-1).dual, banach.penalty('wgan-gp'), banach.distance")
    assert {part(one) for one in found if one.startswith("banach.")} == AT_ONCE
    others = {one.split(".")[0] for one in found} - {"banach", "torch", "numpy", *sys.stdlib_module_names}
    assert {one for one in others if not one.startswith("_")} <= {"jaxtyping"}


def test_what_trains_is_loaded_at_first_use():
    code = "import banach; assert {*banach._LATER} <= {*dir(banach)}; from banach import Game, Generator, fit"
    found = {part(one) for one in loaded_by(f"{code}; fit.__name__") if one.startswith("banach.")}
    assert found >= AT_ONCE | {"training", "session", "game", "data"}


def test_a_name_that_is_not_there_is_refused_as_ever():
    with pytest.raises(AttributeError, match="module 'banach' has no attribute 'Wasserstein'"):
        _ = banach.Wasserstein


def test_everything_public_is_named_in_one_place():
    """The package's names are explicit: `from module import name as name`, those loaded later for type checkers."""
    later = set()
    for node in tree(SOURCE / "__init__.py").body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        constant = isinstance(node, ast.Assign) and all(isinstance(one, ast.Name) for one in node.targets)
        function = isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"
            later = {(one.module, *(name.name for name in one.names)) for one in node.body}
        else:
            assert docstring or constant or function or isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)
    assert later == {(module, name) for name, module in banach._LATER.items()}


def test_every_folder_of_the_source_is_a_package():
    """Or what is built from it would leave the folder out."""
    folders = {path.parent for path in FILES}
    assert not {str(one) for one in folders if not (one / "__init__.py").is_file()}
