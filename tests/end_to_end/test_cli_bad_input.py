"""Bad input through the front door: one or two lines with the remedy, the right exit code, and nothing lost."""

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from banach.cli import train
from banach.runs import checkpoint

SMALL = shlex.split(
    "--model mlp --width 8 --z 2 --batch 16 --n-critic 1 --steps 4 --log-every 1 "
    "--save-every 2 --score-every 0 --score-samples 50 --threads 1"
)
TINY = ["--data", "8gaussians:n=400", *SMALL]


@pytest.fixture
def refused(banach, tmp_path):
    """Runs `train` on what is wrong: exit code 2, one or two lines on stderr, and no folder made. Gives the lines."""

    def act(*argv):
        out = tmp_path / "refused"
        code, _, err = banach("train", *argv, "--out", out)
        assert code == 2
        assert err.startswith("error: ")
        assert 1 <= len(err.splitlines()) <= 2
        assert "Traceback" not in err
        assert not out.exists()
        return err

    return act


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Half of the time of a tiny run is its report page."""
    monkeypatch.setattr(train, "write_report", lambda folder, defaults: None)


def pictures(folder, n=40):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for at in range(n):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / f"{at:03d}.png")
    return folder


def test_a_missing_file(refused, tmp_path):
    err = refused("--data", tmp_path / "none.npy", *SMALL)
    assert str(tmp_path / "none.npy") in err
    assert "check the path" in err


def test_a_misspelt_data_set(refused):
    assert "did you mean fashion" in refused("--data", "fashon", *SMALL)


def test_an_empty_folder(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refused("--data", tmp_path / "empty", *SMALL)


def test_a_folder_of_nothing_but_broken_images(refused, tmp_path):
    (tmp_path / "broken").mkdir()
    for at in range(3):
        (tmp_path / "broken" / f"{at}.png").write_bytes(b"no picture")
    assert str(tmp_path / "broken") in refused("--data", tmp_path / "broken", *SMALL)


def test_a_corrupt_image_among_good_ones_is_skipped_and_told(banach, tmp_path):
    folder = pictures(tmp_path / "photos")
    (folder / "017.png").write_bytes((folder / "017.png").read_bytes()[:40])
    code, said, err = banach("train", "--data", folder, *SMALL, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "skipped 1" in said
    assert "017.png" in said
    assert "35 to train on, 4 held out" in said


def test_nan_in_an_array(refused, tmp_path):
    array = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    array[7, 1] = np.nan
    np.save(tmp_path / "x.npy", array)
    err = refused("--data", tmp_path / "x.npy", *SMALL)
    assert "nan" in err.lower()
    assert "7" in err


def test_a_cut_array_file(refused, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((50, 3), np.float32))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:300])
    assert str(tmp_path / "x.npy") in refused("--data", tmp_path / "x.npy", *SMALL)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--spce", "l2"], "unknown flag --spce; did you mean --space"),
        (["--space", "sobolef:s=-1"], "Sobolev"),
        (["--space", "zzz"], "unknown space 'zzz'; known: "),
        (["--space", "lp:p=0.9"], "choose a number from 1 to inf"),
        (["--space", "Sobolev(s=-1, p=0)"], "choose a number from 1 to inf"),
        (["--space", "shape"], "spatial axes"),
        (["--objective", "wassersten"], "did you mean wasserstein"),
        (["--penalty", "wgan-gb"], "wgan-gp"),
        (["--model", "resnt"], "did you mean resnet"),
        (["--device", "abacus"], "abacus"),
        (["--steps", "-3"], "the least is 1"),
        (["--preset", "dem"], "did you mean demo"),
        (["--config", "nowhere.yaml"], "no such file"),
        (["--init", "nowhere"], "nowhere"),
        (["--plugin", "nowhere.py"], "no such file"),
        (["--classes", "3"], "no labels"),
        (["--space", "Discrete()"], "without a dual norm"),
    ],
)
def test_wrong_flags(refused, argv, said):
    assert said in refused(*TINY, *argv)


def test_a_wrong_key_in_a_file(refused, tmp_path):
    (tmp_path / "run.yaml").write_text("data: 8gaussians\nstepps: 3\n")
    err = refused("--config", tmp_path / "run.yaml")
    assert err == f"error: {tmp_path / 'run.yaml'}: unknown key 'stepps'; did you mean steps?\n" or "steps" in err


def test_a_folder_with_other_things_in_it(banach, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("x")
    code, _, err = banach("train", *TINY, "--out", tmp_path / "thesis")
    assert code == 2
    assert "thesis.tex" in err
    assert [one.name for one in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


def test_a_changed_config_on_resume_is_refused_naming_the_keys(banach, tmp_path):
    out = tmp_path / "run"
    assert banach("train", *TINY, "--out", out)[0] == 0
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    code, _, err = banach("train", *TINY, "--lr", "1e-3", "--space", "outliers", "--out", out)
    assert code == 2
    assert len(err.splitlines()) == 2
    for word in ("lr was 0.0002, now 0.001", "space was l2, now outliers", "--fresh"):
        assert word in err
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == before
    assert banach("train", *TINY, "--keep", "5", "--max-minutes", "9", "--out", out)[0] == 0  # machine keys may change


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_checkpoint_cut_in_half_with_an_older_one(banach, tmp_path):
    out = tmp_path / "run"
    assert banach("train", *TINY, "--out", out)[0] == 0
    whole = checkpoint.load(out / "checkpoints")[0]
    cut(out / "checkpoints" / "last.pt")
    code, said, err = banach("train", *TINY, "--out", out)
    assert (code, err) == (0, "")
    assert "last.pt is broken" in said or "is finished" in said
    again = checkpoint.load(out / "checkpoints")[0]
    assert again["step"] == whole["step"]
    assert all((again["generator"][key] == whole["generator"][key]).all() for key in whole["generator"])


def test_checkpoints_cut_in_half_without_an_older_one(banach, tmp_path):
    out = tmp_path / "run"
    assert banach("train", *TINY, "--out", out)[0] == 0
    for path in (out / "checkpoints").glob("*.pt"):
        cut(path)
    before = sorted(one.stat().st_size for one in (out / "checkpoints").iterdir())
    code, _, err = banach("train", *TINY, "--out", out)
    assert code == 2
    assert 1 <= len(err.splitlines()) <= 2
    assert "--fresh" in err
    assert sorted(one.stat().st_size for one in (out / "checkpoints").iterdir()) == before
    assert (out / "metrics.jsonl").read_text().count("\n") == 4


@contextmanager
def file_size_limit(size):
    """A disk on which no file can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_stops_resumable_and_loses_nothing(banach, tmp_path):
    out = tmp_path / "run"
    assert banach("train", *TINY, "--decay", "none", "--out", out)[0] == 0
    saved = (out / "checkpoints" / "last.pt").read_bytes()
    argv = ("train", "--out", out, "--steps", "8", "--extend")
    with file_size_limit(4_000):
        code, _, err = banach(*argv)
    assert code == 75
    assert 1 <= len(err.splitlines()) <= 2
    assert "no space left" in err
    assert (out / "checkpoints" / "last.pt").read_bytes() == saved
    assert not list(out.rglob(".*.tmp"))
    assert banach(*argv)[0] == 0
    straight = tmp_path / "straight"
    assert banach("train", *TINY, "--decay", "none", "--steps", "8", "--out", straight)[0] == 0
    one, other = (checkpoint.load(folder / "checkpoints")[0]["generator"] for folder in (out, straight))
    assert all((one[key] == other[key]).all() for key in one)


