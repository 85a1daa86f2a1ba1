"""A critic that is given samples in the coordinates in which their norm is measured."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.errors import ModelError


class InCoordinates(nn.Module):
    """x (b, *shape) to D(E x / unit) (b,), for a norm |E x|_p whose map E keeps the shape of the samples.

    Its gradient in x is E^T of the network's, over the unit, so that the dual norm of the one is the q-norm of the
    other: the network plays a game in L^p, whatever the norm. A convolutional network that is given x itself has
    gradients rough in x; in a norm whose dual weighs roughness it spends all of its slope on that, and finds next to
    nothing of the distance. `unit` is the root mean square of E x on the data, so that the network sees numbers of
    size 1. E is computed in float32 or better, in any precision of the network.

    >>> from banach import Scale
    >>> InCoordinates(nn.Flatten(0), Scale(3.0), unit=2.0)(torch.ones(2, 1))
    tensor([1.5000, 1.5000])
    """

    unit: Tensor

    def __init__(self, network: nn.Module, coordinates: Callable[[Tensor], Tensor], unit: float):
        super().__init__()
        if not 0 < unit < float("inf"):
            raise ModelError(f"critic-input: the data have the size {unit:g} in the norm; take --critic-input samples")
        self.network, self._coordinates = network, coordinates
        self.register_buffer("unit", torch.tensor(unit))

    def forward(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        with torch.autocast(x.device.type, enabled=False):
            h = self._coordinates(x) / self.unit
        return self.network(h)
