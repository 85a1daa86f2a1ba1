"""Registries, and the spec language in which every space, objective, penalty and model is named.

One text serves the command line, config files, logs, tables and file names::

    parse("Product(2, (Lp(1), Sobolev(s=-1, p=inf)), (1, 2))")      Python call syntax
    parse("sobolev:s=-1,p=2")                                       the same without parentheses, for shells

A spec is read with `ast` and never evaluated: only literals, `inf`, tuples, lists and registered names can occur.
For every registered object, `parse(repr(x)) == x`.
"""

import ast
import dataclasses
import difflib
import functools
import inspect
import io
import math
import re
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from banach.errors import BanachError

T = TypeVar("T")
Builder = TypeVar("Builder", bound=Callable[..., Any])


LONGEST = 2**20
"""Letters of a spec, at most: a matrix of 200 rows fits."""

_DEEPEST = 100


class SpecError(BanachError):
    """A spec that cannot be read, or a name nobody registered; the message names it and the remedy."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where an entry comes from: paper, equation, the paper's defaults, and the code its formula was checked against.

    `checked` names a repository, a commit and a file; "" where no public code was read. `unverified` says which part
    rests on no text that could be read: it is printed beside the entry, never as a citation.

    >>> str(Source("Arjovsky et al. 2017", "eq. 3", checked="martinarjovsky/WassersteinGAN f7a01e8 main.py"))
    'Arjovsky et al. 2017, eq. 3'
    """

    paper: str
    equation: str = ""
    defaults: str = ""
    checked: str = ""
    unverified: str = ""

    def __str__(self) -> str:
        cited = f"{self.paper}, {self.equation}" if self.equation else self.paper
        return f"{cited} (unverified: {self.unverified})" if self.unverified else cited


