"""`banach sample`: grids, arrays and folders by seeds, and what is refused."""

import dataclasses
import errno
import json

import numpy as np
import pytest
import torch
from PIL import Image

from banach.cli import sample
from banach.cli.__main__ import main
from banach.config.config import Config, dump
from banach.config.keys import keys_of
from banach.data.units import Units
from banach.generator import About, Generator
from banach.models import build_generator
from banach.runs.folder import RunFolder


def generator(shape=(1, 8, 8), kind="image", seed=0) -> Generator:
    """An untrained one: sampling needs no more."""
    images = kind == "image"
    ones = torch.ones(shape[0])
    units = Units("pixels") if images else Units("standard", 100 * ones, 2 * ones)
    about = About(model="mlp", shape=shape, z=4, width=8, output=units.output, data="test", kind=kind, step=12)
    rng = torch.Generator().manual_seed(seed)
    return Generator(build_generator("mlp", shape, z=4, width=8, output=units.output, rng=rng), units, about)


@pytest.fixture
def images(tmp_path):
    return generator().save(tmp_path / "generator.safetensors")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(dump(Config(data="test", model="mlp")))
    generator().save(folder / "generator.safetensors")
    return folder


def test_a_grid_by_default_beside_the_generator(run, capsys):
    assert main(["sample", str(run)]) == 0
    assert str(run / "samples-seed0-n64.png") in capsys.readouterr().out
    with Image.open(run / "samples-seed0-n64.png") as picture:
        assert picture.width == picture.height >= 64


