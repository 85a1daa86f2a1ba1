"""What `banach distance A B` can compare: arrays, folders of pictures, data sets by name, runs; how each was read."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from banach.cli import output, units
from banach.cli.sample import draw, generator_file
from banach.cli.source import Source
from banach.data import Data, DataError, Raw
from banach.data.axes import resolve
from banach.data.formats import files
from banach.data.formats.stored import Stored
from banach.data.formats.tables import united
from banach.data.how import How, Limits
from banach.data.letters import described, spelled
from banach.data.load import read_as
from banach.data.memory import require
from banach.data.readings import hints
from banach.foreign import Unreadable, array_names, named_in_utf8, noted_axes, open_array, unpack_array, visible
from banach.generator import Ensemble, Generator
from banach.norms.structure import leaves
from banach.operators import Bessel
from banach.spaces import Metric, emphasises
from banach.specs import nearest
from banach.transport import TransportError, samples
from banach.transport.dependence import repeated
from banach.transport.numbers import numbers

_SOME = 2**16
"""Bytes beyond those that entries need."""


@dataclass(frozen=True)
class Reading:
    """How sources are read, and how many samples are taken (of a run 10,000 if not given), by which seed."""

    how: How
    n: int | None
    seed: int
    best: bool
    ranges: tuple[Limits, ...] = ()
    """The values of pictures that become black and white: of all sets, or of each in their order."""

    def of(self, place: int, count: int) -> "Reading":
        """The reading of one of so many sets."""
        if len(self.ranges) not in (0, 1, count):
            raise DataError(
                f"{len(self.ranges)} times --range for {count} sets; give it once for all, or once for each"
            )
        own = self.ranges[0 if len(self.ranges) == 1 else place] if self.ranges else None
        return dataclasses.replace(self, how=dataclasses.replace(self.how, range=own), seed=self.seed + place)

    @property
    def drawn(self) -> int:
        """How many samples of a run are drawn."""
        return self.n or 10_000


@dataclass(frozen=True)
class Two:
    """Two sources as they are named, their weights, and how their rows belong together."""

    a: str
    b: str
    how: Reading
    weights_a: str | None = None
    weights_b: str | None = None
    paired: bool = False
    groups: str | None = None
    ask_of_copies: bool = False
    """Samples that equal others are refused, where only some of them are taken."""


def read_source(text: str, how: Reading) -> Source:
    """The samples that a word on the command line names; `DataError` where there are none."""
    if is_drawn(text):
        return _run(Path(text).expanduser(), how)
    file, key = file_and_key(text)
    if (place := files.place(text)) is not None:
        stored = files.read(*place, how.how.categories, how.how.cache)
        if how.how.range is None and not (stored.array.dtype == np.uint8 and stored.array.ndim > 2):
            return _numbers(stored, place[0].name, how.how)
    elif file is not None and file.suffix.lower() in (".npy", ".npz", ".safetensors"):
        array = _array(file, key)
        if how.how.range is None and not (array.dtype == np.uint8 and array.ndim > 2):  # pictures are read as elsewhere
            named = f"{file.name}:{key}" if key else file.name
            return _numbers(Stored(array, noted_axes(file, key)), named, how.how)
        if file.suffix.lower() == ".safetensors":
            return _source(text, read_as(array, how.how))
    return _source("", read_as(text, how.how))


def read_alike(sets: Sequence[tuple[str, Reading]]) -> list[Source]:
    """The samples that words name. Axes that one of them knows, for a run or its samples say them, are those of arrays
    of such samples that do not."""
    read: dict[int, Source] = {}
    doubtful: list[int] = []
    for at, (text, how) in enumerate(sets):
        if _says_axes(text, how):
            read[at] = read_source(text, how)
        else:
            doubtful.append(at)
    places = {at: place for at in doubtful if (place := files.place(sets[at][0])) is not None}
    categories = next((one.categories for one in read.values() if one.categories), ())
    categories = categories or united([one for one in places.values() if files.format_of(one[0]) == "table"])
    for at in sorted(doubtful, key=lambda at: at not in places):
        text, how = sets[at]
        known = tuple(dict.fromkeys(pair for one in read.values() for pair in one.alike))
        like = dataclasses.replace(how.how, known=known, categories=categories)
        read[at] = read_source(text, dataclasses.replace(how, how=like))
    return [read[at] for at in range(len(sets))]


def _says_axes(text: str, how: Reading) -> bool:
    """Whether what is named says by itself how it is read: all but arrays without letters."""
    if is_drawn(text) or files.place(text) is not None:
        return is_drawn(text)  # of a file of another format its reader says it, which may look at others
    file, key = file_and_key(text)
    if how.how.axes is not None or file is None or file.suffix.lower() not in (".npy", ".npz", ".safetensors"):
        return True
    return bool(noted_axes(file, key))


def read_both(two: Two) -> tuple[Source, Source, Any, Any]:
    """The two sources and their weights, at most `n` samples of each."""
    how, n, seed, paired = two.how, two.how.n, two.how.seed, two.paired
    with output.waiting("reading A and B"):
        # Samples of two generators are drawn apart, each by its own seed, unless they are said to be pairs.
        first, other = how.of(0, 2), how.of(1, 2)
        other = dataclasses.replace(other, seed=seed) if paired else other
        a, b = read_alike([(two.a, first), (two.b, other)])
        a, b = units.checked((("A", a), ("B", b)))
        if two.weights_a is None and two.weights_b is None:
            units.check_are_samples(a, b, (two.a, two.b))
        w, v = read_weights(two.weights_a, len(a.values)), read_weights(two.weights_b, len(b.values))
    for name, source, weights in (("A", a, w), ("B", b, v)):
        if weights is not None and len(weights) != len(source.values):
            raise DataError(
                f"{name} has {len(source.values):,} samples and {len(weights):,} weights; give one for each"
            )
    if paired and len(a.values) != len(b.values):
        raise DataError(
            f"{len(a.values):,} and {len(b.values):,} samples cannot be paired row by row; give as many of each"
        )
    labels = read_groups(two.groups, len(a.values), len(b.values), paired)
    a, b = (dataclasses.replace(one, labels=those) for one, those in zip((a, b), labels, strict=True))
    if two.ask_of_copies and n and n < max(len(a.values), len(b.values)):
        _check_copies(a, b, paired)
    (a, rows), (b, columns) = taken(a, n, seed), taken(b, n, seed if paired else seed + 1)  # pairs stay pairs
    w = w if w is None or rows is None else w[rows.numpy()]
    v = v if v is None or columns is None else v[columns.numpy()]
    return a, b, w, v


def _check_copies(a: Source, b: Source, paired: bool) -> None:
    """TransportError where drawing some of the samples would hide that they repeat."""
    if equal := repeated(samples.read(a.values, b.values), paired):
        raise TransportError(
            f"{equal:,} of {len(a.values) + len(b.values):,} samples equal others, and --n draws what repeats more "
            "often; say --ties independent if they are separate draws, else leave --n out"
        )


def is_drawn(text: str) -> bool:
    """Whether a word names a run or a generator, whose samples are drawn by a seed, and no samples."""
    path = Path(text).expanduser()
    return (path / "config.yaml").is_file() or _is_generator(path)


def read_weights(text: str | None, count: int) -> np.ndarray | None:
    """One weight for each of `count` samples, from an npy or npz file, or a text file with one number a line."""
    if text is None:
        return None
    file, key = file_and_key(text)
    if file is None:
        raise DataError(f"there is no file of weights {text}; give an .npy, .npz or text file")
    if file.suffix.lower() in (".npy", ".npz", ".safetensors"):
        return _one_a_sample(_array(file, key, 64 * count + _SOME), file, "weight")
    found = []
    for line in _lines(file, 64 * count + _SOME):
        if word := line.partition("#")[0].strip():
            found.append(_weight(word, file))
    return np.array(found)


def _weight(word: str, file: Path) -> float:
    try:
        weight = float(word)
    except ValueError:
        raise DataError(f"{file}: {word[:60]!r} is no number; write one number a line") from None
    digits = word.lstrip("+-0")
    if math.isfinite(weight) and digits.isdigit() and int(digits) != abs(int(weight)):
        raise DataError(f"{file}: float64 rounds {word[:60]}; scale the weights down")
    return weight


def read_groups(text: str | None, n: int, m: int, paired: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels of the n rows of A and the m rows of B, from one file.

    An .npz with the arrays a and b; or one array, or a text with one label a line: those of A and then
    those of B or, of rows that are `paired`, one for each pair.
    """
    if text is None:
        return None, None
    file, key = file_and_key(text)
    if file is None:
        raise DataError(f"there is no file of groups {text}; give an .npy, .npz or text file")
    if file.suffix.lower() == ".npz" and not key:
        found = [_array(file, name, 1024 * (n + m) + _SOME) for name in "ab"]
        for name, one, count in zip("ab", found, (n, m), strict=True):
            if one.shape != (count,):
                raise DataError(f"{file}:{name} has shape {one.shape}; give one label for each of {count:,} samples")
        return found[0], found[1]
    if file.suffix.lower() in (".npy", ".npz", ".safetensors"):
        found = _one_a_sample(_array(file, key, 1024 * (n + m) + _SOME), file, "label")
    else:
        found = np.array([line.strip() for line in _lines(file, 1024 * (n + m) + _SOME)], dtype=str)
        if (found == "").any():
            raise DataError(f"{file}: line {int((found == '').argmax()) + 1} is empty; write one label a line")
    if paired and len(found) == n:
        return found, None
    if len(found) != n + m:
        wanted = f"{n:,} (one a pair) or {n + m:,}" if paired else f"{n + m:,}: {n:,} of A, then {m:,} of B"
        raise DataError(f"{file} holds {len(found):,} labels; give {wanted}")
    return found[:n], found[n:]


