"""A space, an objective, a penalty and a critic of your own, for series (b, channels, n) whose late times matter most.

banach laws 'Recent(rate=2, p=3)' --plugin examples/own_parts.py
banach train --plugin examples/own_parts.py --data series.npy --space 'Recent(rate=2)' --model series
"""

from dataclasses import dataclass

import torch
from torch import nn

from banach.models import MODELS, Family
from banach.numerics import conjugate, p_norm
from banach.objectives import OBJECTIVES, Objective
from banach.penalties import PENALTIES, Gradients, Mean, OneSided, Penalty
from banach.spaces import SPACES, Space


@SPACES.register(examples=["Recent()", "Recent(rate=2, p=3)"])
@dataclass(frozen=True)
class Recent(Space):
    """L^p in which the weight of an entry grows along the last axis, by e^rate from the first to the last."""

    rate: float = 1.0
    p: float = 2.0

    def norm(self, x):
        return p_norm(x * torch.exp(self.rate * torch.linspace(-1, 0, x.shape[-1]).to(x)), self.p)

    @property
    def dual(self):
        return Recent(-self.rate, conjugate(self.p))  # the weights divide, 1/p + 1/q = 1; the laws test it


def critic(shape, width, rng):
    """D(x), shape (b,): no batch statistics and no final sigmoid, which a gradient penalty could not bear."""
    layers = [nn.Conv1d(shape[0], width, 5, padding=2), nn.SiLU(), nn.Conv1d(width, width, 5, padding=2), nn.SiLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, 1), nn.Flatten(0))
    for weights in network.parameters():
        nn.init.uniform_(weights, -0.1, 0.1, generator=rng)
    return network


OBJECTIVES.add("half-exp", Objective(lambda f: torch.exp(f / 2), lambda f: torch.exp(-f / 2), spelling="half-exp"))
PENALTIES.add("steep-fakes", Penalty(Gradients("fakes"), OneSided(), Mean(), weight=10))
MODELS.add("series", Family("series", MODELS["mlp"].generator, critic, "A convolutional critic for series.", 64))
