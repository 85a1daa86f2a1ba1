"""What scores are called, and when they are good."""

import pytest

from banach.metrics.fields import NAMES as OF_ARRAYS
from banach.metrics.scores import NAMES as OF_IMAGES
from banach.metrics.titles import sense, taken_in, title


@pytest.mark.parametrize("name", OF_IMAGES)
def test_a_score_of_images_names_its_extractor(name):
    assert title(name, {"extractor": "mine"}).endswith("[mine]")


@pytest.mark.parametrize("name", ["w1", "excess"])
def test_a_score_by_transport_names_its_norm(name):
    assert title(name, {"metric": "Sobolev(s=-1)"}).endswith("W1[Sobolev(s=-1)]")


def test_moments_are_in_no_norm_and_an_unknown_protocol_names_nothing():
    assert [title(name, {"metric": "Lp(p=2)"}) for name in ("mean", "std")] == ["mean", "deviation"]
    assert [title("fid", protocol) for protocol in (None, "a text", {"extractor": 3}, {})] == ["FID"] * 4


def test_a_long_norm_is_cut():
    assert len(taken_in("w1", {"metric": "Weighted(" + "x" * 100})) == 40


def test_every_score_says_when_it_is_good():
    told = {name: sense(name, {"extractor": "fashion", "metric": "Lp(p=2)"}) for name in (*OF_IMAGES, *OF_ARRAYS)}
    assert {name for name, one in told.items() if one == "lower is better"} == {"fid", "kid", "mean", "std"}
    assert {name for name, one in told.items() if one.startswith("higher")} == {"is", "precision", "recall"}
    assert told["w1"].startswith("best at its floor")
    assert told["excess"] == "0 is best"
    assert sense("precision", {"extractor": "pixels"}).startswith("says nothing in pixels")
