"""Files of scientists: each written by its format's own library, read, samples written and read by that library."""

import builtins
import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch

from banach.data import DataError, load
from banach.data.formats import files
from banach.data.how import Ambiguous
from banach.data.layout import Layout

xarray = pytest.importorskip("xarray")
h5py = pytest.importorskip("h5py")
tifffile = pytest.importorskip("tifffile")
pandas = pytest.importorskip("pandas")
anndata = pytest.importorskip("anndata")
sparse = pytest.importorskip("scipy.sparse")

RNG = np.random.default_rng(0)


def remembered(layout):
    """The layout as a generator's file keeps it."""
    found = Layout.from_facts(json.loads(json.dumps(dataclasses.asdict(layout))))
    assert found == layout
    return found


def samples_of(source, out, n=5, **said):
    """All of a file is read; its first samples, in the data's units, are written to another."""
    data = load(str(source), holdout=0, **said)
    layout = remembered(data.layout)
    files.write(out, layout.back(data.train[:n]), layout)
    return data


def climate(**changes):
    rng = np.random.default_rng(1)
    values = (("time", "lat", "lon"), (280 + rng.normal(size=(20, 6, 8))).astype("f4"))
    coordinates = {
        "lat": ("lat", np.linspace(-10, 10, 6).astype("f4"), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(8) * 45.0, {"units": "degrees_east"}),
        "time": ("time", np.arange(20.0), {"units": "days since 2000-01-01", "calendar": "360_day"}),
        "mask": (("lat", "lon"), np.arange(48).reshape(6, 8)),
    } | changes  # fmt: skip
    found = xarray.Dataset({"tas": (*values, {"units": "K", "long_name": "temperature"})}, coords=coordinates)
    return found.assign_attrs(title="a run")


def stored(dataset, path):
    if path.suffix == ".zarr":
        pytest.importorskip("zarr")
        dataset.to_zarr(path, consolidated=False)
    else:
        dataset.to_netcdf(path)
    return path


# NetCDF and Zarr


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_grids_come_back_with_names_coordinates_and_attributes(tmp_path, suffix):
    path = stored(climate(), tmp_path / f"a{suffix}")
    data = samples_of(path, tmp_path / f"b{suffix}")
    assert (data.shape, len(data.train)) == ((1, 6, 8), 20)
    assert "axes n,y,x (as the file says; --axes says otherwise)" in data.notes[0]
    assert data.notes[1] == "tas [K]: temperature"
    assert "lat 6 x 4 degrees_north (length 24); lon 8 x 45 degrees_east (length 360)" in data.notes[2]
    with xarray.open_dataset(tmp_path / f"b{suffix}") as found:
        assert found.tas.dims == ("sample", "lat", "lon")
        assert found.tas.dtype == np.float32
        assert (found.tas.attrs["units"], found.tas.attrs["long_name"]) == ("K", "temperature")
        assert found.attrs["title"] == "a run"
        assert set(found.coords) == {"lat", "lon", "mask"}
        assert found.lat.dtype == np.float32
        assert np.array_equal(found.lon, np.arange(8) * 45.0)
        assert found.lat.attrs["units"] == "degrees_north"
        assert np.array_equal(found.tas.values, data.train[:5, 0].numpy())
    assert "axes n,y,x (as the file" in load(str(tmp_path / f"b{suffix}"), holdout=0).notes[0]


def test_grids_are_read_as_they_lie(tmp_path):
    dataset = climate()
    turned = dataset.transpose("lon", "time", "lat")
    data = samples_of(stored(turned, tmp_path / "a.nc"), tmp_path / "b.nc")
    assert data.shape == (1, 8, 6)
    with xarray.open_dataset(tmp_path / "b.nc") as found:
        assert found.tas.dims == ("lon", "sample", "lat")
        assert found.tas.shape == (8, 5, 6)


def test_members_keep_their_name_and_cut_samples_their_coordinates(tmp_path):
    path = stored(climate().rename(time="realization"), tmp_path / "a.nc")
    samples_of(path, tmp_path / "b.nc", crop="4,8")
    with xarray.open_dataset(tmp_path / "b.nc") as found:
        assert found.tas.dims == ("realization", "lat", "lon")
        assert np.allclose(found.lat, [-6, -2, 2, 6])


