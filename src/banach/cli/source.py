"""Samples that a command compares, and how they were read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Source:
    """Samples (n, …) with lines on how they were read. Pictures are in [-1, 1], all else in its own units."""

    name: str
    values: Tensor
    notes: tuple[str, ...]
    labels: np.ndarray | None = None
    """The group of each sample, if it was given."""
    pictures: bool = False
    dtype: str = ""
    """The type of the numbers as they are stored."""
    asked: bool = True
    """Nobody said what the axes are."""
    alike: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Axes, and shapes (c, *space) of samples, of arrays that are read as these are, where that is known."""
    categories: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    """The columns of a table that are categories, and these."""

    def about(self) -> dict[str, Any]:
        """For JSON."""
        shape = list(self.values.shape[1:])
        return {"name": self.name, "samples": len(self.values), "shape": shape, "notes": list(self.notes)}
