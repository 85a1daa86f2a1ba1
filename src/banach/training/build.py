"""From a config to the things it names: device, data, game, and the state before the first step."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from banach import distributed
from banach.config.config import Config, ConfigError, dump
from banach.config.parts import MachineKeys, TrainingKeys
from banach.constraints import Free
from banach.data.dataset import Data
from banach.data.layout import Layout
from banach.data.load import load
from banach.data.sampler import Sampler, augment
from banach.errors import DataError
from banach.game import Game, GameError, check_bounded, check_critic, check_space, heuristic
from banach.generator import About, Generator, GeneratorError
from banach.models import InCoordinates, LipschitzCritic, build_critic, build_generator, last_layer, start_at_
from banach.models.described import describe_
from banach.runs import checkpoint
from banach.runs.checkpoint import CheckpointError
from banach.runs.environment import package_version
from banach.runs.folder import RunFolder
from banach.scales import DRIFT, drift_for, scales
from banach.slopes import Gradients
from banach.spaces import Space
from banach.spaces.properties import map_of_events
from banach.streams import seed_of, stream
from banach.training.layouts import forms_for
from banach.training.state import Recipe, State, new_state

_STARTED_AT = 1024
"""Samples of each distribution that a critic may start from."""

_SLOPES = 64
"""Points at which the slope of an untrained critic is measured."""

_AT_ONCE = 2**22
"""Entries at a time, at most, when norms of the whole set are taken."""

_ON_DEVICE = 2**31
"""Data up to so many bytes are moved to a GPU as a whole."""


SNAPSHOTS = 5
"""Periods of a run with warm restarts, where nobody says how long they are: Banach WGAN's ensemble of 5 generators."""


@dataclass(frozen=True)
class Built:
    """What a config names, before or after the weights of a checkpoint are put in."""

    data: Data
    game: Game
    state: State


def device_of(config: MachineKeys) -> torch.device:
    """The device that `config` names, `auto` being a CUDA device where there is one; raises `ConfigError`."""
    device = _device(config.device)
    if config.precision == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision: fp16 is for CUDA devices, and this is {device.type}; take --precision bf16")
    return device


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and distributed.world() > 1:
        name = f"cuda:{distributed.local_rank()}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).splitlines()[0][:100]
        raise ConfigError(f"device: {name!r} cannot be used here ({said}); take auto or cpu") from None
    return device


def load_data(config: Config, ask: bool = True, like: Layout | None = None) -> Data:
    """The data set that `config` names; raises `DataError`, and with `ask` where it can be read in two ways, too.

    `like` is how an array lay that this one may be read alike.
    """
    return load(
        config.data,
        size=config.size,
        axes=config.axes,
        fit=config.fit,
        classes=config.classes or None,
        holdout=config.holdout,
        seed=config.splits_by,
        normalise=config.normalise,
        cache=config.cache,
        pages=config.pages,
        range=config.range,
        background=config.background,
        merge_folders=config.merge_folders,
        pad=config.pad,
        crop=config.crop,
        known=() if like is None else like.alike,
        categories=() if like is None else like.categories,
        ask=ask,
    )


def load_again(config: Config, fingerprint: str | None = None, like: Layout | None = None) -> Data:
    """The data set of a run that began: read as it was then, also where a new run would be asked how to.

    `fingerprint` is that of the data then, `like` how they lay, if that is known.
    """
    try:
        data = load_data(config, like=like)
        if fingerprint in (None, data.fingerprint):
            return data
    except DataError:
        return load_data(config, ask=False)
    before = load_data(config, ask=False)
    return before if before.fingerprint == fingerprint else data


def check_of_pictures(config: Config, data: Data) -> None:
    """`ConfigError` for a key that is for pictures, where the data are none."""
    if data.kind == "image":
        return
    shape = "x".join(map(str, data.shape))
    for key, given in (("flip", config.flip), ("dequantise", config.dequantise)):
        if given:
            raise ConfigError(
                f"{key}: is for pictures, and {data.name} is read as numbers of shape {shape}; write --no-{key}"
                + " (if these are pictures, see --range)" * (len(data.shape) == 3 and data.shape[0] in (1, 3))
            )


def build(config: Config, data: Data, device: torch.device, facts: dict[str, float | str] | None = None) -> Built:
    """Game and state for `config` on `data`.

    `facts` are those of a checkpoint: the scales in them are taken as they are, so that a resumed run plays the very
    same game. Raises `SpecError`, `GameError`, `ConfigError` or `DataError` where something does not fit.
    """
    began_in = str(facts.get("forms", "")) if facts else ""
    game, facts = build_game(config, data, facts)
    state = new_state(
        build_generator(
            config.model,
            data.shape,
            z=config.z,
            width=config.g_width,
            output=data.units.output,
            rng=stream("cpu", config.seed, "generator"),
            padding=config.padding,
        ),
        _critic(config, game, data),
        Sampler(len(data.train), config.batch, seed_of(config.seed, "sampler")),
        recipe_of(config),
        config.seed,
        device,
    )
    if isinstance(state.recipe.constraint, Free) and not isinstance(state.critic.network, LipschitzCritic):
        check_bounded(game)
    check_critic(game, state.critic.network, data.shape)
    _check_generator(state, data)
    _start_at_data(state, data)
    state.facts = facts | forms_for(state, began_in)
    if config.critic_start != "plain":
        _start_at_gamma(game, state, data, config.critic_start)
    if device.type != "cpu" and data.train.nbytes <= _ON_DEVICE:
        data = data.to(device)
    return Built(data, game, state)


