"""TIFF stacks and volumes, by tifffile: pages are samples or slices; axes that ImageJ or OME note are followed."""

import math
from collections.abc import Iterator
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

_AXES = "banach_axes"
_ORDER = "tzcyx"
_KNOWN = {"X": "x", "Y": "y", "Z": "z", "C": "c", "S": "c", "T": "n"}
_NAMES = {"X": "x", "Y": "y", "Z": "z", "C": "channel", "S": "channel", "T": "time"}
_CODES = {"n": "T", "c": "C", "t": "Q"}
_NEWER = str.maketrans("bndhwl", "ntzyxt")
_INCHES = {2: "inch", 3: "centimeter", 4: "millimeter", 5: "micrometer"}


def library() -> Any:
    """tifffile."""
    try:
        import tifffile
    except ImportError:
        raise lacking("TIFF stacks and volumes", "tifffile", "tiff") from None
    return tifffile


@contextmanager
def opened(path: Path, key: str) -> Iterator[Opened]:
    """The series of pages that a file holds, or that of number `key`, from 0."""
    tifffile = library()
    try:
        file = tifffile.TiffFile(path)
        many = len(file.series)
    except Exception as error:  # damaged files fail in any way
        raise DataError(f"{path} cannot be read as TIFF ({str(error)[:160]}); write it again") from None
    with file:
        if key and not (key.isdecimal() and int(key) < many):
            raise DataError(f"{path} holds {many} series of pages; name one by its number, {path}:0 to {many - 1}")
        if not key and many > 1:
            shown = ", ".join(f"{at} {one.axes} {one.shape}" for at, one in enumerate(file.series[:6]))
            raise DataError(f"{path} holds {many} series of pages ({shown}); name one, --data {path}:0")
        yield _described(file, int(key or 0))


def _described(file: Any, at: int) -> Opened:
    series = file.series[at]
    shape, codes = tuple(series.shape), str(series.axes)
    noted = file.shaped_metadata if file.is_shaped else None
    own = str(noted[at].get(_AXES, "")) if noted and at < len(noted) and isinstance(noted[at], dict) else ""
    axes, options = ("", ()) if own else _letters(codes, shape)
    flavour = "ome" if file.is_ome else "imagej" if file.is_imagej else ""
    names = tuple(_NAMES.get(one, "page") for one in codes)
    if len(set(names)) < len(names):
        names = ()
    space, units = _spacing(file, series, flavour)
    coordinates = tuple(
        Coordinate(name, (name,), (size,), "<f8", tuple((np.arange(size) * space[name]).tolist()), {"units": units})
        for name, size in zip(names, shape, strict=False)  # there may be no names
        if name in space
    )
    metadata = Metadata("tiff", "", names, {}, {}, coordinates, (), plain_attributes({"flavour": flavour}))
    return Opened(shape, np.dtype(series.dtype), _block(file, at), metadata, own or axes, options,
                  (f"TIFF, axes {codes}{f' by {flavour}' if flavour else ''}", *dims.described(metadata)))  # fmt: skip


