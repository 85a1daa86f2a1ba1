"""Bringing one picture to the size asked for."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from banach.data.progress import progress
from banach.errors import DataError

FITS = ("crop", "pad", "stretch", "none")


@dataclasses.dataclass(frozen=True)
class Frame:
    """A height and width, and how a picture gets there.

    "crop" resizes the shorter side and cuts the middle; "pad" shrinks a larger picture to fit (a smaller one stays) and
    centres it on black; "stretch" resizes both sides; "none" refuses another size. Resizing smooths over all pixels
    that a new one covers (Pillow's bicubic, or `resample`). `box` (left, upper, right, lower) is cut out first.
    """

    height: int
    width: int
    fit: str = "crop"
    box: tuple[int, int, int, int] | None = None
    resample: Image.Resampling = Image.Resampling.BICUBIC

    def __post_init__(self):
        if self.fit not in FITS:
            raise DataError(f"fit {self.fit!r} is not known; known: {', '.join(FITS)}")
        if self.height < 1 or self.width < 1:
            raise DataError(f"size {self.height}x{self.width} is not a size; write --size 64 or --size 64,48")

    def __call__(self, image: Image.Image) -> Image.Image:
        """The picture at this size."""
        if self.box is not None:
            image = image.crop(self.box)
        target = (self.width, self.height)
        if image.size == target:
            return image
        if self.fit == "none":
            raise DataError(f"{image.height}x{image.width} is not {self.height}x{self.width} and --fit is none")
        if self.fit == "stretch":
            return image.resize(target, self.resample)
        if self.fit == "crop":
            return image.resize(target, self.resample, box=self._middle(image))
        shrink = min(1.0, self.width / image.width, self.height / image.height)
        inner = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        image = image if inner == image.size else image.resize(inner, self.resample)
        canvas = Image.new(image.mode, target)
        canvas.paste(image, ((self.width - inner[0]) // 2, (self.height - inner[1]) // 2))
        return canvas

    def _middle(self, image: Image.Image) -> tuple[float, float, float, float]:
        """The largest centred box of the target's proportions, in the picture's own pixels (fractions allowed)."""
        scale = max(self.width / image.width, self.height / image.height)
        wide, high = min(image.width, self.width / scale), min(image.height, self.height / scale)
        left, upper = (image.width - wide) / 2, (image.height - high) / 2
        return left, upper, left + wide, upper + high


def frame(size: int | str | Sequence[int] | None, fit: str) -> Frame | None:
    """The frame that `--size` and `--fit` ask for: a side, or (height, width); None without a size.

    >>> frame("64,48", "pad")
    Frame(height=64, width=48, fit='pad', box=None, resample=<Resampling.BICUBIC: 3>)
    """
    if fit not in FITS:
        raise DataError(f"fit {fit!r} is not known; known: {', '.join(FITS)}")
    if size is None:
        return None
    if isinstance(size, str):
        numbers = re.split(r"[x,]", size.strip("()[] "))
    else:
        numbers = [size] if isinstance(size, int) else list(size)
    try:
        sides = [int(one) for one in numbers]
    except (TypeError, ValueError):
        sides = []
    if len(sides) not in (1, 2):
        raise DataError(f"size {size!r} is not a size; write --size 64, or --size 64,48 for height and width")
    return Frame(sides[0], sides[-1], fit)


def fit_images(images: UInt8[Tensor, "n c h w"], to: Frame | None) -> UInt8[Tensor, "n c height width"]:
    """Images of one size brought to another."""
    height, width = images.shape[2:]
    if to is None or (height, width) == (to.height, to.width):
        return images
    if to.fit == "none":
        raise DataError(
            f"the images are {height}x{width}, not {to.height}x{to.width}; choose --fit crop, pad or stretch"
        )
    if to.fit == "pad" and height <= to.height and width <= to.width:
        left, upper = (to.width - width) // 2, (to.height - height) // 2
        return F.pad(images, (left, to.width - width - left, upper, to.height - height - upper))
    out = torch.empty(len(images), images.shape[1], to.height, to.width, dtype=torch.uint8)
    for at, image in enumerate(progress(images, len(images), "resizing")):
        rows = np.ascontiguousarray(image.permute(1, 2, 0).squeeze(-1).numpy())
        out[at] = pixels(to(Image.fromarray(rows)))
    return out


def pixels(image: Image.Image) -> UInt8[Tensor, "c h w"]:
    """A grey or RGB picture as a tensor, channels first."""
    array = torch.from_numpy(np.array(image))
    return array[None] if array.ndim == 2 else array.permute(2, 0, 1)
