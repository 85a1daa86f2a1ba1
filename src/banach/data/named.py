"""MNIST, Fashion-MNIST, CIFAR-10 and CelebA, read from disk in the folders where torchvision's loaders keep them.

The root is $BANACH_DATA, or ~/.cache/banach/data. Nothing is fetched but by `download`, which is torchvision's. The
files are read here, not by torchvision's loaders, for three reasons: those run CIFAR-10's pickles as they come (here
only numpy arrays can come out of one), parse five lists of CelebA where one is needed, and read no gzipped MNIST.
"""

import contextlib
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from banach.data.bundled import FASHION_CLASSES
from banach.data.errors import DataError, count
from banach.data.frames import Frame, frame
from banach.data.idx import find_idx, read_idx
from banach.data.images import read_pictures
from banach.data.sets import DATASETS, Raw

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
_FETCHED = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10", "celeba": "CelebA"}
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FACE = (25, 50, 153, 178)  # adler-j/tensordata celeba.py: rows 50 to 178, columns 25 to 153


def data_root() -> Path:
    """Where named data sets lie: $BANACH_DATA, or ~/.cache/banach/data."""
    return Path(os.environ.get("BANACH_DATA") or "~/.cache/banach/data").expanduser()


@DATASETS.register(name="mnist", examples=("mnist", "mnist:split=test"))
def mnist(split: str = "train") -> Raw:
    """70,000 grey 28x28 digits (60,000 in the training part)"""
    return _idx_set("mnist", split, [data_root() / "MNIST" / "raw"], tuple("0123456789"))


@DATASETS.register(name="fashion-mnist", examples=("fashion-mnist", "fashion-mnist:split=test"))
def fashion_mnist(split: str = "train") -> Raw:
    """70,000 grey 28x28 pictures of clothes (60,000 in the training part)"""
    return _idx_set("fashion-mnist", split, [data_root() / "FashionMNIST" / "raw", DEBIAN_FASHION], FASHION_CLASSES)


@DATASETS.register(name="cifar10", examples=("cifar10", "cifar10:split=all"))
def cifar10(split: str = "train") -> Raw:
    """60,000 colour 32x32 photographs in ten classes (50,000 in the training part)"""
    folder = data_root() / "cifar-10-batches-py"
    batches = {"train": [f"data_batch_{at}" for at in range(1, 6)], "test": ["test_batch"]}
    parts = [_cifar_batch(folder / name) for part in _parts("cifar10", split) for name in batches[part]]
    images = torch.cat([images for images, _ in parts])
    labels = torch.cat([labels for _, labels in parts])
    note = f"{len(images):,} colour images 32x32, CIFAR-10 {_words(split)}, from {folder}"
    return Raw("cifar10", images, labels, _CIFAR_CLASSES, (note,))


@DATASETS.register(name="celeba", examples=("celeba", "celeba:split=all"))
def celeba(split: str = "train", size: int | str | tuple[int, ...] | None = None, fit: str = "crop") -> Raw:
    """202,599 aligned 218x178 photographs of faces (162,770 in the training part), 64x64 unless --size says otherwise

    With fit "crop" the face's box, rows 50 to 178 and columns 25 to 153, is cut out and resized bilinearly, as in
    adler-j/tensordata (whose resize of 128 to 64 keeps every second pixel; this one averages). Other fits take the
    whole picture.
    """
    folder, parts = data_root() / "celeba", _parts("celeba", split)
    faces, listing = folder / "img_align_celeba", folder / "list_eval_partition.txt"
    if not faces.is_dir() or not listing.is_file():
        raise _missing("celeba", faces if not faces.is_dir() else listing)
    chosen = {{"train": "0", "test": "2"}[part] for part in parts} | ({"1"} if split == "all" else set())
    entries = [line.split() for line in listing.read_text().splitlines() if line.strip()]
    if any(len(entry) != 2 for entry in entries):
        raise DataError(f"{listing} is not CelebA's list of names and parts; delete it and run: banach download celeba")
    paths = [faces / name for name, part in entries if part in chosen]
    to = frame(size or 64, fit)
    assert to is not None
    if fit == "crop":
        to = Frame(to.height, to.width, fit, _FACE, Image.Resampling.BILINEAR)
    values, bad = read_pictures(paths, 3, to)
    if not len(values):
        raise _missing("celeba", paths[0] if paths else faces)
    notes = [f"{len(values):,} faces {to.height}x{to.width}, CelebA {_words(split)}, from {folder}"]
    notes += [f"rows 50 to 178, columns 25 to 153 of each, resized to {to.height}x{to.width}"] if fit == "crop" else []
    notes += [f"skipped {count(len(bad), 'file')}, the first {bad[0].path.name} ({bad[0].reason})"] if bad else []
    return Raw("celeba", values, notes=tuple(notes))


