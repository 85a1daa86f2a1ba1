"""Spaces by name: specs, intents, and a sentence that says what a space emphasises."""

from typing import Any

from banach.operators import Bessel, Matrix, Operator
from banach.spaces.computed import Dual
from banach.spaces.discrete import Discrete
from banach.spaces.intersection import InfConvolution, Intersection, TotalVariation
from banach.spaces.lp import Lp
from banach.spaces.mean_free import MeanFree, ModConstants
from banach.spaces.metric import SPACES, Metric
from banach.spaces.products import Product
from banach.spaces.weighted import Weighted
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
    match metric:
        case Metric(remeasured=True):
            return f"what {metric!r} weighs"
        case Lp(p=2):
            return "every entry of the data alike"
        case Lp(p=p):
            return "the largest differences most" if p > 2 else "many small differences as much as few large ones"
        case Weighted(A=Bessel(s=s), B=B):
            if s == 0:
                return emphasises(B)
            p = B.p if isinstance(B, Lp | MeanFree | ModConstants) else 2.0
            rest = "" if p == 2 else f"; of these, {emphasises(Lp(p))}"
            return ("low frequencies: global shape" if s < 0 else "high frequencies: edges and texture") + rest
        case Product(parts=parts):
            return "each part in its own norm: " + "; ".join(emphasises(part) for part in parts)
        case Weighted(A=Matrix(power=-0.5), B=Lp(p=2)):
            return "directions in which the data vary little (Mahalanobis)"
        case Intersection(A=A, B=B):
            return f"two things at once: {emphasises(A)}; and {emphasises(B)}"
        case InfConvolution(A=A, B=B):
            return f"what is large in both norms: {emphasises(A)}; and {emphasises(B)}"
        case TotalVariation():
            return "jumps between neighbours by their height and length, sharp or not, beside the entries themselves"
        case Dual(of=of):
            return f"what pairs with data that are small in {of!r}"
        case Weighted(A=A, B=B):
            return f"directions as {A!r} weighs them; of these, {emphasises(B)}"
        case Discrete():
            return "only whether two samples are equal"
    return (type(metric).__doc__ or "its own notion of size").strip().split("\n")[0]
