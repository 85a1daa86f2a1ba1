"""What a reader hands over (`Raw`), what the rest of the package works with (`Data`), and the names of data sets."""

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Literal, Self

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from banach.data import cache, memory
from banach.data.how import Limits
from banach.data.layout import Layout
from banach.data.progress import progress
from banach.data.rows import Rows, Samples, blocks, taken
from banach.data.units import Units, fit_units
from banach.data.wording import count
from banach.errors import DataError
from banach.specs import Registry

DATASETS = Registry("data set")
_BLOCK = 1 << 22  # entries


@dataclasses.dataclass(frozen=True, eq=False)
class Raw:
    """All samples of a data set as one tensor, or as rows of a mapped file, before any is held out.

    `values` is uint8 (n, c, h, w) with 1 or 3 channels, which makes them images, or float32 (n, d) or (n, c, *spatial)
    in the data's own units. `labels` are class numbers, `class_names` their names in order. `notes` say how the data
    were read, `doubts` what may be misread, with the cure. `normalise` is what arrays get when the user asks for
    nothing. `range` are the stored values that became 0 and 255, if those were given or measured, `extent` the lowest
    and the highest stored value of pictures, where it is known. `layout` is how they lay, of an array.
    """

    name: str
    values: Samples
    labels: Int64[Tensor, "n"] | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    normalise: str = "standard"
    doubts: tuple[str, ...] = ()
    range: Limits | None = None
    extent: Limits | None = None
    layout: Layout | None = None

    def __post_init__(self):
        if not (self.is_image or (self.values.dtype == torch.float32 and self.values.ndim >= 2)):
            raise DataError(
                f"{self.name}: samples must be uint8 (n, 1 or 3, h, w) or float32 (n, d) or (n, c, …), "
                f"not {str(self.values.dtype).removeprefix('torch.')} {tuple(self.values.shape)}"
            )
        if self.labels is not None and self.labels.shape != self.values.shape[:1]:
            raise DataError(f"{self.name}: {count(len(self.labels), 'label')} for {len(self.values):,} samples")

    @property
    def is_image(self) -> bool:
        return self.values.dtype == torch.uint8 and self.values.ndim == 4 and self.values.shape[1] in (1, 3)

    @property
    def kind(self) -> Literal["image", "array", "points"]:
        return "image" if self.is_image else "points" if self.values.shape[1:] == (2,) else "array"


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """A data set as it is trained on: the training part, the part held out, and the map to model units.

    `train` and `held_out` are uint8 (n, c, h, w) for images, float32 in the data's units for arrays and points, both in
    an order drawn by the split's seed: tensors, or `Rows` of a mapped file, which give tensors when indexed. `labels`
    belong to `train`. `notes` are lines on how the data were read.
    `fingerprint` is a sha256 over both parts in their order: another file, class filter, size or split gives another.
    `range` are the stored values of pictures that became 0 and 255, if those were given or measured, `extent` the
    lowest and the highest, where that is known. `layout` is how they lay in an array; samples are brought back to it.
    """

    name: str
    kind: Literal["image", "array", "points"]
    train: Samples
    held_out: Samples
    labels: Int64[Tensor, "n"] | None
    shape: tuple[int, ...]
    units: Units
    notes: tuple[str, ...]
    fingerprint: str
    class_names: tuple[str, ...] = ()
    range: Limits | None = None
    extent: Limits | None = None
    layout: Layout | None = None

    def batch(self, rows: Tensor) -> Float32[Tensor, "b *event"]:
        """The training samples of these rows in model units."""
        rows = rows.to(self.train.device)
        if isinstance(self.train, Rows):
            return self.model_units(self.train[rows])
        return self.model_units(self.train.index_select(0, rows))  # ten times as fast as indexing, of uint8

    def model_units(self, raw: Tensor) -> Float32[Tensor, "b *event"]:
        """Samples in the data's units (uint8 for images), in model units."""
        return self.units.to_model(raw)

    def to(self, device: torch.device | str) -> Self:
        """The same data with its tensors on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        train, held_out = self.train.to(device), self.held_out.to(device)
        return dataclasses.replace(self, train=train, held_out=held_out, labels=labels, units=self.units.to(device))


def split_off(
    raw: Raw,
    *,
    holdout: float = 0.1,
    seed: int = 0,
    classes: Iterable[int | str] | str | None = None,
    normalise: str | None = None,
) -> Data:
    """The data set with a share `holdout` of its samples set aside by `seed`, and units fitted on the rest.

    `classes` keeps the samples of these class numbers or names only. Raises `DataError` for a share outside [0, 1), for
    classes the set has not, for `normalise` on images, and for fewer than two samples.
    """
    if not 0 <= holdout < 1:
        raise DataError(f"holdout {holdout} is not a share of the data; choose one from 0 up to, not including, 1")
    if normalise is not None and raw.is_image:
        raise DataError("images always become [-1, 1]; leave out --normalise, it is for arrays")
    raw = _only(raw, tuple(classes.split(",") if isinstance(classes, str) else classes or ()))
    n = len(raw.values)
    if n < 2:
        raise DataError(f"{raw.name} holds {count(n, 'sample')}; training needs at least 2")
    if not isinstance(raw.values, Rows):
        memory.require(raw.values.nbytes, f"splitting {count(n, 'sample')}", "use a smaller part of the data or --size")
    held = min(n - 1, max(1, round(holdout * n))) if holdout else 0
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    train, held_out = taken(raw.values, order[held:]), taken(raw.values, order[:held])
    units = Units("pixels") if raw.is_image else fit_units(train, normalise or raw.normalise)
    if raw.layout is not None and raw.layout.metadata is not None:
        units = units.keeping(raw.layout.metadata.blocks)
    notes = raw.notes + ((f"held out {held:,} of {n:,}, by seed {seed}",) if held else ("nothing held out",))
    return Data(
        name=raw.name,
        kind=raw.kind,
        train=train,
        held_out=held_out,
        labels=None if raw.labels is None else raw.labels[order[held:]],
        shape=tuple(train.shape[1:]),
        units=units,
        notes=notes + _about(units) + raw.doubts,
        fingerprint=cache.remembered((train, held_out), lambda: fingerprint(train, held_out)),
        class_names=raw.class_names,
        range=raw.range,
        extent=raw.extent,
        layout=raw.layout,
    )


def check_varies(data: Data, doubts: tuple[str, ...]) -> None:
    """DataError where all pictures are the same, with the cause; arrays say which of their channels are constant."""
    first = data.train[:1]
    parts = (data.train, data.held_out)
    if data.kind != "image" or any(bool((one != first).any()) for part in parts for one in blocks(part, _BLOCK)):
        return
    one = f", every entry {int(first.reshape(-1)[0])}" if bool((first == first.reshape(-1)[0]).all()) else ""
    cause = "; ".join(doubts) or "there is nothing to learn, check the files"
    raise DataError(f"all {count(sum(map(len, parts)), 'picture')} of {data.name} are the same{one}: {cause}")


def _about(units: Units) -> tuple[str, ...]:
    if units.scale is None or units.shift is None:
        return ("pixels 0..255 become [-1, 1]",)
    names = {
        "standard": "each channel shifted to mean 0 and scaled to deviation 1",
        "minmax": "each channel scaled to [-1, 1]",
        "none": "used in their own units",
    }
    notes = (f"{names[units.method]} (--normalise {units.method})",)
    if still := (units.scale == 0).nonzero()[:, 0].tolist():
        shown = ", ".join(f"{at} ({float(units.shift[at]):g})" for at in still[:3]) + (", …" if len(still) > 3 else "")
        notes += (f"{count(len(still), 'channel')} constant, samples will carry the constant: {shown}",)
    return notes


def _only(raw: Raw, classes: tuple[int | str, ...]) -> Raw:
    """The samples of the chosen classes."""
    if not classes:
        return raw
    if raw.labels is None:
        raise DataError(f"{raw.name} has no labels to choose classes {', '.join(map(str, classes))} by")
    present = sorted(set(raw.labels.tolist()))
    chosen = []
    for one in classes:
        number = _class_number(one, raw.class_names)
        if number not in present:
            known = ", ".join(f"{at} {raw.class_names[at]}" if at < len(raw.class_names) else f"{at}" for at in present)
            raise DataError(f"{raw.name} has no class {one!r}; its classes are {known}")
        chosen.append(number)
    keep = torch.isin(raw.labels, torch.tensor(chosen))
    kept = int(keep.sum())
    note = f"{kept:,} of {len(keep):,} kept: classes {', '.join(str(one) for one in classes)}"
    values = taken(raw.values, keep.nonzero()[:, 0])
    return dataclasses.replace(raw, values=values, labels=raw.labels[keep], notes=(*raw.notes, note))


def _class_number(one: int | str, names: tuple[str, ...]) -> int:
    if isinstance(one, int):
        return one
    by_name = {name.lower(): at for at, name in enumerate(names)}
    return int(one) if one.isdecimal() else by_name.get(one.lower(), -1)


def fingerprint(*parts: Samples) -> str:
    """sha256 over the types, shapes and bytes of samples in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.dtype} {tuple(part.shape)};".encode())
        for block in progress(blocks(part, _BLOCK), -(-part.numel() // _BLOCK), "taking the fingerprint"):
            digest.update(block.detach().cpu().contiguous().numpy().reshape(-1).view("uint8").data)
    return digest.hexdigest()
