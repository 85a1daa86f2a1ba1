"""A run's folder when a session begins: whether the plan may go on with what is there, and from which checkpoint.

Of several processes the first one looks, and tells the others.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from banach import distributed
from banach.config.config import Config
from banach.config.reading import read_file
from banach.files import remove_leftovers
from banach.runs import checkpoint
from banach.runs.checkpoint import CheckpointError
from banach.runs.folder import FolderError, RunFolder
from banach.runs.lock import Lock, refuse_held
from banach.runs.records import JsonLines
from banach.session.place import check_continues


@dataclass(frozen=True)
class Plan:
    """What a run is to do, where, and on which device of this process."""

    config: Config
    folder: RunFolder
    device: torch.device


@dataclass(frozen=True)
class Opened:
    """A run's folder, in which the first process alone writes, and what was in it."""

    lock: Lock
    """Held, unless the folder is only looked at."""
    saved: dict[str, Any] | None
    """The checkpoint to go on from; None where there is none."""
    before: Config | None
    """The config with which the run was last begun; None where it begins now."""
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
        saved, before, notes = distributed.from_first(lambda: _open(plan, extend, lock, held))
        yield Opened(lock, saved, before, notes)


def looked_at(plan: Plan, extend: bool) -> Opened:
    """What `opened` would go on from, with the same refusals; nothing is made, locked, renamed or removed."""

    def look() -> tuple[dict[str, Any] | None, Config | None, tuple[str, ...]]:
        before = begun(plan.folder)
        if before is None:
            return None, None, ()
        check_continues(before, plan.config, plan.folder.path, extend)
        refuse_held(plan.folder.lock)
        saved, broken = newest(plan.folder)
        _check_began(saved, before, plan)
        return saved, before, tuple(f"{path} is broken: it would be passed over" for path in broken)

    return Opened(Lock(plan.folder.lock), *distributed.from_first(look))


def _open(
    plan: Plan, extend: bool, lock: Lock, held: ExitStack
) -> tuple[dict[str, Any] | None, Config | None, tuple[str, ...]]:
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
    _check_began(saved, before, plan)
    return saved, before, passed + ((lock.taken_over,) if lock.taken_over else ())


def _check_began(saved: dict[str, Any] | None, before: Config | None, plan: Plan) -> None:
    """FolderError where other data are named, and there is no checkpoint that tells whether they are the same."""
    if saved is None and before is not None and before.data != plan.config.data:
        raise FolderError(
            f"{plan.folder.path} has no checkpoint yet by which {plan.config.data} could be seen to be what "
            f"{before.data} was\nstart a new folder with --fresh or another --out"
        )


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


def saved_in(folder: RunFolder) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The newest whole checkpoint (None where the run has made none yet), and lines on what had to be passed over.

    Broken files are renamed, half-written ones removed. Raises `CheckpointError` where nothing whole is left.
    """
    for one in (folder.path, folder.checkpoints, folder.samples, folder.snapshots):
        remove_leftovers(one)
    saved, broken = newest(folder)
    notes = tuple(
        f"{path} is broken (kept as {checkpoint.set_aside(path).name}): going on from the checkpoint of step "
        f"{saved['step'] if saved else 0:,} instead"
        for path in broken
    )
    return saved, notes


def newest(folder: RunFolder) -> tuple[dict[str, Any] | None, tuple[Path, ...]]:
    """The newest whole checkpoint (None where the run has made none yet), and the newer files that are broken.

    Raises `CheckpointError` where nothing whole is left.
    """
    if not checkpoint.exists(folder.checkpoints):
        if JsonLines(folder.metrics).records():
            raise CheckpointError(
                f"{folder.checkpoints} is empty, but the run had gone on for some steps\n"
                "put back a checkpoint, or start anew with --fresh; nothing was deleted"
            )
        return None, ()
    return checkpoint.load(folder.checkpoints)
