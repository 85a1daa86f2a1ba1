"""NetCDF and Zarr, by xarray: names, units, coordinates and attributes come along; packed numbers are unpacked."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from banach.data.formats import dims
from banach.data.formats.extras import lacking
from banach.data.formats.stored import Opened
from banach.data.layout import Layout
from banach.data.metadata import Coordinate, Metadata, plain_attributes
from banach.errors import DataError
from banach.foreign import visible
from banach.specs import nearest

_AXES = "banach_axes"
"""The attribute of samples that says the letters of their axes."""
_MOST = 20_000  # entries of coordinates that are kept
_OF_CODING = ("_FillValue", "missing_value", "scale_factor", "add_offset", "coordinates", "grid_mapping",
              "ancillary_variables", "cell_measures", _AXES)  # fmt: skip
_GONE = "fill them, such as xarray's fillna(0) for land and sea, or choose a part without any, and save it"


def library(kind: str) -> Any:
    """xarray with what reads files of this kind."""
    try:
        import xarray

        if kind == "zarr":
            import zarr  # noqa: F401
        else:
            import netCDF4  # noqa: F401
    except ImportError as error:
        what = "NetCDF files" if kind == "netcdf" else "Zarr stores"
        raise lacking(what, error.name or "xarray", kind) from None
    return xarray


@contextmanager
def opened(path: Path, key: str, kind: str) -> Iterator[Opened]:
    """The variable `key` of a file (not needed where it holds one), of kind netcdf or zarr.

    Times are left as numbers in their units. `DataError` for a file that is none, and a variable that is not there.
    """
    xarray = library(kind)
    if kind == "zarr":
        _refuse_code(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            engine = {"engine": "netcdf4" if kind == "netcdf" else "zarr"}
            found = xarray.open_dataset(path, decode_times=False, decode_timedelta=False, cache=False, **engine)
        except Exception as error:  # each library fails in its own way
            said = str(error).split("\n")[0][:160] or type(error).__name__
            remedy = "write it again" if kind == "netcdf" else "write it with xarray's to_zarr, which names its axes"
            raise DataError(f"{path} cannot be read as {kind} ({said}); {remedy}") from None
        with found:
            yield _described(found, _chosen(found, key, path), kind)


def _refuse_code(path: Path) -> None:
    """`DataError` for a store whose entries are Python objects, which may be any code."""
    for name in (".zarray", ".zmetadata", "zarr.json"):
        for one in path.rglob(name):
            if b'"pickle"' in one.read_bytes():
                raise DataError(f"{path} holds Python objects ({one.relative_to(path)}); save numbers and texts alone")


def _chosen(found: Any, key: str, path: Path) -> str:
    """The variable that is meant."""
    beside = {str(one.attrs.get("bounds", "")) for one in found.variables.values()}
    kept = [str(name) for name, one in found.data_vars.items()
            if one.ndim and one.dtype.kind in "biuf" and name not in beside]  # fmt: skip
    if key:
        if key not in found.variables:
            raise DataError(f"{path} holds no variable {key!r}; {nearest(key, kept or map(str, found.variables))}")
        return key
    if not kept:
        raise DataError(f"{path} holds no variable of numbers")
    if len(kept) > 1:
        shown = ", ".join(f"{visible(one)} {tuple(map(str, found[one].dims))}" for one in kept[:6])
        raise DataError(f"{path} holds {len(kept)} variables ({shown}); name one, --data {path}:{visible(kept[0])}")
    return kept[0]


def _described(found: Any, name: str, kind: str) -> Opened:
    variable = found[name]
    names = tuple(map(str, variable.dims))
    attrs = [found[one].attrs if one in found.coords else {} for one in names]
    axes, options = dims.letters(variable.shape, [dims.role(*one) for one in zip(names, attrs, strict=True)])
    coordinates, left_out = _coordinates(variable, names)
    own = str(variable.attrs.get(_AXES, ""))
    metadata = Metadata(
        kind, name, names, plain_attributes(variable.attrs, _OF_CODING), plain_attributes(found.attrs), coordinates
    )
    fill = variable.encoding.get("_FillValue", variable.encoding.get("missing_value"))
    missing = _GONE if fill is None else f"they are stored as {fill}; {_GONE}"
    counted = [one for at, one in enumerate(names) if (own or axes).split(",")[at : at + 1] == ["n"]]
    notes = dims.described(metadata, counted)
    if left_out:
        notes = (*notes, f"left out: coordinates {', '.join(left_out)}")
    if variable.encoding.get("scale_factor") is not None:
        notes = (*notes, f"unpacked from {variable.encoding.get('dtype')}; samples are written as {variable.dtype}")
    return Opened(tuple(variable.shape), np.dtype(variable.dtype), _block(variable), metadata, own or axes,
                  () if own else options, notes, missing)  # fmt: skip


def _block(variable: Any) -> Callable[[int, int], np.ndarray]:
    if not variable.ndim:
        return lambda _start, _stop: variable.values
    return lambda start, stop: variable.isel({variable.dims[0]: slice(start, stop)}).values


def _coordinates(variable: Any, names: tuple[str, ...]) -> tuple[tuple[Coordinate, ...], list[str]]:
    """The coordinates of numbers and texts that are small enough to keep, and the names of the others."""
    kept: list[Coordinate] = []
    left_out: list[str] = []
    entries = 0
    for key, one in variable.coords.items():
        over = tuple(map(str, one.dims))
        values = one.values.astype(str) if one.dtype.kind in "OS" and one.size <= _MOST else one.values
        entries += one.size
        if entries > _MOST or values.dtype.kind not in "biufU" or not set(over) <= set(names):
            left_out.append(str(key))
            entries -= one.size
            continue
        attrs = plain_attributes(one.attrs, ("bounds", "_FillValue", "missing_value"))
        flat = tuple(values.ravel().tolist())
        kept.append(Coordinate(str(key), over, tuple(values.shape), values.dtype.str, flat, attrs))
    kept.sort(key=lambda one: (names.index(one.dims[0]) if one.dims else -1, one.name))
    return tuple(kept), left_out


def write(path: Path, samples: np.ndarray, layout: Layout, kind: str) -> None:
    """Samples in a new file of kind netcdf or zarr, with the names, coordinates and attributes of the data."""
    xarray = library(kind)
    metadata = layout.metadata
    names = dims.names(layout)
    coordinates = {one.name: (one.dims, one.array, dict(one.attrs)) for one in dims.coordinates(layout)}
    attrs: dict[str, Any] = {} if metadata is None else dict(metadata.attrs)
    name = "samples" if metadata is None or not metadata.name or metadata.name in names else metadata.name
    values = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    data = xarray.DataArray(values, dims=names, coords=coordinates, name=name,
                            attrs={**attrs, _AXES: ",".join(layout.letters)})  # fmt: skip
    of_file = {} if metadata is None else dict(metadata.of_file)
    found = data.to_dataset().assign_attrs(of_file)
    coding = {str(key): {"_FillValue": None} for key in found.variables if found[key].dtype.kind == "f"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "zarr":
            found.to_zarr(path, mode="w", encoding=coding)
        else:
            found.to_netcdf(path, engine="netcdf4", encoding=coding)