def test_packed_numbers_are_unpacked_and_missing_ones_refused(tmp_path):
    dataset = climate()
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}
    dataset.to_netcdf(tmp_path / "a.nc", encoding={"tas": packed})
    data = samples_of(tmp_path / "a.nc", tmp_path / "b.nc")
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0)).numpy()
    assert np.abs(data.train[:, 0].numpy() - dataset.tas.values[order]).max() < 0.006
    assert any("unpacked from int16" in note for note in data.notes)
    with xarray.open_dataset(tmp_path / "b.nc", mask_and_scale=False) as found:
        assert found.tas.dtype.kind == "f"
    dataset.tas[3, :2, 5] = np.nan
    dataset.to_netcdf(tmp_path / "c.nc", encoding={"tas": packed})
    with pytest.raises(DataError, match=r"c.nc:tas: 2 of 960 values are missing \(NaN\); they are stored as -32768"):
        load(str(tmp_path / "c.nc"))


def test_levels_are_asked_about(tmp_path):
    values = RNG.normal(size=(9, 3, 6, 8))
    found = xarray.Dataset({"u": (("time", "level", "lat", "lon"), values)})
    path = str(stored(found, tmp_path / "a.nc"))
    with pytest.raises(Ambiguous, match="1 channel, 3x6x8: --axes n,z,y,x, or 9 samples, 3 channels, 6x8: --axes n,c"):
        load(path)
    assert load(path, axes="n,c,y,x").shape == (3, 6, 8)
    samples_of(path, tmp_path / "b.nc", axes="n,c,y,x")
    assert load(str(tmp_path / "b.nc"), holdout=0).shape == (3, 6, 8)
    alone = str(stored(found.isel(level=[0]), tmp_path / "c.nc"))
    assert load(alone).shape == (1, 6, 8)
    no_time = str(stored(found.isel(time=0), tmp_path / "d.nc"))
    with pytest.raises(Ambiguous, match=r"three ways.*--axes n,y,x; .*--axes z,y,x; or .*--axes c,y,x"):
        load(no_time)


def test_stores_of_python_objects_are_refused_unread(tmp_path):
    zarr = pytest.importorskip("zarr")
    stored(climate(), tmp_path / "a.zarr")
    array = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=2).create_array("x", shape=(3,), dtype="f8")
    array[:] = 1.0
    about = tmp_path / "b.zarr" / "x" / ".zarray"
    about.write_text(about.read_text().replace('"filters": null', '"filters": [{"id": "pickle", "protocol": 4}]'))
    assert "pickle" in about.read_text()
    with pytest.raises(DataError, match=r"b.zarr holds Python objects \(x/.zarray\)"):
        load(str(tmp_path / "b.zarr"))


def test_lengths_of_the_norm_are_said_where_coordinates_are_even(tmp_path):
    data = load(str(stored(climate(), tmp_path / "a.nc")))
    assert "in the units of the coordinates: length=(24, 360) of the norm" in data.notes
    uneven = climate(lat=("lat", np.array([0.0, 1, 2, 4, 8, 16])))
    assert not any("of the norm" in note for note in load(str(stored(uneven, tmp_path / "b.nc"))).notes)


def test_members_beside_time_are_asked_about(tmp_path):
    found = xarray.Dataset({"u": (("member", "time", "lat"), RNG.normal(size=(9, 3, 6)))})
    with pytest.raises(Ambiguous, match=r"--axes n,n,y, or .*--axes n,t,y"):
        load(str(stored(found, tmp_path / "a.nc")))


@pytest.mark.parametrize("text", ["a" * 5000 + ".nc", "~nobody/a.nc:x", "a\0.nc:x", "gone.zarr:x", "gone.h5"])
def test_files_that_are_not_there_are_refused(text):
    assert files.place(text) is None
    if "gone" in text:
        with pytest.raises(DataError, match="no file or folder gone"):
            load(text)


def test_one_of_several_variables_is_named(tmp_path):
    dataset = climate().assign(pr=(("time",), np.arange(20.0)), bounds=(("lat", "two"), np.zeros((6, 2))))
    dataset.lat.attrs["bounds"] = "bounds"
    path = stored(dataset, tmp_path / "a.nc")
    with pytest.raises(DataError, match=r"holds 2 variables \(tas \('time', .*, pr .*; name one, --data .*a.nc:tas"):
        load(str(path))
    assert load(f"{path}:pr", holdout=0).shape == (1,)
    with pytest.raises(DataError, match="no variable 'tass'; did you mean tas"):
        load(f"{path}:tass")


