"""Axis letters: which axes of an array count samples, which one channels, and which are time or space."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from banach.data.wording import count
from banach.errors import DataError

_LETTERS = "n samples (nn… where several axes count them), c channels, t time, x y z space (three of t x y z at most)"
_OLDER = (
    "b samples (bb… where several axes count them), c channels, d features (bd) or depth (bcdhw), h height, "
    "w width, n time or length"
)
_GRIDS = ("", "t", "hw", "dhw")  # axes in space in the older spelling, which keeps them in this order


@dataclass(frozen=True)
class Axes:
    """What each axis of an array is: `counted` axes number the samples, `channel` the channels (None: there is no such
    axis), `space` are time and space in the order in which they are kept. `letters` are those that said so.

    >>> axes = read_letters("n,x,y,c")
    >>> axes.arranged(np.zeros((9, 4, 5, 3))).shape, axes.back(np.zeros((7, 3, 4, 5))).shape
    ((9, 3, 4, 5), (7, 4, 5, 3))
    """

    letters: str
    counted: tuple[int, ...]
    channel: int | None
    space: tuple[int, ...]

    def arranged(self, array: np.ndarray) -> np.ndarray:
        """A view, where that is possible, of the array as (n, d) or (n, c, *space)."""
        n = len(self.counted)
        if n != 1:
            array = array[None] if n == 0 else array.reshape(-1, *array.shape[n:])
        array = array.transpose(self._order())
        return array[:, None] if self.channel is None else array

    def back(self, samples: np.ndarray) -> np.ndarray:
        """Samples (n, d) or (n, c, *space) with their axes as the array had them; one axis counts the samples."""
        if self.channel is None:
            samples = samples[:, 0]
        return np.ascontiguousarray(samples.transpose(np.argsort(self._order())))

    def _order(self) -> tuple[int, ...]:
        """The axes in the order n, c, space, once one axis counts the samples."""
        n = len(self.counted)
        sample = self.counted[0] if n == 1 else 0
        rest = (*(() if self.channel is None else (self.channel,)), *self.space)
        return (sample, *(axis + 1 - n for axis in rest))

    @property
    def of_samples(self) -> str:
        """The letters of what `back` gives, as `--axes` takes them."""
        n = len(self.counted)
        return spelled(self.letters if n == 1 else f"n{self.letters}" if n == 0 else self.letters[n - 1 :])


def read_letters(axes: str, name: str = "array") -> Axes:
    """The meaning of axis letters in an array's order; `DataError` where they have none.

    n counts the samples, c the channels or columns, t, x, y, z are time and space and keep their order; commas are left
    out as one likes. Without c there is one channel, without n there is one sample. The older spelling has b for
    samples, n (t, l) for time, d, h, w for space, which are brought into that order, and bd for tables.

    >>> read_letters("n,x,y").space, read_letters("bwhc").space, read_letters("nn,x,y").counted
    ((1, 2), (2, 1), (0, 1))
    """
    letters = re.sub(r"[\s,]", "", axes.lower())
    older = "b" in letters
    plain = letters.replace("n", "t").replace("l", "t").replace("b", "n") if older else letters
    if sorted(plain) == ["d", "n"]:
        plain = plain.replace("d", "c")
    space = [at for at, one in enumerate(plain) if one in "txyzdhw"]
    found = "".join(sorted(plain[at] for at in space))
    older = older or bool(set(found) & set("dhw"))
    counted = tuple(at for at, one in enumerate(plain) if one == "n")
    grid = found in _GRIDS if older else len(found) <= 3
    if not (grid and _has_meaning(plain)):
        said = f"{_OLDER}, for example bchw, bhw; or, newer, {_LETTERS}" if older else f"{_LETTERS}, for example "
        raise DataError(f"{name}: axes {axes!r} are not known; letters are {said}" + "n,c,x,y or n,x,y" * (not older))
    if older:
        space.sort(key=plain.__getitem__)
    return Axes(letters, counted, plain.index("c") if "c" in plain else None, tuple(space))


def _has_meaning(plain: str) -> bool:
    """Whether the letters are known, each but n once, n first where it is several, and some sample is meant."""
    known = set(plain) <= set("nctxyzdhw") and all(plain.count(one) <= 1 for one in "ctxyzdhw")
    n = plain.count("n")
    return known and (n <= 1 or plain.startswith("n" * n)) and plain not in ("", "c")


def axes_of(array: np.ndarray, axes: str, name: str) -> Axes:
    """The meaning of the letters, which must be as many as the array has axes."""
    letters = re.sub(r"[\s,]", "", axes)
    if len(letters) != array.ndim:
        raise DataError(f"{name}: axes {axes!r} name {len(letters)} axes and the array has {array.ndim} {array.shape}")
    return read_letters(axes, name)


def arrange(array: np.ndarray, axes: str, name: str) -> tuple[np.ndarray, bool]:
    """A view of `array` as (n, d) or (n, c, *space), and whether a channel axis of length 1 was put in."""
    found = axes_of(array, axes, name)
    return found.arranged(array), found.channel is None


def spelled(axes: str) -> str:
    """Letters as messages write them: with commas, but for the older spelling.

    >>> spelled("nxyc"), spelled("bhwc")
    ('n,x,y,c', 'bhwc')
    """
    letters = re.sub(r"[\s,]", "", axes.lower())
    return letters if set(letters) & set("bdhwl") else ",".join(letters)


def described(n: int, event: Sequence[int]) -> str:
    """So many samples (d,) or (c, *space) in words.

    >>> described(800, (1, 64, 64, 64)), described(5, (7,)), described(9, (2, 50))
    ('800 samples, 1 channel, 64x64x64', '5 samples, 7 numbers each', '9 samples, 2 channels, length 50')
    """
    channels, *space = event
    if not space:
        return f"{count(n, 'sample')}, {count(channels, 'number')} each"
    size = "x".join(map(str, space)) if len(space) > 1 else f"length {space[0]}"
    return f"{count(n, 'sample')}, {count(channels, 'channel')}, {size}"
