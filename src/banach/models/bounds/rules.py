"""The rules for the reach after each kind of layer, behind the gate."""

import functools
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from banach.models.activations import LeakyReLU, ReLU
from banach.models.blocks import Conv, ConvThenPool, Score, StridedConv, widened
from banach.models.bounds.convolutions import convolution_l2_norm, periodic_l2_norm
from banach.models.bounds.gate import check, check_size, number_of, remember, weight_maps, weight_of
from banach.models.bounds.reach import Reach, UnprovenError, distortion
from banach.models.dcgan import DCGANCritic
from banach.models.lipschitz.critic import LipschitzCritic
from banach.models.lipschitz.distance_critics import ConeCritic, Hard, Soft
from banach.models.lipschitz.groupsort import GroupSort
from banach.models.lipschitz.orthogonal import OrthogonalCritic
from banach.models.lipschitz.sorting import SortCritic
from banach.models.mlp import MLPCritic
from banach.models.padding import PADDINGS, Padding, padded
from banach.models.resnet import Down, First, FirstPlain, Plain, ResNetCritic
from banach.norms.structure import Leaf
from banach.spaces import Metric, Space
from banach.spaces.properties import dual_coordinates, steepness, stretch


def _unknown(layer: nn.Module, reach: Reach) -> Reach:
    del reach
    raise UnprovenError(f"no bound is known for {type(layer).__name__}")


class Rules:
    """The reach of layer(h), given that of h: `UnprovenError` for a kind of layer that is not registered.

    A layer of your own: `@through.register` a function of it and a reach; `reach.then(shape, sup, l2)` is the answer.
    It is asked only of layers that are as their class defines them: without hooks, and with nothing overridden.
    """

    def __init__(self):
        self._by_kind = functools.singledispatch(_unknown)
        self.register = self._by_kind.register

    @property
    def registry(self) -> Mapping[type, Callable[..., Reach]]:
        """The rules by kind of layer."""
        return self._by_kind.registry

    def __call__(self, layer: nn.Module, reach: Reach) -> Reach:
        check(layer, self.registry)
        try:
            found = self._by_kind.dispatch(type(layer))(layer, reach)
        except UnprovenError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as why:
            raise UnprovenError(f"{type(layer).__name__} is not built as its kind is: {why}") from why
        for one, before in ((found.sup, reach.sup), (found.l2, reach.l2)):
            if before:  # what comes after a constant is constant
                check_size(one, layer)
        return found


through = Rules()


@through.register
def _(layer: nn.Sequential, reach: Reach) -> Reach:
    for one in layer:
        reach = through(one, reach)
    return reach


@through.register
def _(layer: nn.Linear, reach: Reach) -> Reach:
    weight = weight_of(layer)
    if weight.ndim != 2 or reach.shape != weight.shape[1:]:
        raise UnprovenError(f"a dense layer with weights {tuple(weight.shape)} on features of shape {reach.shape}")
    rows = _lengths(weight, reach)
    l2 = float(torch.linalg.matrix_norm(weight, ord=2)) * reach.l2
    if reach.event is not None and isinstance(reach.space, Space):
        rows = torch.minimum(rows, exact := steepness(reach.space, weight.view(-1, *reach.event)))
        seen = bool(exact.isfinite().all())
        if (
            seen
            and (of_dual := dual_coordinates(reach.space, reach.event))
            and (C := stretch(reach.space, reach.event))
        ):
            in_coordinates = of_dual(weight.view(-1, *reach.event))
            # What the maps lose of each row, in l^2: at most sqrt(n) times what it is in the p-norms of n coordinates.
            off = reach.space.dual.rounding(weight.view(-1, *reach.event)) * in_coordinates.shape[1] ** 0.5
            l2 = min(l2, C * float(torch.linalg.matrix_norm(in_coordinates, ord=2) + off.norm()))
    l2 = min(l2, float(torch.linalg.vector_norm(rows)))
    return reach.then((len(weight),), float(rows.max()), l2)


def _lengths(rows: Tensor, reach: Reach) -> Tensor:
    """How far each functional of the features moves, the lesser of two bounds; 0 for a row of zeros."""
    sums, lengths = rows.abs().sum(1), torch.linalg.vector_norm(rows, dim=1)
    return torch.where(sums > 0, torch.minimum(sums * reach.sup, lengths * reach.l2), 0.0)


