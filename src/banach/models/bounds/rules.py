"""What each layer does to a reach; and the Lipschitz constant of a whole critic that follows."""

import copy
import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.models.activations import LeakyReLU, ReLU
from banach.models.blocks import Conv, ConvThenPool, Score, StridedConv, widened
from banach.models.bounds.convolutions import convolution_l2_norm
from banach.models.bounds.reach import Reach, UnprovenError, reach_of_samples
from banach.models.dcgan import DCGANCritic
from banach.models.errors import ModelError
from banach.models.lipschitz.coordinates import coordinates, steepness, stretch
from banach.models.lipschitz.critic import LipschitzCritic
from banach.models.lipschitz.groupsort import GroupSort
from banach.models.mlp import MLPCritic
from banach.models.resnet import Down, First, FirstPlain, Plain, ResNetCritic
from banach.spaces import Lp, Metric, Space

SAFE = 1 + 1e-9
"""More than all roundings of float64 in a bound together: sums of a million terms err by 1e-10 at most."""


def lipschitz_bound(critic: nn.Module, space: Metric, shape: tuple[int, ...] | None = None) -> float | None:
    """A number L with |critic(x) - critic(y)| <= L space.distance(x, y) for all x and y, or None if none is proven.

    It is computed in float64 from the weights that the critic computes with, without iteration (but where the dual
    norm itself is computed: then by its upper bound), and is an upper bound whatever they are: the product over the
    layers of their norms from L-inf to L-inf or from L^2 to L^2, whichever way through the layers is the least; the
    first layer's rows are measured in the dual norm. (Of a spectrally normalised critic, with its vectors as they
    stand: as in evaluation.) Layers: dense, convolutions with zero padding, the networks of this package, sorting,
    and activations of known slope; register others with `through`. None for other layers, for what couples samples,
    and for metrics without a dual. `shape` is the samples', if the critic does not say it.

    >>> critic = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False), nn.Flatten(0))
    >>> _ = [one.data.fill_(0.5) for one in critic.parameters()]
    >>> from banach import Lp
    >>> [round(lipschitz_bound(critic, Lp(p)) or 0, 6) for p in (1, 2, float("inf"))]
    [0.5, 0.707107, 1.0]
    """
    shape = shape if shape is not None else _shape_of(critic)
    if shape is None:
        return None
    try:
        with torch.no_grad(), _still(critic):
            if isinstance(critic, LipschitzCritic):
                found = critic.bound(space)
                return None if found is None else found * SAFE
            _check_kinds(critic)
            reach = through(critic, reach_of_samples(space, shape))
    except UnprovenError:
        return None
    bound = min(reach.sup, reach.l2) * SAFE
    return bound if reach.size == 1 and math.isfinite(bound) else None


class Certified(nn.Module):
    """A critic divided by a bound that is proven for it: 1-Lipschitz in a space, to rounding."""

    def __init__(self, critic: nn.Module, space: Metric, shape: tuple[int, ...], bound: float):
        super().__init__()
        self.critic, self.space, self.shape, self.bound = critic, space, shape, bound

    def forward(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, " b"]:
        return self.critic(x.to(torch.float64)).reshape(len(x)) / self.bound


def certified(critic: nn.Module, space: Metric, shape: tuple[int, ...] | None = None) -> Certified:
    """A copy of the critic in float64 and in evaluation mode, divided by its own `lipschitz_bound`.

    What weights are computed from others (an orthogonal matrix, a row of length 1) are computed anew in float64, and
    the bound is that of the copy. ModelError where no bound is proven.
    """
    twin = copy.deepcopy(critic).to("cpu", torch.float64).eval().requires_grad_(False)
    shape = shape if shape is not None else _shape_of(twin)
    bound = None if shape is None else lipschitz_bound(twin, space, shape)
    if shape is None or not bound:
        raise ModelError(f"no Lipschitz bound is proven for this {type(critic).__name__} in {space!r}")
    return Certified(twin, space, shape, bound)


def _check_kinds(critic: nn.Module) -> None:
    """UnprovenError if a layer is of a kind derived from one that is registered, with a forward pass of its own."""
    for one in critic.modules():
        kind = next((kind for kind in type(one).__mro__[:-1] if kind in through.registry), None)
        if kind is None or isinstance(one, LipschitzCritic):  # which proves its own bound
            continue
        if type(one).forward is not kind.forward:
            raise UnprovenError(f"no bound is known for {type(one).__name__}")


def _shape_of(critic: nn.Module) -> tuple[int, ...] | None:
    said = getattr(critic, "shape", None)
    if isinstance(said, tuple):
        return said
    first = next((one for one in critic.modules() if isinstance(one, nn.Linear)), None)
    return None if first is None else (first.in_features,)


