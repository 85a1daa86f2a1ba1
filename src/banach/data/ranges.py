"""Which part of their type's range pictures use, and which `--range` would spread it."""

from collections.abc import Iterator

from banach.data.decode import Picture
from banach.data.how import How, Limits, number, spelled
from banach.data.wording import count

_NARROW = 0.5  # of the range: less than this is told


class Seen:
    """What decoded pictures had stored, gathered as they come."""

    def __init__(self) -> None:
        self._bounds: dict[bool, tuple[float, float]] = {}
        self._beyond = self._hidden = self._n = 0

    def add(self, picture: Picture, limits: Limits | str | None) -> None:
        low, high = self._bounds.get(picture.deep, (picture.low, picture.high))
        self._bounds[picture.deep] = min(low, picture.low), max(high, picture.high)
        self._n, self._hidden = self._n + 1, self._hidden + picture.hidden
        if limits is not None and not isinstance(limits, str):
            self._beyond += picture.low < limits[0] or picture.high > limits[1]

    @property
    def extent(self) -> Limits | None:
        """The lowest and the highest value of all."""
        if not self._bounds:
            return None
        return min(low for low, _ in self._bounds.values()), max(high for _, high in self._bounds.values())

    def notes(self, how: How) -> Iterator[str]:
        """What the range did."""
        if how.range is not None and not isinstance(how.range, str):
            beyond = f"; {count(self._beyond, 'picture')} with values beyond, cut there" if self._beyond else ""
            yield f"values {' to '.join(map(number, how.range))} become 0 to 255 (--range){beyond}"

    def doubts(self, how: How) -> Iterator[str]:
        """What may be wrong with it, and the cure."""
        if how.range is None:
            for deep, (low, high) in sorted(self._bounds.items()):
                yield from told(low, high, 65535 if deep else 255)
        if self._hidden:
            other = "black" if how.background == "white" else "white"
            which = "all" if self._hidden == self._n else f"{self._hidden:,}"
            yield (
                f"{which} of {count(self._n, 'picture')} vary in transparency alone: laid on {how.background} each is "
                f"of one colour; another colour shows them, --background {other}"
            )


def told(low: float, high: float, top: float) -> Iterator[str]:
    """A line where values use less than half of 0 to `top`.

    >>> next(told(0, 1, 255))
    'values 0 to 1 of 0 to 255; --range 0,1 makes these black and white (--range auto: the lowest and highest)'
    """
    if high - low < _NARROW * top and low < high:
        yield (
            f"values {number(low)} to {number(high)} of 0 to {number(top)}; --range {spelled(low, high)} makes these "
            "black and white (--range auto: the lowest and highest)"
        )