def _letters(codes: str, shape: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
    """The letters of axes by tifffile's codes; or the readings: pages whose meaning no one noted, slices of one volume.

    >>> _letters("TZYX", (9, 4, 8, 8)), _letters("IYX", (9, 8, 8))
    (('n,z,y,x', ()), ('', ('n,y,x', 'z,y,x')))
    """
    known = "".join(_KNOWN.get(one, "?") for one in codes)
    first, rest = known[:1], known[1:]
    if len(set(known)) < len(known) or "?" in rest:
        return "", ()
    if first == "?" and "n" in rest:
        options = (f"nt{rest[1:]}", f"nn{rest[1:]}") if rest[0] == "n" else ()
    elif first == "?":
        options = (f"n{rest}", f"z{rest}") if "z" not in rest and shape[0] > 1 else (f"n{rest}",)
    elif "n" not in known and first in "zc" and shape[0] > 1:
        options = (known, f"n{rest}")
    else:
        options = (known,)
    spelled = tuple(",".join(one) for one in options)
    return (spelled[0], ()) if len(spelled) == 1 else ("", spelled)


def _spacing(file: Any, series: Any, flavour: str) -> tuple[dict[str, float], str]:
    """The distance of voxels along x, y, z, as far as it is noted, and its unit."""
    tifffile = library()
    if flavour == "ome":
        try:
            pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
            pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
            found = {one: float(pixels[f"PhysicalSize{one.upper()}"]) for one in "xyz"
                     if f"PhysicalSize{one.upper()}" in pixels}  # fmt: skip
            return found, str(pixels.get("PhysicalSizeXUnit", "µm"))
        except (KeyError, TypeError, ValueError):
            return {}, ""
    tags, found = series.keyframe.tags, {}
    for letter, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = tags.valueof(tag)
        if value and value[0] and value[1]:
            found[letter] = value[1] / value[0]
    unit = _INCHES.get(int(tags.valueof("ResolutionUnit") or 1), "")
    if flavour == "imagej":
        noted = file.imagej_metadata or {}
        unit = str(noted.get("unit", unit))
        if "spacing" in noted:
            found["z"] = float(noted["spacing"])
    return (found, unit) if unit and unit != "pixel" else ({}, "")


def _block(file: Any, at: int) -> Any:
    """Entries of the first axis, by the pages that they lie on where these are apart."""
    series = file.series[at]
    pages, each = len(series.pages), math.prod(series.keyframe.shape)
    if series.dataoffset is not None and not series.keyframe.is_tiled and pages:
        whole = series.asarray(out="memmap")  # as it lies in the file, contiguous and not packed
        return lambda start, stop: whole[start:stop]
    if pages * each == math.prod(series.shape) and pages % series.shape[0] == 0:
        some = pages // series.shape[0]
        return lambda start, stop: file.asarray(key=slice(start * some, stop * some), series=at).reshape(
            stop - start, *series.shape[1:]
        )
    whole = series.asarray()
    return lambda start, stop: whole[start:stop]


def write(path: Path, samples: np.ndarray, layout: Layout) -> None:
    """Samples in a new file: as ImageJ or OME write them where the data were so, with the size of voxels."""
    tifffile = library()
    letters = layout.letters
    letters = letters.translate(_NEWER) if set(letters) & set("bdhwl") else letters
    values = np.ascontiguousarray(samples)
    values = values.astype(np.uint8 if values.dtype.kind == "b" else values.dtype.newbyteorder("="), copy=False)
    steps = {one.name: (one.step, one.units) for one in dims.coordinates(layout) if one.step is not None}
    space = {letter: steps[name] for letter, name in zip(letters, dims.names(layout), strict=True) if name in steps}
    flavour = _flavour(layout, letters, values.dtype)
    codes = "".join(_CODES.get(one, one.upper()) for one in letters)
    noted: dict[str, Any] = {"axes": codes}
    if flavour == "ome":
        for one, (step, units) in space.items():
            noted |= {f"PhysicalSize{one.upper()}": step, f"PhysicalSize{one.upper()}Unit": units}
        tifffile.imwrite(path, values, ome=True, metadata=noted)
        return
    resolution = _resolution(space, flavour)
    if flavour == "imagej":
        noted |= {"unit": next(units for _, units in space.values())} if space else {}
        noted |= {"spacing": space["z"][0]} if "z" in space else {}
        tifffile.imwrite(path, values, imagej=True, metadata=noted, **resolution)
    else:
        noted |= {_AXES: ",".join(letters)}
        tifffile.imwrite(path, values, metadata=noted, photometric="minisblack", **resolution)


def _flavour(layout: Layout, letters: str, dtype: np.dtype) -> str:
    """How the file is written: "imagej" or "ome" where the data were so and these can hold samples, else ""."""
    metadata = layout.metadata
    found = metadata.more.get("flavour", "") if metadata is not None and metadata.format == "tiff" else ""
    places = [_ORDER.find("t" if one == "n" else one) for one in letters]
    if "t" in letters or places != sorted(places):
        return ""
    return found if found == "ome" or (found == "imagej" and dtype in (np.uint8, np.uint16, np.float32)) else ""


def _resolution(space: dict[str, tuple[float, str]], flavour: str) -> dict[str, Any]:
    """Pixels per unit along x and y, as tags."""
    if not {"x", "y"} <= space.keys():
        return {}
    unit = space["x"][1]
    if unit not in _INCHES.values() and flavour != "imagej":
        return {}
    tag = unit.upper() if unit in _INCHES.values() else "NONE"
    return {"resolution": tuple(1 / abs(space[one][0]) for one in "xy"), "resolutionunit": tag}
