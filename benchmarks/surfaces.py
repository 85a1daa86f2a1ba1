"""Value surfaces of critics on the plane as a picture; the drawing is that of the experiments."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from banach.experiments.surfaces import COLUMNS, draw_surfaces, surface
from banach.report.figures import agg_figure

_COLOURS = 128


def draw(path: Path, critics: Mapping[str, Callable[[Tensor], Tensor]], real: Tensor, fake: Tensor) -> None:
    """One panel a critic, under its title: level lines, reals in orange, generated points in green."""
    rows = -(-len(critics) // COLUMNS)
    figure = agg_figure(figsize=(3 * COLUMNS, 3.15 * rows), dpi=80, layout="constrained")
    draw_surfaces(figure, {name: surface(f) for name, f in critics.items()}, real, fake, COLUMNS)
    figure.canvas.draw()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3]).quantize(_COLOURS).save(path, optimize=True)
