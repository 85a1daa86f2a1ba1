"""`split_seed`: the split has a seed of its own, and without one it is what it always was."""

import dataclasses

import numpy as np
import pytest

from banach import fit
from banach.config.config import Config, differences
from banach.config.reading import read_config
from banach.data.load import load
from banach.generator import Generator
from banach.session.console import Quiet
from banach.session.reference import data_of
from banach.session.run import run
from banach.training.build import load_data

TINY = Config(
    data="8gaussians:n=120", space="Lp(2)", model="mlp", z=2, g_width=4, d_width=4, batch=8, n_critic=1, steps=1,
    log_every=1, score_every=0, score_samples=20, threads=1,
)  # fmt: skip


def test_without_one_the_split_is_that_of_the_seed():
    for seed in (0, 3):
        found = load_data(dataclasses.replace(TINY, seed=seed))
        assert found.fingerprint == load("8gaussians:n=120", seed=seed).fingerprint
    assert Config().split_seed is None


def test_with_one_all_seeds_have_the_same_parts():
    one, two = (load_data(dataclasses.replace(TINY, seed=seed, split_seed=5)) for seed in (0, 3))
    assert one.fingerprint == two.fingerprint == load("8gaussians:n=120", seed=5).fingerprint
    assert one.fingerprint != load_data(TINY).fingerprint


def test_a_run_and_its_generator_are_split_by_it(tmp_path):
    config = dataclasses.replace(TINY, seed=1, split_seed=5, out=str(tmp_path / "run"))
    assert run(config, console=Quiet(), argv=["banach"]).code == 0
    generator = Generator.load(tmp_path / "run" / "generator.safetensors")
    expected = load("8gaussians:n=120", seed=5)
    assert generator.about.fingerprint == expected.fingerprint
    assert data_of(generator, tmp_path / "run").fingerprint == expected.fingerprint
    again = run(dataclasses.replace(config, split_seed=6), console=Quiet(), argv=["banach"])
    assert again.code == 2
    assert "split-seed" in again.message


def test_the_seed_itself_is_no_other_split():
    assert differences(Config(seed=3), Config(seed=3, split_seed=3)) == ()
    assert differences(Config(seed=3), Config(seed=3, split_seed=4)) == ("split_seed",)


@pytest.mark.parametrize("argv", [["--split-seed", "7"], ["--split_seed=7"]])
def test_it_is_a_flag(argv):
    assert read_config(["--preset", "none", *argv]).split_seed == 7


def test_fit_takes_it():
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    settings = {"steps": 1, "width": 4, "z": 2, "batch": 8, "progress": False}
    one, two, other = (fit(x, **settings, **seeds) for seeds in (
        {"seed": 1, "split_seed": 5}, {"seed": 2, "split_seed": 5}, {"seed": 1}
    ))  # fmt: skip
    assert one.about.fingerprint == two.about.fingerprint != other.about.fingerprint
    assert other.about.fingerprint == load(x, seed=1).fingerprint
