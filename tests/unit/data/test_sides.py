"""Arrays of sides that networks do not make: padded or cut, said in a line, and samples of the data's shape."""

import numpy as np
import pytest
import torch

from banach.data import DataError, load
from banach.data.how import How, sides
from banach.data.load import read_as
from banach.models.sizes import halvings

RNG = np.random.default_rng(0)
FIELDS = RNG.normal(size=(9, 10, 13)).astype(np.float32)


def test_padding_copies_the_rim_and_samples_lose_it():
    raw = read_as(FIELDS, How(axes="n,x,y", pad="12,14"))
    assert raw.values.shape == (9, 1, 12, 14)
    assert torch.equal(raw.values[:, 0, 1:11, 0:13], torch.tensor(FIELDS))
    assert torch.equal(raw.values[:, 0, 0], raw.values[:, 0, 1])
    assert torch.equal(raw.values[:, 0, :, 13], raw.values[:, 0, :, 12])
    assert "10x13 becomes 12x14 by copies of the rim (--pad), which the norm weighs too" in raw.notes[1]
    assert "samples are cut back to 10x13" in raw.notes[1]
    assert raw.layout is not None
    assert np.array_equal(raw.layout.back(raw.values[:]), FIELDS)


def test_cutting_takes_the_middle_and_so_do_samples():
    raw = read_as(FIELDS, How(axes="n,x,y", crop=(8, 12)))
    assert raw.layout is not None
    found = raw.layout.back(raw.values[:])
    assert np.array_equal(found, FIELDS[:, 1:9, 0:12])
    assert raw.notes[1] == "10x13 becomes its middle 8x12 (--crop), and so are samples"
    assert (raw.layout.read, raw.layout.event) == ((1, 10, 13), (1, 8, 12))


@pytest.mark.parametrize("space", [(10, 13), (48, 61), (30, 28), (100,), (9, 9, 9), (17, 100)])
@pytest.mark.parametrize("flag", ["pad", "crop"])
def test_auto_takes_the_nearest_sides_that_networks_make(space, flag):
    array = np.zeros((3, *space), np.float32)
    raw = read_as(array, How(axes="n" + "xyz"[: len(space)], **{flag: "auto"}))
    halvings(tuple(raw.values.shape[2:]), least=1)


def test_sides_that_fit_are_left_alone():
    raw = read_as(FIELDS[:, :8, :12], How(axes="nxy", pad="auto"))
    assert raw.values.shape == (9, 1, 8, 12)
    assert raw.notes[1] == "8x12 needs no --pad"


def test_pictures_in_arrays_are_padded_too():
    array = RNG.integers(0, 256, (9, 10, 13, 3), dtype=np.uint8)
    raw = read_as(array, How(pad="auto"))
    assert (raw.is_image, raw.values.shape, raw.values.dtype) == (True, (9, 3, 10, 14), torch.uint8)
    assert raw.layout is not None
    assert np.array_equal(raw.layout.back(raw.values[:]), array)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"pad": "8,14"}, "--pad 8x14 is smaller than the samples of array, 10x13; take --crop"),
        ({"crop": "12,12"}, "--crop 12x12 is larger than the samples of array, 10x13; take --pad"),
        ({"pad": "12"}, "--pad 12: the samples of array are 10x13; give a side for each"),
        ({"pad": "auto", "crop": "auto"}, "exclude each other"),
        ({"pad": "wide"}, "'wide' are no sides; write auto, or one length for each axis"),
        ({"pad": "0,4"}, "are no sides"),
        ({"crop": "auto", "axes": "n,c"}, "holds vectors, and --crop is for axes in time and space"),
    ],
)
def test_sides_that_cannot_be_had_are_refused(keys, said):
    array = FIELDS[:, 0] if keys.get("axes") == "n,c" else FIELDS
    with pytest.raises(DataError, match=said):
        load(array, **{"axes": "n,x,y", **keys})


def test_sides_are_for_arrays(tmp_path):
    with pytest.raises(DataError, match=r"--pad is for arrays, and .* is a folder; pictures take --size"):
        load(str(tmp_path), pad="auto")
    with pytest.raises(DataError, match=r"--crop is for arrays, and fashion is a set by name"):
        load("fashion", crop="auto")
    with pytest.raises(DataError, match="no network makes a size like 2x13"):
        load(FIELDS[:, :2], axes="n,x,y", crop="auto")


def test_spelling():
    assert (sides("48x64"), sides([48, 64]), sides("7"), sides("auto")) == ((48, 64), (48, 64), (7,), "auto")