def test_an_array_holds_what_the_generator_gives(images, tmp_path, capsys):
    out = tmp_path / "samples.npz"
    assert main(["sample", str(images), "--n", "5", "--seed", "3", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "out": str(out), "samples": 5, "shape": [1, 8, 8], "seeds": [3], "generator": str(images), "step": 12,
    }  # fmt: skip
    with np.load(out) as found:
        assert found["samples"].dtype == np.uint8
        assert np.array_equal(found["samples"], generator().sample(5, 3).numpy())
        assert found["seeds"].tolist() == [3] * 5


def test_several_seeds_are_each_what_they_are_alone(images, tmp_path):
    out = tmp_path / "samples.npz"
    assert main(["sample", str(images), "--seeds", "0-2,7", "--out", str(out)]) == 0
    with np.load(out) as found:
        assert found["seeds"].tolist() == [0, 1, 2, 7]
        alone = torch.cat([generator().sample(1, seed) for seed in (0, 1, 2, 7)])
        assert np.array_equal(found["samples"], alone.numpy())
    assert main(["sample", str(images), "--seeds", "4,5", "--n", "3", "--out", str(out)]) == 0
    with np.load(out) as found:
        assert found["seeds"].tolist() == [4, 4, 4, 5, 5, 5]


def test_a_folder_of_pictures_holds_the_very_pixels(images, tmp_path):
    out = tmp_path / "fakes"
    assert main(["sample", str(images), "--n", "3", "--out", f"{out}/"]) == 0
    names = sorted(one.name for one in out.iterdir())
    assert names == ["seed000000-000000.png", "seed000000-000001.png", "seed000000-000002.png"]
    wanted = generator().sample(3, 0)
    for name, image in zip(names, wanted, strict=True):
        with Image.open(out / name) as picture:
            assert np.array_equal(np.asarray(picture), image[0].numpy())


def test_samples_are_never_put_among_older_ones(images, tmp_path, capsys):
    out = tmp_path / "fakes"
    out.mkdir()
    assert main(["sample", str(images), "--n", "3", "--out", str(out)]) == 0  # an empty folder is as good as none
    for argv in (["--n", "2"], ["--n", "3"], ["--n", "2", "--seed", "5"]):
        capsys.readouterr()
        assert main(["sample", str(images), *argv, "--out", f"{out}/"]) == 2
        err = capsys.readouterr().err
        assert "holds 3 older samples (such as seed000000-000000.png), and samples are never mixed" in err
    assert len(list(out.iterdir())) == 3


def test_a_folder_of_samples_is_whole_or_not_there(images, tmp_path, monkeypatch):
    def full(self, path):
        if "000001" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(Image.Image, "save", full)
    before = sorted(tmp_path.iterdir())
    assert main(["sample", str(images), "--n", "3", "--out", f"{tmp_path}/fakes/"]) == 2
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("out", ["photos/grid.png", "photos/deep/fakes/", "photos/x.npz"])
def test_samples_do_not_go_among_the_data(tmp_path, monkeypatch, capsys, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    made = generator()
    about = dataclasses.replace(made.about, config="data: photos\n")
    path = Generator(made.network, made.units, about).save(tmp_path / "g.safetensors")
    assert main(["sample", str(path), "--n", "2", "--out", out]) == 2
    assert "lies in photos, whose pictures the generator was trained on" in capsys.readouterr().err
    run = RunFolder(tmp_path / "photos" / "run")
    run.make()
    run.lock.write_text("")
    assert main(["sample", str(path), "--n", "2", "--out", "photos/run/grid.png"]) == 0  # what runs hold is no data


def test_arrays_come_in_the_datas_units_as_numbers_or_one_picture(tmp_path, capsys):
    path = generator((3,), "array").save(tmp_path / "vectors.safetensors")
    assert main(["sample", str(path), "--n", "50"]) == 0
    with np.load(tmp_path / "samples-seed0-n50.npz") as found:
        assert found["samples"].shape == (50, 3)
        assert abs(found["samples"].mean() - 100) < 10
    assert main(["sample", str(path), "--out", str(tmp_path / "lines.png")]) == 0
    assert (tmp_path / "lines.png").stat().st_size > 1000
    capsys.readouterr()
    assert main(["sample", str(path), "--out", f"{tmp_path}/folder/"]) == 2
    assert capsys.readouterr().err.endswith("these samples are no images; write --out samples.npz\n")


def test_points_are_drawn_as_a_scatter(tmp_path):
    path = generator((2,), "points").save(tmp_path / "points.safetensors")
    assert main(["sample", str(path), "--n", "50"]) == 0
    assert (tmp_path / "samples-seed0-n50.png").stat().st_size > 1000


def test_best_takes_the_best(run, tmp_path, capsys):
    assert main(["sample", str(run), "--best"]) == 2
    assert "leave out --best" in capsys.readouterr().err
    generator(seed=1).save(run / "best.safetensors")
    out = tmp_path / "best.npz"
    assert main(["sample", str(run), "--best", "--n", "2", "--out", str(out)]) == 0
    with np.load(out) as found:
        assert np.array_equal(found["samples"], generator(seed=1).sample(2, 0).numpy())


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--out", "grid.jpg"], "none of .png (a grid), .npz, .npy and a folder"),
        (["--out", "no/such/grid.png"], "there is no folder"),
        (["--seeds", "5-2"], "write for example 0-7"),
        (["--seeds", "a"], "write for example 0-7"),
        (["--seed", "1", "--seeds", "2"], "exclude each other"),
        (["--n", "0"], "the least is 1"),
        (["--device", "abacus"], "cannot be used"),
        (["--colums", "3"], "did you mean --columns"),
    ],
)
def test_refusals(images, argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sample", str(images), *argv]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) <= 2


def test_refused_sources(tmp_path, run, capsys):
    def refused(path) -> str:
        assert main(["sample", str(path)]) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) <= 2
        return err

    assert "no generator file at" in refused(tmp_path / "nothing.safetensors")
    assert "is no run folder" in refused(tmp_path)
    (run / "generator.safetensors").write_bytes((run / "generator.safetensors").read_bytes()[:500])
    assert "no whole safetensors file" in refused(run)
    (run / "generator.safetensors").unlink()
    assert "train on with" in refused(run)
    assert main(["sample"]) == 2
    assert capsys.readouterr().err.startswith("error: run is missing: a run folder, or a generator file; for example")


def test_a_folder_with_other_files_is_left_alone(images, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert main(["sample", str(images), "--out", str(tmp_path / "mine")]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_seeds_are_read_in_order():
    assert keys_of(sample.Options)["seeds"].read("0-3,9,5") == (0, 1, 2, 3, 9, 5)
