"""From command lines, YAML files and presets to a `Config`: preset < YAML file < flags, in any order of the flags."""

import dataclasses
import difflib
import functools
import importlib.resources
import logging
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from banach.config import flags, plugins, readers
from banach.config.config import FIELDS, GONE, Config, ConfigError
from banach.config.flags import Command
from banach.config.keys import Key, flag, hyphened, keys_of
from banach.config.plugins import PluginError
from banach.data.load import is_named
from banach.foreign import Unreadable, read_bytes, typed, visible
from banach.foreign_yaml import read_yaml
from banach.runs import places
from banach.runs.folder import RunFolder
from banach.specs import nearest

DEFAULT_PRESET = "demo"

_RUN = "the run"


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """What a `banach train` line says beside the keys of the config."""

    # fmt: off
    preset: str | None = flag(None, readers.name("demo"), "a named set of values (see `banach list presets`); none: "
        "the papers' constants; demo if neither --preset nor --config nor --data nor --minutes is given", group=_RUN,
        metavar="NAME")
    config: str | None = flag(None, readers.name("run.yaml"), "a YAML file of keys and values, for example a run's "
        "config.yaml", group=_RUN, metavar="FILE")
    fresh: bool = flag(False, readers.yes_no, "start a new numbered folder beside --out instead of continuing",
        group=_RUN)
    extend: bool = flag(False, readers.yes_no, "continue a run to more --steps than it was started with", group=_RUN)
    dry_run: bool = flag(False, readers.yes_no, "check everything, show the first lines, and train nothing", group=_RUN)
    profile: bool = flag(False, readers.yes_no, "time the parts of a few steps, show them, and write nothing",
        group=_RUN)
    print_config: bool = flag(False, readers.yes_no, "print the resolved config as YAML and stop", group=_RUN)
    json: bool = flag(False, readers.yes_no, "machine-readable output on stdout", group=_RUN)
    # fmt: on


@dataclasses.dataclass(frozen=True)
class Request:
    """What a `banach train` line asks for: the config, where its values came from, and what to do with it."""

    config: Config
    origin: str
    options: TrainOptions
    stated: frozenset[str] | None = None
    """The keys that the user gave, where the run is to plan the others for the time there is; None where it is not."""


_WIDTH = Key(
    readers.count(1), "sets --g-width and --d-width", "networks", metavar="N", name="width", default=None
)  # of no field: it is another spelling of two


def _config_keys() -> tuple[Key, ...]:
    found = list(FIELDS.values())
    found.insert(list(FIELDS).index("d_width") + 1, _WIDTH)
    return tuple(found)


TRAIN = Command(
    "train",
    "Train a Wasserstein GAN, or continue a run: the same command on the same --out goes on where it stopped.",
    TrainOptions,
    (
        "banach train                                              the demo, five minutes on two idle cores",
        "banach train --data photos/ --size 32 --minutes 5         a folder of images, planned for five minutes",
        "banach train --data fields.npy --space shape              an array, Sobolev norm, planned for an hour",
        "banach train --preset wgan-gp-cifar10 --out runs/gp       a published setting, as published",
        "banach train --data fields.npy --space 'Sobolev(s=-1, p=4)' --steps 20k --out runs/fields",
        "banach train --out runs/fields --steps 40k --extend       go on with it for longer",
    ),
    "Without --steps and --preset a run is planned for --minutes: a few steps are timed, then networks, batch, steps "
    "and rates are chosen that fit, and written into the run's config. --dry-run says how long a run will take. "
    "Exit codes: 0 finished, 2 wrong input, 3 a loss or gradient was not finite, 75 stopped but resumable.",
    _config_keys(),
)


def read_config(source: Sequence[str] | Mapping[str, Any]) -> Config:
    """The config that a `banach train` command line, or a mapping of keys to values, spells.

    Raises `ConfigError`, `SpecError` or `PluginError` naming the key, the value and the remedy.

    >>> read_config(["--preset", "none", "--steps", "100k", "--flip"]).steps
    100000
    """
    return build(checked(source, "")) if isinstance(source, Mapping) else read_request(source).config


def read_file(path: str | Path) -> Config:
    """The config in a YAML file, for example a run's config.yaml."""
    return build(file_values(path))


