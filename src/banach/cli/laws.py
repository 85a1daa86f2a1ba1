"""`banach laws SPEC`: what a space, operator, objective, penalty or family of networks must obey, measured."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from banach.cli import output
from banach.config import flags, plugins, readers
from banach.config.config import ConfigError
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.errors import BanachError
from banach.specs import SpecError
from banach.testing import KINDS, LawResult, check

SHAPED = ("space", "operator", "model")
"""Kinds whose laws are checked on samples of several shapes."""


def _shape(value: Any) -> tuple[int, ...]:
    """3x28x28 as a tuple."""
    try:
        return tuple(readers.count(1)(side) for side in str(value).lower().split("x"))
    except ValueError:
        raise BanachError(f"{value!r} is no shape of a sample; write for example 3x28x28 or 5") from None


@dataclass(frozen=True)
class Options:
    """The options of `banach laws`."""

    spec: str | None = word(
        readers.name("Sobolev(s=-1)"), "what to test; by default everything that the plugins register", default=None
    )
    kind: str | None = flag(
        None, readers.one_of(*KINDS), f"its kind, if the name belongs to several: {', '.join(KINDS)}"
    )
    shape: tuple[int, ...] | None = flag(
        None, _shape, "test on samples of this shape only, for example 3x28x28 (spaces, operators, models)",
        metavar="CxHxW",
    )  # fmt: skip
    plugin: tuple[str, ...] = flag(
        (), readers.listed(readers.name("mine.py")), "Python files that register it", many=True
    )
    json: bool = flag(False, readers.yes_no, "machine-readable output")


COMMAND = Command(
    "laws",
    "Test a space, operator, objective, penalty or model against the laws it must obey, with the errors measured.",
    Options,
    (
        "banach laws 'Sobolev(s=-1.5, p=3)'",
        "banach laws hinge:alpha=0.5",
        "banach laws --plugin mine.py              everything the file registers, on its examples",
        "banach laws Mine:p=3 --plugin mine.py --shape 3x64x64",
    ),
    "Exit codes: 0 all laws hold, 1 a law is broken, 2 unknown spec or wrong input.",
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    options, _ = flags.read(COMMAND, argv)
    for plugin in options.plugin:
        plugins.load(plugin)
    spec = options.spec
    asked = [(spec, options.kind or _kind_of(spec))] if spec else list(_registered_by(options.plugin))
    if not asked:
        raise ConfigError("spec is missing: give what to test, for example banach laws 'Sobolev(s=-1)'")
    found: dict[str, list[LawResult]] = {}
    for spec, kind in asked:
        with output.waiting(f"testing {spec}"):
            found[spec] = _checked(spec, kind, options.shape)
    if options.json:
        output.say_json({spec: [asdict(one) for one in results] for spec, results in found.items()})
    else:
        for spec, results in found.items():
            _tell(spec, results)
    return 0 if all(one.ok for results in found.values() for one in results) else 1


def _checked(spec: str, kind: str | None, shape: tuple[int, ...] | None) -> list[LawResult]:
    if shape is None:
        return check(spec, kind)
    kind = kind or "space"  # an intent such as shape, or an unknown name, which is refused there
    if kind not in SHAPED:
        raise ConfigError(f"--shape is for {', '.join(SHAPED)}; leave it out for the {kind} {spec!r}")
    return KINDS[kind][2](spec, shapes=[shape])


def _kind_of(spec: str) -> str | None:
    """The kind with laws that has the spec's name; None for intents such as shape, and for unknown names.

    Where the name is of several kinds, it is the first that reads the spec; SpecError with all readings if none does.
    """
    name = re.split(r"[:(]", spec.strip(), maxsplit=1)[0]
    kinds = [kind for kind, (registry, *_) in KINDS.items() if name in registry]
    if len(kinds) < 2:
        return kinds[0] if kinds else None
    refused = []
    for kind in kinds:
        try:
            KINDS[kind][0].parse(spec)
            return kind
        except SpecError as error:
            refused.append(f"as {kind}: {error}")
    raise SpecError("\n".join(refused))


def _registered_by(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The examples of all that the plugins registered and that has laws, each with its kind."""
    for plugin in given:
        for kind, names in plugins.brought(plugin).items():
            if kind in KINDS:
                yield from ((example, kind) for name in names for example in KINDS[kind][0].entry(name).examples)


def _tell(spec: str, results: list[LawResult]) -> None:
    rows = [
        ("ok" if one.ok else "BROKEN", one.name, f"{one.measured:.2g}", f"{one.tolerance:.2g}", one.detail)
        for one in results
    ]
    output.say_table(spec, ("", "law", "measured", "allowed", "worst at"), rows)
    broken = sum(not one.ok for one in results)
    output.say(f"{spec}: {broken} of {len(results)} laws broken" if broken else f"{spec}: all {len(results)} laws hold")
