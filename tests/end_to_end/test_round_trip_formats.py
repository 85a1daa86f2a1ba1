"""From a file of a scientist to samples in its format and back: trained on, drawn, compared, scored, by the command."""

from pathlib import Path

import numpy as np
import pytest

import banach
from banach.cli.__main__ import main
from banach.generator import Generator

xarray = pytest.importorskip("xarray")
h5py = pytest.importorskip("h5py")
tifffile = pytest.importorskip("tifffile")
pandas = pytest.importorskip("pandas")
anndata = pytest.importorskip("anndata")

RNG = np.random.default_rng(0)
SHORT = "--steps 1 --preset none --model mlp --width 4 --z 3 --batch 8 --n-critic 1 --threads 1"
WORDS = SHORT.split(" ")
SMALL = {"steps": 1, "model": "mlp", "width": 4, "z": 3, "batch": 8, "n_critic": 1, "threads": 1, "progress": False}
NORMAL = RNG.normal(size=(40, 6, 8)).astype("f4")


def levels(suffix):
    dims = ("time", "level", "lat", "lon")
    values = (dims, RNG.normal(280, 9, (40, 2, 6, 8)).astype("f4"), {"units": "K"})
    found = xarray.Dataset({"ta": values}, {"lat": np.linspace(-10, 10, 6), "level": [1000, 850]})
    found.to_zarr(f"mine{suffix}") if suffix == ".zarr" else found.to_netcdf(f"mine{suffix}")


def hdf5(suffix):
    with h5py.File(f"mine{suffix}", "w") as file:
        file["run/x"] = NORMAL
        file["run/y"] = np.zeros(3)


def stack(suffix):
    tifffile.imwrite(f"mine{suffix}", NORMAL)


def table(suffix):
    rng = np.random.default_rng(1)
    columns = {"age": rng.integers(0, 90, 40), "sex": rng.choice(["f", "m"], 40), "w": rng.normal(size=40)}
    found = pandas.DataFrame(columns)
    found.to_parquet(f"mine{suffix}") if suffix == ".parquet" else found.to_csv(f"mine{suffix}", index=False)


def cells(suffix):
    anndata.AnnData(RNG.poisson(2, (40, 5)).astype("f4")).write_h5ad(f"mine{suffix}")


FILES = {
    ".nc": (levels, "mine.nc", "n,c,y,x"), ".zarr": (levels, "mine.zarr:ta", "n,z,y,x"),
    ".h5": (hdf5, "mine.h5:run/x", "n,x,y"), ".tif": (stack, "mine.tif", "n,y,x"),
    ".csv": (table, "mine.csv", None), ".parquet": (table, "mine.parquet", None), ".h5ad": (cells, "mine.h5ad", None),
}  # fmt: skip


@pytest.fixture
def banach_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def say(*words: str) -> str:
        code = main(list(words))
        out, err = capsys.readouterr()
        assert code == 0, (words, out + err)
        return out + err

    return say


@pytest.mark.filterwarnings("ignore::Warning:zarr", "ignore:Consolidated:UserWarning", "ignore::UserWarning:anndata")
@pytest.mark.parametrize("suffix", FILES)
def test_samples_are_as_the_file_and_are_compared_with_it(suffix, banach_says):
    make, data, axes = FILES[suffix]
    make(suffix)
    banach.fit(data, **SMALL, **({"axes": axes} if axes else {})).save("g.safetensors")
    out = f"samples{suffix}"
    said = banach_says("sample", "g.safetensors", "--n", "30", "--out", out)
    layout = Generator.load("g.safetensors").about.layout
    assert f"{out}: {layout.said(30)}; of" in said
    told = banach_says("distance", out, data, "--space", "Lp(2)", "--no-scores")
    if axes:
        assert f"axes {axes} (as the samples it goes with" in told
    told = banach_says("distance", data, "g.safetensors", "--n", "30", "--no-scores")
    assert "samples of the generator" in told
    if suffix in (".nc", ".csv"):
        banach_says("evaluate", "g.safetensors", "--n", "20", "--data", out)


def test_samples_of_a_table_have_its_types(banach_says):
    table(".csv")
    banach.fit("mine.csv", **SMALL).save("g.safetensors")
    banach_says("sample", "g.safetensors", "--n", "30", "--out", "s.csv")
    found, mine = pandas.read_csv("s.csv"), pandas.read_csv("mine.csv")
    assert found.dtypes.to_dict() == mine.dtypes.to_dict()
    assert set(found["sex"]) <= {"f", "m"}


def test_tables_with_other_categories_are_compared(banach_says):
    table(".csv")
    found = pandas.read_csv("mine.csv")
    found[found["sex"] == "m"].to_csv("men.csv", index=False)
    said = banach_says("distance", "men.csv", "mine.csv", "--no-scores")
    assert said.count("one-hot blocks: sex (2)") == 2


def test_what_goes_with_a_file_is_in_the_report(banach_says, capsys):
    levels(".nc")
    banach_says("train", "--data", "mine.nc", "--axes", "n,c,y,x", *WORDS, "--out", "runs/a")
    assert main(["sample", "runs/a", "--out", "mine.nc"]) == 2
    assert "mine.nc holds the data that the generator was trained on" in capsys.readouterr().err
    banach_says("sample", "runs/a", "--n", "5", "--out", "s.zarr")
    assert main(["sample", "runs/a", "--n", "5", "--out", "s.zarr"]) == 2
    assert "is there already; remove it" in capsys.readouterr().err
    banach_says("report", "runs/a")
    page = Path("runs/a/report.html").read_text(encoding="utf-8")
    assert "ta [K]" in page
    assert "lat 6 x 4 (length 24)" in page


def test_fields_of_another_size_do_not_have_the_coordinates_of_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = (("time", "lat", "lon"), RNG.normal(280, 9, (40, 6, 8)).astype("f4"), {"units": "K"})
    xarray.Dataset({"ta": values}, {"lat": np.linspace(-10, 10, 6), "lon": np.arange(8.0)}).to_netcdf("mine.nc")
    words = SHORT.replace("--model mlp", "--model spectral").split(" ")
    assert main(["train", "--data", "mine.nc", *words, "--out", "r"]) == 0
    for size, coordinates in (("12x16", set()), ("6x8", {"lat", "lon"})):
        out = f"made-{size}.nc"
        assert main(["sample", "r", "--n", "3", "--size", size, "--out", out]) == 0
        with xarray.open_dataset(out) as made:
            assert made["ta"].shape == (3, *map(int, size.split("x")))
            assert made["ta"].attrs["units"] == "K"
            assert coordinates == {str(one) for one in made.coords} & {"lat", "lon"}