def test_names_of_no_known_meaning_are_guessed_or_asked_about(tmp_path):
    found = xarray.Dataset({"u": (("a", "b", "d"), RNG.normal(size=(9, 6, 7)))})
    with pytest.raises(DataError, match="--axes n,x,y"):
        load(str(stored(found, tmp_path / "a.nc")))


@pytest.mark.parametrize("name", ["a.nc", "a.h5", "a.h5ad", "a.tif", "a.parquet", "a.csv"])
def test_broken_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"" if name == "a.csv" else b"no such thing" * 9)
    with pytest.raises(DataError, match=rf"{name} cannot be read as \w+|{name} cannot be read as .h5ad"):
        load(str(tmp_path / name))


# HDF5


def test_hdf5_comes_back_under_its_name(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        found = file.create_dataset("run/energy", data=RNG.integers(0, 99, (20, 3, 16)).astype(">i2"))
        found.attrs.update(units="MeV", weights=[1.0, 2.0])
        file["run/angle"] = np.zeros(20)
        file.attrs["detector"] = "b"
    path = tmp_path / "a.h5"
    data = samples_of(f"{path}:run/energy", tmp_path / "b.h5")
    assert data.shape == (3, 16)
    assert "run/energy [MeV]" in data.notes
    with h5py.File(tmp_path / "b.h5") as file:
        found = file["run/energy"]
        assert (found.shape, found.dtype) == ((5, 3, 16), np.dtype(">i2"))
        assert found.attrs["units"] == "MeV"
        assert found.attrs["weights"].tolist() == [1, 2]
        assert file.attrs["detector"] == "b"
        assert [one.label for one in found.dims] == ["sample", "channel", "time"]
        assert np.array_equal(found[:], data.train[:5].numpy())
    assert "axes n,c,t (as the file" in load(str(tmp_path / "b.h5"), holdout=0).notes[0]
    with pytest.raises(DataError, match=r"holds 2 data sets of numbers \(run/angle \(20,\), run/energy \(20, 3,"):
        load(str(path))
    with pytest.raises(DataError, match=r"run is a group; name a data set in it, --data .*a.h5:run/angle"):
        load(f"{path}:run")
    with pytest.raises(DataError, match="no data set 'run/enrgy'; did you mean run/energy"):
        load(f"{path}:run/enrgy")


def test_hdf5_labels_are_followed_and_netcdf_inside_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        found = file.create_dataset("x", data=RNG.normal(size=(6, 20, 8)))
        for at, label in enumerate(("lat", "event", "lon")):
            found.dims[at].label = label
    assert load(str(tmp_path / "a.h5"), holdout=0).shape == (1, 6, 8)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = np.arange(20)
        file["x"].attrs["_FillValue"] = 3
    with pytest.raises(DataError, match=r"b.h5:x has the attribute _FillValue of NetCDF.*name the file .nc"):
        load(str(tmp_path / "b.h5"))
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["x"] = np.array([[1.0, np.nan]] * 4)
    with pytest.raises(DataError, match=r"c.h5:x: 4 of 8 values are missing"):
        load(str(tmp_path / "c.h5"))


# TIFF


def test_hyperstacks_of_imagej_come_back_as_such(tmp_path):
    values = RNG.normal(size=(20, 4, 8, 8)).astype("f4")
    noted = {"axes": "TZYX", "spacing": 1.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, resolution=(2.0, 2.0), metadata=noted)
    data = samples_of(tmp_path / "a.tif", tmp_path / "b.tif")
    assert data.shape == (1, 4, 8, 8)
    assert "coordinates: z 4 x 1.5 um (length 6); y 8 x 0.5 um (length 4); x 8 x 0.5 um (length 4)" in data.notes
    with tifffile.TiffFile(tmp_path / "b.tif") as found:
        assert (found.series[0].axes, found.series[0].shape, found.series[0].dtype) == ("TZYX", (5, 4, 8, 8), "f4")
        assert found.imagej_metadata["spacing"] == 1.5
        assert found.imagej_metadata["unit"] == "um"
        assert found.pages[0].tags["XResolution"].value == (2, 1)
        assert np.array_equal(found.asarray(), data.train[:5, 0].numpy())


def test_ome_comes_back_as_such(tmp_path):
    values = RNG.integers(0, 999, (6, 2, 8, 9)).astype("u2")
    noted = {"axes": "TCYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", values, ome=True, metadata=noted)
    data = samples_of(tmp_path / "a.ome.tif", tmp_path / "b.tif")
    assert data.shape == (2, 8, 9)
    with tifffile.TiffFile(tmp_path / "b.tif") as found:
        assert found.is_ome
        assert (found.series[0].axes, found.series[0].shape, found.series[0].dtype) == ("TCYX", (5, 2, 8, 9), "u2")
        assert 'PhysicalSizeX="0.25"' in found.ome_metadata
        assert np.array_equal(found.asarray(), data.train[:5].numpy())


def test_stacks_without_a_word_are_asked_about(tmp_path):
    values = RNG.normal(size=(20, 8, 9))
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(Ambiguous, match=r"20 samples, 1 channel, 8x9: --axes n,y,x, or 1 sample, .* --axes z,y,x"):
        load(str(tmp_path / "a.tif"))
    samples_of(tmp_path / "a.tif", tmp_path / "b.tif", axes="n,y,x")
    assert load(str(tmp_path / "b.tif"), holdout=0).shape == (1, 8, 9)
    found = tifffile.imread(tmp_path / "b.tif")
    assert (found.shape, found.dtype) == ((5, 8, 9), np.float64)
    tifffile.imwrite(tmp_path / "c.tif", values, metadata={"axes": "ZYX"})
    with pytest.raises(Ambiguous, match=r"--axes z,y,x, or .*--axes n,y,x"):
        load(str(tmp_path / "c.tif"))


def test_films_are_samples_of_a_stack_if_that_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RNG.normal(size=(9, 4, 8, 8)).astype("f4"), metadata={"axes": "QTYX"})
    with pytest.raises(Ambiguous, match=r"--axes n,t,y,x, or .*--axes n,n,y,x"):
        load(str(tmp_path / "a.tif"))
    samples_of(tmp_path / "a.tif", tmp_path / "b.tif", axes="n,t,y,x")
    data = load(str(tmp_path / "b.tif"), holdout=0)
    assert (data.shape, data.layout.axes) == ((1, 4, 8, 8), "ntyx")


