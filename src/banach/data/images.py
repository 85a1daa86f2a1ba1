"""A folder of pictures as one uint8 tensor, in memory or in a mapped file.

Folders may be nested or flat; class folders mean nothing. Read are png, jpg, jpeg, bmp, webp, gif (its first picture)
and tiff; grey, palette, RGB, with transparency (laid on white), CMYK, and 16 bits (reduced to 8); turned as their EXIF
orientation says. What cannot be read is skipped, counted and named. The order is that of the paths.
"""

import collections
import contextlib
import dataclasses
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from banach.data import memory
from banach.data.among import left_out, refuse_run
from banach.data.cache import Kept, Key, find, keep, key_of
from banach.data.dataset import Raw
from banach.data.progress import progress
from banach.data.resize import Frame, frame, pixels
from banach.data.rows import Samples
from banach.data.wording import count
from banach.errors import DataError
from banach.foreign import PICTURES
from banach.runs.folder import RunFolder

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_AT_ONCE = 1 << 26  # bytes of decoded pictures that wait for their turn
_GREY_SHARE = 0.95  # colour among at least so many grey pictures counts as a stray and is made grey
A = TypeVar("A")
B = TypeVar("B")


@dataclasses.dataclass(frozen=True)
class _Head:
    """What a picture's header tells: its size upright, and what has to be done to its pixels."""

    path: Path
    height: int
    width: int
    grey: bool
    transparent: bool
    deep: bool


@dataclasses.dataclass(frozen=True)
class _Bad:
    path: Path
    reason: str


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Decoded pictures, those that could not be read, lines on what was done to them, and one on the cache if any."""

    values: Samples
    bad: Sequence[_Bad]
    about: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()


def read_folder(
    folder: Path,
    *,
    size: int | str | Sequence[int] | None = None,
    fit: str = "crop",
    axes: str | None = None,
    cache: str = "auto",
) -> Raw:
    """All pictures under `folder`, grey or colour by the majority (or by `axes`: "hw" grey, "hwc" colour).

    `cache` says when they are decoded into a mapped file (`banach.data.memory.CACHES`); one that is there is used
    unless it is "never". Raises `DataError` for a folder without readable pictures, for mixed sizes without `size`, for
    colour among grey pictures that are not nearly all, and if the pictures would fit neither into memory nor the cache.
    """
    to = frame(size, fit)
    refuse_run(folder)
    paths, others, runs = find_images(folder)
    pictures = sum(len(find_images(one)[0]) for one in runs)
    if not paths:
        rest = "".join(
            f", {one}" for one in (count(others, "other file") if others else "", *left_out(runs, pictures)) if one
        )
        known = " ".join(suffix[1:] for suffix in SUFFIXES)
        raise DataError(f"{folder} holds no pictures{rest}; --data needs a folder with {known} files in it or below")
    asked = None if to is None else (to.height, to.width)
    key = _key({"what": "folder", "size": asked, "fit": fit, "axes": axes}, folder, paths, cache)
    found = _from_cache(key, folder)
    if found is None:
        with _quiet():
            found = _decoded(folder, paths, to, axes, cache, key)
    n, channels, height, width = found.values.shape
    first = f"{count(n, 'picture')} {channels}x{height}x{width} from {folder}"
    notes = (
        first,
        *found.about,
        *_skipped(found.bad, folder),
        *_ignored(others),
        *left_out(runs, pictures),
        *found.cache,
    )
    name = folder.name if folder.name not in ("", "..") else folder.resolve().name
    return Raw(name or str(folder), found.values, notes=notes)


def _decoded(
    folder: Path, paths: Sequence[Path], to: Frame | None, axes: str | None, cache: str, key: Key | None
) -> Pictures:
    looked = list(progress(_in_threads(_look, paths), len(paths), "looking at pictures"))
    heads = [one for one in looked if isinstance(one, _Head)]
    bad = [one for one in looked if isinstance(one, _Bad)]
    if not heads:
        raise _none_readable(folder, bad)
    channels, about = _channels(folder, heads, axes)
    target = _target(folder, heads, to)
    about += tuple(_notes(heads, to))
    good = [head.path for head in heads]
    found = _decode_all(folder, good, channels, target, cache, key, Pictures(torch.empty(0), bad, about))
    if not len(found.values):
        raise _none_readable(folder, found.bad)
    return found


def find_images(folder: Path) -> tuple[list[Path], int, list[Path]]:
    """The picture files in and below `folder`, sorted, the number of other files, and the folders that hold a run.

    What runs wrote is neither looked at nor counted, hidden files neither.
    """
    found, others, runs, seen = [], 0, [], set()
    for where, folders, files in os.walk(folder, followlinks=True):
        real = Path(where).resolve()
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        shown = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        folders[:] = [name for name in shown if not RunFolder(Path(where, name)).holds_run]
        runs += [Path(where, name) for name in shown if name not in folders]
        for name in files:
            if not name.startswith("."):
                if name.lower().endswith(SUFFIXES):
                    found.append(Path(where, name))
                else:
                    others += 1
    return sorted(found, key=lambda path: path.parts), others, sorted(runs)


def read_pictures(folder: Path, paths: Sequence[Path], channels: int, to: Frame, cache: str = "auto") -> Pictures:
    """These pictures below `folder` at one size as uint8 (n, c, h, w), and those that could not be read."""
    key = _key({"what": "pictures", "channels": channels, "frame": repr(to)}, folder, paths, cache)
    none = Pictures(torch.empty(0, channels, to.height, to.width, dtype=torch.uint8), ())
    return _from_cache(key, folder) or (_decode_all(folder, paths, channels, to, cache, key, none) if paths else none)


def _key(how: Mapping[str, object], folder: Path, paths: Sequence[Path], cache: str) -> Key | None:
    """The key of decoded pictures; None where none are to be looked for. Pillow's version counts: decoders differ."""
    if cache == "never":
        return None
    return key_of({**how, "of": str(folder.resolve()), "pillow": PIL.__version__}, folder, paths)


