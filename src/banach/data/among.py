"""What may lie among pictures and is no data: what runs have written."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from banach.data.wording import count
from banach.errors import DataError
from banach.foreign import typed
from banach.runs.folder import RunFolder


def refuse_run(folder: Path) -> None:
    """DataError for a run's folder, and for the one of its sample grids, which are nobody's data."""
    place = folder.resolve()
    for one, what in ((place, "a run"), (place.parent, "the sample grids of a run")):
        if RunFolder(one).holds_run and place in (one, RunFolder(one).samples):
            raise DataError(
                f"{folder} holds {what}, and its pictures are no data; give the folder that it was trained on\n"
                f"single pictures of its samples: banach sample {typed(one)} --n 1000 --out fakes/"
            )


def left_out(runs: Sequence[Path], pictures: int) -> Iterator[str]:
    """A line on the folders of runs that are left out, with so many pictures in them; none where there are none."""
    if runs:
        named = ", ".join(one.name for one in runs[:3])
        yield (
            f"left out {count(len(runs), 'folder')} of runs with {count(pictures, 'picture')}: {named}"
            f"{', …' if len(runs) > 3 else ''}"
        )
