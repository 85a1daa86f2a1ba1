"""One of the two who play, the critic or the generator: its network, and what its training changes and reports."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from banach.slopes import Critic, Evaluation, evaluation_of
from banach.training.averages import Averages

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Precisions of the networks, other than fp32."""


@dataclass
class Player:
    """A network with its optimizer, the means of what its steps report, and its forward pass in the run's precision.

    `name` is "critic" or "generator": so messages name it, and so the keys of a checkpoint begin.
    """

    name: str
    network: nn.Module
    optimizer: torch.optim.Optimizer
    averages: Averages
    forward: Evaluation

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


def forward_of(network: Critic, precision: str, scaler: torch.amp.GradScaler | None = None) -> Evaluation:
    """A network's forward pass in a precision; float16 takes a scaler."""
    return replace(evaluation_of(network), half=None if precision == "fp32" else HALF[precision], scaler=scaler)