@pytest.mark.parametrize("packed", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_pages_of_pictures_are_pictures(tmp_path, monkeypatch, packed):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    values = RNG.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", **packed)
    data = samples_of(tmp_path / "a.tif", tmp_path / "b.tif", axes="n,y,x,c")
    assert (data.kind, data.shape, len(data.train)) == ("image", (3, 32, 32), 20)
    mapped = load(str(tmp_path / "a.tif"), axes="n,y,x,c", holdout=0, cache="always")
    assert mapped.fingerprint == data.fingerprint
    assert {one.tobytes() for one in data.train.permute(0, 2, 3, 1).numpy()} == {one.tobytes() for one in values}
    assert tifffile.imread(tmp_path / "b.tif").shape == (5, 32, 32, 3)


def test_one_series_of_several_is_named(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RNG.normal(size=(4, 8, 8)), metadata={"axes": "TYX"})
        file.write(RNG.normal(size=(5, 6, 6)), metadata={"axes": "TYX"})
    with pytest.raises(DataError, match=r"holds 2 series of pages.*name one, --data .*a.tif:0"):
        load(str(tmp_path / "a.tif"))
    assert load(f"{tmp_path}/a.tif:1", holdout=0).shape == (1, 6, 6)
    with pytest.raises(DataError, match="name one by its number"):
        load(f"{tmp_path}/a.tif:2")


# CSV and parquet


def people(n=50):
    rng = np.random.default_rng(2)
    return pandas.DataFrame({
        "sex": rng.choice(["f", "m"], n), "age": rng.integers(0, 90, n), "height": rng.normal(170, 9, n),
        "ill": rng.random(n) > 0.5, "home": rng.choice(["Lvov", "Turku", "New, York"], n),
    })  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_tables_come_back_with_their_columns(tmp_path, suffix):
    frame = people()
    if suffix == ".parquet":
        frame["home"] = pandas.Categorical(frame["home"], ["Turku", "Lvov", "New, York", "Oslo"])
        frame = frame.astype({"age": "Int16", "height": "float32"})
        frame.to_parquet(tmp_path / "a.parquet")
        read = pandas.read_parquet
    else:
        between = "\t" if suffix == ".tsv" else ","
        frame.to_csv(tmp_path / f"a{suffix}", index=False, sep=between)

        def read(path):
            return pandas.read_csv(path, sep=between)

    data = samples_of(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", n=50)
    assert data.shape == (2 + 2 + 2 + (4 if suffix == ".parquet" else 3),)
    found, wanted = read(tmp_path / f"b{suffix}"), read(tmp_path / f"a{suffix}")
    assert found.dtypes.to_dict() == wanted.dtypes.to_dict()
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0)).numpy()
    wanted = wanted.iloc[order].reset_index(drop=True)
    close = ["height"]
    pandas.testing.assert_frame_equal(found.drop(columns=close), wanted.drop(columns=close))
    assert np.allclose(found["height"], wanted["height"], rtol=1e-6)


