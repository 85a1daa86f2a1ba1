"""Whether sets that are compared are in the same units, and are samples at all."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from banach.cli.source import Source
from banach.data import DataError
from banach.data.how import Ambiguous, Limits, number, spelled
from banach.foreign import quoted, typed

_OVER = 1.1  # pictures in [-1, 1] may reach so far after resizing


def checked(sets: Sequence[tuple[str, Source]]) -> list[Source]:
    """The sets, with a line where numbers are taken to be in the units of pictures; `DataError` for mixed units.

    Sets of other shapes than the first are left to who compares them.
    """
    shape = sets[0][1].values.shape[1:]
    alike = [(name, one) for name, one in sets if one.values.shape[1:] == shape]
    pictures = next((pair for pair in alike if pair[1].pictures), None)
    told = {}
    for name, one in alike:
        if pictures is not None and not one.pictures:
            low, high = _extent(one)
            if not (-_OVER <= low < 0 and high <= _OVER):
                raise DataError(_mixed(sets, (name, one), pictures))
            told[name] = (
                f"{number(low)} to {number(high)}, taken for the [-1, 1] of pictures, which {pictures[0]} holds"
            )
    if pictures is None:
        _check_numbers(sets, alike)
    return [replace(one, notes=(*one.notes, told[name])) if name in told else one for name, one in sets]


def _check_numbers(sets: Sequence[tuple[str, Source]], alike: Sequence[tuple[str, Source]]) -> None:
    """`DataError` where two sets of numbers look like the same pictures in other units."""
    kinds = {name: (one, found) for name, one in alike if (found := _kind(one)) is not None}
    for name, (one, found) in kinds.items():
        for other, (against, theirs) in kinds.items():
            whole = found == (0, 255) and (one.dtype == "uint8" or _is_frame(one))
            if theirs != found and (whole or (_is_frame(one) and theirs != (0, 255))):
                raise DataError(_mixed(sets, (other, against), (name, one)))


def _mixed(sets: Sequence[tuple[str, Source]], odd: tuple[str, Source], against: tuple[str, Source]) -> str:
    (name, one), (other, other_one) = odd, against
    low, high = _extent(one)
    theirs = (
        "pictures, 0 to 255" if other_one.pictures else f"numbers from {' to '.join(map(number, _extent(other_one)))}"
    )
    said = f"{name} holds numbers from {number(low)} to {number(high)} and {other} {theirs}: these are different units"
    if not _is_frame(one):
        return f"{said}; bring both into one, by numpy: divide what goes from 0 to 255 by 255, and save it as float32"
    flags = " ".join(f"--range {spelled(*_limits(each))}" for _, each in sets)
    return f"{said}; if all are pictures, give the values of black and white of each: {flags}"


def _limits(one: Source) -> Limits:
    """The values that are likely to be black and white."""
    low, high = _extent(one)
    if one.pictures:
        low, high = (round(127.5 * (bound + 1)) for bound in (low, high))
        return (low, high) if low < high < 128 else (0, 255)
    return _kind(one) or (low, high if high > low else low + 1)


def _kind(one: Source) -> Limits | None:
    """The range that the values fill, if it is one in which pictures are kept."""
    low, high = _extent(one)
    if low >= 0 and 64 <= high <= 255 and (high >= 128 or _is_whole(one)):
        return 0, 255
    if 0 <= low < 0.5 < high <= 1:
        return 0, 1
    return (-1, 1) if -1 <= low < -0.5 and 0.5 < high <= 1 else None


def _is_whole(one: Source) -> bool:
    return bool((one.values == one.values.round()).all())


def _is_frame(one: Source) -> bool:
    return one.values.ndim == 4 and one.values.shape[1] in (1, 3)


def _extent(one: Source) -> tuple[float, float]:
    return float(one.values.min()), float(one.values.max())


def check_are_samples(a: Source, b: Source, files: tuple[str, str]) -> None:
    """`Ambiguous` for two arrays that are likely to be histograms: as many numbers, none negative, of one sum."""
    n = len(a.values)
    if (
        torch.equal(a.values, b.values)
        or n < 2
        or any(one.pictures or not one.asked or one.values.shape != (n, 1) for one in (a, b))
    ):
        return
    sums = [float(one.values.sum(dtype=torch.float64)) for one in (a, b)]
    counts = sums[0] == sums[1] and all(map(_is_whole, (a, b)))
    ones = all(abs(total - 1) <= 1e-3 for total in sums)
    if min(float(one.values.min()) for one in (a, b)) < 0 or not (counts or ones):
        return
    p, q = map(typed, files)
    bins = f'import numpy; numpy.save("bins.npy", numpy.arange({n}.0))'
    raise Ambiguous(
        f"A and B hold {n:,} numbers each, none negative, of the same sum {sums[0]:g}: samples, or histograms?\n"
        f"samples: add --axes b; histograms, with these as weights of bins: python -c {quoted(bins)} && "
        f"banach distance bins.npy bins.npy --weights-a {p} --weights-b {q}"
    )
