"""The densely connected critic of Lipschitz GANs' image-gradient code: each layer's output is joined to its input."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.models.blocks import Score, he_, linear


class DenselyConnected(nn.Module):
    """x (b, *event), flattened, to f(x) (b,): `depth` layers of `width` with ReLU, each joined to all before it."""

    def __init__(self, inputs: int, width: int, depth: int, rng: torch.Generator | None):
        super().__init__()
        self.layers = nn.ModuleList(linear(inputs + at * width, width, rng, he_) for at in range(depth))
        self.score = Score(inputs + depth * width, rng)

    def forward(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        h = x.flatten(1)
        for layer in self.layers:
            h = torch.cat([h, layer(h).relu()], 1)
        return self.score(h)
