"""`banach distance` and `banach verify`: what they read, print and refuse."""

import json
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from banach import memory
from banach.cli import distance as command
from banach.cli import train
from banach.cli.distance_options import Options
from banach.cli.scored import scored
from banach.spaces import space
from banach.transport import distance
from banach.transport.solution import Progress


@pytest.fixture
def measured(banach):
    """The JSON of `banach distance`."""

    def act(*argv):
        code, out, err = banach("distance", *argv, "--json")
        assert code == 0, err
        return json.loads(out)

    return act


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two sample sets: `b` is `a` moved by (3, 4)."""
    monkeypatch.chdir(tmp_path)
    a = np.random.default_rng(0).normal(size=(60, 2))
    b = a[::-1] + np.array([3.0, 4.0])
    np.save("a.npy", a)
    np.save("b.npy", b)
    np.savez("both.npz", a=a, b=b)
    save_file({"a": torch.from_numpy(a), "b": torch.from_numpy(b.copy())}, "both.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    "pair", [("a.npy", "b.npy"), ("both.npz:a", "both.npz:b"), ("both.safetensors:a", "b.npy"), ("./a.npy", "b.npy")]
)
def test_arrays_in_their_files_and_in_double_precision(pair, folder, measured):
    found = measured(*pair, "--rel-gap", "1e-9", "--no-scores")
    assert found["lower"] <= 5 <= found["upper"]
    assert found["rel_gap"] <= 1e-9
    assert found["target"] == "empirical"
    assert found["closed"] is True
    assert "excess" not in found


def test_pictures_from_a_folder_and_by_name(folder, measured):
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for k in range(12):
        Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(folder / "photos" / f"{k}.png")
    found = measured("photos", "fashion", "--n", "12", "--space", "shape")
    assert found["space"] == "Sobolev(s=-1)"
    assert found["a"]["shape"] == found["b"]["shape"] == [1, 28, 28]
    assert "pixels 0..255 become [-1, 1]" in found["a"]["notes"]
    assert found["excess"]["n"] == 6


def test_a_run_is_compared_by_samples_of_its_generator(folder, banach, measured, monkeypatch):
    monkeypatch.setattr(train, "write_report", lambda folder, defaults: None)  # half of the time of a tiny run
    argv = [
        "--data",
        "8gaussians:n=400",
        "--model",
        "mlp",
        "--width",
        "8",
        "--z",
        "2",
        "--steps",
        "2",
        "--threads",
        "1",
    ]
    assert banach("train", *argv, "--out", "run", "--score-every", "0", "--batch", "16")[0] == 0
    for source in ("run", "run/generator.safetensors"):
        found = measured(source, "8gaussians:n=200", "--n", "100", "--no-scores")
        assert found["a"]["samples"] == 100
        assert "samples of the generator" in found["a"]["notes"][0]


def test_what_is_printed(folder, banach):
    code, out, _ = banach("distance", "a.npy", "b.npy", "--test", "--space", "Lp(2)", "--rel-gap", "1e-9")
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith(" "))
    names = "A B norm W1 encloses lower upper floor excess so energy p scale took"
    assert list(lines) == names.split()
    assert lines["A"].startswith("a.npy: 60 samples, ")
    assert lines["W1"].startswith("from 5 to 5 ")
    assert "every entry of the data alike" in lines["norm"]
    assert "empirical" in lines["encloses"]
    assert "differ" in lines["so"]
    assert lines["p"].startswith("0.005")


def test_sobolev_norms_are_printed_with_length_and_boundary(folder, banach):
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.normal(size=(20, 1, 16)))
    code, out, _ = banach("distance", "x.npy", "x.npy", "--space", "Sobolev(s=1, length=2, boundary='even')")
    assert code == 0
    assert "length 2, boundary even" in out
    assert "W1        from 0 to 0" in out


def test_powers_and_weights(folder, measured):
    np.save("w.npy", np.r_[np.ones(30), np.zeros(30)])
    (folder / "w.txt").write_text("\n".join(["0"] * 30 + ["1"] * 30))
    flags = ("--rel-gap", "1e-9", "--weights-a", "w.npy", "--weights-b", "w.txt")
    assert measured("a.npy", "b.npy", *flags)["value"] == pytest.approx(5)
    assert measured("a.npy", "b.npy", "--power", "2", "--rel-gap", "1e-9")["value"] == pytest.approx(25)


def test_certificates_are_written_and_verified(folder, banach):
    for flags in ((), ("--n", "40", "--seed", "3")):
        code, out, _ = banach("distance", "a.npy", "b.npy", "--save", "cert.npz", "--no-scores", *flags)
        assert code == 0
        assert "banach verify cert.npz" in out
        code, out, err = banach("verify", "cert.npz", "a.npy", "b.npy", *flags)
        assert code == 0, err
        assert out.startswith("proved: W1 of these samples in Lp(p=2) is between")
        assert json.loads(banach("verify", "cert.npz", "a.npy", "b.npy", *flags, "--json")[1])["proved"] is True
        code, _, err = banach("verify", "cert.npz", "b.npy", "a.npy", *flags)
        assert code == 2
        assert err.startswith("error: A is not what was certified")
    assert banach("verify", "a.npy", "a.npy", "b.npy")[0] == 2


@pytest.fixture
def bad(folder):
    """Files with which nothing can be done."""
    a = np.load("a.npy")
    for name, array in {
        "nan": np.where(np.arange(2) == 1, np.nan, a), "empty": np.empty((0, 2)), "wide": np.ones((5, 3)),
        "negative": -np.ones(60), "zero": np.zeros(60), "one": np.ones(60), "half": np.ones(60) / 2, "few": np.ones(7),
        "objects": np.array([None, 1]), "words": np.array(["a", "b"]),
    }.items():  # fmt: skip
        np.save(f"{name}.npy", array, allow_pickle=True)
    (folder / "broken.npy").write_bytes(b"\x93NUMPY no")
    (folder / "broken.safetensors").write_bytes(b"no")
    (folder / "words.txt").write_text("one\ntwo\n")
    return folder


REFUSED = {
    "NaN": ("nan.npy b.npy", "NaN or infinite entries, the first in sample 0"),
    "empty": ("empty.npy b.npy", "empty.npy is empty"),
    "shapes": ("wide.npy b.npy", "different shapes, 3 and 2"),
    "no file": ("none.npy b.npy", "no file or folder none.npy"),
    "no name": ("fashon b.npy", "did you mean fashion"),
    "objects": ("objects.npy b.npy", "cannot be read as an array"),
    "words": ("words.npy b.npy", "give integers or floating-point numbers"),
    "broken": ("broken.npy b.npy", "cannot be read as an array"),
    "broken safetensors": ("broken.safetensors b.npy", "cannot be read as an array"),
    "several": ("both.npz b.npy", "holds 2 arrays (a, b); name one"),
    "no key": ("both.npz:c b.npy", "holds no array 'c'"),
    "negative": ("a.npy b.npy --weights-a negative.npy", "weight 0 of A is -1"),
    "zero": ("a.npy b.npy --weights-b zero.npy", "weights of B sum to zero"),
    "unequal": ("a.npy b.npy --weights-a one.npy --weights-b half.npy", "unequal mass, 60 and 30"),
    "few weights": ("a.npy b.npy --weights-a few.npy", "60 samples and 7 weights"),
    "no weights": ("a.npy b.npy --weights-a none.npy", "no file of weights none.npy"),
    "words as weights": ("a.npy b.npy --weights-a words.txt", "write one number a line"),
    "space": ("a.npy b.npy --space Lp(0.5)", "choose a number from 1 to inf"),
    "vectors in a Sobolev norm": ("a.npy b.npy --space shape", "a Sobolev norm needs data"),
    "gap": ("a.npy b.npy --rel-gap -1", "rel-gap"),
    "method": ("a.npy b.npy --method magic", "magic"),
    "no folder": ("a.npy b.npy --save none/cert.npz", "no folder for 'none/cert.npz'"),
    "test of weighted samples": ("a.npy b.npy --weights-a one.npy --test", "--test is for unweighted samples"),
    "one argument": ("a.npy", "b is missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_ends_with_a_sentence_and_exit_code_2(name, bad, banach):
    words, said = REFUSED[name]
    code, out, err = banach("distance", *words.split())
    assert code == 2, err
    assert err.startswith("error: ")
    assert said in err
    assert 1 <= len(err.splitlines()) <= 2
    assert not out


def test_too_little_memory_is_a_sentence(folder, banach, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    code, _, err = banach("distance", "a.npy", "b.npy")
    assert code == 2
    assert "would take" in err


def test_memory_that_runs_out_on_the_way_is_a_sentence(folder, banach, monkeypatch):
    def out_of_memory(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(command, "distance", out_of_memory)
    code, _, err = banach("distance", "a.npy", "b.npy")
    assert code == 2
    assert "compare fewer with --n" in err


@pytest.fixture
def shifted(folder):
    """Two normal samples whose distributions differ by less than the noise of their excess."""
    rng = np.random.default_rng(10)
    np.save("c1.npy", rng.normal(size=(40, 2)))
    np.save("c2.npy", rng.normal(size=(40, 2)) + 0.3)
    return folder


def test_the_sentence_and_the_p_value_agree(shifted, banach, measured):
    found = measured("c1.npy", "c2.npy", "--test")
    assert found["excess"]["low"] <= 0  # else this pair shows nothing
    assert found["p_value"] <= 0.05
    assert found["sentence"].startswith("the distributions differ by a permutation test")
    assert found["samples_tested"] == 40
    out = banach("distance", "c1.npy", "c2.npy", "--test")[1]
    assert "no evidence" not in out
    assert f"so        {found['sentence']}" in out
    assert "199 permutations of 40 samples each" in out


def test_a_sample_against_itself_is_identical(folder, measured):
    found = measured("a.npy", "both.npz:a", "--test")
    assert found["sentence"].startswith("identical: A and B hold the same samples")
    assert found["p_value"] == 1
    np.save("part.npy", np.load("a.npy")[:40])
    half = measured("a.npy", "part.npy")
    assert "identical" not in half["sentence"]
    assert half["excess"]["shared"] == 40


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--weights-a", "w.npy"), "scores left out: halves are of unweighted samples"),
        (("--power", "2"), "scores left out: they are of W1, and --power is 2"),
        (("--n", "7"), "scores left out: 7 samples are too few to halve, 8 of each are needed"),
        (("--scores", "false"), "scores left out: --no-scores"),
    ],
)
def test_where_there_are_no_scores_a_line_says_why(flags, said, folder, banach, measured):
    np.save("w.npy", np.ones(60))
    assert sum(line.startswith(said) for line in banach("distance", "a.npy", "b.npy", *flags)[1].splitlines()) == 1
    found = measured("a.npy", "b.npy", *flags)
    assert found["left_out"][0].startswith(said)
    assert "sentence" not in found


def test_a_metric_without_a_norm_has_no_lengths(folder, banach):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    code, out, _ = banach("distance", "a.npy", "b.npy", "--space", "discrete", "--json")
    assert code == 0
    assert json.loads(out, parse_constant=refuse)["mean_norm"] is None
    out = banach("distance", "a.npy", "b.npy", "--space", "discrete")[1]
    assert "nan" not in out
    assert "scale     two points are" in out


def test_lengths_and_scale_go_by_weight(folder, measured):
    np.save("x.npy", np.array([[3.0, 4.0], [30.0, 40.0]]))
    np.save("u.npy", np.array([1.0, 0.0]))
    found = measured("x.npy", "x.npy", "--weights-a", "u.npy", "--weights-b", "u.npy")
    assert found["mean_norm"] == {"a": 5.0, "b": 5.0}
    assert found["scale"] == 0
    assert measured("x.npy", "x.npy")["mean_norm"] == {"a": 27.5, "b": 27.5}


def test_scores_end_with_the_time_that_is_given(folder, banach, measured):
    flags = ("--test", "--max-minutes", "1e-9")
    found = measured("a.npy", "b.npy", *flags)
    assert found["left_out"] == ["scores left out: no time left (--max-minutes)"]
    assert not {"excess", "energy_distance", "p_value", "sentence"} & set(found)
    assert "scores left out: no time left (--max-minutes)" in banach("distance", "a.npy", "b.npy", *flags)[1].split(
        "\n"
    )
    assert {"excess", "energy_distance", "p_value"} <= set(measured("a.npy", "b.npy", "--test", "--max-minutes", "5"))


def test_scores_that_do_not_finish_are_left_out():
    """The time is over between the distance and the scores: each says so for itself."""
    metric, late = space("l2"), time.monotonic() + 0.05
    x = torch.randn(3000, 30, generator=torch.Generator().manual_seed(0))
    options = Options("a.npy", "b.npy", test=True, permutations=199)
    found = scored(x, x + 1, metric, options, weighted=False, deadline=late)
    assert [one.split(" left out: ")[0] for one in found.left_out] == ["floor and excess", "energy distance", "p-value"]
    assert found.sentence is None


def test_the_progress_line_says_which_gap_is_wanted():
    told = []
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    distance(x, x + 1, "Lp(2)", method="columns", rel_gap=1e-6, report=told.append)
    assert all(one.wanted == 1e-6 for one in told)
    line = command.progress_line(Progress(0.9, 1.0, 2, 1000, 3.0, 1e-6))
    assert "gap 0.1 of 1e-06 wanted" in line


def test_a_missing_file_names_no_flag_of_another_command(folder, banach):
    err = banach("distance", "none.npy", "b.npy")[2]
    assert "no file or folder none.npy" in err
    assert "--data" not in err


@pytest.mark.slow
def test_a_million_points_in_bounded_memory_and_time(folder, measured):
    rng = np.random.default_rng(0)
    np.save("m.npy", rng.normal(size=(10**6, 2)))
    np.save("k.npy", rng.normal(size=(10**6, 2)) + 1)
    found = measured("m.npy", "k.npy", "--max-minutes", "0.2", "--no-scores")
    assert not found["closed"]
    assert 1.4 < found["lower"] <= found["upper"] < 3  # sqrt(2) between the distributions
    assert found["memory_mb"] < 3000
