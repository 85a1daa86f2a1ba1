"""`banach report RUN`: the report page of a run."""

from collections.abc import Sequence

from banach.cli import output
from banach.engine import flags, values
from banach.engine.config import Config, as_mapping
from banach.engine.flags import Command, Flag
from banach.report import write_report

COMMAND = Command(
    "report",
    "Write report.html of a run: samples over time beside reals, curves, scores, the critic's derivatives, the config.",
    (
        Flag("run", values.name("runs/mine"), "a run folder", positional=True, required=True),
        Flag("json", values.yes_no, "machine-readable output", False),
    ),
    ("banach report runs/mine", "banach report runs/mine --json"),
)


def main(argv: Sequence[str]) -> int:
    options = flags.with_defaults(COMMAND, flags.parse(COMMAND, argv))
    page = write_report(options["run"], as_mapping(Config()))
    if options["json"]:
        output.say_json({"report": str(page)})
    else:
        output.say(f"written: {page}")
    return 0
