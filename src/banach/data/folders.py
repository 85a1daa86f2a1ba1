"""The pictures below a folder: which files, and whether its sub-folders are parts that do not belong together."""

import collections
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from banach.data.how import Ambiguous
from banach.data.wording import count
from banach.foreign import typed
from banach.runs.folder import RunFolder

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")

_PARTS = re.compile(
    r"(train|training|test|testing|val|valid|validation|holdout|eval)(set|[ab])?|"
    r"(mask|label|annotation|annot|gt|groundtruth|seg|segmentation|depth|trimap|heatmap|thumb|thumbnail|preview)(map)?s?"
)
_SHOWN = 6


def find_images(folder: Path) -> tuple[list[Path], int, list[Path]]:
    """The picture files in and below `folder`, sorted, the number of other files, and the folders that hold a run.

    What runs wrote is not looked at and not counted; hidden files are not either.
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


def merged(folder: Path, paths: Sequence[Path]) -> Iterator[str]:
    """A line where pictures of several sub-folders are taken together."""
    below = collections.Counter(_below(folder, path)[:1] for path in paths)
    if len(below) > 1:
        named = [f"{_shown(name)} {n:,}" for name, n in below.most_common(_SHOWN)]
        more = f", and {count(len(below) - _SHOWN, 'more')}" if len(below) > _SHOWN else ""
        yield f"from {count(len(below), 'folder')} taken together: {', '.join(named)}{more}"


def check_parts(folder: Path, paths: Sequence[Path]) -> None:
    """`Ambiguous` where some pictures lie below a folder whose name says that it is a part, such as test/ or masks/,
    and others do not."""
    parts: dict[tuple[str, ...], tuple[tuple[str, ...], int]] = {}
    for path in paths:
        names = _below(folder, path)
        key = tuple(one.lower() for one in names if is_part(one))
        last = max((at for at, one in enumerate(names) if is_part(one)), default=-1)
        place, n = parts.get(key, (names[: last + 1], 0))
        parts[key] = (place, n + 1)
    if len(parts) < 2 or parts.keys() == {(), ("train",)}:  # trains, among other vehicles
        return
    told = [f"{n:,} in {_shown(place)}" for place, n in parts.values()]
    likely = next((place for key, (place, _) in parts.items() if key == ("train",)), None)
    first = likely or next(place for place, _ in parts.values() if place)
    one = next((place for place, _ in parts.values() if not place), None)
    choice = typed(folder.joinpath(*first))
    beside = sorted({_below(folder, path)[0] for path in paths if _below(folder, path)} - {first[0]})
    if one is not None and beside and not is_part(beside[0]):  # images/ beside masks/: the pictures are more likely
        choice = typed(folder / beside[0])
    raise Ambiguous(
        f"{folder} holds {', '.join(told[:_SHOWN])}, by their names parts of a set; take one, such as --data {choice}, "
        "or all of them as one set: --merge-folders"
    )


def is_part(name: str) -> bool:
    """Whether a folder's name says that what is in it is a part of a set, or belongs to pictures that lie elsewhere.

    >>> is_part("test"), is_part("trainA"), is_part("image_masks"), is_part("contest"), is_part("boxer")
    (True, True, True, False, False)
    """
    return any(_PARTS.fullmatch(word) for word in re.split(r"[\W_\d]+", name.lower()))


def _below(folder: Path, path: Path) -> tuple[str, ...]:
    return path.relative_to(folder).parts[:-1]


def _shown(place: tuple[str, ...]) -> str:
    return f"{'/'.join(place)}/" if place else "the rest"
