"""Axis letters: what they do to an array, and which shapes speak for themselves."""

import re

import numpy as np
import pytest

from banach.data import DataError
from banach.data.axes import arrange, guess, resolve
from banach.data.how import Ambiguous, How
from banach.data.letters import described, read_letters, spelled


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
        ("n", (6,), (6, 1)),
        ("n,c", (6, 5), (6, 5)),
        ("cn", (5, 6), (6, 5)),
        ("n,t", (6, 9), (6, 1, 9)),
        ("n,x", (6, 9), (6, 1, 9)),
        ("n,t,c", (6, 9, 2), (6, 2, 9)),
        ("n, c, x, y", (6, 3, 4, 5), (6, 3, 4, 5)),
        ("NXYC", (6, 4, 5, 3), (6, 3, 4, 5)),
        ("n,y,x", (6, 4, 5), (6, 1, 4, 5)),
        ("x,y,n", (4, 5, 6), (6, 1, 4, 5)),
        ("n,t,y,x", (6, 2, 4, 5), (6, 1, 2, 4, 5)),
        ("n,x,y,z,c", (6, 2, 4, 5, 3), (6, 3, 2, 4, 5)),
        ("nchw", (6, 3, 4, 5), (6, 3, 4, 5)),
        ("ndhw", (6, 2, 4, 5), (6, 1, 2, 4, 5)),
        ("nd", (6, 5), (6, 5)),
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
        ((100,), "n"),
        ((100, 7), "nc"),
        ((100, 3, 50), "nct"),
        ((100, 50, 2), "ntc"),
        ((100, 28, 28), "nxy"),
        ((100, 3, 8, 9), "ncxy"),
        ((100, 8, 9, 1), "nxyc"),
        ((100, 2, 8, 8, 8), "ncxyz"),
        ((100, 8, 8, 8, 2), "nxyzc"),
    ],
)
def test_shapes_that_speak_for_themselves(shape, axes):
    assert guess(np.zeros(shape), "x") == guess(np.zeros(shape), "x", ask=False) == axes


@pytest.mark.parametrize(
    ("shape", "axes"), [((100, 20, 64, 64), "ncxy"), ((100, 64, 64, 20), "nxyc"), ((60, 16, 16, 12), "nxyc")]
)
def test_many_channels_may_be_the_depth_of_volumes(shape, axes):
    array = np.zeros(shape, np.float32)
    with pytest.raises(Ambiguous, match=r"in (two|three) ways; say which: .*--axes n,x,y,z"):
        guess(array, "x")
    assert guess(array, "x", ask=False) == axes, "as versions before read it"


@pytest.mark.parametrize(
    "shape", [(9, 12, 50), (9, 2, 2), (9, 3, 3, 3), (9, 16, 16, 16), (9, 5, 6, 7), (9, 8, 8, 8, 8)]
)
def test_ambiguous_shapes_ask_for_axes(shape):
    with pytest.raises(DataError, match=r"x: float64 .* can be read in \w+ ways; say which: ") as refused:
        guess(np.zeros(shape), "x")
    told = re.findall(r"--axes ([a-z,]+[a-z]|n)", str(refused.value))
    assert len(told) >= 2
    assert len({spelled(one) for one in told}) == len(told), "all differ"
    for one in told:
        arrange(np.zeros(shape), one, "x")


def test_too_many_axes_and_wrong_letters_are_refused():
    with pytest.raises(DataError, match=r"6 axes .* are too many"):
        guess(np.empty((2, 2, 2, 2, 2, 2)), "x")
    with pytest.raises(DataError, match="axes 'bchw' name 4 axes and the array has 3"):
        arrange(np.empty((2, 2, 2)), "bchw", "x")
    for axes in ("bxy", "cdw", "bcc"):
        with pytest.raises(DataError, match=f"axes '{axes}' are not known; letters are b samples"):
            arrange(np.empty((2, 2, 2)), axes, "x")


