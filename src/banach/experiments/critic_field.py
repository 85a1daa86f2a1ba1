"""A critic on the plane as a picture: its levels, the samples, and the direction of its gradient at some fakes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.experiments.drawing import COLOURS
from banach.experiments.plane_critics import Critic, unit
from banach.slopes import gradient

_WIDE, _HIGH = (-2.0, 2.0, 60), (-1.5, 1.5, 45)
_POINTS, _ARROWS = 150, 60


def field_of(f: Critic, real: Tensor, fake: Tensor, copies: int = 1) -> dict[str, Any]:
    """What `draw_field` draws, of plain types; `copies`: how often f wants its points (a `StackedMLP`)."""
    x, y = torch.meshgrid(torch.linspace(*_WIDE), torch.linspace(*_HIGH), indexing="xy")
    grid = torch.stack([x.flatten(), y.flatten()], 1)
    with torch.no_grad():
        surface = f(grid.repeat(copies, 1))[: len(grid)].reshape(x.shape)
    rng = torch.Generator().manual_seed(0)  # samples may be in the order of their parts
    real, fake = (one[torch.randperm(len(one), generator=rng)] for one in (real, fake))
    some = fake[:_ARROWS]
    arrows = unit(gradient(f, some.repeat(copies, 1))[: len(some)])
    parts = {"surface": surface, "real": real[:_POINTS], "fake": fake[:_POINTS], "at": some, "arrows": arrows}
    return {name: np.round(one.double().numpy(), 4).tolist() for name, one in parts.items()}


def draw_field(axes: Any, field: dict[str, Any], title: str) -> None:
    """Levels of the critic, reals in orange, fakes in green, the direction of the gradient as red arrows."""
    side_x, side_y = np.linspace(*_WIDE), np.linspace(*_HIGH)
    axes.contour(side_x, side_y, np.array(field["surface"]), levels=16, linewidths=0.7, cmap="viridis")
    for name, colour in (("real", COLOURS[1]), ("fake", COLOURS[2])):
        axes.scatter(*np.array(field[name]).T, s=4, color=colour, linewidths=0)
    axes.quiver(*np.array(field["at"]).T, *np.array(field["arrows"]).T, color=COLOURS[4], scale=18, width=0.004)
    axes.set(xlim=_WIDE[:2], ylim=_HIGH[:2], aspect="equal", xticks=(), yticks=())
    axes.set_title(title, fontsize=9)