def _one_a_sample(array: np.ndarray, file: Path, what: str) -> np.ndarray:
    """The array as (k,); DataError for one of several columns, which have no order as one."""
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        return array.reshape(-1)
    raise DataError(f"{file} has shape {array.shape}; give one {what} a sample, in one column")


def _lines(file: Path, most: int) -> list[str]:
    """The lines of a text of at most so many bytes, without an empty last one."""
    try:
        with file.open("rb") as opened:
            found = opened.read(most + 1)
        if len(found) > most:
            raise DataError(f"{file} has more than {most:,} bytes, too many for these samples; write one a line")
        lines = found.decode("utf-8-sig").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as text ({error}); write one a line") from None
    return [line.removesuffix("\r") for line in lines]


def taken(source: Source, n: int | None, seed: int) -> tuple[Source, Tensor | None]:
    """At most n samples of a source, drawn by the seed, and which; None for all in their order."""
    if n is None or n >= len(source.values):
        return source, None
    rows = torch.randperm(len(source.values), generator=torch.Generator().manual_seed(seed))[:n]
    note = f"{n:,} of {len(source.values):,} samples, drawn by seed {seed}"
    labels = None if source.labels is None else source.labels[rows.numpy()]
    return dataclasses.replace(source, values=source.values[rows], notes=(*source.notes, note), labels=labels), rows


