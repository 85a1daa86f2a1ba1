"""Files of 147 MB of numbers, in a process that may take less than that for all it does with them."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

ALLOWED = 112 << 20
SHAPE = (3000, 12_288)


def hdf5(path, rows):
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        found = file.create_dataset("x", (rows, *SHAPE[1:]), "f4", chunks=(16, 12_288))
        for start in range(0, rows, 500):
            found[start : start + 500] = rng.standard_normal((min(500, rows - start), *SHAPE[1:]), dtype=np.float32)


def netcdf(path, rows):
    pytest.importorskip("xarray")
    netCDF4 = pytest.importorskip("netCDF4")
    rng = np.random.default_rng(0)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in zip(("time", "channel"), (rows, *SHAPE[1:]), strict=True):
            file.createDimension(name, size)
        found = file.createVariable("x", "f4", ("time", "channel"))
        for start in range(0, rows, 500):
            found[start : start + 500] = rng.standard_normal((min(500, rows - start), *SHAPE[1:]), dtype=np.float32)


def h5ad(path, rows):
    anndata = pytest.importorskip("anndata")
    sparse = pytest.importorskip("scipy.sparse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sparse.random(rows, SHAPE[1], 0.01, "csr", dtype="f4", random_state=0)
        anndata.AnnData(found).write_h5ad(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.h5", hdf5),
        pytest.param("a.nc", netcdf, marks=pytest.mark.slow),
        pytest.param("a.h5ad", h5ad, marks=pytest.mark.slow),
    ],
)
def test_a_file_beyond_memory_is_read(tmp_path, monkeypatch, name, make):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    for key, value in {"OMP_NUM_THREADS": 1, "MALLOC_ARENA_MAX": 2, "MALLOC_MMAP_THRESHOLD_": 1 << 20}.items():
        monkeypatch.setenv(key, str(value))  # what is given back is given back at once, so that the limit is sharp
    make(tmp_path / name, SHAPE[0])
    make(tmp_path / f"small-{name}", 20)
    program = Path(__file__).with_name("read_formats_in_little_memory.py")
    words = [str(tmp_path / name), str(tmp_path / f"small-{name}"), "n,c", str(ALLOWED)]
    end = subprocess.run([sys.executable, str(program), *words], capture_output=True, text=True, timeout=300)
    assert end.returncode == 0, end.stderr
    found = json.loads(end.stdout)
    assert found["bytes"] == SHAPE[0] * SHAPE[1] * 4 > ALLOWED
    assert found["same"]
    assert ["decoded into" in " ".join(found["notes"]), "read from the cache" in " ".join(found["notes"])] == [True] * 2
    assert not found["copied"], "with a copy of the set the limit is met: it would have been met before"
