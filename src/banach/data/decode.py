"""One picture file: what its header tells, and its pages in 8 bits, grey or RGB, upright, at the size wanted.

Read are png, jpg, jpeg, bmp, webp, gif and tiff; grey, palette, RGB, with transparency (laid on a background), CMYK,
and 16 bits; turned as their EXIF orientation says. What is stored becomes 0 to 255 over the whole range of its type, or
over the range that the user gives. Bands that a picture of one or three channels cannot hold are refused, not dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from banach.data.how import How, Limits, number, spelled
from banach.data.resize import Frame, pixels
from banach.errors import DataError
from banach.foreign import PICTURES

_ORIENTATION, _SAMPLES, _EXTRA = 0x0112, 277, 338
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WIDE = 65535
_INKS = ("CMYK", "LAB", "YCbCr", "HSV")


@dataclass(frozen=True)
class Head:
    """What the header of a page tells: its size upright, and what has to be done to its pixels."""

    height: int
    width: int
    grey: bool
    transparent: bool
    deep: bool
    """16 bits or more, all of which are read."""
    halved: bool
    """16 bits in colour, of which Pillow reads the upper 8."""
    inks: str
    """A colour space other than RGB."""


@dataclass(frozen=True)
class Look:
    """A file, the pages that are read of it with their headers, and how many there are."""

    path: Path
    heads: tuple[tuple[int, Head], ...]
    pages: int
    of_one_shot: bool = False
    """Further pictures of a camera's file: another eye, a preview."""


@dataclass(frozen=True)
class Bad:
    """A file, or a page of it, that cannot be read."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Pages:
    """Pages of a file, from 0."""

    path: Path
    pages: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Picture:
    """A decoded page: uint8 (c, h, w), the lowest and the highest value stored, and what became of them."""

    values: Tensor
    low: float
    high: float
    deep: bool
    hidden: bool
    """Its transparency varies, and on the background it is of one colour."""


def look(path: Path, how: How) -> Look | Bad:
    """The headers of the pages of a file that `how` chooses."""
    try:
        with Image.open(path, formats=PICTURES) as image:
            pages = int(getattr(image, "n_frames", 1))  # of formats that hold several
            wanted = _wanted(how, pages)
            if not wanted:
                return Bad(path, f"it has {pages} page{'s' * (pages > 1)}, and no page {how.pages}")
            heads = tuple((at, _head(image, at, how)) for at in wanted)
            return Look(path, heads, pages, image.format == "MPO")
    except Exception as error:  # decoders raise whatever a broken file leads them to
        return Bad(path, _reason(error))


def _wanted(how: How, pages: int) -> Sequence[int]:
    if isinstance(how.pages, int):
        return range(how.pages - 1, how.pages)[: max(0, pages - how.pages + 1)]
    return range(pages) if how.pages == "all" else range(1)


def _head(image: Image.Image, page: int, how: How) -> Head:
    if page:
        image.seek(page)
    if how.ask:
        _check_bands(image)
    height, width = image.height, image.width
    if image.format != "TIFF" and _turn(image) >= 5:  # Pillow turns TIFF files itself
        height, width = width, height
    deep = image.mode[0] in "IF"
    halved = not deep and ";16" in str(getattr(image, "tile", ""))  # in memory there are no tiles
    inks = image.mode if (image.mode in _INKS and image.format != "JPEG") or image.mode == "CMYK" else ""
    return Head(height, width, _is_grey(image), is_transparent(image), deep, halved, inks)


def _check_bands(image: Image.Image) -> None:
    """DataError for a TIFF file with bands that Pillow drops, or that it takes for transparency unasked."""
    if image.format != "TIFF":
        return
    tags = getattr(image, "tag_v2", {})  # of TIFF images alone
    bands, read = int(tags.get(_SAMPLES, 1)), len(image.getbands())
    if bands > read or (image.mode == "RGBA" and bands == 4 and _EXTRA not in tags):
        raise DataError(f"{bands} bands, and a picture has 1 or 3; save such data as .npy of shape (n, {bands}, h, w)")


def _turn(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # asking would decode the whole file
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata do not spoil a picture
        return 1


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        colours = np.array(image.getpalette("RGB") or []).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return image.mode[0] in "1LIF" and image.mode != "LAB"


def is_transparent(image: Image.Image) -> bool:
    """Whether some of the picture may be transparent."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def decode(what: Pages, channels: int, to: Frame, how: How) -> list[Picture | Bad]:
    """The pages in 8 bits at one size; `how.range` is None or two numbers."""
    found: list[Picture | Bad] = []
    try:
        with Image.open(what.path, formats=PICTURES) as image:
            for page in what.pages:
                try:
                    found.append(_page(image, page, channels, to, how))
                except Exception as error:
                    found.append(Bad(what.path, _of_page(page, _reason(error))))
    except Exception as error:
        return [Bad(what.path, _of_page(page, _reason(error))) for page in what.pages]
    return found


