"""One entry point to all laws, for `banach laws SPEC`: the kind of object decides which are tested."""

from collections.abc import Callable

from banach.constraints import CONSTRAINTS, Constraint
from banach.models import MODELS, Family
from banach.objectives import OBJECTIVES, Objective
from banach.operators import OPERATORS, Operator
from banach.penalties import PENALTIES, SoftConstraint
from banach.spaces import INTENTS, SPACES, Metric
from banach.specs import Registry, SpecError, parse
from banach.testing.constraints import check_constraint
from banach.testing.laws import LawResult
from banach.testing.models import check_model
from banach.testing.objectives import check_objective
from banach.testing.operators import check_operator
from banach.testing.penalties import check_penalty
from banach.testing.spaces import check_space

KINDS: dict[str, tuple[Registry, type, Callable[..., list[LawResult]]]] = {
    "space": (SPACES, Metric, check_space),
    "operator": (OPERATORS, Operator, check_operator),
    "objective": (OBJECTIVES, Objective, check_objective),
    "penalty": (PENALTIES, SoftConstraint, check_penalty),
    "constraint": (CONSTRAINTS, Constraint, check_constraint),
    "model": (MODELS, Family, check_model),
}


def check(of: object, kind: str | None = None) -> list[LawResult]:
    """The laws of an object or of what a spec stands for; `kind` is one of `KINDS`, found from the object by default.

    SpecError where there is no such thing, or no laws for it.

    >>> all(law.ok for law in check("wasserstein"))
    True
    """
    if kind is not None and kind not in KINDS:
        raise SpecError(f"there are no laws for {kind!r}; choose one of {', '.join(KINDS)}")
    if isinstance(of, str):
        text = INTENTS.get(of.strip().lower(), of) if kind in (None, "space") else of
        of = parse(text, KINDS[kind][0] if kind else None)
    for name, (_, wanted, laws) in KINDS.items():
        if isinstance(of, wanted) and kind in (None, name):
            return laws(of)
    raise SpecError(f"there are no laws for {of!r} as a {kind or 'thing of its kind'}; known kinds: {', '.join(KINDS)}")
