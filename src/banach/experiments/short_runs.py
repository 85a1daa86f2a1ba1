"""Short runs on pictures: small networks trained for a minute, as several experiments do."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from banach.config.config import Config
from banach.training.plan import average, rate

SHOWN = 8
"""Samples that are kept for a figure."""


@dataclass(frozen=True)
class Size:
    """How much a short run is: generator steps, batch, widths of both networks, samples scored.

    The learning rate and the average are those that a planned run of so many steps has (`banach.training.plan`).
    """

    steps: int
    batch: int = 32
    g_width: int = 16
    d_width: int = 32
    samples: int = 5000

    def __str__(self) -> str:
        return f"{self.steps}x{self.batch}-{self.g_width}-{self.d_width}"


SHORT = (
    "These are short runs of small networks, at the rates of planned runs: what holds after 100,000 steps may not show"
    " yet. The published networks and constants are the sweep of --scale paper."
)

ONE_SPLIT: dict[str, Any] = {"threads": 1, "split_seed": 0, "score_every": 0}
"""Keys of runs side by side: a core each, the same pictures held out for every seed, scores at the end alone."""

TINY = Size(steps=2, batch=4, g_width=1, d_width=2, samples=40)
"""A run of a tenth of a second, for tests."""


def keys(size: Size, **more: Any) -> dict[str, Any]:
    """The config's keys of a short run: DCGAN with 4x4 kernels, one critic step, and what `more` says."""
    return {
        "model": "dcgan4",
        "g_width": size.g_width,
        "d_width": size.d_width,
        "steps": size.steps,
        "batch": size.batch,
        "n_critic": 1,
        "lr": rate(size.steps),
        "ema": average(size.steps),
        "drift": "auto",
        **more,
    }


def config(size: Size, **more: Any) -> Config:
    """The config with these keys."""
    return Config(**keys(size, **more))


def tiles(images: Tensor, columns: int) -> Tensor:
    """Pictures (n, c, h, w) in rows of `columns`, as one (rows h, columns w, c); what is missing stays empty."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    padded = torch.cat([images, images.new_zeros(rows * columns - n, c, h, w)])
    return padded.view(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)