def ours(what: str = "") -> Source:
    """The source of an entry that is in no paper; `what` says what it is based on.

    >>> str(ours("a direct sum of norms"))
    'this package, a direct sum of norms'
    """
    return Source("this package", what)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One registered name: its value, specs that show its use, what it is in a sentence, and where it comes from."""

    name: str
    value: Any
    examples: tuple[str, ...]
    summary: str
    source: Source | None = None


def _key(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


class Registry:
    """The names of one kind of thing ("space", "objective", …), each with examples that the laws run over.

    `bare`: how a name without parentheses is read. "build" calls any registered class or function (`sqrt` is the
    objective that `sqrt()` makes); "class" calls classes only, and a function's name is the function.
    `parts`: the kinds whose names stand inside such a spec, its own if none are given; there they go before all others
    (`sobolev` is a norm inside `Product`, and an objective inside `Sum`).
    """

    def __init__(self, kind: str, bare: Literal["class", "build"] = "class", parts: Iterable[str] = ()):
        self.kind = kind
        self.bare = bare
        self.parts = tuple(parts) or (kind,)
        self._entries: dict[str, Entry] = {}
        self._former: dict[str, str] = {}
        _REGISTRIES[kind] = self

    def add(
        self, name: str, value: T, examples: Iterable[str] = (), summary: str = "", source: Source | None = None
    ) -> T:
        """Register `value` under `name`; a name that is taken is refused."""
        if (taken := self._find(name)) is not None and taken.value is not value:
            raise SpecError(f"{self.kind} {name!r} is registered already; choose another name")
        first_line = (value.__doc__ or "").strip().split("\n")[0]
        self._entries[name] = Entry(name, value, tuple(examples) or (name,), summary or first_line, source)
        return value

    def register(
        self, *, name: str = "", examples: Iterable[str] = (), summary: str = "", source: Source | None = None
    ) -> Callable[[Builder], Builder]:
        """Decorator form of `add`; the name defaults to the class's or function's own."""

        def decorate(value: Builder) -> Builder:
            return self.add(name or value.__name__, value, examples, summary, source)

        return decorate

    def rename(self, former: str, name: str) -> None:
        """Read `former`, as older configs and scripts spell it, as `name`; it is not listed."""
        self._former[former] = name

    def _find(self, name: str) -> Entry | None:
        name = self._former.get(name, name)
        if name in self._entries:
            return self._entries[name]
        key = _key(name) if len(name) < 200 else ""
        return next((entry for known, entry in self._entries.items() if _key(known) == key), None)

    def entry(self, name: str) -> Entry:
        """The entry of `name`, in any case, hyphen or underscore alike; SpecError with the nearest names."""
        if (found := self._find(name)) is None:
            raise SpecError(f"unknown {self.kind} {_shortened(name)}; {nearest(name[:200], self)}")
        return found

    def __getitem__(self, name: str) -> Any:
        return self.entry(name).value

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries.values())

    def parse(self, text: str) -> Any:
        """The object of this kind that `text` spells."""
        return parse(text, self)

    def examples(self) -> tuple[str, ...]:
        """Every example spec of every entry, in order of registration."""
        return tuple(example for entry in self.entries() for example in entry.examples)


_REGISTRIES: dict[str, Registry] = {}


def _ordered() -> list[Registry]:
    """The kinds in the order in which a name is looked up: spaces, then by name, whatever was imported first."""
    return sorted(_REGISTRIES.values(), key=lambda one: (one.kind != "space", one.kind))


def nearest(name: str, known: Iterable[str]) -> str:
    """'did you mean …?' with the closest of `known`, or the list of them all."""
    known = list(known)
    by_key = {_key(one): one for one in reversed(known)}  # of names that differ in case alone, the first
    close = [by_key[key] for key in difflib.get_close_matches(_key(name), by_key, n=3, cutoff=0.5)]
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"


def parse(text: str, kind: Registry | str | None = None) -> Any:
    """The object that a spec spells.

    `kind` (a registry or its name) settles what the outermost name may be; names inside are looked up everywhere, but
    first among the kinds that belong there (`Registry.parts`). Without a kind, of several that have the outermost name
    the first one that takes the arguments is meant (`Sum` of objectives, or of penalties).
    A bare class is built with its defaults. Raises `SpecError` on bad syntax, an unknown name, or a refused value.

    >>> from banach import Lp
    >>> parse("Lp(inf)") == parse("lp:inf") == Lp(float("inf"))
    True
    """
    registry = _REGISTRIES[kind] if isinstance(kind, str) else kind
    text = text.strip()
    if len(text) > LONGEST or not text.isprintable():
        wrong = f"longer than {LONGEST:,} characters" if len(text) > LONGEST else "not one line of printable characters"
        raise SpecError(f"the spec {_shortened(text)} is {wrong}; write it as a call, such as {_example(registry)}")
    if (found := _lookup(text, registry)) is not None:
        return _settle(*found, text)
    if registry is None and len(kinds := _kinds_of(text)) > 1:
        return _first_that_reads(text, kinds)
    if shell := re.fullmatch(r"([A-Za-z][\w-]*):(.*)", text, re.DOTALL):
        text = f"{_identifier(shell[1], registry)}({shell[2]})"
    try:
        tree = _tree(text)
    except (SyntaxError, tokenize.TokenError, ValueError, MemoryError, RecursionError):  # nested beyond all reason
        raise SpecError(
            f"cannot read the spec {_shortened(text)}; write it as a call, for example {_example(registry)}"
        ) from None
    if isinstance(tree, ast.Name | ast.BinOp) and registry is not None:
        registry.entry(text)  # raises with the nearest names
    return _read(tree, text, registry)


def _kinds_of(text: str) -> list[Registry]:
    """The kinds that have the outermost name of a spec."""
    name = re.split(r"[:(]", text, maxsplit=1)[0].strip()
    return [one for one in _ordered() if name in one]


def _first_that_reads(text: str, kinds: Sequence[Registry]) -> Any:
    refused: list[SpecError] = []
    for one in kinds:
        try:
            return parse(text, one)
        except SpecError as error:
            refused.append(error)
    raise refused[0]


def _tree(text: str) -> ast.expr:
    """The syntax of a spec; SyntaxError for comments too, which Python would skip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes that escape nothing
        tree = ast.parse(text, mode="eval").body
    if "#" in text and any(
        one.type == tokenize.COMMENT for one in tokenize.generate_tokens(io.StringIO(text).readline)
    ):
        raise SyntaxError("a comment")
    levels, depth = [tree], 0
    while levels:
        levels, depth = [inner for one in levels for inner in ast.iter_child_nodes(one)], depth + 1
        if depth > _DEEPEST:
            raise RecursionError
    return tree


def _shortened(text: str) -> str:
    return repr(text if len(text) < 200 else f"{text[:150]} … {text[-20:]}")


def _example(registry: Registry | None) -> str:
    return min(registry.examples(), key=len) if registry and registry.examples() else "Lp(2)"


def _identifier(name: str, registry: Registry | None) -> str:
    return _found(name, registry)[0].name.replace("-", "_")


def _everything() -> Registry:
    """All names of all kinds as one throw-away registry, for messages only."""
    union = Registry.__new__(Registry)
    union.kind, union.bare, union._former = "name", "class", {}
    union._entries = {name: entry for registry in _ordered() for name, entry in registry._entries.items()}
    return union


