"""From what follows `--data` to a `Data`: a registered name, a folder of pictures, an array file, or an array."""

import ast
import dataclasses
import inspect
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from banach.data.arrays import SUFFIXES, from_array, read_array
from banach.data.dataset import DATASETS, Data, Raw, check_varies, split_off
from banach.data.formats import files
from banach.data.how import Ambiguous, How, Limits, Sides, Size
from banach.data.images import read_folder
from banach.data.objects import in_memory
from banach.data.resize import fit_images, frame
from banach.data.rows import Rows
from banach.errors import DataError
from banach.specs import nearest

_LONGEST = 10_000  # letters of options


def load(
    source: Any,
    *,
    size: Size | None = None,
    axes: str | None = None,
    fit: str = "crop",
    classes: Iterable[int | str] | str | None = None,
    holdout: float = 0.1,
    seed: int = 0,
    normalise: str | None = None,
    split: str | None = None,
    cache: str = "auto",
    pages: str | int | None = None,
    range: Limits | str | None = None,
    background: str = "white",
    merge_folders: bool = False,
    pad: Sides = None,
    crop: Sides = None,
    known: Iterable[tuple[str, tuple[int, ...]]] = (),
    categories: Iterable[tuple[str, tuple[Any, ...]]] = (),
    ask: bool = True,
) -> Data:
    """The data set that `source` names, with a share held out by `seed` and units fitted on the rest.

    `source` is a registered name, with options if need be ("fashion", "8gaussians:n=50000", "cifar10:split=all"), a
    folder of pictures, an .npy or .npz file ("file.npz:key" where it holds several arrays), a file of another format
    (NetCDF, Zarr, HDF5, TIFF, CSV, parquet, .h5ad: `banach.data.formats`), or data in memory: an array
    or tensor, a list of them, a DataFrame, a torch Dataset or DataLoader (`banach.data.objects`). `size` (a side, or
    height and width) and `fit` (crop, pad, stretch, none) are for images, `axes` (such as "n,x,y,c"), `pad` and `crop`
    (sides, or "auto") and `normalise` (standard, minmax, none) for arrays, `classes` and `split` for sets that have
    them. `known` are axes, and shapes (c, *space) of samples, that an array may have which does not say its own,
    `categories` (name, these) of columns of a table.
    `cache` says when folders and array files are decoded into a file that is mapped: "auto" (beyond a quarter of free
    memory), "always" or "never"; the samples, and all that is trained on them, are the same.

    `pages`, `range`, `background` and `merge_folders` say how pictures are read, see `How`. Raises `DataError`, in one
    or two lines, for all that can be wrong with the data, and `Ambiguous`, a `DataError`, where they can be read in two
    ways and nobody said which (without `ask` they are read as versions before that question read them).

    >>> data = load("8gaussians:n=2000")
    >>> data.kind, data.shape, len(data.train), len(data.held_out)
    ('points', (2,), 1800, 200)
    """
    how = How(
        size=size, axes=axes, fit=fit, cache=cache, pages=pages, range=range, background=background,
        merge_folders=merge_folders, pad=pad, crop=crop, known=tuple(known),
        categories=tuple(categories), ask=ask,
    )  # fmt: skip
    raw = read_as(source, how, seed=seed, split=split)
    if isinstance(raw, Data):
        return raw
    data = split_off(raw, holdout=holdout, seed=seed, classes=classes, normalise=normalise)
    if ask:
        check_varies(data, raw.doubts)
    return data


def read(
    source: Any,
    *,
    size: Size | None = None,
    axes: str | None = None,
    fit: str = "crop",
    seed: int = 0,
    split: str | None = None,
    cache: str = "auto",
) -> Raw | Data:
    """All samples that `source` names, before any are held out."""
    return read_as(source, How(size=size, axes=axes, fit=fit, cache=cache), seed=seed, split=split)


def read_as(source: Any, how: How, *, seed: int = 0, split: str | None = None) -> Raw | Data:
    """The same, read as `how` says."""
    if not isinstance(source, str | os.PathLike):
        _refuse_split(split, "an array in memory")
        samples, notes = in_memory(source)
        found = from_array(samples, how=how)
        return dataclasses.replace(found, notes=(*notes, *found.notes))
    text = str(source)
    if isinstance(source, str) and (named := _registered(text)) is not None:
        if how.ask and Path(text).exists():
            raise Ambiguous(
                f"{text} is a data set by name, and a file or folder {text} is here too; write --data ./{text} for "
                f"that one, --data {text}: for the data set"
            )
        return _named(*named, how, seed, split)
    path = Path(text).expanduser()
    _refuse_split(split if path.exists() else None, text)
    if (stored := files.place(text)) is not None:
        return read_array(*stored, how=how)
    if path.is_dir():
        how.refuse_sides(f"{text} is a folder")
        return read_folder(path, how)
    if path.is_file():
        return read_array(path, how=how)
    archive, colon, key = text.rpartition(":")
    if colon and Path(archive).expanduser().is_file():
        return read_array(Path(archive).expanduser(), key, how)
    raise _unknown(text)


