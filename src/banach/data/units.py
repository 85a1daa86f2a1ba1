"""The affine map between the units of the data and those of the networks.

Images go from uint8 to [-1, 1], where a tanh can reach them; arrays are shifted and scaled channel by channel by
numbers fitted on the training part, and the generator's output is linear.
"""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, Literal, Self

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from banach.data.rows import Rows, Samples, blocks
from banach.errors import DataError

METHODS = ("standard", "minmax", "none")
_LARGEST, _SMALLEST = 1e37, 1e-37  # float32 reaches 3.4e38 and 1.2e-38: a decade is left for sums and differences
_BLOCK = 1 << 22  # entries in double precision at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """model = (data - shift) / scale, by channel (axis 1); for images model = data / 127.5 - 1.

    `method` is "pixels" (uint8 images), "standard", "minmax" or "none". `scale` is 0 for a channel that is constant:
    its model value is 0, and whatever the generator gives, the sample carries the constant.

    >>> pixels = Units("pixels")
    >>> pixels.to_model(torch.tensor([0, 255], dtype=torch.uint8)), pixels.to_data(torch.tensor([-1.2, 0.0, 1.0]))
    (tensor([-1.,  1.]), tensor([  0, 128, 255], dtype=torch.uint8))
    """

    method: str
    shift: Float32[Tensor, "c"] | None = None
    scale: Float32[Tensor, "c"] | None = None

    def __post_init__(self):
        if (self.method == "pixels") != (self.shift is None) or (self.shift is None) != (self.scale is None):
            raise DataError(f"units {self.method!r} need {'no' if self.method == 'pixels' else 'a'} shift and scale")

    @functools.cached_property
    def _divisor(self) -> Tensor:
        """The scale, 1 where a channel is constant."""
        assert self.scale is not None
        return torch.where(self.scale == 0, 1, self.scale)

    @functools.cached_property
    def _varies(self) -> Tensor | None:
        """Which channels are not constant; None where that is all of them."""
        assert self.scale is not None
        return None if bool((self.scale != 0).all()) else self.scale != 0

    @property
    def output(self) -> Literal["tanh", "linear"]:
        """The generator's last function: tanh for images, none for arrays."""
        return "tanh" if self.method == "pixels" else "linear"

    def to_model(self, x: Tensor) -> Float[Tensor, "b *event"]:
        """Data units to model units, in float32."""
        if self.shift is None or self.scale is None:
            return x.to(torch.float32).div_(127.5).sub_(1) if x.dtype == torch.uint8 else x / 127.5 - 1
        centred = x.to(torch.float32) - _by_channel(self.shift, x)
        if self._varies is not None:
            centred = centred * _by_channel(self._varies, x)
        return centred.div_(_by_channel(self._divisor, x))

    def to_data(self, x: Float[Tensor, "*b_event"]) -> Tensor:
        """Model units to data units: uint8 (rounded, clamped) for images, float32 for arrays."""
        if self.shift is None or self.scale is None:
            return ((x.to(torch.float32) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return x.to(torch.float32) * _by_channel(self.scale, x) + _by_channel(self.shift, x)

    def to(self, device: torch.device | str) -> Self:
        """The same map with its numbers on another device."""
        if self.shift is None or self.scale is None:
            return self
        return dataclasses.replace(self, shift=self.shift.to(device), scale=self.scale.to(device))

    def keeping(self, blocks: Iterable[tuple[int, int]]) -> Self:
        """The same map, which leaves these channels (first and how many) as they are: one-hot blocks of 0 and 1."""
        if self.shift is None or self.scale is None or not (places := [*blocks]):
            return self
        shift, scale = self.shift.clone(), self.scale.clone()
        for first, width in places:
            one = slice(first, first + width)
            shift[one] = torch.where(scale[one] == 0, shift[one], 0.0)
            scale[one] = torch.where(scale[one] == 0, 0.0, 1.0)
        return dataclasses.replace(self, shift=shift, scale=scale)

    def state_dict(self) -> dict[str, Any]:
        """Strings and tensors that `from_state` turns back into the same map."""
        tensors = {} if self.shift is None else {"shift": self.shift, "scale": self.scale}
        return {"method": self.method, **tensors}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The map that a `state_dict` describes."""
        if state.get("method") not in ("pixels", *METHODS):
            raise DataError(f"units {state.get('method')!r} are not known; known: pixels, {', '.join(METHODS)}")
        return cls(state["method"], state.get("shift"), state.get("scale"))


def _by_channel(numbers: Tensor, x: Tensor) -> Tensor:
    return numbers.to(x.device).reshape(1, -1, *[1] * (x.ndim - 2))


def fit_units(train: Float32[Tensor, "n c *spatial"] | Rows, method: str) -> Units:
    """The map that brings each channel of `train` to mean 0 and deviation 1 ("standard"), to [-1, 1] ("minmax"), or
    nowhere ("none").

    Sums are in float64. Raises `DataError` for another method, and for channels beyond the range of float32.
    """
    if method not in METHODS:
        raise DataError(f"normalise {method!r} is not known; known: {', '.join(METHODS)}")
    channels = train.shape[1]
    low, high = _range(train)
    if max(-low.min(), high.max()) > _LARGEST:
        raise DataError(f"values up to {float(max(-low.min(), high.max())):.3g} leave no room in float32; rescale them")
    if method == "none":
        return Units("none", torch.zeros(channels), torch.ones(channels))
    if method == "minmax":
        shift, scale = (low + high) / 2, (high - low) / 2
    else:
        shift, scale = moments(train)
    scale = torch.where(low == high, 0.0, scale)
    shift = torch.where(low == high, low, shift)
    tiny = (scale > 0) & (scale < _SMALLEST)
    if tiny.any():
        at = int(tiny.nonzero()[0, 0])
        raise DataError(f"channel {at} varies by {float(scale[at]):.3g} only, too little for float32; rescale the data")
    return Units(method, shift.float(), scale.float())


def _range(x: Samples) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value by channel."""
    axes = [0, *range(2, x.ndim)]
    lows, highs = zip(*((block.amin(axes), block.amax(axes)) for block in blocks(x, _BLOCK)), strict=True)
    return torch.stack(lows).amin(0).double(), torch.stack(highs).amax(0).double()


def moments(x: Samples) -> tuple[Tensor, Tensor]:
    """Mean and deviation by channel in float64, two passes over blocks (one pass cancels where means are large)."""
    each = x.numel() // x.shape[1]
    axes = [0, *range(2, x.ndim)]
    zero = torch.zeros(x.shape[1], dtype=torch.float64)
    mean = sum((block.double().sum(axes) for block in blocks(x, _BLOCK)), zero) / each
    centre = mean.reshape(1, -1, *[1] * (x.ndim - 2))
    square = sum(((block.double() - centre).square_().sum(axes) for block in blocks(x, _BLOCK)), zero) / each
    return mean, square.sqrt()
