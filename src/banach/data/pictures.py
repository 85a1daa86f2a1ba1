"""Pictures of samples as PNG files, by Pillow and numpy alone.

Values map to colours by constants, or by limits that the caller fixes once for a run: never by what a batch happens to
hold, or two pictures could not be compared. Files appear whole or not at all.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from banach.errors import DataError
from banach.files import staged

GAP = 2  # pixels between tiles
SHOWN = 4  # channels in a picture of fields or series
_PAPER, _INK, _PALE = (255, 255, 255), (40, 40, 40), (190, 190, 190)
REAL, FAKE = (224, 122, 32), (20, 110, 120)  # orange and teal, apart for the colour-blind too
_DIVERGING = (
    (8, 48, 107),
    (66, 133, 190),
    (198, 219, 235),
    (255, 255, 255),
    (250, 209, 187),
    (214, 96, 77),
    (103, 0, 31),
)
_SEQUENTIAL = ((20, 14, 60), (40, 76, 130), (34, 134, 139), (92, 186, 110), (250, 232, 90))
_SIDE = 480  # a panel of a scatter, before labels
_OVER = 2  # panels are drawn at twice their size and averaged


def grid(images: Tensor, path: Path | str, columns: int = 8, scale: int | None = None, gap: int = GAP) -> Path:
    """Images (n, c, h, w) in rows of `columns`, each enlarged `scale` times unsmoothed (default: to 48 pixels).

    Takes uint8 with 1 or 3 channels, as `Units.to_data` gives it; `DataError` for anything else.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise DataError(
            f"a grid takes uint8 images (n, 1 or 3, h, w), not {images.dtype} {tuple(images.shape)}; "
            "bring model units to pixels with Units.to_data"
        )
    tiles = images.cpu().permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()
    return _save(_sheet(tiles, columns, scale, gap, _PAPER), path)


def derivative(
    u: Tensor,
    path: Path | str,
    columns: int = 8,
    limit: float | None = None,
    scale: int | None = None,
) -> Path:
    """Signed fields (n, c, h, w), such as the derivative of a critic at samples: blue below 0, white at 0, red above.

    Colours span [-limit, limit]; without a limit it is the 99.5% quantile of |u| over all of them, and it is written
    below. Channels stand below one another, the first four at most.
    """
    values = _fields_of(u)
    limit = limit or float(np.quantile(np.abs(values), 0.995)) or 1.0
    tiles = _coloured((values / limit + 1) / 2, _DIVERGING)
    return _save(_labelled(_stacked(tiles, columns, scale), f"-{limit:.3g} (blue) to {limit:.3g} (red)"), path)


def fields(
    x: Tensor,
    path: Path | str,
    limits: tuple[Tensor, Tensor] | None = None,
    columns: int = 8,
    scale: int | None = None,
) -> Path:
    """Fields (n, c, h, w) in the data's units, dark (low) to bright (high), the first four channels by their limits.

    `limits` are the lows and highs by channel (`limits_of(reference)`), fixed for all pictures of a run.
    """
    values = _fields_of(x)
    low, high = limits_of(x) if limits is None else limits
    low, high = (_numbers(one)[:SHOWN].reshape(1, -1, 1, 1) for one in (low, high))
    tiles = _coloured((values - low) / np.where(high > low, high - low, 1), _SEQUENTIAL)
    return _save(_labelled(_stacked(tiles, columns, scale), f"dark to bright: {_spans(low, high, x)}"), path)


