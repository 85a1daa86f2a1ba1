"""What people hold data in, brought to one array: tensors, tables, lists, data sets of torch. Or refused, in words.

Nothing here is ever taken for the name of a file, and no part of it is left out without a note.
"""

import numbers
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
    default_convert,
)  # fmt: skip

from banach.data import memory
from banach.data.progress import progress
from banach.data.wording import count
from banach.errors import DataError

_MODES = ("L", "RGB", "I;16", "I", "F")
_KNOWN = "an array or tensor, a list of them, a table (DataFrame), a torch Dataset or DataLoader, or a file name"


def in_memory(source: Any) -> tuple[np.ndarray | Tensor, tuple[str, ...]]:
    """The samples in an object, sample by sample along the first axis, and lines on how it was read.

    Raises `DataError` for what is no collection of samples, or one of which it is not plain what the samples are.

    >>> in_memory([[1, 2], [3, 4]])[0].shape
    (2, 2)
    """
    if isinstance(source, Tensor):
        return _tensor(source), ()
    if isinstance(source, np.ndarray):
        return _unmasked(source), ()
    _refuse_others(source)
    if isinstance(source, DataLoader):
        return _of_loader(source)
    if _library(source) in ("pandas", "polars") and len(source.shape) == 2:
        return _of_table(source)
    listed = isinstance(source, Sized) and "__getitem__" in dir(source) and "__array__" not in dir(source)
    if listed and not isinstance(source, bytes | bytearray | memoryview):
        return _of_items(source)
    return _of_array_like(source), ()


def _refuse_others(source: Any) -> None:
    """`DataError` for what holds samples somewhere inside, or one sample alone."""
    if isinstance(source, Image.Image):
        raise DataError("x is one picture; give many, as a list of pictures of one size, or the name of their folder")
    if isinstance(source, Mapping):
        raise DataError(f"x is a {_kind(source)} of several parts; give one of them, {_pasted(source)}")
    if _library(source) == "datasets" and "column_names" in dir(source):
        columns = list(source.column_names or ["…"])
        raise DataError(f"x is a {_kind(source)}; give the column of the samples, {_pasted(columns)}")
    if isinstance(source, IterableDataset):
        raise DataError("x is an IterableDataset, of unknown length; collect what you want of it, for example\n"
                        "torch.stack(list(itertools.islice(x, 10_000)))")  # fmt: skip


def _library(source: Any) -> str:
    """The package that an object's type is from."""
    return type(source).__module__.partition(".")[0]


def _kind(source: Any) -> str:
    """The name of an object's type as its users write it."""
    name = type(source).__name__
    return name if _library(source) == "builtins" else f"{_library(source)}.{name}"


def _pasted(keys: Any) -> str:
    """Ready to paste: x['a'] or x['b']."""
    shown = [f"x[{key!r}]" for key in list(keys)[:4]]
    more = ", …" if len(keys) > 4 else ""
    return f"{' or '.join(shown)}{more}" if shown else "it is empty"


def _tensor(source: Tensor) -> Tensor:
    """A tensor that numpy can hold, with the same numbers."""
    refused = {
        "is nested; stack or pad its parts": source.is_nested,
        "is sparse; give its to_dense()": source.layout != torch.strided,
        "is quantised; give its dequantize()": source.is_quantized,
        "is on the meta device, without data; give the data": source.is_meta,
    }
    for what, so in refused.items():
        if so:
            raise DataError(f"x {what}")
    source = source.detach()
    small = source.is_floating_point() and source.dtype not in (torch.float16, torch.float32, torch.float64)
    return (source.float() if small else source).cpu().resolve_neg().resolve_conj()


def _unmasked(source: np.ndarray) -> np.ndarray:
    """An array of numbers; what is masked in it is unknown, and refused."""
    if isinstance(source, np.ma.MaskedArray):
        if hidden := int(np.ma.count_masked(source)):
            raise DataError(f"x has {count(hidden, 'masked entry', 'masked entries')}, whose values are not known; "
                            "remove these samples, or fill them, x.filled(0)")  # fmt: skip
        return source.data
    return np.asarray(source)


def _of_array_like(source: Any) -> np.ndarray:
    """What numpy understands by itself: other libraries' arrays, h5py and zarr arrays, columns of tables."""
    try:
        found = np.asarray(source)
    except Exception as error:  # whatever a strange object does when it is asked
        raise DataError(f"data of type {_kind(source)} cannot be read ({error}); give {_KNOWN}") from None
    if found.ndim == 0 or found.dtype.kind not in "biuf":
        sparse = "; of a sparse matrix its toarray()" if "toarray" in dir(source) else ""
        raise DataError(f"data of type {_kind(source)} are not read; give {_KNOWN}{sparse}")
    return found


