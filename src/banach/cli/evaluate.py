"""`banach evaluate RUN|FILE`: scores of a generator against a data set, beside their floors, with their protocol."""

import dataclasses
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from banach.cli import output
from banach.cli.sample import device_named, generator_file
from banach.cli.scored import check_test, table
from banach.config import flags, plugins, readers
from banach.config.config import ConfigError
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.data import Data
from banach.data.how import colour, limits, number, page, spelled
from banach.data.units import Units
from banach.foreign import typed
from banach.generator import Generator
from banach.runs.folder import RunFolder
from banach.runs.records import EVALUATIONS, JsonLines
from banach.session.reference import Reference, reference_for
from banach.session.scoring import TRANSPORTED, score, score_w1
from banach.spaces import space
from banach.transport.permutations import LEAST, PERMUTATIONS


@dataclasses.dataclass(frozen=True)
class Options:
    """What a `banach evaluate` line says."""

    run: str = word(readers.name("runs/mine"), "a run folder, or a generator file")
    data: str | None = flag(
        None, readers.name("fashion"), "data set, folder or file to score against (default: what it was trained on)"
    )
    axes: str | None = flag(None, readers.name("n,x,y"), "with --data: what each axis of an array is")
    range: tuple[float, float] | str | None = flag(
        None, limits, "with --data: values of pictures that become black and white", metavar="LOW,HIGH"
    )
    pages: str | int | None = flag(
        None, page, "with --data: of files that hold several pages, first, all, or a number", metavar="WHICH"
    )
    background: str | None = flag(None, colour, "with --data: what transparent pictures are laid on")
    merge_folders: bool = flag(False, readers.yes_no, "with --data: take sub-folders such as train/ and test/ as one")
    n: int = flag(10_000, readers.count(10), "number of samples; 50k for published protocols", metavar="N")
    seed: int = flag(0, readers.count(0), "seed of the samples")
    extractor: str = flag("auto", readers.name("fashion"), "feature extractor, see `banach list extractors`")
    w1: str | None = flag(
        None, readers.name("shape"), "a norm in which to measure W1 against held-out data, too: its floor, its excess"
    )
    w1_samples: int = flag(TRANSPORTED, readers.count(LEAST), "with --w1: samples of each at most", metavar="N")
    test: bool = flag(False, readers.yes_no, "with --w1: a permutation p-value of 'both have the same distribution'")
    permutations: int = flag(
        PERMUTATIONS, readers.count(1), "with --test: how many; p is at least 1/(1 + N)", metavar="N"
    )
    best: bool = flag(False, readers.yes_no, "of a run, take the generator with the best score, not the newest")
    device: str = flag("cpu", readers.name("cpu"), "cpu, cuda, cuda:1, mps")
    plugin: tuple[str, ...] = flag(
        (), readers.listed(readers.name("mine.py")), "Python files that bring model or data", many=True
    )
    json: bool = flag(False, readers.yes_no, "machine-readable output")


_APART = 20.0
"""Data that differ so much from those of the training, in width or in deviations, may be in another unit."""

_OF_DATA = ("axes", "range", "pages", "background", "merge_folders")
"""Flags that say how `--data` are read."""

COMMAND = Command(
    "evaluate",
    "Score a run or a generator file: images by FID, KID, IS, precision and recall; arrays by excess W1 and moments.",
    Options,
    (
        "banach evaluate runs/mine",
        "banach evaluate runs/mine --best --n 50k --json",
        "banach evaluate generator.safetensors --data photos/",
        "banach evaluate runs/mine --w1 shape --test",
    ),
    "Each score stands beside its floor: the same score between held-out and training data. A score is comparable only "
    "with one of the same protocol, which is printed. W1 by itself ranks blur above truth; its excess does not. "
    "What is found of a run is kept in its evaluations.jsonl, and shown by `banach report`.",
)


def main(argv: Sequence[str]) -> int:
    options, given = flags.read(COMMAND, argv)
    check_test(options.test, options.permutations, given)
    for plugin in options.plugin:
        plugins.load(plugin)
    if options.test and options.w1 is None:
        raise ConfigError("--test is made in a norm; add for example --w1 shape")
    metric = None if options.w1 is None else space(options.w1)
    path = generator_file(options.run, options.best)
    generator = Generator.load(path).to(device_named(options.device))
    against = _checked(generator, path.parent, options, given)
    data = against.data
    with output.waiting(f"scoring {options.n:,} samples"):
        found = score(generator, data, options.n, options.seed, options.extractor)
    moved = None
    if metric is not None:
        with output.waiting(f"W1 in {metric!r}"):
            permutations = options.permutations if options.test else 0
            moved = score_w1(generator, data, metric, options.w1_samples, permutations, options.seed, against.held_out)
    told = {"generator": str(path), "step": generator.about.step, "data": data.name, "seed": options.seed}
    told |= {"notes": list(against.notes), **found.as_dict(), "transport": None if moved is None else moved.as_dict()}
    kept = _keep(path, told, argv)
    if options.json:
        output.say_json(told)
        return 0
    output.say(f"{path} (step {generator.about.step:,}) against {data.name}")
    for note in _notes(generator, data) if options.data is not None else ():
        output.say(f"          {note}")
    for note in against.notes:
        output.say(note)
    for line in (*found.lines(), *(("", *table(moved)) if moved else ()), *kept):
        output.say(line)
    return 0


