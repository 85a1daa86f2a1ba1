"""npy and npz files, and arrays in memory: vectors, time series, fields in two and three dimensions, or images.

uint8 arrays with 1 or 3 channels and two spatial axes are images, and so are others where the user says which values
are black and white; all else becomes float32 in its own units.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor

from banach.data import memory
from banach.data.axes import resolve
from banach.data.cache import Kept, Key, find, keep, key_of
from banach.data.dataset import Raw
from banach.data.decode import to_bytes
from banach.data.formats import dims, files
from banach.data.formats.stored import Stored
from banach.data.how import AS_IT_IS, Ambiguous, How, Limits, number, spelled
from banach.data.layout import Layout, stored_type
from banach.data.letters import Axes, described
from banach.data.letters import spelled as with_commas
from banach.data.metadata import Metadata
from banach.data.progress import progress
from banach.data.ranges import told
from banach.data.readings import hints
from banach.data.resize import Frame, fit_images, frame
from banach.data.sides import asked_sides, brought
from banach.errors import DataError
from banach.foreign import Unreadable, array_names, noted_axes, open_array, unpack_array, visible
from banach.specs import nearest

SUFFIXES = (".npy", ".npz", *files.SUFFIXES)
_BLOCK = 1 << 22  # entries looked at at a time
_EXACT = 1 << 24  # float32 holds all whole numbers up to here
_LOST = 0.01  # rounding to float32 may cost this share of a channel's deviation, not more


def read_array(path: Path, key: str = "", how: How = AS_IT_IS) -> Raw:
    """The samples in an npy file, in an npz file under `key` (not needed where it holds one array), or in a file of one
    of the other formats (`banach.data.formats`).

    What is large is brought into a mapped file where `how.cache` says so (`banach.data.memory.CACHES`), but for npz
    files, which are packed and read into memory. Raises `DataError` for a file that is broken or holds Python objects,
    a missing key, an unknown or ambiguous layout, NaN or infinite values, and arrays beyond memory.
    """
    of_format = files.format_of(path) != ""
    if path.suffix.lower() not in SUFFIXES and not of_format:
        known = ", ".join(SUFFIXES)
        raise DataError(f"{path} is not a file that is read; --data takes {known}, or a folder of pictures")
    whole = path.suffix.lower() == ".npy"
    if whole and key:
        raise DataError(f"{path} holds one array; write it without :{key}")
    name = f"{path.name}:{key}" if key else path.name
    at = None
    to = frame(how.size, how.fit)
    if (whole or of_format) and how.cache != "never":
        about = {"what": "array", "of": str(path.resolve()), "size": repr(to), "fit": how.fit, "layout": 1}
        about |= {"key": key, "categories": how.categories} if of_format else {}
        at = key_of({**about, **how.of_arrays(), "pillow": PIL.__version__}, path.parent, files.parts_of(path))
        if (kept := find(at)) is not None:
            return _kept(kept, name)
    stored = files.read(path, key, how.categories, how.cache) if of_format else _stored_array(path, key, whole)
    array = stored.array
    if at is not None and array.size and memory.is_mapped(how.cache, array.size * _bytes_each(array, how)):
        return _kept(_stored(at, _read(stored, name, how), to), name)
    return from_array(array, name, how, stored)


def _stored_array(path: Path, key: str, whole: bool) -> Stored:
    """The array of an npy file (the `whole`), or of an npz file, and the letters that came with it."""
    try:
        array = open_array(path) if whole else _from_archive(path, key)
        return Stored(array, noted_axes(path, key))
    except (OSError, Unreadable) as error:
        if "rename it" in str(error) or "Python objects" in str(error):
            raise DataError(f"{path} {str(error).removeprefix('it ')}") from None
        raise DataError(f"{path} cannot be read as an array ({error}); write it again with numpy.save") from None


def _bytes_each(array: np.ndarray, how: How) -> int:
    """The bytes that an entry takes once it is read."""
    return 1 if array.dtype == np.uint8 or how.range is not None else 4


def _kept(kept: Kept, name: str) -> Raw:
    notes, doubts = (*kept.notes["about"], str(kept)), tuple(kept.notes.get("doubts", ()))
    layout = Layout.from_facts(kept.notes.get("layout"))
    limits, extent = kept.pair("range"), kept.pair("extent")
    return Raw(name, kept.values, notes=notes, doubts=doubts, range=limits, extent=extent, layout=layout)


def _stored(at: Key, layout: "_Read", to: Frame | None) -> Kept:
    """The samples of an array in the file of its key, block by block."""
    arranged, n = layout.arranged, len(layout.arranged)
    rows = max(1, _BLOCK // max(1, arranged[0].size))
    starts = progress(range(0, n, rows), -(-n // rows), "reading")
    if layout.is_images:
        shape = (arranged.shape[1], to.height, to.width) if to else (arranged.shape[1], *layout.sides)
        cut = (_pixels(arranged[start : start + rows], layout.limits) for start in starts)
        parts = (brought(fit_images(block, to).numpy(), layout.sides if to is None else shape[1:]) for block in cut)
        kind = torch.uint8
    else:
        _check_finite(layout.array, layout.name)
        shape, kind = (arranged.shape[1], *layout.sides), torch.float32
        parts = (brought(block, layout.sides) for block in _rounded(arranged, layout.name))
    expected = n * math.prod(shape) * kind.itemsize
    about = {"about": layout.notes, "doubts": layout.doubts, "range": layout.limits, "extent": layout.extent}
    about["layout"] = dataclasses.asdict(layout.layout(to))
    return keep(at, shape, kind, lambda: parts, lambda: about, expected)


def _from_archive(path: Path, key: str) -> np.ndarray:
    keys = array_names(path)
    if not keys:
        raise DataError(f"{path} holds no array")
    if not key and "samples" in keys and "axes" in keys:  # as `banach sample` writes them
        key = "samples"
    if not key and len(keys) > 1:
        names = ", ".join(map(visible, keys[:8]))
        raise DataError(f"{path} holds {len(keys)} arrays ({names}); name one, --data {path}:{visible(keys[0])}")
    if key and key not in keys:
        raise DataError(f"{path} holds no array {key!r}; {nearest(key, keys)}")
    key = key or keys[0]
    return unpack_array(path, key, lambda size: memory.require(size, f"{path}:{key}", "save a part of it"))


def from_array(
    array: np.ndarray | Tensor, name: str = "array", how: How = AS_IT_IS, stored: Stored | None = None
) -> Raw:
    """The samples in an array or tensor in memory; the axes are guessed where that is safe, and the notes say how.

    `stored` is what came with it.
    """
    array = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
    to = frame(how.size, how.fit)
    read = _read(Stored(array) if stored is None else stored, name, how)
    layout = read.layout(to)
    memory.require(
        2 * array.size * _bytes_each(array, how),
        f"{name} {array.shape}",
        "save a part of it (an .npy file of its own is mapped)",
    )
    if read.is_images:
        images = fit_images(_pixels(read.arranged, read.limits), to)
        images = images if to is not None else _brought(images, read)
        notes, doubts, extent = read.notes, read.doubts, read.extent
        return Raw(name, images, notes=notes, doubts=doubts, range=read.limits, extent=extent, layout=layout)
    _check_finite(array, name)
    values = _brought(_float32(read.arranged, name), read)
    return Raw(name, values, notes=read.notes, doubts=read.doubts, layout=layout)


def _brought(values: Tensor, read: "_Read") -> Tensor:
    """The same tensor, or one with the sides that were asked for."""
    if tuple(values.shape[2:]) == read.sides:
        return values
    return torch.from_numpy(np.ascontiguousarray(brought(values.numpy(), read.sides)))


@dataclasses.dataclass(frozen=True)
class _Read:
    """An array, the same with its axes as they are wanted, and lines on how it is read."""

    name: str
    array: np.ndarray
    arranged: np.ndarray
    axes: Axes
    sides: tuple[int, ...]
    """Of samples in time and space, once they are padded or cut."""
    is_images: bool
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    limits: Limits | None = None
    """The values that become 0 and 255, where they are not those."""
    extent: Limits | None = None
    """The lowest and the highest value of pictures."""
    metadata: Metadata | None = None

    def layout(self, to: Frame | None) -> Layout:
        """How samples of this array lie, once they are brought to the frame (pictures), or padded or cut."""
        channels, *space = event = self.arranged.shape[1:]
        if to is not None:
            event = (channels, to.height, to.width)
        elif any(a < b for a, b in zip(self.sides, space, strict=True)):
            event = (channels, *self.sides)
        dtype, whole = self.array.dtype, self.limits is not None or _holds_whole(self.array)
        return Layout(self.axes.letters, stored_type(dtype), (channels, *space), tuple(event), self.limits, whole,
                      self.metadata)  # fmt: skip


def _holds_whole(array: np.ndarray) -> bool:
    """Whether float32 holds every number of an array of integers."""
    if array.dtype.kind not in "iu" or _is_exact(array.dtype):
        return True
    return all(int(one.min()) >= -_EXACT and int(one.max()) <= _EXACT for one in _parts(array))


def _read(stored: Stored, name: str, how: How) -> _Read:
    """How an array is read, with lines on it; the metadata come along."""
    found = _decided(stored, name, how)
    notes = (*found.notes[:1], *stored.notes, *found.notes[1:])
    if stored.metadata is not None and (lengths := dims.lengths(found.axes, stored.metadata)):
        said = ", ".join(f"{one:.6g}" for one in lengths)
        notes += (f"in the units of the coordinates: length={f'({said})' if len(lengths) > 1 else said} of the norm",)
    return dataclasses.replace(found, notes=notes, metadata=stored.metadata)


def _decided(stored: Stored, name: str, how: How) -> _Read:
    array = stored.array
    if array.dtype.kind not in "biuf":
        parts = ", such as both parts as channels: numpy.stack([x.real, x.imag], 1)" * (array.dtype.kind == "c")
        raise DataError(f"{name} holds {array.dtype} entries; give integers or floating-point numbers{parts}")
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"{name} is empty {array.shape}; give at least two samples")
    for flag in how.of_folders():
        raise DataError(f"{flag} is for folders of picture files, and {name} is an array; leave it out")
    axes, by = resolve(array, name, how, stored.axes, stored.options)
    arranged = axes.arranged(array)
    sides, done = asked_sides(arranged.shape[2:], name, how)
    said = f"{name}: {described(len(arranged), arranged.shape[1:])}; {array.dtype}, shape {array.shape}"
    notes = (f"{said}, axes {how.axes or with_commas(axes.letters)} ({by})", *done)
    pictures = arranged.ndim == 4 and arranged.shape[1] in (1, 3)
    if how.range is not None and pictures:
        how.check_fit()
        return _by_range(_Read(name, array, arranged, axes, sides, True, notes), how.range)
    if array.dtype == np.uint8 and pictures:
        notes += (f"uint8 with {arranged.shape[1]} channels: read as images",)
        how.check_fit()
        lows, highs = zip(*((int(one.min()), int(one.max())) for one in _parts(arranged)), strict=True)
        low, high = min(lows), max(highs)
        return _Read(name, array, arranged, axes, sides, True, notes, tuple(told(low, high, 255)), None, (low, high))
    _refuse_of_images(arranged, name, how)
    return _Read(name, array, arranged, axes, sides, False, notes, tuple(hints(array, arranged)) if how.ask else ())


def _refuse_of_images(arranged: np.ndarray, name: str, how: How) -> None:
    """DataError for what the user said about pictures, where these are none."""
    what = f"{name} is read as numbers, {tuple(arranged.shape[1:])} each"
    as_pictures = "leave it out"
    if arranged.ndim == 4 and arranged.shape[1] in (1, 3) and how.range is None:
        as_pictures = (
            "leave it out, or say which values are black and white, such as --range 0,1, if these are pictures"
        )
    if how.size is not None:
        raise DataError(
            f"{name}: --size is for images (uint8 with 1 or 3 channels), and {what}; {as_pictures} (numbers are "
            "resampled before they are saved)"
        )
    if how.range is not None:
        raise DataError(f"--range is for pictures, of 1 or 3 channels and two axes in space, and {what}; leave it out")
    if how.fit != "crop" and how.ask:
        raise Ambiguous(f"--fit {how.fit} is for pictures, and {what}; {as_pictures}")


def _by_range(layout: _Read, asked: Limits | str) -> _Read:
    """The layout of an array that becomes pictures over a range."""
    _check_finite(layout.array, layout.name)
    lows, highs = zip(*((float(one.min()), float(one.max())) for one in _parts(layout.arranged)), strict=True)
    low, high = min(lows), max(highs)
    if isinstance(asked, str):
        if low == high:
            raise DataError(f"every entry of {layout.name} is {number(low)}, which is no range; leave --range auto out")
        limits = (low, high)
    else:
        limits = asked
        if layout.array.dtype == np.uint8 and (limits[0] < 0 or limits[1] > 255):
            raise DataError(f"{layout.name} is of 8 bits, and --range {spelled(*limits)} goes beyond 0,255")
    beyond = f" ({number(low)} to {number(high)} are there, cut)" if low < limits[0] or high > limits[1] else ""
    notes = (*layout.notes, f"values {' to '.join(map(number, limits))} become 0 to 255 of pictures (--range){beyond}")
    return dataclasses.replace(layout, notes=notes, limits=limits, extent=(low, high))


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array in blocks of samples."""
    rows = max(1, _BLOCK // max(1, array[0].size))
    return (array[start : start + rows] for start in range(0, len(array), rows))


def _pixels(arranged: np.ndarray, limits: Limits | None) -> Tensor:
    """Images (n, c, h, w) as a tensor of its own, spread over the limits if there are any."""
    if limits is None:
        return torch.from_numpy(np.array(arranged, order="C"))
    out = np.empty(arranged.shape, np.uint8)
    done = 0
    for block in _parts(arranged):
        out[done : done + len(block)] = to_bytes(block, limits)
        done += len(block)
    return torch.from_numpy(out)


def _check_finite(array: np.ndarray, name: str) -> None:
    """Refuse NaN and infinite entries, naming how many and the first one's index as the file has it."""
    if array.dtype.kind != "f":
        return
    nans = infinite = 0
    first: tuple[int, ...] | None = None
    rows = max(1, _BLOCK // max(1, array[0].size))
    for start in progress(range(0, len(array), rows), -(-len(array) // rows), "checking"):
        block = array[start : start + rows]
        wrong = ~np.isfinite(block)
        if wrong.any():
            nans += int(np.isnan(block).sum())
            infinite += int(np.isinf(block).sum())
            if first is None:
                at = np.argwhere(wrong)[0]
                first = (start + int(at[0]), *(int(one) for one in at[1:]))
    if first is not None:
        where = ", ".join(map(str, first))
        raise DataError(
            f"{name} holds {nans:,} NaN and {infinite:,} infinite entries, the first at index [{where}]; "
            "fill or remove them"
        )


def _float32(arranged: np.ndarray, name: str) -> Tensor:
    """The values as float32 (b, …)."""
    out = torch.empty(arranged.shape, dtype=torch.float32)
    view: NDArray[np.float32] = out.numpy()
    done = 0
    for block in _rounded(arranged, name):
        view[done : done + len(block)] = block
        done += len(block)
    return out


def _rounded(arranged: np.ndarray, name: str) -> Iterator[NDArray[np.float32]]:
    """The values as float32 in blocks, refused where rounding would eat into what varies within a channel."""
    rows = max(1, _BLOCK // max(1, arranged[0].size))
    rounding = None if _is_exact(arranged.dtype) else _Rounding(arranged)
    for start in progress(range(0, len(arranged), rows), -(-len(arranged) // rows), "reading"):
        block = arranged[start : start + rows]
        with np.errstate(over="ignore"):  # what overflows is refused just below, in words
            into = np.asarray(block, dtype=np.float32, order="C")
        if rounding is not None:
            rounding.add(block, into)
        yield into
    if rounding is not None:
        rounding.check(name)


def _is_exact(dtype: np.dtype) -> bool:
    """Whether float32 holds every number of this type."""
    return dtype.kind == "b" or dtype.itemsize <= (4 if dtype.kind == "f" else 2)


class _Rounding:
    """What float32 loses of each channel, beside how much the channel varies; gathered block by block."""

    def __init__(self, arranged: np.ndarray):
        self._over = tuple(axis for axis in range(arranged.ndim) if axis != 1)
        self._each = arranged.size // arranged.shape[1]
        channels = (1, -1, *[1] * (arranged.ndim - 2))
        self._centre = arranged[:1].astype(np.float64).mean(axis=self._over).reshape(channels)
        self._sum, self._square, self._lost = (np.zeros(arranged.shape[1]) for _ in range(3))

    def add(self, block: np.ndarray, rounded: NDArray[np.float32]) -> None:
        wide = block.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            self._lost = np.maximum(self._lost, np.abs(wide - rounded).max(axis=self._over))
            wide -= self._centre
            self._sum += wide.sum(axis=self._over)
            self._square += (wide * wide).sum(axis=self._over)

    def check(self, name: str) -> None:
        if not np.isfinite(self._lost).all():
            raise DataError(f"{name} holds values beyond float32's range of 3.4e38; rescale them")
        mean = self._sum / self._each
        spread = np.sqrt(np.maximum(0, self._square / self._each - mean * mean))
        centre = self._centre.reshape(-1) + mean
        varies = spread > 1e-12 * np.abs(centre)  # less is double precision's own noise: a constant
        bad = np.flatnonzero(varies & (self._lost > _LOST * spread))
        if len(bad):
            at = int(bad[0])
            raise DataError(
                f"{name}: channel {at} varies by {spread[at]:.3g} around {centre[at]:.6g}, which float32 cannot hold; "
                "subtract that centre, or rescale, and save again"
            )
