"""Fully connected networks, three hidden layers with ReLU, for points, vectors and anything flattened (gan_toy.py)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.models.activations import ReLU
from banach.models.blocks import Finish, Score, he_, linear

HIDDEN = 3


def _hidden(n: int, width: int, rng: torch.Generator | None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(HIDDEN):
        layers += [linear(width if i else n, width, rng, he_), ReLU(inplace=True)]
    return nn.Sequential(*layers)


class MLPGenerator(nn.Module):
    """z (b, z) to samples (b, *shape): three hidden layers of `width`, He's initialisation; the last layer Glorot's."""

    def __init__(self, shape: tuple[int, ...], z: int, width: int, output: str, rng: torch.Generator | None):
        super().__init__()
        self.z, self.shape = z, shape
        self.hidden = _hidden(z, width, rng)
        self.last = linear(width, math.prod(shape), rng)
        self.finish = Finish(output)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b *shape"]:
        return self.finish(self.last(self.hidden(z))).unflatten(1, self.shape)


class MLPCritic(nn.Module):
    """x (b, *shape), flattened, to D(x) (b,): three hidden layers of `width`; first weights as there."""

    def __init__(self, shape: tuple[int, ...], width: int, rng: torch.Generator | None):
        super().__init__()
        self.shape = shape
        self.hidden = _hidden(math.prod(shape), width, rng)
        self.score = Score(width, rng)

    def forward(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        return self.score(self.hidden(x.flatten(1)))
