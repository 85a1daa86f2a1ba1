"""Arrays of which two readings are plausible: asked about, with both; and fields that may be pictures: told."""

import numpy as np
import pytest
import torch

from banach.data import DataError, load
from banach.data.how import AS_IT_IS, Ambiguous, How
from banach.data.load import read_as
from banach.data.readings import pictorial

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.random(shape).astype(np.float32)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def numbers(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(("array", "guessed", "meant"), [
    (numbers(64, 64, 3), "n,t,c", "x,y,c"),
    (normal(64, 64, 3), "n,t,c", "x,y,c"),
    (floats(48, 64, 3), "n,t,c", "x,y,c"),
    (numbers(48, 64, 4), "n,t,c", "x,y,c"),
    (normal(64, 64, 1), "n,t,c", "x,y,c"),
    (floats(3, 64, 64), "n,x,y", "c,x,y"),
    (floats(28, 28), "n,c", "x,y"),
    (numbers(28, 30), "n,c", "x,y"),
    (numbers(5, 40, 16, 16, 3), "n,x,y,z,c", "n,n,x,y,c"),
    (floats(5, 40, 16, 12, 3), "n,x,y,z,c", "n,n,x,y,c"),
    (floats(5, 40, 16, 16, 1), "n,x,y,z,c", "n,n,x,y,c"),
    (numbers(10, 30, 16, 16), "n,c,x,y", "n,n,x,y"),
    (floats(10, 30, 16, 16), "n,c,x,y", "n,n,x,y"),
    (normal(100, 20, 12, 12), "n,c,x,y", "n,x,y,z"),
    (normal(60, 16, 16, 12), "n,x,y,c", "n,x,y,z"),
    (normal(100, 64, 64, 20), "n,x,y,c", "n,x,y,z"),
])  # fmt: skip
def test_both_readings_are_spelled_out_and_work(array, guessed, meant):
    said = (
        rf"in (two|three) ways; say which: [^:]*: --axes {guessed}[,;]( [^:]*: --axes [a-z,]*;)? or .*: --axes {meant}$"
    )
    with pytest.raises(Ambiguous, match=said):
        read_as(array, AS_IT_IS)
    one, other = (read_as(array, How(axes=axes)).values for axes in (guessed, meant))
    assert one.shape != other.shape
    assert torch.equal(read_as(array, How(ask=False)).values, one), "as versions before read it"
    assert sorted(other.flatten().tolist()) == sorted(one.flatten().tolist())


@pytest.mark.parametrize("array", [
    normal(100, 50, 3), normal(100, 7), normal(100, 12, 12), normal(9, 3, 64, 64),
    normal(6, 8, 8, 8, 1), normal(6, 8, 9, 9, 2), numbers(100, 8), normal(6, 6),
])  # fmt: skip
def test_shapes_that_speak_for_themselves_are_not_asked_about(array):
    read_as(array, AS_IT_IS)


def test_classes_of_pictures_keep_their_order():
    array = numbers(3, 4, 8, 9, 3)
    assert np.array_equal(read_as(array, How(axes="bbhwc")).values.permute(0, 2, 3, 1), array.reshape(12, 8, 9, 3))


def test_one_picture_is_no_set():
    with pytest.raises(DataError, match="holds 1 sample; training needs at least 2"):
        load(numbers(64, 64, 3), axes="hwc")


@pytest.mark.parametrize(("array", "limits"), [
    (floats(40, 8, 8, 3), "0,1"),
    (floats(40, 8, 8) * 2 - 1, "-1,1"),
    (numbers(40, 8, 8, 3).astype(np.float32), "0,255"),
    (numbers(40, 8, 8).astype(np.int64), "0,255"),
    (RNG.random((40, 8, 8)) > 0.5, "0,1"),
    (RNG.integers(0, 4096, (40, 8, 8)).astype(np.uint16), "0,4095"),
])  # fmt: skip
def test_fields_that_may_be_pictures_are_told_how_to_become_them(array, limits):
    raw = read_as(array, AS_IT_IS)
    assert not raw.is_image
    assert raw.doubts[0].endswith(f"if these are pictures, --range {limits} reads them so")
    made = read_as(array, How(range=limits, size=4))
    assert made.is_image
    assert made.values.shape[2:] == (4, 4)
    whole = read_as(array, How(range=limits)).values
    assert (whole.min(), whole.max()) == (0, 255)


def test_fields_in_other_units_are_not():
    for array in (300 + normal(40, 8, 8), normal(40, 2, 8, 8), normal(40, 8, 8)):
        assert read_as(array, AS_IT_IS).doubts == ()
        assert pictorial(array) is None


def test_a_range_on_other_arrays_is_refused():
    with pytest.raises(DataError, match=r"--range is for pictures, of 1 or 3 channels .* leave it out"):
        load(normal(40, 5), range="0,1")
    with pytest.raises(DataError, match=r"is of 8 bits, and --range 0,4095 goes beyond 0,255"):
        load(numbers(40, 8, 8), range="0,4095")


def test_masks_in_an_array_are_told_and_cured(tmp_path):
    array = RNG.integers(0, 2, (40, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "m.npy", array)
    for source in (array, str(tmp_path / "m.npy")):
        assert read_as(source, AS_IT_IS).doubts[0].startswith("values 0 to 1 of 0 to 255; --range 0,1")
        assert read_as(source, How(range="auto")).values.max() == 255


def test_a_mapped_array_is_read_over_its_range(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "x.npy", floats(40, 8, 8, 3))
    held, mapped = (load(str(tmp_path / "x.npy"), range="0,1", cache=cache) for cache in ("never", "always"))
    assert held.fingerprint == mapped.fingerprint != load(str(tmp_path / "x.npy"), cache="always").fingerprint
    assert (mapped.kind, mapped.range) == ("image", (0, 1))


@pytest.mark.parametrize("option", [{"pages": "all"}, {"background": "black"}, {"merge_folders": True}, {"fit": "pad"}])
def test_options_of_folders_are_refused_for_arrays_and_names(option):
    flag = f"--{next(iter(option)).replace('_', '-')}"
    with pytest.raises(DataError, match=rf"{flag} .*leave it out"):
        load(normal(40, 2, 8, 8), **option)
    with pytest.raises(DataError, match=rf"leave out {flag}"):
        load("8gaussians:n=100", **option)


def test_a_set_of_one_picture_many_times_is_refused():
    with pytest.raises(
        DataError, match="all 9 pictures of array are the same, every entry 7: there is nothing to learn"
    ):
        load(np.full((9, 8, 8), 7, np.uint8))
    with pytest.raises(DataError, match="all 9 pictures of array are the same: there is nothing to learn"):
        load(np.repeat(numbers(1, 8, 8), 9, 0))