def _keep(generator: Path, told: dict[str, Any], argv: Sequence[str]) -> tuple[str, ...]:
    """Write what was found into the folder of the run that the generator file lies in; a line on where it is."""
    folder = RunFolder(generator.parent)
    if not folder.config.is_file():
        return ()
    about = {"date": time.strftime("%Y-%m-%d %H:%M:%S"), "command": ["banach", "evaluate", *argv], **told}
    line = {key: about[key] for key in EVALUATIONS} | {"generator": generator.name}
    try:
        JsonLines(folder.evaluations).append(line)
    except OSError as error:  # a folder of somebody else's, a full disk: what was found is told all the same
        output.say_error(f"{folder.evaluations}: {error.strerror or error}", "not kept: ")
        return ()
    return (f"kept in {folder.evaluations}; banach report {typed(folder.path)} shows it",)


def _checked(generator: Generator, folder: Path, options: Options, given: Collection[str]) -> Reference:
    """The data to score against, which have to fit the generator in shape and units."""
    with output.waiting("reading the data"):
        said = {key: vars(options)[key] for key in _OF_DATA if key in given}
        against = reference_for(generator, folder, options.data, said)
    data = against.data
    if data.shape != tuple(generator.about.shape):
        made = "x".join(map(str, generator.about.shape))
        raise ConfigError(
            f"{data.name} holds samples of shape {'x'.join(map(str, data.shape))}, the generator makes {made}; "
            "give --data that fit it"
        )
    check_units(generator, data, options.data is not None and "range" not in given)
    if data.kind != "image" and "extractor" in given:
        raise ConfigError(f"--extractor is for pictures, and {data.name} is read as numbers; leave it out")
    if options.w1 is not None and not against.held_out:
        raise ConfigError(f"--w1: {against.notes[0]}\nbring the data back, or leave --w1 out")
    return against


def _notes(generator: Generator, data: Data) -> Iterator[str]:
    yield from data.notes
    if said := apart(generator.units, data.units):
        yield said


def check_units(generator: Generator, data: Data, inherited: bool) -> None:
    """`ConfigError` where the one makes pictures and the other are numbers, or an `inherited` range does not fit."""
    makes_pictures, pictures = generator.about.kind == "image", data.kind == "image"
    if makes_pictures and not pictures:
        low, high = (float(of(data.train[:1000])) for of in (torch.min, torch.max))
        likely = next((one for one in ((0, 1), (0, 255)) if one[0] <= low and high <= one[1]), (low, high))
        raise ConfigError(
            f"the generator makes pictures, 0 to 255, and {data.name} holds numbers from {number(low)} to "
            f"{number(high)}: these are different units; if they are pictures, give the values of black and white: "
            f"--range {spelled(*likely)}"
        )
    if pictures and not makes_pictures:
        raise ConfigError(
            f"the generator makes numbers in the units of {generator.about.data}, and {data.name} holds pictures, 0 to "
            "255; give --data in the units it was trained on"
        )
    limits, extent = data.range, data.extent
    if inherited and limits and extent and (extent[0] < limits[0] or extent[1] > limits[1]):
        raise ConfigError(
            f"{data.name} holds values {number(extent[0])} to {number(extent[1])}, and in the training data "
            f"{number(limits[0])} was black and {number(limits[1])} white; if that holds here too, add "
            f"--range {spelled(*limits)}, else give its own: --range LOW,HIGH"
        )


def apart(units: Units, theirs: Units) -> str:
    """A line where numbers lie so far from those of the training that they may be in other units, else ''."""
    if units.shift is None or units.scale is None or theirs.shift is None or theirs.scale is None:
        return ""
    if "none" in (units.method, theirs.method) or not (bool(units.scale.all()) and bool(theirs.scale.all())):
        return ""
    width = float((theirs.scale.cpu() / units.scale.cpu()).log().abs().max().exp())
    away = float(((theirs.shift - units.shift).cpu() / units.scale.cpu()).abs().max())
    if max(width, away) < _APART:
        return ""
    return (
        f"in other units than the training data? their widths differ by a factor of {width:.3g}, their means by "
        f"{away:.3g} deviations"
    )
