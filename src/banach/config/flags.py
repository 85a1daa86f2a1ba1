"""Command lines: a dataclass of options for each command, read by argparse behind a thin pre-parser.

The pre-parser gives what argparse does not: underscores and capitals for hyphens, bare booleans (`--flip`,
`--no-flip`, `--flip false`), values that begin with a minus, and refusals in one line with the nearest flag.
"""

import argparse
import dataclasses
import difflib
import math
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

from banach.config import readers
from banach.config.config import ConfigError
from banach.config.keys import Key, keys_of
from banach.specs import nearest

Options = TypeVar("Options")


@dataclasses.dataclass(frozen=True)
class Command(Generic[Options]):
    """A command: its name, what it does, the dataclass of its options, and examples for its help."""

    name: str
    summary: str
    options: type[Options]
    examples: tuple[str, ...] = ()
    notes: str = ""
    more: tuple[Key, ...] = ()
    """Keys that the command takes beyond its options."""

    @property
    def keys(self) -> tuple[Key, ...]:
        return (*keys_of(self.options).values(), *self.more)


def read(command: Command[Options], argv: Sequence[str]) -> tuple[Options, frozenset[str]]:
    """The options that a command line spells, and the names of those that it gives itself; raises as `parse`."""
    given = parse(command, argv)
    return command.options(**given), frozenset(given)


def parse(command: Command[Any], argv: Sequence[str]) -> dict[str, Any]:
    """The values given on a command line, read, by key; those not given are absent.

    Raises `ConfigError` on an unknown flag, a missing value or one that cannot be read. `-h` and `--help` print
    the help and raise SystemExit(0).
    """
    words = _rewrite(command, argv)
    parser = _parser(command)
    if words == ["--help"]:
        sys.stdout.write(f"{parser.format_help().rstrip()}\n")
        raise SystemExit(0)
    try:
        found = vars(parser.parse_args(words))
    except argparse.ArgumentError as error:
        raise ConfigError(str(error).removeprefix("argument ")) from None
    for key in command.keys:
        if key.required and key.name not in found:
            example = f"; for example {_line(command.examples[0])}" if command.examples else ""
            raise ConfigError(f"{key.shown} is missing: {key.doc}{example}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _line(example: str) -> str:
    """The command line of an example, without what is said of it behind two spaces or more."""
    return example.split("  ")[0]


def _parser(command: Command[Any]) -> argparse.ArgumentParser:
    """The parser of a command, for reading and for its help."""
    built = argparse.ArgumentParser(
        prog=f"banach {command.name}",
        usage=f"banach {command.name} {_usage(command)}",
        description="\n\n".join(textwrap.fill(one, 110) for one in (command.summary, command.notes) if one),
        epilog="\n  ".join(("examples:", *command.examples)) if command.examples else None,
        formatter_class=_Help,
        argument_default=argparse.SUPPRESS,  # what is not given is not there
        allow_abbrev=False,
        exit_on_error=False,
    )
    groups: dict[str, Any] = {"options": built}
    for key in command.keys:
        if key.group not in groups:
            groups[key.group] = built.add_argument_group(key.group)
        _add(groups[key.group], key)
    return built


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=120)


def _usage(command: Command[Any]) -> str:
    words = []
    for key in command.keys:
        if key.positional:
            name = (key.metavar or key.name.upper()) + " …" * key.many
            words.append(name if key.required else f"[{name}]")
    return " ".join([*words, "[--flag value …]"])


def _add(group: Any, key: Key) -> None:
    doc = (key.doc + _default(key)).replace("%", "%%")

    def read(text: str) -> Any:
        if text == argparse.SUPPRESS:  # argparse reads what stands for a bare word that is not given, too
            return text
        try:
            return key.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    if key.positional:
        group.add_argument(
            key.name, type=read, help=doc, nargs="*" if key.many else "?", metavar=key.metavar or key.name.upper()
        )
    elif key.boolean:
        group.add_argument(key.shown, type=read, help=doc, nargs="?", const=True, metavar="true|false")
    else:
        group.add_argument(
            key.shown, type=read, help=doc, metavar=_metavar(key), action="extend" if key.many else "store"
        )


def _metavar(key: Key) -> str:
    kinds = {int: "N", float: "X", tuple: "A,B,…"}
    return key.metavar or next((word for kind, word in kinds.items() if isinstance(key.default, kind)), "TEXT")


def _default(key: Key) -> str:
    if key.default is None or key.default is False or key.default in ("", ()):
        return ""
    return f" (default {key.default:g})" if isinstance(key.default, float) else f" (default {key.default})"


def _rewrite(command: Command[Any], argv: Sequence[str]) -> list[str]:
    """The command line with known flags only, each as --key=value, behind the bare words."""
    flags = {key.shown: key for key in command.keys if not key.positional}
    room = sum(math.inf if key.many else 1 for key in command.keys if key.positional)
    words, bare, rest = [], [], list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            return ["--help"]
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            flag, negated = _known(name, flags, command.name)
            words.append(f"{flag.shown}={_value(flag, negated, value if equals else None, rest)}")
        elif len(bare) == room or word.startswith("-"):
            raise ConfigError(_stray(word, command.name, flags))
        else:
            bare.append(word)
    return [*bare, *words]


def _value(flag: Key, negated: bool, given: str | None, rest: list[str]) -> str:
    """The value of a flag: what is given behind its =, or else taken from the words that are left."""
    if flag.boolean:
        if given is None:
            given = rest.pop(0) if rest and _is_yes_no(rest[0]) else "true"
        return str(readers.yes_no(given) != negated).lower() if _is_yes_no(given) else given
    if given is None:
        if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
            raise ConfigError(f"{flag.shown}: a value is missing; write {flag.shown} {_metavar(flag)}")
        given = rest.pop(0)
    return given


def _known(name: str, flags: dict[str, Key], command: str) -> tuple[Key, bool]:
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
