"""One of the two who play, the critic or the generator: its network, and what its training changes and reports."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from banach.engine.averages import Averages


@dataclass
class Player:
    """A network with its optimizer, the means of what its steps report, and its forward pass in the run's precision.

    `name` is "critic" or "generator": so messages name it, and so the keys of a checkpoint begin.
    """

    name: str
    network: nn.Module
    optimizer: torch.optim.Optimizer
    averages: Averages
    forward: Callable[[Tensor], Tensor]

    def state_dict(self) -> dict[str, Any]:
        """Weights, the optimizer's moments and the means, under the keys they have in a checkpoint."""
        return {
            self.name: dict(self.network.state_dict()),
            f"{self.name}_optimizer": self.optimizer.state_dict()["state"],
            f"{self.name}_averages": self.averages.state_dict(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go to what `state_dict` gave; other keys are left alone."""
        self.network.load_state_dict(saved[self.name])
        moments = deepcopy(saved[f"{self.name}_optimizer"])  # or training would change what was read
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.averages.load_state_dict(saved[f"{self.name}_averages"])
