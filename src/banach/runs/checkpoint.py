"""Checkpoints: everything a run needs to go on, in one file that is written atomically.

`checkpoints/last.pt` is the newest, `last.previous.pt` the one before (kept until the newest is whole, and after),
`step-000012400.pt` the `keep` newest under their steps. Content: tensors, numbers and strings in dicts and lists, so
that `torch.load(path, weights_only=True)` reads it. Every read checks the CRC-32 of each part, which torch itself does
not: a flipped bit would otherwise pass as a weight.
"""

import io
import os
import pickletools
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from banach.errors import BanachError
from banach.files import staged

FORMAT = 2
"""Version of the content's layout; raised whenever an older program could not read what a newer one wrote."""

LAST, PREVIOUS = "last.pt", "last.previous.pt"

_NAMES = re.compile(r"torch(\.storage)? \w+Storage|torch\._utils _rebuild_tensor_v2|collections OrderedDict")
_CALLS = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "BUILD"}
_LONGEST = 2**24
"""Bytes of the list of tensors: about a hundred thousand."""


class CheckpointError(BanachError):
    """A checkpoint that cannot be used; the message names the file and the remedy."""


class Broken(CheckpointError):
    """A file that was cut, or changed since it was written."""


def step_name(step: int) -> str:
    """'step-000012400.pt'."""
    return f"step-{step:09d}.pt"


def save(folder: Path, content: dict[str, Any], keep: int) -> Path:
    """Write `content` (which has a "step") as the newest checkpoint in `folder`, and keep the `keep` newest steps.

    At every moment, also when the process or the machine dies, `last.pt` or `last.previous.pt` is whole. Raises
    `files.DiskFull` where there is no room, with all older checkpoints in place.
    """
    buffer = io.BytesIO()  # whole before the disk is touched, and a failing write is then a plain OSError
    torch.save({"format": FORMAT, **content}, buffer)
    last = folder / LAST
    with staged(last) as temporary:
        temporary.write_bytes(buffer.getbuffer())
        if last.exists():
            _second_name(last, folder / PREVIOUS)
    _second_name(last, folder / step_name(content["step"]))
    for old in _by_step(folder)[keep:]:
        old.unlink(missing_ok=True)
    return last


def exists(folder: Path) -> bool:
    """Whether there is any checkpoint in `folder`, whole or not."""
    return next(_candidates(folder), None) is not None


def newest_step(folder: Path) -> int:
    """The largest step that a checkpoint in `folder` bears in its name; 0 where there is none."""
    steps = [int(digits) for path in _by_step(folder) if len(digits := path.stem.removeprefix("step-")) < 16]
    return max(steps, default=0)


def load(folder: Path) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """The newest whole checkpoint in `folder`, on the CPU, and the newer files that are broken.

    Raises `CheckpointError` naming the newest file where none is whole or where a newer program wrote it.
    """
    broken: list[Path] = []
    for path in _candidates(folder):
        try:
            return read(path), tuple(broken)
        except Broken:
            broken.append(path)
    if not broken:
        raise CheckpointError(f"no checkpoint in {folder}; start anew with --fresh")
    raise CheckpointError(
        f"{broken[0]} is broken, and no other checkpoint beside it is whole ({len(broken)} tried)\n"
        f"put back a copy of one, or start anew with --fresh; nothing was deleted"
    )


def set_aside(broken: Path) -> Path:
    """Rename a broken checkpoint, so that nothing takes it for a newer one again; returns its new path."""
    return broken.replace(broken.with_name(f"{broken.name}.broken"))


def read(path: Path) -> dict[str, Any]:
    """The content of one checkpoint file, on the CPU; raises `Broken`, or `CheckpointError` for a newer format."""
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path} is no file; give a run folder or a file from its checkpoints/")
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check_content(content, path.stat().st_size)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {path}; give a run folder or a file that is there") from None
    except PermissionError:
        raise CheckpointError(f"{path} may not be read; change its permissions or its owner") from None
    except Broken:
        raise
    except Exception as error:  # zipfile and torch raise many kinds for a damaged file
        raise Broken(_first_line(error)) from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise CheckpointError(f"{path} is no checkpoint of banach; give a run folder or a file from its checkpoints/")
    if content["format"] > FORMAT:
        raise CheckpointError(
            f"{path} was written by a newer banach (checkpoint format {content['format']}, this one reads {FORMAT})\n"
            "update banach"
        )
    step = content.get("step")
    if not isinstance(step, int) or not 0 <= step < 2**53 or not isinstance(content.get("facts", {}), dict):
        raise CheckpointError(f"{path} does not say at which step it was written; take another copy of it")
    return content


def _check_archive(path: Path) -> None:
    """`Broken` unless the parts are whole, take no more room than the file, and name nothing but tensors.

    The list of what torch itself allows holds functions that take any amount of memory.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        packed = any(one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1 for one in parts)
        names = {one.filename.lower() for one in parts}
        if packed or len(names) < len(parts) or sum(one.file_size for one in parts) > path.stat().st_size:
            raise Broken("its parts are not as torch.save writes them")
        if (damaged := archive.testzip()) is not None:
            raise Broken(f"its part {damaged} does not match its checksum")
        for part in parts:
            if part.filename.lower().endswith(".pkl"):
                if part.file_size > _LONGEST:
                    raise Broken(f"its part {part.filename} is longer than {_LONGEST:,} bytes")
                _check_names(archive.read(part))


def _check_names(pickled: bytes) -> None:
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and _NAMES.fullmatch(str(argument)):
            continue
        if operation.name in _CALLS:
            raise Broken(f"it holds more than tensors, numbers and texts ({argument or operation.name})")


def _check_content(content: Any, size: int) -> None:
    """`Broken` unless all of it is tensors, numbers and texts, the tensors of about the size of the file in all."""
    rest, seen, total = [content], set(), 0
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided or value.device.type != "cpu" or value.requires_grad:
                raise Broken("a tensor in it is of a kind that is never written")
            total += value.numel() * value.element_size()
        elif isinstance(value, dict):
            rest += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            rest += value
        elif value is not None and not isinstance(value, bool | int | float | str):
            raise Broken(f"it holds a {type(value).__name__}")
    if total > 8 * size:  # views of a few numbers may be of any size; a network's own may share weights
        raise Broken("its tensors are larger than the file")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def _candidates(folder: Path) -> Iterator[Path]:
    """Newest first: last, then the files by step, with the previous one before those that are older than it can be."""
    if (last := folder / LAST).exists():
        yield last
    steps = _by_step(folder)
    # With last.pt broken, the step file of the same step may be whole; the previous one is older than that, and no
    # older than the second step file.
    yield from steps[:1]
    if (previous := folder / PREVIOUS).exists():
        yield previous
    yield from steps[1:]


def _by_step(folder: Path) -> list[Path]:
    named = [path for path in folder.glob("step-*.pt") if re.fullmatch(r"step-\d+\.pt", path.name)]
    return sorted(named, key=lambda path: int(path.stem.removeprefix("step-")), reverse=True)


def _second_name(source: Path, target: Path) -> None:
    """Give `source` a second name, atomically: a hard link, or a copy where the file system has no links."""
    with staged(target) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
