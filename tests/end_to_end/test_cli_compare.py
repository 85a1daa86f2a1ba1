"""`banach compare`: through the front door, of runs that were trained and of runs that were written."""

import json

import numpy as np
import pytest
from written_runs import Told, sweep, write

from banach.config.config import Config
from banach.report.comparison import plots
from banach.session.console import Quiet
from banach.session.run import run


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(plots, "library", lambda: None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two norms over two seeds of one split, and a fifth run of another split."""
    folder = tmp_path_factory.mktemp("trained")
    for space in ("Lp(p=2)", "Lp(p=1)"):
        for seed, split in ((0, 7), (1, 7), (2, None)):
            if split is None and space == "Lp(p=1)":
                continue
            config = Config(
                data="8gaussians:n=200", space=space, model="mlp", z=2, g_width=4, d_width=4, batch=8, n_critic=1,
                steps=2, log_every=1, score_every=1, score_samples=30, threads=1, seed=seed, split_seed=split,
                out=str(folder / f"{space[5:-1]}-{seed}"),
            )  # fmt: skip
            assert run(config, console=Quiet(), argv=["banach"]).code == 0
    return folder


def test_a_comparison_of_trained_runs(banach, trained, tmp_path):
    runs = [trained / name for name in ("2-0", "2-1", "1-0", "1-1")]
    code, said, err = banach("compare", *runs, "--baseline", "Lp(p=2)", "--out", tmp_path / "c.html", "--json",
                             "--csv", tmp_path / "c.csv", "--latex", tmp_path / "c.tex")  # fmt: skip
    assert (code, err) == (0, "")
    told = json.loads(said)
    assert [one["name"] for one in told["methods"]] == ["Lp(p=2)", "Lp(p=1)"]
    assert [len(one["counted"]) for one in told["methods"]] == [2, 2]
    assert not [one for one in told["scores"] if any("split" in note for note in one["notes"])]
    # W1 was taken in each run's own norm: not in one column
    assert {"W₁[Lp(p=2)]", "W₁[Lp(p=1)]"} <= {one["title"] for one in told["scores"]}
    for name in ("c.html", "c.csv", "c.tex"):
        assert (tmp_path / name).stat().st_size > 200


def test_one_norm_and_one_held_out_set_for_all(banach, trained, tmp_path):
    runs = [trained / name for name in ("2-0", "2-1", "1-0", "1-1")]
    code, said, err = banach(
        "compare", *runs, "--space", "lp:p=4", "--samples", 16, "--out", tmp_path / "c.html", "--json"
    )
    assert (code, err) == (0, "")
    told = json.loads(said)
    title = "Excess W₁[Lp(p=4)], one held-out set"
    assert next(one for one in told["scores"] if one["title"] == title)["protocol"]["metric"] == "Lp(p=4)"
    rows = [one for one in told["steps"] if one["score"] == title]
    assert [one["n"] for one in rows] == [2, 2]
    assert all(np.isfinite(one["mean"]) for one in rows)
    assert rows[0]["mean"] != rows[1]["mean"]


def test_other_splits_have_no_common_held_out_set(banach, trained, tmp_path):
    code, _, err = banach(
        "compare", trained / "2-0", trained / "2-2", "--space", "lp:p=4", "--out", tmp_path / "c.html"
    )
    assert code == 2
    assert "--split-seed" in err
    assert "--data" in err
    assert len(err.splitlines()) <= 2
    np.save(tmp_path / "test.npy", np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))
    words = ("--space", "lp:p=4", "--samples", 16, "--data", tmp_path / "test.npy", "--out", tmp_path / "c.html")
    code, said, err = banach("compare", trained / "2-0", trained / "2-2", *words, "--json")
    assert (code, err) == (0, "")
    assert json.loads(said)["scores"][-1]["protocol"]["data"].endswith("test.npy")


def test_report_of_several_runs_compares_them(banach, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for at in range(2):
        write(tmp_path / f"run{at}", Told(config={"seed": at}))
    code, said, _ = banach("report", "run0", "run1", "--json")
    assert code == 0
    assert json.loads(said)["page"] == "compare.html"
    assert (tmp_path / "compare.html").is_file()


@pytest.mark.parametrize("word", ["sweep", "sweep/run*"])
def test_report_of_a_folder_of_runs_compares_them(banach, tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "sweep" / "run0")
    code, said, _ = banach("report", word, "--json")
    assert (code, json.loads(said)["page"]) == (0, "compare.html")
    code, said, _ = banach("report", "sweep/run0", "--json")  # a run itself has its own page
    assert json.loads(said)["report"].endswith("report.html")
    code, _, err = banach("report", "nowhere")
    assert (code, len(err.splitlines())) == (2, 1)


def test_a_terminal_is_told_the_table_and_what_does_not_count(banach, tmp_path, monkeypatch):
    code, said, err = banach("compare", sweep(tmp_path / "sweep"), "--by", "time", "--out", tmp_path / "c.html")
    assert (code, err) == (0, "")
    assert "at equal time" in said
    assert "1 failed" in said
    assert "3 of 11 runs do not count" in said
    assert f"written: {tmp_path}/c.html" in said
    assert "pip install 'banach[compare]'" in said  # plotly is not there, see above
    monkeypatch.setattr(plots, "library", lambda: "its source")
    assert "pip install" not in banach("compare", tmp_path / "sweep", "--out", tmp_path / "c.html")[1]


def test_where_nothing_has_finished_all_count(banach, tmp_path):
    for at in range(2):
        write(tmp_path / f"run{at}", Told(config={"seed": at, "steps": 5000}))
    code, said, _ = banach("compare", tmp_path, "--out", tmp_path / "c.html", "--json")
    assert code == 0
    told = json.loads(said)
    assert len(told["methods"][0]["counted"]) == 2
    assert "no run has finished" in told["notes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "runs is missing"),
        (("nowhere",), "nowhere: no such folder"),
        (("empty",), "there is no run in it"),
        (("run", "--baseline", "wgan"), "no method is called 'wgan'"),
        (("run", "--name", "nothing"), "WHICH=NAME"),
        (("run", "--name", "x=y"), "no method or run is called 'x'"),
        (("run", "--by", "epochs"), "steps"),
        (("run", "--space", "sobolef"), "obolev"),
        (("run", "--space", "lp:p=4"), "no run that counts has a generator"),
        (("run", "--out", "empty"), "is a folder"),
        (("run", "--out", "there/c.html"), "does not exist"),
        (("run", "--csv", "c.html", "--out", "c.html"), "more than once"),
        (("run", "--basline", "x"), "did you mean --baseline"),
        (("run/config.yaml",), "is a file"),
        (("run", "--samples", "20"), "--samples is of --space, which is not given"),
        (("run", "--data", "x.npy"), "--data is of --space, which is not given"),
        (("run", "--csv", "/dev/stdout"), "is a device or a pipe"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_or_two(banach, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "run")
    code, out, err = banach("compare", *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert len(err.splitlines()) <= 2
    assert not (tmp_path / "compare.html").exists()