_SLOPES: dict[type[nn.Module], float] = {
    nn.Identity: 1.0, nn.ReLU: 1.0, ReLU: 1.0, nn.ReLU6: 1.0, nn.Tanh: 1.0, nn.Hardtanh: 1.0,
    nn.Sigmoid: 0.25, nn.LogSigmoid: 1.0, nn.Softsign: 1.0, GroupSort: 1.0,
}  # fmt: skip
"""The largest slope of activations; sorting has 1 in every l^p norm.

Softplus is not among them: torch's jumps by log(1 + exp(-threshold)) / beta to x where beta x passes the threshold.
"""


def _activation(layer: nn.Module, reach: Reach) -> Reach:
    return _scaled(reach, next(_SLOPES[kind] for kind in type(layer).__mro__ if kind in _SLOPES))


for _kind in _SLOPES:
    through.register(_kind)(_activation)


@through.register(nn.LeakyReLU)
@through.register(LeakyReLU)
def _(layer: nn.LeakyReLU, reach: Reach) -> Reach:
    return _scaled(reach, max(abs(number_of(layer, "negative_slope")), 1.0))


@through.register
def _(layer: nn.ELU, reach: Reach) -> Reach:
    return _scaled(reach, max(abs(number_of(layer, "alpha")), 1.0))


def _scaled(reach: Reach, slope: float) -> Reach:
    slope = float(slope)
    if not math.isfinite(slope):
        raise UnprovenError(f"an activation of slope {slope}")
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
    if reach.event != reach.shape:
        raise UnprovenError(f"{type(layer).__name__} after other layers")
    bound = own_bound(layer, reach.space, reach.shape)
    return reach.then((1,), bound, bound)


def own_bound(critic: LipschitzCritic, space: Metric, shape: tuple[int, ...]) -> float:
    """The bound that a critic states itself, if all of its modules are as their classes define them."""
    for one in critic.modules():
        check(one, ())
    bound = critic.bound(space) if shape == critic.shape else None
    if bound is None:
        raise UnprovenError(f"{type(critic).__name__} is not known to be Lipschitz in {space!r}")
    return float(bound) * (1 + distortion(space, shape))  # it measures in the norm as computed


@through.register
def _(layer: Conv, reach: Reach) -> Reach:
    return _around(layer, reach, weight_of(layer), 1)


@through.register
def _(layer: StridedConv, reach: Reach) -> Reach:
    return _around(layer, reach, weight_of(layer), 2)


@through.register
def _(layer: ConvThenPool, reach: Reach) -> Reach:
    kernel = weight_of(layer)
    apart = _pooled(_around(layer, reach, kernel, 1))
    wide = widened(kernel.to(layer.bias.dtype)).double()  # rounded as the critic rounds it
    whole = _around(layer, reach, wide * 0.5 ** (kernel.ndim - 2), 2)
    return whole.then(whole.shape, min(apart.sup, whole.sup), min(apart.l2, whole.l2))


def _around(layer: Conv | ConvThenPool | StridedConv, reach: Reach, kernel: Tensor, stride: int) -> Reach:
    """The reach after a convolution that keeps or halves sizes, with what the layer's padding says around."""
    width, padding = (kernel.shape[2] - (stride > 1)) // 2, _padding_of(layer, reach)  # as the layers have it
    outputs = _outputs(reach, kernel, stride, (width,))
    if not padding:
        return convolved(reach, kernel, stride, outputs)
    places = zip(reach.shape[1:], outputs, strict=True)  # an even kernel that keeps sizes makes one place twice
    fits = all(n >= kernel.shape[2] and n == stride * m for n, m in places)
    if fits and {*padding} == {"periodic"}:
        return convolved(reach, kernel, stride, outputs, periodic_l2_norm)
    return convolved(_extended(reach, padding, width), kernel, stride, outputs)


def _padding_of(layer: Conv | ConvThenPool | StridedConv, reach: Reach) -> Padding:
    padding = layer.padding
    known = type(padding) is tuple and {*padding} <= {*PADDINGS} and len(padding) in (0, len(reach.shape) - 1)
    if not known:
        raise UnprovenError(f"a padding {padding!r} of features of shape {reach.shape}")
    return padding


