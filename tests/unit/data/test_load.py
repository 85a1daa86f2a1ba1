"""What follows --data: names with options, paths, arrays, plugins; and what is said to all else."""

import numpy as np
import pytest
import torch

from banach.data import DATASETS, DataError, Raw, load, read, split_off
from banach.data.how import Ambiguous


@pytest.fixture
def plugin():
    """Registers data sets for one test."""
    names = []

    def add(name, make, **keywords):
        names.append(name)
        return DATASETS.add(name, make, **keywords)

    yield add
    for name in names:
        del DATASETS._entries[name]


def test_names_are_read_however_they_are_spelt():
    for text in ("fashion", "Fashion", "8gaussians:n=100", "8-Gaussians(n=100)", "8gaussians:n=100,seed=1"):
        assert len(read(text).values) in (10_000, 100)


def test_options_may_be_bare_words_and_literals(plugin):
    seen = []
    plugin("seer", lambda a, b=0, c=0, d=0: seen.append((a, b, c, d)) or torch.zeros(4, 1))
    read("seer:a=word,b=-1.5,c=(1,2),d=None")
    read("seer(a='two words', b=True)")
    assert seen == [("word", -1.5, (1, 2), None), ("two words", True, 0, 0)]


@pytest.mark.parametrize(
    "text", ["8gaussians:100", "8gaussians:n=", "8gaussians:n=1,n=2", "8gaussians:n=f(1)", "8gaussians:**x"]
)
def test_options_that_cannot_be_read_are_refused(text):
    with pytest.raises(DataError, match=r"cannot read the options in '8gaussians:.*'; write them as name:key=value"):
        load(text)


def test_unknown_options_are_refused_with_the_known():
    with pytest.raises(DataError, match="data set 8gaussians has no option 'sed'; did you mean seed"):
        load("8gaussians:sed=1")
    with pytest.raises(DataError, match="data set fashion has no option 'n'; it takes none"):
        load("fashion:n=100")


def test_unknown_sources_are_refused_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="'fashon' is no registered data set, folder or file; did you mean fashion"):
        load("fashon")
    for text in ("photos/", "./photos", "~/no-photos", "x.npy", "x.npz:a", "C:\\photos", tmp_path / "photos"):
        with pytest.raises(DataError, match=r"no file or folder .* \(looked in .*\); check the path$"):
            load(text)


def test_a_name_beside_a_folder_of_the_same_name_is_asked_about(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion").mkdir()
    np.save(tmp_path / "fashion" / "x.npy", np.zeros((4, 2)))
    with pytest.raises(Ambiguous, match=r"write --data ./fashion for that one, --data fashion: for the data set"):
        load("fashion")
    assert len(load("fashion:").train) == 9000
    assert len(load("fashion", ask=False).train) == 9000, "as runs that began so read it"
    with pytest.raises(DataError, match="fashion holds no pictures, 1 other file"):
        load("./fashion")


def test_parts_are_refused_where_there_are_none(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    for source in ("fashion", "8gaussians", str(tmp_path / "x.npy"), torch.zeros(4, 2)):
        with pytest.raises(DataError, match="has no parts to choose from; leave out split=test and use --holdout"):
            load(source, split="test")


def test_image_sets_are_resized_and_others_not():
    data = load("fashion", size=32, fit="pad")
    assert data.shape == (1, 32, 32)
    assert data.train[:, :, :2].eq(0).all()
    assert "brought to 32x32 (--fit pad)" in data.notes
    with pytest.raises(DataError, match="data set 8gaussians holds no images; leave out --size 32"):
        load("8gaussians", size=32)
    with pytest.raises(DataError, match="data set fashion knows its axes; leave out --axes bhw"):
        load("fashion", axes="bhw")


def test_a_plugin_may_give_a_tensor_an_array_a_raw_or_data(plugin):
    plugin("tensor", lambda: torch.arange(20.0).reshape(10, 2))
    plugin("array", lambda: np.arange(1920, dtype=np.uint8).reshape(10, 8, 8, 3))
    plugin("raw", lambda: Raw("raw", torch.zeros(10, 3), torch.arange(10)))
    whole = split_off(Raw("whole", torch.zeros(10, 3)))
    plugin("whole", lambda: whole)
    plugin("wrong", lambda: [1, 2])
    assert load("tensor").kind == "points"
    assert load("array").shape == (3, 8, 8)
    assert load("array", size=4).shape == (3, 4, 4)
    assert load("raw", classes=(1, 2), holdout=0).labels.numel() == 2
    assert load("whole") is whole
    with pytest.raises(DataError, match="data set wrong gave list; return a tensor, an array, a Raw or a Data"):
        load("wrong")


def test_a_plugin_gets_what_it_names(plugin):
    seen = {}

    def mine(n=5, seed=0, split="train", size=None, fit="crop"):
        seen.update(locals())
        return np.arange(36 * n, dtype=np.uint8).reshape(n, 6, 6)

    plugin("mine", mine)
    data = load("mine:n=8", seed=3, split="test", size=12, fit="pad")
    assert seen | {"seen": 0} == {"n": 8, "seed": 3, "split": "test", "size": 12, "fit": "pad", "seen": 0}
    assert data.shape == (1, 6, 6), "size was handed over, so it is not applied again"
    load("mine:seed=9", seed=3)
    assert (seen["seed"], seen["split"]) == (9, "train")


@pytest.mark.parametrize("name", [entry.name for entry in DATASETS.entries()])
def test_every_set_says_what_it_is(name):
    entry = DATASETS.entry(name)
    assert entry.summary
    assert all(example.startswith(name) for example in entry.examples)
