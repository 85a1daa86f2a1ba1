"""Sets that are compared are in one unit, and are samples: `banach distance`, `banach verify`, `banach evaluate`."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from banach.cli import units
from banach.cli.evaluate import apart, check_units
from banach.cli.source import Source
from banach.config.config import ConfigError
from banach.data import load
from banach.data.how import Ambiguous
from banach.data.units import Units
from banach.session.fit import fit

RNG = np.random.default_rng(0)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The same pictures as bytes, in [0, 1], in [-1, 1] and in 0 to 255, as floats, and flat."""
    monkeypatch.chdir(tmp_path)
    u = RNG.integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)
    whole = u.astype(np.float32)
    for name, array in {"u": u, "f": whole / 255, "s": whole / 127.5 - 1, "w": whole, "z": (whole - 100) / 30}.items():
        np.save(f"{name}.npy", array)
    np.save("flat.npy", u.reshape(12, -1))
    np.save("flat-f.npy", whole.reshape(12, -1) / 255)
    return tmp_path


@pytest.mark.parametrize(("a", "b", "remedy"), [
    ("f", "u", "--range 0,1 --range 0,255"),
    ("u", "f", "--range 0,255 --range 0,1"),
    ("w", "u", "--range 0,255 --range 0,255"),
    ("f", "w", "--range 0,1 --range 0,255"),
    ("s", "w", "--range -1,1 --range 0,255"),
    ("f", "s", "--range 0,1 --range -1,1"),
])  # fmt: skip
def test_the_same_pictures_in_two_units_are_refused_and_the_remedy_works(banach, pictures, a, b, remedy):
    code, _, err = banach("distance", f"{a}.npy", f"{b}.npy")
    assert code == 2
    assert err.strip().endswith(f"give the values of black and white of each: {remedy}")
    code, out, err = banach("distance", f"{a}.npy", f"{b}.npy", *remedy.split(), "--json", "--save", "c.npz")
    assert code == 0, err
    found = json.loads(out)
    assert found["upper"] < 1e-5, "the same pictures"
    assert remedy in found["check"]
    assert banach(*found["check"].split()[1:])[0] == 0


def test_numbers_that_are_no_pictures_are_refused_beside_pictures(banach, pictures):
    code, _, err = banach("distance", "z.npy", "u.npy")
    assert code == 2
    assert "A holds numbers from" in err
    assert "B pictures, 0 to 255: these are different units" in err


