"""Data in memory, in whatever people hold them: read as what they are, or refused with the remedy."""

import itertools
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)  # fmt: skip

from banach.data.load import load, read
from banach.data.objects import in_memory
from banach.errors import DataError

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


class Pictures(Dataset):
    """Items as those of torchvision: a picture and its class."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, at: int) -> tuple[Image.Image, int]:
        return Image.fromarray(IMAGES[at]), at % 3


class Stream(IterableDataset):
    def __iter__(self):
        return iter(X)


class Parts(Dataset):
    """Items made of the parts given."""

    def __init__(self, *parts):
        self.parts = parts

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, at: int):
        return self.parts


def rows(source) -> np.ndarray:
    return np.asarray(in_memory(source)[0])


@pytest.mark.parametrize(
    "source",
    [
        X, torch.from_numpy(X), list(X), tuple(X), list(torch.from_numpy(X)), X.tolist(),
        TensorDataset(torch.from_numpy(X)), TensorDataset(torch.from_numpy(X), torch.arange(12)),
        DataLoader(TensorDataset(torch.from_numpy(X)), batch_size=5, shuffle=True, drop_last=True),
        Subset(TensorDataset(torch.from_numpy(X)), range(12)), np.ma.masked_array(X), memoryview(X),
        [(one, "label") for one in X],
    ],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_the_same_samples_in_any_container(source):
    assert np.allclose(rows(source), X)
    assert load(source).shape == (3,)


@pytest.mark.parametrize(
    "source", [list(IMAGES), [Image.fromarray(one) for one in IMAGES], Pictures(), DataLoader(Pictures(), shuffle=True)]
)
def test_pictures_stay_pictures(source):
    raw = read(source)
    assert raw.is_image
    assert np.array_equal(raw.values[:].permute(0, 2, 3, 1).numpy(), IMAGES)


def test_a_loader_that_shuffles_draws_no_global_number_and_gives_one_fingerprint():
    loader = DataLoader(Pictures(), shuffle=True)
    before = torch.get_rng_state()
    assert load(loader).fingerprint == load(loader).fingerprint == load(list(IMAGES)).fingerprint
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_left_out_or_put_in_its_place_is_told():
    assert "labels are left out" in " ".join(load(Pictures()).notes)
    assert "batch and order are those of the training" in " ".join(load(DataLoader(Pictures())).notes)
    assert in_memory(X)[1] == ()


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [(torch.bfloat16, torch.float32), (torch.float16, torch.float16), (torch.float64, torch.float64),
     (torch.uint8, torch.uint8)],
)  # fmt: skip
def test_tensors_that_numpy_has_not_become_the_shortest_that_it_has(dtype, kept):
    source = torch.ones(4, 2, dtype=dtype, requires_grad=dtype.is_floating_point)
    found, _ = in_memory(source)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == kept
    assert load(source).shape == (2,)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"x": X, "y": X}, r"x is a dict of several parts; give one of them, x\['x'\] or x\['y'\]"),
        ([np.zeros(3), np.zeros(3), np.zeros(4)], r"items 0 and 2 of x differ, float64 \(3,\) and float64 \(4,\)"),
        ([np.zeros(3), np.zeros(3, np.uint8)], "items 0 and 1 of x differ, float64 .* and uint8"),
        ([[1.0], [1.0, 2.0]], "lists of different lengths"),
        ([["a"], ["b"]], "give numbers"),
        (["a.png", "b.png"], "the text 'a.png'; give numbers, or the name of a folder"),
        ([], "an empty list"),
        (Stream(), r"itertools\.islice\(x, 10_000\)"),
        (DataLoader(Stream()), "over an IterableDataset"),
        (DataLoader(Pictures(), sampler=[0, 1]), "a sampler of its own"),
        (DataLoader(Pictures(), batch_sampler=[[0, 1]]), "a sampler of its own"),
        (DataLoader(Pictures(), collate_fn=lambda batch: batch), "a collate_fn of its own"),
        (Parts(X[0], X[1]), r"2 parts .*; say which is the sample:\n\[one\[0\] for one in x\] or \[one\[1\]"),
        (Parts(7, X[1]), "say which is the sample"),
        ([{"image": X[0], "label": 1}], r"\[one\['image'\] for one in x\] of its image, label"),
        (Image.fromarray(IMAGES[0]), "one picture; give many"),
        ([Image.fromarray(IMAGES[0]).convert("P")] * 3, r"mode P; bring all to one, one\.convert\('RGB'\)"),
        ([Image.fromarray(IMAGES[0]).convert("RGBA")] * 3, "mode RGBA"),
        (np.ma.masked_array(X, X > 0), "masked entries, whose values are not known"),
        ([np.ma.masked_array(X[0], [1, 0, 0])], "1 masked entry"),
        (torch.from_numpy(X).to_sparse(), "is sparse"),
        (torch.empty(3, 2, device="meta"), "meta device"),
        (b"abc", "data of type bytes are not read"),
        (None, "data of type NoneType are not read; give an array or tensor, a list of them"),
        (3.0, "data of type float are not read"),
        ({1.0, 2.0}, "data of type set are not read"),
        ((one for one in X), "data of type generator are not read"),
        (itertools.count(), "are not read"),
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused_with_the_remedy(source, said):
    with pytest.raises(DataError, match=said) as caught:
        load(source)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_hugging_face_data_set_is_asked_for_its_column(monkeypatch):
    module = ModuleType("datasets.arrow_dataset")
    monkeypatch.setitem(sys.modules, "datasets.arrow_dataset", module)
    kind = type("Dataset", (), {"column_names": ["image", "label"], "__module__": "datasets.arrow_dataset"})
    with pytest.raises(DataError, match=r"a datasets\.Dataset; give the column of the samples, x\['image'\]"):
        load(kind())


def test_a_plain_batch_sampler_is_no_sampler_of_ones_own():
    data = TensorDataset(torch.from_numpy(X))
    assert load(DataLoader(data, batch_sampler=BatchSampler(SequentialSampler(X), 5, drop_last=False))).shape == (3,)
    some = [0, 1], SequentialSampler(X[:5]), RandomSampler(X, replacement=True), RandomSampler(X, num_samples=5)
    for other in some:
        with pytest.raises(DataError, match="a sampler of its own"):
            load(DataLoader(data, batch_sampler=BatchSampler(other, 5, drop_last=False)))


def test_a_table_is_a_sample_a_row_and_refused_by_column():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    assert np.array_equal(rows(table), X)
    assert "a table of 3 columns: a, b, c" in load(table).notes
    holes = table.astype({"a": "Float64"}).mask(table["b"] > 0, pandas.NA)
    for source, said in (
        (table.assign(name="x", day=pandas.Timestamp(0)), r"no numbers \(name, day\); give the others, x\[\['a', 'b'"),
        (table.where(table["b"] > 0), r"missing values in a, b, c; leave those rows out, x\.dropna\(\)"),
        (holes[["a"]], "missing values in a"),
        (table[[]], "a table without columns"),
    ):
        with pytest.raises(DataError, match=said):
            load(source)
    assert load(holes.dropna()).shape == (3,)
