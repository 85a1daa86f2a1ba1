"""`banach sample RUN|FILE`: samples of a trained generator as a grid, as numbers, or as single pictures."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from banach.cli import output
from banach.config import flags, plugins, readers
from banach.config.config import ConfigError
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.config.reading import read_file
from banach.data.formats import files
from banach.data.layout import Layout
from banach.data.pictures import draw as draw_picture
from banach.data.pictures import grid
from banach.errors import BanachError
from banach.files import staged_folder, write_bytes
from banach.generator import About, Ensemble
from banach.runs.folder import RunFolder
from banach.session.reference import reading_of

_OURS = re.compile(r"seed[0-9]{6,}-[0-9]{6,}\.png")


def _seeds(value: Any) -> tuple[int, ...]:
    """Seeds as 0-7, 1,5,9 or both mixed."""
    found: list[int] = []
    for part in str(value).split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
            raise BanachError(f"{value!r} are not seeds; write for example 0-7 or 1,5,9")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


@dataclass(frozen=True)
class Options:
    """What a `banach sample` line says."""

    run: str = word(readers.name("runs/mine"), "a run folder, or a generator file")
    n: int | None = flag(
        None, readers.count(1), "number of samples (for each seed); default 64, with --seeds 1", metavar="N"
    )
    seed: int = flag(0, readers.count(0), "seed of the samples")
    seeds: tuple[int, ...] | None = flag(None, _seeds, "several seeds: 0-7 or 1,5,9", metavar="A-B")
    out: str | None = flag(
        None, readers.name("grid.png"), "grid.png, samples.npz, samples.npy, a folder for single PNG files (images), "
        "or the format of the data: .nc, .zarr, .h5, .tif, .csv, .parquet, .h5ad", metavar="PATH",
    )  # fmt: skip
    snapshots: bool = flag(False, readers.yes_no, "of a run with --decay restarts, draw from all its snapshots in turn")
    best: bool = flag(False, readers.yes_no, "of a run, take the generator with the best score, not the newest")
    size: tuple[int, ...] | None = flag(
        None, readers.optional(readers.extents), "places on every axis, or on each (64, 48x64): generators of --model "
        "spectral draw the same fields on any grid", metavar="N",
    )  # fmt: skip
    columns: int | None = flag(
        None, readers.count(1), "columns of the grid (default: as square as it gets)", metavar="N"
    )
    device: str = flag("cpu", readers.name("cpu"), "cpu, cuda, cuda:1, mps")
    plugin: tuple[str, ...] = flag(
        (), readers.listed(readers.name("mine.py")), "Python files that bring the model", many=True
    )
    json: bool = flag(False, readers.yes_no, "machine-readable output")


COMMAND = Command(
    "sample",
    "Draw samples from a run or a generator file, in the units of its data: the same seed gives the same samples.",
    Options,
    (
        "banach sample runs/mine                                 a grid of 64, beside the generator",
        "banach sample runs/mine --best --n 100 --seed 7 --out grid.png",
        "banach sample runs/mine --snapshots --n 100 --out grid.png   from the ensemble of --decay restarts",
        "banach sample runs/mine --seeds 0-7 --out row.png       one sample of each seed",
        "banach sample generator.safetensors --n 50k --out fakes/      50,000 PNG files",
        "banach sample generator.safetensors --n 50k --out fakes.npz   key 'samples', as the data are",
        "banach sample runs/fields --n 5000 --out fakes.npy     the axes, shape, type and units of the data",
        "banach sample runs/climate --n 500 --out fakes.nc      with its names, coordinates and attributes, too",
        "banach sample runs/fields --size 128 --out fine.npy    of --model spectral: the same fields on a finer grid",
    ),
)


def main(argv: Sequence[str]) -> int:
    options, given = flags.read(COMMAND, argv)
    if "seed" in given and "seeds" in given:
        raise ConfigError("--seed and --seeds exclude each other; keep one")
    for plugin in options.plugin:
        plugins.load(plugin)
    paths = _generator_files(options)
    path, generator = paths[-1], Ensemble.load(paths)
    seeds = options.seeds or (options.seed,)
    each = options.n or (1 if options.seeds else 64)
    out = Path(options.out or _default_out(path, generator, seeds, each, options.size)).expanduser()
    form = _form(out, str(options.out or "").endswith("/"), generator.about.kind)
    _check_apart(out, generator)
    about = generator.about.at(options.size)
    _check_writable(out, form, about)
    samples = draw(generator.to(device_named(options.device)), seeds, each, options.size)
    layout, arrays = about.layout, (".npz", ".npy", *files.SUFFIXES)
    if form in arrays:
        _write_array(out, samples, layout, np.repeat(np.asarray(seeds), each))
    elif form == "":
        _write_pictures(out, samples, seeds, each)
    elif generator.about.kind != "image":
        draw_picture(samples, out)
    else:
        grid(samples, out, columns=options.columns or math.ceil(math.sqrt(len(samples))))
    facts: dict[str, Any] = {
        "out": str(out), "samples": len(samples), "shape": list(samples.shape[1:]), "seeds": list(seeds),
    }  # fmt: skip
    told = f"{out}{'' if form else '/'}: {len(samples):,} samples of"
    if form in arrays:
        told, found = _told_of_array(out, len(samples), layout, told)
        facts |= found
    _tell(options, paths, told, {**facts, "generator": str(path), "step": generator.about.step})
    return 0


def _tell(options: Options, paths: tuple[Path, ...], told: str, facts: dict[str, Any]) -> None:
    """Say what was written, and of which generators."""
    if options.json:
        output.say_json({**facts, "snapshots": [str(one) for one in paths]} if options.snapshots else facts)
        return
    of = f"{len(paths)} generators in {paths[-1].parent}, the last" if options.snapshots else f"{paths[-1]}"
    output.say(f"{told} {of} (step {facts['step']:,})")


def _generator_files(options: Options) -> tuple[Path, ...]:
    """The generator file that the line means, or the run's snapshots."""
    path = generator_file(options.run, options.best)
    if not options.snapshots:
        return (path,)
    if options.best:
        raise ConfigError("--best and --snapshots exclude each other; keep one")
    found = RunFolder(Path(options.run).expanduser()).snapshot_files
    if not found:
        raise ConfigError(
            f"--snapshots: {options.run} has none; a run keeps them with --decay restarts, at the end of each period"
        )
    return found


