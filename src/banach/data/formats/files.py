"""Which file is of which format; all of them are opened, and written, here."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from banach.data.formats import cells, grids, hdf5, tables, tiff
from banach.data.formats.stored import Opened, Stored, taken
from banach.data.layout import Layout
from banach.errors import DataError
from banach.files import staged, staged_folder

SUFFIXES = {
    ".nc": "netcdf", ".nc4": "netcdf", ".cdf": "netcdf", ".zarr": "zarr",
    ".h5": "hdf5", ".hdf5": "hdf5", ".he5": "hdf5", ".tif": "tiff", ".tiff": "tiff",
    ".csv": "table", ".tsv": "table", ".parquet": "table", ".pq": "table", ".h5ad": "h5ad",
}  # fmt: skip
"""The formats by the ends of files' names."""

_OF_STORES = ("zarr.json", ".zgroup", ".zmetadata")


def format_of(path: Path) -> str:
    """The format of a file by its name, of a Zarr store by what is in it; "" for others."""
    if found := SUFFIXES.get(path.suffix.lower(), ""):
        return found
    return "zarr" if any((path / one).is_file() for one in _OF_STORES) else ""


def place(text: str) -> tuple[Path, str] | None:
    """The file of one of the formats that a text names, alone or as FILE:KEY, and that key; None for others."""
    archive, colon, key = text.rpartition(":")
    for file, name in ((text, ""), *(((archive, key),) if colon else ())):
        try:
            path = Path(file).expanduser()
            kind = format_of(path)
            if kind and (path.is_file() or (kind == "zarr" and path.is_dir())):
                return path, name
        except (OSError, ValueError, RuntimeError):  # no name that a file can have
            continue
    return None


def parts_of(path: Path) -> Iterable[Path]:
    """The files that a file or store consists of."""
    return sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def opened(path: Path, key: str = "", known: tables.Known = ()) -> AbstractContextManager[Opened]:
    """The array in a file of one of the formats; `known` are categories of columns of a table."""
    kind = format_of(path)
    if kind in ("netcdf", "zarr"):
        return grids.opened(path, key, kind)
    if kind == "table":
        return tables.opened(path, key, known)
    reader = {"hdf5": hdf5.opened, "tiff": tiff.opened, "h5ad": cells.opened}[kind]
    return reader(path, key)


def read(path: Path, key: str = "", known: tables.Known = (), cache: str = "auto") -> Stored:
    """The same, whole, in memory or mapped."""
    with opened(path, key, known) as found:
        named = key or found.metadata.name
        return taken(found, f"{path.name}:{named}" if named else path.name, cache)


def check_writable(path: Path, axes: int) -> None:
    """`DataError` where samples of so many axes, the one that counts them among these, cannot be written to a file of
    this name, or the library that writes it is missing."""
    suffix = path.suffix.lower()
    kind = SUFFIXES[suffix]
    if kind in ("table", "h5ad") and axes > 2:
        raise DataError(f"{path} is a table, and samples have {axes - 1} axes each; write .npy, .nc or .h5")
    if kind in ("netcdf", "zarr"):
        grids.library(kind)
    elif kind == "table":
        tables.library(suffix not in tables.TEXTS)
    else:
        {"hdf5": hdf5.library, "tiff": tiff.library, "h5ad": cells.library}[kind]()


def write(path: Path, samples: np.ndarray, layout: Layout) -> None:
    """Samples as `Layout.back` gives them, in a new file of the format of its name, written whole or not at all."""
    kind = SUFFIXES[path.suffix.lower()]
    check_writable(path, samples.ndim)
    with staged_folder(path) if kind == "zarr" else staged(path) as temporary:
        try:
            if kind in ("netcdf", "zarr"):
                grids.write(temporary, samples, layout, kind)
            elif kind == "table":
                tables.write(temporary, samples, layout, path.suffix.lower())
            else:
                writer = {"hdf5": hdf5.write, "tiff": tiff.write, "h5ad": cells.write}[kind]
                writer(temporary, samples, layout)
        except DataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # names and attributes are a stranger's
            said = str(error).split("\n")[0][:160] or type(error).__name__
            raise DataError(f"{path} cannot be written as {kind} ({said}); write .npy or .npz") from None
