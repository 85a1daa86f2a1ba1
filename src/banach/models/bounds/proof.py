"""The Lipschitz constant of a whole critic, as it follows from its layers; and critics divided by it."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from banach.errors import ModelError
from banach.models.bounds.gate import check_size
from banach.models.bounds.reach import UnprovenError, reach_of_samples
from banach.models.bounds.rules import own_bound, through
from banach.models.described import Shaped
from banach.models.lipschitz.critic import LipschitzCritic
from banach.spaces import Metric

SAFE = 1 + 1e-9
"""A margin for all float64 rounding in a bound: sums of a million terms err by 1e-10 at most."""


def lipschitz_bound(critic: nn.Module, space: Metric, shape: tuple[int, ...] | None = None) -> float | None:
    """A number L with |critic(x) - critic(y)| <= L space.distance(x, y) for all x and y, or None if none is proven.

    It is computed in float64 from the weights that the critic computes with, without iteration (but where the dual
    norm itself is computed: then by its upper bound), and is an upper bound whatever they are: the product over the
    layers of their norms from L-inf to L-inf or from L^2 to L^2, whichever way through the layers is the least; the
    first layer's rows are measured in the dual norm. Layers: dense, convolutions with zero padding, the networks of
    this package, sorting, and activations of known slope; register others with `through`. None for other layers, for
    layers that are not as their kind was defined (hooks, a `forward` of their own), for weights of unknown origin, in
    half precision or not finite, for what couples samples, and for metrics without a dual. `shape` is the samples', if
    the critic does not say it.

    It is that of the critic in exact arithmetic: values in float32 are rounded. Of a spectrally normalised critic it is
    that in evaluation, with its vectors as they stand; in training the critic is not steeper.

    >>> critic = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False), nn.Flatten(0))
    >>> _ = [one.data.fill_(0.5) for one in critic.parameters()]
    >>> from banach import Lp
    >>> [round(lipschitz_bound(critic, Lp(p)) or 0, 6) for p in (1, 2, float("inf"))]
    [0.5, 0.707107, 1.0]
    """
    try:
        return _proven(critic, space, shape)
    except UnprovenError:
        return None


def _proven(critic: nn.Module, space: Metric, shape: tuple[int, ...] | None) -> float:
    """The bound; UnprovenError, with the reason, if there is none."""
    shape = shape if shape is not None else _shape_of(critic)
    if shape is None:
        raise UnprovenError("the shape of its samples is not known")
    with torch.no_grad(), _still(critic):
        if isinstance(critic, LipschitzCritic) and LipschitzCritic in type(critic).__mro__:
            bound = own_bound(critic, space, shape)  # also in metrics without a dual
        else:
            samples = reach_of_samples(space, shape)
            check_size(samples.sup)
            reach = through(critic, samples)
            bound = min(reach.sup, reach.l2) if reach.size == 1 else math.inf
        if not math.isfinite(bound):
            raise UnprovenError("it may be infinitely steep, or has several values for a sample")
        _check_values(critic, shape)
    return bound * SAFE


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
    try:
        twin = copy.deepcopy(critic).cpu().double().requires_grad_(False)
        for one in twin.modules():
            one.training = False
        shape = shape if shape is not None else _shape_of(twin)
        bound = _proven(twin, space, shape)
        if not bound:
            raise UnprovenError("it is constant")
    except (UnprovenError, RuntimeError) as why:  # torch copies no weights that are left over from a forward pass
        raise ModelError(f"no Lipschitz bound is proven for this {type(critic).__name__} in {space!r}: {why}") from why
    assert shape is not None, "without it nothing is proven"
    return Certified(twin, space, shape, bound)


def _shape_of(critic: nn.Module) -> tuple[int, ...] | None:
    if isinstance(critic, Shaped) and isinstance(critic.shape, tuple):
        return critic.shape
    first = next((one for one in critic.modules() if isinstance(one, nn.Linear)), None)
    return None if first is None else (first.in_features,)


@contextmanager
def _still(critic: nn.Module) -> Iterator[None]:
    """Inside, no weight moves on by being looked at, as spectral norms do; none is in half precision."""
    device = _like(critic).device.type
    if not torch.amp.is_autocast_available(device):
        raise UnprovenError(f"tensors on {device}")
    lists = (one for one in critic.modules() if isinstance(one, parametrize.ParametrizationList))
    training = [one for parts in lists for one in parts.modules() if one.training]
    for one in training:
        one.training = False
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for one in training:
            one.training = True


def _like(critic: nn.Module) -> Tensor:
    """A tensor of the type and on the device of the critic's samples."""
    return next((one for one in (*critic.parameters(), *critic.buffers()) if one.is_floating_point()), torch.zeros(()))


def _check_values(critic: nn.Module, shape: tuple[int, ...]) -> None:
    """UnprovenError unless the critic has a finite number for each sample, of however many: biases are numbers, too."""
    for n in (2, 3):
        try:
            values = critic(_like(critic).new_zeros(n, *shape))
        except Exception as why:  # whatever a foreign forward pass may raise
            raise UnprovenError(f"it does not take samples of shape {shape}") from why
        if values.numel() != n or not bool(values.isfinite().all()):
            raise UnprovenError("it does not return one finite value for each sample")
