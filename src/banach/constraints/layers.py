"""Constraints that compute the weights of layers from other, trained parameters."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from banach.constraints.constraint import CONSTRAINTS, Constraint, Recommended
from banach.models.blocks import Conv, ConvThenPool, StridedConv
from banach.models.bounds import weight_maps
from banach.models.bounds.convolutions import overlap
from banach.models.lipschitz.groupsort import GroupSort
from banach.models.lipschitz.orthonormal import Cayley, Householder
from banach.models.padding import Padded
from banach.specs import Source, SpecError, spelled

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv, ConvThenPool, StridedConv)

_ACTIVATIONS = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.SiLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.Softplus,
)  # fmt: skip


def layers(critic: nn.Module) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """The dense and convolutional layers whose weights are plain parameters, each with its weight."""
    for one in list(critic.modules()):
        if isinstance(one, _LAYERS) and isinstance(one.weight, nn.Parameter):
            yield one, one.weight


@CONSTRAINTS.register(
    name="spectral-norm",
    examples=["spectral-norm", "spectral_norm(steps=5)"],
    source=Source(
        "Miyato et al. 2018 (SNGAN)",
        "section 2.1, appendix A",
        "1 power iteration; hinge, Adam 2e-4 (0, 0.9), 5 critic steps, batch 64",
        "pfnet-research/sngan_projection ab97f6b source/functions/max_sv.py",
        "the numbers of the sections",
    ),
)
@dataclass(frozen=True, repr=False)
class SpectralNorm(Constraint):
    """Each weight matrix divided by its largest singular value, as `steps` power iterations a call estimate it (SNGAN).

    A kernel counts as a matrix (out, in * k). Power iteration approaches the singular value *from below*, and a
    kernel's matrix is not the convolution: the layers are only about 1-Lipschitz in L^2. What `bound` proves is the
    product of the norms that they really have, in float64. (Miyato et al. 2018, section 2.1 and appendix A.)
    """

    steps: int = 1
    recommended: ClassVar[Recommended] = MappingProxyType(
        {"objective": "hinge", "lr": 2e-4, "beta1": 0.0, "beta2": 0.9, "n_critic": 5}
    )

    def __post_init__(self):
        if not isinstance(self.steps, int) or self.steps < 1:
            raise SpecError(f"spectral-norm: steps = {self.steps!r}; choose a whole number from 1 on")

    def __repr__(self) -> str:
        return spelled(self).replace("SpectralNorm", "spectral_norm", 1)

    def prepare(self, critic: nn.Module) -> None:
        # torch draws the first vectors from its global generator: here they are the same in every run, and it goes on
        # as if nothing had been drawn.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for layer, _ in layers(critic):
                parametrizations.spectral_norm(layer, "weight", n_power_iterations=self.steps)

    def project_(self, critic: nn.Module) -> None:
        del critic


class _Reshaped(nn.Module):
    """A kernel (out, in, *k) whose matrix (out, in * k) is orthogonal, divided by the root of the overlap of windows.

    An input lies in `overlap` windows, so the convolution is 1-Lipschitz in L^2 with zeros around.
    """

    def __init__(self, how: nn.Module, windows: int):
        super().__init__()
        self.how, self.windows = how, windows

    def forward(self, X: Float[Tensor, "out in *k"]) -> Float[Tensor, "out in *k"]:
        return self.how(X.flatten(1)).view_as(X) / self.windows**0.5


weight_maps.add(_Reshaped)


@CONSTRAINTS.register(
    name="orthogonal",
    examples=["orthogonal", "orthogonal(map='householder', group=0)"],
    source=Source(
        "Anil et al. 2019; Trockman and Kolter 2021",
        "orthonormal layers with GroupSort; Cayley's map",
        "groups of 2 (MaxMin); Bjorck's iteration in place of Cayley's map or reflections",
        "cemanil/LNets 7deda09 lnets/models/activations/group_sort.py; locuslab/orthogonal-convolutions 71dadb6 "
        "layers.py",
        "the numbers of the sections",
    ),
)
@dataclass(frozen=True, repr=False)
class Orthogonal(Constraint):
    """Weights with orthonormal rows or columns, and GroupSort in place of activations: no layer loses slope.

    `map`: "cayley", or "householder" (torch's; its derivative is slow for large layers on a CPU). `group` features are
    sorted together, 2 by default (MaxMin), 0 for all. Dense critics are 1-Lipschitz in L^2, and `bound` proves it;
    convolutions have an orthogonal matrix (out, in * k) over the root of the overlap of windows, which is 1-Lipschitz
    too, but loses slope. Activations are replaced where they are modules. In other norms than L^2 `bound` has the
    constants of the first layer. (Anil, Lucas and Grosse 2019.)
    """

    map: Literal["cayley", "householder"] = "cayley"
    group: int = 2

    def __post_init__(self):
        if self.map not in ("cayley", "householder"):
            raise SpecError(f"orthogonal: map = {self.map!r}; choose 'cayley' or 'householder'")
        if not isinstance(self.group, int) or self.group < 0 or self.group == 1:
            raise SpecError(f"orthogonal: group = {self.group!r}; choose 2 or more features, or 0 for all")

    def __repr__(self) -> str:
        return spelled(self).replace("Orthogonal", "orthogonal", 1)

    def prepare(self, critic: nn.Module) -> None:
        if any(isinstance(one, Padded) and "reflect" in one.padding for one in critic.modules()):
            # a mirrored place lies in more windows than others: the convolution would be steeper than 1
            raise SpecError("orthogonal: its convolutions are 1-Lipschitz with --padding zero or periodic, not reflect")
        for layer, weight in layers(critic):
            windows = overlap(tuple(weight.shape[2:]), _stride(layer))
            how = Cayley() if self.map == "cayley" else Householder()
            parametrize.register_parametrization(layer, "weight", _Reshaped(how, windows))
        for parent in list(critic.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, _ACTIVATIONS):
                    setattr(parent, name, GroupSort(self.group))

    def project_(self, critic: nn.Module) -> None:
        del critic


def _stride(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return min(layer.stride)
    return 2 if isinstance(layer, StridedConv) else 1