def _lookup(name: str, registry: Registry | None, parts: Iterable[str] = ()) -> tuple[Entry, Registry] | None:
    """The entry of a name: of one kind, if `registry` says so; otherwise of `parts`, or else of any kind.

    Among parts, a name as it is written goes before one that differs in case or hyphens: `Asymmetric` and `asymmetric`
    inside a penalty are a shape and a penalty.
    """
    if registry is not None:
        found = registry._find(name)
        return None if found is None else (found, registry)
    near = [_REGISTRIES[kind] for kind in parts if kind in _REGISTRIES]
    for one in near:
        if name in one._entries:
            return one._entries[name], one
    for one in (*near, *_ordered()):
        if (found := one._find(name)) is not None:
            return found, one
    return None


def _found(name: str, registry: Registry | None, parts: Iterable[str] = ()) -> tuple[Entry, Registry]:
    if (found := _lookup(name, registry, parts)) is not None:
        return found
    (registry or _everything()).entry(name)
    raise AssertionError("unreachable: entry() raises on an unknown name")


def _settle(entry: Entry, registry: Registry, text: str) -> Any:
    """The object of a name without parentheses: see `Registry`."""
    builds = isinstance(entry.value, type) or (registry.bare == "build" and inspect.isfunction(entry.value))
    return _call(entry, (), {}, text) if builds else entry.value


def _call(entry: Entry, args: tuple[Any, ...], keywords: dict[str, Any], text: str) -> Any:
    if not (isinstance(entry.value, type | functools.partial) or inspect.isroutine(entry.value)):
        raise SpecError(
            f"{entry.name} takes no arguments, in {_shortened(text)}; for other settings write out {entry.value!r}"
        )
    try:
        return entry.value(*args, **keywords)
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(str(error)) from None
    except TypeError as error:
        said = str(error).replace(".__init__()", "()").replace("__init__() ", "")
        raise SpecError(
            f"{entry.name} does not fit, in {_shortened(text)}: {said}; for example {entry.examples[0]}"
        ) from None
    except Exception as error:  # numbers beyond reason, and whatever a plugin's class raises
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpecError(
            f"{entry.name} cannot be made, in {_shortened(text)} ({said}); for example {entry.examples[0]}"
        ) from error


def _read(node: ast.expr, text: str, registry: Registry | None = None, parts: Iterable[str] = ()) -> Any:
    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, bool | int | float | str):
            return value
        case ast.Name(id="inf"):
            return math.inf
        case ast.Name(id=name):
            return _settle(*_found(name, registry, parts), text)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_read_number(operand, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _read_number(operand, text)
        case ast.Tuple(elts=elements):
            return tuple(_read(one, text, parts=parts) for one in elements)
        case ast.List(elts=elements):
            return tuple(_read(one, text, parts=parts) for one in elements)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            entry, kind = _found(name, registry, parts)
            named = {one.arg: _read(one.value, text, parts=kind.parts) for one in keywords if one.arg is not None}
            if len(named) != len(keywords):
                raise SpecError(f"an argument given twice, or **, in {_shortened(text)}; name each once")
            return _call(entry, tuple(_read(one, text, parts=kind.parts) for one in args), named, text)
    raise SpecError(
        f"cannot read {_shortened(ast.unparse(node))}, in {_shortened(text)}; only numbers, strings, inf, tuples and "
        "known names may occur"
    )


def _read_number(node: ast.expr, text: str) -> int | float:
    value = _read(node, text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"cannot read {_shortened(ast.unparse(node))} as a number, in {_shortened(text)}")
    return value


def spell(value: Any) -> str:
    """The spec text of a value: numbers short (2, not 2.0), `inf`, tuples, and registered objects by their repr."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, float):
        return repr(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, tuple | list):
        inside = ", ".join(spell(one) for one in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)


def spell_call(name: str, args: Iterable[Any] = (), named: dict[str, Any] | None = None) -> str:
    """`name(arg, key=value)` in the spec language."""
    parts = [spell(one) for one in args] + [f"{key}={spell(one)}" for key, one in (named or {}).items()]
    return f"{name}({', '.join(parts)})"


def spelled(self: Any) -> str:
    """`__repr__` for frozen dataclasses: the fields that differ from their defaults, as a spec that parses back."""
    shown = {}
    for field in dataclasses.fields(self):
        if field.repr and field.init:
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING or value != field.default:
                shown[field.name] = value
    return spell_call(type(self).__name__, (), shown)


def slug(spec: Any) -> str:
    """A spec as a file name: 'Sobolev(s=-1, p=2)' becomes 'sobolev-s-1-p2'.

    >>> slug("Sobolev(s=-1, p=2)")
    'sobolev-s-1-p2'
    """
    text = re.sub(r"=", "", str(spec).lower())
    return re.sub(r"[^a-z0-9.-]+", "-", text).strip("-")
