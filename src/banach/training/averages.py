"""Means of what a training step reports, kept on the device between two log lines: no step waits for the host."""

import torch
from torch import Tensor

MAXIMA = frozenset({"slope_max"})
"""Quantities of which the largest value is kept, not the mean."""


class Averages:
    """Running means (and maxima, `MAXIMA`) of named 0-dimensional tensors, in float64 where the device has it.

    What is added is the same in all processes, and so are the averages.
    """

    def __init__(self, device: torch.device | str = "cpu"):
        self._dtype = torch.float32 if torch.device(device).type == "mps" else torch.float64
        self._device = torch.device(device)
        self._names: list[str] = []
        self.clear()

    def clear(self) -> None:
        """Forget all values."""
        self._sums = torch.zeros(len(self._names), dtype=self._dtype, device=self._device)
        self._tops = torch.full_like(self._sums, -torch.inf)
        self._count = 0

    @torch.no_grad()
    def add(self, values: dict[str, Tensor]) -> None:
        """Take one step's values; the names are those of the first step ever since."""
        if self._names != list(values):
            self._names = list(values)
            self.clear()
        row = torch.stack([one.detach() for one in values.values()]).to(self._dtype)
        self._sums += row
        self._tops = torch.maximum(self._tops, row)
        self._count += 1

    @torch.no_grad()
    def means(self) -> dict[str, float]:
        """The means and maxima since `clear`; {} where nothing was added. Waits for the device."""
        if self._count == 0:
            return {}
        means, tops = (self._sums / self._count).tolist(), self._tops.tolist()
        return {name: top if name in MAXIMA else mean for name, mean, top in zip(self._names, means, tops, strict=True)}

    def state_dict(self) -> dict[str, object]:
        return {"names": list(self._names), "sums": self._sums, "tops": self._tops, "count": self._count}

    def load_state_dict(self, saved: dict) -> None:
        self._names = list(saved["names"])
        self._sums = saved["sums"].to(self._device, self._dtype, copy=True)
        self._tops = saved["tops"].to(self._device, self._dtype, copy=True)
        self._count = saved["count"]