def read_request(argv: Sequence[str]) -> Request:
    """What a `banach train` command line asks for."""
    given = flags.parse(TRAIN, argv)
    names = given.keys() & keys_of(TrainOptions).keys()
    options = TrainOptions(**{name: given.pop(name) for name in names})
    given = _widths(given)
    for plugin in given.get("plugin", ()):
        plugins.load(plugin)
    base, origin = _base(options, given)
    if options.config is not None:
        base |= file_values(options.config)
        origin = f"{origin}, {options.config}" if origin else options.config
    stated = None if options.preset is not None or "steps" in {**base, **given} else frozenset({**base, **given})
    if stated is None and "minutes" in given and origin != str(_stored(options, given)):
        raise ConfigError(_not_planned(options, given))
    return Request(build({**base, **given}), origin or "defaults", options, stated)


def _not_planned(options: TrainOptions, given: Mapping[str, Any]) -> str:
    """Why --minutes means nothing beside what fixes the steps, and the remedies."""
    fixed = f"--steps {given['steps']}" if "steps" in given else f"--preset {options.preset}"
    if "steps" not in given and options.preset is None:
        fixed = f"the steps in {options.config}"
    minutes = f"{given['minutes']:g}"
    return (
        f"minutes: {minutes} minutes are planned where nothing fixes the length, and here {fixed} does; leave one out "
        f"(--max-minutes {minutes} stops a run after that time, resumable)"
    )


def _stored(options: TrainOptions, given: Mapping[str, Any]) -> Path | None:
    """The config of the run that a command line goes on with, or with --fresh alone begins anew; None without one."""
    if not given.get("out") or (options.fresh and "data" in given):
        return None
    path = RunFolder(Path(given["out"]).expanduser()).config
    return path if path.is_file() else None