def _from_cache(key: Key | None, folder: Path) -> Pictures | None:
    kept = find(key) if key else None
    return None if kept is None else _kept(kept, folder)


def _kept(kept: Kept, folder: Path) -> Pictures:
    bad = [_Bad(Path(folder, name), reason) for name, reason in kept.notes["bad"]]
    return Pictures(kept.values, bad, tuple(kept.notes["about"]), (str(kept),))


def _decode_all(
    folder: Path, paths: Sequence[Path], channels: int, to: Frame, cache: str, key: Key | None, so_far: Pictures
) -> Pictures:
    """The pictures decoded into memory, or into the file of `key`; what is known of them `so_far` is added to."""
    n, shape = len(paths), (channels, to.height, to.width)
    needed = n * channels * to.height * to.width
    bad: list[_Bad] = list(so_far.bad)
    if key is None or not memory.is_mapped(cache, needed):
        memory.require(
            2 * needed,  # once more while a part of them is held out
            f"{count(n, 'picture')} of {channels}x{to.height}x{to.width}",
            "choose a smaller --size or a folder with fewer pictures",
        )
        values, good = torch.empty(n, *shape, dtype=torch.uint8), 0
        for image in _decodings(paths, channels, to, bad):
            values[good] = image
            good += 1
        return dataclasses.replace(so_far, values=values[:good], bad=bad)

    def parts() -> Iterator[np.ndarray]:
        for image in _decodings(paths, channels, to, bad):
            yield image[None].numpy()
        if len(bad) - len(so_far.bad) == n:
            raise _none_readable(folder, bad)

    kept = keep(
        key,
        shape,
        torch.uint8,
        parts,
        lambda: {"about": so_far.about, "bad": [(str(one.path.relative_to(folder)), one.reason) for one in bad]},
        needed,
    )
    return _kept(kept, folder)


