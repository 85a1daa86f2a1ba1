"""What a network says of itself, whoever wrote it."""

import abc
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Shaped(Protocol):
    """A network that says the shape of its samples, without the batch axis."""

    shape: tuple[int, ...]


@runtime_checkable
class Latent(Protocol):
    """A generator that says the dimension of its latents."""

    z: int


class AnySize(nn.Module, abc.ABC):
    """A generator whose samples are functions of place: `size` places on each axis, those of training if None."""

    @abc.abstractmethod
    def forward(self, z: Tensor, size: tuple[int, ...] | None = None) -> Tensor: ...


def describe_(network: nn.Module, *, shape: tuple[int, ...], z: int | None = None) -> nn.Module:
    """The network as a `Shaped`, with `z` a `Latent`, so that a user's own builder need not remember to say so."""
    vars(network).update({"shape": shape} if z is None else {"z": z, "shape": shape})
    return network