def limits_of(x: Float[Tensor, "n c *spatial"]) -> tuple[Tensor, Tensor]:
    """The 0.5% and 99.5% quantiles of each channel (over at most 2 million entries): limits for pictures."""
    by_channel = x.detach().cpu().float().transpose(0, 1).flatten(1)
    every = max(1, by_channel.shape[1] // 2_000_000)
    found = np.quantile(by_channel[:, ::every].numpy(), (0.005, 0.995), axis=1)
    return torch.from_numpy(found[0]), torch.from_numpy(found[1])


def scatter(
    points: Tensor,
    path: Path | str,
    reference: Tensor | None = None,
    limits: tuple[float, float, float, float] | None = None,
) -> Path:
    """Points (n, 2) in the plane; with a `reference`, the real ones on the left and, pale, under those on the right.

    `limits` (left, right, lower, upper) default to the reference's extent and a quarter more, so pictures of one run
    agree; points outside are counted in the label.
    """
    if points.ndim != 2 or points.shape[1] != 2:
        raise DataError(f"a scatter takes points (n, 2), not {tuple(points.shape)}")
    box = limits or _extent(points if reference is None else reference)
    if reference is None:
        return _save(_panel(f"{len(points):,} points", box, [(points, FAKE)]), path)
    pale = (250, 216, 184)
    left = _panel(f"real: {len(reference):,}", box, [(reference, REAL)])
    right = _panel(f"generated: {len(points):,}", box, [(reference, pale), (points, FAKE)])
    return _save(np.concatenate((left, right), axis=1), path)


def lines(
    x: Tensor,
    path: Path | str,
    columns: int = 4,
    limits: tuple[Tensor, Tensor] | None = None,
    width: int = 200,
    height: int = 90,
) -> Path:
    """Series (n, c, length) in small panels, channels below one another (four at most), each channel on one scale."""
    if x.ndim != 3 or not len(x):
        raise DataError(f"lines take series (n, c, length), not {tuple(x.shape)}")
    low, high = (_numbers(one)[:SHOWN] for one in (limits_of(x) if limits is None else limits))
    values = np.nan_to_num(_numbers(x[:, :SHOWN]), nan=np.nan, posinf=np.nan, neginf=np.nan)
    room = 0.1 * np.where(high > low, high - low, 1)
    low, high = low - room, high + room
    n, c, length = values.shape
    tiles = np.empty((n, c, height, width, 3), np.uint8)
    across = np.linspace(0, width * _OVER - 1, length) if length > 1 else np.zeros(1)
    for sample in range(n):
        for channel in range(c):
            canvas = Image.new("RGB", (width * _OVER, height * _OVER), _PAPER)
            up = (values[sample, channel] - low[channel]) / (high[channel] - low[channel])
            down = (1 - np.clip(up, -1, 2)) * (height * _OVER - 1)
            colour = (FAKE, REAL, (110, 80, 160), _INK)[channel % 4]
            ImageDraw.Draw(canvas).line(
                [at for at in zip(across, down, strict=True) if np.isfinite(at[1])], fill=colour, width=_OVER + 1
            )
            tiles[sample, channel] = np.asarray(canvas.resize((width, height), Image.Resampling.BOX))
    return _save(_labelled(_stacked(tiles, columns, 1), f"bottom to top: {_spans(low, high, x)}"), path)


def _spans(low: NDArray[np.float64], high: NDArray[np.float64], x: Tensor) -> str:
    spans = "; ".join(f"{a:.3g} to {b:.3g}" for a, b in zip(low.ravel(), high.ravel(), strict=True))
    return spans + (f" (the first {SHOWN} of {x.shape[1]} channels)" if x.shape[1] > SHOWN else "")


def draw(samples: Tensor, path: Path | str, reference: Tensor | None = None, columns: int = 8) -> Path:
    """The picture that suits samples in the data's units: uint8 images a grid, points a scatter, vectors and series
    lines, fields in two dimensions a sheet of heat maps, in three their middle slices. `reference` are real samples,
    which fix the limits. Of all but points, the first 64."""
    if samples.dtype == torch.uint8:
        return grid(samples[:64], path, columns)
    if samples.ndim == 2 and samples.shape[1] == 2:
        return scatter(samples, path, reference)
    samples, reference = _as_fields(samples[:64]), None if reference is None else _as_fields(reference)
    limits = None if reference is None else limits_of(reference)
    if samples.ndim == 3:
        return lines(samples, path, limits=limits)
    return fields(samples, path, limits, columns)


def _as_fields(x: Tensor) -> Tensor:
    if x.ndim == 2:
        return x[:, None]
    return x[:, :, x.shape[2] // 2] if x.ndim == 5 else x


def _fields_of(x: Tensor) -> NDArray[np.float64]:
    if x.ndim != 4 or not len(x):
        raise DataError(f"fields are drawn from (n, c, h, w), not {tuple(x.shape)}")
    return _numbers(x[:, :SHOWN])


def _numbers(x: Tensor) -> NDArray[np.float64]:
    return np.asarray(x.detach().cpu().double().numpy())


def _coloured(share: NDArray[np.float64], anchors: tuple[tuple[int, int, int], ...]) -> NDArray[np.uint8]:
    """Colours between evenly spaced anchors for shares in [0, 1], grey where not finite."""
    knots = np.linspace(0, 1, len(anchors))
    inside = np.clip(np.nan_to_num(share, nan=0.5), 0, 1)
    colours = np.stack([np.interp(inside, knots, one) for one in np.array(anchors, float).T], -1)
    colours[~np.isfinite(share)] = 128
    return np.round(colours).astype(np.uint8)


def _stacked(tiles: NDArray[np.uint8], columns: int, scale: int | None) -> NDArray[np.uint8]:
    """(n, c, h, w, 3): the channels of a sample below one another, closer than samples are."""
    n, c, h, w, _ = tiles.shape
    scale = scale or _scale(h, w)
    tall = np.full((n, c * h * scale + (c - 1), w * scale, 3), _PALE, np.uint8)
    for channel in range(c):
        top = channel * (h * scale + 1)
        tall[:, top : top + h * scale] = tiles[:, channel].repeat(scale, 1).repeat(scale, 2)
    return _sheet(tall, columns, 1, GAP if c == 1 else 3 * GAP, _PALE)


def _scale(h: int, w: int) -> int:
    return max(1, -(-48 // max(h, w)))


def _sheet(
    tiles: NDArray[np.uint8], columns: int, scale: int | None, gap: int, ground: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """(n, h, w, 3) side by side on a coloured ground, rows of `columns`."""
    scale = scale or _scale(*tiles.shape[1:3])
    tiles = tiles.repeat(scale, 1).repeat(scale, 2)
    n, h, w, _ = tiles.shape
    columns = max(1, min(columns, n))
    rows = -(-n // columns)
    sheet = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, 3), ground, np.uint8)
    for at, tile in enumerate(tiles):
        top, left = gap + at // columns * (h + gap), gap + at % columns * (w + gap)
        sheet[top : top + h, left : left + w] = tile
    return sheet


def _labelled(sheet: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """The sheet with a line of text below."""
    font = ImageFont.load_default(12)
    wide = max(sheet.shape[1], round(font.getlength(text)) + 2 * GAP)
    canvas = Image.new("RGB", (wide, sheet.shape[0] + 18), _PAPER)
    canvas.paste(Image.fromarray(sheet), (0, 0))
    ImageDraw.Draw(canvas).text((GAP, sheet.shape[0]), text, fill=_INK, font=font)
    return np.asarray(canvas)


def _extent(points: Tensor) -> tuple[float, float, float, float]:
    """A square box around the points with an eighth of its side free all round."""
    finite = _numbers(points)[np.isfinite(_numbers(points)).all(1)]
    low, high = (finite.min(0), finite.max(0)) if len(finite) else (np.zeros(2), np.ones(2))
    centre, half = (low + high) / 2, 0.625 * float((high - low).max() or 1)
    return centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half


def _panel(
    label: str, box: tuple[float, float, float, float], layers: list[tuple[Tensor, tuple[int, int, int]]]
) -> NDArray[np.uint8]:
    """Layers of points in a frame with the box's corners written at it; many points in one place grow darker."""
    canvas = np.full((_SIDE * _OVER, _SIDE * _OVER, 3), _PAPER, float)
    outside = 0
    for points, colour in layers:
        cover, outside = _cover(_numbers(points), box)
        canvas += cover[..., None] * (np.array(colour, float) - canvas)
    small = Image.fromarray(np.round(canvas).astype(np.uint8)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    margin, top, foot = 12, 24, 20
    panel = Image.new("RGB", (_SIDE + 2 * margin, _SIDE + top + foot), _PAPER)
    panel.paste(small, (margin, top))
    pen, font = ImageDraw.Draw(panel), ImageFont.load_default(12)
    pen.rectangle((margin - 1, top - 1, margin + _SIDE, top + _SIDE), outline=_PALE)
    pen.text((margin, 5), label + (f"  ({outside:,} outside)" if outside else ""), fill=_INK, font=font)
    pen.text((margin, top + _SIDE + 3), f"({box[0]:.3g}, {box[2]:.3g})", fill=_INK, font=font)
    pen.text((margin + _SIDE, top + _SIDE + 3), f"({box[1]:.3g}, {box[2]:.3g})", fill=_INK, font=font, anchor="ra")
    pen.text((margin + _SIDE, 5), f"({box[1]:.3g}, {box[3]:.3g})", fill=_INK, font=font, anchor="ra")
    return np.asarray(panel)


def _cover(points: NDArray[np.float64], box: tuple[float, float, float, float]) -> tuple[NDArray[np.float64], int]:
    """How much of each fine pixel discs at the points cover, in [0, 1), and how many points lie outside."""
    left, right, lower, upper = box
    edge = _SIDE * _OVER
    counts, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=edge, range=((lower, upper), (left, right)))
    counts = counts[::-1]  # rows run downwards
    radius = (3 if len(points) <= 2000 else 2) * _OVER // 2
    total = np.zeros_like(counts)
    for down in range(-radius, radius + 1):
        for across in range(-radius, radius + 1):
            if down * down + across * across <= radius * radius:
                total += _shifted(counts, down, across)
    strength = min(0.9, 1200 / max(1, len(points)) + 0.15)  # one of few points is solid, one of many is faint
    return 1 - (1 - strength) ** total, len(points) - int(counts.sum())


def _shifted(counts: NDArray[np.float64], down: int, across: int) -> NDArray[np.float64]:
    out = np.zeros_like(counts)
    h, w = counts.shape
    rows, from_rows = slice(max(0, down), h + min(0, down)), slice(max(0, -down), h - max(0, down))
    columns, from_columns = slice(max(0, across), w + min(0, across)), slice(max(0, -across), w - max(0, across))
    out[rows, columns] = counts[from_rows, from_columns]
    return out


def _save(picture: NDArray[np.uint8], path: Path | str) -> Path:
    """Write a PNG, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, "PNG")
    return path
