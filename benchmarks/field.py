"""Every objective and every Lipschitz constraint of the registries, as keys of a config: what the tables run over."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from banach.constraints import CONSTRAINTS
from banach.models import MODELS
from banach.objectives import OBJECTIVES, Objective
from banach.penalties import PENALTIES, SoftConstraint
from banach.specs import Registry, SpecError


@dataclass(frozen=True)
class Constrained:
    """One way to keep the critic Lipschitz: its name, the keys of a config that choose it, and whether it bounds it."""

    name: str
    keys: dict[str, Any] = field(default_factory=dict)
    bounds: bool = True


OWN_KEYS: dict[str, dict[str, Any]] = {
    "wgan-gp": {"penalty_weight": 0.1},
    "wgan-lp": {"penalty_weight": 0.1},
    "swgan": {"penalty_weight": 0.1},
    "swgan-al": {
        "penalty": "AugmentedLagrangian(Along(8), SquaredExcess(), Mean(), quadratic=5e-5, rate=1e-4, least=0)"
    },
    "clip": {"optimizer": "rmsprop"},
}
"""What a constraint's own code asks for on points in the plane, and the optimizer that it was published with."""


def methods(registry: Registry) -> dict[str, Any]:
    """What is a method as it stands, by name: the building blocks, which need arguments, are not."""
    found = {}
    for name in registry:
        with contextlib.suppress(SpecError):
            found[name] = registry.parse(name)
    return found


def constraints() -> tuple[Constrained, ...]:
    """No constraint, every penalty, every constraint on weights, and every critic that is Lipschitz by construction."""
    soft = [
        Constrained(
            name, {"penalty": name, **OWN_KEYS.get(name, {})}, isinstance(one, SoftConstraint) and one.bounds_critic
        )
        for name, one in methods(PENALTIES).items()
    ]
    hard = [
        Constrained(name, {"constraint": name, **OWN_KEYS.get(name, {})})
        for name in methods(CONSTRAINTS)
        if name != "none"
    ]
    critics = [Constrained(name, {"model": name}) for name in MODELS if MODELS[name].critic_in is not None]
    return (Constrained("none", bounds=False), *soft, *hard, *critics)


def objectives() -> tuple[str, ...]:
    """Every registered objective by its first example, and its variant psi = varphi; each game once.

    `logistic(psi='varphi')` is not there, for instance: it is `vanilla`.
    """
    firsts = [one.examples[0] for one in OBJECTIVES.entries()]
    variants = [spec for spec in OBJECTIVES.examples() if "psi='varphi'" in spec]
    found: dict[str, Objective] = {}
    for spec in (*firsts, *variants):
        of = OBJECTIVES.parse(spec)
        if of not in found.values():
            found[spec] = of
    order = [entry.name for entry in OBJECTIVES.entries()]
    return tuple(sorted(found, key=lambda spec: order.index(spec.partition("(")[0])))


def chosen(names: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    """The given names, all of the known ones if none is given; ValueError for one that is not known."""
    wanted = list(names) or list(known)
    if unknown := [one for one in wanted if one not in known]:
        raise ValueError(f"there is no {', '.join(unknown)}; known: {', '.join(known)}")
    return wanted


def table(heads: Sequence[str], rows: Mapping[str, Sequence[str]], align: str = "---") -> list[str]:
    """The lines of a Markdown table whose first column, the names, has no head."""
    lines = [f"| | {' | '.join(heads)} |", "|---|" + f"{align}|" * len(heads)]
    return lines + [f"| `{name}` | {' | '.join(cells)} |" for name, cells in rows.items()]


def read_table(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """Heads and rows of the first table in a page that `table` has made; nothing where it has none as yet."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    if not lines:
        return [], {}
    (_, *heads), _, *body = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
    return heads, {name.strip("`"): cells for name, *cells in body}