def test_blocks_are_left_as_they_are_and_become_the_largest(tmp_path):
    people().to_csv(tmp_path / "a.csv", index=False)
    data = load(str(tmp_path / "a.csv"), holdout=0)
    assert data.units.shift[2:].abs().max() == 0
    assert data.units.scale[2:].tolist() == [1] * 7
    assert data.units.scale[:2].min() > 1
    row = torch.tensor([[33.4, 171.5, 0.3, 0.2, -1.0, 2.0, 0.1, 0.2, 0.9]])
    files.write(tmp_path / "b.csv", data.layout.back(row), data.layout)
    assert pandas.read_csv(tmp_path / "b.csv").iloc[0].to_dict() == {
        "sex": "f", "age": 33, "height": 171.5, "ill": True, "home": "Turku"}  # fmt: skip


def test_the_suggested_space_is_one_of_them(tmp_path):
    import banach

    people().to_csv(tmp_path / "a.csv", index=False)
    data = load(str(tmp_path / "a.csv"), holdout=0)
    spec = next(note for note in data.notes if "--space" in note).split("'")[1]
    rows = torch.zeros(3, 9)
    rows[0, 2:4], rows[1, 2:4] = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert float(banach.space(spec).norm(rows[:1] - rows[1:2])) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"age": [None] + [3] * 49}, r"missing values in age \(1\) of 50 rows; fill them"),
        ({"born": pandas.date_range("2000-01-01", periods=50)},
         r"neither numbers nor a few categories: born \(a date or so\); .*, --data '.*:sex,age,height,ill,home'"),
    ],
)  # fmt: skip
def test_columns_that_are_not_read_are_named(tmp_path, change, said):
    people().assign(**change).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=said):
        load(str(tmp_path / "a.parquet"))


def test_columns_of_many_words_are_refused_and_others_chosen(tmp_path):
    people(200).assign(name=[f"p{at}" for at in range(200)]).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=r"name \(200 different words\); take the others, --data '.*:sex,age,"):
        load(str(tmp_path / "a.csv"))
    data = samples_of(f"{tmp_path}/a.csv:height,sex", tmp_path / "b.csv")
    assert data.shape == (3,)
    assert list(pandas.read_csv(tmp_path / "b.csv").columns) == ["height", "sex"]
    with pytest.raises(DataError, match="no column 'heihgt'; did you mean height"):
        load(f"{tmp_path}/a.csv:heihgt")


def test_numbers_alone_have_no_line_of_names(tmp_path):
    np.savetxt(tmp_path / "a.csv", RNG.normal(size=(20, 3)), delimiter=";")
    data = samples_of(tmp_path / "a.csv", tmp_path / "b.csv")
    assert (len(data.train), data.shape) == (20, (3,))
    assert np.loadtxt(tmp_path / "b.csv", delimiter=";").shape == (5, 3)


