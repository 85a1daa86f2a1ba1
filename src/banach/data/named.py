"""MNIST, Fashion-MNIST, CIFAR-10 and CelebA by name, read from disk by torchvision's data sets.

The root is $BANACH_DATA, or ~/.cache/banach/data, laid out as torchvision lays it out. Nothing is fetched but by
`download`. Fashion-MNIST is also found where Debian's package dataset-fashion-mnist puts it.
"""

import contextlib
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from banach.data.bundled import FASHION_CLASSES
from banach.data.dataset import DATASETS, Raw
from banach.data.idx import find_idx, read_idx
from banach.data.images import read_pictures
from banach.data.resize import Frame, frame
from banach.data.wording import count
from banach.errors import DataError

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
_FETCHED = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10", "celeba": "CelebA"}
_FACES = "img_align_celeba"
_FACE = (25, 50, 153, 178)  # adler-j/tensordata celeba.py: rows 50 to 178, columns 25 to 153


def data_root() -> Path:
    """Where named data sets lie: $BANACH_DATA, or ~/.cache/banach/data."""
    return Path(os.environ.get("BANACH_DATA") or "~/.cache/banach/data").expanduser()


@DATASETS.register(name="mnist", examples=("mnist", "mnist:split=test"))
def mnist(split: str = "train") -> Raw:
    """70,000 grey 28x28 digits (60,000 in the training part)"""
    parts = [_opened("mnist", train=part == "train") for part in _parts("mnist", split)]
    return _grey("mnist", split, [(part.data, part.targets) for part in parts], tuple("0123456789"))


@DATASETS.register(name="fashion-mnist", examples=("fashion-mnist", "fashion-mnist:split=test"))
def fashion_mnist(split: str = "train") -> Raw:
    """70,000 grey 28x28 pictures of clothes (60,000 in the training part)"""
    parts = _parts("fashion-mnist", split)
    try:
        sets = [_opened("fashion-mnist", train=part == "train") for part in parts]
    except _Missing:
        with contextlib.suppress(FileNotFoundError):
            pairs = [_debian_part(part) for part in parts]
            return _grey("fashion-mnist", split, pairs, FASHION_CLASSES, DEBIAN_FASHION)
        raise
    return _grey("fashion-mnist", split, [(one.data, one.targets) for one in sets], FASHION_CLASSES)


@DATASETS.register(name="cifar10", examples=("cifar10", "cifar10:split=all"))
def cifar10(split: str = "train") -> Raw:
    """60,000 colour 32x32 photographs in ten classes (50,000 in the training part)"""
    parts = [_opened("cifar10", train=part == "train") for part in _parts("cifar10", split)]
    images = torch.cat([torch.from_numpy(part.data).permute(0, 3, 1, 2) for part in parts])
    labels = torch.tensor([label for part in parts for label in part.targets], dtype=torch.long)
    note = f"{len(images):,} colour images 32x32, CIFAR-10 {_words(split)}, from {_folder('cifar10')}"
    return Raw("cifar10", images.contiguous(), labels, tuple(parts[0].classes), (note,))


@DATASETS.register(name="celeba", examples=("celeba", "celeba:split=all"))
def celeba(
    split: str = "train", size: int | str | tuple[int, ...] | None = None, fit: str = "crop", cache: str = "auto"
) -> Raw:
    """202,599 aligned 218x178 photographs of faces (162,770 in the training part), 64x64 unless --size says otherwise

    With fit "crop" the face's box, rows 50 to 178 and columns 25 to 153, is cut out and resized bilinearly, as in
    adler-j/tensordata (whose resize of 128 to 64 keeps every second pixel; this one averages). Other fits take the
    whole picture.
    """
    _parts("celeba", split)
    folder = _folder("celeba")
    paths = [folder / _FACES / name for name in _opened("celeba", split=split).filename]
    to = frame(size or 64, fit)
    assert to is not None
    if fit == "crop":
        to = Frame(to.height, to.width, fit, _FACE, Image.Resampling.BILINEAR)
    found = read_pictures(folder / _FACES, paths, 3, to, cache)
    values, bad = found.values, found.bad
    if not len(values):
        raise _missing("celeba", paths[0] if paths else folder / _FACES)
    notes = [f"{len(values):,} faces {to.height}x{to.width}, CelebA {_words(split)}, from {folder}"]
    notes += [f"rows 50 to 178, columns 25 to 153 of each, resized to {to.height}x{to.width}"] if fit == "crop" else []
    notes += [f"skipped {count(len(bad), 'file')}, the first {bad[0].path.name} ({bad[0].reason})"] if bad else []
    return Raw("celeba", values, notes=(*notes, *found.cache))


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
    except Exception as error:  # what is there already may be damaged in any way
        said = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{entry.name} could not be fetched into {root}: {said[:300]}") from None
    return root


