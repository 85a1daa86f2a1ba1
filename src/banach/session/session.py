"""One session of a run: its folder, its records and its console, shared by all that observes the training."""

import math
from dataclasses import dataclass, replace

from banach.config.config import Config
from banach.data.dataset import Data
from banach.game import Game
from banach.generator import About, Generator
from banach.runs.folder import RunFolder
from banach.runs.lock import Lock
from banach.runs.records import Board, JsonLines, LogFile
from banach.session.console import Console
from banach.training.state import State


@dataclass
class Session:
    """What the observers of a run share. `score` is the newest score in words, of step `scored_at`;
    `gaussian` is that of the Gaussian with the data's moments, once it is known; `last_…` are of the line before."""

    folder: RunFolder
    config: Config
    data: Data
    game: Game
    about: About
    console: Console
    metrics: JsonLines
    scores: JsonLines
    log: LogFile
    board: Board
    lock: Lock
    score: str = ""
    scored_at: int = 0
    gaussian: float = math.nan
    eta_seconds: float = math.nan
    last_images: int = 0
    last_seconds: float = 0.0

    def say(self, text: str) -> None:
        """On the console and into log.txt."""
        for line in text.split("\n"):
            self.console.say(line)
        self.log.write(text)

    def generator(self, state: State) -> Generator:
        """The averaged generator as it is now (its weights are shared, not copied)."""
        return Generator(state.average, self.data.units, replace(self.about, step=state.step))
