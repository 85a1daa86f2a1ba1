"""`banach train`: train, continue, or (with --dry-run) only check and tell."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from banach import distributed
from banach.cli import output
from banach.config.config import FIELDS, Config, as_mapping, dump
from banach.config.keys import hyphened
from banach.config.reading import Request, read_request
from banach.errors import BanachError
from banach.foreign import as_command, typed
from banach.report import write_report
from banach.runs.folder import RunFolder
from banach.session.console import Quiet, console_for
from banach.session.run import FINISHED, RESUMABLE, WRONG_INPUT, Outcome, preview, run, show_profile, tell
from banach.spaces import emphasises, space
from banach.training.plan import MINUTES, PLANNED


def main(argv: Sequence[str]) -> int:
    try:
        distributed.begin()
        return _main(argv)
    except distributed.Lost as error:  # before the run began, or when it is over
        if distributed.first_to_tell():
            output.say_error(str(error))
        return RESUMABLE
    finally:
        distributed.end()


def _main(argv: Sequence[str]) -> int:
    request = distributed.from_first(lambda: read_request(argv))
    if request.options.print_config:
        if distributed.rank() == 0:
            for line in _resolved(request):
                output.say(line)
        return FINISHED
    outcome = _act(request)
    if distributed.lost():
        if distributed.first_to_tell():
            output.say_error(outcome.message)
        return outcome.code
    if distributed.rank() == 0:
        distributed.first_to_tell()  # the others keep silent
        _conclude(outcome, request)
    # torchrun knows two ends, done and failed, and would start again what was asked to stop.
    return FINISHED if outcome.code == RESUMABLE and distributed.restarts_left() else outcome.code


def _resolved(request: Request) -> list[str]:
    """The config as YAML; without the keys that are planned when the run starts, so that read back it is the same."""
    left = set() if request.stated is None else {hyphened(key) for key in PLANNED} - set(map(hyphened, request.stated))
    lines = [line for line in dump(request.config).splitlines() if hyphened(line.partition(":")[0]) not in left]
    return [*lines, "# planned when the run starts: " + ", ".join(sorted(left))] if left else lines


def _act(request: Request) -> Outcome:
    console = console_for(machine=request.options.json) if distributed.rank() == 0 else Quiet()
    if not request.options.json:
        console.say(f"config    {request.origin}")
    options = request.options
    if options.dry_run or options.profile:
        then = show_profile if options.profile else tell
        chosen = {"fresh": options.fresh, "extend": options.extend, "stated": request.stated}
        return preview(request.config, console=console, then=then, **chosen)
    return run(request.config, fresh=options.fresh, extend=options.extend, console=console, stated=request.stated)


def _conclude(outcome: Outcome, request: Request) -> None:
    """The last lines: what came of it, where it lies, what to try next."""
    if outcome.code not in (FINISHED, RESUMABLE):
        output.say_error(outcome.message)
    elif outcome.code == RESUMABLE:
        output.say_error(outcome.message, "")
    elif not request.options.json:
        output.say(outcome.message)
    if outcome.code == WRONG_INPUT or outcome.folder is None or not RunFolder(outcome.folder).metrics.is_file():
        return  # the folder may be another process's
    page = _report(outcome.folder)
    if outcome.code == FINISHED and not request.options.json:
        for line in (*_where(RunFolder(outcome.folder), page, request.config), *_longer(request, outcome.folder)):
            output.say(line)


def _report(folder: Path) -> Path | None:
    """The run's report page; without room or content for one there is none, and the run is what it is."""
    try:
        return write_report(folder, as_mapping(Config()))
    except (BanachError, OSError) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    except Exception as error:  # the run has ended well, whatever befalls its page
        said = f"{type(error).__name__}: {error}\nbanach report {typed(folder)} --traceback shows where"
    output.say_error(said, "no report was written: ")
    return None


def _where(folder: RunFolder, page: Path | None, config: Config) -> list[str]:
    """Where the results lie, and what to try next."""
    other = "outliers" if emphasises(config.named.space) == emphasises(space("l2")) else "l2"
    grids = sorted(folder.samples.glob("fakes-*.png"))
    places = {"report": page, "samples": grids[-1] if grids else None, "generator": folder.generator}
    lines = [f"  {name:<10}{path}" for name, path in places.items() if path is not None and path.exists()]
    plugins = "".join(f" --plugin {typed(one)}" for one in config.plugin)
    beside = folder.path.with_name(f"{folder.path.resolve().name}-{other}")
    return [
        *lines,
        "try next",
        f"  banach sample {typed(folder.path)} --n 64 --seed 1 --out grid.png{plugins}",
        f"  banach evaluate {typed(folder.path)}{plugins}",
        f"  banach train --config {typed(folder.config)} --space {other} --out {typed(beside)}{plugins}",
    ]


def _longer(request: Request, folder: Path) -> list[str]:
    """The same command for four times the minutes, where a run was planned for some."""
    if request.stated is None:
        return []
    minutes = f"{4 * (request.config.minutes or MINUTES):g}"
    kept = [key for key in FIELDS if key in request.stated and key not in ("minutes", "out")]
    words = [word for key in kept for word in (f"--{hyphened(key)}", _flag_value(key, getattr(request.config, key)))]
    said = as_command(["banach", "train", *words, "--minutes", minutes, "--out", f"{folder}-{minutes}min"])
    return [f"  {said}", "  (more steps, a smaller rate at their end, wider networks as soon as these can be trained)"]


def _flag_value(key: str, value: Any) -> str:
    """A config value as its flag takes it."""
    if isinstance(value, tuple):
        return ("x" if key == "size" else ",").join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
