"""A run's plan, made once: before its folder holds a config; from then on it is what that config says."""

import time
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import torch

from banach import distributed
from banach.config.config import Config
from banach.config.reading import file_values
from banach.data.dataset import Data
from banach.generator import Generator
from banach.runs.folder import RunFolder
from banach.session.advice import slower
from banach.session.console import Console, duration
from banach.training.build import load_data
from banach.training.plan import MINUTES, NETWORKS, Planned, measure, plan, seconds_for_steps
from banach.training.timing import look_at, seconds_of

_TIMED = 0.01
"""Share of the run's time in which one candidate is timed."""

AT_MOST = 3.0
"""Seconds of it."""

TIMED_FOR = 1.0
"""Seconds in which steps are timed where no more than the time of a run is to be told."""


def recalled(config: Config, folder: RunFolder, stated: Set[str] | None) -> tuple[Config, Set[str] | None]:
    """`config` with what is not stated as the run in `folder` has it, where one has begun: nothing is planned again."""
    if stated is None or not distributed.from_first(folder.config.is_file):
        return config, stated
    stored = distributed.from_first(lambda: file_values(folder.config))
    return replace(config, **{key: value for key, value in stored.items() if key not in stated}), None


def planned(
    config: Config, stated: Set[str], data: Data | None, device: torch.device, console: Console
) -> tuple[Config, Data, tuple[str, ...]]:
    """The config with its plan, the data that it was made for, and the lines that explain it.

    All processes time the same steps, and take what the first one finds.
    """
    began = time.monotonic()
    with distributed.together():
        if data is None:
            console.busy("reading the data")
            data = load_data(config)
            console.busy("")
        config, stated = _with_networks_of(config, stated)
    console.busy("timing a few steps to plan the run")
    found = decided(config, frozenset(stated), data, device, began)
    console.busy("")
    return replace(config, **found.values), data, found.lines


def decided(
    config: Config, stated: frozenset[str], data: Data, device: torch.device, began: float | None = None
) -> Planned:
    """The plan for these data on this machine; `began` is when the run's time did."""
    began = time.monotonic() if began is None else began
    look = distributed.from_first(lambda: look_at(data, device))
    if look.cpu and "precision" not in stated:
        look = replace(look, halves=distributed.from_first(lambda: slower(device, "bf16")) < 1)
    minutes = config.minutes or MINUTES
    limit = min(AT_MOST, _TIMED * 60 * minutes)
    found = measure(
        look, config, stated, seconds_for_steps(minutes), lambda trial: seconds_of(trial, config, data, device, limit)
    )
    spent = distributed.from_first(lambda: time.monotonic() - began)
    return plan(look, config, stated, found, spent)


def _with_networks_of(config: Config, stated: Set[str]) -> tuple[Config, Set[str]]:
    """Where a run starts from another's weights, the networks that these fit, as if they were stated."""
    path = Path(config.init).expanduser()
    if not config.init or not path.exists():
        return config, stated  # what is not there is refused when it is read
    fitting = (*NETWORKS, "padding")
    if path.is_dir() and RunFolder(path).config.is_file():
        values = {key: value for key, value in file_values(RunFolder(path).config).items() if key in fitting}
    elif path.suffix == ".safetensors":
        about = Generator.load(path).about
        values = {"model": about.model, "z": about.z, "g_width": about.width, "padding": about.padding}
    else:
        return config, stated
    values = {key: value for key, value in values.items() if key not in stated}
    return replace(config, **values), stated | values.keys()


def told_time(seconds: float, steps: int) -> str:
    """The line on how long the steps of a run will take.

    >>> told_time(0.13, 2000)
    'time      about 4.3 min: 2,000 steps of 0.13 s; start, scores and pictures come on top'
    """
    each = f"{steps:,} steps of {seconds:.2g} s"
    return f"time      about {duration(seconds * steps)}: {each}; start, scores and pictures come on top"
