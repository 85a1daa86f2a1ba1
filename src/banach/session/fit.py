"""Training in one call: from a tensor or array to a generator."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from banach.config.config import FIELDS, Config, ConfigError
from banach.config.keys import FILES, FOLDER, hyphened, keys_of
from banach.config.parts import OutputKeys
from banach.config.reading import TRAIN, checked
from banach.config.reading import build as build_config
from banach.data.dataset import Data
from banach.data.load import load
from banach.generator import Generator
from banach.runs.folder import RunFolder
from banach.runs.records import read_scores
from banach.session.console import Console
from banach.session.determinism import deterministic
from banach.session.facts import facts_of
from banach.session.place import folder_of
from banach.session.planning import planned
from banach.session.run import RESUMABLE, run_in
from banach.session.scoring import leading
from banach.session.watching import console_of_caller, watching
from banach.spaces import Metric
from banach.training.build import Built, about, build, check_of_pictures, device_of
from banach.training.loop import train
from banach.training.timing import threads as using_threads

_MINUTES = 5.0
"""The time that training is planned for, where the caller names none."""

_OF_FILES = frozenset(name for name, key in FIELDS.items() if key.needs == FILES)
_OF_RUNS = frozenset(name for name, key in FIELDS.items() if key.needs == FOLDER) | keys_of(OutputKeys).keys()
_OF_ARRAYS = ("axes", "pad", "crop", "range", "holdout", "normalise")
"""Keys that say how `x` is read, beside the seed of the split."""

_AGAIN = "import sys; generator = sys.last_value.generator  # or catch banach.Interrupted, which has it"


class Interrupted(KeyboardInterrupt):
    """`fit` was stopped by Ctrl-C or a notebook's button: `generator` is the one so far, `folder` that of its run.

    `generator` is None where none had been saved yet, `folder` None for a training without one.
    """

    def __init__(self, message: str, generator: Generator | None, folder: Path | None = None):
        super().__init__(message)
        self.generator = generator
        self.folder = folder


def fit(
    x: Any,
    space: str | Metric = "l2",
    *,
    steps: int | None = None,
    minutes: float | None = None,
    model: str | None = None,
    out: str | Path | None = None,
    console: Console | None = None,
    progress: bool = True,
    **keys: Any,
) -> Generator:
    """Train a Banach Wasserstein GAN on `x`, and return its averaged generator, which samples in the units of `x`.

    `x`: uint8 images (n, c, x, y), or numbers (n, c), (n, c, t), (n, c, x, y), (n, c, x, y, z), or others whose axes
    `axes` says ("n,x,y"), of which a share `holdout` is not trained on: an array or tensor, a list of them, a
    DataFrame, a torch Dataset or DataLoader, or the name of a file or folder. Samples have the axes, shape and type of
    `x`. `space` is the norm on the data. Without `steps` the training is planned for so many `minutes` (default 5): a
    few steps are timed, then model, widths, batch, steps and rates are chosen that fit, as far as they are not given.
    With `steps` nothing is planned, and `model` None is `mlp` for vectors and `resnet` for the rest. `keys` are the
    other keys of `banach train`: `seed`, `split_seed`, `objective`, `penalty`, `lr`, `width`, `axes`, `pad`, … (see
    `Config` and `banach train --help`). With `out` all that a run writes goes into that folder, and the same call goes
    on with a run that was stopped; without it nothing is written.

    A training that takes more than two seconds says how far it is, in a notebook, on a terminal, or else in a line from
    time to time on standard error; `progress=False` keeps it silent, a `console` takes what is said.

    Raises `Interrupted`, a `KeyboardInterrupt` with the `generator` so far, when it is stopped; a `BanachError`
    (`DataError`, `SpecError`, `ConfigError`, `GameError`, …) naming the value and the remedy; and `NotFinite` if a loss
    is not finite. Banach WGAN (Adler and Lunz 2018).

    >>> import torch, banach
    >>> generator = banach.fit(torch.randn(100, 3), banach.Lp(2), steps=2, width=8, z=4)
    >>> generator.sample(5, seed=1).shape
    torch.Size([5, 3])
    """
    given = _read(keys, out is not None)
    chosen = {name: given.get(name, FIELDS[name].default) for name in _OF_ARRAYS}
    split_seed = given.get("split_seed")
    seed = given.get("seed", FIELDS["seed"].default) if split_seed is None else split_seed
    data = load(x, seed=seed, **chosen)
    given |= {
        "data": f"array:{data.fingerprint[:12]}",
        "space": space if isinstance(space, str) else repr(space),
        "out": "" if out is None else str(out),
        **_length(steps, minutes, model, data),
    }
    config, stated = build_config(given), None if steps is not None else frozenset(given)
    console = console or console_of_caller(progress)
    try:
        if out is None:
            return _without_folder(config, stated, data, console)
        return _in_folder(config, stated, data, console)
    finally:
        console.close()


def _signature() -> inspect.Signature:
    """That of `fit` with the keys that it takes by name, for help() and for editors that ask the running Python."""
    own = inspect.signature(fit)
    named = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    kinds = {one.name: one.type for one in dataclasses.fields(Config)} | {"width": int | None}
    keys = [
        inspect.Parameter(key.name, inspect.Parameter.KEYWORD_ONLY, default=key.default, annotation=kinds[key.name])
        for key in TRAIN.more
        if key.name not in own.parameters and key.name not in _OF_FILES
    ]
    return own.replace(parameters=[*named, *keys])


fit.__signature__ = _signature()  # pyright: ignore[reportFunctionMemberAccess] - what `inspect` reads first


def _read(keys: dict[str, Any], in_folder: bool) -> dict[str, Any]:
    """The keys read as those of a config; `ConfigError` for one that is unknown or means nothing here."""
    given = checked(keys, "")
    if of_files := sorted(_OF_FILES & given.keys()):
        raise ConfigError(f"{of_files[0]}: the data are x; leave it out")
    if not in_folder and (of_runs := sorted(_OF_RUNS & given.keys())):
        raise ConfigError(f"{hyphened(of_runs[0])}: is of runs in a folder; give out='runs/mine', or leave it out")
    return given


def _length(steps: int | None, minutes: float | None, model: str | None, data: Data) -> dict[str, Any]:
    """The keys of how long is trained, and the model where it is not left to a plan."""
    if steps is not None and minutes is not None:
        raise ConfigError(f"minutes: steps={steps} fixes the length already; leave out steps, or minutes={minutes:g}")
    if steps is not None:
        return {"steps": steps, "model": model or ("mlp" if len(data.shape) == 1 else "resnet")}
    return {"minutes": _MINUTES if minutes is None else minutes, **({"model": model} if model else {})}


def _in_folder(config: Config, stated: frozenset[str] | None, data: Data, console: Console) -> Generator:
    folder = folder_of(config)
    try:
        outcome = run_in(config, folder, data=data, console=console, argv=["banach.fit"], stated=stated)
    except KeyboardInterrupt:  # a second one, or one before the first step
        raise _stopped(folder, "stopped at once, as the last checkpoint has it") from None
    if outcome.code == RESUMABLE:
        raise _stopped(folder, outcome.message)
    return _of_run(folder)


def _stopped(folder: RunFolder, message: str) -> Interrupted:
    """What is raised when a run is stopped, with the generator that is in its folder."""
    if not folder.generator.is_file():
        return Interrupted(f"stopped before there was a generator in {folder.path}", None, folder.path)
    return Interrupted(f"{message}\nthe generator so far: {_AGAIN}", _of_run(folder), folder.path)


def _of_run(folder: RunFolder) -> Generator:
    """The newest generator of a run, which says its folder and, where it was scored at that step, its score."""
    generator = Generator.load(folder.generator)
    scored, _ = read_scores(folder.scores)
    score = ""
    if scored and scored[-1]["step"] == generator.about.step:
        score = leading(scored[-1])
    return dataclasses.replace(generator, folder=str(folder.path), score=score)


def _without_folder(config: Config, stated: frozenset[str] | None, data: Data, console: Console) -> Generator:
    if stated is not None:
        config, _, lines = planned(config, stated, data, device_of(config), console)
        for line in lines:
            console.say(line)
    with using_threads(config.threads), deterministic(config.deterministic):
        check_of_pictures(config, data)
        built = build(config, data, device_of(config))
        hook = watching(console, _about(config, built), config.steps)
        try:
            train(built.state, built.game, built.data, config.steps, ((1, hook),))
        except KeyboardInterrupt:
            at = f"stopped at step {built.state.step:,} of {config.steps:,}"
            raise Interrupted(f"{at}; the generator so far:\n{_AGAIN}", _generator(config, built)) from None
    built.state.watch.check()
    return _generator(config, built)


def _about(config: Config, built: Built) -> list[str]:
    """What is trained, for people who wait."""
    told = facts_of(config, built).sentences()
    return [f"data      {told['data']}", *(f"          {note}" for note in built.data.notes),
            f"space     {built.game.space!r}", f"networks  {told['networks']}"]  # fmt: skip


def _generator(config: Config, built: Built) -> Generator:
    """The averaged generator as it is."""
    return Generator(
        built.state.average.cpu(), built.data.units.to("cpu"), about(config, built.data, built.game, built.state.step)
    )