def test_a_column_that_counts_the_rows_is_left_out_and_written_again(tmp_path):
    people().to_csv(tmp_path / "a.csv")
    data = samples_of(tmp_path / "a.csv", tmp_path / "b.csv")
    assert data.shape == (9,)
    assert list(pandas.read_csv(tmp_path / "b.csv")["Unnamed: 0"]) == [0, 1, 2, 3, 4]


def test_categories_that_are_known_are_followed(tmp_path):
    frame = people()
    frame.to_csv(tmp_path / "a.csv", index=False)
    known = load(str(tmp_path / "a.csv"), holdout=0).layout.categories
    frame[frame["home"] != "Lvov"].to_csv(tmp_path / "b.csv", index=False)
    assert load(str(tmp_path / "b.csv")).shape == (8,)
    assert load(str(tmp_path / "b.csv"), categories=known).shape == (9,)
    frame.assign(home="Rome").to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError, match="column home holds 'Rome', which is none of the categories Lvov, New, York"):
        load(str(tmp_path / "c.csv"), categories=known)


def test_fields_are_no_tables(tmp_path):
    data = load(str(stored(climate(), tmp_path / "a.nc")), holdout=0)
    for name in ("b.csv", "b.parquet", "b.h5ad"):
        with pytest.raises(DataError, match=f"{name} is a table, and samples have 2 axes each; write"):
            files.write(tmp_path / name, data.layout.back(data.train[:5]), data.layout)
        assert not (tmp_path / name).exists()


# AnnData


def cells(kind):
    values = sparse.random(30, 7, 0.3, "csr", dtype="f4", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = anndata.AnnData(values.toarray() if kind == "dense" else values.asformat(kind))
        found.layers["counts"] = found.X.copy()
        found.var_names = [f"gene{at}" for at in range(7)]
        found.obs["type"] = ["a", "b"] * 15
    return found, values.toarray()


@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
@pytest.mark.parametrize("layer", ["", "counts"])
def test_cells_come_back_with_their_variables(tmp_path, kind, layer):
    found, values = cells(kind)
    found.write_h5ad(tmp_path / "a.h5ad")
    path = f"{tmp_path}/a.h5ad" + (f":{layer}" if layer else "")
    data = samples_of(path, tmp_path / "b.h5ad")
    assert data.shape == (7,)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0)).numpy()
    assert np.array_equal(data.train.numpy(), values[order])
    assert "columns of obs, left out: type" in data.notes
    back = anndata.read_h5ad(tmp_path / "b.h5ad")
    matrix = back.layers["counts"] if layer else back.X
    assert (list(back.var_names), matrix.dtype) == ([f"gene{at}" for at in range(7)], np.float32)
    assert np.array_equal(matrix, data.train[:5].numpy())


def test_layers_that_are_not_there_are_refused(tmp_path):
    cells("csr")[0].write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(DataError, match="no layer 'count'; did you mean counts"):
        load(f"{tmp_path}/a.h5ad:count")
    with h5py.File(tmp_path / "b.h5ad", "w") as file:
        file["x"] = np.zeros((3, 3))
    with pytest.raises(DataError, match=r"b.h5ad is no AnnData file: it has no obs and var"):
        load(f"{tmp_path}/b.h5ad")


# All of them


