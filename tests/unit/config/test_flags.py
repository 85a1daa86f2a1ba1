"""Options of commands: frozen dataclasses whose fields say how they are read and what they mean."""

import dataclasses
import importlib

import pytest

from banach.cli.__main__ import COMMANDS
from banach.config import flags, readers, reading
from banach.config.config import ConfigError
from banach.config.flags import Command
from banach.config.keys import flag, keys_of, word


@dataclasses.dataclass(frozen=True)
class Options:
    source: str = word(readers.name("a.npy"), "what is read")
    rest: tuple[str, ...] = word(readers.name("b.npy"), "more", default=(), many=True)
    share: float = flag(0.5, readers.number(0, 1), "10% or so")
    big_steps: int | None = flag(None, readers.count(1), "how many")
    plugin: tuple[str, ...] = flag((), readers.listed(readers.name("mine.py")), "files", many=True)
    loud: bool = flag(False, readers.yes_no, "say all")


COMMAND = Command("try", "Try.", Options, ("banach try a.npy",))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a", Options("a")),
        ("a b c", Options("a", ("b", "c"))),
        ("--share .25 a --loud b --big_steps 2k", Options("a", ("b",), 0.25, 2000, loud=True)),
        ("a --plugin x.py,y.py --plugin=z.py", Options("a", plugin=("x.py", "y.py", "z.py"))),
        ("a --loud --no-loud", Options("a")),
    ],
)
def test_a_line_becomes_the_dataclass(line, found):
    options, given = flags.read(COMMAND, line.split())
    assert options == found
    assert {name for name, value in vars(options).items() if value != vars(Options("a"))[name]} <= given


def test_what_is_given_is_told_from_what_is_left():
    assert flags.read(COMMAND, ["a", "--share", "0.5", "--no-loud"])[1] == {"source", "share", "loud"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "source is missing: what is read; for example banach try a.npy"),
        ("a --share 2", "--share: '2' is out of range; it must be at least 0 and below 1"),
        ("a --shar 2", "unknown flag --shar; did you mean --share?"),
        ("a --big-steps", "--big-steps: a value is missing; write --big-steps TEXT"),
    ],
)
def test_a_wrong_line_is_one_sentence(line, said):
    with pytest.raises(ConfigError) as refused:
        flags.read(COMMAND, line.split())
    assert str(refused.value) == said


def test_the_help_is_made_of_the_fields(capsys):
    with pytest.raises(SystemExit):
        flags.read(COMMAND, ["a", "--help"])
    said = capsys.readouterr().out
    assert said.startswith("usage: banach try SOURCE [REST …] [--flag value …]\n")
    for key in keys_of(Options).values():
        assert key.doc in said
    assert "10% or so (default 0.5)" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_one_frozen_dataclass_of_options(name):
    command = reading.TRAIN if name == "train" else importlib.import_module(f"banach.cli.{name}").COMMAND
    assert command.options.__dataclass_params__.frozen
    assert all(key.doc for key in command.keys)
    assert len({key.name for key in command.keys}) == len(command.keys)


def test_an_example_is_shown_without_what_is_said_of_it():
    told = dataclasses.replace(COMMAND, examples=("banach try a.npy      what is read is tried",))
    with pytest.raises(ConfigError, match=r"for example banach try a\.npy$"):
        flags.read(told, [])
