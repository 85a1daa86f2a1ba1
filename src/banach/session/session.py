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
    console_noted: bool = False

    def say(self, text: str) -> None:
        """On the console and into log.txt."""
        for line in text.split("\n"):
            self.console.say(line)
        self.log.write(text)
        self.note_lost_console()

    def note_lost_console(self) -> None:
        """Once in log.txt, that nobody hears the console any more; the run goes on."""
        if self.console.lost and not self.console_noted:
            self.console_noted = True
            self.log.write(f"the console is lost ({self.console.lost}): the run goes on, and says what it has to here")

    def generator(self, state: State) -> Generator:
        """The averaged generator as it is now (its weights are shared, not copied)."""
        return Generator(state.average, self.data.units, replace(self.about, step=state.step))
