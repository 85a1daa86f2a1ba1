"""Value surfaces: contours of critics on the plane, with real and generated points, after gan_toy.py's pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from banach.report.figures import agg_figure

REACH = 3.0
_GRID = 128
_POINTS = 300
_COLUMNS = 3
_COLOURS = 128


@torch.no_grad()
def surface(f: Callable[[Tensor], Tensor]) -> np.ndarray:
    """f on a grid of 128 x 128 over [-3, 3]^2; rows are heights."""
    side = torch.linspace(-REACH, REACH, _GRID)
    y, x = torch.meshgrid(side, side, indexing="ij")
    return f(torch.stack((x.flatten(), y.flatten()), 1)).reshape(_GRID, _GRID).double().numpy()


def draw(path: Path, critics: Mapping[str, Callable[[Tensor], Tensor]], real: Tensor, fake: Tensor) -> None:
    """One panel a critic, under its title: level lines, reals in orange, generated points in green."""
    rows = -(-len(critics) // _COLUMNS)
    figure = agg_figure(figsize=(3 * _COLUMNS, 3.15 * rows), dpi=80, layout="constrained")
    side = np.linspace(-REACH, REACH, _GRID)
    for place, (name, f) in enumerate(critics.items()):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        for points, colour in ((fake, "tab:green"), (real, "tab:orange")):
            axes.scatter(*points[:_POINTS].T.numpy(), marker="+", s=14, linewidths=0.6, c=colour)
        axes.contour(side, side, surface(f), levels=14, linewidths=0.9, cmap="viridis")
        axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=(), yticks=())
        axes.set_title(name, fontsize=11)
    figure.canvas.draw()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3]).quantize(_COLOURS).save(path, optimize=True)
