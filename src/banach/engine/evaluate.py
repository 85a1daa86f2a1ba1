"""Scores of a run: during training, and afterwards by command."""

from collections.abc import Callable

from banach.engine.loop import Moment
from banach.engine.session import Session
from banach.engine.state import State


def scoring(session: Session) -> Callable[[State, Moment], None]:
    """Scores the averaged generator and keeps the best one."""

    def hook(state: State, moment: Moment) -> None:
        del state, moment

    return hook