def _of_table(source: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """The numbers of a DataFrame, a sample a row; text and dates, and rows with gaps, are refused by column."""
    names = [str(one) for one in source.columns]
    columns = [source.iloc[:, at] if "iloc" in dir(source) else source[:, at] for at in range(source.shape[1])]
    arrays = [np.asarray(column) for column in columns]
    gaps = [name for name, column in zip(names, columns, strict=True) if _has_gaps(column)]
    text = [name for name, one in zip(names, arrays, strict=True) if one.dtype.kind not in "biuf" and name not in gaps]
    if text:
        kept = [name for name in names if name not in text]
        raise DataError(f"x has columns that are no numbers ({', '.join(text[:4])}); give the others, x[{kept!r}], "
                        "or turn them into numbers")  # fmt: skip
    if gaps:
        raise DataError(f"x has missing values in {', '.join(gaps[:4])}; leave those rows out, "
                        f"{'x.dropna()' if 'dropna' in dir(source) else 'x.drop_nulls()'}, or fill them")  # fmt: skip
    if not arrays:
        raise DataError("x is a table without columns; give one with a column for each number of a sample")
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return np.stack(arrays, 1), (f"a table of {count(len(names), 'column')}: {shown}",)


def _has_gaps(column: Any) -> bool:
    missing = column.isna() if "isna" in dir(column) else column.is_null()
    return bool(np.asarray(missing).any())


def _of_loader(source: DataLoader) -> tuple[np.ndarray | Tensor, tuple[str, ...]]:
    """All items of a loader's data set: batches and their order are drawn by the training itself."""
    own = ""
    if isinstance(source.dataset, IterableDataset):
        own = "is over an IterableDataset, of unknown length"
    elif not _takes_all(source):
        own = "has a sampler of its own, which is not followed"
    elif source.collate_fn not in (default_collate, default_convert):
        own = "has a collate_fn of its own, which is not followed"
    if own:
        raise DataError(f"x is a DataLoader that {own}; collect what it gives, torch.cat([batch for batch in x]),\n"
                        "or torch.cat([batch[0] for batch in x]) where a batch is (samples, labels)")  # fmt: skip
    found, notes = in_memory(source.dataset)
    return found, (*notes, "a DataLoader: its data set is read; batch and order are those of the training")


def _takes_all(source: DataLoader) -> bool:
    """Whether a loader goes once through all of its data set, in whatever order."""
    batches, data = source.batch_sampler, source.dataset
    if batches is not None and type(batches) is not BatchSampler:
        return False
    sampler = source.sampler if batches is None else batches.sampler
    if not isinstance(sampler, RandomSampler | SequentialSampler) or not isinstance(data, Sized):
        return False
    repeats = isinstance(sampler, RandomSampler) and sampler.replacement
    return len(sampler) == len(data) and not repeats


def _of_items(source: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """A list, a data set, or anything else with a length and items."""
    n = len(source)
    if n == 0:
        raise DataError(f"x is an empty {_kind(source)}; give at least two samples")
    take, notes = _samples_of(source[0])
    if isinstance(source, Dataset):
        notes = (*notes, f"a Dataset ({_kind(source)}): each item was read once, random transforms with it")
    elif not notes and (_is_number(source[0]) or isinstance(source[0], list | tuple)):
        return _nested(source), ()
    arrays: list[np.ndarray] = []
    for at in progress(range(n), n, "reading"):
        one = _item(take(source[at]), at)
        if arrays and (one.shape, one.dtype) != (arrays[0].shape, arrays[0].dtype):
            told = [f"{each.dtype} {each.shape}" for each in (arrays[0], one)]
            raise DataError(f"items 0 and {at} of x differ, {' and '.join(told)}; bring all to one shape and type")
        if not arrays:
            memory.require(n * one.nbytes, f"a {_kind(source)} of {count(n, 'item')}", "give a part of it")
        arrays.append(one)
    return np.stack(arrays), notes


def _nested(source: Sequence[Any]) -> np.ndarray:
    """Numbers, and lists of them in lists."""
    try:
        found = np.asarray(source)
    except ValueError:
        raise DataError("the items of x are lists of different lengths; bring them to one length") from None
    if found.dtype.kind not in "biuf":
        raise DataError(f"x is a list of {found.dtype} entries; give numbers")
    return found


def _samples_of(item: Any) -> tuple[Any, tuple[str, ...]]:
    """How to take the sample from an item such as (sample, label); `DataError` where it may be one or the other."""
    if isinstance(item, Mapping):
        raise DataError(f"each item of x is a {_kind(item)}; give the part that is the sample, for example\n"
                        f"[one[{next(iter(item), '')!r}] for one in x] of its {', '.join(map(str, item))}")  # fmt: skip
    if not isinstance(item, list | tuple) or all(_is_number(one) for one in item):
        return (lambda one: one), ()
    if len(item) == 1:
        return (lambda one: one[0]), ()
    if isinstance(item, list) and not any(isinstance(one, Tensor | np.ndarray | Image.Image) for one in item):
        return (lambda one: one), ()
    if not _is_label(item[0]) and all(_is_label(one) for one in item[1:]):
        return (lambda one: one[0]), (f"of each item's {len(item)} parts the first is the sample; labels are left out",)
    parts = " or ".join(f"[one[{at}] for one in x]" for at in range(min(len(item), 4)))
    raise DataError(f"each item of x has {len(item)} parts ({', '.join(_kind(one) for one in item[:4])}); say which is "
                    f"the sample:\n{parts}")  # fmt: skip


def _is_number(one: Any) -> bool:
    return isinstance(one, numbers.Real | np.generic) or (isinstance(one, Tensor) and one.ndim == 0)


def _is_label(one: Any) -> bool:
    return one is None or isinstance(one, str) or _is_number(one) or (isinstance(one, np.ndarray) and one.ndim == 0)


def _item(one: Any, at: int) -> np.ndarray:
    """One sample as an array."""
    if isinstance(one, Tensor):
        return _tensor(one).numpy()
    if isinstance(one, Image.Image):
        if one.mode not in _MODES:
            raise DataError(f"item {at} of x is a picture of mode {one.mode}; bring all to one, one.convert('RGB')")
        return np.asarray(one)
    if isinstance(one, str | bytes):
        raise DataError(f"item {at} of x is the text {one!r}; give numbers, or the name of a folder or file alone")
    return _unmasked(one) if isinstance(one, np.ndarray) else _of_array_like(one)
