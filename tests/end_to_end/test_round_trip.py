"""From an array to samples and back: trained on, drawn, compared with the array, without a second word on its axes."""

import numpy as np
import pytest
import torch

import banach
from banach.cli.__main__ import main
from banach.generator import Generator

RNG = np.random.default_rng(0)
SMALL = {"steps": 1, "width": 4, "z": 3, "batch": 8, "n_critic": 1, "threads": 1, "progress": False}

ARRAYS = {
    "field": (RNG.normal(280, 9, (40, 6, 8)).astype(">f4"), "n,x,y"),
    "series": (RNG.normal(0, 90, (40, 16, 2)).round().astype(np.int16), "n,t,c"),
    "volume": (RNG.normal(size=(40, 6, 6, 12)), "n,x,y,z"),
    "table": (RNG.normal(size=(40, 3)).astype(np.float16), None),
    "column": (RNG.normal(size=40), None),
    "pictures": (RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), None),
    "samples last": (np.asfortranarray(RNG.normal(size=(6, 8, 2, 40)).astype(np.float32)), "x,y,c,n"),
}


@pytest.fixture
def banach_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def say(*words: str) -> tuple[int, str]:
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out + err

    return say


@pytest.mark.parametrize("name", ARRAYS)
def test_samples_are_as_the_array_and_are_compared_with_it(name, banach_says):
    array, axes = ARRAYS[name]
    np.save("mine.npy", array)
    generator = banach.fit(array, model="mlp", **SMALL, **({"axes": axes} if axes else {}))
    generator.save("g.safetensors")
    last = name == "samples last"
    shape = (*array.shape[:-1], 30) if last else (30, *array.shape[1:])
    for out in ("s.npy", "s.npz"):
        code, said = banach_says("sample", "g.safetensors", "--n", "30", "--out", out)
        assert code == 0, said
        found = np.load(out) if out == "s.npy" else np.load(out)["samples"]
        assert (found.dtype, found.shape) == (array.dtype, shape)
        assert np.array_equal(found, generator.sample(30).numpy().astype(array.dtype))
        code, said = banach_says("distance", "mine.npy", out, "--space", "Lp(2)", "--no-scores")
        assert code == 0, said
    mapped = np.load("s.npy", mmap_mode="r")
    assert np.array_equal(mapped, found)
    code, said = banach_says("distance", "mine.npy", "g.safetensors", "--n", "20", "--no-scores")
    assert code == 0, said
    code, said = (
        banach_says("evaluate", "g.safetensors", "--n", "20", "--data", "mine.npy") if name == "field" else (0, "")
    )
    assert code == 0, said


def test_a_run_remembers_its_axes(banach_says):
    array, axes = ARRAYS["volume"]
    np.save("mine.npy", array)
    small = "--steps 1 --preset none --model mlp --width 4 --z 3 --batch 8 --n-critic 1 --threads 1 --out run"
    words = small.split(" ")
    code, said = banach_says("train", "--data", "mine.npy", *words)
    assert code == 2
    assert "ways; say which: 40 samples, 12 channels, 6x6: --axes n,x,y,c, or 40 samples, 1 channel, 6x6x12:" in said
    code, said = banach_says("train", "--data", "mine.npy", "--axes", str(axes), *words)
    assert code == 0, said
    assert "mine.npy: 40 samples, 1 channel, 6x6x12; float64, shape (40, 6, 6, 12), axes n,x,y,z (--axes)" in said
    assert banach_says("sample", "run", "--n", "20", "--out", "s.npy")[0] == 0
    assert np.load("s.npy").shape == (20, 6, 6, 12)
    code, said = banach_says(
        "distance", "mine.npy", "s.npy", "--space", "Sobolev(s=-1)", "--no-scores", "--save", "c.npz"
    )
    assert code == 0, said
    assert "axes n,x,y,z (as the samples it goes with" in said
    assert banach_says("verify", "c.npz", "mine.npy", "s.npy")[0] == 0
    code, said = banach_says("distance", "mine.npy", "mine.npy", "--no-scores")
    assert code == 2
    assert "in two ways" in said
    for words in (("run",), ("run", "--data", "mine.npy"), ("run/generator.safetensors", "--data", "s.npy")):
        code, said = banach_says("evaluate", *words, "--n", "20")
        assert code == 0, said
    code, said = banach_says(
        "train", "--data", "s.npy", "--steps", "1", "--preset", "none", "--dry-run", "--model", "mlp"
    )
    assert code == 0, said
    assert "axes n,x,y,z (as the file says" in said


def test_sides_that_networks_do_not_make(banach_says):
    array = RNG.normal(size=(30, 10, 61)).astype(np.float32)
    np.save("mine.npy", array)
    with pytest.raises(banach.BanachError, match=r"size 10x61 does not fit: .*--pad auto and --crop auto .*nearest: "):
        banach.fit(array, axes="n,x,y", model="resnet", **SMALL)
    generator = banach.fit(array, axes="n,x,y", pad="auto", model="resnet", **SMALL)
    assert generator.about.shape == (1, 10, 62)
    assert generator.sample(4).shape == (4, 10, 61)
    generator.save("g.safetensors")
    code, said = banach_says("distance", "mine.npy", "g.safetensors", "--n", "20", "--no-scores")
    assert code == 0, said
    cut = banach.fit(array, axes="n,x,y", crop="auto", model="resnet", **SMALL)
    assert cut.sample(4).shape == (4, *cut.about.shape[1:]) == (4, 10, 60)


def test_what_python_holds_comes_back_as_it_is(tmp_path):
    rows = RNG.normal(size=(40, 6, 8))
    sets = {
        "tensor": (torch.tensor(rows), torch.float64, (6, 8)),
        "half": (torch.tensor(rows).half(), torch.float16, (6, 8)),
        "list": (list(rows.astype(np.float32)), torch.float32, (6, 8)),
        "loader": (torch.utils.data.DataLoader(torch.tensor(rows).float(), batch_size=4), torch.float32, (6, 8)),
        "mapped": (np.lib.format.open_memmap(tmp_path / "m.npy", "w+", ">i4", (40, 6, 8)), torch.int32, (6, 8)),
    }
    sets["mapped"][0][:] = (100 * rows).round()
    for name, (x, dtype, event) in sets.items():
        made = banach.fit(x, axes="n,x,y", model="mlp", **SMALL).sample(5)
        assert (made.dtype, tuple(made.shape)) == (dtype, (5, *event)), name
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": rows[:, 0, 0], "b": np.arange(40)})
    assert banach.fit(table, model="mlp", **SMALL).sample(5).dtype == torch.float64


def test_a_generator_of_an_older_version_has_no_layout(tmp_path):
    made = banach.fit(RNG.normal(size=(40, 3)), model="mlp", **SMALL)
    about = made.about.metadata()
    del about["layout"]
    assert type(made.about).from_metadata(about).layout is None
    assert Generator.load(made.save(tmp_path / "g.safetensors")).about == made.about
