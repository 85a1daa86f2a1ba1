"""The first part of a session, in order: resolve the config, open the folder, build what both name, and tell of it.

Of several processes the first one decides and reads for all.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from banach import distributed
from banach.config import plugins
from banach.config.config import Config, ConfigError
from banach.config.reading import read_file
from banach.constraints import Constraint
from banach.data.dataset import Data
from banach.files import remove_leftovers
from banach.game import Game
from banach.runs import checkpoint
from banach.runs.checkpoint import CheckpointError
from banach.runs.folder import FolderError, RunFolder
from banach.runs.lock import Lock
from banach.runs.records import JsonLines
from banach.session.console import Console
from banach.session.determinism import deterministic
from banach.session.memory import freed_memory
from banach.session.place import check_continues
from banach.session.scoring import check_scoring
from banach.spaces import emphasises
from banach.training.build import Built, build, build_game, device_of, load_data, parameters, start_from
from banach.training.state import State
from banach.training.timing import threads


@dataclass(frozen=True)
class Plan:
    """What a run is to do, where, and on which device of this process."""

    config: Config
    folder: RunFolder
    device: torch.device


def resolve(config: Config, folder: RunFolder) -> Plan:
    """Load the plugins that a config names, and find its device; raises `PluginError` or `ConfigError`."""
    with distributed.together():
        for plugin in config.plugin:
            plugins.load(plugin)
        check_shares(config)
        return Plan(config, folder, device_of(config))


@contextmanager
def machine(config: Config) -> Iterator[None]:
    """Inside, this process computes as the config says: threads, algorithms, memory."""
    with threads(config.threads), deterministic(config.deterministic), freed_memory(config.keep_memory):
        yield


@dataclass(frozen=True)
class Opened:
    """A run's folder, in which the first process alone writes, and what was in it."""

    lock: Lock
    saved: dict[str, Any] | None
    """The checkpoint to go on from; None where there is none."""
    notes: tuple[str, ...]
    """Lines on what had to be passed over or taken over."""


@contextmanager
def opened(plan: Plan, extend: bool) -> Iterator[Opened]:
    """Inside, the folder is made and locked; where no run has begun in it by the end, what was made is removed.

    All processes get the checkpoint that the first one reads, and need no common disk. Raises `FolderError`,
    `ConfigError` or `CheckpointError` where the plan cannot go on with what is there.
    """
    lock = Lock(plan.folder.lock)
    with ExitStack() as held:
        saved, notes = distributed.from_first(lambda: _open(plan, extend, lock, held))
        yield Opened(lock, saved, notes)


def _open(plan: Plan, extend: bool, lock: Lock, held: ExitStack) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    folder, made = plan.folder, []
    before = begun(folder)
    if before is not None:
        check_continues(before, plan.config, folder.path, extend)
    held.callback(_remove_unused, folder, made)  # after the lock is released
    new = [one for one in (folder.samples, folder.checkpoints, folder.path, *folder.path.parents) if not one.exists()]
    folder.make()
    held.enter_context(lock)
    made += new  # without the lock they are another process's
    if before is None and folder.config.exists():
        raise FolderError(f"{folder.path} was begun by another process just now; run the command again")
    saved, passed = saved_in(folder)
    return saved, passed + ((lock.taken_over,) if lock.taken_over else ())


def _remove_unused(folder: RunFolder, made: list[Path]) -> None:
    if not folder.config.exists():
        for one in made:
            with suppress(OSError):  # it is not empty, or gone
                one.rmdir()


def begun(folder: RunFolder) -> Config | None:
    """The config of the run in `folder`; None where none has begun. Raises `ConfigError` where it cannot be read."""
    if folder.config.is_file():
        return read_file(folder.config)
    if folder.checkpoints.is_dir() and checkpoint.exists(folder.checkpoints):
        raise FolderError(f"{folder.path} holds checkpoints but no config.yaml; put that back, or choose another --out")
    if folder.path.is_dir():
        known = {one.name for one in (folder.checkpoints, folder.samples, folder.tensorboard, folder.lock)}
        strange = [one.name for one in folder.path.iterdir() if one.name not in known and not one.name.startswith(".")]
        if strange:
            raise FolderError(
                f"{folder.path} holds other files ({', '.join(sorted(strange)[:3])}) and no run; choose another --out"
            )
    elif folder.path.exists():
        raise FolderError(f"{folder.path} is a file; choose another --out")
    return None


def build_run(
    plan: Plan, console: Console, data: Data | None = None, saved: dict[str, Any] | None = None
) -> tuple[Built, tuple[str, ...]]:
    """A run before its first step, or as its checkpoint left it; and lines on where its weights come from.

    `data` replaces what the config names. Raises what `built_from` raises, and `ScoreError`.
    """
    built = built_from(plan.config, data, plan.device, console, saved)
    if saved is None:
        notes = distributed.from_first(lambda: _started(plan.config, built))
        broadcast_(built.state)
    else:
        notes = _restored(built.state, saved)
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


