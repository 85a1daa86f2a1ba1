"""Several small networks of one form trained at once, one for each seed: their batches follow each other."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.penalties import Penalty, Power, Reduction, Shape
from banach.slopes import Gradients


class StackedMLP(nn.Module):
    """len(rngs) fully connected networks: x (len(rngs) b, *event) to (len(rngs) b, *out), network after network.

    `sizes` are those of the layers, from the entries of an event to the last; a last size of 1 is left out of the
    shape. Weights are N(0, 1), multiplied by 1 / sqrt(fan in) at "run time", as in the plane's code of Lipschitz GANs
    (Adam's steps are smaller by that in effect), or by sqrt(2 / fan in) at the "start" (He et al. 2015); biases are 0.
    Each network is drawn from its own generator, and a mean over the whole batch trains each as it would alone, up to
    the factor 1 / len(rngs), which Adam does not see.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Callable[[Tensor], Tensor],
        rngs: Sequence[torch.Generator],
        scaled: Literal["run time", "start"] = "run time",
    ):
        super().__init__()
        self.count, self.activation = len(rngs), activation
        pairs = list(itertools.pairwise(sizes))
        drawn = [[torch.randn(a, b, generator=rng) for a, b in pairs] for rng in rngs]
        start = [math.sqrt(2 / a) if scaled == "start" else 1.0 for a, _ in pairs]
        self.factors = [1.0 if scaled == "start" else 1 / math.sqrt(a) for a, _ in pairs]
        layers = zip(start, zip(*drawn, strict=True), strict=True)
        self.weights = nn.ParameterList(size * torch.stack(layer) for size, layer in layers)
        self.biases = nn.ParameterList(torch.zeros(self.count, 1, b) for _, b in pairs)

    def forward(self, x: Float[Tensor, "n *event"]) -> Float[Tensor, "n *out"]:
        h = x.reshape(self.count, len(x) // self.count, -1)
        last = len(self.weights) - 1
        for at, (w, b, factor) in enumerate(zip(self.weights, self.biases, self.factors, strict=True)):
            h = torch.baddbmm(b, h, factor * w)
            h = h if at == last else self.activation(h)
        return h.flatten(0, 1).squeeze(1)


@dataclass(frozen=True)
class EachMax(Reduction):
    """The shape of each network's largest slope, averaged over `count` networks: MaxGP for a `StackedMLP`."""

    count: int

    def __call__(
        self, shape: Shape, slopes: Float[Tensor, " n"], counts: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        assert counts is None, "gradients at interpolates all count"
        return shape(slopes.view(self.count, -1).amax(1)).mean()


def stacked_maxgp(count: int) -> Penalty:
    """(max |grad f|)^2 at interpolates, of each of `count` networks (Lipschitz GANs, eq. 12)."""
    return Penalty(Gradients(), Power(2), EachMax(count), 1.0)


def drawn_for_each(
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]], n: int, rngs: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """n reals and n fakes for each network, from its own generator, in the order of a `StackedMLP`."""
    real, fake = zip(*(draw(n, rng) for rng in rngs), strict=True)
    return torch.cat(real), torch.cat(fake)
