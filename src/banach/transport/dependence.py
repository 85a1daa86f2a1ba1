"""Dependent rows of two samples: pairs, groups that the user names, and equal rows.

A bound from held-out rows holds if these are independent of the rows that trained, and of each other. Rows that came
together (the frames of a clip, a picture and its flips, the two sides of a pair, a file that is there twice) are one
*unit*: units are independent, the rows of one unit need not be. Every unit goes to one part, and counts once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from banach.transport.confidence import Grouping
from banach.transport.estimate import TransportError
from banach.transport.samples import Samples, reduced

Ties = Literal["independent", "copies"]
Labels = Tensor | np.ndarray | Sequence[int] | Sequence[str]

TIES = {
    "independent": "equal samples are separate draws that coincide: counts, rounded or discrete numbers",
    "copies": "equal samples are copies of one draw: they stay in one part and count once",
}
FEW = 0.01
"""Up to this share of equal samples needs no --ties: they count in the worst way, which is always valid."""


@dataclass(frozen=True, eq=False)
class Units:
    """The unit of each row of A and of B, numbered from 0 through both, and which units hold a row that equals another.

    A unit may have rows in A only, in B only, or in both.
    """

    a: np.ndarray
    b: np.ndarray
    tied: np.ndarray

    @property
    def shared(self) -> int:
        """How many units have rows in both samples."""
        return len(np.intersect1d(self.a, self.b))

    @property
    def said(self) -> str:
        """A sentence on units that have rows in both samples; "" if there are none."""
        return f"; {self.shared:,} draws are in A and in B, each in one part of both" if self.shared else ""

    def weights(self, side: np.ndarray) -> np.ndarray | None:
        """Of the rows of one side: each unit counts once, its rows share that; None where each row is a unit."""
        _, at, counts = np.unique(side, return_inverse=True, return_counts=True)
        return None if counts.max() == counts.min() else 1 / counts[at]

    def counts(self, side: np.ndarray) -> tuple[int, int]:
        """How many units one side has, and how many of them hold rows that equal others."""
        mine = np.unique(side)
        return len(mine), int(self.tied[mine].sum())

    def grouping(self) -> Grouping:
        """Of the rows of A, all of them."""
        found, number = np.unique(self.a, return_inverse=True)
        doubt = self.tied[found]
        return Grouping(torch.from_numpy(number), torch.from_numpy(doubt) if doubt.any() else None)


def units(
    given: Samples,
    paired: bool = False,
    groups_a: Labels | None = None,
    groups_b: Labels | None = None,
    ties: Ties | None = None,
) -> Units:
    """The units of two samples: rows i of both where they are `paired`, rows with one label, and equal rows.

    A label means the same in A and in B. `ties` says why rows equal each other, see `TIES`. Where it is left open and
    more than 1% do, it is asked for (TransportError), unless equal rows are in A and in B but hardly in either: then
    they are copies. (Draws that coincide across do so within: by Cauchy and Schwarz the number of equal pairs across is
    expected to be at most twice the geometric mean of those within.)
    """
    n, m = len(given.x), len(given.y)
    if ties is not None and ties not in TIES:
        raise TransportError(f"ties {ties!r} is none of {', '.join(TIES)}")
    if paired and n != m:
        raise TransportError(f"{n} and {m} samples cannot be paired row by row; give as many of each")
    classes = [np.arange(n + m)]
    if paired:
        classes.append(np.tile(np.arange(n), 2))
    if groups_a is not None or groups_b is not None:
        classes.append(_numbered(_labels(groups_a, n, "A"), _labels(groups_b, m, "B"), n, m))
    values = _values(given)
    if ties == "copies":
        classes.append(values)
    of = _joined(classes)
    tied = np.zeros(of.max() + 1, dtype=bool)
    if ties is None:
        equal = _equal(values, of)
        tied[of[equal]] = True
        if _many(tied, of[:n], of[n:]):
            within = np.concatenate([_equal(values[:n], of[:n]), _equal(values[n:], of[n:])])
            if not _many(np.bincount(of, within, len(tied)) > 0, of[:n], of[n:]):
                return units(given, paired, groups_a, groups_b, "copies")
            _ask(int(equal[:n].sum()), n, int(equal[n:].sum()), m)
    return Units(of[:n], of[n:], tied)


def repeated(given: Samples, paired: bool) -> int:
    """How many rows equal one of another draw; pairs are one draw."""
    n, m = len(given.x), len(given.y)
    return int(_equal(_values(given), np.tile(np.arange(n), 2) if paired else np.arange(n + m)).sum())


def _values(given: Samples) -> np.ndarray:
    """A number for each row of A and of B, the same for rows that are equal."""
    points = reduced(given, cancel=False)
    return np.concatenate([points.groups_x, points.groups_y])


def _equal(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Which rows have a value that a row of another unit has too."""
    least, most = np.full(values.max() + 1, of.max() + 1), np.full(values.max() + 1, -1)
    np.minimum.at(least, values, of)
    np.maximum.at(most, values, of)
    return (least < most)[values]


