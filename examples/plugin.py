"""A space, an objective, a penalty and networks of your own in one file of forty lines.

banach train --plugin examples/plugin.py --space Channels:p=1 --objective logcosh --penalty cubic --model smooth
banach laws --plugin examples/plugin.py
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from banach.models import MODELS, Family
from banach.models.blocks import linear
from banach.numerics import conjugate, p_norm
from banach.objectives import OBJECTIVES, Objective
from banach.penalties import PENALTIES, SHAPES, Mean, Penalty, Shape
from banach.slopes import Gradients
from banach.spaces import SPACES, Space


@SPACES.register(examples=["Channels(p=1)", "Channels(p=4)"])
@dataclass(frozen=True)
class Channels(Space):
    """The p-norm over channels of the L^2 norm of each; its dual has the conjugate exponent."""

    p: float = 1.0

    def norm(self, x):
        channels = x.reshape(*x.shape[:2], -1)
        return p_norm(p_norm(channels.flatten(0, 1), 2).view(x.shape[:2]), self.p)

    @property
    def dual(self):
        return Channels(conjugate(self.p))


softplus = nn.functional.softplus
logcosh = Objective(lambda f: softplus(2 * f), lambda f: softplus(-2 * f), spelling="logcosh")
OBJECTIVES.add("logcosh", logcosh, summary="phi = f + log cosh f, varphi = -f + log cosh f")


@SHAPES.register()
@dataclass(frozen=True)
class Cubic(Shape):
    """max(0, slope - 1)^3."""

    def __call__(self, slope):
        return torch.relu(slope - 1) ** 3


PENALTIES.add("cubic", Penalty(Gradients(), Cubic(), Mean(), weight=30), summary="one-sided and cubic")


def critic(shape, width, rng):
    first, last = linear(math.prod(shape), width, rng), linear(width, 1, rng)  # weights drawn from `rng` alone
    return nn.Sequential(nn.Flatten(), first, nn.Softplus(), last, nn.Flatten(0))


MODELS.add("smooth", Family("smooth", MODELS["mlp"].generator, critic, "one softplus layer as the critic"))
