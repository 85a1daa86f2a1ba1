"""Short runs on pictures: small networks trained for a minute, and their samples scored, as several experiments do."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from banach.config.config import Config
from banach.data.dataset import Data
from banach.data.load import is_named, load
from banach.errors import BanachError, ModelError
from banach.experiments.experiment import Setting
from banach.metrics.features import extractor, extractor_for
from banach.metrics.scores import score
from banach.models.sizes import halvings
from banach.streams import stream
from banach.training.build import Built, build
from banach.training.finite import NotFinite
from banach.training.loop import train
from banach.training.plan import average, rate

SIDE = 32
"""The side to which pictures are brought that have none that small networks can make."""

SHOWN = 8
"""Samples that are kept for a figure."""

_AT_ONCE = 500

_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Size:
    """How much a short run is: generator steps, batch, widths of both networks, samples scored, reals at most (0: all).

    The learning rate and the average are those that a planned run of so many steps has (`banach.training.plan`).
    """

    steps: int
    batch: int = 32
    g_width: int = 16
    d_width: int = 32
    samples: int = 5000
    reals: int = 0

    def __str__(self) -> str:
        return f"{self.steps}x{self.batch}-{self.g_width}-{self.d_width}"


SHORT = (
    "These are short runs of small networks, at the rates of planned runs: what holds after 100,000 steps may not show"
    " yet. The published networks and constants are the sweep of --scale paper."
)

TINY = Size(steps=2, batch=4, g_width=1, d_width=2, samples=40, reals=80)
"""A run of a tenth of a second, for tests."""


def pictures(source: str | None, size: Size) -> Data:
    """The user's pictures, or the bundled ones: as they are where small networks can make them, else 32x32.

    Raises `BanachError` for data that are no pictures.
    """
    if source is None:
        return _some(load("fashion"), size.reals)
    folder = not is_named(source) and Path(source).expanduser().is_dir()
    data = load(source, size=SIDE) if folder else load(source)
    if data.kind != "image":
        shape = "x".join(map(str, data.shape))
        raise BanachError(
            f"{source} holds numbers of shape {shape}, and this is scored on pictures: give a set of them"
        )
    return _some(data if _can_be_made(data) else load(source, size=SIDE), size.reals)


def data_of(setting: Setting) -> dict[str, Any]:
    """The config's keys of the user's own data, for a sweep."""
    assert setting.data is not None
    folder = not is_named(setting.data) and Path(setting.data).expanduser().is_dir()
    return {"data": setting.data, **({"size": SIDE} if folder else {})}


def config(size: Size, **keys: Any) -> Config:
    """The config of a short run: DCGAN with 4x4 kernels, one critic step, and what `keys` say."""
    return Config(
        **{
            "model": "dcgan4",
            "g_width": size.g_width,
            "d_width": size.d_width,
            "steps": size.steps,
            "batch": size.batch,
            "n_critic": 1,
            "lr": rate(size.steps),
            "ema": average(size.steps),
            "drift": "auto",
            **keys,
        }
    )


def trained(config: Config, data: Data) -> tuple[Built, str]:
    """The networks after the config's steps; and where a loss was not finite, which, with those before that step."""
    built = build(config, data, torch.device("cpu"))
    try:
        train(built.state, built.game, built.data, config.steps)
    except NotFinite as error:
        return built, str(error)
    return built, ""


def sampled(built: Built, n: int, seed: int) -> Tensor:
    """n samples of the generator's average in model units (n, *shape)."""
    state = built.state
    z = torch.randn(n, state.latents.shape[1], generator=stream("cpu", seed, "samples of an experiment"))
    with torch.no_grad():
        return torch.cat([state.average(one) for one in z.split(_AT_ONCE)])


def extractors_for(shape: tuple[int, ...]) -> tuple[str, ...]:
    """The features that decide, and others to look at beside them."""
    return tuple(dict.fromkeys((extractor_for(shape), "pixels")))


def scores_for(shape: tuple[int, ...]) -> dict[str, tuple[str, ...]]:
    """By extractor the scores that are taken: FID, and the inception score where it has classes."""
    return {by: ("fid", "is") if extractor(by).classes else ("fid",) for by in extractors_for(shape)}


def scores_of(fakes: Tensor, data: Data) -> dict[str, dict[str, float]]:
    """By extractor the scores of uint8 samples against the training part."""
    return {by: score(fakes, data.train, extractor=by, names=names) for by, names in scores_for(data.shape).items()}


def by_score(runs: dict[_Key, list[dict[str, Any]]], shape: tuple[int, ...]) -> dict[str, dict[_Key, list[float]]]:
    """The scores of runs, as "fid (fashion)", by what was varied, one a seed; those that decide come first."""
    return {
        f"{name} ({by})": {key: [figure_of(one, by, name) for one in of] for key, of in runs.items()}
        for by, names in scores_for(shape).items()
        for name in names
    }


def scored_run(config: Config, data: Data, size: Size) -> dict[str, Any]:
    """A whole short run as plain values: the scores, some samples (uint8), and the fault that ended it, or ""."""
    built, fault = trained(config, data)
    if fault:
        return {"fault": fault, "scores": {}, "shown": []}
    fakes = data.units.to_data(sampled(built, size.samples, config.seed))
    return {"fault": "", "scores": scores_of(fakes, data), "shown": fakes[:SHOWN].tolist()}


def figure_of(run: dict[str, Any], by: str, name: str) -> float:
    """A score of a run by extractor and name. A run that ended in a fault has the worst: inf for FID, -inf for IS."""
    if run["fault"]:
        return float("inf") if name == "fid" else float("-inf")
    return float(run["scores"][by][name])


def tiles(images: Tensor, columns: int) -> Tensor:
    """Pictures (n, c, h, w) in rows of `columns`, as one (rows h, columns w, c); what is missing stays empty."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    padded = torch.cat([images, images.new_zeros(rows * columns - n, c, h, w)])
    return padded.view(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)


def _can_be_made(data: Data) -> bool:
    try:
        halvings(data.shape[1:], least=1)
    except ModelError:
        return False
    return max(data.shape[1:]) <= SIDE


def _some(data: Data, most: int) -> Data:
    if not most:
        return data
    labels = None if data.labels is None else data.labels[:most]
    return dataclasses.replace(data, train=data.train[:most], held_out=data.held_out[:most], labels=labels)