def build_game(
    config: Config, data: Data, facts: dict[str, float | str] | None = None
) -> tuple[Game, dict[str, float | str]]:
    """The game, with lambda and gamma measured on the training data where the config says auto, and the facts found.

    The heuristic is derived for the two-sided Wasserstein loss; another game gets its penalty's own weight and gamma 1.
    """
    norm, aims, kind = config.named.space, config.named.objective, config.named.penalty
    check_space(norm, data.shape)
    found: dict[str, float | str] = {"data": data.fingerprint}
    weight: float | str = config.penalty_weight
    gamma: float | str = config.critic_scale
    if "auto" in (weight, gamma) and isinstance(norm, Space) and heuristic(norm, aims, kind):
        known = facts and all(isinstance(facts.get(one), int | float) for one in ("gamma", "lam"))
        found |= facts if facts and known else _scales(norm, data)
        weight = found["lam"] if weight == "auto" else weight
        gamma = found["gamma"] if gamma == "auto" else gamma
    weight = (kind.weight if kind else 0.0) if weight == "auto" else weight
    gamma = 1.0 if gamma == "auto" else gamma
    paced = config.named.penalty_schedule
    game = Game(norm, aims, kind, weight, gamma, _drift(config, found, gamma), paced)  # pyright: ignore[reportArgumentType] - no "auto"
    if aims.paired and config.g_batch not in (0, config.batch):
        raise GameError(
            f"g-batch: {config.objective} compares each fake with a real of the batch, so {config.g_batch} fakes "
            f"do not go with {config.batch} reals; leave --g-batch out",
            "no pairs",
        )
    return game, {**found, "data": data.fingerprint}


def _drift(config: Config, facts: dict[str, float | str], gamma: float | str) -> float:
    """What the config says; for auto that of `drift_for`, where lambda was measured and gamma is fixed."""
    if not isinstance(config.drift, str):
        return config.drift
    lam = facts.get("lam")
    return drift_for(gamma, lam) if isinstance(lam, int | float) and isinstance(gamma, int | float) else DRIFT


def recipe_of(config: Config) -> Recipe:
    """The constants of the training that `config` names."""
    return Recipe(
        n_critic=config.n_critic,
        first_steps=config.first_steps,
        batch=config.batch,
        g_batch=config.g_batch or config.batch,
        lr=config.lr,
        g_lr=config.g_lr or config.lr,
        optimizer=config.optimizer,
        beta1=config.beta1,
        beta2=config.beta2,
        decay_over=config.steps if config.decay == "linear" else 0,
        restart_every=period(config) if config.decay == "restarts" else 0,
        ema=config.ema,
        flip=config.flip,
        dequantise=config.dequantise,
        precision=config.precision,
        constraint=config.named.constraint,
    )


