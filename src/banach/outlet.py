"""Standard output and error as streams that end no program, whatever becomes of their readers or lacks in a locale."""

import codecs
import contextlib
import errno
import io
import os
from typing import BinaryIO, TextIO

CLOSED = "it was closed"

_NEAR = {
    "…": "...", "–": "-", "—": "-", "→": "->", "←": "<-", "±": "+-", "×": "x", "·": "*", "≤": "<=", "≥": ">=",
    "²": "2", "₁": "1", "₂": "2", "λ": "lambda", "γ": "gamma", "ä": "ae", "ö": "oe", "ü": "ue", "é": "e", "’": "'",
}  # fmt: skip
"""What stands for a character where an encoding lacks it; all others are escaped."""


def writable(text: str, encoding: str | None) -> str:
    r"""The text with what `encoding` lacks replaced: by something near, or by its escape.

    >>> writable("a … b, 中", "ascii"), writable("a … b", "utf-8"), writable("±", "latin-1")
    ('a ... b, \\u4e2d', 'a … b', '±')
    """
    try:
        text.encode(encoding or "utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode(encoding or "utf-8", _near.__qualname__).decode(encoding or "utf-8")
    except LookupError:  # an encoding that nobody knows
        return text.encode("ascii", _near.__qualname__).decode("ascii")


def _near(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    return "".join(_NEAR.get(one) or one.encode("ascii", "backslashreplace").decode() for one in found), error.end


codecs.register_error(_near.__qualname__, _near)


class Outlet(io.TextIOBase):
    """A stream that drops what cannot be written, once its reader has gone, its disk is full or its terminal hung up.

    `lost` then says why, and is empty before. `stream` None stands for one that was closed.
    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self.lost = CLOSED if stream is None else ""
        self.by_reader = False
        """Whether it was the reader of a pipe that had seen enough."""

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the stream."""
        return (self._stream.encoding if self._stream is not None else None) or "utf-8"

    @property
    def buffer(self) -> BinaryIO:
        """The stream's bytes, for code that writes these; not watched."""
        if self._stream is None:
            raise io.UnsupportedOperation("buffer")
        return self._stream.buffer

    def isatty(self) -> bool:
        return self._stream is not None and not self.lost and self._stream.isatty()

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._stream is not None and not self.lost:
            try:
                self._stream.write(writable(text, self._stream.encoding))
            except (OSError, ValueError) as error:  # the latter where it is closed meanwhile
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None and not self.lost:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def end(self) -> None:
        """Write what waits to be written; what cannot be goes nowhere, or the interpreter would complain of it."""
        self.flush()
        if self.lost and self._stream is not None:
            with contextlib.suppress(OSError, ValueError):  # a stream without a number
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _lose(self, error: OSError | ValueError) -> None:
        said = error.strerror if isinstance(error, OSError) else str(error)
        self.lost = said or type(error).__name__
        self.by_reader = isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ESHUTDOWN)


def outlet(stream: TextIO | Outlet | None) -> Outlet:
    """The stream as an `Outlet`, itself if it is one."""
    return stream if isinstance(stream, Outlet) else Outlet(stream)
