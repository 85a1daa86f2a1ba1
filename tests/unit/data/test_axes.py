"""Axis letters: what they do to an array, and which shapes speak for themselves."""

import numpy as np
import pytest

from banach.data import DataError
from banach.data.axes import arrange, guess


def numbered(*shape):
    return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("b", (6,), (6, 1)),
        ("bd", (6, 5), (6, 5)),
        ("db", (5, 6), (6, 5)),
        ("bn", (6, 9), (6, 1, 9)),
        ("bcn", (6, 2, 9), (6, 2, 9)),
        ("bnc", (6, 9, 2), (6, 2, 9)),
        ("btc", (6, 9, 2), (6, 2, 9)),
        ("bhw", (6, 4, 5), (6, 1, 4, 5)),
        ("bchw", (6, 3, 4, 5), (6, 3, 4, 5)),
        ("bhwc", (6, 4, 5, 3), (6, 3, 4, 5)),
        ("hwcb", (4, 5, 3, 6), (6, 3, 4, 5)),
        ("bdhw", (6, 2, 4, 5), (6, 1, 2, 4, 5)),
        ("bcdhw", (6, 3, 2, 4, 5), (6, 3, 2, 4, 5)),
        ("bdhwc", (6, 2, 4, 5, 3), (6, 3, 2, 4, 5)),
    ],
)
def test_letters_say_where_each_axis_goes(axes, shape, expected):
    array = numbered(*shape)
    arranged, alone = arrange(array, axes, "x")
    assert arranged.shape == expected
    assert alone == (arranged.size == array.size and arranged.ndim > array.ndim)
    assert sorted(arranged.ravel()) == sorted(array.ravel())


def test_entries_follow_their_axes():
    array = numbered(6, 4, 5, 3)
    arranged, _ = arrange(array, "bhwc", "x")
    assert arranged[2, 1, 3, 4] == array[2, 3, 4, 1]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((100,), "b"),
        ((100, 7), "bd"),
        ((100, 3, 50), "bcn"),
        ((100, 50, 2), "bnc"),
        ((100, 28, 28), "bhw"),
        ((100, 3, 8, 9), "bchw"),
        ((100, 8, 9, 1), "bhwc"),
        ((100, 20, 64, 64), "bchw"),
        ((100, 64, 64, 20), "bhwc"),
        ((100, 2, 8, 8, 8), "bcdhw"),
        ((100, 8, 8, 8, 2), "bdhwc"),
    ],
)
def test_shapes_that_speak_for_themselves(shape, axes):
    assert guess(np.empty(shape), "x") == axes


@pytest.mark.parametrize(
    "shape", [(9, 12, 50), (9, 2, 2), (9, 3, 3, 3), (9, 16, 16, 16), (9, 5, 6, 7), (9, 8, 8, 8, 8)]
)
def test_ambiguous_shapes_ask_for_axes(shape):
    with pytest.raises(DataError, match=r"x: the axes of .* can be read in several ways; say which, --axes b"):
        guess(np.empty(shape), "x")


def test_too_many_axes_and_wrong_letters_are_refused():
    with pytest.raises(DataError, match=r"6 axes .* are too many"):
        guess(np.empty((2, 2, 2, 2, 2, 2)), "x")
    with pytest.raises(DataError, match="axes 'bchw' name 4 axes and the array has 3"):
        arrange(np.empty((2, 2, 2)), "bchw", "x")
    for axes in ("bxy", "cdw", "bcc"):
        with pytest.raises(DataError, match=f"axes '{axes}' are not known; letters are b samples"):
            arrange(np.empty((2, 2, 2)), axes, "x")
