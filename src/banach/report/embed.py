"""Pictures as data URIs, chosen and sized so that the page stays light enough to mail."""

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from banach.report.run import Picture

LARGEST_BYTES = 160_000  # a picture file above this is scaled down and stored as JPEG
LARGEST_SIDE = 1024


@dataclass(frozen=True)
class Frame:
    """One embedded picture: its data URI, its size in pixels, and how to show it."""

    uri: str
    width: int
    height: int
    alt: str
    step_text: str = ""

    @property
    def pixels(self) -> bool:
        """Small grids are magnified with hard pixel edges; by less than about 2 that would make pixels of two sizes."""
        return max(self.width, self.height) <= 280


def embedded(path: Path, alt: str, step: int | None = None) -> Frame | None:
    """The picture as a `Frame`; None where the file is no picture (cut off, still being written)."""
    try:
        content = path.read_bytes()
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            warnings.simplefilter("error")  # of a picture beyond all reason
            image.load()
            kind, size = "png", image.size
            if len(content) > LARGEST_BYTES:
                content, size = _smaller(image)
                kind = "jpeg"
    except Exception:  # decoders raise whatever a broken file leads them to
        return None
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return Frame(uri, *size, alt, f"{step:,}" if step is not None else "")


def _smaller(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """The picture as JPEG, its longer side at most LARGEST_SIDE, and smaller until it fits LARGEST_BYTES."""
    small, side = image.convert("RGB"), LARGEST_SIDE
    while True:
        small.thumbnail((side, side))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=82, optimize=True)
        if out.tell() <= LARGEST_BYTES or side < 128:
            return out.getvalue(), small.size
        side = side * 3 // 4


def reel(pictures: Sequence[Picture], what: str, budget: int) -> tuple[Frame, ...]:
    """Frames of the first, the last and as many pictures between as `budget` bytes hold, more of them early ones."""
    if not pictures:
        return ()
    each = max(min(picture.path.stat().st_size, LARGEST_BYTES) for picture in pictures)
    chosen = spread(len(pictures), max(2, min(24, budget // max(each, 1))))
    frames = [embedded(pictures[at].path, f"{what}, step {pictures[at].step:,}", pictures[at].step) for at in chosen]
    return tuple(frame for frame in frames if frame is not None)


def spread(n: int, most: int) -> tuple[int, ...]:
    """At most `most` of 0 … n-1, both ends among them, denser at the start, where a run changes fastest.

    >>> spread(4, 9), spread(100, 5)
    ((0, 1, 2, 3), (0, 12, 35, 64, 99))
    """
    if n <= most:
        return tuple(range(n))
    return tuple(sorted({round((n - 1) * (at / (most - 1)) ** 1.5) for at in range(most)}))
