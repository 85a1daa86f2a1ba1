"""docs/methods.md from the registries: `python -m benchmarks.methods`.

Every objective, penalty, schedule, constraint, family of networks and space under its name, with the paper and equation
it comes from, the paper's defaults, the public code that its formula was checked against, and what could not be
verified.
"""

import argparse
import sys
from pathlib import Path

from banach.constraints import CONSTRAINTS
from banach.files import written_between
from banach.models import MODELS
from banach.objectives import OBJECTIVES
from banach.penalties import PENALTIES, SCHEDULES
from banach.spaces import SPACES
from banach.specs import Entry, Registry

PAGE = Path("docs/methods.md")
KINDS: dict[str, Registry] = {
    "Objectives": OBJECTIVES,
    "Penalties": PENALTIES,
    "Schedules of a penalty's weight": SCHEDULES,
    "Constraints on weights": CONSTRAINTS,
    "Networks": MODELS,
    "Spaces": SPACES,
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def line(entry: Entry) -> str:
    """A row: name, example, what it is; paper and equation; defaults; checked against, and what is unverified."""
    source = entry.source
    if source is None:
        raise ValueError(f"{entry.name} names no source: register it with source=Source(…)")
    cited = ", ".join(filter(None, (source.paper, source.equation)))
    checked = ". ".join(
        filter(None, (source.checked, f"**unverified: {source.unverified}**" if source.unverified else ""))
    )
    spec = "" if entry.examples[0] == entry.name else f" `{entry.examples[0]}`"
    cells = (f"**{entry.name}**{spec}", entry.summary, cited, source.defaults, checked)
    return "| " + " | ".join(_cell(one) for one in cells) + " |"


def markdown() -> str:
    """All tables."""
    parts = []
    for kind, registry in KINDS.items():
        parts += [
            f"## {kind}",
            "",
            "| name, spec | what it is | paper, equation | the paper's defaults | checked against |",
            "|---|---|---|---|---|",
            *(line(entry) for entry in registry.entries()),
            "",
        ]
    return "\n".join(parts)


def main(argv: list[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=PAGE, help=f"the page to write (default {PAGE})")
    options = parser.parse_args(argv)
    written_between(options.page, "methods", markdown())
    print(f"written: {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
