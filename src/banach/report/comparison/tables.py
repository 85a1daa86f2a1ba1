"""A comparison as files for other programs: CSV, a LaTeX tabular, JSON; and its figures as texts of fitting length."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from banach.report.comparison.columns import By
from banach.report.comparison.comparison import Cell, Comparison, Standing
from banach.report.comparison.statistics import CONFIDENCE, Summary
from banach.report.facts import duration

_MOST, _FIGURES = 6, 3

BEST = (
    f"Bold: the best mean of a score, where the paired {CONFIDENCE:.0%} t interval of its difference to every other "
    "method, over the seeds of both, excludes 0 (each interval by itself)."
)


def decimals(cells: Iterable[Cell]) -> int:
    """How many decimals the figures of a column get: two figures of the typical deviation, or three of the mean.

    >>> decimals([Cell({}, Summary(3, 19.71, 0.42), None), Cell({}, Summary(3, 25.1, 0.61), None)])
    2
    """
    found = [one.summary for one in cells if one.summary is not None]
    deviations = sorted(one.deviation for one in found if one.deviation)
    means = sorted(abs(one.mean) for one in found if one.mean)
    scale = deviations[len(deviations) // 2] if deviations else means[len(means) // 2] if means else 1.0
    figures = 2 if deviations else _FIGURES
    return min(_MOST, max(0, figures - 1 - math.floor(math.log10(scale))))


def figure(value: float | None, places: int, signed: bool = False) -> str:
    """A number with so many decimals, and a true minus; – for none.

    >>> figure(-1.26, 1), figure(2.0, 1, signed=True), figure(None, 1), figure(-0.0001, 2), figure(1e-9, 2)
    ('−1.3', '+2.0', '–', '0.00', '0.00')
    """
    if value is None:
        return "–"
    if abs(value) >= 1e7:
        return f"{value:.3g}".replace("-", "−")
    text = f"{value:{'+' if signed else ''},.{places}f}"
    if not re.search("[1-9]", text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def interval(of: Summary, places: int) -> str:
    """[low, high], or nothing where there is none."""
    if of.low is None or of.high is None:
        return ""
    return f"[{figure(of.low, places, signed=True)}, {figure(of.high, places, signed=True)}]"


def plus_minus(of: Summary | None, places: int) -> str:
    """mean ± deviation; of one number that number."""
    if of is None:
        return "–"
    spread = "" if of.deviation is None else f" ± {figure(of.deviation, places)}"
    return f"{figure(of.mean, places)}{spread}"


def budget_said(budget: float | None, by: By) -> str:
    """A column's budget in words: at step 4,000, after 3.2 min, at the end."""
    if budget is None:
        return "at the end"
    return f"at step {budget:,.0f}" if by == "steps" else f"after {duration(budget)}"


_HEADS = (
    "method", "score", "by", "budget", "n", "mean", "deviation", "low", "high", "best", "baseline", "difference",
    "difference_low", "difference_high", "pairs", "runs", "failed", "unfinished", "repeated", "by_seed",
)  # fmt: skip
"""The columns of the CSV file."""


