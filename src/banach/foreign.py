"""Untrusted files: limits on what is read of them, and how their text is shown.

What a file says is a stranger's word. Sizes are checked before anything is unpacked, nothing in a file is run, and what
is shown of it moves no cursor.
"""

import io
import json
import math
import os
import re
import shlex
import stat
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from banach.errors import BanachError
from banach.files import encodable

SMALL = 2**20
"""The largest size in bytes of a text file: a config, a header, a lock."""

PICTURES = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")
"""The image formats that are read by Pillow. Of all that it knows, one (EPS) would start another program."""

_BLOCK = 2**20
_BEHIND = 2**10
"""Axis letters, and the header before them, are no longer."""


class Unreadable(BanachError):
    """A file that cannot be read as expected; the message says why, without the file's name."""


def visible(text: str) -> str:
    r"""A text on one line: every character that is neither printable nor a space is escaped.

    >>> visible("ä 中"), visible("a\x1b[2Kb\nc\u202e")
    ('ä 中', 'a\\x1b[2Kb\\nc\\u202e')
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def typed(path: str | Path) -> str:
    r"""A path as a word that a shell takes back, whatever its name holds.

    >>> typed("runs/a"), typed("my runs"), typed("a\udcff"), typed("-a")
    ('runs/a', "'my runs'", "$'a\\xff'", './-a')
    """
    text = str(path)
    return quoted(f"./{text}" if text.startswith("-") else text)


def quoted(word: str) -> str:
    r"""A word of a command line as a shell takes it back.

    >>> quoted("--size"), quoted("Lp(4)"), quoted("a\udcff")
    ('--size', "'Lp(4)'", "$'a\\xff'")
    """
    if word.isprintable():
        return shlex.quote(word)
    plain = (chr(one) if 32 <= one < 127 and one not in b"'\\" else f"\\x{one:02x}" for one in _bytes(word))
    return f"$'{''.join(plain)}'"


def _bytes(word: str) -> bytes:
    try:
        return os.fsencode(word)
    except UnicodeEncodeError:  # half of a pair, which no file's name holds
        return word.encode("utf-8", "surrogatepass")


def as_command(words: Iterable[str]) -> str:
    """A command of several words, ready to paste."""
    return " ".join(map(quoted, words))


@contextmanager
def named_in_utf8(path: Path) -> Iterator[Path]:
    """Inside, a name of the file for libraries that take UTF-8 alone: its own, where that is so."""
    if encodable(str(path)) == str(path):
        yield path
        return
    with path.open("rb") as file:
        yield Path(f"/dev/fd/{file.fileno()}")


def visible_json(text: str) -> str:
    """A JSON text with the same characters escaped as JSON has it; its line ends stay."""
    shown = (one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)
    return "".join(shown)


def read_bytes(path: Path, limit: int = SMALL) -> bytes:
    """A whole file of at most `limit` bytes; `Unreadable` if it is longer or no plain file (a pipe has no end)."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise Unreadable("it is a folder" if path.is_dir() else "it is no plain file")
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise Unreadable(f"it is longer than {limit:,} bytes")
    return content


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError if it is invalid, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def open_array(path: Path) -> np.ndarray:
    """The array in an .npy file, memory-mapped; `Unreadable` unless the file holds what its header says."""
    if not path.is_file():
        raise Unreadable("it is no plain file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an old Python wrote it
            found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # headers lead to whatever they like
        raise Unreadable(_said(error)) from None
    if not isinstance(found, np.ndarray):
        found.close()
        raise Unreadable("it is an .npz file by its content; rename it")
    return found


def noted_axes(path: Path, key: str = "") -> str:
    """The axis letters that came with an array that `banach sample` wrote: behind it in an .npy file, as the array
    `axes` beside the array `samples` in an .npz file; "" where there are none."""
    try:
        with path.open("rb") as file:
            if file.read(6) != np.lib.format.MAGIC_PREFIX:
                return _letters(unpack_array(path, "axes", _check_short)) if key in ("", "samples") else ""
            file.seek(0)
            shape, _, kind = _header(file)
            file.seek(math.prod(shape) * kind.itemsize, 1)
            behind = file.read(_BEHIND + 1)
        if not behind or len(behind) > _BEHIND:
            return ""
        return _letters(np.load(io.BytesIO(behind), allow_pickle=False))
    except Exception:  # anything else may lie there
        return ""


def _check_short(size: int) -> None:
    if size > _BEHIND:
        raise Unreadable("these are no axis letters")


def _letters(found: np.ndarray) -> str:
    text = str(found) if found.ndim == 0 and found.dtype.kind == "U" and found.dtype.itemsize <= 128 else ""
    return text if re.fullmatch("[a-z](,?[a-z]){0,15}", text) else ""


def array_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz file, each once."""
    with _archive(path) as archive:
        return list(_arrays(archive))


def unpack_array(path: Path, name: str, require: Callable[[int], None] = lambda _: None) -> np.ndarray:
    """One array of an .npz file; `require` is told how many bytes it takes before it is unpacked.

    `Unreadable` where header and length disagree, and for Python objects.
    """
    with _archive(path) as archive:
        part = _arrays(archive)[name]
        try:
            with archive.open(part) as stream:
                shape, columns, kind = _header(stream)
                size = math.prod(shape) * kind.itemsize
                if kind.hasobject:
                    raise Unreadable("it holds Python objects; save an array of numbers")
                if not kind.itemsize or min(shape, default=0) < 0 or stream.tell() + size != part.file_size:
                    raise Unreadable(f"{name!r} is not as long as its header says")
                require(size)
                content = bytearray()
                while block := stream.read(_BLOCK):
                    content += block
        except Unreadable:
            raise
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise Unreadable(_said(error)) from None
        if len(content) != size:
            raise Unreadable(f"{name!r} is cut")
        return np.frombuffer(content, kind).reshape(shape, order="F" if columns else "C")


def _archive(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise Unreadable("it is no plain file")
    with path.open("rb") as file:
        if file.read(6) == np.lib.format.MAGIC_PREFIX:
            raise Unreadable("it is an .npy file by its content; rename it")
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises many kinds for a damaged file
        raise Unreadable(_said(error)) from None


def _arrays(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for part in archive.infolist():
        name = part.filename.removesuffix(".npy")
        if name in found:
            raise Unreadable(f"it holds {name!r} twice")
        found[name] = part
    return found


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if np.lib.format.read_magic(stream) != (1, 0):  # later ones are for headers beyond 64 KB
                raise Unreadable("it holds no plain array of numbers")
            return np.lib.format.read_array_header_1_0(stream)
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError):
        raise
    except Exception as error:
        raise Unreadable(_said(error)) from None


def _said(error: Exception) -> str:
    text = str(error).split("\n")[0]
    if "allow_pickle" in text or "Python objects" in text:
        return "it holds Python objects; save an array of numbers"
    return text[:200] or type(error).__name__
