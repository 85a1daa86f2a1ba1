"""Keys: the fields of a command's options and of the config, each with its reader and its meaning beside it."""

import dataclasses
from collections.abc import Callable
from typing import Any

from banach.config import readers
from banach.config.readers import Reader
from banach.errors import BanachError

FILES, FOLDER = "files", "folder"
"""What a key may need to mean something: data that are read from files; a folder that the run is in."""


class ConfigError(BanachError):
    """A key or a value that cannot be used; the message names the key, the value and the remedy."""


@dataclasses.dataclass(frozen=True)
class Key:
    """What a key says of itself: a flag `--key VALUE`, or a bare word (`positional`) of a command line."""

    read: Reader
    doc: str
    group: str = "options"
    metavar: str = ""
    many: bool = False
    """It may be given several times, and holds the values of all."""
    positional: bool = False
    may_change: bool = False
    """Of the config: it says where and how a run is computed and what it writes, not what, and may change on resume."""
    names: Callable[[Any], Any] | None = None
    """Of the config: what parses its text, where this is a spec; two spellings of one spec are one value."""
    needs: str = ""
    """Of the config: `FILES` or `FOLDER`; `banach.fit` refuses it without."""
    name: str = ""
    default: Any = None
    required: bool = False

    @property
    def boolean(self) -> bool:
        return self.read is readers.yes_no

    @property
    def shown(self) -> str:
        """As it stands in a command line: --g-width; of a bare word its name."""
        return self.name if self.positional else f"--{hyphened(self.name)}"


def key(
    default: Any,
    read: Reader,
    doc: str,
    *,
    may_change: bool = False,
    many: bool = False,
    names: Callable[[Any], Any] | None = None,
    needs: str = "",
) -> Any:
    """A field of a part of the config."""
    return _field(default, Key(read, doc, many=many, may_change=may_change, names=names, needs=needs))


def flag(default: Any, read: Reader, doc: str, *, group: str = "options", metavar: str = "", many: bool = False) -> Any:
    """A field of a command's options that a flag sets."""
    return _field(default, Key(read, doc, group, metavar, many))


def word(read: Reader, doc: str, *, default: Any = dataclasses.MISSING, metavar: str = "", many: bool = False) -> Any:
    """A field of a command's options that a bare word sets (all that are left, if `many`); needed without a default."""
    return _field(default, Key(read, doc, metavar=metavar, many=many, positional=True))


def _field(default: Any, about: Key) -> Any:
    return dataclasses.field(default=default, metadata={"key": about})


def keys_of(options: type) -> dict[str, Key]:
    """The keys of a dataclass, by name, in their order."""
    found = {}
    for field in dataclasses.fields(options):
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        found[field.name] = dataclasses.replace(
            field.metadata["key"], name=field.name, default=default, required=required
        )
    return found


class Part:
    """A dataclass of keys that are read when it is built, whoever builds it; raises `ConfigError`."""

    def __post_init__(self) -> None:
        for name, one in keys_of(type(self)).items():
            try:
                object.__setattr__(self, name, one.read(getattr(self, name)))
            except ValueError as error:
                raise ConfigError(f"{hyphened(name)}: {error}") from None


def hyphened(name: str) -> str:
    """A key as users see it: g-width."""
    return name.replace("_", "-")