def _base(options: TrainOptions, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The values that --config and the flags are laid over, and where they come from."""
    if options.preset is not None:
        return ({}, "") if options.preset == "none" else (preset_values(options.preset), f"preset {options.preset}")
    if options.config is not None:
        return {}, ""
    if (stored := _stored(options, given)) is not None:
        return file_values(stored), str(stored)  # what is left out on continuing a run is as it was
    if "data" in given:
        return {}, ""
    if given.get("out") and "minutes" not in given:
        raise _no_run(given["out"])
    demo = preset_values(DEFAULT_PRESET)
    if "minutes" in given and "steps" not in given:
        return {key: demo[key] for key in ("data", "space")}, f"data and space of preset {DEFAULT_PRESET}"
    return demo, f"preset {DEFAULT_PRESET}"


def _no_run(out: str) -> ConfigError:
    """Why `--out` without data is refused: what is to go on, or begin, there?"""
    path = Path(out).expanduser()
    runs = [one.name for one in path.parent.glob("*") if RunFolder(one).holds_run]
    near = difflib.get_close_matches(path.name, runs, n=1, cutoff=0.5)
    meant = f"; did you mean {typed(path.with_name(near[0]))}?" if near else ""
    return ConfigError(
        f"out: there is no run in {out} to go on with{meant}\n"
        f"to begin one, say on what: banach train --data photos/ --out {typed(out)} (or --preset {DEFAULT_PRESET})"
    )


def build(mapping: Mapping[str, Any]) -> Config:
    """The config with these values, after its plugins are imported."""
    for plugin in mapping.get("plugin", ()):
        plugins.load(plugin)
    return Config(**mapping)


def preset_folder() -> Traversable:
    """Where the presets of the package are."""
    return importlib.resources.files("banach") / "presets"


def presets() -> dict[str, str]:
    """The presets' names, each with the first comment line of its file: what it is."""
    files = sorted((one for one in preset_folder().iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name)
    return {one.name.removesuffix(".yaml"): one.read_text("utf-8").split("\n")[0].lstrip("# ") for one in files}


def preset_values(name: str) -> dict[str, Any]:
    """The values of a preset; ConfigError with the nearest names if there is none of that name."""
    known = presets()
    found = name.replace("_", "-").lower()
    if found not in known:
        raise ConfigError(f"unknown preset {name!r}; {nearest(name, known)}")
    text = (preset_folder() / f"{found}.yaml").read_text("utf-8")
    return checked(_yaml(text, f"preset {found}"), f"preset {found}")


def file_values(path: str | Path) -> dict[str, Any]:
    """The values in a YAML file, read and checked; ConfigError names the file, the key and the remedy.

    Plugins that it names must be loaded already, because the user named them too: `PluginError` otherwise.
    """
    found = checked(raw_values(path), str(path))
    folder = RunFolder(Path(path).expanduser().parent)
    if folder.config == Path(path).expanduser() and folder.holds_run:
        found = located(found, folder)
    require_plugins(found, str(path))
    return found


def raw_values(path: str | Path) -> Mapping[str, Any]:
    """The keys and values in a YAML file as they stand there; ConfigError names the file and the remedy."""
    try:
        text = read_bytes(Path(path).expanduser()).decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"config file {str(path)!r}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"config file {str(path)!r} cannot be read: {error}; give a YAML file") from None
    return _yaml(text, str(path))


def require_plugins(values: Mapping[str, Any], source: str) -> None:
    """Raises `PluginError` where the values of a file name code that the user has not named too."""
    if named := [one for one in values.get("plugin", ()) if not plugins.loaded(one)]:
        flag = " ".join(f"--plugin {typed(one)}" for one in named)
        raise PluginError(
            f"{source} names the Python file {named[0]!r}, and a file is not asked which code to run\n"
            f"if you trust it, say so: {flag}"
        )


def located(values: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """The values of a run's config with its relative paths as they lead from here, wherever the run lies by now."""
    out, data = str(values.get("out", "")), values.get("data", "")
    found = dict(values)
    if data and not is_named(data):
        found["data"] = places.found(data, folder, out)
    if found.get("init"):
        found["init"] = places.found(found["init"], folder, out)
    if found.get("plugin"):
        files = (places.found(one, folder, out) if plugins.is_file(one) else one for one in found["plugin"])
        found["plugin"] = tuple(files)
    specs = [key for key in ("space", "penalty", "score_w1") if found.get(key)]
    for key in specs:
        found[key] = places.found_in_spec(found[key], folder, out)
    for key in ("data", "init", "plugin", *specs):
        if found.get(key) != values.get(key):
            _note_moved(str(folder.path), key, visible(str(found[key])))
    return found


@functools.cache
def _note_moved(run: str, key: str, now: str) -> None:
    logging.getLogger("banach").warning("%s: its relative %s was found at %s", visible(run), key, now)


def _yaml(text: str, source: str) -> Mapping[str, Any]:
    try:
        found = read_yaml(text)
    except Unreadable as error:
        raise ConfigError(f"{source}{error}; write one 'key: value' on a line") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{source}: a {type(found).__name__}, not keys and values; write one 'key: value' on a line")
    return found


def checked(mapping: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A mapping with its keys in one spelling, known and given once, and its values read."""
    where = f"{source}: " if source else ""
    found: dict[str, Any] = {}
    known = {hyphened(key.name): key.read for key in TRAIN.more}
    for key, value in mapping.items():
        plain = str(key).replace("_", "-").lower()
        if (gone := plain.replace("-", "_")) in GONE:
            _note_gone(where, gone)
            continue
        if plain not in known:
            remedy = flags.suggestion(plain, known, "see banach train --help for the keys")
            raise ConfigError(f"{where}unknown key {str(key)!r}; {remedy}")
        if plain.replace("-", "_") in found:
            raise ConfigError(f"{where}{plain} is given twice; keep one")
        try:
            found[plain.replace("-", "_")] = known[plain](value)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ConfigError(f"{where}{plain}: {error}") from None
    return _widths(found)


@functools.cache  # a run's config is read more than once
def _note_gone(where: str, key: str) -> None:
    logging.getLogger("banach").warning("%s%s is no longer a key and is ignored: %s", where, hyphened(key), GONE[key])


def _widths(mapping: dict[str, Any]) -> dict[str, Any]:
    """`width` sets both widths, where they are not given themselves."""
    mapping = dict(mapping)
    if (width := mapping.pop("width", None)) is not None:
        mapping = {"g_width": width, "d_width": width, **mapping}
    return mapping
