"""Critics that sort: linear functionals of dual norm 1, then maps from L-inf to L-inf."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.models.lipschitz.critic import LipschitzCritic, normed
from banach.models.lipschitz.groupsort import GroupSort
from banach.spaces import Metric, Space
from banach.spaces.properties import steepness

HIDDEN = 1
_START = 0.1


class SortCritic(LipschitzCritic):
    """Rows of dual norm 1, then sorting and rows of l^1 norm 1, `HIDDEN` times, and one such row: 1-Lipschitz.

    x -> (pair(w_k, x) + b_k)_k is 1-Lipschitz from the space to L-inf if and only if every dual.norm(w_k) <= 1; from
    there on every map is 1-Lipschitz from L-inf to L-inf, which for a matrix means rows of l^1 norm at most 1. Nothing
    but norms is computed (Anil, Lucas and Grosse 2019, section 4.2, for L-inf; here for every space with a dual).

    What it cannot do: |D(x) - D(0)| <= max_k |pair(w_k, x)|, so along a direction that is close to none of its rows it
    is flat. In L^2 of d dimensions a random direction has max_k |pair(w_k, x)| of about sqrt(2 log(2K) / d) for K rows:
    the distance to a point, a cone, needs a number of rows that grows exponentially with d. (What is seen of a cone in
    samples can be learnt by heart, with a row for each.)
    """

    def __init__(self, shape: tuple[int, ...], width: int, rng: torch.Generator | None, space: Metric):
        super().__init__(space, shape, rng)
        normed(space, "lipschitz-sort")
        self.rows = nn.Parameter(math.prod(shape) ** -0.5 * torch.randn(width, *shape, generator=rng))
        self.row_biases = nn.Parameter(_START * torch.randn(width, generator=rng))
        eye = torch.eye(width)
        self.weights = nn.ParameterList(
            eye + _START / width * torch.randn(width, width, generator=rng) for _ in range(HIDDEN)
        )
        self.biases = nn.ParameterList(_START / 2 * torch.randn(width, generator=rng) for _ in range(HIDDEN))
        self.last = nn.Parameter(torch.full((1, width), 1 / width))
        self.level = nn.Parameter(torch.zeros(1))
        self.sort = GroupSort(0)

    def functionals(self) -> Float[Tensor, "k *shape"]:
        """The rows w_k, each of dual norm 1."""
        dual = normed(self.space, "lipschitz-sort").dual
        rows = dual.domain(self.rows)
        lengths = dual.norm(rows)
        return rows / _column(torch.where(lengths > 0, lengths, 1.0), rows)

    def score(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        seen = normed(self.space, "lipschitz-sort").domain(x)  # not a mean that the norm does not see, not by rounding
        h = torch.addmm(self.row_biases, seen.flatten(1), self.functionals().flatten(1).T)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = torch.addmm(bias, self.sort(h), unit_rows(weight).T)
        return torch.addmm(self.level, self.sort(h), unit_rows(self.last).T).squeeze(1)

    @torch.no_grad()
    def bound(self, space: Metric) -> float | None:
        if not (isinstance(space, Space) and type(self.sort) is GroupSort):
            return None
        rows = normed(self.space, "lipschitz-sort").dual.domain(self.functionals().to("cpu", torch.float64))
        first = float(steepness(space, rows).max())
        later = (unit_rows(one).to("cpu", torch.float64).abs().sum(1) for one in (*self.weights, self.last))
        return first * math.prod(float(one.max()) for one in later)


def unit_rows(weight: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Each row divided by its l^1 norm: the map is then 1-Lipschitz from L-inf to L-inf. A row of zeros stays."""
    lengths = weight.abs().sum(1, keepdim=True)
    return weight / torch.where(lengths > 0, lengths, 1.0)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))
