"""Constant arrays, written in a spec or named by their file."""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from banach.foreign import PICTURES, open_array
from banach.specs import SpecError, spell


class Table:
    """A constant float64 array from a file (.npy or an image) or nested tuples, compared and hashed by content."""

    def __init__(self, source: "str | Path | Sequence | np.ndarray | Tensor | float | Table", what: str):
        if isinstance(source, Table):  # read and checked before
            self.values, self.spelling, self.digest, self.file = (
                source.values, source.spelling, source.digest, source.file
            )  # fmt: skip
            return
        self.file = str(source) if isinstance(source, str | Path) else None
        with torch.inference_mode(False), torch.device("cpu"):
            self.values, self.spelling = _read_table(source, what)
        if self.values.numel() == 0 or not torch.isfinite(self.values).all():
            raise SpecError(f"{what}: the values of {_short(source)} are empty or not all finite")
        shape = repr(tuple(self.values.shape)).encode()
        self.digest = hashlib.sha256(shape + self.values.numpy().tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return self.spelling


def _short(source: object) -> str:
    text = repr(source)
    return text if len(text) < 60 else text[:57] + "..."


def _read_table(source, what: str) -> tuple[Tensor, str]:
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise SpecError(f"{what}: there is no file {str(path)!r}; give the path of a .npy array or an image")
        try:
            array = open_array(path) if path.suffix == ".npy" else _grey(path)
        except Exception as error:  # decoders raise whatever a broken file leads them to
            raise SpecError(f"{what}: cannot read {str(path)!r} ({error}); give a .npy array or an image") from None
        if array.dtype.kind not in "biuf":
            raise SpecError(f"{what}: {str(path)!r} holds {array.dtype} entries; give numbers")
        return torch.from_numpy(np.array(array, dtype=np.float64)), repr(str(path))
    try:
        array = np.array(source, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecError(f"{what}: cannot read {_short(source)} as an array of numbers") from None
    return torch.from_numpy(array), spell(_nested(array))


def _grey(path: Path) -> np.ndarray:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a picture beyond all reason
        with Image.open(path, formats=PICTURES) as image:
            return np.asarray(image.convert("L")) / 255.0


def _nested(array: np.ndarray):
    return float(array) if array.ndim == 0 else tuple(_nested(one) for one in array)
