"""`banach distance --target population`: the interval, the critic's kappa, and what does not go with it."""

import json

import numpy as np
import pytest

from banach.cli.__main__ import main


@pytest.fixture
def banach(capsys, tmp_path, monkeypatch):
    """Runs `banach distance` on uniform samples and the same distribution moved by 0.5: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    np.save("a.npy", draw.random((800, 2)))
    np.save("b.npy", draw.random((800, 2)) + np.array([0.5, 0]))
    np.save("few.npy", draw.random((100, 2)))
    np.save("w.npy", np.ones(800))

    def act(words, files="a.npy b.npy"):
        capsys.readouterr()
        code = main(["distance", *files.split(), "--target", "population", *words.split()])
        said = capsys.readouterr()
        return code, said.out, said.err

    return act


def lines(out):
    return dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith(" "))


def test_an_interval_of_the_distributions(banach):
    code, out, err = banach("--support box:0,1.5 --critic-steps 60 --width 32 --confidence 0.9")
    assert code == 0, err
    said = lines(out)
    assert list(said) == ["A", "B", "norm", "W1", "lower", "upper", "kappa", "so", "took", "of", "scale"]
    low, high = (float(said["W1"].split()[place]) for place in (1, 3))
    assert 0.1 < low < 0.5 < high < 1.2
    assert "at 90% confidence" in said["W1"]
    assert "1 by construction, clamped to" in said["lower"]
    assert "the diameter of the box [0, 1.5], 2.121" in said["upper"]
    assert said["kappa"].startswith("1, proven")
    assert said["so"].startswith("the distributions differ, by at least")
    assert "the distributions that A and B were drawn from" in said["of"]


def test_without_a_support_there_is_no_upper_end(banach):
    code, out, err = banach("--critic-steps 30 --width 16 --json")
    assert code == 0, err
    found = json.loads(out)
    assert found["target"] == "population"
    assert found["upper"] is None
    assert found["kappa"] == 1
    assert found["kappa_is"] == "proven"
    assert "--support" in found["reasons"][1]


def test_one_distribution_gives_no_evidence(banach):
    np.save("c.npy", np.load("a.npy")[400:])
    np.save("a.npy", np.load("a.npy")[:400])
    code, out, err = banach("--critic-steps 30 --width 16", "a.npy c.npy")
    assert code == 0, err
    assert "no evidence that the distributions differ" in out
    assert "at least 0 " in out


def test_a_known_coupling_makes_the_upper_end_sharp(banach):
    np.save("c.npy", np.load("a.npy") + np.array([0.5, 0]))
    code, out, err = banach("--critic-steps 30 --width 16 --support box:0,1.5 --paired --json", "a.npy c.npy")
    assert code == 0, err
    found = json.loads(out)
    assert 0.5 <= found["upper"] < 0.6
    assert "the given pairs" in found["reasons"][1]


def test_a_penalised_critic_is_not_a_bound(banach):
    code, out, err = banach("--critic mlp --width 16 --penalty wgan-lp --critic-steps 60")
    assert code == 0, err
    said = lines(out)
    assert said["W1"].endswith("not a bound")
    assert "measured" in said["kappa"]
    assert said["bound"].startswith("none")
    assert "lower" not in said
    assert "upper" not in said
    found = json.loads(banach("--critic mlp --width 16 --critic-steps 5 --json")[1])
    assert found["is_bound"] is False
    assert found["lower"] is None
    assert found["value"] == pytest.approx(found["gap"] / found["kappa"])


REFUSED = {
    "--weights-a w.npy": "give unweighted ones",
    "--weights-b w.npy": "give unweighted ones",
    "--power 2": "--power does not go with --target population",
    "--save cert.npz": "a confidence interval has none",
    "--test": "goes with --target empirical",
    "--confidence 1": "below 1",
    "--support ball:1": "write for example box:0,1",
    "--support box:0,1 --critic-steps 1": "but the samples have entries from",
    "--diameter 0.1 --critic-steps 1": "two samples are",
    "--diameter -1": "more than 0",
    "--critic mlp --support box:0,2": "mlp proves no bound, and so gives no interval",
    "--penalty wgan-gp": "needs none",
    "--critic magic": "magic",
    "--space Discrete() --critic mlp --critic-steps 1": "without a dual norm",
    "--n 5 --critic-steps 1": "too few for three parts",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused(words, banach):
    code, out, err = banach(words)
    assert code == 2, err
    assert err.startswith("error: ")
    assert REFUSED[words] in err
    assert 1 <= len(err.splitlines()) <= 2
    assert not out


def test_pairs_need_equal_numbers(banach):
    code, _, err = banach("--paired --support box:0,2 --critic-steps 1", "few.npy b.npy")
    assert code == 2
    assert "cannot be paired row by row" in err


@pytest.mark.parametrize("words", ["--support box:0,1", "--diameter 2", "--paired", "--critic mlp", "--width 3"])
def test_flags_of_the_distributions_do_not_go_with_samples(words, banach, capsys):
    assert main(["distance", "a.npy", "b.npy", *words.split()]) == 2
    assert "it goes with --target population" in capsys.readouterr().err
