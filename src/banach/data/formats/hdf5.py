"""HDF5, by h5py: one data set of a file, with its attributes and the labels of its axes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from banach.data.formats import dims
from banach.data.formats.extras import lacking
from banach.data.formats.stored import Opened
from banach.data.layout import Layout
from banach.data.metadata import Metadata, plain_attributes
from banach.errors import DataError
from banach.foreign import visible
from banach.specs import nearest

_AXES = "banach_axes"
_MISSING = "fill them, or leave out those samples, and save the file again"
_OF_SCALES = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "DIMENSION_LABELS", "_Netcdf4Dimid", _AXES)


def library() -> Any:
    """h5py."""
    try:
        import h5py
    except ImportError:
        raise lacking("HDF5 files", "h5py", "hdf5") from None
    return h5py


@contextmanager
def opened(path: Path, key: str) -> Iterator[Opened]:
    """The data set `key` (nested names with /; not needed where the file holds one)."""
    h5py = library()
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} cannot be read as HDF5 ({str(error)[:160]}); write it again") from None
    with file:
        found = file[_chosen(h5py, file, key, path)]
        attrs, name = dict(found.attrs), found.name.lstrip("/")
        _refuse_packed(attrs, path, name)
        labels = tuple(one.label for one in found.dims)
        labels = labels if all(labels) and len(set(labels)) == len(labels) else ()
        axes, options = dims.letters(found.shape, [dims.role(one, {}) for one in labels]) if labels else ("", ())
        own = str(attrs.get(_AXES, ""))
        metadata = Metadata("hdf5", name, labels, plain_attributes(attrs, _OF_SCALES), plain_attributes(file.attrs))
        yield Opened(tuple(found.shape), np.dtype(found.dtype), lambda start, stop: found[start:stop], metadata,
                     own or axes, () if own else options, dims.described(metadata), _MISSING)  # fmt: skip


def _chosen(h5py: Any, file: Any, key: str, path: Path) -> str:
    """The data set that is meant."""
    kept: list[str] = []

    def note(name: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset) and one.shape and one.dtype.kind in "biufc":
            kept.append(name)

    file.visititems(note)
    if wanted := key.strip("/"):
        return _named(h5py, file, wanted, kept, path)
    samples = [one for one in kept if _AXES in file[one].attrs]  # as `banach sample` writes them
    if len(samples) == 1 or len(kept) == 1:
        return (samples or kept)[0]
    if not kept:
        raise DataError(f"{path} holds no data set of numbers; give a file with one")
    shown = ", ".join(f"{visible(one)} {file[one].shape}" for one in kept[:8])
    raise DataError(
        f"{path} holds {len(kept)} data sets of numbers ({shown}); name one, --data {path}:{visible(kept[0])}"
    )


def _named(h5py: Any, file: Any, wanted: str, kept: list[str], path: Path) -> str:
    """The data set of a name, if there is one."""
    if wanted in file and isinstance(file[wanted], h5py.Dataset):
        return wanted
    inside = [one for one in kept if one.startswith(f"{wanted}/")]
    if inside:
        raise DataError(f"{path}:{wanted} is a group; name a data set in it, --data {path}:{visible(inside[0])}")
    raise DataError(f"{path} holds no data set {wanted!r}; {nearest(wanted, kept)}")


def _refuse_packed(attrs: dict[str, Any], path: Path, name: str) -> None:
    """`DataError` where numbers stand for others, by the conventions of NetCDF."""
    if found := [one for one in ("scale_factor", "add_offset", "_FillValue", "missing_value") if one in attrs]:
        raise DataError(
            f"{path}:{name} has the attribute {found[0]} of NetCDF, by which its numbers are unpacked; read it as "
            f"that: name the file .nc, and give FILE.nc:{name.rpartition('/')[2]}"
        )


def write(path: Path, samples: np.ndarray, layout: Layout) -> None:
    """Samples in a new file, under the name of the data, with their attributes and labels."""
    h5py = library()
    metadata = layout.metadata
    with h5py.File(path, "w") as file:
        found = file.create_dataset((metadata.name if metadata is not None else "") or "samples", data=samples)
        if metadata is not None:
            found.attrs.update(metadata.attrs)
            file.attrs.update(metadata.of_file)
        found.attrs[_AXES] = ",".join(layout.letters)
        for at, name in enumerate(dims.names(layout)):
            found.dims[at].label = name
