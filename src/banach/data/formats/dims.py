"""Names of axes and what they are: from time, latitude, longitude to n, y, x; and the names of samples' axes."""

from collections.abc import Mapping, Sequence
from typing import Any

from banach.data.layout import Layout, middle_of
from banach.data.letters import Axes, read_letters
from banach.data.metadata import Coordinate, Metadata

_MEMBERS = ("realization", "realisation", "ensemble", "ensemble_member", "member", "number", "sample", "samples", "n",
            "batch", "obs", "event", "events", "trial", "trace", "traces", "shot", "case", "record", "simulation",
            "patch")  # fmt: skip
_NAMES = {
    "n": _MEMBERS,
    "time": ("time", "t", "valid_time", "date", "month", "year", "day", "frame"),
    "y": ("lat", "latitude", "y", "rlat", "grid_latitude", "projection_y_coordinate", "northing", "nav_lat", "row"),
    "x": ("lon", "longitude", "x", "rlon", "grid_longitude", "projection_x_coordinate", "easting", "nav_lon", "column"),
    "level": ("level", "lev", "levels", "depth", "height", "altitude", "plev", "pressure", "pressure_level",
              "model_level_number", "isobaricinhpa", "deptht", "sigma"),
    "z": ("z",),
    "c": ("c", "channel", "channels", "band", "bands", "variable", "variables", "feature", "features", "component"),
}  # fmt: skip
_ROLES = {name: role for role, names in _NAMES.items() for name in names}
_STANDARD = {"X": "x", "Y": "y", "Z": "level", "T": "time"}
_UNITS = {"degrees_north": "y", "degree_north": "y", "degrees_east": "x", "degree_east": "x"}
_DEFAULT = {"n": "sample", "b": "sample", "c": "channel", "t": "time", "l": "time",
            "z": "z", "d": "z", "y": "y", "h": "y", "x": "x", "w": "x"}  # fmt: skip


def role(name: str, attrs: Mapping[str, Any]) -> str:
    """What an axis is by its name and the attributes of its coordinates: n, time, x, y, z, level, c, or "".

    >>> role("latitude", {}), role("foo", {"axis": "T"}), role("foo", {})
    ('y', 'time', '')
    """
    found = _ROLES.get(name.lower(), "") or _ROLES.get(str(attrs.get("standard_name", "")).lower(), "")
    return found or _STANDARD.get(str(attrs.get("axis", "")), "") or _UNITS.get(str(attrs.get("units", "")), "")


def letters(sizes: Sequence[int], roles: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The letters of axes with these sizes and roles, or "" and the readings to choose from, or "" and none.

    Time counts the samples; beside members it counts them too, or is an axis of each: that is asked. Levels are
    channels or an axis in space: that is asked, unless there is one.

    >>> letters((12, 37, 49), ("time", "y", "x")), letters((12, 5, 37, 49), ("time", "level", "y", "x"))
    (('n,y,x', ()), ('', ('n,z,y,x', 'n,c,y,x')))
    """
    if "" in roles:
        return "", ()
    counted = "n" in roles or "time" in roles
    times = "nt" if "n" in roles and "time" in roles else "n"
    level = sizes[list(roles).index("level")] if "level" in roles else 1
    found = ["".join({"time": time, "level": one}.get(each, each) for each in roles)
             for time in times for one in _levels(level, roles, counted)]  # fmt: skip
    spelled = tuple(dict.fromkeys(",".join(one) for one in found if _has_meaning(one)))
    if len(spelled) == 1 and counted:
        return spelled[0], ()
    return "", spelled if len(spelled) > 1 else ()


def _levels(size: int, roles: Sequence[str], counted: bool) -> str:
    """The letters that so many levels may have."""
    if size == 1 or {"c", "z"} & set(roles):
        return "z" if "c" in roles else "c"
    return "zc" if counted else "nzc"


def _has_meaning(letters: str) -> bool:
    n = letters.count("n")
    once = all(letters.count(one) <= 1 for one in "ctxyz") and sum(one in "txyz" for one in letters) <= 3
    return once and (n <= 1 or letters.startswith("n" * n))


def names(layout: Layout) -> tuple[str, ...]:
    """The name of each axis of samples, in the order in which they come back: those of the data, and one that counts.

    >>> names(Layout("nyx", "<f4", (1, 4, 5), (1, 4, 5)))
    ('sample', 'y', 'x')
    """
    axes = read_letters(layout.axes)
    known = layout.metadata.dims if layout.metadata is not None else ()
    if len(known) != len(axes.letters):
        known = tuple(_DEFAULT.get(one, one) for one in axes.letters)
    kept = [name for at, name in enumerate(known) if at not in axes.counted]
    first = axes.counted[0] if len(axes.counted) == 1 else 0
    counts = known[first] if len(axes.counted) == 1 and known[first].lower() in _MEMBERS else "sample"
    while counts in kept:
        counts += "_"
    return (*kept[:first], counts, *kept[first:])


def coordinates(layout: Layout) -> tuple[Coordinate, ...]:
    """The coordinates of samples: those of the data along axes that do not count them, cut as samples are."""
    if layout.metadata is None or len(layout.metadata.dims) != len(read_letters(layout.axes).letters):
        return ()
    axes, metadata = read_letters(layout.axes), layout.metadata
    counted = {metadata.dims[at] for at in axes.counted}
    cuts = {metadata.dims[at]: middle_of(have, want)
            for at, have, want in zip(axes.space, layout.read[1:], layout.event[1:], strict=True)}  # fmt: skip
    found = []
    for one in metadata.coordinates:
        if counted.isdisjoint(one.dims):
            cut = one.array[tuple(cuts.get(dim, slice(None)) for dim in one.dims)]
            found.append(Coordinate(one.name, one.dims, cut.shape, one.dtype, tuple(cut.ravel().tolist()), one.attrs))
    return tuple(found)


def lengths(axes: Axes, metadata: Metadata) -> tuple[float, ...]:
    """How long each axis in time and space is, where all have evenly spaced coordinates; else ().

    >>> along = Coordinate("x", ("x",), (3,), "<f8", (0.0, 2.5, 5.0), {})
    >>> lengths(read_letters("n,x"), Metadata("netcdf", dims=("time", "x"), coordinates=(along,)))
    (7.5,)
    """
    if len(metadata.dims) != len(axes.letters):
        return ()
    found = [metadata.coordinate(metadata.dims[at]) for at in axes.space]
    steps = [(one.step, one.shape[0]) for one in found if one is not None]
    if len(steps) < len(found):
        return ()
    known = tuple(abs(step) * size for step, size in steps if step is not None)
    return known if len(known) == len(steps) else ()


def described(metadata: Metadata, but: Sequence[str] = ()) -> tuple[str, ...]:
    """Lines on what the numbers are and where they lie, without axes named in `but`."""
    told = [str(metadata.attrs[key]) for key in ("long_name", "standard_name") if metadata.attrs.get(key)][:1]
    named = f"{metadata.name}{f' [{metadata.units}]' if metadata.units else ''}{''.join(f': {one}' for one in told)}"
    along = [one.said() for one in metadata.coordinates if len(one.dims) == 1 and one.dims[0] not in but]
    return (*((named,) if metadata.name else ()), *((f"coordinates: {'; '.join(along)}",) if along else ()))
