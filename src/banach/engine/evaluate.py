"""Scores of a run: during training, and afterwards of any generator file."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import yaml

from banach.data.sets import Data
from banach.engine.build import is_writer, load_data
from banach.engine.config import Config
from banach.engine.console import short, thousands
from banach.engine.generator import Generator, GeneratorError
from banach.engine.loop import Moment
from banach.engine.reader import read_config
from banach.engine.session import Session
from banach.engine.state import State
from banach.metrics.features import ScoreError, extractor, extractor_for
from banach.metrics.fields import EUCLIDEAN, evaluate_fields
from banach.metrics.scores import Scores, evaluate
from banach.spaces import space

SEED = 0
"""Seed of the samples that are scored: the same latents at every step and for every run."""

LEADING = ("fid", "w1")
"""The score by which `best.safetensors` is chosen: FID of images, exact W1 of arrays."""


def score(generator: Generator, data: Data, n: int, seed: int = SEED, extractor: str = "auto") -> Scores:
    """Scores of `n` samples against the training part of `data`, each beside its floor and with its protocol.

    Images are scored in the features of `extractor`; arrays by moments, and by exact W1 in the norm the generator was
    trained in, in the data's units. Raises `ScoreError`.
    """
    fakes, train, held_out = generator.sample(n, seed), data.train.cpu(), data.held_out.cpu()
    if data.kind == "image":
        return evaluate(fakes, train, held_out, extractor="" if extractor == "auto" else extractor)
    trained_in = generator.about.space
    return evaluate_fields(fakes, train, held_out, metric=space(trained_in) if trained_in else EUCLIDEAN)


def check_scoring(config: Config, data: Data) -> None:
    """Raises `ScoreError` now, not at the first scoring, where the extractor is not there or does not fit."""
    if data.kind == "image":
        extractor(extractor_for(data.shape) if config.extractor == "auto" else config.extractor)


def data_of(generator: Generator) -> Data:
    """The data set a generator was trained on, read and split as then; raises `DataError` where it is gone."""
    return load_data(reading_of(generator))


def reading_of(generator: Generator) -> Config:
    """How the generator's training data were read, from the config in its file.

    Only the keys of the data are obeyed: a file from elsewhere must not name plugins, which are code, to be run.
    """
    if not generator.about.config:
        raise GeneratorError("this generator does not say on which data it was trained; name them with --data")
    stored = yaml.safe_load(generator.about.config)
    about_data = {field.name for field in dataclasses.fields(Config) if field.metadata["group"] == "data"} | {"seed"}
    return read_config({key: value for key, value in stored.items() if key.replace("-", "_") in about_data})


def score_file(path: str | Path, n: int = 10_000, seed: int = SEED, extractor: str = "auto") -> Scores:
    """`score` of a generator file on the data it was trained on."""
    generator = Generator.load(path)
    return score(generator, data_of(generator), n, seed, extractor)


def scoring(session: Session) -> Callable[[State, Moment], None]:
    """Scores the averaged generator into scores.jsonl, and keeps the best one as best.safetensors."""

    def hook(state: State, moment: Moment) -> None:
        if is_writer():
            state.watch.check()
            session.lock.check()
            session.console.busy(f"scoring {session.config.score_samples:,} samples")
            _score(session, state)
            session.console.busy("")

    return hook


def _score(session: Session, state: State) -> None:
    config = session.config
    try:
        found = score(session.generator(state), session.data, config.score_samples, SEED, config.extractor)
    except ScoreError as error:  # a run goes on without its scores
        session.say(f"no scores at step {state.step:,}: {error}")
        return
    line = {
        "step": state.step,
        "minutes": state.seconds / 60,
        "scores": found.value,
        "floors": {name: found.floor[name] for name in found.value if name in found.floor},
        "matched": {name: found.matched[name] for name in found.value if name in found.matched},
        "protocol": found.protocol,
    }
    session.scores.append(line)
    session.board.scores(state.step, found.value)
    session.console.event("scores", line)
    name = next(one for one in LEADING if one in found.value)
    session.score = f"{_title(name)} {short(found.value[name])} @{thousands(state.step)}"
    floor = f" (floor {short(found.floor[name])})" if name in found.floor else ""
    session.log.write(f"step {state.step:,}: {session.score}{floor}")
    if found.value[name] < state.best:
        session.generator(state).save(session.folder.best)
        state.best = found.value[name]


def _title(name: str) -> str:
    return {"fid": "FID", "w1": "exact W1"}[name]