def test_a_loss_that_is_not_finite(banach, tmp_path):
    code, _, err = banach("train", *TINY, "--lr", "1e30", "--steps", "50", "--out", tmp_path / "run")
    assert code == 3
    assert "not finite" in err
    assert "--lr" in err
    assert len(err.splitlines()) <= 2


def test_two_writers_in_one_folder_and_a_signal(banach, tmp_path):
    out = tmp_path / "run"
    argv = ["train", *TINY, "--steps", "1000000", "--decay", "none", "--log-every", "1000", "--save-every", "1000"]
    log = (tmp_path / "first.txt").open("w+")
    first = subprocess.Popen([sys.executable, "-m", "banach.cli", *argv, "--out", str(out)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (out / "checkpoints" / "last.pt").exists() and time.monotonic() < deadline and first.poll() is None:
            time.sleep(0.1)
        code, _, err = banach(*argv, "--out", out)
        assert code == 2
        assert str(first.pid) in err
        assert len(err.splitlines()) <= 2
        os.kill(first.pid, signal.SIGTERM)
        assert first.wait(60) == 75
    finally:
        if first.poll() is None:
            first.kill()
            first.wait()
        log.seek(0)
        said = log.read()
        log.close()
    assert f"go on with: banach train --out {out}" in said
    step = checkpoint.load(out / "checkpoints")[0]["step"]
    assert step > 0
    code, said, _ = banach(*argv, "--max-minutes", "0.001", "--out", out)
    assert code == 75
    assert f"going on from step {step:,}" in said
