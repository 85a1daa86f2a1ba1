"""Keys: the fields of a command's options and of the config, each with its reader and its meaning beside it."""

import dataclasses
from typing import Any

from banach.config import readers
from banach.config.readers import Reader


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


def key(default: Any, read: Reader, group: str, doc: str, *, may_change: bool = False, many: bool = False) -> Any:
    """A field of the config."""
    return _field(default, Key(read, doc, group, many=many, may_change=may_change))


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


def hyphened(name: str) -> str:
    """A key as users see it: g-width."""
    return name.replace("_", "-")