def test_axes_in_space_keep_their_order_but_for_the_older_spelling():
    array = numbered(6, 4, 5)
    assert np.array_equal(arrange(array, "n,y,x", "x")[0][:, 0], array)
    assert np.array_equal(arrange(array, "bwh", "x")[0][:, 0], array.transpose(0, 2, 1))


@pytest.mark.parametrize("axes", ["c", "nxx", "nq", "n,x,n", "t,x,y,z", "ntxyz", "nxw", "nl", "", "cc"])
def test_letters_without_a_meaning_are_refused(axes):
    with pytest.raises(DataError, match=r"are not known; letters are|name 0 axes"):
        arrange(np.zeros((2,) * len(axes.replace(",", ""))), axes, "x")


@pytest.mark.parametrize(
    ("axes", "shape", "written"),
    [
        ("n", (6,), "n"), ("n,c", (6, 5), "n,c"), ("c,n", (5, 6), "c,n"), ("n,t,c", (6, 9, 2), "n,t,c"),
        ("n,x,y", (6, 4, 5), "n,x,y"), ("x,y,n", (4, 5, 6), "x,y,n"), ("bwhc", (6, 4, 5, 3), "bwhc"),
        ("n,x,y,z", (6, 2, 4, 5), "n,x,y,z"), ("nhwc", (6, 4, 5, 3), "nhwc"),
        ("z,c,n,x,y", (4, 2, 6, 3, 5), "z,c,n,x,y"),
    ],
)  # fmt: skip
def test_samples_come_back_with_the_axes_of_the_array(axes, shape, written):
    array = numbered(*shape)
    found = read_letters(axes)
    assert np.array_equal(found.back(found.arranged(array)), array)
    assert np.array_equal(found.back(found.arranged(np.asfortranarray(array))), array)
    assert found.of_samples == written


def test_of_samples_in_several_axes_one_axis_comes_back():
    classes, one = read_letters("n,n,x,y,c"), read_letters("xyc")
    array = numbered(3, 2, 4, 5, 3)
    assert np.array_equal(classes.back(classes.arranged(array)), array.reshape(6, 4, 5, 3))
    assert (classes.of_samples, one.of_samples, read_letters("bbhwc").of_samples) == ("n,x,y,c", "n,x,y,c", "bhwc")
    assert one.back(one.arranged(array[0, 0])).shape == (1, 4, 5, 3)


def test_who_says_what_the_axes_are():
    array = np.zeros((60, 16, 16, 12), np.float32)
    known = (("n,x,y,z", (1, 16, 16, 12)),)

    def said(how, own=""):
        axes, by = resolve(array, "x", how, own)
        return axes.letters, by.partition(";")[0]

    assert said(How(axes="n,x,y,c", known=known), "nxyz") == ("nxyc", "--axes")
    assert said(How(known=known), "n,y,x,z") == ("nyxz", "as the file says")
    assert said(How(known=known)) == ("nxyz", "as the samples it goes with")
    assert said(How(ask=False)) == ("nxyc", "guessed")
    for own in ("", "n,x", "q,q,q,q"):
        with pytest.raises(Ambiguous):
            said(How(known=(("n,x,y,z", (1, 16, 16, 11)), ("n,x,y", (1, 16, 16)))), own)


def test_a_field_of_other_sides_is_asked_about_with_all_readings():
    with pytest.raises(DataError) as refused:
        guess(np.zeros((400, 48, 64), np.float32), "x.npy")
    assert str(refused.value) == (
        "x.npy: float32 (400, 48, 64) can be read in three ways; say which: "
        "400 samples, 1 channel, 48x64: --axes n,x,y; 400 samples, 48 channels, length 64: --axes n,c,t; "
        "or 400 samples, 64 channels, length 48: --axes n,t,c"
    )


def test_words():
    assert described(1, (3, 8, 9)) == "1 sample, 3 channels, 8x9"
    assert (spelled("n c x"), spelled("bhwc"), spelled("nxyz")) == ("n,c,x", "bhwc", "n,x,y,z")
