"""The data that a generator is scored against, and how they are compared with those of the training."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from banach.config.config import Config, dump
from banach.data.load import load
from banach.errors import DataError
from banach.generator import About, Generator, GeneratorError
from banach.session.console import Quiet
from banach.session.reference import data_of, reading_of, reference_for
from banach.session.run import run

RNG = np.random.default_rng(0)


def with_config(text):
    return SimpleNamespace(about=SimpleNamespace(config=text))


def test_only_the_keys_of_the_data_are_obeyed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()")
    header = "data: 8gaussians:n=500\nholdout: 0.2\nseed: 3\nspace: Nowhere(3)\nplugin: [evil.py]\n"
    config = reading_of(with_config(header))  # type: ignore[arg-type]
    assert (config.data, config.holdout, config.seed, config.plugin) == ("8gaussians:n=500", 0.2, 3, ())
    assert not (tmp_path / "ran").exists()


def test_a_file_without_config_says_so():
    with pytest.raises(GeneratorError, match="name them with --data"):
        reading_of(with_config(""))  # type: ignore[arg-type]


def draw(folder, n=30):
    folder.mkdir()
    for at in range(n):
        Image.fromarray(RNG.integers(0, 256, (6, 6), dtype=np.uint8)).save(folder / f"{at:02}.png")
    return folder


@pytest.fixture
def photos(tmp_path):
    return draw(tmp_path / "photos")


def trained_on(source, **about):
    """What its header says, which is all that is asked of it here."""
    data = load(source)
    header = {"config": dump(Config(data=source)), "fingerprint": data.fingerprint, **about}
    said = About(model="mlp", shape=data.shape, z=2, width=4, output="tanh", kind="image", **header)
    return Generator(None, data.units, said)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", "/nonexistent")


def test_the_same_data_have_a_floor_wherever_they_lie(photos, tmp_path):
    generator = trained_on(str(photos))
    assert reference_for(generator, tmp_path).notes == ()
    moved = photos.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"no file or folder .*\nif the data lie elsewhere now, name them with --data"):
        reference_for(generator, tmp_path)
    found = reference_for(generator, tmp_path, str(moved))
    assert (found.notes, found.held_out, len(found.data.held_out)) == ((), "held out", 3)


@pytest.mark.parametrize("change", ["removed", "added", "swapped"])
def test_changed_data_have_none(photos, tmp_path, change):
    generator = trained_on(str(photos))
    if change == "added":
        Image.fromarray(np.zeros((6, 6), np.uint8)).save(photos / "new.png")
    elif change == "removed":
        (photos / "07.png").unlink()
    else:
        (photos / "07.png").rename(photos / "x.png")
        (photos / "08.png").rename(photos / "07.png")
        (photos / "x.png").rename(photos / "08.png")
    with pytest.raises(GeneratorError) as caught:
        reference_for(generator, tmp_path)
    assert "is not what it was when the generator was trained" in str(caught.value)
    assert f"without a floor: --data {photos}" in str(caught.value)
    with pytest.raises(GeneratorError):
        data_of(generator)
    found = reference_for(generator, tmp_path, str(photos))
    assert (len(found.data.held_out), found.held_out) == (0, "")
    assert "may have been trained on" in found.notes[0]


def test_a_part_of_what_was_trained_on_is_no_other_data(photos, tmp_path):
    generator = trained_on(str(photos))
    assert reference_for(generator, tmp_path, str(draw(photos / "part"))).held_out == ""
    clothes = trained_on("fashion", config=dump(Config(data="fashion", seed=5)))
    assert reference_for(clothes, tmp_path, "fashion").held_out == ""


def test_other_data_have_a_floor_of_their_own(photos, tmp_path):
    found = reference_for(trained_on(str(photos)), tmp_path, str(draw(tmp_path / "other")))
    assert found.held_out == "a part of other"
    assert len(found.data.held_out) == 3
    assert "is not what was trained on" in found.notes[0]


def test_a_file_of_an_older_version_is_told(photos, tmp_path):
    generator = trained_on(str(photos), fingerprint="")
    for source in (None, str(photos)):
        found = reference_for(generator, tmp_path, source)
        assert "has no fingerprint" in found.notes[0]
        assert len(found.data.held_out) == 3


def test_an_array_in_memory_is_asked_for(tmp_path):
    np.save(tmp_path / "x.npy", RNG.normal(size=(40, 2)).astype(np.float32))
    generator = trained_on(str(tmp_path / "x.npy"), config=dump(Config(data="array:0123")))
    with pytest.raises(DataError, match=r"save it as \.npy, and name them with --data"):
        reference_for(generator, tmp_path)
    assert reference_for(generator, tmp_path, str(tmp_path / "x.npy")).notes == ()


def test_in_a_runs_folder_the_run_says_where_its_data_lie(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    small = {"model": "mlp", "z": 2, "g_width": 4, "d_width": 4, "batch": 8, "n_critic": 1, "score_every": 0}
    small |= {"extractor": "pixels", "score_samples": 10, "out": "runs/mine", "threads": 1, "decay": "none"}

    def go(data, steps):
        return run(Config(data=data, steps=steps, **small), console=Quiet(), argv=["test"], extend=True)

    assert go("photos", 1).code == 0
    file = tmp_path / "runs" / "mine" / "generator.safetensors"
    assert Generator.load(file).about.fingerprint == load("photos").fingerprint
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert reference_for(Generator.load(file), file.parent).notes == ()
    photos.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    gone = go("photos", 2)
    assert (gone.code, "--data THERE goes on, if they are the same" in gone.message) == (2, True)
    assert go("moved", 2).code == 0
    assert "are those that were in photos, by their content" in (file.parent / "log.txt").read_text()
    assert data_of(Generator.load(file.parent / "best.safetensors"), file.parent).fingerprint
    made = Generator.load(file)
    older = Generator(made.network, made.units, dataclasses.replace(made.about, fingerprint=""))
    assert reference_for(older, file.parent).notes == ()  # its run knows
    assert "is finished" in go("moved", 2).message
    draw(tmp_path / "other")
    assert "data was moved, now other, and these are other samples" in go("other", 2).message
    (tmp_path / "moved" / "00.png").unlink()
    with pytest.raises(GeneratorError):
        reference_for(older, file.parent)
    told = "(27 and 3 held out, shape (1, 6, 6), now 26 and 3 held out, shape (1, 6, 6))"
    assert told in go("moved", 3).message


def test_other_data_are_refused_before_there_is_a_checkpoint(photos, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    config = Config(data="8gaussians:n=40", model="mlp", out=str(out))
    (out / "config.yaml").write_text(dump(config))
    outcome = run(dataclasses.replace(config, data=str(photos)), console=Quiet(), argv=["test"])
    assert (outcome.code, "has no checkpoint yet by which" in outcome.message) == (2, True)
