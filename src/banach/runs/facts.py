"""facts.json: what a run is, as found and measured when its newest session began, for whoever reads its folder."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin

from banach.files import write_text
from banach.foreign import SMALL, Unreadable, read_bytes, read_json, visible

_LARGEST = 2**53


def _means(what: str) -> dict[str, str]:
    return {"means": what}


@dataclass(frozen=True)
class Facts:
    """One session's start; each field is a key of facts.json, with its meaning in `KEYS`."""

    data: str = field(metadata=_means("the name of the data"))
    data_notes: tuple[str, ...] = field(metadata=_means("how they were read: what was skipped, split, resized"))
    fingerprint: str = field(metadata=_means("a hash of the data as read and split"))
    train: int = field(metadata=_means("samples to train on"))
    held_out: int = field(metadata=_means("samples held out"))
    shape: tuple[int, ...] = field(metadata=_means("the shape of one sample, channels first"))
    space: str = field(metadata=_means("the norm, as a spec"))
    emphasises: str = field(metadata=_means("what the norm emphasises, in words"))
    lam: float | int | str | None = field(
        metadata=_means('lambda, the weight of the penalty; "batch": E norm(X) of each batch; null without one')
    )
    lam_error: float | int | None = field(
        metadata=_means("its standard error, where it was measured on the data; else null")
    )
    gamma: float | int | str = field(metadata=_means('gamma, f = D / gamma; "batch": E dual.norm(X) of each batch'))
    gamma_error: float | int | None = field(
        metadata=_means("its standard error, where it was measured on the data; else null")
    )
    model: str = field(metadata=_means("the family of networks, as a spec"))
    generator_parameters: int = field(metadata=_means("trained numbers of the generator"))
    critic_parameters: int = field(metadata=_means("trained numbers of the critic"))
    device: str = field(metadata=_means("where it was computed"))
    precision: str = field(metadata=_means("the number format of the networks"))
    threads: int = field(metadata=_means("threads of torch in each process"))
    processes: int = field(metadata=_means("processes that trained together"))
    forms: str = field(metadata=_means("the layouts chosen for convolutions; empty where there was no choice"))
    step: int = field(metadata=_means("the generator step at which the session began"))
    steps: int = field(metadata=_means("the step at which the run ends"))
    not_finite: str = field(metadata=_means("what was not finite, if the session stopped for that; else empty"))

    def sentences(self) -> dict[str, str]:
        """Data, networks, lambda and gamma in words, by these names; without a penalty there is no lambda."""
        found = {
            "data": f"{self.data}: {self.train:,} to train on, {self.held_out:,} held out, shape {self.shape}",
            "networks": f"{self.model}: generator {self.generator_parameters:,} parameters, "
            f"critic {self.critic_parameters:,}",
            "gamma": _measured(self.gamma, self.gamma_error),
        }
        return found if self.lam is None else {**found, "lambda": _measured(self.lam, self.lam_error)}


KEYS = {one.name: one.metadata["means"] for one in fields(Facts)}
"""The keys of facts.json, in order, and what they mean."""


def _measured(value: float | str, error: float | None) -> str:
    if isinstance(value, str):
        return "of each batch"
    return f"{value:.4g}" + (f" ± {error:.1g} (from the data)" if error is not None else "")


def write(path: Path, facts: Facts) -> None:
    """Put the facts in a run's folder, in place of those of the session before."""
    write_text(path, json.dumps(asdict(facts), indent=1) + "\n")


def read(path: Path) -> Facts:
    """The facts of a run; `Unreadable` where the file does not hold them. It may be a stranger's."""
    try:
        found = read_json(read_bytes(path, SMALL))
    except UnicodeDecodeError:
        raise Unreadable("it is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Unreadable("it holds no keys")
    for one in fields(Facts):
        if one.name not in found or not _fits(found[one.name], one.type):
            raise Unreadable(f"its {one.name!r} is missing, or no {one.metadata['means']}")
    return Facts(**{name: _frozen(found[name]) for name in KEYS})


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(_fits(one, get_args(kind)[0]) for one in value)
    return isinstance(value, kind) and not isinstance(value, bool) and not (
        isinstance(value, int) and abs(value) >= _LARGEST
    )  # fmt: skip


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return visible(value) if isinstance(value, str) else value