def period(config: TrainingKeys) -> int:
    """Steps from one warm restart to the next: what the config says, or a fifth of its steps, rounded up."""
    return config.restart_every or -(-config.steps // SNAPSHOTS)


def start_from(state: State, source: str) -> str:
    """Put the weights of a run folder, a checkpoint or a generator file into `state`; returns a line that says so.

    A run or checkpoint gives generator, average and critic; a generator file the generator and its average. Raises
    `CheckpointError` or `GeneratorError`.
    """
    path = Path(source).expanduser()
    if path.suffix == ".safetensors":
        other = Generator.load(path)
        _put(state, {"generator": dict(other.network.state_dict()), "average": dict(other.network.state_dict())}, path)
        return f"generator starts from {path} (step {other.about.step:,}); the critic is new"
    if path.is_dir():
        folder = RunFolder(path).checkpoints
        if not checkpoint.exists(folder) and RunFolder(path).generator.exists():
            return start_from(state, str(RunFolder(path).generator))
        saved, _ = checkpoint.load(folder if folder.is_dir() else path)
    elif path.exists():
        saved = checkpoint.read(path)
    else:
        raise CheckpointError(f"init: nothing at {path}; give a run folder, a checkpoint or a generator.safetensors")
    _put(state, {name: saved.get(name, {}) for name in ("generator", "average", "critic")}, path)
    return f"generator and critic start from {path} (step {saved['step']:,})"


def _put(state: State, weights: dict[str, dict[str, Any]], path: Path) -> None:
    try:
        for name, values in weights.items():
            state.networks()[name].load_state_dict(values)
    except (RuntimeError, TypeError, AttributeError):
        raise GeneratorError(
            f"init: the weights in {path} do not fit this model and data; take the same --model, --z, --width and shape"
        ) from None


def _check_generator(state: State, data: Data) -> None:
    """GameError if the generator's samples have not the data's shape; DataError if these cannot be augmented."""
    with torch.no_grad():
        made = state.average(state.latents[:2])
    if made.shape[1:] != data.shape:
        raise GameError(
            f"the generator makes samples of shape {tuple(made.shape[1:])}, and the data have {data.shape}: "
            "a model's generator must map (b, z) to (b, *shape)"
        )
    rng = torch.Generator()
    augment(data.batch(torch.arange(1)), rng, flip=state.recipe.flip, dequantise=state.recipe.dequantise)


def _critic(config: Config, game: Game, data: Data) -> torch.nn.Module:
    """The critic of the config's family, in the norm's coordinates where the config says so."""
    rng = stream("cpu", config.seed, "critic")
    network = build_critic(
        config.model, data.shape, width=config.d_width, rng=rng, space=game.space, padding=config.padding
    )
    if config.critic_input == "samples":
        return network
    coordinates = map_of_events(game.space)
    if coordinates is None:
        raise ConfigError(
            f"critic-input: norm is for norms |E x|_p with a map E, and {game.space!r} is none; take samples"
        )
    if config.constraint != "none" or isinstance(network, LipschitzCritic):
        raise ConfigError("critic-input: norm is for critics without constraint; take samples")
    rows = torch.randperm(len(data.train), generator=stream("cpu", config.seed, "critic input"))[:_STARTED_AT]
    seen = coordinates(data.batch(rows.to(data.train.device)))
    return describe_(InCoordinates(network, coordinates, float(seen.double().square().mean().sqrt())), shape=data.shape)


def _start_at_data(state: State, data: Data) -> None:
    """Let a critic that can start from samples do so: the same ones, whatever the device or the number of processes."""
    if isinstance(state.critic.network, LipschitzCritic):
        rng = stream("cpu", state.streams.seed, "critic start")
        start_at_(state.critic.network, *_first_samples(state, data, rng), rng)


def _first_samples(state: State, data: Data, rng: torch.Generator, n: int = _STARTED_AT) -> tuple[Tensor, Tensor]:
    """Up to n reals, and as many fakes of the generator as it starts."""
    rows = torch.randperm(len(data.train), generator=rng)[:n]
    real = data.batch(rows.to(data.train.device)).to(state.device)
    z = torch.randn(len(real), state.latents.shape[1], generator=rng)
    with torch.no_grad():
        fake = torch.cat([state.average(one) for one in z.to(state.latents).split(state.recipe.batch)])
    return real, fake


def _slope(game: Game, state: State, data: Data) -> float:
    """The mean slope of the untrained critic between reals and fakes in the game's norm; ConfigError if it is 0."""
    rng = stream("cpu", state.streams.seed, "critic slope")
    real, fake = _first_samples(state, data, rng, _SLOPES)
    at = Gradients()
    found = at.measure(state.critic.network, real, fake, game.space, at.draw(real, rng)).detach().double().mean()
    if not (found.isfinite() and found > 0):
        raise ConfigError(f"critic-start: the slope of the untrained critic is {float(found):g}; take gamma or plain")
    return float(found)


def _start_at_gamma(game: Game, state: State, data: Data, start: str) -> None:
    """Scale the critic's output layer by gamma, or ("slope") so that the critic's own slope becomes gamma.

    f = D / gamma then starts at the scale of an unscaled critic, or with slopes of 1, as the penalty wants them.
    """
    if not isinstance(game.gamma, int | float):
        raise ConfigError(f"critic-start: {start} needs a fixed critic scale; take --critic-scale auto or a number")
    factor = game.gamma / _slope(game, state, data) if start == "slope" else game.gamma
    with torch.no_grad():
        for weight in last_layer(state.critic.network).parameters():
            weight.mul_(factor)


def _scales(norm: Space, data: Data) -> dict[str, float]:
    """gamma and lambda over the whole training part, with their errors."""
    try:
        rows = max(1, min(1024, _AT_ONCE // math.prod(data.shape)))
        return vars(scales(norm, (data.model_units(block) for block in data.train.split(rows))))
    except ValueError as error:
        raise GameError(f"{error} (or give numbers: --penalty-weight and --critic-scale)") from None


def about(config: Config, data: Data, game: Game, step: int = 0) -> About:
    """What a generator file says of a generator trained so."""
    return About(
        model=config.model,
        shape=data.shape,
        z=config.z,
        width=config.g_width,
        output=data.units.output,
        data=data.name,
        kind=data.kind,
        space=repr(game.space),
        step=step,
        config=dump(dataclasses.replace(config, range=data.range) if config.range == "auto" else config),
        version=package_version(),
        fingerprint=data.fingerprint,
        layout=data.layout,
        padding=config.padding,
    )


def parameters(network: torch.nn.Module) -> int:
    """How many numbers are trained."""
    return sum(one.numel() for one in network.parameters())


def is_writer() -> bool:
    """Whether this process is the one that writes the run folder."""
    return distributed.rank() == 0