@contextmanager
def _still(critic: nn.Module) -> Iterator[None]:
    """Inside, nothing moves on by being looked at: a spectral norm in training iterates each time."""
    training = [one for one in critic.modules() if one.training]
    critic.eval()
    try:
        yield
    finally:
        for one in training:
            one.training = True


@functools.singledispatch
def through(layer: nn.Module, reach: Reach) -> Reach:
    """The reach of layer(h), given that of h: `UnprovenError` for a layer of a kind nobody has registered.

    A layer of your own: `@through.register` a function of it and a reach; `reach.then(shape, sup, l2)` is the answer.
    """
    del reach
    raise UnprovenError(f"no bound is known for {type(layer).__name__}")


@through.register
def _(layer: nn.Sequential, reach: Reach) -> Reach:
    for one in layer:
        reach = through(one, reach)
    return reach


@through.register
def _(layer: nn.Linear, reach: Reach) -> Reach:
    if reach.shape != (layer.in_features,):
        raise UnprovenError(f"a dense layer on features of shape {reach.shape}")
    weight = _exact(layer.weight)
    rows = _lengths(weight, reach)
    l2 = float(torch.linalg.matrix_norm(weight, ord=2)) * reach.l2
    if reach.event is not None and isinstance(reach.space, Space):
        rows = torch.minimum(rows, exact := steepness(reach.space, weight.view(-1, *reach.event)))
        seen = bool(exact.isfinite().all())
        if seen and (of_dual := coordinates(reach.space.dual)) and (C := stretch(reach.space, reach.event)):
            in_coordinates = of_dual(weight.view(-1, *reach.event))
            # What the maps lose of each row, in l^2: at most sqrt(n) times what it is in the p-norms of n coordinates.
            off = reach.space.dual.rounding(weight.view(-1, *reach.event)) * in_coordinates.shape[1] ** 0.5
            l2 = min(l2, C * float(torch.linalg.matrix_norm(in_coordinates, ord=2) + off.norm()))
    l2 = min(l2, float(torch.linalg.vector_norm(rows)))
    return reach.then((layer.out_features,), float(rows.max()), l2)


def _exact(weight: Tensor) -> Tensor:
    return weight.detach().to("cpu", torch.float64)


def _lengths(rows: Tensor, reach: Reach) -> Tensor:
    """How far each functional of the features moves, the lesser of two bounds; 0 for a row of zeros."""
    sums, lengths = rows.abs().sum(1), torch.linalg.vector_norm(rows, dim=1)
    return torch.where(sums > 0, torch.minimum(sums * reach.sup, lengths * reach.l2), 0.0)


_SLOPES: dict[type[nn.Module], float] = {
    nn.Identity: 1.0, nn.ReLU: 1.0, ReLU: 1.0, nn.ReLU6: 1.0, nn.Tanh: 1.0, nn.Hardtanh: 1.0, nn.Softplus: 1.0,
    nn.Sigmoid: 0.25, nn.LogSigmoid: 1.0, nn.Softsign: 1.0, GroupSort: 1.0,
}  # fmt: skip
"""The largest slope of activations; sorting has 1 in every l^p norm."""


def _activation(layer: nn.Module, reach: Reach) -> Reach:
    return _scaled(reach, next(slope for kind, slope in _SLOPES.items() if isinstance(layer, kind)))


for _kind in _SLOPES:
    through.register(_kind)(_activation)


@through.register(nn.LeakyReLU)
@through.register(LeakyReLU)
def _(layer: nn.LeakyReLU, reach: Reach) -> Reach:
    return _scaled(reach, max(1.0, abs(layer.negative_slope)))


@through.register
def _(layer: nn.ELU, reach: Reach) -> Reach:
    return _scaled(reach, max(1.0, abs(layer.alpha)))


def _scaled(reach: Reach, slope: float) -> Reach:
    return reach.then(reach.shape, slope * reach.sup, slope * reach.l2)


@through.register
def _(layer: nn.Flatten, reach: Reach) -> Reach:
    if layer.start_dim == 0 and reach.size == 1:  # (b, 1) to (b,)
        return reach
    if layer.start_dim != 1 or layer.end_dim != -1:
        raise UnprovenError("flattening of some axes only")
    return _flat(reach)


def _flat(reach: Reach) -> Reach:
    return Reach(reach.space, (reach.size,), reach.sup, reach.l2, reach.event)


@through.register
def _(layer: Score, reach: Reach) -> Reach:
    return through(layer.layer, reach)


