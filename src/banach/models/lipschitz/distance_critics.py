"""Critics made of distances: minima and maxima of cones over points of the space."""

import abc
import functools
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.errors import ModelError
from banach.models.lipschitz.critic import LipschitzCritic
from banach.models.lipschitz.pairwise import distances
from banach.spaces import Metric

QUICK = 10.0
"""Speed of the mixing weight relative to the parameter that is trained."""

SOFT = 0.03
"""The temperature at the start, in units of the typical distance."""

_COLDEST = 1e-5


class Extremum(nn.Module, abc.ABC):
    """The least of k numbers, or something near it that is 1-Lipschitz from L-inf; the greatest is minus that of -h."""

    @abc.abstractmethod
    def forward(self, h: Float[Tensor, "b k"]) -> Float[Tensor, " b"]: ...


class Hard(Extremum):
    """min_k h_k."""

    def forward(self, h: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return h.amin(1)


class Soft(Extremum):
    """-t log sum_k exp(-h_k / t) with a temperature t > 0 that is trained.

    Its gradient is the softmax of -h / t, weights that sum to 1: whatever t is, it is 1-Lipschitz from L-inf, and a
    mixture of 1-Lipschitz functions h_k is 1-Lipschitz in their space. The factor t is what makes it so: without it the
    slope is 1/t. It lies between min h - t log k and min h.
    """

    def __init__(self):
        super().__init__()
        self.heat = nn.Parameter(torch.zeros(()))

    def forward(self, h: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        t = SOFT * self.heat.exp() + _COLDEST
        return -t * torch.logsumexp(-h / t, 1)


class ConeCritic(LipschitzCritic):
    """m min_k (|x - a_k| + b_k) + (1 - m) max_k (c_k - |x - d_k|), with 0 <= m <= 1: 1-Lipschitz in *every* metric.

    (The trivial metric alone is refused: its cones are flat, so that nothing trains.)

    By the triangle inequality every cone is 1-Lipschitz, and least, greatest and weighted mean of such functions are
    too. Points, offsets and the weight m are trained. With a point at each sample of one distribution, the class holds
    an exact potential between any two sets of samples (the c-transform), so nothing but their number limits it; between
    its points it knows only distances. (MinFunnel potentials of Korotin, Kolesov and Burnaev 2022 are such a minimum.)

    `start_at_` puts the lower points on fakes and the upper ones on reals: D is then half the difference of the
    distances to the nearest of each. `extremum` is `Soft`, with a temperature that is trained, or `Hard`.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        rng: torch.Generator | None,
        space: Metric,
        extremum: Callable[[], Extremum] = Soft,
    ):
        if space.trivial:
            raise ModelError(
                f"lipschitz-cones: the distances of {space!r} are only 0 and 1, so that its points get no gradient; "
                "choose a normed space"
            )
        super().__init__(space, shape, rng)
        self.spread: Tensor
        self.register_buffer("spread", 1 / self.unit)
        self.low_points = nn.Parameter(torch.randn(width, *shape, generator=rng))
        self.high_points = nn.Parameter(torch.randn(width, *shape, generator=rng))
        self.low_offsets, self.high_offsets = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.mixing = nn.Parameter(torch.zeros(()))
        self.least, self.greatest = extremum(), extremum()

    def score(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        points = self.spread * torch.cat([self.low_points, self.high_points])
        to_low, to_high = distances(self.space, x, points).split(len(self.low_points), 1)
        m = torch.sigmoid(QUICK * self.mixing)
        return torch.lerp(-self.greatest(to_high - self.high_offsets), self.least(to_low + self.low_offsets), m)

    def bound(self, space: Metric) -> float | None:
        known = type(self.least) in (Hard, Soft) and type(self.greatest) in (Hard, Soft)
        return 1.0 if known and space == self.space and not space.computed else None  # computed distances are only near

    @torch.no_grad()
    def place_(self, real: Tensor, fake: Tensor, rng: torch.Generator | None) -> None:
        """Lower points on fakes, upper ones on reals, drawn without repetition; what is left over lies near some."""
        spread = torch.cat([real, fake]).std()
        self.spread.copy_(torch.where(spread > 0, spread, 1.0))
        for points, samples in ((self.low_points, fake), (self.high_points, real)):
            points.copy_(_drawn(samples / self.spread, len(points), rng))
        for offsets in (self.low_offsets, self.high_offsets):
            offsets.zero_()


HardConeCritic = functools.partial(ConeCritic, extremum=Hard)


def _drawn(samples: Tensor, k: int, rng: torch.Generator | None) -> Tensor:
    """k rows of the samples, none twice; where there are fewer, the rest are others with a little noise."""
    order = torch.randperm(len(samples), generator=rng)[:k]
    picked = samples[order.to(samples.device)]
    if len(picked) == k:
        return picked
    again = torch.randint(len(samples), (k - len(picked),), generator=rng).to(samples.device)
    noise = torch.randn(k - len(picked), *samples.shape[1:], generator=rng).to(samples)
    return torch.cat([picked, samples[again] + 0.01 * noise])