def test_all_are_read_in_blocks_into_a_mapped_file(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    path = stored(climate(), tmp_path / "a.nc")
    plain, mapped = load(str(path)), load(str(path), cache="always")
    assert plain.fingerprint == mapped.fingerprint
    assert plain.layout == mapped.layout
    assert any("decoded into the cache" in note for note in mapped.notes)
    again = load(str(path), cache="always")
    assert any("read from the cache" in note for note in again.notes)
    assert again.layout == plain.layout


@pytest.mark.parametrize(
    ("name", "library", "said"),
    [
        ("a.nc", "xarray", r"NetCDF files need xarray, which is not installed; pip install 'banach\[netcdf\]'"),
        ("a.nc", "netCDF4", r"NetCDF files need netCDF4, .*'banach\[netcdf\]'"),
        ("a.zarr", "zarr", r"Zarr stores need zarr, .*'banach\[zarr\]'"),
        ("a.h5", "h5py", r"HDF5 files need h5py, .*'banach\[hdf5\]'"),
        ("a.tif", "tifffile", r"TIFF stacks and volumes need tifffile, .*'banach\[tiff\]'"),
        ("a.csv", "pandas", r"CSV files need pandas, .*'banach\[tables\]'"),
        ("a.parquet", "pyarrow", r"parquet files need pyarrow, .*'banach\[tables\]'"),
        ("a.h5ad", "anndata", r".h5ad files need anndata, .*'banach\[anndata\]'"),
    ],
)
def test_a_library_that_is_missing_is_named_with_what_installs_it(tmp_path, monkeypatch, name, library, said):
    if name.endswith(".zarr"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(b"1,2\n")
    known = builtins.__import__

    def without(wanted, *rest, **more):
        if wanted.partition(".")[0] == library:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)
        return known(wanted, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=said):
        load(str(tmp_path / name))
    layout = Layout("nc", "<f8", (3,), (3,))
    with pytest.raises(DataError, match=said):
        files.write(tmp_path / f"out{tmp_path.joinpath(name).suffix}", np.zeros((4, 3)), layout)


@pytest.mark.parametrize("name", ["b.nc", "b.zarr", "b.h5", "b.tif"])
def test_arrays_without_names_are_written_too(tmp_path, name):
    layout = Layout("nxyc", "<f4", (2, 8, 9), (2, 8, 9))
    values = RNG.normal(size=(5, 8, 9, 2)).astype("f4")
    files.write(tmp_path / name, values, layout)
    data = load(str(tmp_path / name), holdout=0)
    assert (data.layout.axes, data.shape) == ("nxyc", (2, 8, 9))
    assert {one.tobytes() for one in data.train.permute(0, 2, 3, 1).contiguous().numpy()} == {
        one.tobytes() for one in values}  # fmt: skip


@pytest.mark.parametrize("name", ["b.csv", "b.parquet", "b.h5ad"])
def test_rows_without_names_are_written_too(tmp_path, name):
    values = RNG.normal(size=(5, 3))
    files.write(tmp_path / name, values, Layout("nc", "<f8", (3,), (3,)))
    data = load(str(tmp_path / name), holdout=0)
    assert np.allclose(np.sort(data.train.numpy(), 0), np.sort(values, 0), rtol=1e-6)


def test_names_from_elsewhere_that_cannot_be_written_are_refused(tmp_path):
    layout = load(str(stored(climate(), tmp_path / "a.nc")), holdout=0).layout
    metadata = dataclasses.replace(layout.metadata, attrs={"units": {"a": 1}})
    layout = dataclasses.replace(layout, metadata=metadata)
    with pytest.raises(DataError, match=r"c.nc cannot be written as netcdf \(.*\); write .npy or .npz"):
        files.write(tmp_path / "c.nc", np.zeros((4, 6, 8), "f4"), layout)
    assert [one.name for one in tmp_path.iterdir()] == ["a.nc"]


def test_real_temperatures_of_a_climate_model(tmp_path):
    sample_data = pytest.importorskip("iris_sample_data")
    path = f"{sample_data.path}/A1B_north_america.nc"
    data = samples_of(path, tmp_path / "b.nc")
    assert (data.shape, len(data.train)) == ((1, 37, 49), 240)
    assert "air_temperature [K]: air_temperature" in data.notes
    with xarray.open_dataset(tmp_path / "b.nc") as found, xarray.open_dataset(path) as original:
        assert found.air_temperature.attrs["units"] == "K"
        assert np.array_equal(found.latitude, original.latitude)
        assert float(found.air_temperature.min()) > 200
    with pytest.raises(DataError, match="110,970 of 419,904 values are missing"):
        load(f"{sample_data.path}/ostia_monthly.nc")


def test_cells_of_old_files_are_read(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["X"] = np.arange(12, dtype="f4").reshape(4, 3)
        file["var"] = np.array([(b"g0", 1), (b"g1", 2), (b"g2", 3)], dtype=[("index", "S2"), ("counts", "i4")])
        file["obs"] = np.array([(b"c", 1)] * 4, dtype=[("index", "S2"), ("type", "i4")])
    data = samples_of(tmp_path / "a.h5ad", tmp_path / "b.h5ad", n=3)
    assert "columns of obs, left out: type" in data.notes
    assert list(anndata.read_h5ad(tmp_path / "b.h5ad").var_names) == ["g0", "g1", "g2"]
