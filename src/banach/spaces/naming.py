"""Spaces by name: specs, intents, and a sentence that says what a space emphasises."""

from typing import Any

from banach.operators import Operator
from banach.spaces.metric import SPACES, Metric
from banach.specs import SpecError
from banach.tables import Table

INTENTS = {
    "l2": "Lp(2)",
    "shape": "Sobolev(s=-1, p=2)",
    "edges": "Sobolev(s=1, p=2)",
    "outliers": "Lp(4)",
}


def space(spec: "str | Metric") -> Metric:
    """The space that a spec, an intent name (l2, shape, edges, outliers) or a space itself stands for.

    >>> space("shape")
    Sobolev(s=-1)
    """
    if isinstance(spec, Metric):
        return spec
    try:
        found = SPACES.parse(INTENTS.get(spec.strip().lower(), spec))
    except SpecError as error:
        if str(error).startswith("unknown space"):
            raise SpecError(f"{error}; or an intent: {', '.join(INTENTS)}") from None
        raise
    except ValueError as error:
        raise SpecError(str(error)) from None
    if not isinstance(found, Metric):
        raise SpecError(f"{spec!r} is no space; for example Sobolev(s=-1)")
    return found


def files_of(metric: Metric) -> dict[str, str]:
    """The files that a space's tables were read from, as it names them, each with the SHA-256 of its content."""
    found: dict[str, str] = {}
    seen: set[int] = set()

    def visit(part: Any) -> None:
        if id(part) in seen:
            return
        seen.add(id(part))
        if isinstance(part, Table) and part.file is not None:
            found[part.file] = part.digest
        elif isinstance(part, Metric | Operator):
            for one in vars(part).values():
                visit(one)
        elif isinstance(part, tuple):
            for one in part:
                visit(one)

    visit(metric)
    return found


def emphasises(metric: Metric) -> str:
    """A sentence that says what a space emphasises."""
    return metric.emphasis