def _of_page(page: int, reason: str) -> str:
    return f"page {page + 1}: {reason}" if page else reason


def _page(image: Image.Image, page: int, channels: int, to: Frame, how: How) -> Picture:
    if page:
        image.seek(page)
    elif to.box is None and to.fit != "none":  # JPEG decodes at 1/2, 1/4, 1/8, kept at least twice the size asked
        side = 2 * max(to.height, to.width)
        image.draft(None, (side, side))
    image.load()
    turn = _TURNS.get(_turn(image))
    upright = image.transpose(turn) if turn is not None else image
    assert not isinstance(how.range, str)
    made, low, high, hidden = _coloured(upright, channels, how.range, how.background)
    return Picture(pixels(to(made)), low, high, image.mode[0] in "IF", hidden)


def extremes(what: Pages, channels: int) -> list[tuple[float, float, bool] | Bad]:
    """The lowest and the highest value stored in each page, and whether they are of more than 8 bits."""
    found: list[tuple[float, float, bool] | Bad] = []
    try:
        with Image.open(what.path, formats=PICTURES) as image:
            for page in what.pages:
                if page:
                    image.seek(page)
                deep = image.mode[0] in "IF"
                found.append((*(_deep(image)[1:] if deep else _bounds(_opaque(image, channels))), deep))
    except Exception as error:
        return [Bad(what.path, _reason(error)) for _ in what.pages]
    return found


def _opaque(image: Image.Image, channels: int) -> Image.Image:
    """The picture in 8 bits, grey or RGB, whatever its transparency."""
    whole = image.convert("RGBA") if is_transparent(image) else image
    return (
        whole.convert("RGB").convert("L") if channels == 1 and whole is not image else whole.convert(_MODES[channels])
    )


_MODES = {1: "L", 3: "RGB"}


def _coloured(
    image: Image.Image, channels: int, limits: Limits | None, background: str
) -> tuple[Image.Image, float, float, bool]:
    """The picture in 8 bits, grey or RGB, on the background; its lowest and highest value; whether that hides it."""
    if image.mode[0] in "IF":
        values, low, high = _deep(image)
        return Image.fromarray(_spread(values, low, high, limits)).convert(_MODES[channels]), low, high, False
    if not is_transparent(image):
        made = image.convert(_MODES[channels])
        low, high = _bounds(made)
        return _within(made, low, high, limits), low, high, False
    over = image.convert("RGBA")
    low, high = _bounds(over.convert("RGB"))
    if limits is not None:
        opaque, alpha = _within(over.convert("RGB"), low, high, limits), over.getchannel("A")
        over = opaque.convert("RGBA")
        over.putalpha(alpha)
    laid = Image.alpha_composite(Image.new("RGBA", over.size, background), over).convert("RGB")
    hidden = len(np.unique(np.asarray(over)[..., 3])) > 1 and not np.ptp(np.asarray(laid), axis=(0, 1)).any()
    return laid.convert(_MODES[channels]), low, high, hidden


def _deep(image: Image.Image) -> tuple[np.ndarray, float, float]:
    """Values of more than 8 bits, the lowest and the highest."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise DataError("NaN or infinite pixels; save such data as .npy without them")
    return values, low, high


def _spread(values: np.ndarray, low: float, high: float, limits: Limits | None) -> np.ndarray:
    """Values of more than 8 bits as uint8: over the range of 16 bits, or over the limits."""
    if limits is not None:
        return to_bytes(values, limits)
    if values.dtype.kind == "f":
        raise DataError("floating-point pixels; say which are black and white with --range LOW,HIGH, or save as .npy")
    if low < 0 or high > _WIDE:
        raise DataError("32-bit pixels; say which are black and white with --range LOW,HIGH, or save as .npy")
    return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)


def to_bytes(values: np.ndarray, limits: Limits) -> np.ndarray:
    """Numbers as uint8: `limits` become 0 and 255, what lies beyond is cut there."""
    low, high = limits
    return np.rint((np.clip(values.astype(np.float64), low, high) - low) * (255 / (high - low))).astype(np.uint8)


def _bounds(image: Image.Image) -> tuple[float, float]:
    found = np.array(image.getextrema()).reshape(-1, 2)
    return float(found[:, 0].min()), float(found[:, 1].max())


def _within(image: Image.Image, low: float, high: float, limits: Limits | None) -> Image.Image:
    """A picture of 8 bits with its values spread over the limits."""
    if limits is None:
        return image
    if limits[0] < 0 or limits[1] > 255:
        raise DataError(
            f"it has 8 bits, values {number(low)} to {number(high)}, and --range {spelled(*limits)} goes beyond 0,255"
        )
    table = to_bytes(np.arange(256), limits).tolist()
    return image.point(table * len(image.getbands()))


def _reason(error: Exception) -> str:
    text = str(error).split("\n")[0]
    return "not a picture" if "cannot identify" in text else text or type(error).__name__
