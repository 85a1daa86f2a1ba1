"""Every objective and every Lipschitz constraint of the registries, as keys of a config: what the tables run over."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from banach.constraints import CONSTRAINTS
from banach.objectives import OBJECTIVES, Objective
from banach.penalties import PENALTIES, SoftConstraint
from banach.specs import Registry, SpecError

TOY: dict[str, Any] = {
    "model": "mlp",
    "z": 2,
    "penalty": "none",
    "drift": 0.0,
    "beta1": 0.5,
    "beta2": 0.9,
    "ema": 0.0,
}
"""What the tables have in common: the constants of gan_toy.py but for sizes and rates, and no constraint as yet."""


@dataclass(frozen=True)
class Constrained:
    """One way to keep the critic Lipschitz: its name, the keys of a config that choose it, and whether it bounds it."""

    name: str
    keys: dict[str, Any] = field(default_factory=dict)
    bounds: bool = True


OWN_KEYS: dict[str, dict[str, Any]] = {"clip": {"optimizer": "rmsprop"}}
"""What else a constraint's paper asks for: weight clipping was published with RMSProp."""


def methods(registry: Registry) -> dict[str, Any]:
    """What is a method as it stands, by name: the building blocks, which need arguments, are not."""
    found = {}
    for name in registry:
        with contextlib.suppress(SpecError):
            found[name] = registry.parse(name)
    return found


def constraints() -> tuple[Constrained, ...]:
    """No constraint, every penalty, and every constraint on weights, as they are registered."""
    soft = [
        Constrained(name, {"penalty": name}, isinstance(one, SoftConstraint) and one.bounds_critic)
        for name, one in methods(PENALTIES).items()
    ]
    hard = [
        Constrained(name, {"constraint": name, **OWN_KEYS.get(name, {})})
        for name in methods(CONSTRAINTS)
        if name != "none"
    ]
    return (Constrained("none", bounds=False), *soft, *hard)


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


def written_between(page: Path, name: str, text: str) -> None:
    """Put `text` between the page's markers `<!-- name -->` and `<!-- end of name -->`."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = page.read_text(encoding="utf-8").partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{page} has no place for it: the lines {start.strip()} and {end.strip()}")
    page.write_text(f"{before}{start}{text.strip()}\n{end}{after}", encoding="utf-8")
