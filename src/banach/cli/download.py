"""`banach download NAME`: fetch a data set."""

from collections.abc import Sequence

from banach.cli import output
from banach.data.named import download
from banach.engine import flags, values
from banach.engine.flags import Command, Flag

COMMAND = Command(
    "download",
    "Fetch a data set, so that --data NAME finds it. No other command uses the network.",
    (
        Flag(
            "name", values.name("cifar10"), "name of a data set, see `banach list data`", positional=True, required=True
        ),
        Flag("json", values.yes_no, "machine-readable output", False),
    ),
    ("banach download cifar10", "BANACH_DATA=/scratch/data banach download celeba"),
)


def main(argv: Sequence[str]) -> int:
    options = flags.with_defaults(COMMAND, flags.parse(COMMAND, argv))
    folder = download(options["name"])
    output.say_json({"name": options["name"], "folder": str(folder)}) if options["json"] else output.say(str(folder))
    return 0
