"""A folder of pictures as one uint8 tensor, in memory or in a mapped file.

Folders may be nested or flat; class folders mean nothing, and sub-folders that are parts of a set (test/, masks/) are
asked about, as are files of several pages. What cannot be read is skipped, counted and named. The order is that of the
paths, and of the pages in them.
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
from torch import Tensor

from banach.data import memory
from banach.data.among import left_out, refuse_run
from banach.data.cache import Kept, Key, find, keep, key_of
from banach.data.dataset import Raw
from banach.data.decode import Bad, Head, Look, Pages, decode, extremes, look
from banach.data.folders import SUFFIXES, check_parts, find_images, merged
from banach.data.how import Ambiguous, How, Limits, number
from banach.data.progress import progress
from banach.data.ranges import Seen
from banach.data.resize import Frame, frame
from banach.data.rows import Samples
from banach.data.wording import count
from banach.errors import DataError

_AT_ONCE = 1 << 26  # bytes of decoded pictures that wait for their turn
_GREY_SHARE = 0.95  # colour among at least so many grey pictures counts as a stray and is made grey
A = TypeVar("A")
B = TypeVar("B")


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Decoded pictures, what could not be read, lines on what was done, doubts with their cures, one on the cache."""

    values: Samples
    bad: Sequence[Bad]
    about: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    range: Limits | None = None
    extent: Limits | None = None
    cache: tuple[str, ...] = ()


def read_folder(folder: Path, how: How) -> Raw:
    """All pictures under `folder`, grey or colour by the majority (or by `axes`: "hw" grey, "hwc" colour).

    `how.cache` says when they are decoded into a mapped file (`banach.data.memory.CACHES`); one that is there is used
    unless it is "never". Raises `DataError` for a folder without readable pictures, for mixed sizes without `size`, for
    colour among grey pictures that are not nearly all, and if the pictures would fit neither into memory nor the cache;
    `Ambiguous` for files of several pages and for sub-folders that are parts of a set.
    """
    to = frame(how.size, how.fit)
    refuse_run(folder)
    paths, others, runs = find_images(folder)
    pictures = sum(len(find_images(one)[0]) for one in runs)
    if not paths:
        rest = "".join(
            f", {one}" for one in (count(others, "other file") if others else "", *left_out(runs, pictures)) if one
        )
        known = " ".join(suffix[1:] for suffix in SUFFIXES)
        raise DataError(f"{folder} holds no pictures{rest}; --data needs a folder with {known} files in it or below")
    if how.ask and not how.merge_folders:
        check_parts(folder, paths)
    how.check_fit()
    asked = None if to is None else (to.height, to.width)
    about = {"what": "folder", "size": asked, "fit": how.fit, "axes": how.axes, **how.of_files()}
    key = _key(about, folder, paths, how.cache)
    found = _from_cache(key, folder)
    if found is None:
        with _quiet():
            found = _decoded(folder, paths, to, how, key)
    n, channels, height, width = found.values.shape
    first = f"{count(n, 'picture')} {channels}x{height}x{width} from {folder}"
    said = (first, *merged(folder, paths), *found.about)
    rest = (*_ignored(others), *left_out(runs, pictures), *found.cache)
    name = folder.name if folder.name not in ("", "..") else folder.resolve().name
    notes = (*said, *_skipped(found.bad, folder), *rest)
    return Raw(
        name or str(folder), found.values, notes=notes, doubts=found.doubts, range=found.range, extent=found.extent
    )


def _decoded(folder: Path, paths: Sequence[Path], to: Frame | None, how: How, key: Key | None) -> Pictures:
    looked = list(progress(_in_threads(lambda path: look(path, how), paths), len(paths), "looking at pictures"))
    files = [one for one in looked if isinstance(one, Look)]
    bad = [one for one in looked if isinstance(one, Bad)]
    if not files:
        raise _none_readable(folder, bad)
    _check_pages(folder, files, how)
    heads = [head for file in files for _, head in file.heads]
    channels, about = _channels(folder, heads, how.axes)
    target = _target(folder, heads, to)
    chosen = [Pages(file.path, tuple(page for page, _ in file.heads)) for file in files]
    how, bounds = _resolved(folder, chosen, channels, how)
    about += (*_paged(files, how), *_notes(heads, to, how))
    so_far = Pictures(torch.empty(0), bad, about, range=bounds)
    found = _decode_all(folder, chosen, channels, target, how, key, so_far)
    if not len(found.values):
        raise _none_readable(folder, found.bad)
    return found


