"""Value surfaces: contours of critics on the plane, with real and generated points, after gan_toy.py's pictures."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.experiments.fixed_generator import REACH

GRID = 128
COLUMNS = 3
_POINTS = 300


@torch.no_grad()
def surface(f: Callable[[Tensor], Tensor], grid: int = GRID) -> np.ndarray:
    """f on a square grid over [-3, 3]^2; rows are heights."""
    side = torch.linspace(-REACH, REACH, grid)
    y, x = torch.meshgrid(side, side, indexing="ij")
    return f(torch.stack((x.flatten(), y.flatten()), 1)).reshape(grid, grid).double().numpy()


def draw_surfaces(figure: Any, surfaces: Mapping[str, np.ndarray], real: Tensor, fake: Tensor, columns: int) -> None:
    """One panel a surface, under its title: level lines, reals in orange, generated points in green."""
    rows = -(-len(surfaces) // columns)
    for place, (name, heights) in enumerate(surfaces.items()):
        side = np.linspace(-REACH, REACH, len(heights))
        axes = figure.add_subplot(rows, columns, place + 1)
        for points, colour in ((fake, "tab:green"), (real, "tab:orange")):
            axes.scatter(*points[:_POINTS].T.numpy(), marker="+", s=14, linewidths=0.6, c=colour)
        axes.contour(side, side, heights, levels=14, linewidths=0.9, cmap="viridis")
        axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=(), yticks=())
        axes.set_title(name, fontsize=11)
