"""How pictures reach a size, against plain slicing and averaging."""

import numpy as np
import pytest
import torch
from PIL import Image

from banach.data import DataError
from banach.data.resize import Frame, fit_images, frame, pixels


def numbered(h, w):
    return Image.fromarray((np.arange(h * w) % 251).astype(np.uint8).reshape(h, w))


def array(image):
    return np.asarray(image)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (64, (64, 64)),
        ((64, 48), (64, 48)),
        ([64], (64, 64)),
        ("64", (64, 64)),
        ("64,48", (64, 48)),
        ("64x48", (64, 48)),
    ],
)
def test_sizes_are_a_side_or_height_and_width(size, expected):
    made = frame(size, "crop")
    assert (made.height, made.width) == expected
    assert frame(None, "pad") is None


@pytest.mark.parametrize("size", ["big", (1, 2, 3), (), 0, -5, "64,0"])
def test_wrong_sizes_are_refused(size):
    with pytest.raises(DataError, match=r"is not a size; write --size 64"):
        frame(size, "crop")


def test_an_unknown_fit_is_refused():
    for size in (64, None):
        with pytest.raises(DataError, match="fit 'squash' is not known; known: crop, pad, stretch, none"):
            frame(size, "squash")


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", "none"])
def test_a_picture_of_the_size_is_left_alone(fit):
    image = numbered(12, 9)
    assert Frame(12, 9, fit)(image) is image


def test_crop_cuts_the_middle():
    image = numbered(10, 20)
    assert np.array_equal(array(Frame(10, 10, "crop")(image)), array(image)[:, 5:15])
    image = numbered(20, 10)
    assert np.array_equal(array(Frame(10, 10, "crop")(image)), array(image)[5:15])


def test_crop_resizes_the_shorter_side():
    image = numbered(40, 80)
    expected = image.resize((40, 20), Image.Resampling.BICUBIC)
    assert np.abs(array(Frame(20, 20, "crop")(image)).astype(int) - array(expected)[:, 10:30]).max() <= 1


def test_resizing_averages_instead_of_skipping():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    small = array(Frame(16, 16)(Image.fromarray(stripes)))
    assert np.abs(small.astype(int) - 127).max() < 20


def test_pad_shrinks_to_fit_and_never_enlarges():
    image = Image.fromarray(np.full((20, 40), 200, np.uint8))
    padded = array(Frame(20, 20, "pad")(image))
    assert (padded[5:15] == 200).all()
    assert (padded[:5] == 0).all()
    assert (padded[15:] == 0).all()
    small = array(Frame(9, 9, "pad")(Image.fromarray(np.full((4, 3), 7, np.uint8))))
    assert (small > 0).sum() == 12
    assert (small[2:6, 3:6] == 7).all()


def test_stretch_changes_proportions():
    halves = np.zeros((10, 40), np.uint8)
    halves[:, 20:] = 200
    stretched = array(Frame(10, 10, "stretch")(Image.fromarray(halves)))
    assert stretched.shape == (10, 10)
    assert (stretched[:, :3] < 10).all()
    assert (stretched[:, 7:] > 190).all()


def test_none_refuses_another_size():
    with pytest.raises(DataError, match="10x20 is not 10x10 and --fit is none"):
        Frame(10, 10, "none")(numbered(10, 20))
    with pytest.raises(DataError, match="the images are 8x8, not 4x4; choose --fit crop, pad or stretch"):
        fit_images(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), frame(4, "none"))


def test_a_box_is_cut_first():
    image = numbered(10, 20)
    assert np.array_equal(array(Frame(4, 6, "crop", (2, 1, 8, 5))(image)), array(image)[1:5, 2:8])


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (5, 7)])
def test_tensors_are_treated_like_pictures(fit, channels, size):
    images = torch.randint(0, 256, (3, channels, 9, 12), dtype=torch.uint8)
    made = fit_images(images, frame(size, fit))
    for image, one in zip(images, made, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).squeeze(-1).contiguous().numpy())
        assert torch.equal(pixels(Frame(*size, fit)(picture)), one)
    assert fit_images(images, frame((9, 12), fit)) is images
    assert fit_images(images, None) is images
