"""What became of an experiment, on disk: result.json, and whether it answers what is asked."""

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from banach.errors import BanachError
from banach.experiments.experiment import VERDICTS, Experiment, Outcome, Setting, plain
from banach.files import write_text

RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """A result.json: `asked` is what decides whether a later call is answered by it, `found` the outcome."""

    folder: Path
    asked: Mapping[str, Any]
    found: Mapping[str, Any]
    published: Mapping[str, Any] | None
    seconds: float
    when: str
    machine: str
    cpu_seconds: float | None = None
    """Those of all its processes; None in results that were written without."""

    @property
    def name(self) -> str:
        return self.asked["name"]

    @property
    def verdict(self) -> str:
        return self.found["verdict"]

    def as_dict(self) -> dict[str, Any]:
        """All of it but the folder, as it is written."""
        return {
            **self.asked,
            **self.found,
            "published": self.published,
            "seconds": round(self.seconds, 1),
            "cpu_seconds": None if self.cpu_seconds is None else round(self.cpu_seconds, 1),
            "when": self.when,
            "machine": self.machine,
        }


def asked_of(experiment: Experiment, setting: Setting) -> dict[str, Any]:
    """What a result must agree with: the same experiment with the same claim and rule, scale, data and seeds."""
    return plain(
        {
            "name": experiment.name,
            "title": experiment.title,
            "source": experiment.source,
            "claim": experiment.claim,
            "rule": experiment.rule,
            "scale": setting.scale,
            "data": setting.data,
            "seeds": setting.seeds,
        }
    )


def found_of(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON has it, with its verdict and by how much each check holds."""
    checks = [{**asdict(one), "holds": one.holds, "margin": one.margin} for one in outcome.checks]
    return plain(
        {
            "verdict": outcome.verdict,
            "checks": checks,
            "settings": outcome.settings,
            "numbers": outcome.numbers,
            "tables": [asdict(one) for one in outcome.tables],
            "figures": [asdict(one) for one in outcome.figures],
            "remarks": outcome.remarks,
        }
    )


def written(
    experiment: Experiment, setting: Setting, outcome: Outcome, published: Outcome | None, took: tuple[float, float]
) -> Result:
    """The result of a run that took so many seconds, and seconds of CPU, put into its folder."""
    result = Result(
        setting.folder,
        asked_of(experiment, setting),
        found_of(outcome),
        None if published is None else found_of(published),
        took[0],
        time.strftime("%Y-%m-%d"),
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        took[1],
    )
    write_text(setting.folder / RESULT, json.dumps(result.as_dict(), indent=2, ensure_ascii=False) + "\n")
    return result


_FOUND = ("verdict", "checks", "settings", "numbers", "tables", "figures", "remarks")
_REST = ("published", "seconds", "when", "machine")
_LATER = ("cpu_seconds",)
"""What results of older versions do not have."""


_ASKED = ("name", "title", "source", "claim", "rule", "scale")
_CHECK = {"what", "value", "limit", "at_least", "holds", "margin"}


def read_result(folder: Path) -> Result | None:
    """The result in a folder; None where there is none. BanachError where the file is damaged."""
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = {key: told.pop(key) for key in _FOUND}
        rest = {key: told.pop(key) for key in _REST} | {key: told.pop(key, None) for key in _LATER}
        fault = _fault(told, found, rest)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        fault = str(error) or type(error).__name__
    if fault:
        raise BanachError(f"{path} is no result of an experiment ({fault}); move it away and run again")
    return Result(folder, told, found, **rest)


def _fault(told: Mapping[str, Any], found: Mapping[str, Any], rest: Mapping[str, Any]) -> str:
    """What is wrong with the parts of a result.json; '' where nothing is."""
    if not all(isinstance(told.get(key), str) for key in _ASKED) or not isinstance(told.get("seeds"), list):
        return "it does not say what was asked"
    if not isinstance(told.get("data", 0), str | None) or not isinstance(rest["seconds"], int | float):
        return "its data are no text, or its seconds no number"
    return next(filter(None, map(_outcome_fault, (found, rest["published"] or found))), "")


def _outcome_fault(found: Mapping[str, Any]) -> str:
    if found["verdict"] not in VERDICTS:
        return f"verdict {found['verdict']!r}"
    for key, needed in (("checks", _CHECK), ("tables", {"title", "heads", "rows"}), ("figures", {"file", "caption"})):
        if not isinstance(found[key], list) or not all(needed <= {*one} for one in found[key]):
            return f"its {key} are not as they were written"
    return ""
