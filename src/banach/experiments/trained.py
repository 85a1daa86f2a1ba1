"""A game trained in memory, with looks at its state on the way: what experiments with many small runs share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from banach.config.config import Config
from banach.data.dataset import Data
from banach.game import Game
from banach.training.build import build
from banach.training.finite import NotFinite
from banach.training.loop import train
from banach.training.state import State

CPU = torch.device("cpu")
_BLOCK = 256

_Seen = TypeVar("_Seen")


@dataclass(frozen=True)
class Trained(Generic[_Seen]):
    """A state after its training, what was seen on the way as (step, seen), and how long the training alone took.

    `ended` is the step at which a loss was not finite; None where there was none.
    """

    state: State
    seen: tuple[tuple[int, _Seen], ...]
    seconds: float
    ended: int | None = None


def trained(
    state: State, game: Game, data: Data, until: int, every: int, look: Callable[[State], _Seen]
) -> Trained[_Seen]:
    """Train to step `until`; `look` is taken before the first step, every so many steps, and after the last."""
    seen = [(0, look(state))]
    ended = None
    try:
        train(state, game, data, until, [(every, lambda state, batch: seen.append((state.step, look(state))))])
    except NotFinite:  # before the weights were touched: they are those of the step before
        ended = state.step
        seen.append((state.step, look(state)))
    return Trained(state, tuple(seen), state.seconds, ended)


def trained_as(config: Config, data: Data, every: int, look: Callable[[State], _Seen]) -> Trained[_Seen]:
    """`trained` for the game and the networks of a config, over its steps."""
    built = build(config, data, CPU)
    return trained(built.state, built.game, built.data, config.steps, every, look)


@torch.no_grad()
def samples(state: State, n: int, seed: int = 0) -> Tensor:
    """n samples (n, *event) of the averaged generator in model units; the same latents for the same seed."""
    z = torch.randn(n, state.latents.shape[1], generator=torch.Generator().manual_seed(seed))
    return torch.cat([state.average(block) for block in z.to(state.latents).split(_BLOCK)])


def numbers(values: Sequence[Any]) -> list[float]:
    """Numbers as a part of a run keeps them, where those that are not finite are texts.

    >>> numbers([1, "inf"])
    [1.0, inf]
    """
    return [float(one) for one in values]