def _many(tied: np.ndarray, *sides: np.ndarray) -> bool:
    return any(tied[np.unique(one)].mean() > FEW for one in sides)


def _ask(of_a: int, n: int, of_b: int, m: int) -> None:
    raise TransportError(
        f"{of_a:,} of {n:,} samples of A and {of_b:,} of {m:,} of B equal others, in A or in B. If they are separate "
        "draws that coincide (counts, rounded numbers), say --ties independent;\nif they are copies, --ties copies; if "
        "they belong together otherwise, --groups FILE, or --paired for row i of A with row i of B"
    )


def _labels(labels: Labels | None, n: int, name: str) -> np.ndarray | None:
    """One label a row, as text."""
    if labels is None:
        return None
    found = _array_of(labels, name)
    if found.shape != (n,):
        raise TransportError(f"{name} has {n:,} samples and groups of shape {found.shape}; give one label a sample")
    masked = isinstance(labels, np.ma.MaskedArray) and np.ma.is_masked(labels)
    if masked or not _holds_labels(found):
        raise TransportError(f"the groups of {name} are {found.dtype}; give whole numbers or words, one a sample")
    try:
        named = found.astype(str)
    except UnicodeDecodeError:
        raise TransportError(f"the groups of {name} are bytes beyond ASCII; give text or whole numbers") from None
    missing = isinstance(labels, list | tuple) and any(one is None or one != one for one in labels)
    if missing or (named == "").any():
        raise TransportError(f"the groups of {name} have labels that are missing; give each sample one")
    return named


def _array_of(labels: Labels, name: str) -> np.ndarray:
    try:
        return labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        said = str(error).splitlines()[0][:100]
        raise TransportError(f"the groups of {name} are no labels ({said}); give whole numbers or words") from None


def _holds_labels(found: np.ndarray) -> bool:
    """Whether an array's entries are whole numbers or words."""
    if found.dtype.kind == "O":
        return all(isinstance(one, str | int) for one in found)
    return found.dtype.kind in "biuUST"


def _numbered(a: np.ndarray | None, b: np.ndarray | None, n: int, m: int) -> np.ndarray:
    """Labels of both sides as numbers; a side without labels has a group for each row."""
    known = [one for one in (a, b) if one is not None]
    found, numbers = np.unique(np.concatenate(known), return_inverse=True)
    if a is None:
        return np.concatenate([np.arange(n) + len(found), numbers])
    return numbers if b is not None else np.concatenate([numbers, np.arange(m) + len(found)])


def _joined(classes: list[np.ndarray]) -> np.ndarray:
    """The finest partition in which rows that share any of the classes are together, numbered from 0."""
    of = classes[0]
    for one in classes[1:]:
        of = _coarser(of, one)
    return np.unique(of, return_inverse=True)[1]


def _coarser(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The finest partition that is coarser than both: connected components of the graph that joins their classes."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = int(a.max()) + 1
    edges = coo_matrix((np.ones(len(a)), (a, b + size)), shape=(size + int(b.max()) + 1,) * 2)
    return connected_components(edges, directed=False)[1][a]
