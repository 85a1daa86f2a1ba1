"""What an audit found: a verdict for each question, what was measured, the line to change; as text and as a page."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from banach.errors import BanachError
from banach.files import write_text
from banach.templates import template

Verdict = Literal["ok", "warning", "fault", "could not tell"]

QUESTIONS = {
    "generator": "Does a gradient reach the generator, through the critic?",
    "critic": "Do the scores' gradients reach the critic's weights?",
    "signs": "Do critic and generator pull the score of fakes apart?",
    "slope": "Is the slope of the trained function penalised?",
    "weights": "Does the penalty's gradient reach the critic's weights?",
    "points": "Do the points where the slope is taken lie between real and fake?",
    "samples": "Has each sample a slope of its own?",
    "norm": "In which norm is the slope measured?",
    "target": "Which slope is asked for, at this resolution and at another?",
    "flat": "Is the gradient finite where the critic is flat?",
    "batch": "Is a sample's score independent of the other samples?",
    "range": "Can the score take every value?",
    "logged": "Is what is logged a distance?",
}
"""The questions of an audit, in their order, by the names that findings have."""

_SHOWN = {"ok": "ok", "warning": "WARNING", "fault": "FAULT", "could not tell": "?"}
_WIDTH = 110


def capital(said: str) -> str:
    """With a capital letter."""
    return f"{said[0].upper()}{said[1:]}"


@dataclass(frozen=True)
class Finding:
    """One question's answer: the verdict, what was measured, and what to change.

    `check` is a name of `QUESTIONS`; `remedy` is empty where nothing is to be changed; `numbers` are the measured ones.
    """

    check: str
    verdict: Verdict
    measured: str
    remedy: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """What was asked."""
        return QUESTIONS[self.check]

    def __str__(self) -> str:
        head = f"{_SHOWN[self.verdict]:<8}{self.check:<10} {self.question}"
        lines = textwrap.wrap(self.measured, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
        changed = [f"{' ' * 8}{'->' if not at else '  '} {line}" for at, line in enumerate(self.remedy.splitlines())]
        return "\n".join([head, *lines, *changed])


@dataclass(frozen=True)
class Audit:
    """The findings of an audit, one for each question; printed, it is a text of a page.

    `faults`, `warnings` and `unknown` are the names of the questions with that verdict; `audit["norm"]` is a finding.
    """

    findings: tuple[Finding, ...]

    def named(self, verdict: Verdict) -> tuple[str, ...]:
        """The names of the questions with a verdict."""
        return tuple(one.check for one in self.findings if one.verdict == verdict)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong."""
        return self.named("fault")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works, and does less than it seems to."""
        return self.named("warning")

    @property
    def unknown(self) -> tuple[str, ...]:
        """What could not be told."""
        return self.named("could not tell")

    def __getitem__(self, check: str) -> Finding:
        found = next((one for one in self.findings if one.check == check), None)
        if found is None:
            raise BanachError(f"an audit has no question {check!r}; choose one of {', '.join(QUESTIONS)}")
        return found

    @property
    def summary(self) -> str:
        """How many of each verdict."""
        told = {"faults": self.faults, "warnings": self.warnings, "not told": self.unknown, "ok": self.named("ok")}
        return ", ".join(
            f"{len(names)} {name if len(names) != 1 else name.removesuffix('s')}" for name, names in told.items()
        )

    def __str__(self) -> str:
        order: tuple[Verdict, ...] = ("fault", "warning", "could not tell", "ok")
        ranked = sorted(self.findings, key=lambda one: order.index(one.verdict))
        return "\n".join([f"audit: {self.summary}", "", *(f"{one}" for one in ranked)])

    def html(self) -> str:
        """One self-contained page: no network, no other file."""
        return template("page.html.j2", Path(__file__).parent).render(findings=self.findings, summary=self.summary)

    def save(self, path: str | Path) -> Path:
        """Write the page (`.html`) or the text (`.txt`, `.md`) atomically, and return its path."""
        path = Path(path)
        if path.suffix not in (".html", ".txt", ".md"):
            raise BanachError(f"an audit is saved as .html, .txt or .md, not {path.name!r}")
        if not path.parent.is_dir():
            raise BanachError(f"there is no folder {str(path.parent)!r} to save {path.name} in; make it first")
        write_text(path, self.html() if path.suffix == ".html" else f"{self}\n")
        return path
