"""What a user may say about reading, and how it is refused."""

import pytest

from banach.data import DataError
from banach.data.how import Ambiguous, How, colour, limits, page


def test_what_is_said_is_read():
    how = How(pages="3", range="0,4095", background="00ff00")
    assert (how.pages, how.range, how.background) == (3, (0.0, 4095.0), "#00ff00")
    assert How(range=[-1, 1]).range == (-1.0, 1.0)
    assert How(range="auto").range == "auto"


@pytest.mark.parametrize("value", [0, -1, True, "last", "1.5", ""])
def test_pages_that_are_none_are_refused(value):
    with pytest.raises(DataError, match="is no choice of pages; write first, all, or a page's number from 1"):
        page(value)


@pytest.mark.parametrize("value", ["5", "0,1,2", "a,b", 7, None, "all"])
def test_ranges_of_other_than_two_numbers_are_refused(value):
    with pytest.raises(DataError, match="is not a range; write LOW,HIGH, such as 0,4095, or auto"):
        limits(value)


@pytest.mark.parametrize("value", ["1,0", "2,2", "0,inf", "nan,1"])
def test_ranges_without_room_are_refused(value):
    with pytest.raises(DataError, match="write the value of black, then a larger one of white"):
        limits(value)


@pytest.mark.parametrize("value", ["pink", "#fff", "", None, "#1234567"])
def test_colours_that_are_none_are_refused(value):
    with pytest.raises(DataError, match="write white, black or '#rrggbb'"):
        colour(value)


def test_a_fit_without_a_size_means_nothing():
    How(fit="pad", size=8).check_fit()
    How(fit="pad", ask=False).check_fit()
    for fit in ("pad", "stretch"):
        with pytest.raises(Ambiguous, match=f"--fit {fit} says how pictures get to --size; give that too"):
            How(fit=fit).check_fit()


def test_flags_for_folders_are_named():
    assert How().of_folders() == ()
    assert How(pages=1, background="black", merge_folders=True).of_folders() == (
        "--pages",
        "--background",
        "--merge-folders",
    )