def test_the_units_of_pictures_are_taken_and_told(banach, pictures):
    code, out, _ = banach("distance", "s.npy", "u.npy", "--no-scores", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["upper"] < 1e-5
    assert any("taken for the [-1, 1] of pictures, which B holds" in note for note in found["a"]["notes"])


def test_flat_pictures_in_two_units_are_refused(banach, pictures):
    code, _, err = banach("distance", "flat.npy", "flat-f.npy", "--axes", "bd")
    assert code == 2
    assert "divide what goes from 0 to 255 by 255" in err


def test_three_sets_are_checked_too(banach, pictures):
    code, _, err = banach("distance", "u.npy", "u.npy", "f.npy", "--no-scores")
    assert code == 2
    assert "C holds numbers from 0 to 1" in err
    assert err.strip().endswith("--range 0,255 --range 0,255 --range 0,1")
    ranges = [word for limits in ("0,255", "0,255", "0,1") for word in ("--range", limits)]
    code, _, err = banach("distance", "u.npy", "u.npy", "f.npy", "--no-scores", *ranges)
    assert code == 0, err
    assert banach("distance", "u.npy", "f.npy", *ranges)[0] == 2


def test_a_range_of_each_set_may_not_be_measured(banach, pictures):
    code, _, err = banach("distance", "f.npy", "f.npy", "--range", "auto")
    assert code == 2
    assert "auto would be another range for each set; write LOW,HIGH" in err


def test_fields_of_other_widths_are_compared_as_ever():
    wide, narrow = (Source("x", 100 + width * torch.randn(20, 1, 8, 8), (), dtype="float32") for width in (10, 1))
    assert [one.notes for one in units.checked((("A", wide), ("B", narrow)))] == [(), ()]


@pytest.mark.parametrize("scale", [1.0, 40.0], ids=["shares", "counts"])
def test_histograms_given_as_samples_are_asked_about(banach, tmp_path, monkeypatch, scale):
    monkeypatch.chdir(tmp_path)
    p = np.array([0.1, 0.2, 0.3, 0.4]) * scale
    np.save("p.npy", p)
    np.save("q.npy", p[::-1])
    code, _, err = banach("distance", "p.npy", "q.npy")
    assert code == 2
    assert "samples: add --axes b; histograms, with these as weights of bins: python -c" in err
    assert "banach distance bins.npy bins.npy --weights-a p.npy --weights-b q.npy" in err
    assert banach("distance", "p.npy", "q.npy", "--axes", "b")[0] == 0
    assert banach("distance", "p.npy", "p.npy")[0] == 0, "either way the distance is 0"
    np.save("bins.npy", np.arange(4.0))
    code, out, _ = banach("distance", "bins.npy", "bins.npy", "--weights-a", "p.npy", "--weights-b", "q.npy", "--json")
    assert json.loads(out)["upper"] == pytest.approx(1.0, rel=0.01)


def test_numbers_of_other_sums_are_samples():
    a, b = (Source("x", torch.rand(9, 1, dtype=torch.float64) + shift, ()) for shift in (0, 1))
    units.check_are_samples(a, b, ("a.npy", "b.npy"))
    with pytest.raises(Ambiguous, match="of the same sum 1"):
        units.check_are_samples(*(Source("x", one.values / one.values.sum(), ()) for one in (a, b)), ("a.npy", "b.npy"))


def test_stacks_are_asked_about_in_a_distance_too(banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / name).mkdir()
        first, *rest = (Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(5))
        first.save(tmp_path / name / "0.tif", save_all=True, append_images=rest)
    assert "--pages all (5 pictures)" in banach("distance", "a", "b")[2]
    code, out, err = banach("distance", "a", "b", "--pages", "all", "--no-scores", "--json")
    assert code == 0, err
    assert json.loads(out)["a"]["samples"] == 5


SMALL = {"steps": 1, "model": "mlp", "width": 4, "z": 2, "batch": 4, "n_critic": 1}


def test_a_generator_is_scored_against_its_own_units_only():
    u = RNG.integers(0, 256, (30, 3, 6, 6), dtype=np.uint8)
    f = (u / 255).astype(np.float32)
    makes_pictures, makes_numbers = fit(u, **SMALL), fit(f, **SMALL)
    with pytest.raises(ConfigError, match=r"makes pictures, 0 to 255, and array holds numbers .*: --range 0,1$"):
        check_units(makes_pictures, load(f), True)
    with pytest.raises(
        ConfigError, match="the generator makes numbers in the units of array, and array holds pictures"
    ):
        check_units(makes_numbers, load(u), True)
    read = load(f, range="0,1")
    check_units(makes_pictures, read, True)
    with pytest.raises(ConfigError, match=r"if that holds here too, add --range 0,0.5, else give its own"):
        check_units(makes_pictures, load(f, range="0,0.5"), True)
    check_units(makes_pictures, load(f, range="0,0.5"), False)
    from_fields = fit(f, range="0,1", **SMALL)
    assert from_fields.sample(2).dtype == torch.uint8


def test_a_measured_range_is_written_into_the_generator():
    made = fit(RNG.integers(0, 4096, (30, 1, 6, 6)).astype(np.uint16), range="auto", **SMALL)
    assert "auto" not in next(line for line in made.about.config.splitlines() if line.startswith("range"))


def test_numbers_in_other_units_are_told():
    units_of = [
        Units("standard", torch.tensor([shift]), torch.tensor([scale])) for shift, scale in ((0.0, 1.0), (0.0, 255.0))
    ]
    assert "widths differ by a factor of 255" in apart(*units_of)
    assert apart(units_of[0], units_of[0]) == ""
    celsius, kelvin = (Units("standard", torch.tensor([shift]), torch.tensor([3.0])) for shift in (10.0, 283.0))
    assert "means by 91 deviations" in apart(celsius, kelvin)


@pytest.mark.parametrize("flag", ["flip", "dequantise"])
def test_keys_of_pictures_are_refused_for_numbers(flag):
    with pytest.raises(ConfigError, match=f"{flag}: is for pictures, and array is read as numbers of shape 1x6x6"):
        fit(RNG.normal(size=(30, 1, 6, 6)), **SMALL, **{flag: True})