def download(name: str) -> Path:
    """Fetch a named data set into `data_root()` through torchvision and return the folder; whole ones stay as they are.

    Raises `DataError` for a name that has nothing to fetch, and where fetching fails.
    """
    entry = DATASETS.entry(name)
    if entry.name not in _FETCHED:
        raise DataError(f"{entry.name} needs no download; train on it with --data {entry.name}")
    root = data_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _torchvision(_FETCHED[entry.name])(str(root), download=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{entry.name} could not be fetched into {root}: {said[:300]}") from None
    return root


def _torchvision(name: str) -> Any:
    from torchvision import datasets  # a second of import, for `download` alone

    return getattr(datasets, name)


def _parts(name: str, split: str) -> tuple[str, ...]:
    if split not in ("train", "test", "all"):
        raise DataError(f"{name} has no part {split!r}; choose train, test or all")
    return ("train", "test") if split == "all" else (split,)


def _words(split: str) -> str:
    return {"train": "training part", "test": "test part", "all": "whole"}[split]


def _missing(name: str, path: Path) -> DataError:
    return DataError(f"{name} is not on this machine (no {path}); fetch it with: banach download {name}")


def _idx_set(name: str, split: str, folders: list[Path], class_names: tuple[str, ...]) -> Raw:
    """The images and labels in the first folder that has them, plain or gzipped."""
    prefixes = [{"train": "train", "test": "t10k"}[part] for part in _parts(name, split)]
    found: list[tuple[Path, Path]] = []
    folder = folders[0]
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            found = [
                (find_idx(folder, f"{prefix}-images-idx3-ubyte"), find_idx(folder, f"{prefix}-labels-idx1-ubyte"))
                for prefix in prefixes
            ]
            break
    if not found:
        raise _missing(name, folders[0])
    images = torch.cat([torch.from_numpy(read_idx(path, 3)) for path, _ in found])[:, None]
    labels = torch.cat([torch.from_numpy(read_idx(path, 1)) for _, path in found]).long()
    size = f"{images.shape[2]}x{images.shape[3]}"
    return Raw(
        name, images, labels, class_names, (f"{len(images):,} grey images {size}, {_words(split)}, from {folder}",)
    )


class _ArraysOnly(pickle.Unpickler):
    """Reads numpy arrays, numbers, texts, lists and dicts; refuses to run anything else a pickle may ask for."""

    _KNOWN = {
        ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.numeric", "_frombuffer"): ("numpy._core.numeric", "_frombuffer"),
        ("numpy._core.numeric", "_frombuffer"): ("numpy._core.numeric", "_frombuffer"),
        ("numpy", "ndarray"): ("numpy", "ndarray"),
        ("numpy", "dtype"): ("numpy", "dtype"),
        ("_codecs", "encode"): ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(*self._KNOWN[module, name])


def _cifar_batch(path: Path) -> tuple[Tensor, Tensor]:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the published files were pickled by an old numpy
            batch = _ArraysOnly(file, encoding="latin1").load()
        images = np.array(batch["data"], np.uint8).reshape(-1, 3, 32, 32)
        labels = torch.tensor(batch["labels"], dtype=torch.long)
    except FileNotFoundError:
        raise _missing("cifar10", path) from None
    except Exception as error:  # a cut or foreign pickle fails in any way it likes
        said = str(error).split("\n")[0] or type(error).__name__
        raise DataError(
            f"{path} is not a whole CIFAR-10 batch ({said}); delete it and run: banach download cifar10"
        ) from None
    return torch.from_numpy(images), labels
