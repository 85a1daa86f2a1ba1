"""`banach download NAME`: fetch a data set."""

from collections.abc import Sequence
from dataclasses import dataclass

from banach.cli import output
from banach.config import flags, readers
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.data.named import download


@dataclass(frozen=True)
class Options:
    """The options of `banach download`."""

    name: str = word(readers.name("cifar10"), "name of a data set, see `banach list data`")
    json: bool = flag(False, readers.yes_no, "machine-readable output")


COMMAND = Command(
    "download",
    "Fetch a data set, so that --data NAME finds it. No other command uses the network.",
    Options,
    ("banach download cifar10", "BANACH_DATA=/scratch/data banach download celeba"),
)


def main(argv: Sequence[str]) -> int:
    options, _ = flags.read(COMMAND, argv)
    folder = download(options.name)
    output.say_json({"name": options.name, "folder": str(folder)}) if options.json else output.say(str(folder))
    return 0
