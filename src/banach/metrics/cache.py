"""Results kept on disk under a hash of everything they depend on: reference features and floors are computed once.

The folder is $BANACH_CACHE, else $XDG_CACHE_HOME/banach, else ~/.cache/banach; it can be deleted at any time. A file
is a SHA-256 digest and then a safetensors text of that digest, so a cut or altered file is noticed and computed again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from banach.data.cache import cache_folder
from banach.data.rows import Samples, blocks
from banach.files import write_bytes

FORMAT = 1  # counts up when a change here or in the scores gives old files another meaning
LIMIT = 2 * 2**30  # bytes in the folder; beyond them the files used longest ago go
DIGEST = 64
_BLOCK = 1 << 22  # entries


def content_hash(samples: Samples) -> str:
    """SHA-256 over type, shape and entries."""
    digest = hashlib.sha256(f"{samples.dtype} {tuple(samples.shape)} ".encode())
    for block in blocks(samples, _BLOCK):
        digest.update(block.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def cached(
    key: Mapping[str, object], compute: Callable[[], dict[str, Tensor]], folder: Path | None = None
) -> dict[str, Tensor]:
    """What `compute()` gives, from the file of `key` if there is a sound one, else computed and kept.

    `key` names everything the result depends on (JSON values); `folder` defaults to `cache_folder()`. A folder that
    cannot be read or written costs time, nothing else.
    """
    text = json.dumps({"format": FORMAT, "torch": torch.__version__, **key}, sort_keys=True)
    path = (folder or cache_folder()) / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.scores"
    if (found := _read(path)) is not None:
        return found
    result = compute()
    with contextlib.suppress(OSError):  # a full disk or a read-only home must not stop a training
        _write(path, result)
        _prune(path.parent)
    return result


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        raw = path.read_bytes()
        if hashlib.sha256(raw[DIGEST:]).hexdigest().encode() != raw[:DIGEST]:
            return None
        os.utime(path)
        return load(raw[DIGEST:])
    except (OSError, SafetensorError):
        return None


def _write(path: Path, result: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = save({name: one.contiguous() for name, one in result.items()})
    write_bytes(path, hashlib.sha256(raw).hexdigest().encode() + raw)


def _prune(folder: Path) -> None:
    files = sorted(((one.stat().st_mtime, one) for one in folder.glob("*.scores")), reverse=True)
    total = 0
    for _, file in files:
        total += file.stat().st_size
        if total > LIMIT:
            file.unlink(missing_ok=True)
