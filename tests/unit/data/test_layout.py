"""Samples come back with the axes, shape and type of the array they were learnt from."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from banach.data import DataError, load
from banach.data.how import AS_IT_IS, How
from banach.data.layout import Layout
from banach.data.load import read_as

RNG = np.random.default_rng(0)


def back(array, axes=None, **keys):
    """What is read of the array, brought back."""
    raw = read_as(array, How(axes=axes, **keys))
    assert raw.layout is not None
    return raw.layout.back(raw.values[:]), raw.layout


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9,), "n"), ((9, 1), "n,c"), ((9, 5), "n,c"), ((5, 9), "c,n"), ((9, 12, 2), "n,t,c"), ((9, 4, 5), "n,x,y"),
        ((4, 5, 9), "x,y,n"), ((9, 4, 5, 3), "n,x,y,c"), ((9, 4, 5, 6), "n,x,y,z"), ((9, 4, 5, 6, 2), "n,z,y,x,c"),
        ((9, 5, 4), "bwh"), ((9, 3, 4, 5), "nchw"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "|b1", "|i1", ">u2", "<i8"])
def test_what_is_read_comes_back_entry_by_entry(shape, axes, dtype):
    array = (50 * RNG.normal(size=shape)).round().clip(-100, 100).astype("<f8")
    array = (abs(array) if "u" in dtype else array).astype(dtype)
    for one in (array, np.asfortranarray(array), array[::-1]):
        found, layout = back(one, axes)
        assert (found.dtype, found.shape) == (np.dtype(dtype), shape)
        assert np.array_equal(found, one)
        facts = json.loads(json.dumps(dataclasses.asdict(layout)))
        assert Layout.from_facts(facts) == layout


def test_wider_types_and_tensors():
    assert back(RNG.normal(size=(9, 3)).astype(np.longdouble))[0].dtype == np.float64
    assert back(torch.randn(9, 3).half())[0].dtype == np.float16
    raw = read_as(np.arange(18, dtype=">i4").reshape(9, 2), AS_IT_IS)
    assert raw.layout is not None
    made = raw.layout.tensor(raw.values[:])
    assert (made.dtype, made.tolist()) == (torch.int32, np.arange(18).reshape(9, 2).tolist())


def test_integers_are_rounded_to_and_kept_within_their_type():
    layout = Layout("nc", "<i2", (2,), (2,))
    made = layout.back(torch.tensor([[0.4, 0.6], [-1e9, 1e9], [2.5, -7.5]]))
    assert made.tolist() == [[0, 1], [-32768, 32767], [2, -8]]
    assert dataclasses.replace(layout, dtype="<i8").back(torch.tensor([[1e30, -1e30]])).tolist() == [[2**53, -(2**53)]]
    assert dataclasses.replace(layout, dtype="|b1").back(torch.tensor([[0.4, 0.6]])).tolist() == [[False, True]]
    assert dataclasses.replace(layout, dtype="<f2").back(torch.tensor([[1e9, -1e9]])).tolist() == [[65504, -65504]]


def test_integers_that_float32_does_not_hold_come_back_as_float32():
    array = np.arange(20, dtype=np.int64).reshape(10, 2) * 1_000_001
    found, layout = back(array)
    assert not layout.whole
    assert found.dtype == np.float32
    assert "float32 (the data: int64)" in layout.said(10)
    assert (
        back(array // 1_000_001)[1].said(10) == "10 samples, 2 numbers each; int64, rounded to whole numbers, axes n,c"
    )


def test_pictures_come_back_in_their_range_and_type():
    array = RNG.integers(0, 4096, (20, 8, 8), dtype=np.uint16)
    found, layout = back(array, range="0,4095")
    assert (found.dtype, found.shape) == (np.uint16, (20, 8, 8))
    assert abs(found.astype(int) - array).max() <= 9  # 255 levels of grey
    floats = RNG.random((20, 8, 8, 3)).astype(np.float64)
    found, layout = back(floats, range="0,1")
    assert (found.dtype, found.shape, layout.written) == (np.float64, (20, 8, 8, 3), "n,x,y,c")
    assert abs(found - floats).max() <= 0.5 / 255 + 1e-9
    made = layout.tensor(read_as(floats, How(range="0,1")).values[:])
    assert (made.dtype, made.shape) == (torch.uint8, (20, 8, 8, 3))
    bytes_ = RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    assert np.array_equal(back(bytes_)[0], bytes_)
    assert back(bytes_, size=4)[0].shape == (20, 4, 4, 3)


def test_a_mapped_file_lies_as_one_in_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "x.npy", RNG.normal(size=(9, 12, 10)).astype(">f4"))
    made = [load(tmp_path / "x.npy", axes="n,x,y", pad="auto", cache=one) for one in ("never", "always", "always")]
    assert made[0].layout == made[1].layout == made[2].layout
    assert made[0].fingerprint == made[1].fingerprint
    assert (made[0].shape, made[0].layout and made[0].layout.event) == ((1, 12, 10), (1, 12, 10))


@pytest.mark.parametrize("change", [{"axes": "nq"}, {"dtype": "O"}, {"event": [1, 2]}, {"range": [1]}, {"read": None}])
def test_layouts_of_strangers_are_refused(change):
    facts = {**dataclasses.asdict(Layout("nxy", "<f4", (1, 4, 5), (1, 4, 5))), **change}
    with pytest.raises((ValueError, TypeError, IndexError)):
        Layout.from_facts(facts)
    assert Layout.from_facts(None) is None


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 2)) + 1j, r"holds complex128 entries; .*numpy.stack\(\[x.real, x.imag\], 1\)"),
        (np.zeros((0, 4, 5)), "is empty"),
        (np.zeros((4, 0)), "is empty"),
        (np.float64(3), "is empty"),
    ],
)
def test_arrays_without_samples_of_real_numbers_are_refused(array, said):
    with pytest.raises(DataError, match=said):
        read_as(np.asarray(array), AS_IT_IS)
