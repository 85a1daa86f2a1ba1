"""Warm starts: the state that solvers of computed norms carry from one training step to the next.

A norm without a closed form is found by iteration, which is shorter if it begins where the last step ended. That memory
is an argument, not a hidden state: without `warm_starts` around it every solve begins cold, and the same call gives the
same numbers.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class _Session:
    before: Mapping[str, Tensor]
    after: dict[str, Tensor]
    solved: dict[str, int] = field(default_factory=dict)


_SESSION: ContextVar[_Session | None] = ContextVar("warm_starts", default=None)


@contextlib.contextmanager
def warm_starts(memory: Mapping[str, Tensor] | None = None) -> Iterator[dict[str, Tensor]]:
    """Solves inside begin from `memory`; the dictionary it yields is the memory for the next time.

    The memory is a flat dictionary of detached tensors with text keys, so that it can lie in a checkpoint. It changes
    how fast a norm is found, and its value within the space's tolerance only. The yielded dictionary begins as a copy
    of `memory`, which stays as it is; the n-th solve of a space in this block belongs to the n-th of the last one.

    >>> with warm_starts({}) as memory:
    ...     pass  # space.dual.norm(u)
    >>> with warm_starts(memory) as memory:
    ...     pass  # the same with the next u
    """
    before = dict(memory or {})
    session = _Session(before, dict(before))
    token = _SESSION.set(session)
    try:
        yield session.after
    finally:
        _SESSION.reset(token)


@dataclass(frozen=True)
class Slot:
    """The stored state of one solve: read when it starts, written when it ends."""

    name: str
    _session: _Session | None

    def recall(self, part: str) -> Tensor | None:
        """The tensor stored the last time; None outside `warm_starts`, or the first time."""
        return None if self._session is None else self._session.before.get(f"{self.name} {part}")

    def keep(self, part: str, value: Tensor) -> None:
        """Store a tensor for the next time; does nothing outside `warm_starts`."""
        if self._session is not None:
            self._session.after[f"{self.name} {part}"] = value.detach().clone()


def slot(name: str) -> Slot:
    """The slot of the next solve under this name: the first in a block of `warm_starts`, the second, …"""
    session = _SESSION.get()
    if session is None:
        return Slot(name, None)
    turn = session.solved[name] = session.solved.get(name, 0) + 1
    return Slot(f"{name} #{turn}", session)
