"""CSV and parquet, by pandas: columns of numbers; columns of words, booleans and categories become one-hot blocks.

A block is 1 at its category and 0 elsewhere. Half of the 1-norm is then 1 between two categories, the trivial metric,
and extends it to what lies between them; in a `Product` it stands beside the norm of the numbers.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from banach.data.formats.extras import lacking
from banach.data.formats.stored import Opened
from banach.data.layout import Layout
from banach.data.metadata import Column, Metadata
from banach.data.wording import count
from banach.errors import DataError
from banach.foreign import visible
from banach.specs import nearest

Known = tuple[tuple[str, tuple[Any, ...]], ...]
"""Columns whose categories are known, and these."""

_MANY = 100  # categories of one column

TEXTS = (".csv", ".tsv")


def library(parquet: bool = False) -> Any:
    """pandas, and what reads parquet with it."""
    try:
        import pandas

        if parquet:
            import pyarrow  # noqa: F401
    except ImportError as error:
        what = "parquet files" if parquet else "CSV files"
        raise lacking(what, error.name or "pandas", "tables") from None
    return pandas


@contextmanager
def opened(path: Path, key: str, known: Known = ()) -> Iterator[Opened]:
    """The rows of a table as (n, d); `key` may name the columns to take, with commas between. What is `known` of
    categories is followed, so that samples have the blocks of their data."""
    frame, more = _frame(path)
    if key:
        wanted = key.split(",")
        for one in wanted:
            if one not in frame.columns:
                raise DataError(f"{path} has no column {one!r}; {nearest(one, map(str, frame.columns))}")
        frame = frame[wanted]
    _refuse_gaps(frame, path)
    columns = tuple(_column(frame[name], dict(known).get(str(name)), path) for name in frame.columns)
    if wrong := [one for one in columns if one is not None and not one.dtype]:
        _refuse(wrong, columns, path)
    metadata = Metadata("table", "", (), columns=columns, more=more)
    if not columns or not len(frame):
        held = f"{count(len(frame), 'row')} and {count(len(columns), 'column')}"
        raise DataError(f"{path} is a table of {held}; give one with more")
    values = _encoded(frame, metadata)
    yield Opened(values.shape, values.dtype, lambda start, stop: values[start:stop], metadata, "n,c", (),
                 tuple(_notes(metadata)))  # fmt: skip


def _frame(path: Path) -> tuple[Any, dict[str, Any]]:
    """The table of a file, and how that file is written."""
    pandas = library(path.suffix.lower() not in TEXTS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix.lower() not in TEXTS:
                return pandas.read_parquet(path), {}
            with path.open(encoding="utf-8-sig") as file:
                first = file.readline().rstrip("\r\n")
            between = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in first and "," not in first else ","
            headed = not all(map(_is_number, first.split(between)))
            frame = pandas.read_csv(path, sep=between, header=0 if headed else None, encoding="utf-8-sig")
    except Exception as error:  # pandas and pyarrow raise many kinds
        said = str(error).split("\n")[0][:160] or type(error).__name__
        raise DataError(f"{path} cannot be read as a table ({said}); write it again") from None
    frame.columns = [str(one) for one in frame.columns]
    index = frame.columns[0] if len(frame.columns) else ""
    numbered = index.startswith("Unnamed: 0") and np.array_equal(frame[index], np.arange(len(frame)))
    return frame.iloc[:, 1:] if numbered else frame, {"between": between, "headed": headed, "numbered": numbered}


def _is_number(word: str) -> bool:
    try:
        float(word.strip().strip('"'))
    except ValueError:
        return False
    return True


def _refuse_gaps(frame: Any, path: Path) -> None:
    gaps = {str(name): int(found) for name, found in frame.isna().sum().items() if found}
    if gaps:
        shown = ", ".join(f"{visible(name)} ({found:,})" for name, found in list(gaps.items())[:6])
        more = ", …" * (len(gaps) > 6)
        raise DataError(f"{path} has missing values in {shown}{more} of {len(frame):,} rows; fill them, or leave those "
                        "rows out, such as pandas' dropna(), and save it")  # fmt: skip


def _column(series: Any, known: tuple[Any, ...] | None, path: Path) -> Column:
    """What a column is; one without a type where it is none that is read."""
    types = library().api.types
    name, dtype = str(series.name), str(series.dtype)
    if known is not None:
        return _of_categories(series, known, path)
    if types.is_bool_dtype(series.dtype) and dtype != "category":
        return Column(name, dtype, "bool", (False, True))
    if types.is_integer_dtype(series.dtype):
        return Column(name, dtype, "integer")
    if types.is_float_dtype(series.dtype):
        return Column(name, dtype, "float")
    if types.is_datetime64_any_dtype(series.dtype) or types.is_timedelta64_dtype(series.dtype):
        return Column(name, "", "float")
    if types.is_complex_dtype(series.dtype):
        return Column(name, "", "float")
    if dtype == "category":
        found = tuple(series.cat.categories.tolist())
        found = found if all(isinstance(one, str | bool | int | float) for one in found) else tuple(map(str, found))
        return Column(name, "category", "category", found)
    found = tuple(sorted(set(series.astype(str))))
    many = len(found) > _MANY
    return Column(name, "" if many else "text", "category", found)


def _of_categories(series: Any, known: tuple[Any, ...], path: Path) -> Column:
    boolean = set(known) == {False, True} and all(isinstance(one, bool) for one in known)
    texts = {str(one): one for one in known}
    if new := sorted(set(series.astype(str)) - texts.keys()):
        raise DataError(f"{path}: column {series.name} holds {new[0]!r}, which is none of the categories "
                        f"{', '.join(list(texts)[:6])} that it is compared with; leave those rows out")  # fmt: skip
    return Column(str(series.name), str(series.dtype), "bool" if boolean else "category", known)


def _refuse(wrong: list[Column], columns: tuple[Column, ...], path: Path) -> None:
    shown = ", ".join(
        f"{visible(one.name)}{f' ({len(one.categories):,} different words)' if one.categories else ' (a date or so)'}"
        for one in wrong[:6]
    )
    kept = ",".join(one.name for one in columns if one.dtype)
    raise DataError(f"{path} has columns that are neither numbers nor a few categories: {shown}; take the others, "
                    f"--data '{path}:{kept}'" if kept else f"{path} has no column of numbers: {shown}")  # fmt: skip


def _encoded(frame: Any, metadata: Metadata) -> np.ndarray:
    """The rows as numbers: first those of numbers, then the blocks."""
    parts = []
    for one in metadata.arranged:
        series = frame[one.name]
        if not one.categories:
            parts.append(series.to_numpy(dtype=np.float64)[:, None])
            continue
        places = {str(each): at for at, each in enumerate(one.categories)}
        codes = np.array([places[word] for word in series.astype(str)])
        parts.append((codes[:, None] == np.arange(one.width)).astype(np.float64))
    return np.concatenate(parts, 1)


def _notes(metadata: Metadata) -> Iterator[str]:
    numbers = [one for one in metadata.arranged if not one.categories]
    blocks = [one for one in metadata.arranged if one.categories]
    if numbers:
        whole = sum(one.kind == "integer" for one in numbers)
        shown = ", ".join(visible(one.name) for one in numbers[:8]) + ", …" * (len(numbers) > 8)
        rounded = f"; samples of {whole} of them are rounded to whole numbers" * bool(whole)
        yield f"{count(len(numbers), 'column')} of numbers: {shown}{rounded}"
    if blocks:
        shown = ", ".join(f"{visible(one.name)} ({one.width})" for one in blocks[:8]) + ", …" * (len(blocks) > 8)
        yield f"one-hot blocks: {shown}; --space {spelled_space(metadata)!r} weighs a change of category as 1"


def spelled_space(metadata: Metadata) -> str:
    """The suggested space of a table with one-hot blocks: half of the 1-norm for each of these beside the 2-norm of the
    numbers, the 1-norm over all.

    >>> spelled_space(Metadata("table", columns=(Column("a", "float64", "float"), Column("b", "bool", "bool", (0, 1)))))
    'Product(1, (Lp(2), Weighted(Scale(0.5), Lp(1))), (1, 2))'
    """
    numbers = sum(not one.categories for one in metadata.columns)
    blocks = [one.width for one in metadata.arranged if one.categories]
    parts = ["Lp(2)"] * bool(numbers) + ["Weighted(Scale(0.5), Lp(1))"] * len(blocks)
    sizes = [numbers] * bool(numbers) + blocks
    end = "," if len(parts) == 1 else ""
    return f"Product(1, ({', '.join(parts)}{end}), ({', '.join(map(str, sizes))}{end}))"


def categories(path: Path, key: str) -> dict[str, tuple[Any, ...]]:
    """The columns of a table that are categories, and which."""
    with opened(path, key) as found:
        return {one.name: one.categories for one in found.metadata.columns if one.categories}


def united(places: Iterable[tuple[Path, str]]) -> Known:
    """The categories of columns of several tables (files, with the columns to take of each), those of all in one."""
    found: dict[str, dict[Any, None]] = {}
    for path, key in places:
        for name, these in categories(path, key).items():
            found.setdefault(name, {}).update(dict.fromkeys(these))
    return tuple((name, tuple(these)) for name, these in found.items())


def decoded(rows: np.ndarray, metadata: Metadata) -> Any:
    """The table that rows (n, d) stand for: blocks become the category that is largest, integers are rounded."""
    pandas = library()
    found, at = {}, 0
    for one in metadata.arranged:
        part = rows[:, at : at + one.width]
        at += one.width
        found[one.name] = _typed(pandas, part, one)
    return pandas.DataFrame({one.name: found[one.name] for one in metadata.columns})


def _typed(pandas: Any, part: np.ndarray, column: Column) -> Any:
    if column.categories:
        codes = part.argmax(1)
        if column.dtype == "category":
            return pandas.Categorical.from_codes(codes, list(column.categories))
        values = pandas.Series([column.categories[code] for code in codes])
        return values.astype(column.dtype) if column.kind == "bool" else values
    values = part[:, 0]
    if column.kind == "integer":
        bounds = np.iinfo(column.dtype.lower())
        values = np.rint(values).clip(max(int(bounds.min), -(2**53)), min(int(bounds.max), 2**53))
        return pandas.Series(values.astype(np.int64)).astype(column.dtype)
    return pandas.Series(values).astype(column.dtype)


def write(path: Path, samples: np.ndarray, layout: Layout, suffix: str) -> None:
    """Samples as a table of the columns of the data, or of numbered ones, in a file of the format of that suffix."""
    parquet = suffix not in TEXTS
    pandas, metadata = library(parquet), layout.metadata
    if metadata is not None and metadata.columns:
        frame, more = decoded(samples, metadata), metadata.more
    else:
        rows = samples.reshape(len(samples), -1)
        named = metadata.more.get("var") if metadata is not None else None
        names = named if named and len(named) == rows.shape[1] else [f"x{at}" for at in range(rows.shape[1])]
        frame, more = pandas.DataFrame(rows.astype(rows.dtype.newbyteorder("=")), columns=names), {}
    if parquet:
        frame.to_parquet(path, index=False)
        return
    between = "\t" if suffix == ".tsv" else str(more.get("between", ",")).replace("\t", ",")[:1]
    frame.to_csv(path, sep=between, header=bool(more.get("headed", True)), index=bool(more.get("numbered", False)))