def _check_pages(folder: Path, files: Sequence[Look], how: How) -> None:
    """`Ambiguous` for animations and stacks, where nobody said which of their pages to read."""
    many = [file for file in files if file.pages > 1 and not file.of_one_shot]
    if not many or how.pages is not None or not how.ask:
        return
    named = ", ".join(f"{one.path.name} {one.pages:,}" for one in many[:3]) + (", …" if len(many) > 3 else "")
    total = sum(1 if file.of_one_shot else file.pages for file in files)
    raise Ambiguous(
        f"{len(many):,} of {count(len(files), 'file')} in {folder} hold several pages ({named}); say what to read: "
        f"--pages all ({total:,} pictures), --pages first ({len(files):,}), or one page of each, such as --pages 2"
    )


def _paged(files: Sequence[Look], how: How) -> Iterator[str]:
    several = [file for file in files if file.pages > 1]
    if how.pages == "all" and several:
        yield f"{sum(file.pages for file in several):,} pages of {count(len(several), 'file')} (--pages all)"
    elif isinstance(how.pages, int):
        yield f"page {how.pages} of each file (--pages {how.pages})"
    elif several and all(file.of_one_shot for file in several):
        yield f"{count(len(several), 'camera file')} with further pictures (previews, a second eye): the first is read"
    elif several:
        yield f"the first page of {count(len(several), 'file')} that hold several" + " (--pages first)" * bool(
            how.pages
        )


def _resolved(folder: Path, chosen: Sequence[Pages], channels: int, how: How) -> tuple[How, Limits | None]:
    """The range as two numbers: with "auto" the lowest and the highest value of all pictures."""
    if not isinstance(how.range, str):
        return how, how.range
    looks = progress(_in_threads(lambda what: extremes(what, channels), chosen), len(chosen), "looking for the range")
    found = [one for pages in looks for one in pages if not isinstance(one, Bad)]
    if not found:
        return dataclasses.replace(how, range=None), None  # decoding says what is wrong
    if len({deep for *_, deep in found}) > 1:
        wide = sum(deep for *_, deep in found)
        raise DataError(
            f"{folder} mixes {wide:,} pictures of 16 bits with {len(found) - wide:,} of 8, which have no range in "
            "common; leave --range out, or give folders of one kind"
        )
    low, high = min(low for low, *_ in found), max(high for _, high, _ in found)
    if low == high:
        raise DataError(f"every pixel of {folder} is {number(low)}, which is no range; leave out --range auto")
    return dataclasses.replace(how, range=(low, high)), (low, high)


def read_pictures(folder: Path, paths: Sequence[Path], channels: int, to: Frame, cache: str = "auto") -> Pictures:
    """These pictures below `folder` at one size as uint8 (n, c, h, w), and those that could not be read."""
    how = How(cache=cache, pages="first")
    key = _key({"what": "pictures", "channels": channels, "frame": repr(to)}, folder, paths, cache)
    none = Pictures(torch.empty(0, channels, to.height, to.width, dtype=torch.uint8), ())
    if (kept := _from_cache(key, folder)) is not None or not paths:
        return kept or none
    return _decode_all(folder, [Pages(path) for path in paths], channels, to, how, key, none)


def _key(how: Mapping[str, object], folder: Path, paths: Sequence[Path], cache: str) -> Key | None:
    """The key of decoded pictures; None where none are to be looked for. Pillow's version counts: decoders differ."""
    if cache == "never":
        return None
    return key_of({**how, "of": str(folder.resolve()), "pillow": PIL.__version__}, folder, paths)


def _from_cache(key: Key | None, folder: Path) -> Pictures | None:
    kept = find(key) if key else None
    return None if kept is None else _kept(kept, folder)


def _kept(kept: Kept, folder: Path) -> Pictures:
    bad = [Bad(Path(folder, name), reason) for name, reason in kept.notes["bad"]]
    about, doubts = kept.notes["about"], kept.notes.get("doubts", ())
    return Pictures(
        kept.values, bad, tuple(about), tuple(doubts), kept.pair("range"), kept.pair("extent"), (str(kept),)
    )


