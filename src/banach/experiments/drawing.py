"""Figures of experiments as PNG files in their folders."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from banach.experiments.experiment import Figure
from banach.report.figures import agg_figure, looks

COLOURS = ("#1f5fbf", "#d9730d", "#2d8a58", "#7d52c0", "#b3322b", "#656f7a")
_PALETTE = 128


@contextlib.contextmanager
def drawn(folder: Path, name: str, caption: str, size: tuple[float, float] = (7, 3)) -> Iterator[tuple[Any, Figure]]:
    """Yields an empty matplotlib figure of `size` inches, and the `Figure` of the file to which leaving saves it."""
    with looks({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9.0}):
        figure = agg_figure(figsize=size, dpi=110, layout="constrained")
        yield figure, Figure(f"{name}.png", caption)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).quantize(_PALETTE).save(folder / f"{name}.png", optimize=True)
