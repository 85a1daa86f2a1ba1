"""`banach report RUN`: the report page of a run; of several runs the page that compares them."""

from collections.abc import Sequence
from dataclasses import dataclass

from banach.cli import compare, output
from banach.config import flags, readers
from banach.config.config import Config, as_mapping
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.report import write_report


@dataclass(frozen=True)
class Options:
    """What a `banach report` line says."""

    run: tuple[str, ...] = word(
        readers.name("runs/mine"),
        "a run folder; of several, or of a folder that holds runs, the page that `banach compare` writes",
        many=True,
    )
    json: bool = flag(False, readers.yes_no, "machine-readable output")


COMMAND = Command(
    "report",
    "Write report.html of a run: samples over time beside reals, curves, scores, the critic's derivatives, the config.",
    Options,
    (
        "banach report runs/mine",
        "banach report runs/mine --json",
        "banach report runs/a runs/b",
        "banach report sweeps/norms",
    ),
)


def main(argv: Sequence[str]) -> int:
    options, _ = flags.read(COMMAND, argv)
    first, *others = options.run
    if others or compare.leads_to_runs(first):
        return compare.of_several(options.run, options.json)
    page = write_report(first, as_mapping(Config()))
    if options.json:
        output.say_json({"report": str(page)})
    else:
        output.say(f"written: {page}")
    return 0