def exists(text: str) -> bool:
    """Whether a text leads to a file or folder, or, as file.npz:key, to one in a file."""
    archive, colon, _ = text.rpartition(":")
    found = Path(text).expanduser().exists() or bool(colon and Path(archive).expanduser().is_file())
    return found or files.place(text) is not None


def is_named(text: str) -> bool:
    """Whether a text names a registered data set, whatever files there are."""
    try:
        return _registered(text) is not None
    except DataError:  # its options cannot be read
        return True


def _unknown(text: str) -> DataError:
    looks_like_path = "/" in text or "\\" in text or text.startswith((".", "~")) or text.rpartition(":")[0] != ""
    if looks_like_path or Path(text).suffix.lower() in SUFFIXES:
        return DataError(f"no file or folder {text} (looked in {Path.cwd()}); check the path")
    return DataError(f"{text!r} is no registered data set, folder or file; {nearest(text, DATASETS)}")


def _refuse_split(split: str | None, what: str) -> None:
    if split is not None:
        raise DataError(f"{what} has no parts to choose from; leave out split={split} and use --holdout")


def _registered(text: str) -> tuple[str, dict[str, Any]] | None:
    """The registered name and the options in "name", "name:key=value,…" or "name(key=value, …)"; None for others."""
    form = re.fullmatch(r"([^:()]+)(?::(.*)|\((.*)\))?", text.strip(), re.DOTALL)
    if form is None or form[1] not in DATASETS:
        return None
    return DATASETS.entry(form[1]).name, _options(form[2] or form[3] or "", text)


def _options(inside: str, text: str) -> dict[str, Any]:
    """`key=value` pairs; values are literals, and a bare word is a text. (A name may begin with a digit, and a word
    stand for itself, which the spec language has not.)"""
    shown = text if len(text) < 200 else f"{text[:150]} …"
    wrong = DataError(f"cannot read the options in {shown!r}; write them as name:key=value,key=value")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes that escape nothing
            call = ast.parse(f"f({inside[:_LONGEST]})", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last three: nested beyond all reason
        raise wrong from None
    if not isinstance(call, ast.Call) or call.args:
        raise wrong
    options: dict[str, Any] = {}
    for one in call.keywords:
        try:
            value = one.value.id if isinstance(one.value, ast.Name) else ast.literal_eval(one.value)
        except (ValueError, TypeError, MemoryError, RecursionError):
            raise wrong from None
        if one.arg is None or one.arg in options:
            raise wrong
        options[one.arg] = value
    return options


def _named(name: str, options: dict[str, Any], how: How, seed: int, split: str | None) -> Raw | Data:
    """What a registered function gives: it gets the spec's options, and those of `size`, `fit`, `seed`, `split` and
    `cache` that its signature names. It may return a `Raw`, a whole `Data`, or an array or tensor read like one from a
    file."""
    make = DATASETS[name]
    taken = inspect.signature(make).parameters
    if unknown := [key for key in options if key not in taken]:
        said = nearest(unknown[0], taken) if taken else "it takes none"
        raise DataError(f"data set {name} has no option {unknown[0]!r}; {said}")
    if split is not None and "split" not in taken:
        _refuse_split(split, f"data set {name}")
    size = how.size
    asked = {"size": size, "fit": how.fit, "seed": seed, "split": split, "cache": how.cache}
    found = make(**{key: value for key, value in asked.items() if key in taken and value is not None} | options)
    if isinstance(found, Tensor | np.ndarray):
        return from_array(found, name, how if "size" not in taken else dataclasses.replace(how, size=None, fit="crop"))
    for flag in (*how.of_folders(), *(("--range",) if how.range is not None else ())):
        raise DataError(f"data set {name} knows how it is read; leave out {flag}")
    if isinstance(found, Data):
        return found
    if not isinstance(found, Raw):
        raise DataError(f"data set {name} gave {type(found).__name__}; return a tensor, an array, a Raw or a Data")
    how.refuse_sides(f"{name} is a set by name")
    if how.axes is not None:
        raise DataError(f"data set {name} knows its axes; leave out --axes {how.axes}")
    if "size" not in taken and how.ask and not found.is_image and how.fit != "crop":
        raise Ambiguous(f"data set {name} holds no images; leave out --fit {how.fit}")
    if size is None and "size" not in taken:
        how.check_fit()
    if size is None or "size" in taken:
        return found
    if not found.is_image:
        raise DataError(f"data set {name} holds no images; leave out --size {size}")
    to = frame(size, how.fit)
    images = fit_images(found.values[:] if isinstance(found.values, Rows) else found.values, to)
    notes = () if to is None or images is found.values else (f"brought to {to.height}x{to.width} (--fit {to.fit})",)
    return dataclasses.replace(found, values=images, notes=found.notes + notes)