def told_of(a: Source, b: Source, metric: Metric) -> Iterator[str]:
    """Lines on how both were read, and on the norm."""
    return told_of_sets((("A", a), ("B", b)), metric)


def told_of_sets(sets: Iterable[tuple[str, Source]], metric: Metric) -> Iterator[str]:
    """The same of any number of sets, by name."""
    for name, source in sets:
        yield f"{name:<10}{source.name}: {'; '.join(source.notes)}"
    yield f"norm      {metric!r}: {emphasises(metric)}; {_geometry(metric)}"


def _geometry(metric: Metric) -> str:
    """The length and the boundary that the filters of a norm assume; for others, that they have none."""
    form = metric.form()
    filters = [] if form is None else [one for leaf in leaves(form) for one in leaf.maps if isinstance(one, Bessel)]
    said = [
        f"{'pixel frequencies, no length' if one.length is None else f'length {one.length}'}, boundary {one.boundary}"
        for one in filters
    ]
    return " and ".join(dict.fromkeys(said)) or "no length or boundary"


def _is_generator(path: Path) -> bool:
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    try:
        with named_in_utf8(path) as name, safetensors.safe_open(name, "pt") as file:
            return "banach" in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False


def _run(path: Path, how: Reading) -> Source:
    if how.how.range not in (None, (0.0, 255.0)):
        raise DataError(f"--range is for files of pictures, and {path} draws its own; write --range 0,255 for that set")
    file = generator_file(str(path), how.best)
    generator = Generator.load(file)
    values, layout = draw(Ensemble((generator,)), [how.seed], how.drawn), generator.about.layout
    values = values if layout is None else layout.cut(values)
    said = f"{how.drawn:,} samples of the generator {file} (step {generator.about.step:,}), seed {how.seed}"
    made = Source(str(path), _in_units(values), (said, *_units(values)))
    made = dataclasses.replace(made, categories=layout.categories if layout else ())
    return dataclasses.replace(made, pictures=values.dtype == torch.uint8, alike=layout.alike if layout else ())


