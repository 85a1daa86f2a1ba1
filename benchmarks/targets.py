"""All targets of speed in one table: `python -m benchmarks.targets`.

Runs the benchmarks behind it one after the other, each by itself (three hours, most of it the equal-time comparison),
and prints what was wanted and what was found. What a benchmark has found on this machine with these versions is kept in
runs/benchmarks/ and used again; `--again` names those to repeat, `--only` those to do with. Writes docs/speed.md. Exit
code 1 if a target is missed.
"""

import argparse
import importlib
import json
import sys
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from banach.files import written_between
from banach.runs.environment import environment

PAGE, KEPT = Path("docs/speed.md"), Path("runs/benchmarks")
BENCHMARKS: dict[str, list[str]] = {
    "step": [],
    "norm_cost": [],
    "equal_time": ["--at-once"],
    "precision": [],
    "precision_runs": [],
    "processes": [],
    "loader": ["--write"],
}
"""Those that the table is made of, with their arguments."""


@dataclass(frozen=True)
class Target:
    """One row: what, what is wanted of it, what was found, and whether that will do (None: it is only reported)."""

    what: str
    wanted: str
    found: str
    met: bool | None


def machine() -> str:
    """Processor and versions, without which a figure says nothing."""
    about = environment(0, torch.device("cpu"), [])
    return f"{about['processor']}, {about['cores']} cores, torch {about['packages']['torch']}"


def keep(name: str, targets: list[Target]) -> None:
    """Write down what a benchmark has found, for the table."""
    path = KEPT / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine(), "targets": [asdict(one) for one in targets]}
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps(content, indent=1))
    whole.replace(path)


def kept(name: str) -> list[Target] | None:
    """What a benchmark has found on this machine with these versions; None if nothing."""
    path = KEPT / f"{name}.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    return [Target(**one) for one in content["targets"]] if content["machine"] == machine() else None


def table(targets: list[Target]) -> str:
    """The rows as Markdown."""
    words = {True: "met", False: "**missed**", None: "reported"}
    rows = [f"| {one.what} | {one.wanted} | {one.found} | {words[one.met]} |" for one in targets]
    return "\n".join(["| what | target | found | |", "|---|---|---|---|", *rows])


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), default=list(BENCHMARKS), help="these alone")
    parser.add_argument("--again", nargs="+", choices=list(BENCHMARKS), default=[], help="repeat these")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(argv)
    found: list[Target] = []
    for name in options.only:
        if name in options.again or kept(name) is None:
            print(f"== {name}", flush=True)
            importlib.import_module(f"benchmarks.{name}").main(BENCHMARKS[name])
        found += kept(name) or []
    said = f"{machine()}. Each row by the benchmark that its section names, alone on the machine."
    text = "\n".join([table(found), "", *textwrap.wrap(said, 118)])
    print(f"\n{text}")
    written_between(options.page, "targets", text)
    return 0 if all(one.met is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