def generator_file(source: str, best: bool = False) -> Path:
    """The generator file that a run folder or a path means; a run's plugins are loaded."""
    path = Path(source).expanduser()
    if not path.is_dir():
        return path
    folder = RunFolder(path)
    found = folder.best if best else folder.generator
    if not found.is_file():
        raise ConfigError(_nothing_in(folder, found))
    if folder.config.is_file():
        read_file(folder.config)
    return found


def _nothing_in(folder: RunFolder, wanted: Path) -> str:
    if not folder.config.is_file():
        return f"{folder.path} is no run folder: it has no config.yaml; give the folder that banach train wrote"
    if folder.generator.is_file():
        return f"{folder.path} has no {wanted.name}: it has not been scored yet; leave out --best"
    return f"{folder.path} has no {wanted.name} yet; train on with: banach train --out {folder.path}"


def device_named(name: str) -> torch.device:
    """The device of that name; ConfigError where there is none."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        said = str(error).split("\n")[0]
        raise ConfigError(f"--device: {name!r} cannot be used ({said}); leave it out for the CPU") from None
    return device


def _default_out(
    path: Path, generator: Ensemble, seeds: Sequence[int], each: int, size: tuple[int, ...] | None
) -> Path:
    shown = f"seeds{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else f"seed{seeds[0]}"
    suffix = "npz" if generator.about.kind == "array" else "png"
    sized = "" if size is None else f"-size{'x'.join(map(str, size))}"
    name = f"samples-{shown}-n{each}{sized}.{suffix}"
    return path.with_name(name) if len(generator.members) == 1 else path.parent.with_name(f"ensemble-{name}")


def _form(out: Path, trailing: bool, kind: str) -> str:
    """How samples of this kind go to `out`: ".png" (a grid), ".npz", ".npy", or "" (a folder of pictures).

    What cannot be written after drawing is refused before.
    """
    is_store = files.SUFFIXES.get(out.suffix.lower()) == "zarr"
    form = out.suffix.lower() if is_store or not (out.is_dir() or trailing) else ""
    if form not in (".png", ".npz", ".npy", *files.SUFFIXES, ""):
        others = ", ".join(files.SUFFIXES)
        raise ConfigError(
            f"--out: {str(out)!r} is none of .png (a grid), .npz, .npy and a folder, nor a file of another format "
            f"({others}); choose one of them"
        )
    if kind != "image" and form == "":
        raise ConfigError("--out: a folder is for pictures, and these samples are no images; write --out samples.npz")
    if form and not out.parent.is_dir():
        raise ConfigError(f"--out: there is no folder {str(out.parent)!r}; make it first, or choose another")
    if out.is_dir() and (there := [one.name for one in out.iterdir()]):
        if is_store:
            raise ConfigError(f"--out: {str(out)!r} is there already; remove it, or choose another name")
        held = f"{len(there):,} older samples" if all(map(_OURS.fullmatch, there)) else "other files"
        raise ConfigError(
            f"--out: the folder {str(out)!r} holds {held} (such as {min(there)}), and samples are never mixed; "
            "choose an empty or a new one"
        )
    return form


def _check_apart(out: Path, generator: Ensemble) -> None:
    """ConfigError for a place among the pictures that the generator was trained on: they would be trained on next."""
    try:
        data = Path(text := reading_of(generator.members[-1]).data).expanduser()
    except BanachError:  # it does not say
        return
    if (place := files.place(text)) is not None and place[0].resolve() == out.resolve():
        raise ConfigError(f"--out: {out} holds the data that the generator was trained on; choose another name")
    if not data.is_dir() or not out.resolve().is_relative_to(data.resolve()):
        return
    if not any(RunFolder(one).holds_run for one in out.resolve().parents if one.is_relative_to(data.resolve())):
        raise ConfigError(
            f"--out: {out} lies in {data}, whose pictures the generator was trained on; "
            "choose a place outside, or samples will pass for data"
        )


def _check_writable(out: Path, form: str, about: About) -> None:
    """`DataError` where samples of this generator cannot be written to a file of another format."""
    if form in files.SUFFIXES:
        files.check_writable(out, 1 + len(about.shape) if about.layout is None else len(about.layout.letters))


def draw(generator: Ensemble, seeds: Sequence[int], each: int, size: Sequence[int] | None = None) -> Tensor:
    """`each` samples of every seed, in order, with a progress bar."""
    with output.progress() as bar, _counted(generator, bar, len(seeds) * each):
        return torch.cat([generator.draw(each, seed, size=size) for seed in seeds])


@contextmanager
def _counted(generator: Ensemble, bar: Any, total: int) -> Iterator[None]:
    """Inside, the bar counts the samples that leave the network."""
    task = bar.add_task("samples", total=total)
    hooks = [one.network.register_forward_hook(lambda _module, _z, made: bar.advance(task, len(made)))
             for one in generator.members]  # fmt: skip
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _write_array(out: Path, samples: Tensor, layout: Layout | None, seeds: np.ndarray) -> None:
    """Samples as the data are, with their axis letters where these are known: in an .npz file as `axes`, in an .npy
    file as a second array behind the first, which `numpy.load` passes over; in files of other formats with all that
    those of the data said."""
    array = samples.numpy() if layout is None else layout.back(samples)
    letters: dict[str, Any] = {} if layout is None else {"axes": np.array(layout.written)}
    if out.suffix.lower() in files.SUFFIXES:
        files.write(out, array, _layout_of(array) if layout is None else layout)
        return
    buffer = io.BytesIO()
    if out.suffix.lower() == ".npz":
        np.savez(buffer, samples=array, seeds=seeds, **letters)
    else:
        for one in (array, *letters.values()):
            np.save(buffer, one, allow_pickle=False)
    write_bytes(out, buffer.getvalue())


def _layout_of(array: np.ndarray) -> Layout:
    """The layout of samples of which only the shape is known: points, and what older versions trained on."""
    event = array.shape[1:]
    return Layout("nc" + "xyz"[: len(event) - 1], array.dtype.str, event, event)


def _told_of_array(out: Path, n: int, layout: Layout | None, told: str) -> tuple[str, dict[str, Any]]:
    """What is said of samples in an array, and facts of them."""
    if layout is None:
        return told, {}
    shape, axes, dtype = list(layout.event), layout.written, layout.dtype
    return f"{out}: {layout.said(n)}; of", {"shape": shape, "axes": axes, "dtype": dtype}


def _write_pictures(folder: Path, samples: Tensor, seeds: Sequence[int], each: int) -> None:
    names = (f"seed{seed:06d}-{at:06d}.png" for seed in seeds for at in range(each))
    with staged_folder(folder) as temporary, output.progress() as bar:
        for name, image in bar.track(list(zip(names, samples, strict=True)), description="pictures"):
            pixels = image.permute(1, 2, 0).numpy()
            Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(temporary / name)
