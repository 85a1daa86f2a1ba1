"""Command lines: flags with readers, read by jsonargparse behind a thin pre-parser.

The pre-parser gives what jsonargparse does not: underscores and capitals for hyphens, bare booleans (`--flip`,
`--no-flip`, `--flip false`), values that begin with a minus, and refusals in one line with the nearest flag.
"""

import argparse
import dataclasses
import difflib
import math
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import jsonargparse

from banach.engine import values
from banach.engine.config import ConfigError, hyphened
from banach.engine.values import Reader
from banach.specs import nearest


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag (or, positional, one bare word; or all that are left, if `many`) of a command."""

    key: str
    read: Reader
    doc: str
    default: Any = None
    group: str = "options"
    many: bool = False
    positional: bool = False
    required: bool = False
    metavar: str = ""

    @property
    def boolean(self) -> bool:
        return self.read is values.yes_no

    @property
    def shown(self) -> str:
        return f"--{hyphened(self.key)}"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command: its name, what it does, its flags, and examples for its help."""

    name: str
    summary: str
    flags: tuple[Flag, ...]
    examples: tuple[str, ...] = ()
    notes: str = ""


def parse(command: Command, argv: Sequence[str]) -> dict[str, Any]:
    """The flags given on a command line, read, by key; those not given are absent.

    Raises `ConfigError` on an unknown flag, a missing value or one that cannot be read. `-h` and `--help` print
    the help and raise SystemExit(0).
    """
    words = _rewrite(command, argv)
    if words == ["--help"]:
        sys.stdout.write(f"{parser(command).format_help().rstrip()}\n")
        raise SystemExit(0)
    try:
        found = vars(parser(command).parse_args(words, defaults=False))
    except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
        raise ConfigError(str(error).removeprefix("argument ")) from None
    seen = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words if word.startswith("--")}
    given = {}
    for flag in command.flags:
        if flag.key in seen or (flag.positional and found[flag.key]):
            value = found[flag.key]
            if flag.many and flag.positional:
                value = tuple(flag.read(one) for one in value)
            elif flag.many:
                value = tuple(one for several in value for one in flag.read(several))
            given[flag.key] = value
        elif flag.required:
            example = f"; for example {command.examples[0]}" if command.examples else ""
            raise ConfigError(f"{flag.key if flag.positional else flag.shown} is missing: {flag.doc}{example}")
    return given


def with_defaults(command: Command, given: dict[str, Any]) -> dict[str, Any]:
    """All flags of a command: the given ones, and the defaults of the others."""
    return {flag.key: given.get(flag.key, flag.default) for flag in command.flags}


def parser(command: Command) -> jsonargparse.ArgumentParser:
    """The jsonargparse parser of a command, for reading and for its help."""
    built = jsonargparse.ArgumentParser(
        prog=f"banach {command.name}",
        usage=f"banach {command.name} {_usage(command)}",
        description="\n\n".join(textwrap.fill(one, 110) for one in (command.summary, command.notes) if one),
        epilog="\n  ".join(("examples:", *command.examples)) if command.examples else None,
        formatter_class=_Help,
        allow_abbrev=False,
        exit_on_error=False,
    )
    groups: dict[str, Any] = {}
    for flag in command.flags:
        if flag.group not in groups:
            groups[flag.group] = built if flag.group == "options" else built.add_argument_group(flag.group)
        _add(groups[flag.group], flag)
    return built


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=120)


def _usage(command: Command) -> str:
    words = []
    for flag in command.flags:
        if flag.positional:
            name = (flag.metavar or flag.key.upper()) + " …" * flag.many
            words.append(name if flag.required else f"[{name}]")
    return " ".join([*words, "[--flag value …]"])


def _add(group: Any, flag: Flag) -> None:
    doc = (flag.doc + _default(flag)).replace("%", "%%")

    def read(value: str) -> Any:
        try:
            return flag.read(value) if isinstance(value, str) else value  # jsonargparse passes the result once more
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    if flag.positional:
        kind, nargs = (str, "*") if flag.many else (read, "?")
        group.add_argument(flag.key, type=kind, help=doc, nargs=nargs, metavar=flag.metavar or flag.key.upper())
    elif flag.boolean:
        group.add_argument(flag.shown, type=read, help=doc, nargs="?", const=True, metavar="true|false")
    elif flag.many:  # read by `parse`: jsonargparse would read the whole list once more
        group.add_argument(flag.shown, type=str, help=doc, metavar=_metavar(flag), action="append")
    else:
        group.add_argument(flag.shown, type=read, help=doc, metavar=_metavar(flag))


def _metavar(flag: Flag) -> str:
    kinds = {int: "N", float: "X", tuple: "A,B,…"}
    return flag.metavar or next((word for kind, word in kinds.items() if isinstance(flag.default, kind)), "TEXT")


def _default(flag: Flag) -> str:
    if flag.default is None or flag.default is False or flag.default in ("", ()):
        return ""
    return f" (default {flag.default:g})" if isinstance(flag.default, float) else f" (default {flag.default})"


def _rewrite(command: Command, argv: Sequence[str]) -> list[str]:
    """The command line with known flags only, each as --key=value, behind the bare words."""
    flags = {flag.shown: flag for flag in command.flags if not flag.positional}
    room = sum(math.inf if flag.many else 1 for flag in command.flags if flag.positional)
    words, bare, rest = [], [], list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            return ["--help"]
        if not word.startswith("--"):
            if len(bare) == room or word.startswith("-"):
                raise ConfigError(_stray(word, command.name, flags))
            bare.append(word)
            continue
        name, equals, value = word.partition("=")
        flag, negated = _known(name, flags, command.name)
        if flag.boolean:
            if not equals:
                value = rest.pop(0) if rest and _is_yes_no(rest[0]) else "true"
            value = str(values.yes_no(value) != negated).lower() if _is_yes_no(value) else value
        elif not equals:
            if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
                raise ConfigError(f"{flag.shown}: a value is missing; write {flag.shown} {_metavar(flag)}")
            value = rest.pop(0)
        words.append(f"{flag.shown}={value}")
    return [*bare, *words]


def _known(name: str, flags: dict[str, Flag], command: str) -> tuple[Flag, bool]:
    """The flag of a name, and whether it is negated by --no-."""
    plain = name.replace("_", "-").lower()
    if plain in flags:
        return flags[plain], False
    positive = flags.get(plain.replace("--no-", "--", 1))
    if positive is not None and positive.boolean and plain.startswith("--no-"):
        return positive, True
    raise ConfigError(f"unknown flag {name}; {suggestion(name, flags, f'see banach {command} --help')}")


def _stray(word: str, command: str, flags: Iterable[str]) -> str:
    near = difflib.get_close_matches(f"--{word.lstrip('-').replace('_', '-').lower()}", flags, n=1, cutoff=0.7)
    return f"unexpected {word!r}; " + (
        f"did you mean {near[0]}?" if near else f"flags begin with --, see banach {command} --help"
    )


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """'did you mean …?', or the other remedy where nothing is near."""
    said = nearest(name, known)
    return said if said.startswith("did you mean") else otherwise


def _is_yes_no(word: str) -> bool:
    return word.strip().lower() in ("true", "false", "yes", "no", "on", "off", "1", "0")
