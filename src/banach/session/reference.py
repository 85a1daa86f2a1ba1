"""The data that a generator is scored against, and whether they are those on which it was trained.

A floor, and W1 over held-out data, are of rows that were never trained on. Which rows these are is known only while
data and split are what they were: the generator's file has their fingerprint.
"""

import dataclasses
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from banach.config.config import Config
from banach.config.keys import ConfigError, hyphened, keys_of
from banach.config.parts import DataKeys
from banach.config.reading import file_values, read_config
from banach.data.dataset import Data
from banach.data.load import exists, is_named, load
from banach.errors import BanachError, DataError
from banach.foreign import Unreadable, typed
from banach.foreign_yaml import read_yaml
from banach.generator import Generator, GeneratorError
from banach.runs import facts
from banach.runs.folder import RunFolder
from banach.training.build import load_again, load_data

HELD_OUT = "held out"


@dataclasses.dataclass(frozen=True)
class Reference:
    """Data to score against, lines on how they are related to what was trained on, and a name of their held-out part.

    `held_out` is empty where rows that were trained on may be among those that a new split would hold out.
    """

    data: Data
    notes: tuple[str, ...] = ()
    held_out: str = HELD_OUT


def _trained_on(generator: Generator, folder: Path | None) -> str:
    """The fingerprint of what a generator was trained on; that of an older file's run, if it lies in its folder."""
    if generator.about.fingerprint or folder is None or not RunFolder(folder).holds_run:
        return generator.about.fingerprint
    try:
        return facts.read(RunFolder(folder).facts).fingerprint
    except (OSError, BanachError):
        return ""


def reference_for(
    generator: Generator, folder: Path, source: str | None = None, said: Mapping[str, Any] | None = None
) -> Reference:
    """The data that `source` names, read as those of the generator; without it, those it was trained on.

    `folder` is where the generator's file lies; `said` are keys that say how `source` is read instead. Raises
    `GeneratorError` where the data it was trained on have changed, `DataError` where they are gone.
    """
    unknown = "older banach: its file has no fingerprint of the data, so that nothing tells whether they are the same"
    said = said or {}
    known, like = _trained_on(generator, folder), generator.about.layout
    if source is None:
        if said:
            raise ConfigError(f"--{hyphened(next(iter(said)))} says how --data is read; give both, or leave it out")
        data = data_of(generator, folder)
        return Reference(data, () if known else (unknown,))
    if not generator.about.config:
        alike = {} if like is None else {"known": like.alike, "categories": like.categories}
        return Reference(load(source, **alike, **said), (unknown,))
    stored = reading_of(generator, folder)
    reading = dataclasses.replace(_reading(stored, source), **said)
    data = load_data(reading, like=like)
    if data.fingerprint == known:
        return Reference(data)
    if not known:
        return Reference(data, (unknown,))
    if not _same_place(source, stored.data):
        other = f"{source} is not what was trained on ({stored.data}): floor and held-out part are of {source} itself"
        return Reference(data, (other,), f"a part of {data.name}")
    whole = load_data(dataclasses.replace(reading, holdout=0.0), like=like)
    changed = f"{source} {_CHANGED}: no floor, for the rows held out now may have been trained on"
    return Reference(whole, (changed,), "")


def _reading(stored: Config, source: str) -> Config:
    """How the training data were read, for another source: without what means nothing for one of its kind."""
    config = dataclasses.replace(stored, data=source, classes=(), merge_folders=False)
    if is_named(source):
        config = dataclasses.replace(config, pad=None, crop=None)
    if config.size is None:
        config = dataclasses.replace(config, fit="crop")
    if Path(source).expanduser().is_dir():
        axes = config.axes if config.axes in ("hw", "hwc") else None
        return dataclasses.replace(config, axes=axes, normalise=None, pad=None, crop=None)
    return dataclasses.replace(config, pages=None, background="white")


def _same_place(source: str, trained_on: str) -> bool:
    """Whether both name the same set or file, or one folder in the other: they may then share samples."""
    if is_named(source) or is_named(trained_on):
        return re.split("[:(]", source)[0].strip() == re.split("[:(]", trained_on)[0].strip()
    one, other = (Path(text).expanduser().resolve() for text in (source, trained_on))
    return one.is_relative_to(other) or other.is_relative_to(one)


_CHANGED = "is not what it was when the generator was trained"


def data_of(generator: Generator, folder: Path | None = None) -> Data:
    """The data set a generator was trained on, read and split as then.

    Raises `DataError` where it is gone, and `GeneratorError` where it has another fingerprint.
    """
    reading = reading_of(generator, folder)
    try:
        data = load_again(reading, generator.about.fingerprint or None, generator.about.layout)
    except DataError as error:
        if is_named(reading.data) or exists(reading.data):
            raise
        where = "name them with --data, and if they are the same, so are the scores"
        if reading.data.startswith("array:"):
            said = f"{reading.data} was an array in memory; save it as .npy"
            raise DataError(f"{said}, and {where}") from None
        raise DataError(f"{error}\nif the data lie elsewhere now, {where}") from None
    if _trained_on(generator, folder) not in ("", data.fingerprint):
        now = f"{len(data.train):,} samples to train on and {len(data.held_out):,} held out now"
        raise GeneratorError(
            f"{reading.data} {_CHANGED} ({now}): its held-out rows may have been trained on, so there is no floor\n"
            f"bring the data back; or score against all that is there, without a floor: --data {typed(reading.data)}"
        )
    return data


def reading_of(generator: Generator, folder: Path | None = None) -> Config:
    """How the generator's training data were read, from the config in its file.

    In a run's folder the run's own config says where they lie now.

    Only the keys of the data are obeyed: a file from elsewhere must not name plugins, which are code, to be run.
    """
    if not generator.about.config:
        raise GeneratorError("this generator does not say on which data it was trained; name them with --data")
    try:
        stored = read_yaml(generator.about.config)
    except Unreadable as error:
        raise GeneratorError(f"this generator does not say on which data it was trained ({error})") from None
    if not isinstance(stored, dict):
        raise GeneratorError("this generator does not say on which data it was trained; name them with --data")
    if folder is not None and RunFolder(folder).holds_run:
        with suppress(BanachError):
            stored["data"] = file_values(RunFolder(folder).config)["data"]
    about_data = keys_of(DataKeys).keys() | {"seed"}
    return read_config({key: value for key, value in stored.items() if str(key).replace("-", "_") in about_data})