def _torchvision(name: str) -> Any:
    from torchvision import datasets  # a second of import, for these sets alone

    return getattr(datasets, name)


def _opened(name: str, **part: bool | str) -> Any:
    """torchvision's data set of this name, one part of it; DataError if it is not there or damaged."""
    loader = _torchvision(_FETCHED[name])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the published files of CIFAR-10 were pickled by an old numpy
            return loader(str(data_root()), download=False, **part)
    except Exception as error:  # damaged files fail in any way they like
        raise _unread(name, loader, error) from None


def _unread(name: str, loader: Any, error: Exception) -> DataError:
    """Why torchvision did not read a set: a file is missing or has another checksum, or else what it says itself."""
    folder, again = _folder(name), f"delete it and run: banach download {name}"
    files = _files(name, loader)
    for file in files:
        if not (folder / file).exists():
            return _missing(name, folder / file)
    if isinstance(error, OSError):
        return DataError(f"{name} cannot be read from {folder}: {error}")
    for file, md5 in files.items():
        if md5 is not None and not _torchvision("utils").check_integrity(folder / file, md5):
            return DataError(f"{folder / file} is damaged (its md5 is not the published one); {again}")
    said = str(error).split("\n")[0].split(". You can use")[0] or type(error).__name__
    return DataError(f"{folder} does not hold a whole {name} ({said}); {again}")


def _folder(name: str) -> Path:
    """Where torchvision keeps a set's files."""
    return data_root() / {"cifar10": "cifar-10-batches-py", "celeba": "celeba"}.get(name, f"{_FETCHED[name]}/raw")


def _files(name: str, loader: Any) -> dict[str, str | None]:
    """The files that torchvision looks for in the folder, with the md5 of those that it checks when it reads."""
    if name == "cifar10":
        return dict(loader.train_list + loader.test_list)
    if name == "celeba":
        return {_FACES: None} | {file: md5 for _, md5, file in loader.file_list if file.endswith(".txt")}
    return {file.removesuffix(".gz"): None for file, _ in loader.resources}


def _parts(name: str, split: str) -> tuple[str, ...]:
    if split not in ("train", "test", "all"):
        raise DataError(f"{name} has no part {split!r}; choose train, test or all")
    return ("train", "test") if split == "all" else (split,)


def _words(split: str) -> str:
    return {"train": "training part", "test": "test part", "all": "whole"}[split]


class _Missing(DataError):
    pass


def _missing(name: str, path: Path) -> DataError:
    return _Missing(f"{name} is not on this machine (no {path}); fetch it with: banach download {name}")


def _debian_part(part: str) -> tuple[Tensor, Tensor]:
    """Images and labels of Debian's package, whose files stay gzipped, which torchvision does not read."""
    prefix = {"train": "train", "test": "t10k"}[part]
    images = read_idx(find_idx(DEBIAN_FASHION, f"{prefix}-images-idx3-ubyte"), 3)
    labels = read_idx(find_idx(DEBIAN_FASHION, f"{prefix}-labels-idx1-ubyte"), 1)
    return torch.from_numpy(images), torch.from_numpy(labels).long()


def _grey(
    name: str, split: str, parts: list[tuple[Tensor, Tensor]], names: tuple[str, ...], folder: Path | None = None
) -> Raw:
    images = torch.cat([images for images, _ in parts])[:, None]
    labels = torch.cat([labels for _, labels in parts])
    size = f"{images.shape[2]}x{images.shape[3]}"
    note = f"{len(images):,} grey images {size}, {_words(split)}, from {folder or _folder(name)}"
    return Raw(name, images, labels, names, (note,))
