"""Metadata: what goes into a generator's file comes back, and what is no metadata is refused."""

import dataclasses
import json

import numpy as np
import pytest

from banach.data.layout import Layout
from banach.data.metadata import Column, Coordinate, Metadata, plain, plain_attributes

LAT = Coordinate("lat", ("lat",), (3,), "<f4", (-1.5, 0.0, 1.5), {"units": "degrees_north"})
WHOLE = Metadata(
    "netcdf", "tas", ("time", "lat"), {"units": "K", "levels": [1, 2]}, {"title": "a"}, (LAT,),
    (Column("a", "int64", "integer"), Column("b", "category", "category", ("x", "y"))), {"sep": ";"},
)  # fmt: skip


def through_json(layout):
    return json.loads(json.dumps(dataclasses.asdict(layout)))


def test_a_layout_with_metadata_comes_back_from_json():
    layout = Layout("nt", "<f4", (1, 3), (1, 3), metadata=WHOLE)
    assert Layout.from_facts(through_json(layout)) == layout
    assert layout.categories == (("b", ("x", "y")),)


def test_a_layout_of_an_older_file_has_no_metadata():
    facts = through_json(Layout("nt", "<f4", (1, 3), (1, 3)))
    del facts["metadata"]
    assert Layout.from_facts(facts) == Layout("nt", "<f4", (1, 3), (1, 3))


@pytest.mark.parametrize(
    ("where", "value"),
    [("format", "exe"), ("coordinates", [{"name": "lat"}]), ("columns", [{"name": "a", "dtype": "", "kind": "x",
      "categories": []}]), ("more", 3), ("dims", 3)],
)  # fmt: skip
def test_what_is_no_metadata_is_refused(where, value):
    facts = through_json(Layout("nt", "<f4", (1, 3), (1, 3), metadata=WHOLE))
    facts["metadata"][where] = value
    with pytest.raises((KeyError, TypeError, ValueError)):
        Layout.from_facts(facts)


def test_coordinates_of_another_length_than_their_shape_are_refused():
    facts = dataclasses.asdict(LAT) | {"shape": [4]}
    with pytest.raises(ValueError, match="reshape"):
        Coordinate.from_facts(facts)


def test_steps_are_those_of_evenly_spaced_numbers():
    lon = np.arange(0, 360, 1.875, dtype=np.float32)
    even = Coordinate("lon", ("lon",), lon.shape, "<f4", tuple(lon.tolist()), {"units": "degrees_east"})
    assert even.step == pytest.approx(1.875)
    assert even.said() == "lon 192 x 1.875 degrees_east (length 360)"
    assert np.array_equal(even.array, lon)
    uneven = Coordinate("p", ("p",), (3,), "<f8", (1000.0, 850.0, 500.0), {"units": "hPa"})
    assert uneven.step is None
    assert uneven.said() == "p 3 in hPa, unevenly spaced"


def test_attributes_are_kept_as_plain_values():
    assert plain(np.float32(0.5)) == 0.5
    assert plain(object()) is None
    found = {"a": np.int16(3), "b": b"K", "c": np.zeros((2, 2)), "d": ["x", "y"], "e": None, "f": 1}
    assert plain_attributes(found, but=("f",)) == {"a": 3, "b": "K", "d": ["x", "y"]}


def test_blocks_stand_behind_the_numbers():
    columns = (Column("b", "bool", "bool", (False, True)), Column("a", "float64", "float"),
               Column("c", "text", "category", ("u", "v", "w")))  # fmt: skip
    found = Metadata("table", columns=columns)
    assert [one.name for one in found.arranged] == ["a", "b", "c"]
    assert found.blocks == ((1, 2), (3, 3))
