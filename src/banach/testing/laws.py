"""Results of checking laws: a measured error beside its tolerance, and where it was worst."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LawResult:
    """One law: its name, whether it holds, the largest error measured, what is allowed, and where that was."""

    name: str
    ok: bool
    measured: float
    tolerance: float
    detail: str = ""

    def __str__(self) -> str:
        mark = "ok    " if self.ok else "BROKEN"
        where = f"  ({self.detail})" if self.detail else ""
        return f"{mark} {self.name}: {self.measured:.2g}, allowed {self.tolerance:.2g}{where}"


class LawError(AssertionError):
    """A law that does not hold; the message lists all that do not."""


def assert_laws(results: Iterable[LawResult]) -> list[LawResult]:
    """The results themselves, if every law holds; otherwise `LawError` with a line for each that does not.

    >>> assert_laws([LawResult("zero", True, 0.0, 0.0)])
    [LawResult(name='zero', ok=True, measured=0.0, tolerance=0.0, detail='')]
    """
    results = list(results)
    if not results:
        raise LawError("no law was checked")
    if broken := [str(one) for one in results if not one.ok]:
        raise LawError("\n".join(broken))
    return results


class Ledger:
    """The worst error of each law over all the vectors, scales and shapes it was tried on."""

    def __init__(self):
        self._worst: dict[str, LawResult] = {}

    def note(self, law: str, errors: Tensor | float, tolerance: float, where: str | Sequence[str] = "") -> None:
        """Record errors of `law`, `where` naming all of them or each; what is not a number counts as infinite."""
        flat = torch.as_tensor(errors).detach().double().flatten()
        flat = torch.where(flat.isnan(), math.inf, flat)
        if flat.numel() == 0:
            self._worst.setdefault(law, LawResult(law, True, 0.0, tolerance, "nothing to measure"))
            return
        at = int(flat.argmax())
        worst = float(flat[at])
        before = self._worst.get(law)
        if before is None or worst > before.measured or before.detail == "nothing to measure":
            place = where if isinstance(where, str) else where[at]
            self._worst[law] = LawResult(law, worst <= tolerance, worst, tolerance, place)

    def refuse(self, law: str, why: str) -> None:
        """Record that `law` could not even be tried."""
        self._worst[law] = LawResult(law, False, math.inf, 0.0, why)

    def attempt(self, law: str, what: Callable[[], None]) -> None:
        """Run a check; an error in it breaks `law`, and its first line is the detail."""
        try:
            what()
        except Exception as error:  # whatever a user's own code raises is a finding, not a crash
            said = (str(error).strip() or "no message").splitlines()[0]
            self.refuse(law, f"{type(error).__name__}: {said}")

    def results(self) -> list[LawResult]:
        return list(self._worst.values())