def _decodings(paths: Sequence[Path], channels: int, to: Frame, bad: list[_Bad]) -> Iterator[Tensor]:
    """The pictures in order; those that cannot be read are added to `bad`."""
    at_once = max(8, min(256, _AT_ONCE // (channels * to.height * to.width)))
    reads = _in_threads(lambda path: _decode(path, channels, to), paths, at_once)
    for path, image in zip(paths, progress(reads, len(paths), "reading pictures"), strict=True):
        if isinstance(image, _Bad):
            bad.append(image)
        elif image.shape != (channels, to.height, to.width):
            bad.append(_Bad(path, f"{image.shape[1]}x{image.shape[2]} once decoded"))
        else:
            yield image


def _in_threads(work: Callable[[A], B], items: Iterable[A], at_once: int = 256) -> Iterator[B]:
    """`map(work, items)` over threads, in order (decoders give up the interpreter's lock), `at_once` at a time."""
    items = iter(items)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        while part := list(itertools.islice(items, at_once)):
            yield from pool.map(work, part)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings on odd metadata and large pictures: what matters is told in the notes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _look(path: Path) -> _Head | _Bad:
    try:
        with Image.open(path, formats=PICTURES) as image:
            height, width = image.height, image.width
            if image.format != "TIFF" and _turn(image) >= 5:  # Pillow turns TIFF files itself
                height, width = width, height
            return _Head(path, height, width, _is_grey(image), _is_transparent(image), image.mode[0] == "I")
    except Exception as error:  # decoders raise whatever a broken file leads them to
        return _Bad(path, _reason(error))


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


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _decode(path: Path, channels: int, to: Frame) -> Tensor | _Bad:
    try:
        with Image.open(path, formats=PICTURES) as image:
            if to.box is None and to.fit != "none":  # JPEG decodes at 1/2, 1/4, 1/8, kept at least twice the size asked
                side = 2 * max(to.height, to.width)
                image.draft(None, (side, side))
            image.load()
            turn = _TURNS.get(_turn(image))
            upright = image.transpose(turn) if turn is not None else image
            return pixels(to(_coloured(upright, channels)))
    except Exception as error:
        return _Bad(path, _reason(error))


def _coloured(image: Image.Image, channels: int) -> Image.Image:
    """The picture in 8 bits, grey or RGB, transparency laid on white."""
    if image.mode == "F":
        raise DataError("floating-point pixels; save such data as .npy")
    if image.mode[0] == "I":
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise DataError("32-bit pixels; save such data as .npy")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if _is_transparent(image):
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def _reason(error: Exception) -> str:
    text = str(error).split("\n")[0]
    return "not a picture" if "cannot identify" in text else text or type(error).__name__


def _channels(folder: Path, heads: list[_Head], axes: str | None) -> tuple[int, tuple[str, ...]]:
    grey = sum(head.grey for head in heads)
    colour = len(heads) - grey
    if axes is not None:
        if axes not in ("hw", "hwc"):
            raise DataError(f"axes {axes!r} do not fit a folder of pictures; write hw for grey or hwc for colour")
        made = (grey, "grey", "colour") if axes == "hwc" else (colour, "colour", "grey")
        return (3 if axes == "hwc" else 1), ((f"{made[0]:,} {made[1]} made {made[2]} (--axes)",) if made[0] else ())
    if grey == 0:
        return 3, ()
    if colour == 0:
        return 1, ()
    if colour >= grey:
        return 3, (f"{grey:,} grey among {colour:,} in colour, repeated to three channels",)
    if grey >= _GREY_SHARE * len(heads):
        return 1, (f"{colour:,} in colour among {grey:,} grey, made grey",)
    raise DataError(
        f"{folder} mixes {grey:,} grey pictures with {colour:,} in colour; say which to make: --axes hw (grey) or "
        "--axes hwc (colour)"
    )


def _target(folder: Path, heads: list[_Head], to: Frame | None) -> Frame:
    """The frame asked for, or the size that all pictures have."""
    sizes = collections.Counter((head.height, head.width) for head in heads)
    if to is not None:
        other = len(heads) - sizes[to.height, to.width]
        if to.fit == "none" and other:
            raise DataError(
                f"{other:,} of {count(len(heads), 'picture')} in {folder} are not {to.height}x{to.width}; choose --fit "
                "crop, pad or stretch"
            )
        return to
    if len(sizes) > 1:
        shown = ", ".join(f"{n:,} of {height}x{width}" for (height, width), n in sizes.most_common(3))
        more = f", and {count(len(sizes) - 3, 'more size')}" if len(sizes) > 3 else ""
        raise DataError(f"{folder} holds pictures of different sizes ({shown}{more}); choose one, such as --size 64")
    height, width = next(iter(sizes))
    return Frame(height, width, "none")


def _none_readable(folder: Path, bad: Sequence[_Bad]) -> DataError:
    first = bad[0]
    return DataError(
        f"no picture in {folder} can be read ({count(len(bad), 'file')}; {first.path.name}: {first.reason}); "
        "give a folder of whole picture files"
    )


def _notes(heads: list[_Head], to: Frame | None) -> Iterator[str]:
    if to is not None:
        small = sum(head.height < to.height or head.width < to.width for head in heads)
        changed = sum((head.height, head.width) != (to.height, to.width) for head in heads)
        if changed:
            yield f"{changed:,} brought to {to.height}x{to.width} (--fit {to.fit})"
        if small and to.fit != "pad":
            yield f"{small:,} smaller than that and enlarged"
    if transparent := sum(head.transparent for head in heads):
        yield f"{transparent:,} with transparency, laid on white"
    if deep := sum(head.deep for head in heads):
        yield f"{deep:,} of 16 bits, reduced to 8"


def _skipped(bad: Sequence[_Bad], folder: Path) -> Iterator[str]:
    if bad:
        named = ", ".join(f"{one.path.relative_to(folder)} ({one.reason})" for one in bad[:3])
        yield f"skipped {count(len(bad), 'unreadable file')}: {named}{', …' if len(bad) > 3 else ''}"


def _ignored(others: int) -> Iterator[str]:
    if others:
        yield f"{count(others, 'file')} of other kinds ignored"
