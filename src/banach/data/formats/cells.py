"""AnnData .h5ad, by anndata: X or a layer, sparse ones in blocks of rows; names of variables are kept."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from banach.data.formats.extras import lacking
from banach.data.formats.stored import Opened
from banach.data.layout import Layout
from banach.data.metadata import Metadata
from banach.errors import DataError
from banach.foreign import visible
from banach.specs import nearest

_SHOWN = 8


def library() -> tuple[Any, Any]:
    """anndata, and the h5py that it works with."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import anndata
            import h5py
    except ImportError as error:
        raise lacking(".h5ad files", error.name or "anndata", "anndata") from None
    return anndata, h5py


@contextmanager
def opened(path: Path, key: str) -> Iterator[Opened]:
    """X, or the layer `key`, as (cells, variables)."""
    anndata, h5py = library()
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} cannot be read as .h5ad ({str(error)[:160]}); write it again") from None
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "var" not in file or "obs" not in file:
            raise DataError(f"{path} is no AnnData file: it has no obs and var; read HDF5 files as FILE.h5:KEY")
        where = _chosen(file, key, path)
        try:
            sparse = not isinstance(file[where], h5py.Dataset)
            found = anndata.io.sparse_dataset(file[where]) if sparse else file[where]
            names, _ = _names(anndata, file["var"])
            _, obs = _names(anndata, file["obs"])
        except Exception as error:  # files of older versions, or damaged
            said = str(error).split("\n")[0][:160] or type(error).__name__
            raise DataError(f"{path} cannot be read as .h5ad ({said}); write it again with anndata") from None
        more = {"layer": where, "var": names, "obs": obs, "sparse": sparse}
        metadata = Metadata("h5ad", where, (), more=more)
        shown = ", ".join(map(visible, obs[:_SHOWN])) + ", …" * (len(obs) > _SHOWN)
        notes = (f"{where} of AnnData{', sparse' * sparse}: {len(names):,} variables",
                 *((f"columns of obs, left out: {shown}",) if obs else ()))  # fmt: skip

        def block(start: int, stop: int) -> np.ndarray:
            return found[start:stop].toarray() if sparse else found[start:stop]

        yield Opened(tuple(found.shape), np.dtype(found.dtype), block, metadata, "n,c", (), notes,
                     "fill them, or leave out those cells, and save the file again")  # fmt: skip


def _names(anndata: Any, table: Any) -> tuple[list[str], list[str]]:
    """The names of the rows and of the columns of obs or var; files of old versions hold an array of records."""
    found = anndata.io.read_elem(table)
    if isinstance(found, np.ndarray):
        first, *columns = found.dtype.names or ("",)
        rows = found["index" if "index" in columns else first]
        return [one.decode() if isinstance(one, bytes) else str(one) for one in rows], columns
    return list(map(str, found.index)), list(map(str, found.columns))


def _chosen(file: Any, key: str, path: Path) -> str:
    """The place of the matrix that is meant."""
    layers = list(file["layers"]) if "layers" in file else []
    if key in ("", "X"):
        if "X" in file:
            return "X"
        said = f"name a layer, --data {path}:{layers[0]}" if layers else "give a file with one"
        raise DataError(f"{path} has no X; {said}")
    if key in layers:
        return f"layers/{key}"
    if key in ("raw", "raw/X") and "raw/X" in file:
        raise DataError(f"{path}:raw has variables of its own; save it as a file, adata.raw.to_adata().write_h5ad(…)")
    raise DataError(f"{path} has no layer {key!r}; {nearest(key, ['X', *layers])}")


def write(path: Path, samples: np.ndarray, layout: Layout) -> None:
    """Samples as cells, with the variables of the data, in X or in the layer that these lay in."""
    anndata, _ = library()
    rows = samples.reshape(len(samples), -1)
    metadata = layout.metadata
    more = metadata.more if metadata is not None else {}
    named = more.get("var") or [one.name for one in (metadata.columns if metadata is not None else ())]
    names = named if len(named) == rows.shape[1] else [f"x{at}" for at in range(rows.shape[1])]
    rows = rows.astype(rows.dtype.newbyteorder("="))
    layer = str(more.get("layer", "X")).removeprefix("layers/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = anndata.AnnData(X=None if layer != "X" else rows, shape=None if layer == "X" else rows.shape)
        found.var_names = list(map(str, names))
        found.obs_names = [f"sample{at}" for at in range(len(rows))]
        if layer != "X":
            found.layers[layer] = rows
        found.write_h5ad(path)
