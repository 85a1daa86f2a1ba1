"""The documentation holds: doctests pass, names are described, links lead somewhere, code and commands run."""

import ast
import contextlib
import doctest
import functools
import importlib
import inspect
import io
import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import banach
from banach import specs
from banach.cli.__main__ import COMMANDS, main
from banach.config import plugins
from banach.runs import facts, records

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("CHANGELOG.md")])
MODULES = sorted(one.name for one in pkgutil.walk_packages(banach.__path__, "banach.") if "__main__" not in one.name)


@pytest.fixture
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that a test registers, or loads from a plugin, are gone after it: other tests run over all names."""
    for registry in specs._REGISTRIES.values():
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(plugins, "_LOADED", {})


def page_id(path: Path) -> str:
    return path.name


def visible(path: Path) -> str:
    """A page without its HTML comments."""
    return re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", visible(path), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name, own_names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    failures = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=failures.write)
    assert runner.failures == 0, failures.getvalue()


def public_names() -> list[str]:
    return sorted(
        name for name in vars(banach) if not name.startswith("_") and not inspect.ismodule(getattr(banach, name))
    )


@pytest.mark.parametrize("name", public_names())
def test_every_name_of_the_package_is_described(name):
    described = inspect.getdoc(getattr(banach, name)) or ""
    assert len(described.split()) >= 4, f"banach.{name} needs a docstring that says what it is"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_class_and_function_is_described(name):
    path = Path(str(importlib.util.find_spec(name).origin))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), f"{name} needs a docstring"
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            script = node.name == "main"  # what the module says is what it does
            assert script or ast.get_docstring(node), f"{name}.{node.name} needs a docstring"


def anchors(path: Path) -> set[str]:
    """The anchors that a Markdown page's headings make."""
    heads = re.findall(r"^#+ +(.*)$", visible(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", visible(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page.name} links to {target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_named_in_code_exist(page):
    for name in re.findall(r"`((?:src|docs|examples|benchmarks|tests)/[\w/.-]+)`", visible(page)):
        assert (ROOT / name).exists(), f"{page.name} names {name}, which does not exist"


def python_blocks() -> list[tuple[str, str]]:
    pages = (ROOT / "README.md", ROOT / "docs" / "extend.md", ROOT / "docs" / "audit.md")
    return [(f"{page.name}-{at}", block) for page in pages for at, block in enumerate(blocks(page, "python"))]


@pytest.mark.parametrize("block", [pytest.param(block, id=name) for name, block in python_blocks()])
def test_python_blocks_run(block, own_names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "block", "exec"), {"__name__": "block"})


def command_lines() -> list[str]:
    """Every `banach …` line in a shell block of the documentation, without its comment and prompt."""
    found = []
    for page in PAGES:
        for block in [*blocks(page, "sh"), *blocks(page, "bash"), *blocks(page, "console")]:
            lines = block.replace("\\\n", " ").splitlines()
            found += [line.split("  #")[0].strip().removeprefix("$ ") for line in lines]
    return sorted({line for line in found if line.startswith("banach ")})


@functools.cache
def help_of(command: str) -> str:
    """What `banach COMMAND --help` prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([command, "--help"]) == 0
    return out.getvalue()


def test_there_are_commands_to_check():
    assert len(command_lines()) >= 5


@pytest.mark.parametrize("line", command_lines())
def test_documented_commands_have_known_flags(line):
    words = shlex.split(line)[1:]
    if words[0].startswith("-"):
        return
    assert words[0] in COMMANDS, f"{line}: there is no command {words[0]}"
    for flag in (word.split("=")[0] for word in words[1:] if word.startswith("--")):
        assert re.search(rf"{re.escape(flag)}\b", help_of(words[0])), f"{line}: {words[0]} has no {flag}"


STAND_INS = {"series.npy": (40, 1, 32), "fields.npy": (40, 16, 16)}
"""Shapes of the arrays that a reader of the documentation has; for folders of pictures the bundled ones stand in."""


def with_stand_ins(words: list[str], folder: Path) -> list[str]:
    """The words of a command with data that exist here, writing below `folder` only."""
    found = dict(zip(words, [*words[1:], ""], strict=True))
    if found.get("--data") in STAND_INS:
        np.save(folder / found["--data"], np.random.default_rng(0).normal(size=STAND_INS[found["--data"]]))
        return [*words, "--out", str(folder / "run")]
    about_pictures, kept = {"--data", "--size", "--fit", "--classes", "--out"}, list(words)
    for flag in about_pictures & set(words):
        at = kept.index(flag)
        del kept[at : at + 2]
    return [*kept, "--data", "fashion", "--out", str(folder / "run")]


@pytest.mark.parametrize("line", [line for line in command_lines() if line.startswith("banach train")])
def test_documented_trainings_are_understood(line, own_names, tmp_path, monkeypatch, capsys):
    """`--dry-run` reads config, data and game, and trains nothing."""
    words = [str(ROOT / word) if (ROOT / word).is_file() else word for word in shlex.split(line)[1:]]
    monkeypatch.chdir(tmp_path)
    assert main([*with_stand_ins(words, tmp_path), "--dry-run"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "keys"),
    [
        ("metrics.jsonl", records.KEYS), ("scores.jsonl", records.SCORES), ("evaluations.jsonl", records.EVALUATIONS),
        ("facts.json", facts.KEYS),
    ],
)  # fmt: skip
def test_the_keys_of_what_a_run_writes_are_documented(file, keys):
    section = visible(ROOT / "docs" / "metrics.md").split(f"\n## {file}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|$", section, flags=re.MULTILINE)
    assert dict(rows) == keys
    assert [key for key, _ in rows] == list(keys)