def _decode_all(
    folder: Path, chosen: Sequence[Pages], channels: int, to: Frame, how: How, key: Key | None, so_far: Pictures
) -> Pictures:
    """The pictures decoded into memory, or into the file of `key`; what is known of them `so_far` is added to."""
    n, shape = sum(len(one.pages) for one in chosen), (channels, to.height, to.width)
    needed = n * channels * to.height * to.width
    bad, seen = list(so_far.bad), Seen()
    decoded = _decodings(chosen, channels, to, how, (bad, seen))
    if key is None or not memory.is_mapped(how.cache, needed):
        memory.require(
            2 * needed,  # once more while a part of them is held out
            f"{count(n, 'picture')} of {channels}x{to.height}x{to.width}",
            "choose a smaller --size or a folder with fewer pictures",
        )
        values, good = torch.empty(n, *shape, dtype=torch.uint8), 0
        for image in decoded:
            values[good] = image
            good += 1
        about = (*so_far.about, *seen.notes(how))
        doubts = tuple(seen.doubts(how))
        return dataclasses.replace(
            so_far, values=values[:good], bad=bad, about=about, doubts=doubts, extent=seen.extent
        )

    def parts() -> Iterator[np.ndarray]:
        for image in decoded:
            yield image[None].numpy()
        if len(bad) - len(so_far.bad) == n:
            raise _none_readable(folder, bad)

    def notes() -> Mapping[str, object]:
        return {
            "about": [*so_far.about, *seen.notes(how)],
            "bad": [(str(one.path.relative_to(folder)), one.reason) for one in bad],
            "doubts": list(seen.doubts(how)),
            "range": so_far.range,
            "extent": seen.extent,
        }

    return _kept(keep(key, shape, torch.uint8, parts, notes, needed), folder)


def _decodings(
    chosen: Sequence[Pages], channels: int, to: Frame, how: How, into: tuple[list[Bad], Seen]
) -> Iterator[Tensor]:
    """The pictures in order; those that cannot be read are added to the list, what the others hold to `Seen`."""
    bad, seen = into
    most = max(len(one.pages) for one in chosen)
    at_once = max(1, 8 // most, min(256, _AT_ONCE // (channels * to.height * to.width * most)))
    reads = _in_threads(lambda what: decode(what, channels, to, how), chosen, at_once)
    for what, pages in zip(chosen, progress(reads, len(chosen), "reading pictures"), strict=True):
        for one in pages:
            if isinstance(one, Bad):
                bad.append(one)
            elif one.values.shape != (channels, to.height, to.width):
                bad.append(Bad(what.path, f"{one.values.shape[1]}x{one.values.shape[2]} once decoded"))
            else:
                seen.add(one, how.range)
                yield one.values


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


def _channels(folder: Path, heads: list[Head], axes: str | None) -> tuple[int, tuple[str, ...]]:
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


def _target(folder: Path, heads: list[Head], to: Frame | None) -> Frame:
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


def _none_readable(folder: Path, bad: Sequence[Bad]) -> DataError:
    first = bad[0]
    return DataError(
        f"no picture in {folder} can be read ({count(len(bad), 'file')}; {first.path.name}: {first.reason}); "
        "give a folder of whole picture files"
    )


def _notes(heads: list[Head], to: Frame | None, how: How) -> Iterator[str]:
    if to is not None:
        small = sum(head.height < to.height or head.width < to.width for head in heads)
        changed = sum((head.height, head.width) != (to.height, to.width) for head in heads)
        if changed:
            yield f"{changed:,} brought to {to.height}x{to.width} (--fit {to.fit})"
        if small and to.fit != "pad":
            yield f"{small:,} smaller than that and enlarged"
    yield from _about_pixels(heads, how)


def _about_pixels(heads: list[Head], how: How) -> Iterator[str]:
    if transparent := sum(head.transparent for head in heads):
        yield f"{transparent:,} with transparency, laid on {how.background}" + " (--background)" * (
            how.background != "white"
        )
    if deep := sum(head.deep for head in heads):
        yield f"{deep:,} of 16 bits, reduced to 8"
    if halved := sum(head.halved for head in heads):
        yield f"{halved:,} of 16 bits a band, of which the upper 8 are read; save those with finer steps as .npy"
    for inks, n in collections.Counter(head.inks for head in heads if head.inks).items():
        yield f"{n:,} in {inks}, made RGB without a colour profile"


def _skipped(bad: Sequence[Bad], folder: Path) -> Iterator[str]:
    if bad:
        named = ", ".join(f"{one.path.relative_to(folder)} ({one.reason})" for one in bad[:3])
        yield f"skipped {count(len(bad), 'unreadable file')}: {named}{', …' if len(bad) > 3 else ''}"


def _ignored(others: int) -> Iterator[str]:
    if others:
        yield f"{count(others, 'file')} of other kinds ignored"
