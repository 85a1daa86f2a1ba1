"""Critics of orthogonal layers, for norms that are Euclidean in some coordinates."""

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrize import type_before_parametrizations as type_before

from banach.errors import ModelError
from banach.models.blocks import linear
from banach.models.lipschitz.critic import LipschitzCritic
from banach.models.lipschitz.groupsort import GroupSort
from banach.models.lipschitz.orthonormal import Cayley
from banach.spaces import Metric
from banach.spaces.properties import coordinates, is_euclidean, untold

HIDDEN = 3


class OrthogonalCritic(LipschitzCritic):
    """Orthogonal layers with GroupSort between them, after the coordinates E in which norm(x) = |E x|_2.

    For L^2, Sobolev spaces with p = 2, weighted L^2 and their products with p = 2. Layers have orthonormal rows (or,
    where they widen, columns), by Cayley's map; GroupSort keeps lengths too, so no layer loses
    slope (Anil, Lucas and Grosse 2019). A width below the number of coordinates drops directions: the map is then blind
    to what lies in none of its rows.
    """

    def __init__(self, shape: tuple[int, ...], width: int, rng: torch.Generator | None, space: Metric):
        super().__init__(space, shape, rng)
        if not is_euclidean(space):
            raise ModelError(
                f"lipschitz-orthogonal: {space!r} is no Euclidean norm{untold(space)}; choose L^2, Sobolev with p = 2, "
                "weighted L^2, or lipschitz-cones or lipschitz-sort"
            )
        n = self.coordinates(torch.zeros(1, *shape)).shape[1]
        sizes = (n, *[width] * HIDDEN, 1)
        self.layers = nn.ModuleList(linear(a, b, rng, _normal) for a, b in itertools.pairwise(sizes))
        for layer in self.layers:
            parametrize.register_parametrization(layer, "weight", Cayley())
        self.sort = GroupSort(0)

    def coordinates(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, "b n"]:
        """E x."""
        found = coordinates(self.space)
        assert found is not None, "a Euclidean norm has coordinates"
        return found(x)

    def score(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        h = self.layers[0](self.coordinates(x))
        for layer in self.layers[1:]:
            h = layer(self.sort(h))
        return h.squeeze(1)

    @torch.no_grad()
    def bound(self, space: Metric) -> float | None:
        known = type(self.sort) is GroupSort and all(type_before(one) is nn.Linear for one in self.layers)
        if not known or space != self.space or not is_euclidean(space):
            return None
        norms = [float(torch.linalg.matrix_norm(one.weight.to("cpu", torch.float64), ord=2)) for one in self.layers]
        return math.prod(norms)


def _normal(w: Tensor, rng: torch.Generator | None) -> Tensor:
    """Cayley's transform of such a matrix is about uniform among the orthogonal ones."""
    return nn.init.normal_(w, std=max(w.shape) ** -0.5, generator=rng)
