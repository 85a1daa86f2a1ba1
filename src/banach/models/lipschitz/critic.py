"""The base class of critics that are Lipschitz by construction."""

import abc

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.errors import ModelError
from banach.models.blocks import in_single_precision
from banach.models.lipschitz.pairwise import distances
from banach.spaces import Metric, Space


class LipschitzCritic(nn.Module, abc.ABC):
    """A critic with |D(x) - D(y)| <= space.distance(x, y) for all x and y, whatever its weights are.

    D(x) = unit score((x - centre) / unit) with a 1-Lipschitz `score`: a shift is an isometry, and the unit cancels, so
    both are free to fit the data, and one learning rate serves all units and all norms. Without data, centre 0 and the
    mean distance of normal points; `start_at_` measures both.

    `space` and `shape` are those it was made for. It is never computed in less than single precision: rounding to
    bfloat16 would change its slope by half a percent. BanachError where the space refuses the shape.
    """

    def __init__(self, space: Metric, shape: tuple[int, ...], rng: torch.Generator | None):
        super().__init__()
        self.space, self.shape = space, shape
        self.centre: Tensor
        self.unit: Tensor
        self.register_buffer("centre", torch.zeros(shape))
        self.register_buffer("unit", torch.ones(()))
        self.unit.copy_(_typical(space, *torch.randn(2, 8, *shape, generator=rng)))

    def forward(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        with torch.autocast(x.device.type, enabled=False):
            return self.unit * self.score((in_single_precision(x) - self.centre) / self.unit)

    @abc.abstractmethod
    def score(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        """A 1-Lipschitz function of x, in data units divided by `unit`."""

    @abc.abstractmethod
    def bound(self, space: Metric) -> float | None:
        """A Lipschitz constant of D in `space`, from the weights that D computes with, in float64; None if unknown.

        In the critic's own space it is 1 but for the rounding of these weights.
        """

    @torch.no_grad()
    def start_at_(
        self, real: Float[Tensor, "n *shape"], fake: Float[Tensor, "m *shape"], rng: torch.Generator | None = None
    ) -> None:
        """Set centre, unit and first weights from samples of both distributions; `rng` makes all random draws."""
        real, fake = real.to(self.centre), fake.to(self.centre)
        self.centre.copy_((real.mean(0) + fake.mean(0)) / 2)
        self.unit.copy_(_typical(self.space, real, fake))
        self.place_((real - self.centre) / self.unit, (fake - self.centre) / self.unit, rng)

    def place_(self, real: Tensor, fake: Tensor, rng: torch.Generator | None) -> None:
        """Move parameters that are points of the space to the samples, given in units; nothing by default."""
        del real, fake, rng


def _typical(space: Metric, real: Tensor, fake: Tensor) -> Tensor:
    """The mean distance between some samples of the two, 1 where it is 0."""
    mean = distances(space, real[:256], fake[:256]).mean()
    return torch.where(mean > 0, mean, 1.0)


def start_at_(
    critic: nn.Module,
    real: Float[Tensor, "n *shape"],
    fake: Float[Tensor, "m *shape"],
    rng: torch.Generator | None = None,
) -> None:
    """Initialise a critic from samples if it supports that; others are unchanged."""
    if isinstance(critic, LipschitzCritic):
        critic.start_at_(real, fake, rng)


def normed(space: Metric, what: str) -> Space:
    """The space itself; ModelError for a metric without a dual norm."""
    if not isinstance(space, Space):
        raise ModelError(f"{what}: {space!r} has no dual norm; choose a normed space, or lipschitz-cones")
    return space
