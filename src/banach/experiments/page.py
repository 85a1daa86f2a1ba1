"""What the experiments found, for people: one HTML page beside the results, and the same as Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from banach.experiments.results import Result
from banach.files import write_text
from banach.report.embed import embedded
from banach.templates import template

PAGE = "index.html"
_TINY = "Scale tiny shows that it runs; the verdict means nothing."


def write_page(out: Path, results: Sequence[Result]) -> Path:
    """The page of all results in a folder: it needs no other file."""
    sections = [_section(one) for one in results]
    path = out / PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, template("page.html.j2", Path(__file__).parent).render(sections=sections))
    return path


def _section(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "asked": result.asked,
        "parts": [_part(result, result.found, "")]
        + ([] if result.published is None else [_part(result, result.published, "With the published constants")]),
        "verdict": result.verdict,
        "held": _held(result),
        "ran": f"{result.seconds / 60:.1f} minutes{_cpu(result)}, {result.when}, {result.machine}",
    }


def _held(result: Result) -> str:
    checks = result.found["checks"]
    return f"{sum(one['holds'] is True for one in checks)} of {len(checks)}"


def _cpu(result: Result) -> str:
    return "" if result.cpu_seconds is None else f" ({result.cpu_seconds / 60:.1f} of CPU)"


def _part(result: Result, found: Any, title: str) -> dict[str, Any]:
    frames = [(embedded(result.folder / one["file"], one["caption"]), one["caption"]) for one in found["figures"]]
    return {
        "title": title,
        "verdict": found["verdict"],
        "checks": [_check(one) for one in found["checks"]],
        "tables": found["tables"],
        "frames": [(frame, caption) for frame, caption in frames if frame is not None],
        "remarks": found["remarks"],
        "settings": found["settings"],
    }


def _check(one: dict[str, Any]) -> dict[str, str]:
    said = {True: "holds", False: "does not hold", None: "not measured"}[one["holds"]]
    asked = f"{'at least' if one['at_least'] else 'at most'} {number(one['limit'])}"
    return {"what": one["what"], "value": number(one["value"]), "asked": asked, "said": said,
            "margin": number(one["margin"])}  # fmt: skip


def number(value: float | str) -> str:
    """A number in four digits; what is not finite by its name.

    >>> number(0.123456), number(12345678.0), number("nan"), number(3)
    ('0.1235', '1.235e+07', 'nan', '3')
    """
    return value if isinstance(value, str) else f"{value:.4g}"


def markdown(results: Sequence[Result]) -> str:
    """The same in Markdown: a table of all verdicts, then a section for each."""
    heads = ("experiment", "source", "scale", "verdict", "checks that hold", "seeds", "minutes (of CPU)")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for one in results:
        seeds = len(one.asked["seeds"])
        name = f"[{one.name}](#{one.name})"
        cells = (name, _cell(one.asked["source"]), one.asked["scale"], one.verdict, _held(one), str(seeds))
        lines.append(f"| {' | '.join(cells)} | {one.seconds / 60:.1f}{_cpu(one)} |")
    for one in results:
        lines += ["", f"## {one.name}", "", f"{_ended(one.asked['title'])} {_ended(one.asked['source'])}", ""]
        lines += [_TINY, ""] if one.asked["scale"] == "tiny" else []
        lines += [f"Data: {one.asked['data']}.", ""] if one.asked["data"] else []
        lines += [f"*Claim.* {one.asked['claim']}", "", f"*Rule.* {one.asked['rule']}", ""]
        lines += _found(one.found, "*Verdict.*")
        if one.published is not None:
            lines += ["", *_found(one.published, "*With the published constants.*")]
    return "\n".join(lines) + "\n"


def _found(found: Any, head: str) -> list[str]:
    lines = [
        f"{head} The claim **{found['verdict']}**." if found["verdict"] != "undecided" else f"{head} Undecided.",
        "",
    ]
    lines += ["| measured | value | asked | holds |", "|---|---|---|---|"]
    for one in map(_check, found["checks"]):
        lines.append(f"| {_cell(one['what'])} | {one['value']} | {one['asked']} | {one['said']} |")
    for table in found["tables"]:
        lines += ["", f"{table['title']}:", "", f"| {' | '.join(map(_cell, table['heads']))} |"]
        lines += ["|" + "---|" * len(table["heads"])]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in table["rows"]]
    lines += [line for remark in found["remarks"] for line in ("", remark)]
    shown = ", ".join(f"{key} {value}" for key, value in found["settings"].items())
    return [*lines, "", f"Settings: {shown}."] if shown else lines


def _ended(text: str) -> str:
    """A text as a sentence: one that ends as a sentence does gets no second end.

    >>> _ended("A title"), _ended("Is it?")
    ('A title.', 'Is it?')
    """
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
