"""Idx files: read plain or gzipped, refused when cut or foreign."""

import gzip
import struct

import numpy as np
import pytest

from banach.data import DataError
from banach.data.idx import find_idx, read_idx

ARRAY = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def packed(array):
    return struct.pack(f">{array.ndim + 1}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def test_plain_and_gzipped_files_are_read(tmp_path):
    (tmp_path / "a-ubyte").write_bytes(packed(ARRAY))
    (tmp_path / "b-ubyte.gz").write_bytes(gzip.compress(packed(ARRAY)))
    for name in ("a-ubyte", "b-ubyte"):
        assert np.array_equal(read_idx(find_idx(tmp_path, name), 3), ARRAY)
    with pytest.raises(FileNotFoundError):
        find_idx(tmp_path, "c-ubyte")


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", packed(ARRAY)[:-1], packed(ARRAY) + b"x", packed(ARRAY[0]), b"\0\0\x0d\x03" + packed(ARRAY)[4:]],
)
def test_cut_and_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(
        DataError, match=r"a is not a whole idx file of bytes with 3 axes; delete it and fetch it again"
    ):
        read_idx(tmp_path / "a", 3)


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, 20), slice(5, None)])
def test_cut_gzip_files_are_refused(tmp_path, cut):
    (tmp_path / "a.gz").write_bytes(gzip.compress(packed(ARRAY))[cut])
    with pytest.raises(DataError, match="not a whole idx file"):
        read_idx(tmp_path / "a.gz", 3)
