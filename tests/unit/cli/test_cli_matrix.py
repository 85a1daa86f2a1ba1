"""`banach distance A B C`: the table of several sets, its certificates, and what it refuses."""

import json

import numpy as np
import pytest

from banach.cli import sources
from banach.cli.matrix import names_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three sets of vectors, the last one moved, and three of numbers."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for k, name in enumerate("abc"):
        np.save(f"{name}.npy", rng.normal(size=(40 + 10 * k, 2)) + 2 * (k == 2))
        np.save(f"{name}1.npy", rng.normal(size=40 + k) + 2 * (k == 2))
    np.save("w.npy", np.ones(40))
    np.save("few.npy", rng.normal(size=(5, 2)))
    return tmp_path


def test_a_table_with_intervals_floors_excesses_and_adjusted_p_values(folder, banach):
    code, out, err = banach("distance", "a.npy", "b.npy", "c.npy", "--test", "--permutations", "99")
    assert code == 0, err
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if line and line[0] in "ABCnpst" and "  " in line)
    assert {"norm", "p", "so", "took"} <= set(lines)
    assert "above the diagonal W1, lower and upper end" in out
    assert "A, C: 0.01, adjusted 0.03 (99 permutations of 40 each)" in out
    assert "some distributions differ (adjusted p = 0.03): 3 comparisons, adjusted by Holm's method" in out


def test_json_holds_every_pair(folder, banach):
    code, out, err = banach("distance", "a.npy", "--rel-gap", "1e-9", "b.npy", "c.npy", "--json", "--test")
    assert code == 0, err
    found = json.loads(out)
    assert list(found["sets"]) == ["A", "B", "C"]
    assert list(found["pairs"]) == ["A-B", "A-C", "B-C"]
    assert found["comparisons"] == 3
    alone = json.loads(banach("distance", "a.npy", "c.npy", "--json", "--rel-gap", "1e-9", "--no-scores")[1])
    assert found["lower"][0][2] == found["lower"][2][0] == found["pairs"]["A-C"]["lower"] == alone["lower"]
    assert found["pairs"]["A-C"]["excess"]["low"] > 0
    assert found["pairs"]["A-C"]["permutations"] == 199
    assert found["pairs"]["A-B"]["p_adjusted"] >= found["pairs"]["A-B"]["p_value"]
    assert set(found["floors"]) == {"A", "B", "C"}


def test_one_certificate_for_each_pair(folder, banach):
    code, out, err = banach("distance", "a1.npy", "b1.npy", "c1.npy", "--save", "day.npz", "--no-scores")
    assert code == 0, err
    assert "banach verify day-A-C.npz" in out
    for pair, files in {"A-B": ("a1.npy", "b1.npy"), "A-C": ("a1.npy", "c1.npy"), "B-C": ("b1.npy", "c1.npy")}.items():
        code, out, err = banach("verify", f"day-{pair}.npz", *files)
        assert code == 0, err
        assert out.startswith("proved")


def test_a_set_is_read_once(folder, banach, monkeypatch):
    seen, read = [], sources.read_source
    monkeypatch.setattr(sources, "read_source", lambda text, how: seen.append(text) or read(text, how))
    assert banach("distance", "a.npy", "b.npy", "a.npy", "b.npy", "--no-scores")[0] == 0
    assert seen == ["a.npy", "b.npy"]


def test_time_is_for_the_whole(folder, banach):
    found = json.loads(banach("distance", "a.npy", "b.npy", "c.npy", "--test", "--max-minutes", "1e-9", "--json")[1])
    assert len(found["left_out"]) == 2
    assert all(one["lower"] <= one["upper"] for one in found["pairs"].values())
    assert "p_value" not in found["pairs"]["A-B"]


REFUSED = {
    "weights": ("a.npy b.npy c.npy --weights-a w.npy", "--weights-a does not go with 3 sets"),
    "population": ("a.npy b.npy c.npy --target population", "compares two sets, and these are 3"),
    "certificates of draws": ("a.npy b.npy c.npy --n 20 --save cert.npz", "--save does not go with --n"),
    "shapes": ("a.npy b.npy c1.npy", "different shapes"),
    "no file": ("a.npy b.npy none.npy", "no file or folder none.npy"),
    "test of few": ("a.npy b.npy few.npy --test", "--test is for unweighted samples, at least 8 of each"),
    "permutations without a test": ("a.npy b.npy c.npy --permutations 9", "--permutations 9 is of a p-value"),
    "of two": ("a.npy b.npy --permutations 9", "--permutations 9 is of a p-value"),
    "no permutations": ("a.npy b.npy --test --permutations 0", "the least is 1"),
    "a flag's word": ("a.npy b.npy c.npy -n", "unexpected '-n'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_ends_with_a_sentence_and_exit_code_2(name, folder, banach):
    words, said = REFUSED[name]
    code, out, err = banach("distance", *words.split())
    assert code == 2, err
    assert said in err
    assert 1 <= len(err.splitlines()) <= 2
    assert not out


def test_few_samples_have_distances_and_no_scores(folder, banach):
    code, out, err = banach("distance", "a.npy", "b.npy", "few.npy")
    assert code == 0, err
    assert "scores left out: 5 samples are too few to halve" in out


def test_names():
    assert names_of(3) == ["A", "B", "C"]
    assert names_of(27)[-1] == "27"
