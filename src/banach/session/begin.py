"""The first part of a session, around opening the folder: resolve the config, build what both name, and tell of it.

Of several processes the first one decides and reads for all.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from banach import distributed
from banach.config import plugins
from banach.config.config import Config, ConfigError
from banach.config.parts import MachineKeys
from banach.constraints import Constraint
from banach.data.dataset import Data
from banach.data.load import exists, is_named
from banach.errors import BanachError, DataError
from banach.foreign import typed
from banach.game import Game
from banach.runs import facts as facts_file
from banach.runs.folder import FolderError, RunFolder
from banach.scales import drift_for
from banach.session.console import Console
from banach.session.determinism import deterministic
from banach.session.facts import facts_of
from banach.session.memory import freed_memory
from banach.session.opening import Opened, Plan
from banach.session.scoring import check_scoring
from banach.training.build import (
    Built,
    build,
    build_game,
    check_of_pictures,
    device_of,
    load_again,
    load_data,
    start_from,
)
from banach.training.state import State
from banach.training.timing import threads

_HEAVY = 100.0
"""Times its share in pictures of 3x32x32 in L^2, from which a drift is told to be too heavy."""


def resolve(config: Config, folder: RunFolder) -> Plan:
    """Load the plugins that a config names, and find its device; raises `PluginError` or `ConfigError`."""
    with distributed.together():
        for plugin in config.plugin:
            plugins.load(plugin)
        check_shares(config)
        return Plan(config, folder, device_of(config))


@contextmanager
def machine(config: MachineKeys) -> Iterator[None]:
    """Inside, this process computes as the config says: threads, algorithms, memory."""
    with threads(config.threads), deterministic(config.deterministic), freed_memory(config.keep_memory):
        yield


def build_run(
    plan: Plan,
    console: Console,
    data: Data | None = None,
    saved: dict[str, Any] | None = None,
    before: Config | None = None,
) -> tuple[Built, tuple[str, ...]]:
    """A run before its first step, or as its checkpoint left it after `before`; and lines on where its weights lie.

    `data` replaces what the config names. Raises what `built_from` raises, and `ScoreError`.
    """
    built = built_from(plan.config, data, plan.device, console, saved, before)
    if saved is None:
        notes = distributed.from_first(lambda: _started(plan.config, built))
        broadcast_(built.state)
    else:
        notes = _restored(built.state, saved) + _changed(built.state, plan.config, before)
    built.state.facts |= _computed_by()
    return built, notes


def _started(config: Config, built: Built) -> tuple[str, ...]:
    """What only the first process needs to do before a new run."""
    check_scoring(config, built.data)
    return (start_from(built.state, config.init),) if config.init else ()


def _restored(state: State, saved: dict[str, Any]) -> tuple[str, ...]:
    """Put a checkpoint into `state`; lines on what keeps the run from going on bit for bit."""
    notes = ()
    if not state.load_state_dict(saved):
        notes += ("the device is of another kind than before: this run goes on, but not bit for bit",)
    for what, now in _computed_by().items():
        before = state.facts.get(what, 1 if what == "processes" else None)
        if before != now:
            same = "the same data in the same order" if what == "processes" else "this run goes on"
            notes += (f"{now} {what}, and {before} before: {same}, but not bit for bit",)
    return notes


def _changed(state: State, config: Config, before: Config | None) -> tuple[str, ...]:
    """Lines on what is another now than `before`, and must not be compared with what it was."""
    if before is None:
        return ()
    notes = ()
    if before.data != config.data:
        notes += (f"the data of {config.data} are those that were in {before.data}, by their content",)
    if before.score_samples != config.score_samples:
        state.best = math.inf  # a score depends on the number of samples
        notes += (f"scores are of {config.score_samples:,} samples from here on, and the best one is sought anew",)
    return notes


def _computed_by() -> dict[str, int]:
    """What sums depend on, beside the kind of machine: in another number of parts they round otherwise."""
    return {"threads": torch.get_num_threads(), "processes": distributed.world()}


def built_from(
    config: Config,
    data: Data | None,
    device: torch.device,
    console: Console,
    saved: dict[str, Any] | None = None,
    before: Config | None = None,
) -> Built:
    """Data, game and state for `config`; with a checkpoint's content, its facts and not yet its weights.

    Raises `FolderError` where the data are not those the run began with, under the config `before`.
    """
    facts = saved["facts"] if saved else None
    data = _data(config, data, console, facts, before)
    distributed.agree("the data", data.fingerprint)
    if (
        facts is None and distributed.world() > 1
    ):  # what is measured is measured once: another machine may round otherwise
        facts = distributed.from_first(lambda: build_game(config, data)[1])
    with distributed.together():
        return build(config, data, device, facts)


def _data(
    config: Config, data: Data | None, console: Console, facts: dict[str, Any] | None, before: Config | None
) -> Data:
    """The data to train on: with the facts of a checkpoint they must be what they were."""
    with distributed.together():
        if data is None:
            console.busy("reading the data")
            data = load_data(config) if facts is None else _found_again(config, str(facts.get("data")))
            console.busy("")
        if facts and facts.get("data") != data.fingerprint:
            said = f"{config.data} has changed since the run began, or is split or read differently now"
            if before is not None and before.data != config.data:
                said = f"data was {before.data}, now {config.data}, and these are other samples"
            raise FolderError(
                f"{said}{_counted(config, data)}\n"
                "bring the data back (if they lie elsewhere: --data), or start a new folder with --fresh"
            )
        if facts is None:
            check_of_pictures(config, data)
    return data


def check_same_data(plan: Plan, data: Data | None, opened: Opened, console: Console) -> None:
    """Raises `FolderError` where a run that is finished is given other data: `data`, or what the plan names."""
    if opened.saved and opened.before and opened.before.data != plan.config.data:
        _data(plan.config, data, console, opened.saved["facts"], opened.before)


def _found_again(config: Config, fingerprint: str) -> Data:
    """The data of a run that goes on; a missing path is told with what to do about data that moved."""
    try:
        return load_again(config, fingerprint)
    except DataError as error:
        if is_named(config.data) or exists(config.data):
            raise
        again = f"banach train --out {typed(config.out)} --data THERE"
        raise DataError(f"{error}\nif the data lie elsewhere now: {again} goes on, if they are the same") from None


def _counted(config: Config, data: Data) -> str:
    """How many samples there were and are, where that differs."""
    now, shape = (len(data.train), len(data.held_out)), tuple(data.shape)
    try:
        before = facts_file.read(RunFolder(Path(config.out)).facts)
    except (OSError, BanachError):
        return ""
    then = (before.train, before.held_out)
    if then == now and before.shape == shape:
        return ""
    told = (f"{one[0]:,} and {one[1]:,} held out, shape {of}" for one, of in ((then, before.shape), (now, shape)))
    return " ({}, now {})".format(*told)


def broadcast_(state: State) -> None:
    """Give every process the weights of the first one, which may have read them from files that only it has."""
    networks = state.networks().values()
    distributed.copy_first_([one for network in networks for one in (*network.parameters(), *network.buffers())])


def check_shares(config: Config) -> None:
    """Raises `ConfigError` unless batches and devices divide among the processes."""
    if distributed.world() > 1 and config.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"device: {config.device} is one device for {distributed.world()} processes; take auto, cuda or cpu"
        )
    for key, size in (("batch", config.batch), ("g-batch", config.g_batch)):
        parts = distributed.world()
        if size % parts:
            less, more = size - size % parts, size + parts - size % parts
            choices = f"--{key} {less} or {more}" if less else f"--{key} {more}"
            raise ConfigError(f"{key}: {size} rows cannot be dealt out evenly to {parts} processes; take {choices}")


def first_lines(config: Config, built: Built, folder: RunFolder) -> tuple[str, ...]:
    """What a user sees first: data, space, game, networks, device, steps, folder."""
    facts = facts_of(config, built)
    said = facts.sentences()
    where = f"{facts.device}, {facts.threads} threads, {facts.precision}"
    where += f", {facts.processes} processes" if facts.processes > 1 else ""
    where += f", {facts.forms}" if facts.forms else ""
    steps = f"{config.steps:,} of the generator, {config.n_critic} of the critic for each, batch {config.batch}"
    start = f", going on from step {facts.step:,}" if facts.step else ""
    return (
        f"data      {said['data']}",
        *(f"          {note}" for note in facts.data_notes),
        f"space     {facts.space}: {facts.emphasises}",
        f"game      {_game_line(config, built.game, said).replace('±', '+-')}",  # a terminal may know ASCII only
        *_outweighed(built),
        *_published_with(config, built.state.recipe.constraint),
        f"networks  {said['networks']}",
        f"device    {where}",
        f"steps     {steps}{start}",
        f"folder    {folder.path}",
    )


def _outweighed(built: Built) -> Iterator[str]:
    """A line where the drift would hold the critic at 0."""
    game, lam = built.game, built.state.facts.get("lam")
    if not (isinstance(lam, int | float) and isinstance(game.gamma, int | float)):
        return
    times = game.drift / drift_for(game.gamma, lam)
    if times > _HEAVY:
        better = f"--drift {drift_for(game.gamma, lam):.2g}"
        yield f"          drift {game.drift:g} outweighs the game in this norm and holds the critic at 0: {better}"


def _published_with(config: Config, of: Constraint) -> Iterator[str]:
    """What the constraint's paper trains with, where this run trains with something else."""
    other = {key: value for key, value in of.recommended.items() if getattr(config, key) != value}
    if other:
        flags = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in other.items())
        yield f"          {config.constraint} was published with {flags}"


def _game_line(config: Config, game: Game, said: dict[str, str]) -> str:
    kept = [f"penalty {config.penalty}, lambda {said['lambda']}"] if "lambda" in said else ["penalty none"]
    if config.constraint != "none":
        kept.append(f"constraint {config.constraint}")
    return f"{config.objective}, {', '.join(kept)}, gamma {said['gamma']}, drift {game.drift:g}"


def start_event(config: Config, built: Built, folder: RunFolder) -> dict[str, Any]:
    """The same for machines."""
    facts = facts_of(config, built)
    return {
        "folder": str(folder.path),
        "config": asdict(config),
        "data": {"name": facts.data, "shape": list(facts.shape), "notes": list(facts.data_notes)},
        "train": facts.train,
        "held_out": facts.held_out,
        "facts": built.state.facts,
        "parameters": {"generator": facts.generator_parameters, "critic": facts.critic_parameters},
        "device": facts.device,
        "step": facts.step,
        "steps": facts.steps,
    }
