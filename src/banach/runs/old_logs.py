"""What the report needs of runs that have no facts.json, from the lines of their log.txt.

Runs begun up to version 0.1 wrote no facts, and only their folders come here, by way of `banach.report.run`. This
module goes with version 0.4: pages of such runs then show what their config says, without lambda and gamma as measured.
"""

import re
from collections.abc import Sequence

_LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:]{8}  (data|game|networks) {2,}(\S.*)$")
"""2026-11-22 12:00:00  data      fashion: 9,000 to train on"""

_LAST_LINES = 4


def sentences(log: Sequence[str]) -> dict[str, str]:
    """What the newest session said first, as `Facts.sentences` has it, as far as it stands there."""
    said = {match[1]: match[2] for line in log if (match := _LINE.match(line))}
    game = said.pop("game", "")
    for name in ("lambda", "gamma"):
        if found := re.search(rf"\b{name} ([^,]+)", game):
            said[name] = found[1].replace("+-", "±")
    return said


def not_finite(log: Sequence[str]) -> bool:
    """Whether the run stopped because something was not finite."""
    return any("not finite" in line for line in log[-_LAST_LINES:])