def as_csv(found: Comparison) -> str:
    """One line for each method and score at each budget; numbers in full, the seeds' own numbers last."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADS)
    for by in get_args(By):
        for row in _rows(found, found.standings[by]):
            writer.writerow(["" if one is None else one for one in row])
    return out.getvalue()


def _rows(found: Comparison, standing: Standing) -> Iterable[list[Any]]:
    for method, cells in zip(found.methods, standing.cells, strict=True):
        for column, budget, cell in zip(found.columns, standing.budgets, cells, strict=True):
            of, less = cell.summary, cell.difference
            seeds = "; ".join(f"{'/'.join(dict.fromkeys(seed))}: {one!r}" for seed, one in cell.numbers.items())
            yield [
                method.name, column.title, standing.by, budget, 0 if of is None else of.n,
                *((None,) * 4 if of is None else (of.mean, of.deviation, of.low, of.high)), int(cell.best),
                found.methods[found.baseline].name,
                *((None,) * 3 if less is None else (less.mean, less.low, less.high)), 0 if less is None else less.n,
                len(method.members), *(method.number(kind) for kind in ("failed", "unfinished", "repeated")), seeds,
            ]  # fmt: skip


def as_latex(found: Comparison, by: By) -> str:
    r"""A `tabular` for `\usepackage{booktabs}`: mean and deviation over seeds, the numbers of runs, what bold means."""
    standing = found.standings[by]
    heads = ["method", "seeds", *(column.title for column in found.columns)]
    arrows = {True: r" $\uparrow$", False: r" $\downarrow$", None: ""}
    signs = ["", "", *(arrows[column.higher] for column in found.columns)]
    places = [decimals(row[at] for row in standing.cells) for at in range(len(found.columns))]
    lines = [
        "% Written by banach compare; needs \\usepackage{booktabs}.",
        f"% Mean and standard deviation over seeds, {', '.join(_budgets(found, standing))}.",
        f"% {BEST}",
        *(f"% {_one_line(note)}" for note in (*found.notes, *(note for one in found.columns for note in one.notes))),
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        " & ".join(escaped(head) + sign for head, sign in zip(heads, signs, strict=True)) + r" \\",
        r"\midrule",
    ]
    for method, cells in zip(found.methods, standing.cells, strict=True):
        row = [_latex_cell(cell, of) for cell, of in zip(cells, places, strict=True)]
        lines.append(
            " & ".join([escaped(method.name), escaped(seeds_said(method.counted, method.members)), *row]) + r" \\"
        )
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def seeds_said(counted: Sequence[object], members: Sequence[object]) -> str:
    """How many runs count, of how many.

    >>> seeds_said([1, 2], [1, 2, 3]), seeds_said([1], [1])
    ('2 of 3', '1')
    """
    return f"{len(counted)}" if len(counted) == len(members) else f"{len(counted)} of {len(members)}"


def _budgets(found: Comparison, standing: Standing) -> list[str]:
    said = [budget_said(budget, standing.by) for budget in standing.budgets]
    if len(set(said)) == 1:
        return said[:1]
    return [f"{_one_line(one.title)} {text}" for one, text in zip(found.columns, said, strict=True)]


def _latex_cell(cell: Cell, places: int) -> str:
    of = cell.summary
    if of is None:
        return "--"
    text = figure(of.mean, places).replace("−", "-")
    if of.deviation is not None:
        text += rf" \pm {figure(of.deviation, places)}"
    text = text.replace(",", "{,}")
    return rf"$\mathbf{{{text}}}$" if cell.best else f"${text}$"


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "₁": "$_1$",
    "|": r"\textbar{}", "–": "--", "±": r"$\pm$", "…": r"\dots{}", "λ": r"$\lambda$", "γ": r"$\gamma$",
}  # fmt: skip


def escaped(text: str) -> str:
    r"""A text as LaTeX shows it, whatever it holds.

    >>> escaped("lr_1 = 50% & {x}"), escaped("W₁")
    ('lr\\_1 = 50\\% \\& \\{x\\}', 'W$_1$')
    """
    return "".join(_LATEX.get(one, one) for one in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def as_mapping(found: Comparison) -> dict[str, Any]:
    """The whole comparison for JSON."""
    return {
        "baseline": found.methods[found.baseline].name,
        "notes": list(found.notes),
        "methods": [
            {
                "name": method.name,
                "runs": [str(run.folder) for run in method.members],
                "counted": [{"folder": str(run.folder), "seed": run.seed_said} for run in method.counted],
                "left_out": [
                    {"folder": str(one.member.folder), "kind": one.kind, "why": one.why} for one in method.left_out
                ],
            }
            for method in found.methods
        ],
        "scores": [
            {"title": one.title, "name": one.name, "sense": one.sense, "floor": one.floor,
             "protocol": dict(one.protocol), "notes": list(one.notes)}
            for one in found.columns
        ],
        **{by: _standing(found, found.standings[by]) for by in get_args(By)},
    }  # fmt: skip


def _standing(found: Comparison, standing: Standing) -> list[dict[str, Any]]:
    rows = []
    for row in _rows(found, standing):
        rows.append(dict(zip(_HEADS[: _HEADS.index("runs")], row, strict=False)) | {"best": bool(row[9])})
    cells = (cell for row in standing.cells for cell in row)
    for row, cell in zip(rows, cells, strict=True):
        row["values"] = [
            {"seed": seed[0], "split_seed": seed[1], "value": one.value, "step": one.step, "minutes": one.minutes,
             "why": one.why}
            for seed, one in cell.values.items()
        ]  # fmt: skip
    return rows
