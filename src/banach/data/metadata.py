"""What a file says beyond its numbers: names, units, coordinates, attributes, columns. Samples are written with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from banach.errors import DataError

FORMATS = ("netcdf", "zarr", "hdf5", "tiff", "table", "h5ad")

_EVEN = 1e-2  # of a step: coordinates in single precision are off by so much at most
_LONGEST = 1000  # entries of an attribute that is kept
_KINDS = ("float", "integer", "bool", "category")


@dataclass(frozen=True)
class Coordinate:
    """Coordinates along one or more of the axes, which have names: `values` are flat, of this shape and type."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    values: tuple[float | int | str, ...]
    attrs: Mapping[str, Any]

    @property
    def array(self) -> np.ndarray:
        """The coordinates as the file has them."""
        return np.array(self.values, np.dtype(self.dtype)).reshape(self.shape)

    @property
    def units(self) -> str:
        """The units, or ""."""
        return str(self.attrs.get("units", ""))

    @property
    def step(self) -> float | None:
        """The distance of neighbours where that is one and the same, else None.

        >>> Coordinate("x", ("x",), (3,), "<f8", (0.0, 2.5, 5.0), {}).step
        2.5
        """
        if len(self.shape) != 1 or self.shape[0] < 2 or np.dtype(self.dtype).kind not in "iuf":
            return None
        found = np.array(self.values, np.float64)
        step = (found[-1] - found[0]) / (len(found) - 1)
        off = np.abs(found - (found[0] + step * np.arange(len(found)))).max()
        return float(step) if step and off <= _EVEN * abs(step) else None

    def said(self) -> str:
        """In words: latitude 37 x 2.5 degrees_north (length 92.5)."""
        units = f" {self.units}" if self.units else ""
        size = "x".join(map(str, self.shape))
        if self.step is None:
            return f"{self.name} {size}{' in' * bool(units)}{units}" + ", unevenly spaced" * (self.shape != (1,))
        return f"{self.name} {size} x {self.step:.6g}{units} (length {abs(self.step) * self.shape[0]:.6g})"

    @classmethod
    def from_facts(cls, found: Mapping[str, Any]) -> Self:
        """From the JSON value of one; KeyError, TypeError or ValueError where it is none."""
        dims, shape = tuple(map(str, found["dims"])), tuple(map(int, found["shape"]))
        if len(dims) != len(shape) or np.dtype(found["dtype"]).kind not in "biufU":
            raise DataError(f"coordinates {found['name']!r} of {dims} and {shape}")
        made = cls(str(found["name"]), dims, shape, str(found["dtype"]), tuple(found["values"]), dict(found["attrs"]))
        made.array  # noqa: B018 - as many values as the shape says
        return made


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, its type in pandas' words, and what is in it: float, integer, bool or category.

    Bool and category are one-hot blocks of as many numbers as there are `categories`.
    """

    name: str
    dtype: str
    kind: str
    categories: tuple[str | int | float | bool, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return len(self.categories) or 1

    @classmethod
    def from_facts(cls, found: Mapping[str, Any]) -> Self:
        """From the JSON value of one; KeyError, TypeError or ValueError where it is none."""
        kind, categories = str(found["kind"]), tuple(found["categories"])
        if kind not in _KINDS or bool(categories) != (kind in ("bool", "category")):
            raise DataError(f"column {found['name']!r} of kind {kind!r}")
        return cls(str(found["name"]), str(found["dtype"]), kind, categories)


@dataclass(frozen=True)
class Metadata:
    """What a file of one of FORMATS says of an array: its name there, the names of its axes (in the array's order, or
    ()), attributes such as units, those of the file, coordinates, columns of a table (in the table's order; in the
    array numbers come first, then one-hot blocks), and `more` that the format needs."""

    format: str
    name: str = ""
    dims: tuple[str, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    of_file: Mapping[str, Any] = field(default_factory=dict)
    coordinates: tuple[Coordinate, ...] = ()
    columns: tuple[Column, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> str:
        """The units of the numbers, or ""."""
        return str(self.attrs.get("units", ""))

    def coordinate(self, dim: str) -> Coordinate | None:
        """The coordinates along an axis of this name alone."""
        return next((one for one in self.coordinates if one.dims == (dim,)), None)

    @property
    def arranged(self) -> tuple[Column, ...]:
        """The columns in the order in which the array has them: numbers, then one-hot blocks."""
        return tuple(sorted(self.columns, key=lambda one: bool(one.categories)))

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """First entry and width of each one-hot block of a row."""
        found, at = [], 0
        for one in self.arranged:
            if one.categories:
                found.append((at, one.width))
            at += one.width
        return tuple(found)

    @classmethod
    def from_facts(cls, found: Mapping[str, Any] | None) -> Self | None:
        """From the JSON value of one, None from none; KeyError, TypeError or ValueError where it is no metadata."""
        if found is None:
            return None
        if found["format"] not in FORMATS:
            raise DataError(f"metadata of format {found['format']!r}")
        return cls(
            str(found["format"]), str(found["name"]), tuple(map(str, found["dims"])), dict(found["attrs"]),
            dict(found["of_file"]), tuple(map(Coordinate.from_facts, found["coordinates"])),
            tuple(map(Column.from_facts, found["columns"])), dict(found["more"]),
        )  # fmt: skip


def plain(value: Any) -> Any:
    """An attribute as a JSON value, None where it is none that is kept.

    >>> plain(np.float32(0.5)), plain(np.array([1, 2])), plain(b"K"), plain(np.zeros((2, 2)))
    (0.5, [1, 2], 'K', None)
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray | np.generic):
        if value.ndim > 1 or value.size > _LONGEST or value.dtype.kind not in "biufUSO":
            return None
        value = value.tolist()
    if isinstance(value, list | tuple):
        found = [plain(one) for one in value[: _LONGEST + 1]]
        return None if None in found or len(found) > _LONGEST else found
    return value if isinstance(value, str | bool | int | float) else None


def plain_attributes(found: Mapping[Any, Any], but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The attributes that are kept, as JSON values, without those named in `but`."""
    kept = {str(key): plain(value) for key, value in found.items() if str(key) not in but}
    return {key: value for key, value in kept.items() if value is not None}
