"""The idx files of MNIST and Fashion-MNIST, plain or gzipped: a big-endian header, then unsigned bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from banach.data.memory import require
from banach.errors import DataError


def find_idx(folder: Path, name: str) -> Path:
    """The file `name` or `name`.gz in `folder`; FileNotFoundError if neither is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(folder / name)


def read_idx(path: Path, axes: int) -> UInt8[np.ndarray, "..."]:
    """The array with this many axes in an idx file; DataError if the file is cut or something else."""
    broken = DataError(f"{path} is not a whole idx file of bytes with {axes} axes; delete it and fetch it again")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            magic, *shape = struct.unpack(f">{axes + 1}I", file.read(4 * (axes + 1)))
            size = math.prod(shape)
            if magic != 0x0800 + axes:
                raise broken
            require(size, str(path), "fetch it again")
            content = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error):
        raise broken from None
    if len(content) != size:
        raise broken
    return np.frombuffer(content, np.uint8).reshape(shape).copy()