def _computed_by() -> dict[str, int]:
    """What sums depend on, beside the kind of machine: in another number of parts they round otherwise."""
    return {"threads": torch.get_num_threads(), "processes": distributed.world()}


def built_from(
    config: Config, data: Data | None, device: torch.device, console: Console, saved: dict[str, Any] | None = None
) -> Built:
    """Data, game and state for `config`; with a checkpoint's content, its facts and not yet its weights.

    Raises `FolderError` where the data are not those the run began with.
    """
    facts = saved["facts"] if saved else None
    with distributed.together():
        if data is None:
            console.busy("reading the data")
            data = load_data(config)
            console.busy("")
        if facts and facts.get("data") != data.fingerprint:
            raise FolderError(
                f"{config.data} has changed since the run began, or is split or read differently now\n"
                "bring the data back, or start a new folder with --fresh"
            )
    distributed.agree("the data", data.fingerprint)
    if (
        facts is None and distributed.world() > 1
    ):  # what is measured is measured once: another machine may round otherwise
        facts = distributed.from_first(lambda: build_game(config, data)[1])
    with distributed.together():
        return build(config, data, device, facts)


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


def saved_in(folder: RunFolder) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The newest whole checkpoint (None where the run has made none yet), and lines on what had to be passed over.

    Broken files are renamed, half-written ones removed. Raises `CheckpointError` where nothing whole is left.
    """
    for one in (folder.path, folder.checkpoints, folder.samples):
        remove_leftovers(one)
    if not checkpoint.exists(folder.checkpoints):
        if JsonLines(folder.metrics).records():
            raise CheckpointError(
                f"{folder.checkpoints} is empty, but the run had gone on for some steps\n"
                "put back a checkpoint, or start anew with --fresh; nothing was deleted"
            )
        return None, ()
    saved, broken = checkpoint.load(folder.checkpoints)
    notes = tuple(
        f"{path} is broken (kept as {checkpoint.set_aside(path).name}): going on from the checkpoint of step "
        f"{saved['step']:,} instead"
        for path in broken
    )
    return saved, notes


def first_lines(config: Config, built: Built, folder: RunFolder) -> tuple[str, ...]:
    """What a user sees first: data, space, game, networks, device, steps, folder."""
    data, state = built.data, built.state
    about = f"{data.name}: {len(data.train):,} to train on, {len(data.held_out):,} held out, shape {data.shape}"
    notes = [f"          {note}" for note in data.notes]
    sizes = f"generator {parameters(state.generator.network):,} parameters, critic {parameters(state.critic.network):,}"
    where = f"{state.device}, {torch.get_num_threads()} threads, {config.precision}"
    where += f", {distributed.world()} processes" if distributed.world() > 1 else ""
    where += f", {state.facts['forms']}" if "forms" in state.facts else ""
    steps = f"{config.steps:,} of the generator, {config.n_critic} of the critic for each, batch {config.batch}"
    start = f", going on from step {state.step:,}" if state.step else ""
    return (
        f"data      {about}",
        *notes,
        f"space     {built.game.space!r}: {emphasises(built.game.space)}",
        f"game      {_game_line(config, built.game, state.facts)}",
        *_published_with(config, state.recipe.constraint),
        f"networks  {config.model}: {sizes}",
        f"device    {where}",
        f"steps     {steps}{start}",
        f"folder    {folder.path}",
    )


def _published_with(config: Config, of: Constraint) -> Iterator[str]:
    """What the constraint's paper trains with, where this run trains with something else."""
    other = {key: value for key, value in of.recommended.items() if getattr(config, key) != value}
    if other:
        flags = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in other.items())
        yield f"          {config.constraint} was published with {flags}"


def _game_line(config: Config, game: Game, facts: dict[str, float | str]) -> str:
    def told(value: float | str, error: str, from_data: bool) -> str:
        if not isinstance(value, int | float):
            return "of each batch"
        return f"{value:.4g}" + (f" +- {facts[error]:.1g} (from the data)" if from_data and error in facts else "")

    lam = told(game.weight, "lam_error", config.penalty_weight == "auto")
    gamma = told(game.gamma, "gamma_error", config.critic_scale == "auto")
    kept = [f"penalty {config.penalty}, lambda {lam}"] if game.penalty else ["penalty none"]
    if config.constraint != "none":
        kept.append(f"constraint {config.constraint}")
    return f"{config.objective}, {', '.join(kept)}, gamma {gamma}, drift {game.drift:g}"


def start_event(config: Config, built: Built, folder: RunFolder) -> dict[str, Any]:
    """The same for machines."""
    return {
        "folder": str(folder.path),
        "config": asdict(config),
        "data": {"name": built.data.name, "shape": list(built.data.shape), "notes": list(built.data.notes)},
        "train": len(built.data.train),
        "held_out": len(built.data.held_out),
        "facts": built.state.facts,
        "parameters": {
            "generator": parameters(built.state.generator.network),
            "critic": parameters(built.state.critic.network),
        },
        "device": str(built.state.device),
        "step": built.state.step,
        "steps": config.steps,
    }