def _extended(reach: Reach, padding: Padding, width: int) -> Reach:
    """The reach of features with places around them that are zeros or copies; m copies of a place are sqrt(m) as long.

    Those of a corner are copies along several axes.
    """
    shape, copies = [reach.shape[0]], 1
    for n, word in zip(reach.shape[1:], padding, strict=True):
        places = padded(torch.arange(1.0, n + 1).view(1, 1, n), (word,), width).long().flatten()
        copies *= int(torch.bincount(places)[1:].max())
        shape.append(n + 2 * width)
    return reach.then(tuple(shape), reach.sup, copies**0.5 * reach.l2)


def _outputs(reach: Reach, kernel: Tensor, stride: int, padding: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of a convolution's outputs, with so many zeros at both ends of each axis."""
    _check_channels(reach, kernel)
    sizes, lengths = reach.shape[1:], kernel.shape[2:]
    paddings = padding * len(sizes) if len(padding) == 1 else padding
    outputs = tuple((n + 2 * p - k) // stride + 1 for n, p, k in zip(sizes, paddings, lengths, strict=True))
    if min(outputs, default=1) < 1:
        raise UnprovenError(f"a convolution of length {tuple(lengths)} on features of shape {reach.shape}")
    return outputs


@through.register(nn.Conv1d)
@through.register(nn.Conv2d)
@through.register(nn.Conv3d)
def _(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, reach: Reach) -> Reach:
    plain = layer.padding_mode == "zeros" and layer.groups == 1 and {*layer.dilation} == {1}
    if not plain or len({*layer.stride}) > 1:
        raise UnprovenError("a convolution with groups, dilation, unequal strides or a padding other than zeros")
    kernel, stride, padding = weight_of(layer), layer.stride[0], layer.padding
    if isinstance(padding, str):
        outputs = reach.shape[1:] if padding == "same" else _outputs(reach, kernel, stride, (0,))
    else:
        outputs = _outputs(reach, kernel, stride, padding)
    return convolved(reach, kernel, stride, outputs)


def convolved(
    reach: Reach,
    kernel: Tensor,
    stride: int,
    outputs: tuple[int, ...],
    l2_norm: Callable[[Tensor, int, tuple[int, ...]], float] = convolution_l2_norm,
) -> Reach:
    """The reach after a convolution with zeros around; rows that the border cuts are shorter.

    `l2_norm` is that of another convolution, in no window of which a place lies twice.
    """
    _check_channels(reach, kernel)
    rows = kernel.flatten(1)
    lengths = _lengths(rows, reach)
    form = reach.space.form()
    if reach.event is not None and isinstance(reach.space, Space) and isinstance(form, Leaf) and not form.maps:
        lengths = torch.minimum(lengths, reach.space.dual.norm(rows))
    l2 = l2_norm(kernel, stride, outputs) * reach.l2
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
    return through(layer.score, reach.then((reach.size,), reach.sup, reach.l2))  # features in another order


@through.register(First)
@through.register(FirstPlain)
def _(layer: First | FirstPlain, reach: Reach) -> Reach:
    _check_shortcut(layer)
    shortcut = through(layer.shortcut, _pooled(reach) if isinstance(layer, First) else reach)
    return _along(reach, layer.conv1, layer.between, layer.conv2) + shortcut


@through.register(Down)
@through.register(Plain)
def _(layer: Down | Plain, reach: Reach) -> Reach:
    _check_shortcut(layer, layer.before)
    shortcut = through(layer.shortcut, _pooled(reach)) if isinstance(layer, Down) else reach
    return _along(reach, layer.before, layer.conv1, layer.between, layer.conv2) + shortcut


def _check_shortcut(layer: First | FirstPlain | Down | Plain, *before: nn.Module) -> None:
    """UnprovenError where something may write into what the shortcut reads afterwards."""
    writes = any(vars(one).get("inplace") for part in before for one in part.modules())
    if writes or not isinstance(layer.conv1, Conv):
        raise UnprovenError(f"a {type(layer).__name__} block with layers that may write into its shortcut")


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


remember(*through.registry, *weight_maps, ConeCritic, Hard, OrthogonalCritic, Soft, SortCritic)