@through.register
def _(layer: LipschitzCritic, reach: Reach) -> Reach:
    bound = layer.bound(reach.space) if reach.event == layer.shape else None
    if bound is None:
        raise UnprovenError(f"{type(layer).__name__} is not known to be Lipschitz in {reach.space!r}")
    return reach.then((1,), bound, bound)


@through.register
def _(layer: Conv, reach: Reach) -> Reach:
    return convolved(reach, layer.weight, 1, reach.shape[1:])


@through.register
def _(layer: StridedConv, reach: Reach) -> Reach:
    odd = layer.weight.shape[2] % 2
    return convolved(reach, layer.weight, 2, tuple((n + odd) // 2 for n in reach.shape[1:]))


@through.register
def _(layer: ConvThenPool, reach: Reach) -> Reach:
    d = layer.weight.ndim - 2
    outputs = tuple(n // 2 for n in reach.shape[1:])
    apart = _pooled(convolved(reach, layer.weight, 1, reach.shape[1:]))
    whole = convolved(reach, widened(layer.weight) * 0.5**d, 2, outputs)
    return whole.then(whole.shape, min(apart.sup, whole.sup), min(apart.l2, whole.l2))


@through.register(nn.Conv1d)
@through.register(nn.Conv2d)
@through.register(nn.Conv3d)
def _(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, reach: Reach) -> Reach:
    plain = layer.padding_mode == "zeros" and layer.groups == 1 and set(layer.dilation) == {1}
    if not plain or len(set(layer.stride)) > 1:
        raise UnprovenError("a convolution with groups, dilation, unequal strides or a padding other than zeros")
    _check_channels(reach, layer.weight)
    outputs = tuple(layer(layer.weight.new_zeros(1, *reach.shape)).shape[2:])
    return convolved(reach, layer.weight, layer.stride[0], outputs)


def convolved(reach: Reach, kernel: Tensor, stride: int, outputs: tuple[int, ...]) -> Reach:
    """The reach after a convolution with zeros around; rows that the border cuts are but shorter."""
    _check_channels(reach, kernel)
    kernel = _exact(kernel)
    rows = kernel.flatten(1)
    lengths = _lengths(rows, reach)
    if reach.event is not None and isinstance(reach.space, Lp):
        lengths = torch.minimum(lengths, reach.space.dual.norm(rows))
    l2 = convolution_l2_norm(kernel, stride, outputs) * reach.l2
    return reach.then((len(kernel), *outputs), float(lengths.max()), l2)


def _check_channels(reach: Reach, kernel: Tensor) -> None:
    if len(reach.shape) != kernel.ndim - 1 or reach.shape[0] != kernel.shape[1]:
        raise UnprovenError(f"a convolution of {kernel.shape[1]} channels on features of shape {reach.shape}")


def _pooled(reach: Reach) -> Reach:
    """Means over pairs along each axis: 2^d entries apart from all others, each mean of l^2 norm 2^(-d/2)."""
    shape = (reach.shape[0], *(n // 2 for n in reach.shape[1:]))
    return reach.then(shape, reach.sup, reach.l2 * 0.5 ** ((len(shape) - 1) / 2))


@through.register
def _(layer: MLPCritic, reach: Reach) -> Reach:
    return through(layer.score, through(layer.hidden, _flat(reach)))


@through.register
def _(layer: DCGANCritic, reach: Reach) -> Reach:
    for conv in layer.convs:
        reach = through(layer.activation, through(conv, reach))
    return through(layer.score, _flat(reach))


@through.register(First)
@through.register(FirstPlain)
def _(layer: First | FirstPlain, reach: Reach) -> Reach:
    shortcut = through(layer.shortcut, _pooled(reach) if isinstance(layer, First) else reach)
    return _along(reach, layer.conv1, layer.between, layer.conv2) + shortcut


@through.register(Down)
@through.register(Plain)
def _(layer: Down | Plain, reach: Reach) -> Reach:
    shortcut = through(layer.shortcut, _pooled(reach)) if isinstance(layer, Down) else reach
    return _along(reach, layer.before, layer.conv1, layer.between, layer.conv2) + shortcut


@through.register
def _(layer: ResNetCritic, reach: Reach) -> Reach:
    reach = _along(reach, layer.blocks, layer.last)
    places = math.prod(reach.shape[1:])
    mean = reach.then(reach.shape[:1], reach.sup, reach.l2 / places**0.5)
    return through(layer.score, mean)


def _along(reach: Reach, *layers: nn.Module) -> Reach:
    for one in layers:
        reach = through(one, reach)
    return reach
