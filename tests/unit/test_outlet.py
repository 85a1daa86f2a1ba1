"""Standard streams that end no program."""

import errno
import io
import os

import pytest

from banach.cli.__main__ import COMMANDS, help_text, main
from banach.outlet import Outlet, outlet, writable


class Failing(io.StringIO):
    def __init__(self, number: int):
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "by_reader"), [(errno.EPIPE, True), (errno.EIO, False), (errno.ENOSPC, False), (errno.EBADF, False)]
)
def test_what_cannot_be_written_is_dropped_and_the_reason_kept(number: int, by_reader: bool) -> None:
    stream = Failing(number)
    out = Outlet(stream)
    out.write("one")
    assert out.lost == ""
    out.flush()
    assert (out.lost, out.by_reader) == (os.strerror(number), by_reader)
    assert out.write("two") == 3
    out.flush()
    assert stream.getvalue() == "one"


def test_a_stream_that_was_closed(tmp_path) -> None:
    out = Outlet(None)
    assert (out.write("x"), out.lost, out.isatty()) == (1, "it was closed", False)
    out.end()
    with (tmp_path / "x").open("w") as file:
        late = outlet(file)
        assert outlet(late) is late
    late.write("x")
    assert late.lost


def test_the_interpreter_has_nothing_to_complain_of_at_its_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    out = Outlet(stream)
    out.write("waits in a buffer")
    out.end()
    assert out.by_reader
    stream.close()  # would raise BrokenPipeError again


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "no-such-encoding"])
def test_every_encoding_takes_every_text(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii" if encoding.startswith("no") else encoding, write_through=True)
    Outlet(stream).write("… ± γ 写真 \udcff 😀")
    assert len(raw.getvalue()) > 10
    assert writable("… ± γ 写真 \udcff 😀", encoding)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_loses_no_meaning_in_ascii(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name:
        main([name, "--help"])
    text = capsys.readouterr().out if name else help_text()
    assert "\\u" not in writable(text, "ascii")
    assert "\\x" not in writable(text, "ascii")
