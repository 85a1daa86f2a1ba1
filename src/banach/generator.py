"""A trained generator: one file that is enough to draw samples in the units of the data."""

import base64
import hashlib
import html
import json
import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from banach.data.layout import Layout
from banach.data.pictures import draw as draw_picture
from banach.data.units import Units
from banach.errors import BanachError
from banach.files import encodable, write_bytes
from banach.foreign import named_in_utf8, visible
from banach.models import MODELS, build_generator
from banach.models.described import AnySize
from banach.specs import SpecError
from banach.streams import seed_of, stream

FORMAT = 2
"""Files are written in the first format that says all of them: 2 where networks see other things than zeros around."""

_BLOCK = 1024
_WEIGHTS, _UNITS = "generator.", "units."
_SHOWN = {"image": 16, "array": 8, "points": 1000}
"""Samples in a notebook's card, by the kind of data."""


class GeneratorError(BanachError):
    """A generator file that cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a generator is and where it comes from; stored with it.

    `model`, `shape`, `z`, `width`, `output` rebuild the network; `data`, `kind`, `space`, `step`, `config` (YAML) and
    `version` (of this package) say how it was trained, `fingerprint` on which samples and which of them were held out
    (`Data.fingerprint`; empty in files of older versions), `layout` how they lay, if that was an array. `padding` is
    what the network's convolutions see beyond the border.
    """

    model: str
    shape: tuple[int, ...]
    z: int
    width: int
    output: str
    data: str = ""
    kind: str = "array"
    space: str = ""
    step: int = 0
    config: str = ""
    version: str = ""
    fingerprint: str = ""
    layout: Layout | None = None
    padding: tuple[str, ...] = ("zero",)

    @property
    def format(self) -> int:
        """The least format of files that versions of this package must know."""
        return 2 if {*self.padding} - {"zero"} else 1

    def at(self, size: int | Sequence[int] | None) -> "About":
        """Of the same samples with so many places on every axis, or on each; what was cut or added shrinks with them.

        GeneratorError where the axes are others.
        """
        if size is None:
            return self
        axes = len(self.shape) - 1
        sides = (size,) * axes if isinstance(size, int) else tuple(size)
        sides *= axes if len(sides) == 1 else 1
        if len(sides) != axes or min(sides, default=0) < 1:
            shown = "x".join(map(str, self.shape[1:])) or "none"
            raise GeneratorError(
                f"size {size} for samples with {axes} axes in space or time ({shown}); give one or each"
            )
        return replace(self, shape=(self.shape[0], *sides), layout=_resized(self.layout, self.shape, sides))

    def metadata(self) -> dict[str, str]:
        """As the strings of a safetensors file's header."""
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in asdict(self).items()}
        return {key: encodable(text) for key, text in texts.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """From the strings of a safetensors file's header; KeyError or ValueError where they do not fit."""
        return cls(
            model=metadata["model"],
            shape=tuple(int(one) for one in json.loads(metadata["shape"])),
            z=int(metadata["z"]),
            width=int(metadata["width"]),
            output=metadata["output"],
            data=metadata["data"],
            kind=metadata["kind"],
            space=metadata["space"],
            step=int(metadata["step"]),
            config=metadata["config"],
            version=metadata["version"],
            fingerprint=metadata.get("fingerprint", ""),
            layout=Layout.from_facts(json.loads(metadata.get("layout", "null"))),
            padding=tuple(str(one) for one in json.loads(metadata.get("padding", '["zero"]'))),
        )

    def as_data(self, samples: Tensor) -> Tensor:
        """Samples (n, *shape) with the axes, shape and type of the array that was trained on."""
        return samples if self.layout is None else self.layout.tensor(samples)


@dataclass(frozen=True, eq=False)
class Generator:
    """A trained generator with the units of its data.

    `network` maps latents (b, z) to samples (b, *shape) in model units; `units` takes them to those of the data.
    `folder` and `score` say where it was trained and how good it is, as far as whoever made it knows.
    """

    network: nn.Module
    units: Units
    about: About
    folder: str = ""
    score: str = ""

    def __repr__(self) -> str:
        """One line: what it is, where it comes from, how good it is."""
        of = self.about
        shape = "x".join(map(str, of.shape))
        said = [f"{of.model}, samples {shape}", f"step {of.step:,}", f"in {of.space}" if of.space else ""]
        return visible(f"Generator({', '.join(filter(None, (*said, self.score, self.folder)))})")

    def _repr_html_(self) -> str:
        """The same above a few samples, for notebooks."""
        with tempfile.TemporaryDirectory() as folder:
            picture = draw_picture(self.draw(_SHOWN.get(self.about.kind, 8)), Path(folder) / "samples.png")
            encoded = base64.b64encode(picture.read_bytes()).decode("ascii")
        image = f'<img src="data:image/png;base64,{encoded}" alt="generated samples" style="max-width: 100%">'
        return f"<div><code>{html.escape(repr(self))}</code></div><div>{image}</div>"

    def sample(self, n: int, seed: int = 0, batch: int = 256, size: int | Sequence[int] | None = None) -> Tensor:
        """`n` samples as the data are, on the CPU: in their units, order of axes, shape and type.

        They depend on `seed` alone: sample i is the same whatever `n`, and (to rounding) whatever `batch` and device.
        Integers are rounded to (`Layout`). With `size`, the places on every axis or on each, a generator of functions
        (model spectral) draws the same functions on another grid; GeneratorError for other models.
        """
        return self.about.at(size).as_data(self.draw(n, seed, batch, size))

    @torch.no_grad()
    def draw(self, n: int, seed: int = 0, batch: int = 256, size: int | Sequence[int] | None = None) -> Tensor:
        """The same as networks have them: (n, *shape), uint8 for images, float32 for arrays, in the data's units."""
        if n < 1 or batch < 1:
            raise GeneratorError(f"sample(n={n}, batch={batch}): both must be at least 1")
        sides = self._sides(size)
        if sides:  # no more places at once than a batch has at the size of training
            batch = max(1, batch * math.prod(self.about.shape[1:]) // max(math.prod(sides[0]), 1))
        where = next(self.network.parameters())
        trained_mode = self.network.training
        self.network.eval()
        try:
            latents = self._latents(n, seed).split(batch)
            blocks = [self.network(z.to(where.device, where.dtype), *sides) for z in latents]
        finally:
            self.network.train(trained_mode)
        return torch.cat([self.units.to_data(block).cpu() for block in blocks])

    def _sides(self, size: int | Sequence[int] | None) -> tuple[tuple[int, ...], ...]:
        """What the network is given beside latents: () for the size that it was trained at."""
        shape = self.about.at(size).shape
        if shape == self.about.shape:
            return ()
        if not isinstance(self.network, AnySize):
            trained = "x".join(map(str, self.about.shape[1:]))
            raise GeneratorError(
                f"size: the model {self.about.model} draws at {trained} alone; one of --model spectral draws at any "
                "size"
            )
        return (shape[1:],)

    def _latents(self, n: int, seed: int) -> Tensor:
        """Latents (n, z), drawn on the CPU in blocks of one size: torch's numbers depend on how many are asked for."""
        rng = stream("cpu", seed, "samples")
        blocks = [torch.randn(_BLOCK, self.about.z, generator=rng) for _ in range(-(-n // _BLOCK))]
        return torch.cat(blocks)[:n]

    def to(self, device: torch.device | str) -> "Generator":
        """The same generator with its weights on another device (they are moved, not copied)."""
        return replace(self, network=self.network.to(device), units=self.units.to(device))

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file with everything that `load` needs, atomically."""
        units = self.units.state_dict()
        tensors = {_WEIGHTS + name: one for name, one in self.network.state_dict().items()}
        tensors |= {_UNITS + name: one for name, one in units.items() if isinstance(one, Tensor)}
        tensors = {name: one.detach().cpu().clone().contiguous() for name, one in tensors.items()}
        header = {"banach": str(self.about.format), "hash": _hash(tensors), **self.about.metadata()}
        header |= {_UNITS + name: str(one) for name, one in units.items() if not isinstance(one, Tensor)}
        write_bytes(Path(path), save(tensors, header))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote; raises `GeneratorError` naming the file and the remedy."""
        path = Path(path)
        header, tensors = _read(path)
        try:
            about = About.from_metadata(header)
            units = {name.removeprefix(_UNITS): one for name, one in header.items() if name.startswith(_UNITS)}
            units |= {name.removeprefix(_UNITS): one for name, one in tensors.items() if name.startswith(_UNITS)}
            weights = {name: one for name, one in tensors.items() if name.startswith(_WEIGHTS)}
            weights = {name.removeprefix(_WEIGHTS): one for name, one in weights.items()}
            if MODELS[about.model].generator.__module__.startswith("banach."):  # no memory is taken on the file's word
                with torch.device("meta"):
                    sketch = _build(about)
                sketch.load_state_dict(weights, assign=True)
            network = _build(about)
            network.load_state_dict(weights)
            return cls(network.eval().requires_grad_(False), _units(units, about), about)
        except SpecError as error:
            raise GeneratorError(
                f"{path}: {error}\nif a plugin file brought its model, load that first: --plugin mine.py"
            ) from None
        except Exception as error:  # what is missing or of another type fails in its own way
            said = " ".join(str(error).split())[:160] or type(error).__name__
            version = header.get("version", "?")
            raise GeneratorError(f"{path}, of banach {version}, does not fit this version: {said}") from error


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Generators of one kind of samples as one: sample i is of member i mod k, each with latents of its own.

    An ensemble of one is that generator. GeneratorError where there is none, or where samples are not alike.
    """

    members: tuple[Generator, ...]

    def __post_init__(self):
        if not self.members:
            raise GeneratorError("an ensemble of no generators; give at least one")
        first, *others = (one.about for one in self.members)
        for other in others:
            if (other.shape, other.kind) != (first.shape, first.kind):
                raise GeneratorError(
                    f"an ensemble needs samples of one kind, not {first.kind} {first.shape} and {other.kind} "
                    f"{other.shape}"
                )

    @property
    def about(self) -> About:
        """Of the last member."""
        return self.members[-1].about

    def sample(self, n: int, seed: int = 0, batch: int = 256, size: int | Sequence[int] | None = None) -> Tensor:
        """`n` samples as the data are; sample i is the same whatever `n`."""
        return self.about.at(size).as_data(self.draw(n, seed, batch, size))

    def draw(self, n: int, seed: int = 0, batch: int = 256, size: int | Sequence[int] | None = None) -> Tensor:
        """The same as networks have them, (n, *shape) in the data's units."""
        k = len(self.members)
        made: Tensor | None = None
        for at, member in enumerate(self.members[: max(n, 1)]):
            part = member.draw(-(-(n - at) // k), seed if at == 0 else seed_of(seed, "member", at), batch, size)
            made = part.new_empty(n, *part.shape[1:]) if made is None else made
            made[at::k] = part
        assert made is not None
        return made

    def to(self, device: torch.device | str) -> "Ensemble":
        """The same with all weights on another device."""
        return Ensemble(tuple(one.to(device) for one in self.members))

    @classmethod
    def load(cls, paths: Iterable[str | Path]) -> Self:
        """Read generator files, such as those in a run's snapshots/."""
        return cls(tuple(Generator.load(one) for one in paths))


def _units(state: dict[str, Any], about: About) -> Units:
    """The units, which must be those of samples of this shape."""
    units = Units.from_state(state)
    for one in (units.shift, units.scale):
        if one is not None and (one.shape != about.shape[:1] or one.dtype != torch.float32):
            raise GeneratorError(f"units of {tuple(one.shape)} for samples of shape {about.shape}")
    if about.kind == "image" and not (len(about.shape) == 3 and about.shape[0] in (1, 3)):
        raise GeneratorError(f"images of shape {about.shape}")
    if about.layout is not None and (
        len(about.layout.event) != len(about.shape)
        or about.layout.event[0] != about.shape[0]
        or any(a > b for a, b in zip(about.layout.event, about.shape, strict=True))
    ):
        raise GeneratorError(f"samples of shape {about.shape} for an array of {about.layout.event}")
    return units


def _resized(layout: Layout | None, shape: tuple[int, ...], sides: tuple[int, ...]) -> Layout | None:
    """How samples of another size lay, of which the same shares of the sides are kept; the data's coordinates are not
    those of their places."""
    if layout is None or sides == shape[1:]:
        return layout
    kept = (max(1, round(one * n / have)) for one, n, have in zip(layout.event[1:], sides, shape[1:], strict=True))
    metadata = None if layout.metadata is None else replace(layout.metadata, coordinates=())
    return replace(layout, event=(layout.event[0], *kept), metadata=metadata)


def _build(about: About) -> nn.Module:
    rng = torch.Generator().manual_seed(0)
    return build_generator(
        about.model, about.shape, z=about.z, width=about.width, output=about.output, rng=rng, padding=about.padding
    )


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if path.is_dir():
        raise GeneratorError(f"{path} is a folder; give the file {path / 'generator.safetensors'}")
    if path.exists() and not path.is_file():
        raise GeneratorError(f"{path} is no file; give a run's generator.safetensors")
    try:
        with named_in_utf8(path) as name, safetensors.safe_open(name, "pt") as file:
            header: dict[str, Any] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise GeneratorError(f"no generator file at {path}; a run writes generator.safetensors in its folder") from None
    except Exception as error:  # an unknown type of numbers fails in its own way
        raise GeneratorError(f"{path} is no whole safetensors file ({error}); take another copy of it") from None
    if not re.fullmatch("[0-9]{1,9}", header.get("banach", "")):
        raise GeneratorError(f"{path} was not written by banach; give a run's generator.safetensors")
    if int(header["banach"]) > FORMAT:
        raise GeneratorError(f"{path} was written by a newer banach ({header.get('version', '?')}); update banach")
    if header.get("hash") != _hash(tensors):
        raise GeneratorError(f"{path} is damaged: its weights do not match their checksum; take another copy of it")
    return header, tensors


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