def file_and_key(text: str) -> tuple[Path | None, str]:
    """The file that a text names, alone or as file:key."""
    whole, (archive, _, key) = Path(text).expanduser(), text.rpartition(":")
    if whole.is_file():
        return whole, ""
    found = Path(archive).expanduser()
    return (found, key) if archive and found.is_file() else (None, "")


def _array(file: Path, key: str, most: int | None = None) -> np.ndarray:
    """The array in a file as it is stored, double precision included; of at most so many bytes."""

    def told(size: int) -> None:
        if most is not None and size > most:
            raise DataError(f"{file} holds {size:,} bytes, too many for these samples; give one entry for each")
        require(size, f"{file}:{key}", "take a part of it")

    try:
        found = _names(file)
        key = key or ("samples" if {"samples", "axes"} <= set(found) else "")  # as `banach sample` writes them
        if key and found == [""]:
            raise DataError(f"{file} holds one array without a name; write it without :{key}")
        if key and key not in found:
            raise DataError(f"{file} holds no array {key!r}; {nearest(key, found)}")
        if not key and len(found) != 1:
            names = ", ".join(map(visible, found[:8]))
            raise DataError(f"{file} holds {len(found)} arrays ({names}); name one, {file}:{visible([*found, 'x'][0])}")
        if file.suffix.lower() == ".safetensors":
            with named_in_utf8(file) as plain, safetensors.safe_open(plain, "pt") as opened:
                tensor = opened.get_tensor(key or found[0])
            return tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()
        if found == [""]:
            return open_array(file)
        return unpack_array(file, key or found[0], told)
    except (OSError, Unreadable, safetensors.SafetensorError, TypeError) as error:
        said = str(error).split("\n")[0] or type(error).__name__
        raise DataError(f"{file} cannot be read as an array ({said}); write it again") from None


def _names(file: Path) -> list[str]:
    """The arrays in a file; one without a name is all of an .npy file, whatever the file is called."""
    if file.suffix.lower() == ".safetensors":
        with named_in_utf8(file) as plain, safetensors.safe_open(plain, "pt") as opened:
            return list(opened.keys())
    with file.open("rb") as opened:
        return [""] if opened.read(6) == b"\x93NUMPY" else array_names(file)


def _numbers(stored: Stored, name: str, how: How) -> Source:
    array, own = stored.array, stored.axes
    if array.ndim == 0:
        raise DataError(f"{name} holds a single number; a distance needs samples on both sides, such as (n, 1)")
    if array.size == 0:
        raise DataError(f"{name} is empty {array.shape}; a distance needs samples on both sides")
    for flag in how.of_folders():
        raise DataError(f"{flag} is for folders of picture files, and {name} is an array; leave it out")
    axes, by = resolve(array, name, how, own, stored.options)
    arranged = axes.arranged(array)
    event = tuple(arranged.shape[1:])
    said = f"{described(len(arranged), event)}; {array.dtype}, shape {array.shape}"
    said += f", axes {how.axes or spelled(axes.letters)} ({by})"
    notes = (said, *stored.notes, "in its own units", *hints(array, arranged))
    sure = how.axes is not None or own == spelled(axes.letters)
    alike = ((axes.letters, event),) if sure else ()
    return Source(
        name, numbers(arranged, name), notes, dtype=str(array.dtype), asked=how.axes is None and not own, alike=alike
    )


def _source(name: str, found: Raw | Data) -> Source:
    """The samples of a data set as it is read; of one that is split already its training part."""
    whole = isinstance(found, Raw)
    values = found.values[:] if isinstance(found, Raw) else found.train[:]
    notes = (*found.notes, *_units(values), *(found.doubts if isinstance(found, Raw) else ()))
    made = Source(name or found.name, _in_units(values), notes if whole else (*notes, "its training part"))
    alike = found.layout.alike if found.layout else ()
    return dataclasses.replace(made, pictures=values.dtype == torch.uint8, alike=alike)


def _in_units(values: Tensor) -> Tensor:
    return values.float() / 127.5 - 1 if values.dtype == torch.uint8 else values


def _units(values: Tensor) -> tuple[str, ...]:
    return ("pixels 0..255 become [-1, 1]",) if values.dtype == torch.uint8 else ()
